import StillModel
import StillSystem
import SystemPackage

/// Finds where a cluster's files really are: from folders to mounts to logical volumes. Everything
/// it asks is readable by the cluster's owner.
public struct LayoutDiscovery {
  var mounts: MountTable
  /// `/sys`, elsewhere in tests.
  var sysfs: FilePath

  public init(mounts: MountTable, sysfs: FilePath = "/sys") {
    self.mounts = mounts
    self.sysfs = sysfs
  }

  static func current() throws -> LayoutDiscovery { LayoutDiscovery(mounts: try .current()) }

  /// - Parameters:
  ///   - dataDirectory: an absolute path; links in it are resolved.
  ///   - versionFolder: the cluster's own folder in each tablespace.
  /// - Throws: `.precondition` where a file system is mounted inside a tablespace.
  func layout(of dataDirectory: FilePath, versionFolder: String) throws -> ClusterLayout {
    let data = try location(of: dataDirectory)
    let folder = try OpenFolder.open(FilePath(data.path))
    let wal = try location(of: folder.path.appending("pg_wal"))
    let tablespaces = try self.tablespaces(in: folder)
    for tablespace in tablespaces { try requireOneFileSystem(tablespace, versionFolder) }
    let walPath = FilePath(data.path).appending("pg_wal")
    let grafts = try mounts.entries(below: FilePath(data.path)).filter {
      !$0.mountPoint.starts(with: walPath)
    }.compactMap { entry -> Graft? in
      guard let relative = entry.mountPoint.relative(to: FilePath(data.path)) else { return nil }
      return Graft(relativePath: relative.string, location: try location(of: entry.mountPoint))
    }
    return ClusterLayout(
      dataDirectory: data, wal: wal,
      walIsLinked: try folder.metadata(of: "pg_wal").kind == .link, tablespaces: tablespaces,
      grafts: grafts)
  }

  /// The tablespaces that links in `pg_tblspc` lead to. A folder there is a tablespace inside the
  /// data directory (allow_in_place_tablespaces), which is copied with it.
  private func tablespaces(in dataDirectory: OpenFolder) throws -> [Tablespace] {
    let links = try dataDirectory.folder("pg_tblspc")
    return try links.names().compactMap { name in
      guard let oid = ServerFolders.tablespace(named: name.string),
        try links.metadata(of: name).kind == .link
      else { return nil }
      let target = FilePath(bytes: try links.target(ofLink: name))
      let found: Location
      do {
        found = try location(of: target)
      } catch var failure as StillError {
        failure.message = "tablespace \(oid) cannot be found: " + failure.message
        throw failure
      }
      return Tablespace(oid: oid, target: target.string, location: found)
    }
  }

  /// What is mounted inside would be an empty folder in a frozen picture of the tablespace.
  private func requireOneFileSystem(_ tablespace: Tablespace, _ versionFolder: String) throws {
    let own = FilePath(tablespace.location.path).appending(versionFolder)
    // Beside it are folders of other clusters, at the most.
    guard
      let mount = mounts.entries(below: FilePath(tablespace.location.path)).first(where: {
        $0.mountPoint.starts(with: own)
      })
    else { return }
    throw StillError(
      .precondition,
      "a file system of its own (\(mount.source), \(mount.kind)) is mounted at "
        + "\(mount.mountPoint), inside tablespace \(tablespace.oid)",
      hint: "Mount file systems on a tablespace's own folder: make another tablespace there, and "
        + "ALTER TABLE … SET TABLESPACE.")
  }

  func location(of path: FilePath) throws -> Location {
    let resolved = try path.resolved()
    let device = try OpenFolder.open(resolved).metadata().device
    guard let mount = mounts.entry(containing: resolved, device: device),
      let below = resolved.relative(to: mount.mountPoint)
    else {
      return Location(
        path: resolved.string,
        fileSystem: MountedFileSystem(
          device: device, kind: "unknown", source: "unknown", mountPoint: "unknown", volume: nil,
          obstacle: "its mount is not in the mount table (a subvolume?)"),
        innerPath: resolved.string)
    }
    var volume: VolumeName?
    var obstacle: String?
    switch BlockDevices.carrier(of: device, sysfs: sysfs) {
    case .logicalVolume(let name): volume = name
    case .other(let reason): obstacle = reason
    }
    return Location(
      path: resolved.string,
      fileSystem: MountedFileSystem(
        device: device, kind: mount.kind, source: mount.source,
        mountPoint: mount.mountPoint.string, volume: volume, obstacle: obstacle),
      innerPath: mount.root.appending(below.components).string)
  }
}
