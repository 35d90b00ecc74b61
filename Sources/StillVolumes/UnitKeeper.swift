import StillModel
import StillSystem
import SystemPackage

/// The broker's hold on the one unit of systemd that it may stop and start: the one whose main
/// process is a server of the coordinator's own user. A unit that it has stopped it starts itself
/// when the coordinator goes away before the server is known to run.
final class UnitKeeper {
  private struct Found {
    var unit: String
    /// The data directory of its server.
    var folder: OpenFolder
    var path: String
  }

  /// The unit that was stopped.
  private var stopped: Found?
  private let systemctl = Systemctl()
  /// The coordinator's user; without one no unit is found.
  private let owner: UInt32?

  init(owner: UInt32?) { self.owner = owner }

  func answer(_ request: UnitRequest) throws -> UnitReply {
    switch request {
    case .find(let postmaster): return .named(try find(postmaster).unit)
    case .stop(let postmaster):
      guard stopped == nil else {
        throw StillError(.failed, "this broker has stopped a unit already")
      }
      let found = try find(postmaster)
      // First: from here on somebody has to start it.
      stopped = found
      try systemctl.run(["stop", "--no-block", found.unit])
      return .done
    case .start:
      try systemctl.run(["start", "--no-block", try held().unit])
      return .done
    case .isChanging:
      let state = try systemctl.show("ActiveState", of: held().unit)
      return .isChanging(["activating", "deactivating", "reloading"].contains(state))
    case .isUp:
      stopped = nil
      return .done
    }
  }

  /// The coordinator is gone.
  func end() {
    guard let held = stopped else { return }
    let unit = held.unit
    stopped = nil
    SystemLog.warn("pgstill ended with \(unit) stopped; starting it")
    for attempt in 1...2 {
      do {
        // Waits for a stop that is still under way, and then for the start.
        try systemctl.run(["start", unit], within: 600)
        // Its success proves nothing (`ExecStart=-` of Debian's unit).
        if let process = try systemctl.mainProcess(of: unit), serves(process, held.folder) {
          SystemLog.note("\(unit) runs")
          return
        }
        SystemLog.warn("attempt \(attempt): \(unit) was started, but no server runs")
      } catch {
        SystemLog.warn("attempt \(attempt): \(error)")
      }
    }
    SystemLog.warn("the server of \(held.path) is down; type: systemctl start \(unit)")
  }

  /// - Throws: `.precondition` where `postmaster` is not what the coordinator may have stopped.
  private func find(_ postmaster: Int32) throws -> Found {
    let process = RunningProcess(postmaster)
    guard postmaster > 1, let owner, owner != 0, try process.user() == owner else {
      throw StillError(.precondition, "process \(postmaster) is not the coordinator's user's")
    }
    let folder = try process.workingFolder()
    guard serves(postmaster, folder) else {
      throw StillError(.precondition, "process \(postmaster) is not the first process of a server")
    }
    guard let unit = try process.serviceUnit() else {
      throw StillError(.precondition, "process \(postmaster) is in no unit of systemd")
    }
    guard try systemctl.mainProcess(of: unit) == postmaster else {
      throw StillError(
        .precondition,
        "the server (pid \(postmaster)) runs in \(unit), which is not its own unit: its main process "
          + "is another one",
        hint: "Say how the server is stopped and started: --stop-command and --start-command.")
    }
    return Found(unit: unit, folder: folder, path: try process.workingPath())
  }

  /// Whether `process` works in `folder` and is the one that the lock file there names. The folder
  /// belongs to somebody else, so nothing but a plain file is read.
  private func serves(_ process: Int32, _ folder: OpenFolder) -> Bool {
    guard let place = try? RunningProcess(process).workingFolder().metadata(),
      let own = try? folder.metadata(), (place.device, place.inode) == (own.device, own.inode),
      (try? folder.metadataIfPresent(of: "PG_VERSION"))?.kind == .file,
      let file = try? folder.file("postmaster.pid", .readWithoutWaiting),
      (try? file.metadata())?.kind == .file, let bytes = try? file.readAll(limit: 64 << 10),
      let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first
    else { return false }
    return Int32(line) == process
  }

  private func held() throws -> Found {
    guard let stopped else { throw StillError(.failed, "this broker has stopped no unit") }
    return stopped
  }
}
