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

  /// Makes the folders, and marks them.
  func prepare() throws {
    for place in plan.places {
      let mode = try OpenFolder.open(FilePath(place.source)).metadata().mode
      try files.makeFolder(place.target, mode: mode)
      let mark = Mark(
        systemIdentifier: plan.systemIdentifier, source: place.source, kind: place.kind)
      try files.write(
        "\(place.target)/\(TargetPlaces.markName)", Array(JSONEncoder().encode(mark)))
    }
  }

  /// Makes the links that lead to where the places are now.
  func makeLinks() throws {
    for link in plan.links {
      try files.makeLink("\(plan.targetPath)/\(link.path)", to: link.target)
    }
  }

  /// Takes the marks away: these are the cluster's folders now.
  func unmark() throws {
    for place in plan.places { try files.remove("\(place.target)/\(TargetPlaces.markName)") }
  }

  /// Takes the control file away again: what is there is a pass, and no cluster.
  func remark() throws {
    try files.remove("\(plan.targetPath)/\(MigrationPlan.controlFile)")
    try prepare()
  }

  /// Puts everything on the disk.
  func sync() throws { try files.sync(plan.places.map(\.target)) }
}

extension MigrationPlan {
  /// The new data directory, as its own host calls it.
  var targetPath: String { places.first { $0.kind == .data }?.target ?? "" }
}
