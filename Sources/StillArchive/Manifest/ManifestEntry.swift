import FoundationEssentials
import StillModel
import SystemPackage

/// One line of a manifest's list of files.
enum ManifestEntry {
  /// nil where it cannot be understood.
  static func parse(_ line: ArraySlice<UInt8>) -> ManifestFile? {
    var line = line
    if line.last == UInt8(ascii: "\n") { line.removeLast() }
    if line.last == UInt8(ascii: ",") { line.removeLast() }
    return parsePlain(line) ?? (try? JSONDecoder().decode(Written.self, from: Data(line)))?.file
  }

  /// What nearly every line is: fields in their usual order, without escapes. There may be millions,
  /// and a JSON decoder takes twenty times as long.
  private static func parsePlain(_ line: ArraySlice<UInt8>) -> ManifestFile? {
    guard !line.contains(UInt8(ascii: "\\")) else { return nil }
    var rest = line
    func take(_ text: StaticString) -> Bool {
      let count = text.utf8CodeUnitCount
      let expected = UnsafeBufferPointer(start: text.utf8Start, count: count)
      guard rest.starts(with: expected) else { return false }
      rest.removeFirst(count)
      return true
    }
    func field(to end: UInt8) -> ArraySlice<UInt8>? {
      guard let index = rest.firstIndex(of: end) else { return nil }
      defer { rest = rest[(index + 1)...] }
      return rest[..<index]
    }
    let quote = UInt8(ascii: "\"")
    guard take("{ \"Path\": \""), let path = field(to: quote), take(", \"Size\": "),
      let size = field(to: UInt8(ascii: ",")), take(" \"Last-Modified\": \""),
      let time = field(to: quote)
    else { return nil }
    var algorithm: ArraySlice<UInt8> = []
    var sum: ArraySlice<UInt8> = []
    if take(", \"Checksum-Algorithm\": \"") {
      guard let name = field(to: quote), take(", \"Checksum\": \""),
        let digits = field(to: quote)
      else { return nil }
      (algorithm, sum) = (name, digits)
    }
    guard rest.elementsEqual(" }".utf8) else { return nil }
    return file(
      path: Array(path), size: UInt64(String(decoding: size, as: UTF8.self)),
      modified: CalendarTime(manifestStyle: time),
      algorithm: algorithm.isEmpty
        ? ChecksumAlgorithm.none
        : ChecksumAlgorithm(rawValue: String(decoding: algorithm, as: UTF8.self)),
      sum: Hexadecimal.bytes(sum))
  }

  private static func file(
    path: [UInt8]?, size: UInt64?, modified: CalendarTime?, algorithm: ChecksumAlgorithm?,
    sum: [UInt8]?
  ) -> ManifestFile? {
    guard let path, !path.isEmpty, !path.contains(0), let size, let algorithm, let sum,
      let modified
    else { return nil }
    return ManifestFile(
      path: FilePath(bytes: path), size: size, modified: modified,
      checksum: Checksum(algorithm: algorithm, bytes: sum))
  }

  /// The JSON as it stands.
  private struct Written: Decodable {
    var path: String?
    var encodedPath: String?
    var size: UInt64
    var modified: String
    var algorithm: ChecksumAlgorithm?
    var checksum: String?

    enum CodingKeys: String, CodingKey {
      case path = "Path"
      case encodedPath = "Encoded-Path"
      case size = "Size"
      case modified = "Last-Modified"
      case algorithm = "Checksum-Algorithm"
      case checksum = "Checksum"
    }

    var file: ManifestFile? {
      ManifestEntry.file(
        path: path.map { Array($0.utf8) } ?? encodedPath.flatMap { Hexadecimal.bytes($0.utf8) },
        size: size, modified: CalendarTime(manifestStyle: modified.utf8),
        algorithm: algorithm ?? ChecksumAlgorithm.none,
        sum: checksum.map { Hexadecimal.bytes($0.utf8) } ?? [])
    }
  }
}
