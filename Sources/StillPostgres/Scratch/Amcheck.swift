/// What pg_amcheck prints.
enum Amcheck {
  /// More of the same helps nobody.
  private static let limit = 50

  /// One line for each thing that it found: `btree index "a.public.i": ERROR:  …`. Its own lines begin
  /// with the relation, and what is wrong with it follows indented.
  static func findings(_ text: String) -> [String] {
    var findings: [String] = []
    var isRelation = false
    for line in text.split(whereSeparator: \.isNewline) {
      let words = line.drop { $0 == " " || $0 == "\t" }
      if line.first != words.first || words.isEmpty {
        if isRelation, let last = findings.indices.last {
          findings[last] += findings[last].hasSuffix(":") ? " \(words)" : "; \(words)"
        }
      } else {
        isRelation = words.hasPrefix("heap table") || words.hasPrefix("btree index")
        // A warning says that something was passed over.
        if isRelation || words.contains("error:") || words.contains("warning:") {
          findings.append(String(words))
        }
      }
    }
    guard findings.count > limit else { return findings }
    return findings.prefix(limit) + ["and \(findings.count - limit) more"]
  }
}
