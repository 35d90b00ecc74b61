/// The version of an rsync program.
public struct RsyncVersion: Hashable, Sendable, Comparable, CustomStringConvertible {
  public var major: Int
  public var minor: Int
  public var patch: Int

  public init(_ major: Int, _ minor: Int, _ patch: Int) {
    (self.major, self.minor, self.patch) = (major, minor, patch)
  }

  /// The oldest one that is used: before it there is no `--fsync` (rsync's NEWS.md, 3.2.4), and
  /// arguments for the other side could be taken apart by its shell.
  public static let oldest = RsyncVersion(3, 2, 4)

  /// Reads the first line of `rsync --version`: `rsync  version 3.2.7  protocol version 31`. Packagers
  /// put letters before the number and behind it: `v3.2.7`, `3.4.0pre1`.
  public init?(output: String) {
    let words = output.split(whereSeparator: \.isNewline).first?.split(separator: " ") ?? []
    guard words.count > 2, words[0] == "rsync", words[1] == "version" else { return nil }
    let numbers = words[2].drop { !$0.isNumber }.split(separator: ".")
      .map { Int($0.prefix { $0.isNumber && $0.isASCII }) }
    guard numbers.count >= 3, let major = numbers[0], let minor = numbers[1],
      let patch = numbers[2]
    else { return nil }
    self.init(major, minor, patch)
  }

  public var description: String { "\(major).\(minor).\(patch)" }

  public static func < (left: RsyncVersion, right: RsyncVersion) -> Bool {
    (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
  }
}
