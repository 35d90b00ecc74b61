import FoundationEssentials
import Glibc
import StillSystem
import SystemPackage

/// An sshd on loopback that the clusters' owner may log in to with a key, and nobody else; ended when it
/// is dropped. `scripts/sshd` fetches the program.
public final class ThrowAwaySSH: Sendable {
  private let place: TestFolder
  private let child: Child

  /// Where the program is; nil where it could not be had.
  public static var program: FilePath? {
    let path = FilePath(#filePath).removingLastComponent().pushing("../../.build/sshd/sshd")
      .lexicallyNormalized()
    return access(path.string, X_OK) == 0 ? path : nil
  }

  /// The host's name, and what is run to get there: for `--to` and `--ssh`.
  public let host = "elsewhere"
  public var command: String { "ssh -F \(place.path)/config -o BatchMode=yes" }

  public init() throws {
    guard let program = ThrowAwaySSH.program else { throw Trouble("there is no sshd") }
    place = try TestFolder(on: .disk, owner: FakeHost.owner)
    let folder = place.path.string
    let port = try FreePort.find()
    for key in ["host", "user"] {
      try Tool.demand("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "\(folder)/\(key)")
    }
    try ThrowAwaySSH.write(
      """
      ListenAddress 127.0.0.1
      Port \(port)
      HostKey \(folder)/host
      AuthorizedKeysFile \(folder)/user.pub
      PidFile none
      StrictModes no
      UsePAM no
      PasswordAuthentication no
      """, to: "\(folder)/sshd_config")
    try ThrowAwaySSH.write(
      """
      Host elsewhere
        HostName 127.0.0.1
        Port \(port)
        User \(FakeHost.owner)
        IdentityFile \(folder)/user
        IdentitiesOnly yes
        UserKnownHostsFile /dev/null
        StrictHostKeyChecking no
        LogLevel ERROR
      """, to: "\(folder)/config")
    try TestFolder.give(place.path, to: FakeHost.owner)
    let become =
      Account.effectiveUser == 0
      ? ["--reuid", FakeHost.owner, "--regid", FakeHost.owner, "--init-groups", "--"] : ["--"]
    let log = try OpenFile.open(place.path.appending("log"), .update(permissions: 0o600))
    child = try Child.start(
      "/usr/bin/setpriv", become + [program.string, "-D", "-e", "-f", "\(folder)/sshd_config"],
      environment: [
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": program.removingLastComponent().appending("lib").string,
      ], output: log)
    for _ in 0..<100 {
      if try Tool.run(["ssh", "-F", "\(folder)/config", host, "true"]).status == 0 { return }
      Clock.sleep(milliseconds: 100)
    }
    throw Trouble("sshd does not answer: \(try Tool.demand("cat", "\(folder)/log"))")
  }

  deinit {
    child.signalGroup(SIGTERM)
    _ = child.wait()
  }

  private static func write(_ text: String, to path: String) throws {
    let file = try OpenFile.open(FilePath(path), .update(permissions: 0o600))
    try file.writeAll(Array((text + "\n").utf8))
    try file.close()
  }
}
