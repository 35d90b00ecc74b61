import Glibc
import StillSystem
import SystemPackage

/// An rsync daemon on loopback with one module, `data`, that anybody may write to; ended when it is
/// dropped.
public final class ThrowAwayRsyncd: Sendable {
  private let place: TestFolder
  private let child: Child
  private let port: UInt16
  /// Where the module lies.
  public var root: FilePath { place.path.appending("module") }
  /// `rsync://HOST:PORT/data`
  public var url: String { "rsync://127.0.0.1:\(port)/data" }

  /// - Parameter mungesLinks: whether it makes links that lead nowhere of those that it takes.
  public init(mungesLinks: Bool = false) throws {
    place = try TestFolder(on: .disk, owner: FakeHost.owner)
    port = try FreePort.find()
    try Tool.demand("mkdir", "\(place.path)/module")
    let file = try OpenFile.open(place.path.appending("conf"), .update(permissions: 0o600))
    try file.writeAll(
      Array(
        """
        port = \(port)
        address = 127.0.0.1
        log file = /dev/stderr
        [data]
        path = \(place.path)/module
        read only = no
        use chroot = no
        munge symlinks = \(mungesLinks ? "yes" : "no")

        """.utf8))
    try file.close()
    try TestFolder.give(place.path, to: FakeHost.owner)
    let become =
      Account.effectiveUser == 0
      ? ["--reuid", FakeHost.owner, "--regid", FakeHost.owner, "--init-groups", "--"] : ["--"]
    let log = try OpenFile.open(place.path.appending("log"), .update(permissions: 0o600))
    child = try Child.start(
      "/usr/bin/setpriv",
      become + ["rsync", "--daemon", "--no-detach", "--config", "\(place.path)/conf"],
      environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"], output: log)
    for _ in 0..<100 {
      if try Tool.run(["rsync", "\(url)/"]).status == 0 { return }
      Clock.sleep(milliseconds: 100)
    }
    throw Trouble("rsyncd does not answer: \(try Tool.demand("cat", "\(place.path)/log"))")
  }

  deinit {
    child.signalGroup(SIGTERM)
    _ = child.wait()
  }
}
