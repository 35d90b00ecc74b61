import CStill
import Glibc
import StillModel
import SystemPackage

/// An open folder. Everything in it is reached from its descriptor and no link is followed, so what
/// is read is what lies in this folder, whatever happens to the path meanwhile; it may even belong
/// to a file system that is mounted nowhere.
///
/// Sendable because the descriptor never changes; see `OpenFile`.
public final class OpenFolder: @unchecked Sendable {
  public let descriptor: Int32
  /// For messages.
  public let path: FilePath
  private var isOpen = true

  public init(descriptor: Int32, path: FilePath) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit { if isOpen { Glibc.close(descriptor) } }

  /// Opens a folder by its path; links in the path are followed, the last name may be one too.
  public static func open(_ path: FilePath) throws -> OpenFolder {
    let descriptor = try check("open", path.string) {
      path.withPlatformString { Glibc.open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    }
    return OpenFolder(descriptor: descriptor, path: path)
  }

  /// The same; nil where no folder has that path.
  public static func openIfPresent(_ path: FilePath) throws -> OpenFolder? {
    let descriptor = path.withPlatformString {
      Glibc.open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }
    if descriptor >= 0 { return OpenFolder(descriptor: descriptor, path: path) }
    let code = errno
    if code == ENOENT || code == ENOTDIR { return nil }
    throw StillError.system("open", path.string, code)
  }

  /// Opens a folder below this one; no part of `relative` may be a link.
  public func folder(_ relative: FilePath) throws -> OpenFolder {
    var here = self
    for component in relative.components {
      let name = FilePath(root: nil, [component])
      let shown = here.path.appending(component)
      let parent = here.descriptor
      let descriptor = try check("open", shown.string) {
        name.withPlatformString { still_openat(parent, $0, O_RDONLY | O_DIRECTORY, 0) }
      }
      here = OpenFolder(descriptor: descriptor, path: shown)
    }
    return here
  }

  /// Opens a file in this folder (or, by a relative path, below it).
  public func file(_ name: FilePath, _ mode: OpenFile.Mode = .read) throws -> OpenFile {
    try OpenFile.open(name, in: descriptor, mode, shown: path.joining(name))
  }

  public func metadata() throws -> FileMetadata {
    var status = stat()
    _ = try check("examine", path.string) { fstat(descriptor, &status) }
    return FileMetadata(status)
  }

  /// What `name` is, the link itself where it is one.
  public func metadata(of name: FilePath) throws -> FileMetadata {
    var status = stat()
    _ = try check("examine", shown(name)) {
      name.withPlatformString { fstatat(descriptor, $0, &status, AT_SYMLINK_NOFOLLOW) }
    }
    return FileMetadata(status)
  }

  /// nil where nothing has that name.
  public func metadataIfPresent(of name: FilePath) throws -> FileMetadata? {
    var status = stat()
    let code = name.withPlatformString {
      fstatat(descriptor, $0, &status, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno
    }
    switch code {
    case 0: return FileMetadata(status)
    case ENOENT, ENOTDIR: return nil
    default: throw StillError.system("examine", shown(name), code)
    }
  }

  /// The names in this folder, `.` and `..` left out, in the order of their bytes.
  public func names() throws -> [FilePath] {
    // A description of its own: reading must not move the position of `descriptor`.
    let copy = try check("open", path.string) {
      still_openat(descriptor, ".", O_RDONLY | O_DIRECTORY, 0)
    }
    guard let stream = fdopendir(copy) else {
      let code = errno
      Glibc.close(copy)
      throw StillError.system("read", path.string, code)
    }
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        let code = errno
        if code != 0 { throw StillError.system("read", path.string, code) }
        break
      }
      let length = Int(entry.pointee.d_reclen)
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
        // The structure is declared with 256 bytes of name; the record may be shorter.
        Array(raw.prefix(min(raw.count, length)).prefix { $0 != 0 })
      }
      if name != [UInt8(ascii: ".")], name != [UInt8(ascii: "."), UInt8(ascii: ".")] {
        names.append(name)
      }
    }
    names.sort { $0.lexicographicallyPrecedes($1) }
    return names.map { FilePath(bytes: $0) }
  }

  /// What the link `name` says, byte for byte.
  public func target(ofLink name: FilePath) throws -> [UInt8] {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let count = try check("read link", shown(name)) {
      name.withPlatformString { readlinkat(descriptor, $0, &buffer, buffer.count) }
    }
    return buffer[..<count].map { UInt8(bitPattern: $0) }
  }

  /// Makes a folder that nobody else may enter, where temporary files go. - Returns: its path.
  public static func makeTemporary() throws -> FilePath {
    let parent = Environment.value("TMPDIR").flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "/tmp"
    var template = Array("\(parent)/pgstill-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      let code = errno
      throw StillError.system("create a folder in", parent, code)
    }
    return FilePath(platformString: template)
  }

  public func makeFolder(_ name: FilePath, permissions: UInt32) throws {
    _ = try check("create folder", shown(name)) {
      name.withPlatformString { mkdirat(descriptor, $0, permissions) }
    }
  }

  /// Gives the file `name` a second name, `other` in `folder`, on the same file system.
  public func makeHardLink(of name: FilePath, in folder: OpenFolder, _ other: FilePath) throws {
    _ = try check("link", path.appending(name.components).string) {
      name.withPlatformString { old in
        other.withPlatformString { linkat(descriptor, old, folder.descriptor, $0, 0) }
      }
    }
  }

  public func makeLink(_ name: FilePath, to target: [UInt8]) throws {
    _ = try check("create link", shown(name)) {
      name.withPlatformString { name in
        FilePath(bytes: target).withPlatformString { symlinkat($0, descriptor, name) }
      }
    }
  }

  /// Gives `old` the name `new`, in one step; an existing `new` is replaced.
  public func rename(_ old: FilePath, to new: FilePath) throws {
    _ = try check("rename", shown(old)) {
      old.withPlatformString { old in
        new.withPlatformString { renameat(descriptor, old, descriptor, $0) }
      }
    }
  }

  public func remove(_ name: FilePath) throws {
    _ = try check("remove", shown(name)) {
      name.withPlatformString { unlinkat(descriptor, $0, 0) }
    }
  }

  /// Removes a folder with everything in it; links are removed, never followed.
  public func removeTree(_ name: FilePath) throws {
    // A copy has the modes of what it is a copy of. Whoever is not root opens nothing that forbids it.
    let found = try metadata(of: name)
    if found.kind == .folder, found.mode & 0o700 != 0o700 { try? setPermissions(name, 0o700) }
    let inner = try folder(name)
    for child in try inner.names() {
      if try inner.metadata(of: child).kind == .folder {
        try inner.removeTree(child)
      } else {
        try inner.remove(child)
      }
    }
    _ = try check("remove", shown(name)) {
      name.withPlatformString { unlinkat(descriptor, $0, AT_REMOVEDIR) }
    }
  }

  public func setPermissions(_ name: FilePath, _ bits: UInt32) throws {
    _ = try check("set the mode of", shown(name)) {
      name.withPlatformString { fchmodat(descriptor, $0, bits, 0) }
    }
  }

  /// Sets the time of last change; a link's own, where `name` is one.
  public func setModified(_ name: FilePath, seconds: Int64, nanoseconds: Int64) throws {
    let moment = timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds))
    let times = [timespec(tv_sec: 0, tv_nsec: Int(leaveTimeAlone)), moment]
    _ = try check("set the time of", shown(name)) {
      name.withPlatformString { utimensat(descriptor, $0, times, AT_SYMLINK_NOFOLLOW) }
    }
  }

  /// Gives `name` (a link itself) to another owner; needs the right to.
  public func setOwner(_ name: FilePath, user: UInt32, group: UInt32) throws {
    _ = try check("set the owner of", shown(name)) {
      name.withPlatformString { fchownat(descriptor, $0, user, group, AT_SYMLINK_NOFOLLOW) }
    }
  }

  /// Puts the folder's names on the disk.
  public func sync() throws {
    _ = try check("sync", path.string) { fsync(descriptor) }
  }

  /// Puts everything of this folder's file system on the disk.
  public func syncFileSystem() throws {
    _ = try check("sync the file system of", path.string) { still_syncfs(descriptor) }
  }

  /// Asks whether this process may make and remove names in this folder.
  ///
  /// - Throws: with the system's reason.
  public func requireWritable() throws {
    _ = try check("write to", path.string) {
      faccessat(descriptor, ".", W_OK | X_OK, AT_EACCESS)
    }
  }

  /// Asks whether this process may write to the end of a file, or make it where it is missing; does
  /// neither.
  ///
  /// - Throws: with the system's reason.
  public static func requireWritableFile(_ path: FilePath) throws {
    if access(path.string, W_OK) == 0 { return }
    let code = errno
    let folder = path.removingLastComponent()
    if code == ENOENT, access(folder.string, W_OK | X_OK) == 0 { return }
    throw StillError.system("write to", path.string, code)
  }

  /// Room on this folder's file system for this process, in bytes.
  public func availableBytes() throws -> UInt64 {
    var status = statvfs()
    _ = try check("ask for room on", path.string) { fstatvfs(descriptor, &status) }
    return UInt64(status.f_bavail) * UInt64(status.f_frsize)
  }

  /// Bytes that the file system holds.
  public func usedBytes() throws -> UInt64 {
    var status = statvfs()
    _ = try check("ask for room on", path.string) { fstatvfs(descriptor, &status) }
    return UInt64(status.f_blocks - status.f_bfree) * UInt64(status.f_frsize)
  }

  public func close() {
    guard isOpen else { return }
    isOpen = false
    Glibc.close(descriptor)
  }

  private func shown(_ name: FilePath) -> String { path.appending(name.components).string }
}

/// `UTIME_OMIT` of <sys/stat.h>, a macro that Swift does not see.
private let leaveTimeAlone = (1 << 30) - 2
