/// The frame of every page: one file, with nothing to fetch and nothing that runs.
struct Page {
  var title: String
  var body: HTML

  var html: String {
    let whole: HTML = """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta http-equiv="Content-Security-Policy" content="\(Page.policy)">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <title>\(title)</title>
      <style>
      \(PageStyle.sheet)</style>
      </head>
      <body>
      <main>
      \(body)</main>
      </body>
      </html>

      """
    return whole.source
  }

  /// A page that was sent by mail can reach nobody, whatever somebody has put into it.
  private static let policy =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

  /// A line to type. A click selects all of it.
  static func command(_ words: [String]) -> HTML {
    // No word is broken at its dashes, and no option from what it is given.
    var parts: [HTML] = []
    for (before, word) in zip([""] + words, words) {
      if before.hasPrefix("--"), let last = parts.popLast() {
        parts.append("\(last) \(word)")
      } else {
        parts.append("\(word)")
      }
    }
    parts = parts.map { "<span>\($0)</span>" }
    return "<pre class=\"command\"><code>\(parts.joined(separator: " "))</code></pre>\n"
  }

  static func paragraph(_ text: String) -> HTML { "<p>\(text)</p>\n" }

  /// What has to be known before anything is done; nothing where there is nothing.
  static func warnings(_ heading: String, _ texts: [String]) -> HTML {
    guard !texts.isEmpty else { return "" }
    return """
      <section class="warning">
      <h2>\(heading)</h2>
      <ul>
      \(texts.map { "<li>\($0)</li>\n" as HTML })</ul>
      </section>

      """
  }

  static func section(_ heading: String, _ content: HTML) -> HTML {
    content.isEmpty ? "" : "<section>\n<h2>\(heading)</h2>\n\(content)</section>\n"
  }

  /// Names with what belongs to them.
  static func facts(_ rows: [(name: String, text: String)]) -> HTML {
    "<dl>\n\(rows.map { "<div><dt>\($0.name)</dt><dd>\($0.text)</dd></div>\n" as HTML })</dl>\n"
  }
}
