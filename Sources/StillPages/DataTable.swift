/// A table that scrolls in a box of its own where the page is too narrow for it.
struct DataTable {
  /// What it shows, for those who come to the box without seeing it.
  var name: String
  var heading: [String]
  var rows: [[String]] = []
  /// Columns of words, which may break.
  var words: Set<Int> = []

  var html: HTML {
    let head = heading.map { "<th scope=\"col\">\($0)</th>" as HTML }
    let body = rows.map { row -> HTML in
      let cells = row.enumerated().map { column, cell -> HTML in
        if column == 0 { return "<th scope=\"row\">\(cell)</th>" }
        return words.contains(column) ? "<td class=\"words\">\(cell)</td>" : "<td>\(cell)</td>"
      }
      return "<tr>\(cells)</tr>\n"
    }
    return """
      <div class="scroll" role="region" aria-label="\(name)" tabindex="0">
      <table>
      <thead><tr>\(head)</tr></thead>
      <tbody>
      \(body)</tbody>
      </table>
      </div>

      """
  }
}
