import StillModel
import StillSystem
import SystemPackage

/// Who takes what a `TarReader` finds.
protocol TarSink: AnyObject {
  /// Called for each member, in the order of the archive. The content of a file goes to what this
  /// returns, by several threads; nil passes it over.
  func begin(_ member: TarMember) throws -> ArchivedFile?
}

/// Reads tar archives in the formats that are about: ustar, PAX with global headers, GNU with its
/// long names, and GNU's ways to store files with holes; plain, or compressed with zstd, gzip or lz4, whatever the file is called.
///
/// Everything is checked that can be: headers by their sum, the end by its two blocks of zeros and
/// by nothing but zeros behind, compressed data by what the format has. An archive that was cut
/// short anywhere is an error.
final class TarReader {
  let archive: FilePath
  let source: ReadPipeline
  let cancellation: Cancellation?
  private var global: [[UInt8]: [UInt8]] = [:]
  var lastWhole: FilePath?

  /// Extended headers are made of names and attributes; the kernel allows 64 KiB for one of those.
  private static let longestHeader: UInt64 = 64 << 20

  /// `workers` threads decompress, and take content to where it goes; `checksum` is the one that the
  /// archive as a whole gets.
  init(
    _ file: OpenFile, workers: Int, checksum: ChecksumAlgorithm? = nil,
    cancellation: Cancellation? = nil
  ) throws {
    archive = file.path
    self.cancellation = cancellation
    source = try ReadPipeline(
      file, workers: workers, checksum: checksum, cancellation: cancellation)
  }

  /// Reads all of the archive.
  ///
  /// - Throws: `.copying` for a damaged archive, naming it and the last member that was whole; what
  ///   reading the file or the sink throws.
  func read(into sink: any TarSink) throws {
    do {
      while let member = try nextMember() {
        try cancellation?.checkpoint()
        let file = try sink.begin(member)
        if member.kind == .file { try passContent(of: member, to: file) }
        lastWhole = member.path
      }
      try expectOnlyZeros()
      try source.finish()
    } catch let damage as DamagedStream {
      // What stood before it is good, and is worked on to its end.
      try source.finish()
      throw error(damage)
    }
  }

  func error(_ damage: DamagedStream) -> StillError {
    let place = lastWhole.map { "the last whole member is \($0.string)" } ?? "no member is whole"
    return StillError(
      .copying, "\(archive) is damaged: \(damage.reason) (\(place))",
      hint: "Restore from another backup, or take this archive from another copy of it.")
  }

  // MARK: Bytes

  /// What lies ahead, at most `limit` bytes; empty at the end only.
  func ahead(_ limit: UInt64) throws -> UnsafeRawBufferPointer {
    let bytes = try source.ahead()
    return UnsafeRawBufferPointer(rebasing: bytes.prefix(Int(min(limit, 1 << 30))))
  }

  /// Hands on exactly `count` bytes.
  func pass(
    _ count: UInt64, of what: @autoclosure () -> String,
    _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    var left = count
    while left > 0 {
      let piece = try ahead(left)
      if piece.isEmpty { throw DamagedStream(reason: "it ends within \(what())") }
      try body(piece)
      source.take(piece.count)
      left -= UInt64(piece.count)
    }
  }

  func passContent(of member: TarMember, to file: ArchivedFile?) throws {
    let size = member.storedSize
    let padding = UInt64(TarFormat.padding(size))
    guard let file else { return try pass(size + padding, of: "a file") { _ in } }
    if size == 0 { source.take(0, as: 0, of: file, at: 0) }
    var number = 0
    for part in member.sparse?.data ?? [0..<size] {
      var offset = part.lowerBound
      while offset < part.upperBound {
        let piece = try ahead(part.upperBound - offset)
        if piece.isEmpty { throw DamagedStream(reason: "it ends within a file") }
        source.take(piece.count, as: number, of: file, at: offset)
        offset += UInt64(piece.count)
        number += 1
      }
    }
    try pass(padding, of: "a file") { _ in }
  }

  func bytes(_ count: UInt64, of what: String) throws -> [UInt8] {
    guard count <= TarReader.longestHeader else {
      throw DamagedStream(reason: "\(what) of \(count) bytes cannot be")
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Int(count))
    try pass(count, of: what) { bytes += $0 }
    return bytes
  }

  func expectOnlyZeros() throws {
    while true {
      let piece = try ahead(.max)
      if piece.isEmpty { return }
      guard piece.allSatisfy({ $0 == 0 }) else {
        throw DamagedStream(reason: "something follows its end")
      }
      source.take(piece.count)
    }
  }

  // MARK: Headers

  /// The next header block; nil at the end of the archive, which is two blocks of zeros.
  private func nextHeader() throws -> TarHeaderFields? {
    guard try !ahead(1).isEmpty else {
      throw DamagedStream(reason: "it has no end, so it was cut short")
    }
    let size = UInt64(TarFormat.blockSize)
    let block = try bytes(size, of: "a header")
    guard block.allSatisfy({ $0 == 0 }) else { return try TarHeaderFields(block) }
    guard try !ahead(1).isEmpty else {
      throw DamagedStream(reason: "half of its end is missing, so it was cut short")
    }
    guard try bytes(size, of: "its end").allSatisfy({ $0 == 0 }) else {
      throw DamagedStream(reason: "a block of zeros stands between its members")
    }
    return nil
  }

  /// Reads headers up to one that is a member's; the first may have been read already.
  func nextMember(_ first: TarHeaderFields? = nil) throws -> TarMember? {
    var first = first
    var records: [[UInt8]: [UInt8]] = [:]
    var sparse = SparseRecords()
    var longName: [UInt8]?
    var longLink: [UInt8]?
    var isWithinMember = false
    while true {
      guard let header = try first ?? nextHeader() else {
        if isWithinMember { throw DamagedStream(reason: "an extended header has no member") }
        return nil
      }
      first = nil
      switch header.typeFlag {
      case UInt8(ascii: "x"):
        for (key, value) in try extendedRecords(header) {
          records[key] = value
          try sparse.take(key, value)
        }
      case UInt8(ascii: "g"):
        for (key, value) in try extendedRecords(header) { global[key] = value }
        continue
      case UInt8(ascii: "L"):
        longName = try longText(header)
      case UInt8(ascii: "K"):
        longLink = try longText(header)
      case UInt8(ascii: "V"):
        // The name of a volume; it has no content.
        continue
      default:
        let all = global.merging(records) { $1 }
        var member = try header.member(records: all, longName: longName, longLink: longLink)
        try refuseUnknown(member)
        try addMap(to: &member, header, sparse)
        return member
      }
      isWithinMember = true
    }
  }

  /// Devices and pipes have no content; what else may follow a header of an unknown kind, only its
  /// inventor knows.
  private func refuseUnknown(_ member: TarMember) throws {
    guard case .other(let flag) = member.kind, !Array("346".utf8).contains(flag) else { return }
    throw DamagedStream(
      reason: "\(member.path) is of the kind '\(UnicodeScalar(flag))', which cannot be read")
  }

  /// Completes a file with holes; the size in its header is that of what is in the archive.
  private func addMap(
    to member: inout TarMember, _ header: TarHeaderFields, _ sparse: SparseRecords
  ) throws {
    guard member.kind == .file else { return }
    var stored = member.size
    if header.typeFlag == OldSparseHeader.typeFlag {
      member.sparse = try OldSparseHeader.map(header) {
        try bytes(UInt64(TarFormat.blockSize), of: "a header")
      }
    } else {
      switch try sparse.form() {
      case nil: return
      case .map(let map): member.sparse = map
      case .inFront(let size): member.sparse = try mapInFront(of: &stored, size: size)
      }
    }
    guard let map = member.sparse, map.storedSize == stored else { throw SparseRecords.damaged }
    member.size = map.size
  }

  /// - Parameters:
  ///   - stored: bytes of map and data together; afterwards those of the data.
  ///   - size: of the file.
  private func mapInFront(of stored: inout UInt64, size: UInt64) throws -> SparseMap {
    var numbers: [UInt64] = []
    var digits: [UInt8] = []
    var taken: UInt64 = 0
    while numbers.isEmpty || UInt64(numbers.count) < 1 + 2 * numbers[0] {
      taken += UInt64(TarFormat.blockSize)
      guard taken <= min(stored, TarReader.longestHeader) else { throw SparseRecords.damaged }
      for byte in try bytes(UInt64(TarFormat.blockSize), of: "a map") {
        if byte == UInt8(ascii: "\n") {
          numbers.append(try SparseRecords.number(digits))
          digits = []
          guard numbers[0] <= TarReader.longestHeader else { throw SparseRecords.damaged }
          if UInt64(numbers.count) == 1 + 2 * numbers[0] { break }
        } else {
          digits.append(byte)
          guard digits.count <= 20 else { throw SparseRecords.damaged }
        }
      }
    }
    stored -= taken
    return try SparseMap(
      size: size,
      read: stride(from: 1, to: numbers.count, by: 2).map { (numbers[$0], numbers[$0 + 1]) })
  }

  private func extendedRecords(
    _ header: TarHeaderFields
  ) throws -> [(key: [UInt8], value: [UInt8])] {
    let size = try header.number(TarFormat.size, "size")
    let content = try bytes(size, of: "an extended header")
    try pass(UInt64(TarFormat.padding(size)), of: "an extended header") { _ in }
    guard let records = PaxRecords.parse(content) else {
      throw DamagedStream(reason: "an extended header cannot be understood")
    }
    return records
  }

  private func longText(_ header: TarHeaderFields) throws -> [UInt8] {
    let size = try header.number(TarFormat.size, "size")
    let content = try bytes(size, of: "a long name")
    try pass(UInt64(TarFormat.padding(size)), of: "a long name") { _ in }
    return Array(content.prefix { $0 != 0 })
  }
}
