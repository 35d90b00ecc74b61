import Glibc
import StillModel
import StillSystem
import Synchronization
import SystemPackage

/// The rsync program of this host.
public struct Rsync: Sendable {
  /// Absolute.
  public let program: FilePath
  public let version: RsyncVersion

  /// Looks the program up in PATH.
  ///
  /// - Throws: `.precondition` where it is missing, or older than `RsyncVersion.oldest`.
  public static func find() throws -> Rsync {
    let path = try path(of: "rsync")
    let errand = try Errand([path, "--version"], environment: environment)
    errand.wait(atMost: 10)
    return Rsync(
      program: FilePath(path), version: try requireVersion(errand.firstLine, "this host"))
  }

  /// Looks a program up in PATH. - Returns: its absolute path.
  static func path(of program: String) throws -> String {
    if program.hasPrefix("/") { return program }
    let folders = (Environment.value("PATH") ?? "/usr/bin:/bin").split(separator: ":")
    for folder in folders where folder.hasPrefix("/") {
      let path = FilePath(String(folder)).appending(program)
      if (try? OpenFile.open(path.resolved())) != nil { return path.string }
    }
    throw StillError(
      .precondition, "there is no \(program) on this host",
      hint: "Install it: apt install \(program).")
  }

  /// Looks for rsync on another host.
  ///
  /// - Throws: as `find`.
  public static func requireVersion(on shell: RemoteShell) throws {
    let answer = try shell.run("exec rsync --version")
    _ = try requireVersion(answer.text, shell.host)
  }

  private static func requireVersion(_ output: String, _ host: String) throws -> RsyncVersion {
    guard let version = RsyncVersion(output: output) else {
      throw StillError(
        .precondition, "there is no rsync on \(host)", hint: "Install it: apt install rsync.")
    }
    guard version >= .oldest else {
      throw StillError(
        .precondition, "rsync on \(host) is \(version), and \(RsyncVersion.oldest) is needed",
        hint: "Install a newer one.")
    }
    return version
  }

  /// What it is run with: its messages in English, and an agent of ssh's if there is one.
  static var environment: [String: String] {
    Environment.all.filter {
      ["PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "RSYNC_PASSWORD"].contains($0.key)
    }
    .merging(["LC_ALL": "C"]) { $1 }
  }

  /// Carries out one order.
  ///
  /// - Parameters:
  ///   - source: whose content is copied; never followed from anywhere else.
  ///   - target: a folder, `HOST:FOLDER` or `rsync://…`.
  ///   - progress: called with every number of bytes of content that is through.
  /// - Throws: `.copying` with what rsync said; the reason of a cancellation.
  public func run(
    _ order: RsyncOrder, from source: OpenFolder, to target: String, _ cancellation: Cancellation,
    progress: (UInt64) -> Void = { _ in }
  ) throws -> RsyncReport {
    var attempt = 1
    while true {
      do {
        return try runOnce(order, from: source, to: target, cancellation, progress)
      } catch let failure as Unfinished {
        // A file that was cut off while it was read, as a server does it with a table: the next
        // time it is what it is.
        let isWorthIt = order.isLive && failure.status == 23 && attempt < Rsync.attempts
        guard isWorthIt else { throw failure.error }
        attempt += 1
      }
    }
  }

  /// The folder that is copied, as rsync finds it: its descriptor 3.
  static let source = "/proc/self/fd/3/"

  /// How often an order is carried out on live files that change under it.
  private static let attempts = 3

  private struct Unfinished: Error {
    var status: Int32
    var error: StillError
  }

  private func runOnce(
    _ order: RsyncOrder, from source: OpenFolder, to target: String, _ cancellation: Cancellation,
    _ progress: (UInt64) -> Void
  ) throws -> RsyncReport {
    let words = order.words(to: target)
    let talk = try OpenFile.pipe()
    let list = try order.list.map { bytes in
      let file = try OpenFile.inMemory()
      try file.writeAll(bytes)
      try file.rewind()
      return file
    }
    try cancellation.checkpoint()
    let child = try Child.start(
      program.string, words, environment: Rsync.environment,
      input: list ?? OpenFile.open("/dev/null"), output: talk.writing,
      third: source.descriptor, isTied: true)
    try talk.writing.close()
    var status: Int32?
    do {
      return try cancellation.interrupting({ child.signalGroup(SIGTERM) }) {
        let report = try read(talk.reading, progress)
        let ended = child.wait()
        status = ended
        do { try order.judge(ended, report, source.path) } catch let error as StillError {
          throw Unfinished(status: ended, error: error)
        }
        return report
      }
    } catch {
      // Nobody may be left behind who goes on writing.
      if status == nil {
        child.signalGroup(SIGTERM)
        _ = child.wait()
      }
      throw error
    }
  }

  private func read(_ talk: OpenFile, _ progress: (UInt64) -> Void) throws -> RsyncReport {
    var report = RsyncReport()
    var line: [UInt8] = []
    var through: UInt64 = 0
    func end() {
      if let now = report.take(String(decoding: line, as: UTF8.self)), now > through {
        progress(now - through)
        through = now
      }
      line.removeAll(keepingCapacity: true)
    }
    try withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
      while true {
        let count = try talk.readSome(into: buffer)
        if count == 0 { break }
        for byte in buffer[..<count] {
          // Progress is written over itself.
          if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") {
            end()
          } else {
            line.append(byte)
          }
        }
      }
    }
    end()
    return report
  }
}

extension RsyncOrder {
  /// What an exit status means (rsync(1), "EXIT VALUES").
  ///
  /// - Throws: `.copying` unless everything is where it should be.
  func judge(_ status: Int32, _ report: RsyncReport, _ source: FilePath) throws {
    // 24: some files vanished before they could be transferred. A running server drops tables.
    if status == 0 || (status == 24 && isLive) { return }
    var failure = StillError(
      .copying, "rsync of \(source) ended with status \(status): \(RsyncOrder.meaning(status))",
      hint: RsyncOrder.hint(status))
    failure.further = report.talk
    throw failure
  }

  private static func meaning(_ status: Int32) -> String {
    switch status {
    case 10: "the connection broke off"
    case 11: "a file could not be read or written"
    case 12: "the other side did not speak its protocol"
    case 20, 130, 143: "it was told to stop"
    case 23: "some files were not transferred"
    case 24: "files vanished that cannot vanish"
    case 25: "it was not to remove so much"
    case 30, 35: "the other side did not answer in time"
    case 127, 255: "the other host could not be reached"
    default: "it failed"
    }
  }

  private static func hint(_ status: Int32) -> String {
    switch status {
    case 24: "Something else removes files there; nothing may while the server is down."
    case 11, 23: "The lines below say which; often the target's disk is full."
    case 12, 30, 35, 127, 255: "See whether the other host answers, and whether it has rsync."
    default: "The lines below say why."
    }
  }
}
