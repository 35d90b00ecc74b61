/// What `backup_label` says: the file that a server in backup mode hands out, which tells recovery
/// where to begin instead of the control file (`build_backup_content` of
/// src/backend/access/transam/xlogbackup.c, before 16 `do_pg_backup_start` of xlog.c).
///
/// For reading only: the file itself is kept byte for byte.
public struct BackupLabel: Hashable, Sendable {
  /// Where recovery begins to read: the redo point of `checkpoint`.
  public var start: LSN
  public var checkpoint: LSN
  /// The timeline that `start` lies on.
  public var timeline: UInt32
  public var isFromStandby: Bool

  /// - Throws: `.failed` where a line is missing or has another form.
  public init(_ bytes: [UInt8]) throws {
    var lines: [Substring: Substring] = [:]
    let text = String(decoding: bytes, as: UTF8.self)
    for line in text.split(whereSeparator: \.isNewline) {
      guard let colon = line.firstIndex(of: ":") else { continue }
      // The label's own text comes late and may hold anything; what stood before it counts.
      let name = line[..<colon]
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      if lines[name] == nil { lines[name] = value }
    }
    // "0/2000028 (file 000000010000000000000002)"
    guard let start = lines["START WAL LOCATION"]?.split(separator: " ").first.flatMap({ LSN($0) }),
      let checkpoint = lines["CHECKPOINT LOCATION"].flatMap({ LSN($0) }),
      let timeline = lines["START TIMELINE"].flatMap({ UInt32($0) }),
      let origin = lines["BACKUP FROM"]
    else {
      throw StillError(.failed, "the server's backup_label has lines of another form:\n\(text)")
    }
    self.start = start
    self.checkpoint = checkpoint
    self.timeline = timeline
    isFromStandby = origin == "standby"
  }
}
