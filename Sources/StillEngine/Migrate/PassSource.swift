import StillModel
import StillSystem
import SystemPackage

/// What a pass reads.
enum PassSource {
  /// The files of a running server: they may change, and vanish.
  case live
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
    if case .frozen(let places) = self { return places.moment }
    return Clock.wall()
  }
}
