import StillModel
import SystemPackage

/// What rsync says of its work, read line by line.
public struct RsyncReport: Hashable, Sendable {
  /// Files that were looked at, folders and links included.
  public private(set) var entries: UInt64 = 0
  /// Regular files whose content was sent.
  public private(set) var files: UInt64 = 0
  /// Content of those, in bytes.
  public private(set) var bytes: UInt64 = 0
  /// Content of all regular files that were looked at, in bytes; what links say counts, too.
  public private(set) var size: UInt64 = 0
  /// What of it really went over to the other side, in bytes.
  public private(set) var sent: UInt64 = 0
  /// Entries that were removed from the target.
  public private(set) var removed: UInt64 = 0
  /// Files whose content differs while size and time of modification are the same: of an audit.
  public private(set) var unlike: [FilePath] = []
  /// What is missing, too much or unlike by its content: of an audit. Not what has another owner, mode or
  /// time only.
  public private(set) var differing: [FilePath] = []
  /// What it had to say beside that, the last lines.
  public private(set) var talk: [String] = []

  public init() {}

  /// Adds what another order came to.
  public mutating func add(_ other: RsyncReport) {
    entries = max(entries, other.entries)
    size = max(size, other.size)
    files += other.files
    bytes += other.bytes
    sent += other.sent
    removed += other.removed
    unlike += other.unlike
    differing += other.differing
    talk = (talk + other.talk).suffix(RsyncReport.kept)
  }

  private static let kept = 8

  /// What a line of an audit begins with.
  static let auditMark = "audit: "

  /// Takes a line.
  ///
  /// - Returns: for a line of progress, how many bytes of content are through so far.
  mutating func take(_ line: String) -> UInt64? {
    if line.hasPrefix(Self.auditMark) {
      takeAudit(line.dropFirst(Self.auditMark.count))
      return nil
    }
    // The other process writes its complaints where the line of progress ends.
    for start in ["rsync: ", "rsync error: "] {
      guard let range = line.firstRange(of: start), range.lowerBound > line.startIndex else {
        continue
      }
      let through = take(String(line[..<range.lowerBound]))
      _ = take(String(line[range.lowerBound...]))
      return through
    }
    // `    123456789  45%  101.11MB/s    0:00:12 (xfr#4, to-chk=5/10)`
    let words = line.split(separator: " ")
    if words.count >= 4, words[1].hasSuffix("%"), words[2].hasSuffix("/s") {
      return UInt64(words[0])
    }
    func number(after title: String) -> UInt64? {
      guard line.hasPrefix(title) else { return nil }
      let text = line.dropFirst(title.count).drop { $0 == " " }.prefix { $0.isNumber }
      return UInt64(text)
    }
    if let count = number(after: "Number of files:") {
      entries = count
    } else if let count = number(after: "Number of regular files transferred:") {
      files = count
    } else if let count = number(after: "Total file size:") {
      size = count
    } else if let count = number(after: "Total transferred file size:") {
      bytes = count
    } else if let count = number(after: "Total bytes sent:") {
      sent = count
    } else if let count = number(after: "Number of deleted files:") {
      removed = count
    } else if !RsyncReport.figures.contains(where: line.hasPrefix), !words.isEmpty {
      talk = (talk + [line]).suffix(RsyncReport.kept)
    }
    return nil
  }

  /// `>fc........ base/1/1259` (rsync(1), "--itemize-changes") is unlike: its content differs, and neither
  /// size nor time. `cL+++++++++ log` is made anew, `*deleting   base/1/1260` is too much, and of what begins with a
  /// dot only owner, mode or time are others.
  private mutating func takeAudit(_ line: Substring) {
    let parts = line.split(separator: " ", maxSplits: 1)
    guard parts.count == 2 else { return }
    let flags = Array(parts[0])
    let path = FilePath(bytes: RsyncReport.unescaped(parts[1].drop { $0 == " " }))
    guard let first = flags.first, flags.count > 4, first != "." else { return }
    differing.append(path)
    guard "<>".contains(first), flags[1] == "f", flags[2] == "c", flags[3] == ".", flags[4] == "."
    else { return }
    unlike.append(path)
  }

  /// rsync writes what cannot be printed as `\#` and three octal digits.
  static func unescaped(_ name: Substring) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = Array(name.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), rest.first == UInt8(ascii: "#"),
        let value = UInt8(String(decoding: rest.dropFirst().prefix(3), as: UTF8.self), radix: 8)
      {
        bytes.append(value)
        rest = rest.dropFirst(4)
      } else {
        bytes.append(byte)
      }
    }
    return bytes
  }

  /// The rest of the figures, which nobody asked for.
  private static let figures = [
    "Number of", "Total ", "Literal data:", "Matched data:", "File list ", "sent ", "total size is",
  ]
}
