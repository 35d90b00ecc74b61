import Foundation
import Glibc
import StillSystem
import SystemPackage

/// A folder for one test, readable by everybody, removed when it is dropped, and also when the
/// test's process dies.
public final class TestFolder: Sendable {
  /// Two file systems that every Linux has, so that a test can spread a cluster over both.
  public enum Kind: Sendable {
    case disk, memory
  }

  public let path: FilePath

  /// - Parameter owner: the user to give it to; nobody else where this process is not root.
  public init(on kind: Kind, owner: String? = nil) throws {
    let root =
      switch kind {
      case .disk: try TestFolder.disk.get()
      case .memory: try TestFolder.memory.get()
      }
    path = root.appending("\(UInt64.random(in: 0...UInt64.max))")
    guard mkdir(path.string, 0o755) == 0 else { throw Trouble("mkdir \(path): errno \(errno)") }
    if let owner { try TestFolder.give(path, to: owner) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path.string) }

  /// Makes a folder in it.
  public func folder(_ name: String, owner: String? = nil) throws -> FilePath {
    let inner = path.appending(name)
    guard mkdir(inner.string, 0o755) == 0 else { throw Trouble("mkdir \(inner): errno \(errno)") }
    if let owner { try TestFolder.give(inner, to: owner) }
    return inner
  }

  /// Gives a folder and everything in it to a user, where this process may.
  public static func give(_ path: FilePath, to owner: String) throws {
    if Account.effectiveUser == 0 { try Tool.demand("chown", "-R", "\(owner):", path.string) }
  }

  private static let disk = Result { try leashed("/tmp") }
  private static let memory = Result { try leashed("/dev/shm") }

  /// Makes the one folder below `parent` that holds all of this process. A program that waits for
  /// the end of its input, which comes when this process dies in whatever way, removes it.
  private static func leashed(_ parent: String) throws -> FilePath {
    var template = Array("\(parent)/still-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Trouble("mkdtemp: errno \(errno)") }
    let path = FilePath(platformString: template)
    chmod(path.string, 0o755)
    let watcher = Foundation.Process()
    watcher.executableURL = URL(filePath: "/usr/bin/env")
    watcher.arguments = [
      "setsid", "sh", "-c", "cat >/dev/null; cd /; sleep 1; rm -rf \"$1\"", "sh", path.string,
    ]
    let leash = Pipe()
    watcher.standardInput = leash
    watcher.standardOutput = FileHandle.nullDevice
    watcher.standardError = FileHandle.nullDevice
    try watcher.run()
    // Never closed by this process: the kernel does it.
    _ = fcntl(leash.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
    _ = Unmanaged.passRetained(leash)
    return path
  }
}
