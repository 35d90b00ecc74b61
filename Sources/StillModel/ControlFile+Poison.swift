extension ControlFile {
  /// Where a poisoned control file says that the last checkpoint is: far beyond any log, and at an
  /// offset in its page where a record may begin, so that every server takes it for a position
  /// (`XRecOffIsValid`) and then finds nothing there. pgBackRest uses the same.
  public static let nowhere = LSN(0xDEAD_BEEF_DEAD_BEEF)

  private static let checkpointOffset = 32

  /// The bytes of a control file that is of no use without `backup_label`.
  ///
  /// The files of a backup that was copied while the server ran are not of one instant. Only
  /// `backup_label` makes recovery begin early enough to mend that. Who leaves it out, because the
  /// server "does not start with it" or because the file was lost, gets a server that starts without
  /// a word on a damaged database. With the label, the server takes the checkpoint's position from
  /// there and never looks at this one (`InitWalRecovery` of xlogrecovery.c); without it, it stops.
  ///
  /// - Throws: `.failed` where `bytes` are no control file, or one that was read while it was written.
  public static func poisoned(_ bytes: [UInt8]) throws -> [UInt8] {
    _ = try ControlFile(bytes: bytes)
    guard let end = checksumOffset(bytes) else { return bytes }
    var poisoned = bytes
    withUnsafeBytes(of: nowhere.position.littleEndian) {
      poisoned.replaceSubrange(checkpointOffset..<checkpointOffset + 8, with: $0)
    }
    withUnsafeBytes(of: checksum(poisoned[..<end]).littleEndian) {
      poisoned.replaceSubrange(end..<end + 4, with: $0)
    }
    return poisoned
  }
}
