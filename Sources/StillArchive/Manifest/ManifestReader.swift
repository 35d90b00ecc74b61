import FoundationEssentials
import StillModel
import StillSystem
import SystemPackage

/// Reads a manifest, the server's or our own, file by file: nobody has to keep the list of them.
public final class ManifestReader {
  /// The cluster's, where the manifest says it.
  public let systemIdentifier: UInt64?
  public let walRanges: [WALRange]
  /// SHA-256 of the manifest as it lies there.
  public let digest: Checksum

  private let file: OpenFile
  private let entries: Range<UInt64>

  /// The last line: the checksum of everything before it (src/common/parse_manifest.c,
  /// verify_manifest_checksum).
  private static let seal = "\"Manifest-Checksum\": \""
  private static let sealSize = UInt64(seal.utf8.count + 64 + "\"}\n".utf8.count)

  /// - Throws: `.copying`, naming the manifest, when its checksum is not that of its content or when
  ///   it cannot be understood.
  public init(_ file: OpenFile) throws {
    self.file = file
    let size = try file.metadata().size
    guard size > ManifestReader.sealSize else {
      throw ManifestReader.damaged(file, "it was cut short")
    }
    let checked = 0..<(size - ManifestReader.sealSize)
    let sum = try RunningChecksum(.sha256)
    let whole = try RunningChecksum(.sha256)
    let lines = LineReader(file, 0..<size)
    /// Everything but the files themselves.
    var frame: [UInt8] = []
    var (first, last) = (UInt64(0), UInt64(0))
    while let line = try lines.next() {
      line.withUnsafeBytes {
        if lines.offset <= checked.upperBound { sum.update($0) }
        whole.update($0)
      }
      if first == 0 || last != 0 {
        frame += line
        if line.elementsEqual("\"Files\": [\n".utf8) { first = lines.offset }
      } else if line.elementsEqual("],\n".utf8) {
        last = lines.offset - UInt64(line.count)
        frame += line
      }
    }
    digest = whole.finish()
    let seal = ManifestReader.seal + "\(sum.finish())\"}\n"
    guard frame.reversed().starts(with: seal.utf8.reversed()) else {
      throw ManifestReader.damaged(
        file,
        frame.last == UInt8(ascii: "\n")
          ? "its checksum is not that of its content" : "it was cut short")
    }
    guard last != 0 else { throw ManifestReader.damaged(file, "it lists no files") }
    entries = first..<last
    do {
      let written = try JSONDecoder().decode(Written.self, from: Data(frame))
      guard (1...2).contains(written.version) else {
        throw StillError(
          .copying, "the manifest \(file.path) is of version \(written.version), which is too new",
          hint: "Use a newer pgstill.")
      }
      systemIdentifier = written.systemIdentifier
      walRanges = written.walRanges.map {
        WALRange(timeline: $0.timeline, start: $0.start, end: $0.end)
      }
    } catch let error as DecodingError {
      throw ManifestReader.damaged(file, "it cannot be understood (\(error))")
    }
  }

  /// Its files from the first on.
  public func files() -> Files { Files(file, entries) }

  public final class Files {
    private let file: OpenFile
    private let lines: LineReader

    fileprivate init(_ file: OpenFile, _ range: Range<UInt64>) {
      self.file = file
      lines = LineReader(file, range)
    }

    /// nil at the end.
    ///
    /// - Throws: `.copying` where an entry cannot be understood.
    public func next() throws -> ManifestFile? {
      guard let line = try lines.next() else { return nil }
      guard let entry = ManifestEntry.parse(line) else {
        throw ManifestReader.damaged(
          file, "an entry cannot be understood: \(String(decoding: line, as: UTF8.self))")
      }
      return entry
    }
  }

  fileprivate static func damaged(_ file: OpenFile, _ reason: String) -> StillError {
    StillError(
      .copying, "the manifest \(file.path) is damaged: \(reason)",
      hint: "Use another backup, or take the manifest from another copy of this one.")
  }

  /// The JSON around the files.
  private struct Written: Decodable {
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
    var walRanges: [Range]

    enum CodingKeys: String, CodingKey {
      case version = "PostgreSQL-Backup-Manifest-Version"
      case systemIdentifier = "System-Identifier"
      case walRanges = "WAL-Ranges"
    }
  }
}

extension BackupManifest {
  /// Reads all of a manifest. For large ones, and where each file is looked at once only, there is
  /// `ManifestReader`.
  public static func read(from file: OpenFile) throws -> BackupManifest {
    let reader = try ManifestReader(file)
    var files: [ManifestFile] = []
    let entries = reader.files()
    while let entry = try entries.next() { files.append(entry) }
    return BackupManifest(
      systemIdentifier: reader.systemIdentifier, files: files, walRanges: reader.walRanges)
  }
}

/// The lines of a part of a file, each with its end.
private final class LineReader {
  private static let chunk = 256 << 10

  private let file: OpenFile
  private let end: UInt64
  private var buffer: [UInt8] = []
  private var unread = 0
  private var readTo: UInt64
  /// Behind the last line, in the file.
  private(set) var offset: UInt64

  init(_ file: OpenFile, _ range: Range<UInt64>) {
    self.file = file
    end = range.upperBound
    readTo = range.lowerBound
    offset = range.lowerBound
  }

  func next() throws -> ArraySlice<UInt8>? {
    var searched = unread
    while true {
      if let newline = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        return take(to: newline + 1)
      }
      searched = buffer.count
      guard readTo < end else { return unread < buffer.count ? take(to: buffer.count) : nil }
      searched -= unread
      try fill()
    }
  }

  private func take(to index: Int) -> ArraySlice<UInt8> {
    let line = buffer[unread..<index]
    unread = index
    offset += UInt64(line.count)
    return line
  }

  private func fill() throws {
    let rest = Array(buffer[unread...])
    let count = Int(min(UInt64(LineReader.chunk), end - readTo))
    buffer = try [UInt8](unsafeUninitializedCapacity: rest.count + count) { room, filled in
      rest.withUnsafeBytes { UnsafeMutableRawBufferPointer(room).copyMemory(from: $0) }
      let place = UnsafeMutableRawBufferPointer(room)[rest.count..<rest.count + count]
      filled =
        rest.count
        + (try file.readFully(into: UnsafeMutableRawBufferPointer(rebasing: place), at: readTo))
    }
    let got = buffer.count - rest.count
    readTo = got == 0 ? end : readTo + UInt64(got)
    unread = 0
  }
}
