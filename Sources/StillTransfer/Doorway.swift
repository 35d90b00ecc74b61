import Glibc
import StillModel
import StillSystem
import SystemPackage

/// A door into this host for one guest: an sshd of our own on loopback, with keys that were made for it,
/// which lets nobody in who does not have them, and him as the user that this process is. It is closed,
/// and the keys are gone, when this is dropped.
///
/// sshd(8) may be run by anybody; it lets in nobody but that user then.
public final class Doorway {
  /// Where it is on loopback.
  public let port: Int
  private let folder: PrivateFolder
  private let door: Child

  /// - Parameter program: sshd, and its arguments. It starts itself anew, and so wants an absolute path.
  /// - Throws: `.precondition` where there is no sshd, or it does not start, with its words.
  public init(program: [String]) throws {
    guard let path = program.first, path.hasPrefix("/"),
      try FileMetadata.ifPresent(at: FilePath(path)) != nil
    else {
      throw StillError(
        .precondition, "there is no \(program.first ?? "sshd") on this host",
        hint: "Install it (apt install openssh-server), or say where it is: --sshd PATH.")
    }
    guard let user = Account.of(user: Account.effectiveUser)?.name else {
      throw StillError(
        .precondition, "this host has no name for user \(Account.effectiveUser)",
        hint: "Add the user.")
    }
    host = "\(user)@\(Doorway.hostName)"
    folder = try PrivateFolder()
    for name in [Doorway.hostKey, Doorway.guestKey] {
      try Doorway.makeKey(folder.path.appending(name))
    }
    // Nothing but orders, and from where the tunnel ends.
    try folder.write(
      "guests", "restrict,from=\"127.0.0.1\" \(folder.read("\(Doorway.guestKey).pub"))")
    (port, door) = try Doorway.open(program, folder)
  }

  deinit {
    door.signalGroup(SIGTERM)
    _ = door.wait()
  }

  /// Whom it lets in, and where: `postgres@db2`.
  public let host: String

  /// What the guest is told. Only once: no key that opens the door stays on this host.
  ///
  /// - Parameters:
  ///   - guest: what this host calls his cluster.
  ///   - port: on his loopback.
  public func invite(_ guest: String, from port: Int) throws -> Invitation {
    let key = try folder.read(Doorway.guestKey)
    try folder.remove(Doorway.guestKey)
    return Invitation(
      host: host, guest: guest, port: port, key: key,
      hostKey: try folder.read("\(Doorway.hostKey).pub"))
  }

  private static let hostKey = "host"
  private static let guestKey = "guest"

  /// Below the ports that the kernel gives away by itself (ip(7), "ip_local_port_range").
  public static func randomPort() -> Int { .random(in: 20000..<32768) }

  private static func makeKey(_ path: FilePath) throws {
    let errand = try Errand(
      [
        Rsync.path(of: "ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "pgstill", "-f",
        path.string,
      ], environment: Rsync.environment)
    guard errand.wait(atMost: 30) == 0 else {
      errand.end()
      throw StillError(.precondition, "no key can be made: \(errand.failure)")
    }
  }

  private static func open(
    _ program: [String], _ folder: PrivateFolder
  ) throws -> (Int, Child) {
    var said = ""
    // Unknown before OpenSSH 9.8, where nobody is punished for what others do.
    var further = "PerSourcePenalties no"
    // Somebody else may have the port.
    for _ in 0..<10 {
      let port = randomPort()
      try folder.write("settings-\(port)", settings(folder.path, port) + further)
      let talk = try OpenFile.inMemory()
      let door = try Child.start(
        program[0],
        program.dropFirst() + ["-D", "-e", "-f", "\(folder.path)/settings-\(port)"],
        environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"],
        input: OpenFile.open("/dev/null"), output: talk, isTied: true)
      let watch = Stopwatch()
      while watch.seconds < 10 {
        let hasEnded = door.statusIfEnded() != nil
        said = try words(talk)
        if said.contains("Server listening on 127.0.0.1 port \(port)") { return (port, door) }
        if hasEnded { break }
        Clock.sleep(milliseconds: 10)
      }
      if watch.seconds >= 10 {
        door.signalGroup(SIGKILL)
        _ = door.wait()
      }
      if said.contains("PerSourcePenalties"), !further.isEmpty {
        further = ""
      } else if !said.contains("Address already in use") {
        break
      }
    }
    var failure = StillError(
      .precondition, "\(program[0]) does not start",
      hint: "Another sshd can be named with --sshd PATH.")
    failure.further = said.split(whereSeparator: \.isNewline).suffix(4).map(String.init)
    throw failure
  }

  /// sshd_config(5). Paths above a temporary folder belong to others, which StrictModes would mind; in the
  /// folder nobody else can write.
  private static func settings(_ folder: FilePath, _ port: Int) -> String {
    """
    ListenAddress 127.0.0.1
    Port \(port)
    HostKey "\(folder)/\(hostKey)"
    AuthorizedKeysFile "\(folder)/guests"
    PidFile none
    StrictModes no
    UsePAM no
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    AllowAgentForwarding no
    AllowTcpForwarding no
    AllowStreamLocalForwarding no
    X11Forwarding no
    PermitTunnel no
    PermitUserRC no
    PrintMotd no
    LoginGraceTime 20
    MaxStartups 1000

    """
  }

  /// What it said so far, read without moving where it goes on writing.
  private static func words(_ talk: OpenFile) throws -> String {
    var bytes = [UInt8](repeating: 0, count: 16 << 10)
    let count = try bytes.withUnsafeMutableBytes { try talk.readFully(into: $0, at: 0) }
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  /// How this host is called in messages of the other one, which does not need it to get here.
  private static var hostName: String {
    let name = Host.name.filter { $0.isLetter || $0.isNumber || ".-_".contains($0) }
    return name.isEmpty || name.hasPrefix("-") ? "target" : name
  }
}
