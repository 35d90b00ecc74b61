import SystemPackage

/// Where the parts of a backup lie that is a plain tree.
public enum MirrorPart {
  public static let data = FilePath("data")
  public static let wal = FilePath("data/pg_wal")
  public static let tablespaces = FilePath("tablespaces")
  public static let configuration = FilePath("config")

  /// The folder of a part, counted from the backup's.
  public static func folder(of part: String) -> FilePath {
    switch part {
    case "base": data
    case "pg_wal": wal
    case "config": configuration
    default: tablespaces.appending(part)
    }
  }

  /// Folders in a part's own that are other parts.
  public static func elsewhere(of part: String) -> Set<FilePath> {
    part == "base" ? ["pg_wal"] : []
  }

  /// What a link to a tablespace says in a mirror: a copy of the tree is whole in itself, and a server
  /// that is started on it writes nowhere else.
  static func target(ofTablespace oid: UInt32) -> FilePath {
    FilePath("../../tablespaces/\(oid)")
  }
}
