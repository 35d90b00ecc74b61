/// Draws how one snapshot filled: time from left to right, bytes upwards, the size of its store as a line.
///
///      512.0 MiB ┤▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔
///                │         ▂▃▄▅▅▆▆
///      256.0 MiB ┤      ▄▇████████
///                │  ▂▅████████████
///              0 └┴───────┴───────
///                 0       5 min
public struct FillChart {
  private struct Signs {
    /// From an empty cell to a full one.
    var cells: [Character]
    var axis: Character
    var mark: Character
    var corner: Character
    var base: Character
    var tick: Character
    var size: Character
    var overflow: Character

    static let fine = Signs(
      cells: Array(" ▁▂▃▄▅▆▇█"), axis: "│", mark: "┤", corner: "└", base: "─", tick: "┴", size: "▔",
      overflow: "✗")
    static let plain = Signs(
      cells: Array(" ...:::##"), axis: "|", mark: "+", corner: "+", base: "-", tick: "+",
      size: "-", overflow: "X")
  }

  private static let rows = 8
  /// `1023.9 MiB`
  private static let labelWidth = 10
  private static let fewestColumns = 10
  /// A store that is larger than this many times what was used is not drawn: the curve would be flat.
  private static let mostAbove: UInt64 = 4
  /// Columns that a label on the axis of time may take.
  private static let tickWidth = 10

  private let volume: RunFill.Volume
  private let columns: Int
  private let signs: Signs
  /// In seconds.
  private let length: Double
  private let top: UInt64

  /// - Parameters:
  ///   - width: of the whole picture, in characters.
  ///   - isPlain: whether ASCII has to do.
  public init(_ volume: RunFill.Volume, width: Int, isPlain: Bool) {
    self.volume = volume
    columns = max(FillChart.fewestColumns, width - FillChart.labelWidth - 2)
    signs = isPlain ? .plain : .fine
    length = volume.used.last?.seconds ?? 0
    let most = volume.used.map(\.bytes).max() ?? 0
    let size = volume.sizes.map(\.bytes).max() ?? 0
    top = size / FillChart.mostAbove <= most ? max(size, most) : most
  }

  public var text: String {
    guard top > 0 else { return heading + "\n" }
    var lines = [heading]
    for row in (0..<FillChart.rows).reversed() {
      let label =
        switch row {
        case FillChart.rows - 1: ByteCount.text(top)
        case FillChart.rows / 2 - 1: ByteCount.text(top / 2)
        default: ""
        }
      let axis = label.isEmpty ? signs.axis : signs.mark
      lines.append(FillChart.padded(label) + " \(axis)" + self.row(row))
    }
    let ticks = self.ticks
    let marked = Set(ticks.map(\.column))
    lines.append(
      FillChart.padded("0") + " \(signs.corner)"
        + String((0..<columns).map { marked.contains($0) ? signs.tick : signs.base }))
    lines.append(String(repeating: " ", count: FillChart.labelWidth + 2) + FillChart.labels(ticks))
    return lines.map(FillChart.trimmed).joined(separator: "\n") + "\n"
  }

  /// What was used at the end, and what became of the store.
  private var heading: String {
    let used = volume.used.last?.bytes ?? 0
    var text = "\(volume.origin): "
    guard let size = volume.sizes.last else {
      return text + "its pool was at \(ByteCount.text(used)) at the end, whoever wrote it"
    }
    if volume.hasOverflowed {
      text += "OVERFLOWED at \(ByteCount.text(size.bytes)) (\(signs.overflow))"
    } else {
      text += "\(ByteCount.text(used)) used at the end, of \(ByteCount.text(size.bytes))"
    }
    for (before, after) in zip(volume.sizes, volume.sizes.dropFirst()) {
      text += "; extended after \(Figures.duration(after.seconds)) from "
      text += "\(ByteCount.text(before.bytes)) to \(ByteCount.text(after.bytes))"
    }
    if top < size.bytes { text += "; its size is above the picture" }
    return text
  }

  /// One row of cells, the lowest is 0.
  private func row(_ row: Int) -> String {
    String(
      (0..<columns).map { column in
        let seconds = length * Double(column + 1) / Double(columns)
        let level = eighths(FillChart.level(volume.used, at: seconds))
        let filled = min(8, max(0, level - row * 8))
        if filled > 0 {
          let isLast = column == columns - 1 && level <= (row + 1) * 8
          return isLast && volume.hasOverflowed ? signs.overflow : signs.cells[filled]
        }
        // The line is the upper edge of its cell.
        let size = eighths(FillChart.level(volume.sizes, at: seconds))
        return size > row * 8 && size <= (row + 1) * 8 ? signs.size : signs.cells[0]
      })
  }

  /// How high that is in the picture, in eighths of a cell; anything is more than nothing.
  private func eighths(_ bytes: UInt64) -> Int {
    guard bytes > 0 else { return 0 }
    let share = Double(bytes) / Double(top)
    return max(1, Int(min(share, 2) * Double(FillChart.rows * 8)))
  }

  private static func level(_ levels: [RunFill.Level], at seconds: Double) -> UInt64 {
    // The sum of a column's parts may lack the last bit of the whole.
    let after = levels.partition { $0.seconds > seconds + 1e-9 * max(1, seconds) }
    return after > 0 ? levels[after - 1].bytes : 0
  }

  private struct Tick {
    var column: Int
    var label: String
  }

  private static let steps: [Double] = [
    0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600,
    43200, 86400,
  ]

  private var ticks: [Tick] {
    let most = Double(max(1, columns / FillChart.tickWidth))
    guard length > 0, let step = FillChart.steps.first(where: { length / $0 <= most }) else {
      return [Tick(column: 0, label: "0")]
    }
    return (0...Int(length / step)).map { number in
      let seconds = Double(number) * step
      return Tick(
        column: min(columns - 1, Int(seconds / length * Double(columns))),
        label: number == 0 ? "0" : FillChart.label(seconds))
    }
  }

  private static func label(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded())
    if seconds < 1 || Double(whole) != seconds { return "\(Figures.rounded(seconds, 1)) s" }
    if whole % 3600 == 0 { return "\(whole / 3600) h" }
    if whole % 60 == 0 { return "\(whole / 60) min" }
    return "\(whole) s"
  }

  /// Each below its mark, as far as there is room.
  private static func labels(_ ticks: [Tick]) -> String {
    var line = ""
    for tick in ticks where line.isEmpty || tick.column > line.count {
      line += String(repeating: " ", count: tick.column - line.count) + tick.label
    }
    return line
  }

  private static func padded(_ label: String) -> String {
    String(repeating: " ", count: max(0, labelWidth - label.count)) + label
  }

  private static func trimmed(_ line: String) -> String {
    var line = line
    while line.hasSuffix(" ") { line.removeLast() }
    return line
  }
}

extension Array {
  /// The index of the first element of which something holds, and of all after it; the end for none.
  fileprivate func partition(_ holds: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if holds(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
