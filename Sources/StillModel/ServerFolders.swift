import SystemPackage

/// The folders of a data directory whose files are the cluster itself.
///
/// A link in the place of one of them, or of anything below, is something that no backup can have: what
/// it leads to is not copied, and a server that is started on a copy follows it and writes to the files
/// of the original. The only links that the server makes there itself are those to tablespaces.
public enum ServerFolders {
  /// The manual, "Database File Layout"; those whose content a backup leaves out are not among them.
  public static let names: Set<FilePath> = [
    "base", "global", "pg_xact", "pg_multixact", "pg_commit_ts", "pg_twophase", "pg_logical",
    "pg_tblspc", "pg_stat",
  ]

  /// Those that a cluster is whole without: counters, which the server removes at its start and after a
  /// crash does not even read (src/backend/utils/activity/pgstat.c).
  public static let dispensable: Set<FilePath> = ["pg_stat"]

  /// Whether a link at `path`, counted from the data directory, would be in the place of the cluster's
  /// own files.
  public static func own(linkAt path: FilePath) -> Bool {
    guard let first = path.components.first, names.contains(FilePath(root: nil, [first])) else {
      return false
    }
    return tablespace(ofLinkAt: path) == nil
  }

  /// The OID of the tablespace that `pg_tblspc/16402` leads to; nil for every other path.
  public static func tablespace(ofLinkAt path: FilePath) -> UInt32? {
    guard path.components.count == 2, path.starts(with: "pg_tblspc") else { return nil }
    return path.lastComponent.flatMap { tablespace(named: $0.string) }
  }

  /// The OID that a name in `pg_tblspc` is, as the server writes it; nil for every other name.
  public static func tablespace(named name: String) -> UInt32? {
    UInt32(name).flatMap { $0 > 0 && String($0) == name ? $0 : nil }
  }

  /// Why nothing is backed up.
  public static func refusal(of path: FilePath, in root: FilePath) -> StillError {
    StillError(
      .precondition,
      "\(root.pushing(path)) is a link: what it leads to would not be in the backup, and a server "
        + "that is started on a restored copy would write to it",
      hint:
        "Put the folder itself back there, on another disk if need be by a mount (mount --bind), "
        + "or move tables to a tablespace.")
  }
}
