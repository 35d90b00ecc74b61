import StillModel
import SystemPackage

/// What rsync is told to do, as one of the few ways that are right for a PostgreSQL cluster, or a backup
/// of one. There is no way to say anything else: no `--size-only`, `--append` or `--update`, which take
/// files for equal that are not; no `--inplace`, which leaves a file that is neither when it is
/// interrupted, and writes into older backups through hard links.
public struct RsyncOrder: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    /// Everything; what is the same in size and time, to the nanosecond, is taken for equal. What the
    /// target has and the source has not is removed.
    case update
    /// Everything, and nothing is taken for equal whose content was not read on both sides. Removes
    /// like `update`.
    case compareEverything
    /// Only these files, by their content; paths are counted from the source. Removes nothing.
    case compare([FilePath])
    /// Says which files are unlike by their content, and changes nothing: of everything, or of these only.
    case audit(only: [FilePath]?)
    /// A backup into a folder of its own, by content. What is there under its name in the backup `sharing`,
    /// which lies beside that folder, with the same content, owner, mode and time, becomes another name of
    /// that (`--link-dest`); of what differs there, only the difference goes over. Removes what an attempt
    /// before it left.
    case backup(sharing: RunID?)
    /// Says what of a backup is missing, too much or unlike by its content, and changes nothing.
    case difference

    /// The files that are named; nil for all.
    fileprivate var named: [FilePath]? {
      switch self {
      case .update, .compareEverything, .backup, .difference: nil
      case .compare(let paths): paths
      case .audit(let paths): paths
      }
    }

    /// Whether it changes nothing.
    var isAudit: Bool {
      switch self {
      case .audit, .difference: true
      default: false
      }
    }
  }

  public var kind: Kind
  /// Patterns of what is neither copied nor removed (rsync(1), "FILTER RULES").
  public var excluded: [String]
  /// Whether files may vanish while they are looked at: those of a running server only.
  public var isLive: Bool
  /// The other host's shell: a program and its arguments; empty for this host and for a daemon.
  public var remoteShell: [String]
  /// Whether each file is put on the disk before its name counts. Where the target can be synced as a
  /// whole that is faster.
  public var syncsEachFile: Bool
  /// Whether the target keeps times to the nanosecond. Where not, whole seconds are compared: what
  /// changed within one of them goes by its content.
  public var keepsNanoseconds: Bool
  /// Bytes a second that are sent at most.
  public var rateLimit: UInt64?

  public init(
    _ kind: Kind, excluded: [String] = [], isLive: Bool, remoteShell: [String] = [],
    syncsEachFile: Bool = false, keepsNanoseconds: Bool = true, rateLimit: UInt64? = nil
  ) {
    self.kind = kind
    self.excluded = excluded
    self.isLive = isLive
    self.remoteShell = remoteShell
    self.syncsEachFile = syncsEachFile
    self.keepsNanoseconds = keepsNanoseconds
    self.rateLimit = rateLimit
  }

  /// The words after the program's name. The source is a descriptor, so that no path of it is ever taken
  /// for a host or an option; and a folder that is mounted nowhere, as a snapshot is, can be no working
  /// folder: rsync asks for its path first of all (util1.c, change_dir).
  ///
  /// - Parameter target: a folder, `HOST:FOLDER` or `rsync://…`.
  func words(to target: String) -> [String] {
    // -a lacks hard links, ACLs and attributes; owners go by number, for the names of another host
    // are others.
    var words = ["-aHAX", "--numeric-ids"]
    switch kind {
    case .update: words += ["--delete", modifyWindow]
    case .compareEverything: words += ["--delete", "--checksum"]
    case .compare: words.append("--checksum")
    case .audit:
      words += [
        "--checksum", modifyWindow, "--dry-run", "--out-format=\(RsyncReport.auditMark)%i %n",
      ]
    case .backup(let earlier):
      words += ["--delete", "--checksum"]
      // Seen from the folder that is filled; a run's name holds nothing that leads elsewhere.
      if let earlier { words.append("--link-dest=../\(earlier)") }
    case .difference:
      words += [
        "--delete", "--checksum", "--dry-run", "--out-format=\(RsyncReport.auditMark)%i %n",
      ]
    }
    // One name after the other on stdin, each ended by a zero byte.
    if kind.named != nil { words += ["--from0", "--files-from=-"] }
    words += excluded.map { "--exclude=\($0)" }
    if syncsEachFile, !kind.isAudit { words.append("--fsync") }
    if let rateLimit { words.append("--bwlimit=\(max(1, rateLimit / 1024))") }
    // Words are kept together by quotes; rsync takes them apart itself, without a shell (rsync(1),
    // "--rsh").
    if !remoteShell.isEmpty {
      words.append("--rsh=" + remoteShell.map(RsyncOrder.quoted).joined(separator: " "))
    }
    // A network that swallows everything; ssh has limits of its own.
    if target.hasPrefix("rsync://") { words += daemonLimits }
    // One that is gone when it is its turn is no error then.
    if isLive, kind.named != nil { words.append("--ignore-missing-args") }
    // Plain numbers, one line each.
    words += [
      "--no-human-readable", "--info=progress2,stats2", "--outbuf=L", "--", Rsync.source, target,
    ]
    return words
  }

  private var modifyWindow: String { "--modify-window=\(keepsNanoseconds ? -1 : 0)" }

  private var daemonLimits: [String] {
    if case .update = kind { return Rsync.daemonLimits }
    // While this side reads what it compares, it says nothing, and the other one would take that for death.
    return [Rsync.connectionLimit, Rsync.keepAlive]
  }

  /// Within double quotes rsync knows no escapes, but a doubled quote stands for one.
  private static func quoted(_ word: String) -> String {
    "\"" + word.replacing("\"", with: "\"\"") + "\""
  }

  /// What rsync is to read on stdin: nil for nothing.
  var list: [UInt8]? {
    guard let paths = kind.named else { return nil }
    var bytes: [UInt8] = []
    for path in paths {
      // Else a name that begins with # or ; is a comment.
      bytes += Array("./".utf8)
      path.withPlatformString { pointer in
        var next = pointer
        while next.pointee != 0 {
          bytes.append(UInt8(bitPattern: next.pointee))
          next += 1
        }
      }
      bytes.append(0)
    }
    return bytes
  }
}

extension RsyncOrder {
  /// A path over there goes through a shell, or through rsync itself, which take some of its characters for
  /// patterns, with or without --secluded-args (rsync(1)): `new[1]` would be the folder `new1`, where one is.
  ///
  /// - Throws: `.usage`
  public static func requirePlain(_ path: String) throws {
    guard let bad = path.first(where: { "*?[\\".contains($0) }) else { return }
    throw StillError(
      .usage, "\(path) has a \(bad) in it, which rsync takes for a pattern over there",
      hint: "Name another folder, and rename it afterwards, or make a link to it.")
  }

  /// A path as a pattern that matches nothing else. A backslash means something only where there is a
  /// wildcard too (rsync(1), "PATTERN MATCHING RULES").
  public static func literal(_ path: String) -> String {
    guard path.contains(where: { "*?[".contains($0) }) else { return path }
    return path.map { "*?[\\".contains($0) ? "\\\($0)" : String($0) }.joined()
  }
}
