import FoundationEssentials
import StillModel
import StillSystem
import SystemPackage

/// The places of a migration, wherever they are.
struct TargetPlaces {
  /// In each place that an earlier pass has filled: whose files these are.
  private struct Mark: Codable, Equatable {
    var systemIdentifier: UInt64
    var source: String
    var kind: MigrationPlan.Place.Kind
  }

  /// Never copied, and never removed by a pass.
  static let markName = "pgstill.incoming"

  let files: any TargetFiles
  let plan: MigrationPlan

  /// Whether a place holds an earlier pass of the same cluster, and not nothing.
  ///
  /// - Throws: `.precondition` for anything else.
  static func holdsPass(
    _ place: MigrationPlan.Place, _ systemIdentifier: UInt64, _ files: any TargetFiles
  ) throws -> Bool {
    guard let names = try files.names(in: place.target)?.filter({ $0 != "lost+found" }),
      let first = names.first
    else { return false }
    guard names.contains(markName) else {
      throw StillError(
        .precondition, "the target \(place.target) is not empty: it holds \(first)",
        hint: "Name a folder that is missing or empty.")
    }
    let mark = try files.read("\(place.target)/\(markName)").flatMap {
      try? JSONDecoder().decode(Mark.self, from: Data($0))
    }
    guard
      mark == Mark(systemIdentifier: systemIdentifier, source: place.source, kind: place.kind)
    else {
      throw StillError(
        .precondition, "\(place.target) holds a pass of another migration",
        hint: "Name another folder, or empty this one.")
    }
    if place.kind == .data, let other = try files.server(of: place.target) {
      throw StillError(
        .precondition, "a server runs on the target \(place.target) (pid \(other))")
    }
    return true
  }

  /// Makes the folders, marks them, and makes the links that lead to where they are: what cannot be had of
  /// that would else be found with the server down.
  ///
  /// - Throws: `.precondition` where two places are one folder there.
  func prepare() throws {
    // Of a run that was killed.
    if try files.read(mark(of: dataPlace)) != nil { try files.remove(controlFile) }
    for place in plan.places {
      let mode = try OpenFolder.open(FilePath(place.source)).metadata().mode
      try files.makeFolder(place.target, mode: mode)
    }
    try makeMarks()
    // Paths say nothing of links over there.
    for place in plan.places where try readMark(of: place) != expectedMark(of: place) {
      throw StillError(
        .precondition, "\(place.target) is the same folder as the target of another place",
        hint: "Give each tablespace, and WAL, a folder of its own.")
    }
    for link in plan.links {
      let path = FilePath(plan.targetPath).pushing(FilePath(link.path))
      // As the server makes it.
      if path.removingLastComponent().string != plan.targetPath {
        try files.makeFolder(path.removingLastComponent().string, mode: 0o700)
      }
      do { try files.makeLink(path.string, to: link.target) } catch var failure as StillError {
        failure.further.append(failure.message)
        failure.message = "\(path) cannot be made a link to \(link.target)"
        failure.hint = "An earlier pass may have put a folder there: empty the target."
        throw failure
      }
    }
  }

  /// Says of every place that it holds a pass.
  func makeMarks() throws {
    for place in plan.places {
      try files.write(mark(of: place), Array(JSONEncoder().encode(expectedMark(of: place))))
    }
  }

  /// Brings the control file there; no server can be started on it yet.
  ///
  /// - Parameters:
  ///   - control: its content.
  ///   - mode: its permissions.
  func stage(_ control: [UInt8], mode: UInt32) throws {
    try files.stage(controlFile, control, mode: mode)
  }

  /// Makes a cluster of what is there: from here on a server can be started on it.
  func arm(_ control: [UInt8], mode: UInt32) throws {
    try files.putInPlace(controlFile, control, mode: mode)
  }

  /// Of what is a cluster, or may be needed as one. No server minds marks.
  func removeMarks() throws {
    for place in plan.places { try files.remove(mark(of: place)) }
  }

  /// The control file that is there, or was until it was set aside; nil for none.
  func control() throws -> [UInt8]? {
    try files.read(controlFile) ?? files.read(controlFile + ".undone")
  }

  /// Takes the control file away again: what is there is no cluster.
  func disarm() throws { try files.setAside(controlFile) }

  private var dataPlace: MigrationPlan.Place? { plan.places.first { $0.kind == .data } }

  private var controlFile: String { "\(plan.targetPath)/\(MigrationPlan.controlFile)" }

  private func mark(of place: MigrationPlan.Place?) -> String {
    "\(place?.target ?? plan.targetPath)/\(TargetPlaces.markName)"
  }

  private func expectedMark(of place: MigrationPlan.Place) -> Mark {
    Mark(systemIdentifier: plan.systemIdentifier, source: place.source, kind: place.kind)
  }

  private func readMark(of place: MigrationPlan.Place) throws -> Mark? {
    try files.read(mark(of: place)).flatMap {
      try? JSONDecoder().decode(Mark.self, from: Data($0))
    }
  }

  /// Whether nothing is there any more of what this migration has made.
  func isGone() throws -> Bool {
    try control() == nil && files.read(mark(of: dataPlace)) == nil
  }

  /// Puts everything on the disk.
  func sync(_ cancellation: Cancellation) throws {
    try files.sync(plan.places.map(\.target), cancellation)
  }

  /// Whether files there have their times to the nanosecond: where not, each looks older than its source.
  func keepsNanoseconds() throws -> Bool {
    try plan.places.allSatisfy {
      try files.keepsNanoseconds("\($0.target)/\(TargetPlaces.markName)")
    }
  }
}

extension MigrationPlan {
  /// The new data directory, as its own host calls it.
  var targetPath: String { places.first { $0.kind == .data }?.target ?? "" }
}
