import StillModel
import StillSystem
import SystemPackage

/// What a pass reads.
enum PassSource {
  /// The files of a running server: they may change, and vanish. With the moment that the pass begins at,
  /// and whether whatever the server was writing before has been written by now.
  case live(Int64, isSettled: Bool)
  case frozen(FrozenPlaces)
  /// The files of the stopped server; with what tells which of them can differ from the last snapshot.
  case stopped(ChangeProof?)

  var name: MigrationReport.Pass.Source {
    switch self {
    case .live: .live
    case .frozen: .snapshots
    case .stopped: .stopped
    }
  }

  /// Whether files may vanish while they are looked at.
  var isLive: Bool { name == .live }
  /// Whether nobody is served meanwhile.
  var isFinal: Bool { name == .stopped }

  func folder(_ place: MigrationPlan.Place) throws -> OpenFolder {
    if case .frozen(let places) = self { return try places.folder(place) }
    return try OpenFolder.open(FilePath(place.source))
  }

  func proof(_ place: MigrationPlan.Place) -> ChangeProof.Place? {
    guard case .stopped(let proof) = self else { return nil }
    return proof?.places[place.source]
  }

  /// What changes from here on is the next pass's; by the wall clock, in nanoseconds.
  var moment: Int64 {
    switch self {
    case .live(let moment, _): moment
    case .frozen(let places): places.moment
    case .stopped: Clock.wall()
    }
  }

  /// Taken no later than `moment`; see `Clock.offset`.
  var clockOffset: Int64 {
    if case .frozen(let places) = self { return places.clockOffset }
    return Clock.offset()
  }

  /// How long before `moment` a file may have been given its time of change by a write whose content came
  /// after it, in nanoseconds.
  func margin(_ place: MigrationPlan.Place) -> FileSurvey.Margin {
    switch self {
    case .live(_, isSettled: true):
      // What lies at the top of the data directory is written by others too.
      FileSurvey.Margin(top: place.kind == .data ? .long : .short, below: .short)
    // A freeze waits for whoever is writing.
    case .frozen: .short
    case .live, .stopped: .long
    }
  }
}
