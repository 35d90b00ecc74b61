import FoundationEssentials
import StillModel
import StillPostgres
import StillSystem
import SystemPackage

/// The places of a migration on this host.
struct TargetFolder {
  /// In each place that an earlier pass has filled: whose files these are.
  private struct Mark: Codable, Equatable {
    var systemIdentifier: UInt64
    var source: String
    var kind: MigrationPlan.Place.Kind
  }

  /// Never copied, and never removed by a pass.
  static let markName = "pgstill.incoming"

  private let plan: MigrationPlan

  init(_ plan: MigrationPlan) { self.plan = plan }

  /// Whether a place is missing, empty, or holds an earlier pass of the same cluster.
  ///
  /// - Throws: `.precondition` for anything else.
  static func state(
    of place: MigrationPlan.Place, _ systemIdentifier: UInt64
  ) throws -> (isThere: Bool, holdsPass: Bool) {
    let path = FilePath(place.target)
    guard let folder = try? OpenFolder.open(path) else { return (false, false) }
    let names = try folder.names().filter { $0 != "lost+found" }
    guard let first = names.first else { return (true, false) }
    if try folder.metadataIfPresent(of: FilePath(markName)) != nil {
      let mark = try? JSONDecoder().decode(
        Mark.self, from: Data(folder.file(FilePath(markName)).readAll()))
      if mark
        == Mark(systemIdentifier: systemIdentifier, source: place.source, kind: place.kind)
      {
        if place.kind == .data, let other = try Postmaster.running(in: folder) {
          throw StillError(
            .precondition, "a server runs on the target \(path) (pid \(other.processID))")
        }
        return (true, true)
      }
      throw StillError(
        .precondition, "\(path) holds a pass of another migration",
        hint: "Name another folder, or empty this one.")
    }
    throw StillError(
      .precondition, "the target \(path) is not empty: it holds \(first)",
      hint: "Name a folder that is missing or empty.")
  }

  /// Makes the folders, and marks them.
  func prepare() throws {
    for place in plan.places {
      let path = FilePath(place.target)
      if (try? OpenFolder.open(path)) == nil {
        try make(path, like: OpenFolder.open(FilePath(place.source)).metadata().mode)
      }
      let folder = try OpenFolder.open(path)
      let name = FilePath(TargetFolder.markName)
      guard try folder.metadataIfPresent(of: name) == nil else { continue }
      let mark = Mark(
        systemIdentifier: plan.systemIdentifier, source: place.source, kind: place.kind)
      let file = try folder.file(name, .create(permissions: 0o600))
      try file.writeAll(Array(JSONEncoder().encode(mark)))
      try file.close()
    }
  }

  /// Makes the links that lead to where the places are now.
  func makeLinks() throws {
    let data = try OpenFolder.open(FilePath(try dataPlace.target))
    for link in plan.links {
      let path = FilePath(link.path)
      let folder = try data.folder(path.removingLastComponent())
      let name = FilePath(root: nil, path.components.suffix(1))
      if try folder.metadataIfPresent(of: name) != nil { try folder.remove(name) }
      try folder.makeLink(name, to: FilePath(link.target).bytes)
    }
  }

  /// Takes the marks away: these are the cluster's folders now.
  func unmark() throws {
    for place in plan.places {
      let folder = try OpenFolder.open(FilePath(place.target))
      let name = FilePath(TargetFolder.markName)
      if try folder.metadataIfPresent(of: name) != nil { try folder.remove(name) }
      try folder.sync()
    }
  }

  /// Takes the control file away again: what is there is a pass, and no cluster.
  func remark() throws {
    let data = try OpenFolder.open(FilePath(try dataPlace.target))
    if let global = try? data.folder("global"),
      try global.metadataIfPresent(of: "pg_control") != nil
    {
      try global.remove("pg_control")
    }
    try prepare()
  }

  /// Puts everything on the disk.
  func sync() throws {
    var seen: Set<DeviceNumber> = []
    for place in plan.places {
      let folder = try OpenFolder.open(FilePath(place.target))
      if seen.insert(try folder.metadata().device).inserted { try folder.syncFileSystem() }
    }
  }

  private var dataPlace: MigrationPlan.Place {
    get throws {
      guard let place = plan.places.first(where: { $0.kind == .data }) else {
        throw StillError(.failed, "the migration has no data directory")
      }
      return place
    }
  }

  private func make(_ path: FilePath, like mode: UInt32) throws {
    // A tablespace's folder lies within the one that the administrator names.
    let above = path.removingLastComponent()
    if (try? OpenFolder.open(above)) == nil { try make(above, like: 0o700) }
    do {
      try OpenFolder.open(above).makeFolder(
        FilePath(root: nil, path.components.suffix(1)), permissions: mode)
    } catch var failure as StillError {
      let user = Account.of(user: Account.effectiveUser)?.name ?? "postgres"
      failure.status = .precondition
      failure.hint = "Make it once as root: install -d -o \(user) -m 700 \(path)"
      throw failure
    }
  }
}
