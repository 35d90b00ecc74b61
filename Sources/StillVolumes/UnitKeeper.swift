import StillModel
import StillSystem
import SystemPackage

/// The broker's hold on the one unit of systemd that it may stop and start: the one whose main
/// process is a server of the coordinator's own user. A unit that it has stopped it starts itself
/// when the coordinator goes away before the server is known to run; a sentinel does so for the
/// broker.
final class UnitKeeper {
  private struct Held {
    var unit: StoppedUnit
    /// The data directory of its server.
    var folder: OpenFolder
    var sentinel: UnitSentinel
    /// Another server may be about to take its place.
    var isLetBe = false
  }

  /// The unit that was stopped.
  private var stopped: Held?
  /// What systemd stopped with the unit that runs again.
  private var dependants: [String] = []
  private let systemctl = Systemctl()
  /// The coordinator's user; without one no unit is found.
  private let owner: UInt32?

  init(owner: UInt32?) { self.owner = owner }

  func answer(_ request: UnitRequest) throws -> UnitReply {
    switch request {
    case .find(let postmaster): return .found(try find(postmaster)?.unit.unit)
    case .stop(let postmaster):
      try stop(postmaster)
      return .done
    case .start:
      try systemctl.run(["start", "--no-block", try held().unit.unit.name])
      return .done
    case .isChanging:
      return .isChanging(try systemctl.isChanging(try held().unit.unit.name))
    case .letBe:
      try held().sentinel.dismiss()
      stopped?.isLetBe = true
      return .done
    case .isUp:
      guard let held = stopped else { return .done }
      stopped = nil
      dependants = held.unit.unit.dependants
      held.unit.startDependants()
      held.sentinel.dismiss()
      return .done
    case .down:
      return .down(try dependants.filter { try !systemctl.isUp($0) })
    }
  }

  /// The coordinator is gone.
  func end() {
    guard let held = stopped else { return }
    stopped = nil
    if held.isLetBe { return }
    held.unit.rescue(held.folder)
    held.sentinel.dismiss()
  }

  private func stop(_ postmaster: Int32) throws {
    guard stopped == nil else {
      throw StillError(.failed, "this broker has stopped a unit already")
    }
    guard let (unit, folder) = try find(postmaster) else {
      throw StillError(.precondition, "process \(postmaster) is in no unit of its own")
    }
    let sentinel = try UnitSentinel.post(over: unit, folder)
    // First: from here on somebody has to start it.
    stopped = Held(unit: unit, folder: folder, sentinel: sentinel)
    try systemctl.run(["stop", "--no-block", unit.unit.name], lifeline: sentinel.lifeline)
  }

  /// - Returns: nil where it is in a unit that leaves it alone.
  /// - Throws: `.precondition` where `postmaster` is not what the coordinator may have stopped.
  private func find(_ postmaster: Int32) throws -> (unit: StoppedUnit, folder: OpenFolder)? {
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
      if try ["process", "none"].contains(systemctl.show("KillMode", of: unit)) { return nil }
      throw StillError(
        .precondition,
        "the server (pid \(postmaster)) runs in \(unit), which is not its own unit: its main process "
          + "is another one",
        hint: "Say how the server is stopped and started: --stop-command and --start-command.")
    }
    let dependants = try systemctl.dependants(of: unit)
    let found = StoppedUnit(
      unit: ServerUnit(name: unit, dependants: dependants), path: try process.workingPath())
    return (found, folder)
  }

  private func held() throws -> Held {
    guard let stopped else { throw StillError(.failed, "this broker has stopped no unit") }
    return stopped
  }
}
