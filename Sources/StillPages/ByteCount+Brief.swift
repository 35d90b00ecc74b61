import StillModel

extension ByteCount {
  /// `1.4 GiB`, `919 MiB`: for where there is little room.
  static func brief(_ bytes: UInt64) -> String {
    let text = text(bytes)
    guard let point = text.firstIndex(of: "."), text.distance(from: text.startIndex, to: point) > 2
    else { return text }
    return String(text[..<point] + text[point...].dropFirst(2))
  }
}
