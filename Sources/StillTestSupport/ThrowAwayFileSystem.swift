import Glibc
import StillSystem
import SystemPackage

/// A file system of its own on a file, mounted where only programs see it that are run `inside`; it is
/// unmounted when this is dropped, and also when the test's process dies. Only root can have one.
public final class ThrowAwayFileSystem: Sendable {
  private let place: TestFolder
  private let holder: Child
  private let leash: OpenFile
  /// Where it is mounted, for programs that are run with `inside`.
  public let path: FilePath

  /// - Parameters:
  ///   - maker: the program that makes it, with its options.
  ///   - size: of the file, which has holes: `1G`.
  ///   - room: for what is in the file. It takes no more, and the kernel finds out when it writes what it
  ///     has taken from programs.
  public init(_ maker: [String], size: String, room: String? = nil) throws {
    guard Account.effectiveUser == 0 else {
      throw Trouble("only root can mount a file system; run this test as root")
    }
    place = try TestFolder(on: .disk)
    path = try place.folder("mounted")
    let input = try OpenFile.pipe()
    leash = input.writing
    // Mounts of a namespace are gone when the last process in it is.
    holder = try Child.start(
      "/usr/bin/unshare",
      [
        "--mount", "sh", "-ec",
        """
        cd "$3"; mkdir image; [ -z "$2" ] || mount -t tmpfs -o "size=$2" none image
        truncate -s "$1" image/of; shift 3; "$@" image/of; \(Self.mount)
        touch ready; cat >/dev/null
        """, "sh", size, room ?? "", place.path.string,
      ] + maker,
      environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"], input: input.reading,
      output: try OpenFile.open(place.path.appending("log"), .update(permissions: 0o600)))
    for _ in 0..<100 {
      if access("\(place.path)/ready", F_OK) == 0 {
        // Found by its number from here on.
        return
      }
      if holder.statusIfEnded() != nil { break }
      Clock.sleep(milliseconds: 100)
    }
    throw Trouble("it cannot be mounted: \(try Tool.demand("cat", "\(place.path)/log"))")
  }

  private static let mount = "mount -o loop image/of mounted"

  deinit {
    try? leash.close()
    _ = holder.wait()
  }

  /// What runs a program where the file system is mounted.
  public var inside: [String] { ["nsenter", "--mount=/proc/\(holder.process)/ns/mnt", "--"] }

  /// How this process comes to a path on it.
  public func outside(_ path: FilePath) -> FilePath {
    FilePath("/proc/\(holder.process)/root").pushing(FilePath(root: nil, path.components))
  }

  /// Runs a shell script in the mounted folder.
  @discardableResult
  public func run(_ script: String) throws -> String {
    try Tool.demand(inside + ["sh", "-ec", "cd \"$1\"; \(script)", "sh", path.string])
  }

  /// Unmounts it and mounts it again: nothing is left then that waits to be written or given back.
  public func remount() throws {
    try Tool.demand(
      inside + ["sh", "-ec", "cd \"$1\"; umount mounted; \(Self.mount)", "sh", place.path.string])
  }

  /// Bytes that it holds.
  public func usedBytes() throws -> UInt64 {
    try OpenFolder.open(outside(path)).usedBytes()
  }
}
