import Glibc
import StillModel

/// A program that was sent to do something, and is looked after until it has ended.
public final class Errand {
  /// As a person would type it, for messages.
  public let line: String
  private let child: Child
  private let output: OpenFile?
  private var endStatus: Int32?
  private let watch = Stopwatch()

  /// - Parameters:
  ///   - words: the absolute path of a program, and its arguments.
  ///   - keepsOutput: whether what it says is kept for messages. If not, it goes to our own stderr:
  ///     for what may leave a process behind that goes on writing.
  ///   - socket: its descriptor 3, if it is to have one.
  public init(
    _ words: [String], environment: [String: String], keepsOutput: Bool = true,
    socket: Int32? = nil
  ) throws {
    guard let program = words.first else { throw StillError(.failed, "no program is named") }
    line = ShellWords.line(words)
    output = keepsOutput ? try .inMemory() : nil
    let talk = try output ?? .copyOfStandardError()
    let input = try OpenFile.open("/dev/null")
    child = try Child.start(
      program, Array(words.dropFirst()), environment: environment, input: input,
      output: talk, third: socket)
  }

  /// Seconds since it was started.
  public var seconds: Double { watch.seconds }

  /// Its exit status, 128 and the signal that ended it; nil while it runs.
  public var status: Int32? {
    if endStatus == nil { endStatus = child.statusIfEnded() }
    return endStatus
  }

  /// Waits for its end, but no longer than so many seconds; its exit status, nil if it still runs.
  @discardableResult
  public func wait(atMost limit: Double) -> Int32? {
    let watch = Stopwatch()
    while status == nil, watch.seconds < limit { Clock.sleep(milliseconds: 10) }
    return endStatus
  }

  /// Ends it, with all that it started.
  public func end() {
    guard status == nil else { return }
    child.signalGroup(SIGTERM)
    if wait(atMost: 2) == nil {
      child.signalGroup(SIGKILL)
      wait(atMost: 10)
    }
  }

  /// Everything that it said.
  public func allLines() throws -> [String] {
    guard let output else { return [] }
    try output.rewind()
    return String(decoding: try output.readAll(), as: UTF8.self).split(whereSeparator: \.isNewline)
      .map(String.init)
  }

  /// The first line of what it said.
  public var firstLine: String {
    guard let output else { return "" }
    var bytes = [UInt8](repeating: 0, count: 512)
    let count = (try? bytes.withUnsafeMutableBytes { try output.readFully(into: $0, at: 0) }) ?? 0
    return String(
      decoding: bytes[..<count].prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }

  /// The last lines of what it said so far, in one.
  public var words: String { lines.joined(separator: "; ") }

  /// The last lines of what it said so far.
  public var lines: [String] {
    guard let output, let size = try? output.metadata().size else { return [] }
    let start = size > 4096 ? size - 4096 : 0
    var bytes = [UInt8](repeating: 0, count: Int(size - start))
    let count =
      (try? bytes.withUnsafeMutableBytes { try output.readFully(into: $0, at: start) }) ?? 0
    return String(decoding: bytes[..<count], as: UTF8.self).split(whereSeparator: \.isNewline)
      .suffix(6).map(String.init)
  }

  /// `pg_ctl stop … ended with status 1: what it said`
  public var failure: String {
    let how = status.map { "ended with status \($0)" } ?? "has not ended"
    return words.isEmpty ? "\(line) \(how)" : "\(line) \(how): \(words)"
  }
}
