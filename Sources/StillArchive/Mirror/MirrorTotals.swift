import StillModel
import StillSystem
import Synchronization
import SystemPackage

/// What the threads that make a mirror have come to.
final class MirrorTotals: Sendable {
  private struct State {
    var sharing = BackupRecord.Mirror.Sharing()
    var summary = UnpackSummary()
    var apart: [BackupRecord.Mirror.Apart] = []
    var moreApart = 0
    /// Inodes of the earlier mirror's files that have a name in this one, all on one file system.
    var linked: Set<UInt64> = []
    var notUsed: [String] = []
    var moreNotUsed = 0
  }

  private static let mostNotUsed = 10
  private let state = Mutex(State())

  func add(_ sharing: BackupRecord.Mirror.Sharing, _ summary: UnpackSummary) {
    state.withLock { state in
      state.sharing.linked += sharing.linked
      state.sharing.cloned += sharing.cloned
      state.sharing.written += sharing.written
      state.summary.add(summary)
    }
  }

  func add(_ apart: BackupRecord.Mirror.Apart) {
    state.withLock { state in
      if state.apart.count < BackupRecord.Mirror.mostApart {
        state.apart.append(apart)
      } else {
        state.moreApart += 1
      }
    }
  }

  /// Whether a file of the earlier mirror may get a name in this one: each may once. Somebody may have
  /// made one of two files there that had the same bytes; in a cluster both are written to.
  func mayLink(_ inode: UInt64) -> Bool { state.withLock { $0.linked.insert(inode).inserted } }

  /// Tells of a file of the earlier mirror that nothing can be shared with.
  func couldNotUse(_ why: String) {
    state.withLock { state in
      if state.notUsed.count < MirrorTotals.mostNotUsed {
        state.notUsed.append(why)
      } else {
        state.moreNotUsed += 1
      }
    }
  }

  var sharing: BackupRecord.Mirror.Sharing { state.withLock { $0.sharing } }

  /// In the order of their paths, and how many more there are.
  var apart: ([BackupRecord.Mirror.Apart], more: Int) {
    state.withLock { state in
      let inOrder = state.apart.sorted {
        $0.path.path.bytes.lexicographicallyPrecedes($1.path.path.bytes)
      }
      return (inOrder, state.moreApart)
    }
  }

  /// What could not be made as it was, for the user.
  var notes: [String] {
    state.withLock { state in
      let summary = state.summary
      var notes = summary.attributesNotKept.map { "extended attribute not kept: \($0)" }
      if summary.moreAttributesNotKept > 0 {
        notes.append("\(summary.moreAttributesNotKept) more extended attributes were not kept")
      }
      if !state.apart.isEmpty {
        notes.append(
          "\(state.apart.count + state.moreApart) files and folders of the mirror have not the owner, "
            + "mode or attributes that they should: backup.json has those"
            + (state.moreApart == 0 ? "" : " of the first \(state.apart.count) only")
            + ", and restore uses them")
      }
      notes += state.notUsed.map { "nothing is shared with an earlier file: \($0)" }
      if state.moreNotUsed > 0 {
        notes.append("nor with \(state.moreNotUsed) more; see what verify says of that mirror")
      }
      return notes
    }
  }
}
