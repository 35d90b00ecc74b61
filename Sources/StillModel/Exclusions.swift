import SystemPackage

/// What a file-system-level backup of a cluster leaves out, and why: the rules of the server's own
/// base backup (src/backend/backup/basebackup.c: excludeDirContents, excludeFiles, sendDir; manual,
/// "Backing Up the Data Directory").
///
/// Pure: it looks at names only. Folders whose content is left out are kept as empty folders,
/// because the server does not start without them.
public struct Exclusions: Sendable {
  public enum Pattern: Hashable, Sendable {
    /// The content of a folder right in the data directory; the folder stays, with these empty
    /// folders in it.
    case contents(of: String, keeping: [String] = [])
    /// A file or folder of that name, at any depth.
    case name(String)
    /// Whatever begins so, at any depth.
    case prefix(String)
    /// Relations of sessions' temporary tables, in a database's folder.
    case temporaryRelations
    /// All forks but `_init` of a relation that has an `_init` fork, in a database's folder. Only
    /// recovery makes the others anew; see `init`.
    case unloggedRelations
  }

  public struct Rule: Hashable, Sendable {
    public var pattern: Pattern
    public var reason: String
    /// The first major version of PostgreSQL that the rule is for.
    public var since: Int

    public init(_ pattern: Pattern, _ reason: String, since: Int = 0) {
      self.pattern = pattern
      self.reason = reason
      self.since = since
    }
  }

  /// The one table.
  public static let table: [Rule] = [
    Rule(
      .contents(of: "pg_wal", keeping: ["archive_status"]),
      "the WAL that recovery needs has an archive of its own"),
    Rule(
      .contents(of: "pg_wal", keeping: ["archive_status", "summaries"]),
      "the WAL that recovery needs has an archive of its own", since: 17),
    Rule(
      .contents(of: "pg_replslot"),
      "a restored server must not hold WAL back for the replicas of the old one"),
    Rule(.contents(of: "pg_dynshmem"), "shared memory of the running server"),
    Rule(.contents(of: "pg_notify"), "emptied by every start"),
    Rule(.contents(of: "pg_serial"), "emptied by every start"),
    Rule(.contents(of: "pg_snapshots"), "snapshots that sessions of the running server exported"),
    Rule(.contents(of: "pg_stat_tmp"), "statistics of the running server"),
    Rule(.contents(of: "pg_subtrans"), "emptied by every start"),
    Rule(.name("postmaster.pid"), "says that the server runs, which the restored one does not"),
    Rule(.name("postmaster.opts"), "how the running server was started"),
    Rule(.name("postgresql.auto.conf.tmp"), "ALTER SYSTEM at work"),
    Rule(.name("current_logfiles.tmp"), "the log collector at work"),
    Rule(.name("backup_label"), "belongs to another backup, and would misguide recovery"),
    Rule(.name("tablespace_map"), "belongs to another backup, and would misguide recovery"),
    Rule(.name("backup_manifest"), "belongs to another backup"),
    Rule(.prefix("pg_internal.init"), "a cache that the server builds anew"),
    Rule(.prefix("pgsql_tmp"), "temporary files of running queries"),
    Rule(.name(".DS_Store"), "litter of a file manager"),
    Rule(.name("lost+found"), "belongs to the file system, not to the cluster"),
    Rule(.temporaryRelations, "temporary tables end with their session"),
    Rule(
      .unloggedRelations, "unlogged tables are empty after recovery, made from their _init fork"),
  ]

  /// What to do with a name.
  public enum Verdict: Hashable, Sendable {
    case keep
    case leaveOut(reason: String)
    /// Keep it as a folder, even where it is a link, with nothing in it but these empty folders.
    case empty(keeping: [String], reason: String)
  }

  private let emptied: [FilePath: Verdict]
  private let exact: [[UInt8]: Verdict]
  private let prefixes: [(prefix: [UInt8], verdict: Verdict)]
  private let temporary: Verdict
  private let unlogged: Verdict

  /// The rules for a major version of PostgreSQL, 13 and up.
  ///
  /// `isCleanlyShutDown` says that the control file to be copied has the state "shut down". A server
  /// that starts from it does no recovery, and only recovery gives unlogged tables their main fork
  /// back (src/backend/storage/file/reinit.c, ResetUnloggedRelations): without it the tables could
  /// not be opened, so they are kept then, content and all.
  ///
  /// The content of the folders
  /// `furtherEmptied` of the data directory is left out as well, such as what
  /// `stats_temp_directory` names (PostgreSQL 14 and older).
  public init(majorVersion: Int, isCleanlyShutDown: Bool, furtherEmptied: [FilePath] = []) {
    var emptied: [FilePath: Verdict] = [:]
    var exact: [[UInt8]: Verdict] = [:]
    var prefixes: [([UInt8], Verdict)] = []
    var temporary = Verdict.keep
    var unlogged = Verdict.keep
    for rule in Exclusions.table where rule.since <= majorVersion {
      let leaveOut = Verdict.leaveOut(reason: rule.reason)
      switch rule.pattern {
      case .contents(let folder, let kept):
        emptied[FilePath(folder)] = .empty(keeping: kept, reason: rule.reason)
      case .name(let name): exact[Array(name.utf8)] = leaveOut
      case .prefix(let prefix): prefixes.append((Array(prefix.utf8), leaveOut))
      case .temporaryRelations: temporary = leaveOut
      case .unloggedRelations: unlogged = isCleanlyShutDown ? .keep : leaveOut
      }
    }
    for path in furtherEmptied {
      emptied[path] = .empty(keeping: [], reason: "statistics of the running server")
    }
    self.emptied = emptied
    self.exact = exact
    self.prefixes = prefixes
    self.temporary = temporary
    self.unlogged = unlogged
  }

  /// The rules for one folder, which holds `names`. It is counted from the data directory, `base/5`;
  /// a tablespace's with `pg_tblspc/OID` in front.
  public func inFolder(_ folder: FilePath, names: [[UInt8]]) -> FolderExclusions {
    let hasRelations = RelationFileName.areIn(folder)
    var withInitFork: Set<UInt32> = []
    if hasRelations, unlogged != .keep {
      for name in names {
        if let file = RelationFileName(name), file.fork == .initial {
          withInitFork.insert(file.relation)
        }
      }
    }
    return FolderExclusions(
      rules: self, folder: folder, hasRelations: hasRelations, withInitFork: withInitFork)
  }

  /// See `inFolder`.
  public struct FolderExclusions: Sendable {
    fileprivate let rules: Exclusions
    fileprivate let folder: FilePath
    fileprivate let hasRelations: Bool
    fileprivate let withInitFork: Set<UInt32>

    public func verdict(on name: [UInt8]) -> Verdict {
      if let verdict = rules.exact[name] { return verdict }
      for (prefix, verdict) in rules.prefixes where name.starts(with: prefix) { return verdict }
      if hasRelations {
        if RelationFileName.isTemporary(name) { return rules.temporary }
        if let file = RelationFileName(name), file.fork != .initial,
          withInitFork.contains(file.relation)
        {
          return rules.unlogged
        }
      }
      // Only the data directory's own folders, and what was added, are emptied.
      return rules.emptied[folder.appending(FilePath(bytes: name).components)] ?? .keep
    }
  }
}
