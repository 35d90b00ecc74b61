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
  /// Seconds for a small thing, however slow a disk over there is.
  public static let patience = 60.0

  public init(host: String, words: [String] = RemoteShell.standardWords) {
    self.host = host
    let isSSH = words.contains { $0.split(separator: "/").last == "ssh" }
    self.words = words + (isSSH ? RemoteShell.limits : [])
  }

  /// What a program over there said.
  public struct Answer: Sendable {
    public var status: Int32
    public var output: [UInt8]
    /// What it said on stderr, and ssh with it.
    public var complaint: String
    public var text: String { RemoteShell.trimmed(output) }
  }

  /// A script that runs over there.
  public final class Job {
    private let shell: RemoteShell
    private let child: Child
    private let output: OpenFile
    private let talk: OpenFile
    private var answered: Answer?

    fileprivate init(_ shell: RemoteShell, _ words: [String], input: [UInt8]) throws {
      self.shell = shell
      // ssh hands one line to the other side's shell, whatever it was given (ssh(1), "DESCRIPTION").
      let line = ShellWords.line(words)
      let stdin = try OpenFile.inMemory()
      try stdin.writeAll(input)
      try stdin.rewind()
      output = try OpenFile.inMemory()
      talk = try OpenFile.inMemory()
      child = try Child.start(
        Rsync.path(of: shell.words.first ?? "ssh"),
        Array(shell.words.dropFirst()) + ["--", shell.host, line],
        environment: Rsync.environment, input: stdin, output: output, errors: talk, isTied: true)
    }

    /// What came of it; nil as long as it runs.
    ///
    /// - Throws: `.failed`, as whatever it was needed for, where the host cannot be reached, with ssh's
    ///   words.
    public func answer() throws -> Answer? {
      if let answered { return answered }
      guard let status = child.statusIfEnded() else { return nil }
      try output.rewind()
      try talk.rewind()
      let answer = Answer(
        status: status, output: try output.readAll(),
        complaint: RemoteShell.trimmed(try talk.readAll()))
      answered = answer
      // 255 is ssh's own.
      guard status != 255 else {
        var failure = StillError(
          .failed, "\(shell.host) cannot be reached with \(shell.words.joined(separator: " "))",
          hint: "It has to work without a password: ssh-copy-id, or --ssh with other options.")
        failure.further = answer.complaint.split(whereSeparator: \.isNewline).suffix(4)
          .map(String.init)
        throw failure
      }
      return answer
    }

    /// Waits for it no longer; over there it may go on.
    public func end() {
      guard answered == nil else { return }
      child.signalGroup(SIGTERM)
      let watch = Stopwatch()
      while watch.seconds < 2 {
        if child.statusIfEnded() != nil { return }
        Clock.sleep(milliseconds: 5)
      }
      child.signalGroup(SIGKILL)
      _ = child.wait()
    }
  }

  /// Starts a program over there, whose stderr is our own. It ends when the thread does that calls this.
  ///
  /// - Parameters:
  ///   - options: of ssh's, for this connection.
  ///   - input: what it reads on stdin.
  ///   - output: its stdout, where that is not our own.
  public func start(
    _ program: [String], with options: [String], input: OpenFile, output: OpenFile? = nil
  ) throws -> Child {
    try Child.start(
      Rsync.path(of: words.first ?? "ssh"),
      words.dropFirst() + options + ["--", host, ShellWords.line(program)],
      environment: Rsync.environment, input: input, output: output,
      errors: output == nil ? nil : .copyOfStandardError(), isTied: true)
  }

  /// Starts a script of /bin/sh over there.
  ///
  /// - Parameters:
  ///   - script: one of ours; everything that is not goes into `arguments`, `$1` and so on.
  ///   - input: what it reads on stdin.
  public func begin(
    _ script: String, _ arguments: [String] = [], input: [UInt8] = []
  ) throws -> Job {
    try Job(self, ["/bin/sh", "-c", script, "sh"] + arguments, input: input)
  }

  /// Runs a script of /bin/sh over there.
  ///
  /// - Parameters:
  ///   - limit: seconds that it may take; nil for as long as it takes.
  /// - Returns: what it printed, its exit status with it.
  /// - Throws: `.failed`, as whatever it was needed for, where the host cannot be reached, or is not done
  ///   in time.
  public func run(
    _ script: String, _ arguments: [String] = [], input: [UInt8] = [],
    limit: Double? = RemoteShell.patience, _ cancellation: Cancellation = Cancellation()
  ) throws -> Answer {
    let job = try begin(script, arguments, input: input)
    let watch = Stopwatch()
    do {
      while true {
        if let answer = try job.answer() { return answer }
        try cancellation.checkpoint()
        if let limit, watch.seconds > limit {
          throw StillError(
            .failed, "\(host) has not answered for \(Figures.duration(limit))",
            hint: "See what keeps it busy: often a disk that hangs.")
        }
        Clock.sleep(milliseconds: 5)
      }
    } catch {
      job.end()
      throw error
    }
  }

  /// The same for a script that has to succeed.
  ///
  /// - Throws: `.failed`, as whatever it was needed for, with what it said on stderr.
  @discardableResult
  public func demand(
    _ script: String, _ arguments: [String] = [], input: [UInt8] = [],
    limit: Double? = RemoteShell.patience, _ cancellation: Cancellation = Cancellation()
  ) throws -> Answer {
    let answer = try run(script, arguments, input: input, limit: limit, cancellation)
    guard answer.status == 0 else {
      let said = [answer.text, answer.complaint].filter { !$0.isEmpty }.joined(separator: "; ")
      throw StillError(.failed, "on \(host): \(said.isEmpty ? "status \(answer.status)" : said)")
    }
    return answer
  }

  private static func trimmed(_ bytes: [UInt8]) -> String {
    var text = String(decoding: bytes, as: UTF8.self)
    while text.last?.isNewline == true { text.removeLast() }
    return text
  }
}
