import StillModel
import StillSystem
import SystemPackage

extension LiveCluster {
  /// A repository inside the cluster would be copied with it: every earlier backup, and the one that
  /// is being written.
  ///
  /// Folders are compared as their file systems count them, so neither a link nor a second mount of
  /// the same file system hides one.
  ///
  /// - Parameter repository: absolute; need not be there yet.
  /// - Throws: `.precondition` where it lies below a folder of the cluster.
  func requireOutside(_ repository: FilePath) throws {
    let isThere = (try? OpenFolder.open(repository)) != nil
    let folder = isThere ? repository : repository.removingLastComponent()
    // Whoever opens it for writing says what is wrong with a folder that cannot be found.
    guard let place = try? LayoutDiscovery.current().location(of: folder) else { return }
    let homes =
      [("the data directory", layout.dataDirectory), ("pg_wal", layout.wal)]
      + layout.tablespaces.map { ("tablespace \($0.oid),", $0.location) }
      + layout.grafts.map { ("the data directory, in", $0.location) }
    guard let (role, home) = homes.first(where: { place.isInside($0.1) }) else { return }
    throw StillError(
      .precondition,
      "the repository \(repository) lies inside \(role) \(home.path): it would be a part of its "
        + "own backups",
      hint: "Put it anywhere else, best on another machine's disk.")
  }
}

extension Location {
  /// Whether this is `other` or a folder below it.
  func isInside(_ other: Location) -> Bool {
    if FilePath(path).starts(with: FilePath(other.path)) { return true }
    return fileSystem.device == other.fileSystem.device
      && FilePath(innerPath).starts(with: FilePath(other.innerPath))
  }
}
