import StillModel
import StillPostgres
import StillSystem
import StillTransfer
import SystemPackage

/// What a migration does at its target beside the passes: a few small things, on this host or
/// another one.
protocol TargetFiles: Sendable {
  /// For messages: `this host`, `db2`.
  var host: String { get }
  /// What rsync calls this folder.
  func rsyncName(of folder: String) -> String
  /// How rsync gets there.
  var remoteShell: [String] { get }
  /// Whether rsync has to put each file on the disk, because nobody else can.
  var syncsEachFile: Bool { get }
  /// The names in a folder; nil where there is none.
  func names(in folder: String) throws -> [String]?
  /// A small file; nil where there is none.
  func read(_ file: String) throws -> [UInt8]?
  func write(_ file: String, _ bytes: [UInt8]) throws
  /// Makes a folder, with those above it; one that is there is left as it is.
  func makeFolder(_ folder: String, mode: UInt32) throws
  /// Removes a file; one that is gone is no error.
  func remove(_ file: String) throws
  /// Whether it can make links that lead where they say.
  var makesLinks: Bool { get }
  /// Makes a link, in place of one that is there.
  func makeLink(_ path: String, to target: String) throws
  /// Puts everything of the file systems that these folders are on, on the disk.
  func sync(_ folders: [String]) throws
  /// The file system that a folder is on, or would be, and the room there in bytes.
  func room(at folder: String) throws -> (fileSystem: String, bytes: UInt64)
  /// The process of the server of a data directory; nil where none runs.
  func server(of folder: String) throws -> Int32?
}

extension TargetFiles {
  var makesLinks: Bool { true }
  var syncsEachFile: Bool { false }
}

/// On this host.
struct LocalFiles: TargetFiles {
  var host: String { "this host" }
  var remoteShell: [String] { [] }

  func rsyncName(of folder: String) -> String { folder + "/" }

  func names(in folder: String) throws -> [String]? {
    guard try isThere(folder) else { return nil }
    return try OpenFolder.open(FilePath(folder)).names().map(\.string)
  }

  func read(_ file: String) throws -> [UInt8]? {
    guard try isThere(file) else { return nil }
    return try OpenFile.open(FilePath(file)).readAll()
  }

  func write(_ file: String, _ bytes: [UInt8]) throws {
    let (folder, name) = try place(file)
    let new = FilePath(name.string + "-new")
    if try folder.metadataIfPresent(of: new) != nil { try folder.remove(new) }
    let opened = try folder.file(new, .create(permissions: 0o600))
    try opened.writeAll(bytes)
    try opened.sync()
    try opened.close()
    try folder.rename(new, to: name)
    try folder.sync()
  }

  func makeFolder(_ folder: String, mode: UInt32) throws {
    guard try !isThere(folder) else { return }
    let above = FilePath(folder).removingLastComponent()
    try makeFolder(above.string, mode: 0o700)
    do {
      let (above, name) = try place(folder)
      try above.makeFolder(name, permissions: mode)
    } catch var failure as StillError {
      let user = Account.of(user: Account.effectiveUser)?.name ?? "postgres"
      failure.status = .precondition
      failure.hint = "Make it once as root: install -d -o \(user) -m 700 \(folder)"
      throw failure
    }
  }

  func remove(_ file: String) throws {
    guard try isThere(file) else { return }
    let (folder, name) = try place(file)
    try folder.remove(name)
    try folder.sync()
  }

  func makeLink(_ path: String, to target: String) throws {
    try remove(path)
    let (folder, name) = try place(path)
    try folder.makeLink(name, to: FilePath(target).bytes)
  }

  func sync(_ folders: [String]) throws {
    var seen: Set<DeviceNumber> = []
    for path in folders {
      let folder = try OpenFolder.open(FilePath(path))
      if seen.insert(try folder.metadata().device).inserted { try folder.syncFileSystem() }
    }
  }

  func room(at folder: String) throws -> (fileSystem: String, bytes: UInt64) {
    let nearest = try FilePath(folder).nearestFolder()
    return ("\(try nearest.metadata().device)", try nearest.availableBytes())
  }

  func server(of folder: String) throws -> Int32? {
    guard try isThere(folder) else { return nil }
    return try Postmaster.running(in: OpenFolder.open(FilePath(folder)))?.processID
  }

  private func isThere(_ path: String) throws -> Bool {
    let path = FilePath(path)
    guard path.lastComponent != nil else { return true }
    guard let above = try? OpenFolder.open(path.removingLastComponent()) else { return false }
    return try above.metadataIfPresent(of: FilePath(root: nil, path.components.suffix(1))) != nil
  }

  private func place(_ path: String) throws -> (OpenFolder, FilePath) {
    let path = FilePath(path)
    return (
      try OpenFolder.open(path.removingLastComponent()),
      FilePath(root: nil, path.components.suffix(1))
    )
  }
}

/// On another host, by ssh.
struct RemoteFiles: TargetFiles {
  let shell: RemoteShell

  var host: String { shell.host }
  var remoteShell: [String] { shell.words }

  func rsyncName(of folder: String) -> String { "\(shell.host):\(folder)/" }

  func names(in folder: String) throws -> [String]? {
    // A folder that may not be read is not one that is missing.
    let answer = try shell.run(
      "[ -e \"$1\" ] || [ -L \"$1\" ] || exit 2; exec ls -A -- \"$1/\"", [folder])
    switch answer.status {
    case 0: return answer.text.split(whereSeparator: \.isNewline).map(String.init)
    case 2: return nil
    default:
      throw StillError(.precondition, "on \(host): \(folder) cannot be listed")
    }
  }

  func read(_ file: String) throws -> [UInt8]? {
    let answer = try shell.run("[ -e \"$1\" ] || exit 66; exec cat -- \"$1\"", [file])
    switch answer.status {
    case 0: return answer.output
    case 66: return nil
    default: throw StillError(.copying, "on \(host): \(file) cannot be read")
    }
  }

  func write(_ file: String, _ bytes: [UInt8]) throws {
    try shell.demand(
      "umask 077; cat >\"$1-new\" && sync \"$1-new\" && mv -f -- \"$1-new\" \"$1\"", [file],
      input: bytes)
  }

  func makeFolder(_ folder: String, mode: UInt32) throws {
    do {
      try shell.demand(
        "umask 077; [ -d \"$1\" ] || { mkdir -p -- \"$1\" && chmod \"$2\" \"$1\"; }",
        [folder, String(mode & 0o7777, radix: 8)])
    } catch var failure as StillError {
      failure.status = .precondition
      failure.hint = "Make it once over there as root: install -d -o postgres -m 700 \(folder)"
      throw failure
    }
  }

  func remove(_ file: String) throws { try shell.demand("exec rm -f -- \"$1\"", [file]) }

  func makeLink(_ path: String, to target: String) throws {
    try shell.demand("exec ln -sfnT -- \"$2\" \"$1\"", [path, target])
  }

  func sync(_ folders: [String]) throws { try shell.demand("exec sync -f -- \"$@\"", folders) }

  func room(at folder: String) throws -> (fileSystem: String, bytes: UInt64) {
    let text = try shell.demand(
      """
      p=$1; while [ ! -d "$p" ]; do p=${p%/*}; [ -n "$p" ] || p=/; done
      exec stat -f -c '%i %a %S' -- "$p"
      """, [folder]
    ).text
    let words = text.split(separator: " ")
    guard words.count == 3, let free = UInt64(words[1]), let size = UInt64(words[2]) else {
      throw StillError(.precondition, "on \(host): the room at \(folder) is not known: \(text)")
    }
    return (String(words[0]), free * size)
  }

  func server(of folder: String) throws -> Int32? {
    // A process of another user answers with an error too.
    let answer = try shell.run(
      """
      [ -e "$1" ] || exit 2; [ -r "$1" ] && [ -x "$1" ] || exit 3
      [ -e "$1/postmaster.pid" ] || exit 2; read -r p <"$1/postmaster.pid" || exit 3
      kill -0 "$p" 2>/dev/null || [ -e "/proc/$p" ] || exit 2; echo "$p"
      """, [folder])
    if answer.status == 2 { return nil }
    guard answer.status == 0, let process = Int32(answer.text) else {
      throw StillError(.postgres, "on \(host): nobody can say whether a server runs on \(folder)")
    }
    return process
  }
}
