import StillModel
import StillSystem
import SystemPackage

/// Which files of a `pg_wal` that does not change, frozen or stopped, recovery needs.
///
/// `pg_wal` holds more than WAL: the server keeps segments that it no longer needs under the names
/// of segments to come (`InstallXLogFileSegment`), and makes new ones full of zeros. What is really
/// there is what says its own address: the first page of a segment has to name the position and the
/// timeline that the file's name stands for, as recovery itself demands
/// (`XLogReaderValidatePageHeader`).
public struct FrozenWAL: Hashable, Sendable {
  /// Why a file is not needed.
  public enum Reason: Hashable, Sendable {
    case beforeRedo
    /// An old segment under a new name; it holds the log from `address`.
    case recycled(address: LSN)
    /// Made in advance, full of zeros.
    case preallocated
    /// Of a timeline that recovery does not pass.
    case otherTimeline
    /// Beyond a segment that is not there, or not WAL.
    case afterEnd
    case partial
    /// The note of an earlier backup.
    case backupHistory
    /// Of the server's own WAL summarizer, which makes them again (17 and later).
    case summaries
    case notWAL
  }

  public struct LeftOut: Hashable, Sendable {
    /// Below `pg_wal`.
    public var name: FilePath
    public var reason: Reason
  }

  /// In the order in which recovery reads them.
  public var segments: [WALSegmentName]
  /// All that are there: `00000002.history`.
  public var histories: [FilePath]
  public var leftOut: [LeftOut]
  /// The timeline that recovery ends on, with its ancestors.
  public var history: WALTimelineHistory
  public var redo: LSN
  /// The first position after the record of the last checkpoint.
  public var checkpointEnd: LSN
  /// The end of the last page that is WAL; the last record ends at or before it.
  public var end: LSN

  /// Examines a `pg_wal`.
  ///
  /// - Parameters:
  ///   - folder: the folder itself, wherever a link in the data directory leads.
  ///   - control: of the same instant.
  ///   - flushed: what `Session.flushLSN()` said before that instant; nil for a stopped server.
  /// - Returns: what to keep, what not and why, and how far the log reaches.
  /// - Throws: `.failed` where WAL that recovery needs is missing or is not WAL.
  public static func examine(_ folder: OpenFolder, _ control: ControlFile, flushed: LSN? = nil)
    throws -> FrozenWAL
  {
    try WALSurvey(folder, control).result(flushed: flushed)
  }

  /// One stretch of WAL on one timeline, as `WAL-Ranges` of a backup manifest names it.
  public struct Range: Hashable, Sendable {
    public var timeline: UInt32
    public var start: LSN
    public var end: LSN

    public init(timeline: UInt32, start: LSN, end: LSN) {
      self.timeline = timeline
      self.start = start
      self.end = end
    }
  }

  /// The WAL that the manifest says the backup needs, newest timeline first, as
  /// `AddWALInfoToBackupManifest` of backup_manifest.c writes it.
  ///
  /// It begins at the redo point and ends after the last checkpoint's record, or further on where
  /// more was flushed before the freeze or has to be replayed to be consistent. pg_verifybackup hands
  /// both to pg_waldump (`--start`, `--end`). That wants a start where a record begins, and takes an
  /// end in the middle of a record or of a page header: it stops before what does not fit
  /// (`WALDumpReadPage` of pg_waldump.c). But one whole record has to lie between them, or it fails
  /// with "could not find a valid record" (`XLogFindNextRecord` of xlogreader.c); and the redo point
  /// of a shutdown checkpoint is the position of its own record. Hence that record's end. Past the
  /// end of the log it fails with "invalid record length", which is what the range is there to find.
  ///
  /// - Parameters:
  ///   - flushed: what `Session.flushLSN()` said before the freeze; nil for a stopped server.
  ///   - minimumRecoveryPoint: of the control file.
  /// - Returns: one range, or one for each timeline that the log passes.
  public func manifestRanges(flushed: LSN?, minimumRecoveryPoint: LSN?) -> [Range] {
    let last = max(checkpointEnd, flushed ?? LSN(0), minimumRecoveryPoint ?? LSN(0))
    let timelines = history.ancestors.map(\.timeline) + [history.timeline]
    return timelines.reversed().compactMap { timeline in
      guard let owned = history.range(of: timeline) else { return nil }
      let start = max(redo, owned.start)
      let end = min(last, owned.end ?? last)
      return start < end ? Range(timeline: timeline, start: start, end: end) : nil
    }
  }
}
