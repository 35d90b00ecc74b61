/// A drawing is made twice, for a desk and for a phone: what was drawn for the one and made smaller cannot be read
/// on the other. The page shows the one that fits.
enum Canvas: String, CaseIterable {
  case wide, narrow

  /// In units of the drawing, which are pixels where it is shown in its own size.
  var width: Double { self == .wide ? 720 : 350 }
  var isNarrow: Bool { self == .narrow }

  /// What a text takes at most, roughly: the widest usual font has letters of two thirds of its size.
  func width(of text: String) -> Double { Double(text.count) * letter }
  private var letter: Double { isNarrow ? 6.9 : 7.5 }

  /// A text, or its ends where it is too long.
  func fitted(_ text: String, into width: Double) -> String {
    let count = max(5, Int(width / letter))
    guard text.count > count else { return text }
    return "\(text.prefix((count - 1) / 2))…\(text.suffix(count / 2))"
  }
}

/// A drawing with its names for those who cannot see it, and a caption.
struct Drawing {
  /// Once on its page: small letters, digits, dashes.
  var id: String
  var title: String
  /// What is to be seen, in a sentence or two.
  var description: String
  var caption: HTML
  var height: (Canvas) -> Double
  var content: (Canvas) -> HTML

  var html: HTML {
    let drawings = Canvas.allCases.map { canvas -> HTML in
      let name = "\(id)-\(canvas.rawValue)"
      return """
        <svg class="\(canvas.rawValue)" id="\(name)" viewBox="0 0 \(canvas.width) \(height(canvas))" \
        role="img" aria-labelledby="\(name)-title \(name)-desc">
        <title id="\(name)-title">\(title)</title>
        <desc id="\(name)-desc">\(description)</desc>
        \(content(canvas))</svg>

        """
    }
    let below: HTML = caption.isEmpty ? "" : "<figcaption>\(caption)</figcaption>\n"
    return "<figure>\n\(drawings)\(below)</figure>\n"
  }
}
