import StillModel
import StillPostgres
import StillSystem
import StillTransfer
import SystemPackage

/// What is done at a target beside what rsync does: a few small things, on this host or another one.
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
  /// Brings a file's content there, under another name; nothing counts yet.
  func stage(_ file: String, _ bytes: [UInt8], mode: UInt32) throws
  /// Gives what was staged its name.
  func putInPlace(_ file: String, _ bytes: [UInt8], mode: UInt32) throws
  /// Writes a small file in one step; its owner is that of the folder, as far as that can be had.
  func write(_ file: String, _ bytes: [UInt8], mode: UInt32) throws
  /// Makes a folder, with those above it; one that is there is left as it is.
  func makeFolder(_ folder: String, mode: UInt32) throws
  /// Removes a file; one that is gone is no error.
  func remove(_ file: String) throws
  /// Gives a file another name, with `.undone` at its end, where that can be had, or removes it; one that
  /// is gone is no error.
  func setAside(_ file: String) throws
  /// Whether it can make links that lead where they say.
  var makesLinks: Bool { get }
  /// Makes a link, in place of one that is there.
  func makeLink(_ path: String, to target: String) throws
  /// Whether it can give a folder another name.
  var renames: Bool { get }
  /// Gives a folder another name, which nothing may have but an empty folder.
  func rename(_ folder: String, to new: String) throws
  /// Takes away the names in a folder, and in those below, of what has more than one, links too. It keeps the
  /// other names.
  func removeSharedNames(in folder: String, _ cancellation: Cancellation) throws
  /// The links in a folder, by paths counted from it, that do not say as they were made to say.
  func changedLinks(_ links: [(path: FilePath, target: FilePath)], in folder: String) throws
    -> [FilePath]
  /// Puts everything of the file systems that these folders are on, on the disk.
  func sync(_ folders: [String], _ cancellation: Cancellation) throws
  /// Whether a file of ours gets a time to the nanosecond; it has another time then.
  func keepsNanoseconds(_ file: String) throws -> Bool
  /// The file system that a folder is on, or would be, and the room there in bytes.
  func room(at folder: String) throws -> (fileSystem: String, bytes: UInt64)
  /// The process of the server of a data directory; nil where none runs.
  func server(of folder: String) throws -> Int32?
  /// What only this folder is, of all folders of all hosts; nil where nobody says.
  func identity(of folder: String) throws -> String?
}

extension TargetFiles {
  var makesLinks: Bool { true }
  var renames: Bool { true }
  func changedLinks(_ links: [(path: FilePath, target: FilePath)], in folder: String) throws
    -> [FilePath]
  { [] }
  /// Taken for granted where nobody says.
  func keepsNanoseconds(_ file: String) throws -> Bool { true }
  var syncsEachFile: Bool { false }
  func setAside(_ file: String) throws { try remove(file) }
  func stage(_ file: String, _ bytes: [UInt8], mode: UInt32) throws {}
  func putInPlace(_ file: String, _ bytes: [UInt8], mode: UInt32) throws {
    try write(file, bytes, mode: mode)
  }
  func write(_ file: String, _ bytes: [UInt8]) throws { try write(file, bytes, mode: 0o600) }
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

  func write(_ file: String, _ bytes: [UInt8], mode: UInt32) throws {
    let (folder, name) = try place(file)
    let new = FilePath(name.string + "-new")
    if try folder.metadataIfPresent(of: new) != nil { try folder.remove(new) }
    let opened = try folder.file(new, .create(permissions: 0o600))
    try opened.setPermissions(mode)
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

  func setAside(_ file: String) throws {
    try remove(file + "-new")
    guard try isThere(file) else { return }
    let (folder, name) = try place(file)
    try folder.rename(name, to: FilePath(name.string + ".undone"))
    try folder.sync()
  }

  func makeLink(_ path: String, to target: String) throws {
    let (folder, name) = try place(path)
    if (try? folder.target(ofLink: name)) == FilePath(target).bytes { return }
    let new = FilePath(name.string + "-new")
    try remove(path + "-new")
    try folder.makeLink(new, to: FilePath(target).bytes)
    try folder.rename(new, to: name)
  }

  func identity(of folder: String) throws -> String? {
    let boot = try OpenFile.open(LocalFiles.bootID).readAll(limit: 100)
    let metadata = try OpenFolder.open(FilePath(folder)).metadata()
    let changed = metadata.changed / 1_000_000_000
    return String(decoding: boot, as: UTF8.self).filter { !$0.isNewline }
      + " \(metadata.inode) \(changed)"
  }

  /// Another one for each start of each host (proc(5)).
  fileprivate static let bootID: FilePath = "/proc/sys/kernel/random/boot_id"

  func rename(_ folder: String, to new: String) throws {
    let (above, name) = try place(folder)
    try above.rename(name, to: FilePath(root: nil, FilePath(new).components.suffix(1)))
  }

  func removeSharedNames(in folder: String, _ cancellation: Cancellation) throws {
    try LocalFiles.removeSharedNames(in: OpenFolder.open(FilePath(folder)), cancellation)
  }

  private static func removeSharedNames(
    in folder: OpenFolder, _ cancellation: Cancellation
  ) throws {
    try cancellation.checkpoint()
    for name in try folder.names() {
      let metadata = try folder.metadata(of: name)
      switch metadata.kind {
      case .folder: try removeSharedNames(in: folder.folder(name), cancellation)
      default: if metadata.linkCount > 1 { try folder.remove(name) }
      }
    }
  }

  func sync(_ folders: [String], _ cancellation: Cancellation) throws {
    var seen: Set<DeviceNumber> = []
    for path in folders {
      try cancellation.checkpoint()
      let folder = try OpenFolder.open(FilePath(path))
      if seen.insert(try folder.metadata().device).inserted { try folder.syncFileSystem() }
    }
  }

  func keepsNanoseconds(_ file: String) throws -> Bool {
    let file = try OpenFile.open(FilePath(file))
    try file.setModified(seconds: 1_000_000_000, nanoseconds: 123_456_789)
    return try file.metadata().modifiedNanoseconds == 123_456_789
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
    // One that may not be looked at is not one that is missing.
    try FileMetadata.ifPresent(at: FilePath(path)) != nil
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
    let answer = try shell.run(
      RemoteFiles.look + "look \"$1\"; exec ls -A -- \"$1/\"", [folder])
    switch answer.status {
    case 0: return answer.text.split(whereSeparator: \.isNewline).map(String.init)
    case RemoteFiles.missing: return nil
    default:
      throw StillError(.failed, "on \(host): \(folder) cannot be listed")
    }
  }

  func read(_ file: String) throws -> [UInt8]? {
    let answer = try shell.run(
      RemoteFiles.look + "look \"$1\"; exec cat -- \"$1\"", [file])
    switch answer.status {
    case 0: return answer.output
    case RemoteFiles.missing: return nil
    default: throw StillError(.failed, "on \(host): \(file) cannot be read")
    }
  }

  /// A function that goes on where `$1` is there. It is not enough that a path leads nowhere: whoever may
  /// not look into a folder sees nothing there either.
  private static let look = """
    look() {
      if [ -e "$1" ] || [ -L "$1" ]; then return; fi
      p=$1
      while [ ! -d "$p" ]; do p=${p%/*}; [ -n "$p" ] || p=/; done
      [ -x "$p" ] || exit 67
      exit \(missing)
    }

    """
  /// The status that says so. `ls` has 2 for trouble.
  private static let missing: Int32 = 66

  func write(_ file: String, _ bytes: [UInt8], mode: UInt32) throws {
    try stage(file, bytes, mode: mode)
    try putInPlace(file, bytes, mode: mode)
  }

  // In two orders: one that is lost on its way, and carried out when it is too late, does nothing then.

  func stage(_ file: String, _ bytes: [UInt8], mode: UInt32) throws {
    // Only root can give it away, and only root needs to.
    try shell.demand(
      """
      umask 077
      cat >"$1-new" && chmod "$2" "$1-new" && sync "$1-new" || exit
      [ "$(id -u)" -ne 0 ] || exec chown --reference="${1%/*}" "$1-new"
      """, [file, String(mode & 0o7777, radix: 8)], input: bytes)
  }

  func putInPlace(_ file: String, _ bytes: [UInt8], mode: UInt32) throws {
    try shell.demand("mv -f -- \"$1-new\" \"$1\" && exec sync \"${1%/*}\"", [file])
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

  func setAside(_ file: String) throws {
    // First what an earlier order, whose shell lives on over there, may still be going to rename.
    try shell.demand(
      """
      rm -f -- "$1-new" || exit
      mv -f -- "$1" "$1.undone" 2>/dev/null || exec rm -f -- "$1"
      """, [file])
  }

  func makeLink(_ path: String, to target: String) throws {
    try shell.demand(
      "[ \"$(readlink -- \"$1\")\" = \"$2\" ] || exec ln -sfnT -- \"$2\" \"$1\"", [path, target])
  }

  func rename(_ folder: String, to new: String) throws {
    try shell.demand("exec mv -T -- \"$1\" \"$2\"", [folder, new])
  }

  func removeSharedNames(in folder: String, _ cancellation: Cancellation) throws {
    try shell.demand(
      "exec find \"$1\" -xdev ! -type d -links +1 -delete", [folder], limit: nil, cancellation)
  }

  func sync(_ folders: [String], _ cancellation: Cancellation) throws {
    try shell.demand("exec sync -f -- \"$@\"", folders, limit: nil, cancellation)
  }

  func keepsNanoseconds(_ file: String) throws -> Bool {
    try shell.demand(
      """
      touch -d @1000000000.123456789 -- "$1" && exec stat -c %.9Y -- "$1"
      """, [file]
    ).text == "1000000000.123456789"
  }

  func identity(of folder: String) throws -> String? {
    try shell.demand(
      "read -r boot <\(LocalFiles.bootID) || exit 0; echo \"$boot $(stat -c '%i %Z' -- \"$1\")\"",
      [folder]
    ).text
  }

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
      RemoteFiles.look + """
        look "$1"; [ -r "$1" ] && [ -x "$1" ] || exit 67
        look "$1/postmaster.pid"; read -r p <"$1/postmaster.pid" || exit 67
        [ -e "/proc/$p" ] || kill -0 "$p" 2>/dev/null || exit \(RemoteFiles.missing)
        # A data directory is its server's own user's; after a reboot anybody may have the number.
        if [ -O "$1" ]; then kill -0 "$p" 2>/dev/null || exit \(RemoteFiles.missing); fi
        if [ -e "/proc/$p/cwd/." ] && ! [ "/proc/$p/cwd" -ef "$1" ]; then
          exit \(RemoteFiles.missing)
        fi
        echo "$p"
        """, [folder])
    if answer.status == RemoteFiles.missing { return nil }
    guard answer.status == 0, let process = Int32(answer.text) else {
      throw StillError(.postgres, "on \(host): nobody can say whether a server runs on \(folder)")
    }
    return process
  }
}
