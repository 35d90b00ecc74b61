import FoundationEssentials
import StillArchive
import StillModel
import StillSystem
import SystemPackage

/// Writes and reads `backup.json`. Its last member is the SHA-256 of everything before that member,
/// so that a changed byte is noticed here as it is in the archives.
enum RecordFile {
  private static let seal = Array(",\n  \"sha256\" : \"".utf8)
  private static let end = Array("\"\n}\n".utf8)
  private static let digits = 64
  /// What a record is called until all of it is on the disk.
  static let newName: FilePath = ".backup.json-new"
  /// In bytes; nobody reads more.
  static let mostBytes = 64 << 20

  /// - Throws: `.copying` for one that is so large that nobody would read it.
  static func write(_ record: BackupRecord, to file: OpenFile) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    // Without the closing "\n}", which comes after the seal.
    let body = Array(try encoder.encode(record)).dropLast(2)
    guard body.count + seal.count + digits + end.count <= mostBytes else {
      throw StillError(
        .copying,
        "\(file.path) would have \(ByteCount.text(UInt64(body.count))), and nobody reads more than "
          + "\(ByteCount.text(UInt64(mostBytes)))",
        hint: "A mirror's names each file of the WAL: back up while less of it is kept "
          + "(archive_command may fail), or with --format tar.")
    }
    try file.writeAll(Array(body))
    try file.writeAll(seal + Array(try digest(body).utf8) + end)
    try file.sync()
  }

  /// Puts a record in the place of the one that is there, in one step.
  static func replace(_ record: BackupRecord, in folder: OpenFolder) throws {
    if try folder.metadataIfPresent(of: newName) != nil { try folder.remove(newName) }
    try write(record, to: folder.file(newName, .create(permissions: 0o600)))
    try folder.rename(newName, to: BackupFolder.recordName)
    try folder.sync()
  }

  /// - Throws: `.copying` where the file was changed or cut short, comes from a newer pgstill, or says
  ///   what no backup has.
  static func read(_ file: OpenFile) throws -> BackupRecord {
    try read(file.readAll(limit: mostBytes), of: file.path)
  }

  /// The same of what was read already.
  ///
  /// - Parameter path: for messages.
  static func read(_ bytes: [UInt8], of path: FilePath) throws -> BackupRecord {
    let tail = seal.count + digits + end.count
    let body = bytes.dropLast(min(tail, bytes.count))
    guard bytes.count > tail, bytes.suffix(tail).starts(with: seal),
      bytes.suffix(end.count) == end[...],
      String(decoding: bytes.suffix(digits + end.count).prefix(digits), as: UTF8.self)
        == (try digest(body))
    else {
      throw StillError(
        .copying, "\(path) was changed or cut short: its checksum does not match",
        hint: "Use another backup, or bring this file back from a copy of the repository.")
    }
    let record: BackupRecord
    do {
      let format = try JSONDecoder().decode(Form.self, from: Data(bytes)).format
      guard format <= BackupRecord.currentFormat else {
        throw StillError(
          .copying, "\(path) comes from a newer pgstill (format \(format))",
          hint: "Use that one, or one that is newer yet.")
      }
      record = try JSONDecoder().decode(BackupRecord.self, from: Data(bytes))
    } catch let failure as StillError {
      throw failure
    } catch {
      throw StillError(
        .copying, "\(path) cannot be read: \(error)",
        hint: "It may come from a newer pgstill.")
    }
    if let absurdity = record.absurdity {
      throw StillError(
        .copying, "\(path) cannot be right: \(absurdity)",
        hint: "Use another backup, or bring this file back from a copy of the repository.")
    }
    return record
  }

  /// All that can be known of a record of any format.
  private struct Form: Decodable {
    var format: Int
  }

  private static func digest(_ bytes: ArraySlice<UInt8>) throws -> String {
    let checksum = try RunningChecksum(.sha256)
    bytes.withUnsafeBytes { checksum.update($0) }
    return checksum.finish().description
  }
}

extension BackupRecord.Archive {
  /// - Throws: `.copying` where the record does not say which one the archive has.
  func requireChecksum(_ backup: BackupFolder) throws -> Checksum {
    guard let checksum = Checksum(labelled: checksum), checksum.algorithm != .none else {
      throw StillError(
        .copying, "\(backup.path)/backup.json has no checksum of \(name)",
        hint: "It may come from a newer pgstill.")
    }
    return checksum
  }
}
