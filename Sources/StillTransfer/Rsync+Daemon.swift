import StillModel
import StillSystem
import SystemPackage

extension Rsync {
  /// In seconds.
  static let connectionLimit = "--contimeout=10"
  /// Where nobody may say for how long he is silent, the network at least says whether it is there.
  static let keepAlive = "--sockopts=SO_KEEPALIVE"
  /// Where nobody is silent while he works.
  static let daemonLimits = [connectionLimit, "--timeout=60"]
}

/// Small things for which a daemon knows no other way than a transfer.
extension Rsync {
  /// What a daemon says of a name in a folder.
  public struct Listed: Hashable, Sendable {
    public var name: String
    /// In bytes; of a link, of what it says.
    public var size: UInt64
  }

  /// The names in a folder of a daemon; nil where there is none.
  ///
  /// - Parameter url: `rsync://HOST/MODULE/DIR/`
  /// - Throws: `.precondition` where the daemon cannot be reached, or refuses.
  public func names(at url: String) throws -> [String]? { try list(url)?.map(\.name) }

  /// The same, with sizes.
  public func list(_ url: String) throws -> [Listed]? {
    let (status, text) = try run(["--list-only", "--no-human-readable", "--", url])
    if status == 23, isMissing(text) { return nil }
    guard status == 0 else { throw refused(url, status, text) }
    // `drwx------          4,096 2026/11/21 20:15:00 name`
    return text.split(whereSeparator: \.isNewline).compactMap { line in
      let words = line.split(separator: " ", maxSplits: 4, omittingEmptySubsequences: true)
      guard words.count == 5, words[0].count == 10 else { return nil }
      let name = words[4].drop { $0 == " " }
      let size = UInt64(words[1].filter(\.isNumber)) ?? 0
      return name == "." ? nil : Listed(name: String(name), size: size)
    }
  }

  /// Fetches one file. - Returns: false where there is none.
  public func fetch(_ url: String, into folder: FilePath) throws -> Bool {
    let (status, text) = try run(["--times", "--", url, folder.string + "/"])
    if status == 23, isMissing(text) { return false }
    guard status == 0 else { throw refused(url, status, text) }
    return true
  }

  /// Makes the folders that a folder holds; those that are there stay as they are.
  public func makeFolders(_ folder: FilePath, at url: String) throws {
    let (status, text) = try run(["--recursive", "--", folder.string + "/", url])
    guard status == 0 else { throw refused(url, status, text) }
  }

  /// Sends one file, with its owner where the daemon may set that, and puts it on the disk.
  ///
  /// - Parameter url: of a folder that is there.
  public func send(file: FilePath, to url: String) throws {
    let words = ["--owner", "--group", "--numeric-ids", "--fsync", "--", file.string, url]
    let (status, text) = try run(words)
    guard status == 0 else { throw refused(url, status, text) }
  }

  /// Removes one file of a folder, and nothing else.
  ///
  /// - Parameter empty: an empty folder of this host.
  public func remove(_ name: String, from url: String, empty: FilePath) throws {
    let words = [
      "--recursive", "--delete", "--include=/" + RsyncOrder.literal(name), "--exclude=*", "--",
      empty.string + "/", url,
    ]
    let (status, text) = try run(words)
    guard status == 0 else { throw refused(url, status, text) }
  }

  /// Status 23 is that of a name that is not there, and of one that may not be looked at: the numbers of the
  /// errors say which (errno(3)), for the words are in the daemon's language.
  private func isMissing(_ text: String) -> Bool {
    let numbers = text.split(whereSeparator: \.isNewline).compactMap { line -> String? in
      // What the daemon says; the end of the connection is a complaint of this side's.
      guard line.hasPrefix("rsync: [sender] "), line.hasSuffix(")"),
        let open = line.lastIndex(of: "(")
      else { return nil }
      return String(line[line.index(after: open)...].dropLast())
    }
    return !numbers.isEmpty && numbers.allSatisfy { $0 == "2" }
  }

  private func run(_ words: [String]) throws -> (status: Int32, text: String) {
    let output = try OpenFile.inMemory()
    let child = try Child.start(
      program.string, Rsync.daemonLimits + words, environment: Rsync.environment,
      input: OpenFile.open("/dev/null"), output: output, isTied: true)
    let status = child.wait()
    try output.rewind()
    return (status, String(decoding: try output.readAll(), as: UTF8.self))
  }

  private func refused(_ url: String, _ status: Int32, _ text: String) -> StillError {
    var failure = StillError(
      .precondition, "\(url): rsync ended with status \(status)",
      hint: "See whether the daemon runs, knows the module, and may write there.")
    failure.further = text.split(whereSeparator: \.isNewline).suffix(4).map(String.init)
    return failure
  }
}
