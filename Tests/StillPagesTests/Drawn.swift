import StillTestSupport

/// What a browser has drawn of a page, in CSS pixels.
struct Drawn: Decodable {
  struct Box: Decodable {
    var x, y, width, height: Double
    var right: Double { x + width }
    var bottom: Double { y + height }

    func overlaps(_ other: Box) -> Bool {
      min(right, other.right) - max(x, other.x) > 1
        && min(bottom, other.bottom) - max(y, other.y) > 1
    }
    func holds(_ other: Box) -> Bool {
      other.x >= x - 1 && other.y >= y - 1 && other.right <= right + 1 && other.bottom <= bottom + 1
    }
  }

  /// A text, a line, a bar.
  struct Mark: Decodable {
    var style: String
    var text: String
    var box: Box
    /// Of a line, where it goes, as x and y in turn.
    var points: [Double]
    var opacity: Double
  }

  struct Drawing: Decodable {
    var id: String
    var box: Box
    var marks: [Mark]

    func marks(_ style: String) -> [Mark] { marks.filter { $0.style == style } }
    var texts: [Mark] { marks.filter { $0.style.hasPrefix("text") } }

    /// The values of an axis by where they stand, from its own labels.
    func scale(
      _ style: String, _ place: (Box) -> Double, _ value: (String) -> Double?
    ) -> ((Double) -> Double)? {
      let ticks = marks("text " + style).compactMap { mark in
        value(mark.text).map { (place(mark.box), $0) }
      }
      guard let first = ticks.first, let last = ticks.last, first.1 != last.1 else { return nil }
      return { first.1 + ($0 - first.0) / (last.0 - first.0) * (last.1 - first.1) }
    }
  }

  /// How well a text or a line is told from what is behind it (WCAG 2, "contrast ratio").
  struct Contrast: Decodable {
    var what: String
    var ratio: Double
    var isText: Bool
  }

  var width: Double
  var scrollWidth: Double
  var height: Double
  /// How light what is behind everything is, 0…1.
  var paper: Double
  var headline: String
  var commands: [String]
  var headings: [String]
  var text: String
  var scripts: Int
  /// Of elements that come from elsewhere.
  var addresses: [String]
  var drawings: [Drawing]
  var contrasts: [Contrast]

  func drawing(_ prefix: String) -> Drawing? { drawings.first { $0.id.hasPrefix(prefix) } }

  /// Looks at a page from outside.
  ///
  /// - Parameter widths: of its windows, in CSS pixels.
  static func of(_ page: String, widths: [Int], _ scheme: Browser.Scheme) throws -> [Drawn] {
    try Browser(scheme).measure(page, widths: widths, script)
  }

  private static let script = """
    function measure(view) {
      const page = view.document, root = page.scrollingElement;
      const boxOf = e => {
        const b = e.getBoundingClientRect();
        return {x: b.x + view.scrollX, y: b.y + view.scrollY, width: b.width, height: b.height};
      };
      const isShown = e => e.getClientRects().length > 0;
      const pointsOf = e => {
        const m = e.getScreenCTM();
        return Array.from(e.points || []).flatMap(p => {
          const q = p.matrixTransform(m); return [q.x + view.scrollX, q.y + view.scrollY];
        });
      };
      const drawings = Array.from(page.querySelectorAll('svg')).filter(isShown).map(svg => ({
        id: svg.id, box: boxOf(svg),
        marks: Array.from(svg.querySelectorAll('text,polyline,polygon,rect,circle,line'))
          .filter(e => !e.closest('defs')).map(e => ({
            style: (e.tagName == 'text' ? 'text ' : '') + (e.getAttribute('class') || ''),
            text: e.tagName == 'text' ? e.textContent : (e.querySelector('title') || {textContent: ''}).textContent,
            box: boxOf(e), points: pointsOf(e), opacity: Number(e.getAttribute('fill-opacity') || 1)
          }))
      }));
      const channels = c => (c.match(/[0-9.]+/g) || ['0', '0', '0', '0']).map(Number);
      const light = c => {
        const [r, g, b] = channels(c).map(v => v / 255)
          .map(v => v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ratio = (a, b) => {
        const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05);
      };
      const behind = e => {
        for (; e; e = e.parentElement) {
          const c = view.getComputedStyle(e).backgroundColor;
          if (!/rgba\\(.*, 0\\)|transparent/.test(c)) return c;
        }
        return 'rgb(255, 255, 255)';
      };
      const contrasts = [];
      for (const e of page.body.querySelectorAll('*')) {
        if (!isShown(e)) continue;
        const style = view.getComputedStyle(e);
        const own = Array.from(e.childNodes).some(n => n.nodeType == 3 && n.textContent.trim());
        const isDrawn = e.namespaceURI.endsWith('svg');
        const name = e.tagName + '.' + (e.getAttribute('class') || '') + ': ' + e.textContent.slice(0, 30);
        if (own && !isDrawn) contrasts.push({what: name, isText: true, ratio: ratio(style.color, behind(e))});
        if (e.tagName == 'text') contrasts.push({what: name, isText: true, ratio: ratio(style.fill, behind(e))});
        if (/curve|next|likely|size|bar|suspend|take|resume|checkpoint/.test(e.getAttribute('class') || '') && isDrawn
            && e.tagName != 'text') {
          const paint = style.stroke != 'none' ? style.stroke : style.fill;
          contrasts.push({what: name, isText: false, ratio: ratio(paint, behind(e))});
        }
      }
      const texts = s => Array.from(page.querySelectorAll(s)).map(e => e.innerText);
      return {
        width: view.innerWidth, scrollWidth: root.scrollWidth, height: root.scrollHeight,
        paper: light(behind(page.body)), headline: texts('h1')[0] || '', commands: texts('.command'), headings: texts('h2'),
        text: page.body.innerText, scripts: page.querySelectorAll('script,object,embed,iframe,link,form').length,
        addresses: Array.from(page.querySelectorAll('[src],[href],[action]'))
          .map(e => e.getAttribute('src') || e.getAttribute('href') || ''),
        drawings, contrasts
      };
    }
    """
}
