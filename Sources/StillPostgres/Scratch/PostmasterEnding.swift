import Glibc
import StillModel
import StillSystem

extension Postmaster {
  /// Seconds that a server has to end in before it is killed.
  static let endPatience = 10.0

  /// Ends the server of a scratch folder whose maker was killed, without a checkpoint: an immediate
  /// shutdown (the manual, "Shutting Down the Server").
  ///
  /// - Throws: `.failed` where it does not go away.
  static func endLeftover(in folder: OpenFolder) throws {
    guard let postmaster = try running(in: folder), isOurs(postmaster.processID, in: folder) else {
      return
    }
    kill(postmaster.processID, SIGQUIT)
    let watch = Stopwatch()
    var isKilled = false
    while isOurs(postmaster.processID, in: folder) {
      if watch.seconds > endPatience, !isKilled {
        kill(postmaster.processID, SIGKILL)
        isKilled = true
      }
      guard watch.seconds < 2 * endPatience else {
        throw StillError(.failed, "the server of \(folder.path) does not end")
      }
      Clock.sleep(milliseconds: 20)
    }
  }

  /// Whether a process is the server of a scratch folder. By now its number may be anybody's: here, other
  /// than where a server must not be disturbed, only what is seen counts.
  private static func isOurs(_ id: Int32, in folder: OpenFolder) -> Bool {
    let process = RunningProcess(id)
    guard (try? process.user()) == Account.effectiveUser,
      (try? process.executable().lastComponent) == "postgres",
      let place = try? process.workingFolder().metadata(), let own = try? folder.metadata()
    else { return false }
    return (place.device, place.inode) == (own.device, own.inode)
  }
}
