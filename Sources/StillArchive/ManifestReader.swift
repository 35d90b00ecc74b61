import FoundationEssentials
import StillModel
import StillSystem
import SystemPackage

extension BackupManifest {
  /// 1 GiB, which is some six million files.
  private static let largest = 1 << 30

  /// Reads a manifest, the server's or our own, from where the file stands.
  ///
  /// - Throws: `.copying`, naming the manifest, when its checksum is not that of its content or when
  ///   it cannot be understood.
  public static func read(from file: OpenFile) throws -> BackupManifest {
    let bytes = try file.readAll(limit: largest)
    func damaged(_ reason: String) -> StillError {
      StillError(
        .copying, "the manifest \(file.path) is damaged: \(reason)",
        hint: "Use another backup, or take the manifest from another copy of this one.")
    }
    try expectChecksum(bytes, damaged)
    let written: Written
    do {
      written = try JSONDecoder().decode(Written.self, from: Data(bytes))
    } catch {
      throw damaged("it cannot be understood (\(error))")
    }
    guard (1...2).contains(written.version) else {
      throw StillError(
        .copying, "the manifest \(file.path) is of version \(written.version), which is too new",
        hint: "Use a newer pgstill.")
    }
    var files: [ManifestFile] = []
    files.reserveCapacity(written.files.count)
    var paths: Set<FilePath> = []
    for entry in written.files {
      guard let file = entry.file else { throw damaged("an entry cannot be understood: \(entry)") }
      guard paths.insert(file.path).inserted else {
        throw damaged("\(file.path) stands in it twice")
      }
      files.append(file)
    }
    return BackupManifest(
      systemIdentifier: written.systemIdentifier, files: files,
      walRanges: written.walRanges.map {
        WALRange(timeline: $0.timeline, start: $0.start, end: $0.end)
      })
  }

  /// The last line holds the checksum of everything before it (src/common/parse_manifest.c,
  /// verify_manifest_checksum).
  private static func expectChecksum(
    _ bytes: [UInt8], _ damaged: (String) -> StillError
  ) throws {
    let newline = UInt8(ascii: "\n")
    guard bytes.last == newline, let before = bytes.dropLast().lastIndex(of: newline) else {
      throw damaged("it was cut short")
    }
    let running = try RunningChecksum(.sha256)
    bytes[...before].withUnsafeBytes { running.update($0) }
    let expected = "\"Manifest-Checksum\": \"\(running.finish())\"}\n"
    guard bytes[(before + 1)...].elementsEqual(expected.utf8) else {
      throw damaged("its checksum is not that of its content")
    }
  }

  /// The JSON as it stands.
  private struct Written: Decodable {
    struct Entry: Decodable {
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

      /// nil where a value does not have its form.
      var file: ManifestFile? {
        guard let name = path.map({ Array($0.utf8) }) ?? encodedPath.flatMap(Hexadecimal.bytes),
          !name.isEmpty, !name.contains(0), let time = CalendarTime(manifestStyle: modified),
          let sum = checksum.map(Hexadecimal.bytes) ?? []
        else { return nil }
        return ManifestFile(
          path: FilePath(bytes: name), size: size, modified: time,
          checksum: Checksum(algorithm: algorithm ?? .none, bytes: sum))
      }
    }

    struct Range: Decodable {
      var timeline: UInt32
      var start: LSN
      var end: LSN

      enum CodingKeys: String, CodingKey {
        case timeline = "Timeline"
        case start = "Start-LSN"
        case end = "End-LSN"
      }
    }

    var version: Int
    var systemIdentifier: UInt64?
    var files: [Entry]
    var walRanges: [Range]

    enum CodingKeys: String, CodingKey {
      case version = "PostgreSQL-Backup-Manifest-Version"
      case systemIdentifier = "System-Identifier"
      case files = "Files"
      case walRanges = "WAL-Ranges"
    }
  }
}

extension CalendarTime {
  /// Reads `2026-11-21 02:00:00 GMT`; nil for anything else.
  init?(manifestStyle text: String) {
    let parts = text.split(separator: " ")
    guard parts.count == 3, parts[2] == "GMT" else { return nil }
    self.init(iso8601: "\(parts[0])T\(parts[1])Z")
  }
}
