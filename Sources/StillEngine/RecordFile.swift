import StillArchive
import StillModel
import StillSystem
import SystemPackage

extension BackupRecord: Sealed {
  static let wayOutOfDamage =
    "Use another backup, or bring this file back from a copy of the repository."
  static let wayToLess =
    "A mirror's names each file of the WAL: back up while less of it is kept (archive_command may "
    + "fail), or with --format tar."
}

/// Writes and reads `backup.json`.
enum RecordFile {
  /// What a record is called until all of it is on the disk.
  static let newName: FilePath = ".backup.json-new"
  static let mostBytes = SealedFile.mostBytes

  /// - Throws: `.copying` for one that is so large that nobody would read it.
  static func write(_ record: BackupRecord, to file: OpenFile) throws {
    try SealedFile.write(record, to: file)
  }

  /// Puts a record in the place of the one that is there, in one step.
  static func replace(_ record: BackupRecord, in folder: OpenFolder) throws {
    try SealedFile.replace(BackupFolder.recordName, with: record, by: newName, in: folder)
  }

  /// - Throws: `.copying` where the file was changed or cut short, comes from a newer pgstill, or says
  ///   what no backup has.
  static func read(_ file: OpenFile) throws -> BackupRecord { try SealedFile.read(file) }

  /// The same of what was read already.
  ///
  /// - Parameter path: for messages.
  static func read(_ bytes: [UInt8], of path: FilePath) throws -> BackupRecord {
    try SealedFile.read(bytes, of: path)
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
