import Glibc
import StillModel
import StillSystem

/// A program that runs others on another host: ssh.
public struct RemoteShell: Hashable, Sendable {
  /// `[USER@]HOST`
  public let host: String
  /// The program and its arguments, without the host. rsync is given the same.
  public let words: [String]

  /// Nobody is there to type a password, or to see a question about a key.
  public static let standardWords = ["ssh", "-o", "BatchMode=yes"]
  /// Added to any ssh: a network that swallows everything must not keep a server down.
  private static let limits = [
    "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o",
    "ServerAliveCountMax=3",
  ]

  public init(host: String, words: [String] = RemoteShell.standardWords) {
    self.host = host
    let isSSH = words.first?.split(separator: "/").last == "ssh"
    self.words = words + (isSSH ? RemoteShell.limits : [])
  }

  /// What a program over there said.
  public struct Answer: Sendable {
    public var status: Int32
    public var output: [UInt8]
    public var text: String {
      var text = String(decoding: output, as: UTF8.self)
      while text.last?.isNewline == true { text.removeLast() }
      return text
    }
  }

  /// Runs a script of /bin/sh over there.
  ///
  /// - Parameters:
  ///   - script: one of ours; everything that is not goes into `arguments`, `$1` and so on.
  ///   - input: what it reads on stdin.
  /// - Returns: what it printed, its exit status with it.
  /// - Throws: `.precondition` where the host cannot be reached, with ssh's words.
  public func run(
    _ script: String, _ arguments: [String] = [], input: [UInt8] = [],
    _ cancellation: Cancellation = Cancellation()
  ) throws -> Answer {
    // ssh hands one line to the other side's shell, whatever it was given (ssh(1), "DESCRIPTION").
    let line = ShellWords.line(["/bin/sh", "-c", script, "sh"] + arguments)
    let stdin = try OpenFile.inMemory()
    try stdin.writeAll(input)
    try stdin.rewind()
    let output = try OpenFile.inMemory()
    let talk = try OpenFile.inMemory()
    let program = try Rsync.path(of: words.first ?? "ssh")
    let child = try Child.start(
      program, Array(words.dropFirst()) + ["--", host, line], environment: Rsync.environment,
      input: stdin, output: output, errors: talk)
    let status = try cancellation.interrupting({ child.signalGroup(SIGTERM) }) { child.wait() }
    try output.rewind()
    let answer = Answer(status: status, output: try output.readAll())
    // 255 is ssh's own.
    guard status != 255 else {
      try talk.rewind()
      let said = String(decoding: try talk.readAll(), as: UTF8.self)
        .split(whereSeparator: \.isNewline)
      var failure = StillError(
        .precondition, "\(host) cannot be reached with \(words.joined(separator: " "))",
        hint: "It has to work without a password: ssh-copy-id, or --ssh with other options.")
      failure.further = said.suffix(4).map(String.init)
      throw failure
    }
    return answer
  }

  /// The same for a script that has to succeed.
  ///
  /// - Throws: `.copying` with what it said on stderr.
  @discardableResult
  public func demand(
    _ script: String, _ arguments: [String] = [], input: [UInt8] = []
  ) throws -> Answer {
    let answer = try run("exec 2>&1; " + script, arguments, input: input)
    guard answer.status == 0 else {
      throw StillError(
        .copying, "on \(host): \(answer.text.isEmpty ? "status \(answer.status)" : answer.text)")
    }
    return answer
  }
}
