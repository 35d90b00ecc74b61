import StillModel
import StillSystem
import StillVolumes
import Synchronization
import SystemPackage

/// Freezes fake volumes by copying their folders, so that everything above the volumes runs for real
/// on a machine without LVM. The copy is true only of folders that nobody writes to just then.
///
/// It does what it is told to go wrong, and keeps the calls that it got.
public final class FakeSnapshots: SnapshotProvider {
  public enum Step: String, Sendable, CaseIterable, CustomStringConvertible {
    case survey, giveWay, makeWay, prepare, freeze, open, fill, overwritten, extend, release, sweep,
      held
    public var description: String { rawValue }
  }

  /// What goes wrong at a step.
  public struct Fault: Sendable {
    public enum Kind: Sendable {
      /// The step throws and does nothing.
      case fails(StillError)
      /// From this `fill` on the first snapshot is invalid.
      case overflows
      /// The first snapshot stays, for this reason.
      case leavesBehind(String)
      /// Something else happens on the machine, then the step goes on.
      case meanwhile(@Sendable () throws -> Void)
    }

    public var step: Step
    /// At which call of the step, counted from 1.
    public var call: Int
    public var kind: Kind

    public init(_ step: Step, call: Int = 1, _ kind: Kind) {
      self.step = step
      self.call = call
      self.kind = kind
    }

    /// The step throws what the real one throws.
    public static func fails(_ step: Step) -> Fault {
      Fault(step, .fails(StillError(.volumes, "\(step) was told to fail")))
    }
  }

  private struct State {
    var calls: [Step] = []
    var run: RunID?
    var snapshots: [SnapshotFacts] = []
    var isFrozen = false
    var frozenMicroseconds: Int64?
    var overflowed = false
    var looks: UInt64 = 0
  }

  private let volumes: [FakeVolume]
  private let faults: [Fault]
  /// What every snapshot grows by with each look, in bytes.
  private let growth: UInt64
  /// The chunks of each volume that were overwritten; nil for those of which nobody keeps a list.
  private let chunks: [VolumeName: OverwrittenChunks]
  private let state = Mutex(State())
  private let trees: TestFolder

  public init(
    _ volumes: [FakeVolume], faults: [Fault] = [], growth: UInt64 = 4096,
    chunks: [VolumeName: OverwrittenChunks] = [:]
  ) throws {
    self.growth = growth
    self.chunks = chunks
    self.volumes = volumes
    self.faults = faults
    trees = try TestFolder(on: .memory)
  }

  /// Every call so far, in order.
  public var calls: [Step] { state.withLock { $0.calls } }

  /// The names of the snapshots that are there.
  public var snapshots: [VolumeName] { state.withLock { $0.snapshots.map(\.snapshot) } }

  /// Where a frozen folder's copy is, for tests that tamper with it.
  public func frozen(_ folder: FilePath) throws -> FilePath {
    let device = try OpenFolder.open(folder).metadata().device
    guard let volume = volumes.first(where: { $0.device == device }) else {
      throw Trouble("\(folder) is on no volume of the set")
    }
    return tree(of: volume.name).pushing(try FakeVolume.innerPath(folder))
  }

  public func survey(_ names: [VolumeName]) throws -> [VolumeFacts] {
    try begin(.survey)
    return try names.map { name in
      let volume = try volume(name)
      return VolumeFacts(
        name: name, size: volume.size, groupFree: volume.groupFree,
        extentSize: volume.extentSize, obstacle: volume.obstacle,
        obstacleIsLasting: volume.obstacle != nil && volume.obstacleIsLasting)
    }
  }

  public func giveWay() throws { try begin(.giveWay) }

  /// Nobody else is at work on fake volumes.
  public func makeWay(for volumes: [VolumeName], folders: [OpenFolder]) throws -> [RunID] {
    try begin(.makeWay)
    for (name, folder) in zip(volumes, folders)
    where try folder.metadata().device != volume(name).device {
      throw StillError(.precondition, "volume \(name) holds no folder of yours")
    }
    return []
  }

  public func prepare(
    _ run: RunID, _ requests: [SnapshotRequest], folders: [OpenFolder]
  ) throws -> [SnapshotFacts] {
    try begin(.prepare)
    guard snapshots.isEmpty else { throw StillError(.volumes, "a set is held already") }
    guard folders.count == requests.count else {
      throw StillError(.failed, "\(folders.count) folders for \(requests.count) volumes")
    }
    for (request, folder) in zip(requests, folders)
    where try folder.metadata().device != volume(request.origin).device {
      throw StillError(.precondition, "volume \(request.origin) holds no folder of yours")
    }
    var free: [String: UInt64] = [:]
    for request in requests {
      let volume = try volume(request.origin)
      let left = free[request.origin.group] ?? volume.groupFree
      if let obstacle = volume.obstacle { throw StillError(.precondition, obstacle) }
      guard left >= request.size else {
        throw StillError(.precondition, "no room in \(request.origin.group)")
      }
      free[request.origin.group] = left - request.size
    }
    let made = requests.map { request in
      let name = request.origin.volume + "_still_\(run)"
      return SnapshotFacts(
        origin: request.origin, snapshot: VolumeName(group: request.origin.group, volume: name),
        size: request.size)
    }
    state.withLock {
      $0.snapshots = made
      $0.run = run
    }
    return made
  }

  public func freeze(deadline: Double) throws -> FreezeReport {
    try begin(.freeze)
    let set = state.withLock { $0.isFrozen ? [] : $0.snapshots }
    guard !set.isEmpty else { throw StillError(.volumes, "nothing to freeze") }
    for facts in set {
      for folder in try volume(facts.origin).folders {
        let copy = tree(of: facts.origin).pushing(try FakeVolume.innerPath(folder))
        try Tool.demand("mkdir", "-p", copy.removingLastComponent().string)
        try Tool.demand("cp", "-a", "-T", folder.string, copy.string)
      }
    }
    let moment = Clock.now().secondsSince1970 * 1_000_000
    state.withLock {
      $0.isFrozen = true
      $0.frozenMicroseconds = moment
    }
    let volumes = set.enumerated().map { index, facts in
      let begin = Double(index)
      let last = Double(set.count)
      return FreezeReport.Volume(
        origin: facts.origin, snapshot: facts.snapshot,
        suspend: Span(begin: begin, end: begin + 0.5), take: Span(begin: last, end: last + 0.5),
        resume: Span(begin: last + 1, end: last + 1.5))
    }
    return FreezeReport(beganMicroseconds: moment, volumes: volumes)
  }

  public func open() throws -> [OpenFolder] {
    try begin(.open)
    guard state.withLock({ $0.isFrozen }) else { throw StillError(.volumes, "nothing is frozen") }
    return try state.withLock { $0.snapshots }.map { try OpenFolder.open(tree(of: $0.origin)) }
  }

  public func fill() throws -> [SnapshotFill] {
    try begin(.fill)
    return state.withLock { state in
      state.looks += 1
      return state.snapshots.enumerated().map { index, facts in
        if state.overflowed, index == 0 {
          return SnapshotFill(origin: facts.origin, snapshot: facts.snapshot, status: "Invalid")
        }
        return SnapshotFill(
          origin: facts.origin, snapshot: facts.snapshot, state: .valid,
          used: min(facts.size, state.looks * growth), size: facts.size)
      }
    }
  }

  /// A copied folder has no chunks but those that the test speaks of.
  public func overwritten() throws -> [OverwrittenChunks?] {
    try begin(.overwritten)
    return try state.withLock { state in
      guard state.isFrozen else { throw StillError(.volumes, "nothing is frozen") }
      guard !state.overflowed else { throw StillError(.overflow, "no longer valid") }
      return state.snapshots.map { chunks[$0.origin] }
    }
  }

  public func extend(_ origin: VolumeName, to size: UInt64) throws -> SnapshotFacts {
    try begin(.extend)
    let volume = try volume(origin)
    return try state.withLock { state in
      guard state.isFrozen,
        let index = state.snapshots.firstIndex(where: { $0.origin == origin })
      else { throw StillError(.volumes, "there is no frozen snapshot of \(origin)") }
      let extents = (size + volume.extentSize - 1) / volume.extentSize
      let wanted = min(extents * volume.extentSize, volume.size + 2 * volume.extentSize)
      let others = state.snapshots.filter { $0.origin.group == origin.group && $0.origin != origin }
      guard others.reduce(wanted, { $0 + $1.size }) <= volume.groupFree else {
        throw StillError(.precondition, "no room in \(origin.group)")
      }
      state.snapshots[index].size = max(state.snapshots[index].size, wanted)
      return state.snapshots[index]
    }
  }

  public func held() throws -> [HeldSet] {
    try begin(.held)
    return state.withLock { state in
      guard let run = state.run, !state.snapshots.isEmpty else { return [] }
      state.looks += 1
      return [
        HeldSet(
          run: run, isAlive: true, origins: state.snapshots.map(\.origin).sorted(),
          snapshots: state.snapshots.map {
            .init(
              name: $0.snapshot, origin: $0.origin, kind: $0.kind, size: $0.size,
              fill: SnapshotFill(
                origin: $0.origin, snapshot: $0.snapshot, state: .valid,
                used: min($0.size, state.looks * growth), size: $0.size))
          }, frozenMicroseconds: state.frozenMicroseconds, suspendedDevices: [])
      ]
    }
  }

  public func release() throws -> ReleaseReport {
    let fault = try begin(.release)
    return state.withLock { state in
      var report = ReleaseReport(removed: state.snapshots.map(\.snapshot))
      if case .leavesBehind(let reason) = fault, !report.removed.isEmpty {
        report.left = [.init(snapshot: report.removed.removeFirst(), reason: reason)]
      }
      state.snapshots = []
      state.run = nil
      state.isFrozen = false
      state.frozenMicroseconds = nil
      return report
    }
  }

  public func sweep() throws -> ReleaseReport {
    try begin(.sweep)
    return ReleaseReport()
  }

  /// Notes the call, and does what it was told to go wrong.
  @discardableResult
  private func begin(_ step: Step) throws -> Fault.Kind? {
    let call = state.withLock { state in
      state.calls.append(step)
      return state.calls.count { $0 == step }
    }
    let fault = faults.first { $0.step == step && $0.call == call }?.kind
    switch fault {
    case .fails(let error): throw error
    case .overflows: state.withLock { $0.overflowed = true }
    case .meanwhile(let body): try body()
    case .leavesBehind, nil: break
    }
    return fault
  }

  private func volume(_ name: VolumeName) throws -> FakeVolume {
    guard let volume = volumes.first(where: { $0.name == name }) else {
      throw StillError(.volumes, "there is no volume \(name)")
    }
    return volume
  }

  private func tree(of volume: VolumeName) -> FilePath {
    trees.path.appending(volume.deviceName)
  }
}
