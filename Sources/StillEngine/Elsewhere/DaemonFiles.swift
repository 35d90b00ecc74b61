import StillModel
import StillSystem
import StillTransfer
import SystemPackage

/// Below a module of an rsync daemon, which does nothing but take files: everything is done by rsync.
struct DaemonFiles: TargetFiles {
  let rsync: Rsync
  /// `rsync://HOST[:PORT]/MODULE`
  let module: String
  /// Where the module lies on its host; what is below it there is below it here.
  let root: FilePath

  var host: String { module }
  var remoteShell: [String] { [] }
  /// Nobody else can put what it takes on the disk.
  var syncsEachFile: Bool { true }

  func rsyncName(of folder: String) -> String { name(of: folder) + "/" }

  private func name(of path: String) -> String {
    let inner = FilePath(path).relative(to: root)?.string ?? path
    return inner.isEmpty ? module : "\(module)/\(inner)"
  }

  func names(in folder: String) throws -> [String]? {
    try rsync.names(at: rsyncName(of: folder))
  }

  func read(_ file: String) throws -> [UInt8]? {
    let place = try PrivateFolder()
    guard try rsync.fetch(name(of: file), into: place.path) else { return nil }
    return try OpenFile.open(place.path.appending(name(last: file))).readAll()
  }

  func write(_ file: String, _ bytes: [UInt8], mode: UInt32) throws {
    let place = try PrivateFolder()
    let name = FilePath(name(last: file))
    let copy = try OpenFolder.open(place.path).file(name, .create(permissions: 0o600))
    try copy.setPermissions(mode)
    try copy.writeAll(bytes)
    try copy.close()
    try rsync.send(
      file: place.path.appending(name.components), to: rsyncName(of: parent(of: file)))
  }

  func makeFolder(_ folder: String, mode: UInt32) throws {
    guard let inner = FilePath(folder).relative(to: root) else {
      throw StillError(
        .precondition, "\(folder) does not lie in the module's folder, \(root)",
        hint: "A daemon takes what goes below its module only.")
    }
    // A tree of this folder alone; folders that are there keep what they have.
    let place = try PrivateFolder()
    var here = try OpenFolder.open(place.path)
    for component in inner.components {
      let name = FilePath(root: nil, [component])
      try here.makeFolder(name, permissions: 0o700)
      here = try here.folder(name)
    }
    try here.setPermissions(".", mode & 0o7777)
    try rsync.makeFolders(place.path, at: module + "/")
  }

  func remove(_ file: String) throws {
    let place = try PrivateFolder()
    try rsync.remove(
      name(last: file), from: rsyncName(of: parent(of: file)), empty: place.path)
  }

  /// A daemon takes the slash from the beginning of a link, or makes it one that leads nowhere
  /// (rsyncd.conf(5), "munge symlinks"), and nobody can see from here which.
  var makesLinks: Bool { false }

  func makeLink(_ path: String, to target: String) {}

  /// What it lists of a link is as long as what it has made of it.
  func changedLinks(_ links: [(path: FilePath, target: FilePath)], in folder: String) throws
    -> [FilePath]
  {
    let folders = Dictionary(grouping: links) { $0.path.removingLastComponent() }
    return try folders.flatMap { place, links in
      let there = try rsync.list(rsyncName(of: FilePath(folder).pushing(place).string)) ?? []
      let sizes = Dictionary(there.map { ($0.name, $0.size) }, uniquingKeysWith: { $1 })
      return links.filter { path, target in
        sizes[name(last: path.string)] != UInt64(target.bytes.count)
      }.map(\.path)
    }
  }

  var renames: Bool { false }

  func rename(_ folder: String, to new: String) throws {
    throw StillError(.failed, "\(module) cannot rename \(folder)")
  }

  /// Not here: it would take a transfer for each.
  func removeSharedNames(in folder: String, _ cancellation: Cancellation) {}

  func identity(of folder: String) -> String? { nil }

  func sync(_ folders: [String], _ cancellation: Cancellation) {}

  /// Nobody says; rsync fails when there is no more.
  func room(at folder: String) -> (fileSystem: String, bytes: UInt64) { (module, .max) }

  /// A server of this folder would have its lock file there; whether it runs, nobody says.
  func server(of folder: String) throws -> Int32? {
    try names(in: folder)?.contains("postmaster.pid") == true ? 0 : nil
  }

  private func name(last path: String) -> String { FilePath(path).lastComponent?.string ?? "" }

  private func parent(of path: String) -> String { FilePath(path).removingLastComponent().string }
}
