import StillArchive
import StillModel
import StillSystem
import SystemPackage

/// What a backup holds of a `pg_wal`.
struct WALContent {
  /// In the order in which recovery reads them.
  var segments: [WALSegmentName]
  var histories: [FilePath]
  /// Where recovery begins to read.
  var start: LSN
  /// In bytes.
  var pageSize: UInt32

  init(segments: [WALSegmentName], histories: [FilePath], start: LSN, _ control: ControlFile) {
    self.segments = segments
    self.histories = histories
    self.start = start
    pageSize = control.walBlockSize
  }
}

extension PartWriter {
  /// Adds a `pg_wal`, and follows the records in it.
  ///
  /// Whole segments and histories are marked as archived, whatever the server had come to with
  /// them, as a base backup does it: else the restored server archives again what the old one has
  /// archived (`perform_base_backup` of src/backend/backup/basebackup.c). A last segment that is not
  /// full gets no mark. The restored server may go on writing to it, and throws away what is
  /// marked, while it makes the mark itself where there is none (`XLogArchiveCheckDone` of
  /// src/backend/access/transam/xlogarchive.c).
  ///
  /// - Parameter open: hands over an open segment, and may do something after.
  func add(
    _ log: WALContent, in folder: OpenFolder,
    open: (WALSegmentName, (OpenFile) throws -> Void) throws -> Void
  ) throws -> WALRecordWalk {
    let metadata = try folder.metadata()
    try addFolder("", like: metadata)
    try addFolder("archive_status", like: metadata)
    var walk = WALRecordWalk(start: log.start, pageSize: log.pageSize)
    for (index, segment) in log.segments.enumerated() {
      // A timeline that ended in the segment has its own file before that of the next one.
      let isRead = log.segments.dropFirst(index + 1).first?.number != segment.number
      try open(segment) { file in
        if isRead { walk.enter(segment) }
        try add(file, as: segment.path, inspect: isRead ? { walk.take($0) } : nil)
      }
    }
    for name in log.histories { try add(try folder.file(name), as: name) }
    let whole = log.segments.filter { $0.end <= walk.end }.map(\.path)
    for name in whole + log.histories {
      try add(
        [], as: FilePath("archive_status").appending("\(name).done"), like: metadata,
        modified: Clock.now().secondsSince1970)
    }
    return walk
  }
}

extension WALSegmentName {
  var path: FilePath { FilePath(description) }
}

/// A tablespace that the log creates would be created again where the restored server finds it, at
/// its old path: over the link that a restore made, or where no such folder is. This also finds one
/// that was dropped again meanwhile; and on a standby, whose log begins at the primary's last
/// checkpoint, one that is older than the backup.
func requireNoNewTablespace(_ walk: WALRecordWalk, _ when: String) throws {
  guard !walk.newTablespaces.isEmpty else { return }
  let names = walk.newTablespaces.map {
    "\($0.oid) (\($0.path.isEmpty ? "in the data directory" : $0.path))"
  }
  throw StillError(
    .copying,
    "tablespaces were created, dropped or moved \(when): the log from \(walk.start) on creates "
      + names.joined(separator: ", "),
    hint: "Run the backup again; of a standby, after the next CHECKPOINT of its primary.")
}
