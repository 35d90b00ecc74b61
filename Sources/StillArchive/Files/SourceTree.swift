import StillModel
import StillSystem
import SystemPackage

/// A folder to be copied, with everything that decides what of it is: the data directory, a
/// tablespace, or any other.
public struct SourceTree: Sendable {
  public enum Kind: Sendable {
    case dataDirectory(Exclusions)
    /// A tablespace's folder. Only the folder of one major version and catalog in it is the
    /// cluster's, `PG_15_202209061`; there may be others of other clusters.
    case tablespace(oid: UInt32, versionFolder: String, Exclusions)
    /// Nothing is left out; the members' names begin with `prefix`.
    case other(prefix: FilePath)
  }

  public var kind: Kind
  public var root: OpenFolder
  /// File systems mounted inside, by where, counted from `root`.
  public var grafts: [FilePath: OpenFolder] = [:]
  /// Folders inside, counted from `root`, that have archives of their own: tablespaces somebody
  /// put into the data directory.
  public var elsewhere: Set<FilePath> = []
  /// False for a running server's live files, which may vanish and change while they are read.
  public var isFrozen = true
  /// True where nobody else reads these files, as on a snapshot: the page cache need not keep them.
  public var isReadOnce = false
  /// Files, counted from `root`, whose content is not taken as it is but as this makes it.
  public var rewrites: [FilePath: @Sendable ([UInt8]) throws -> [UInt8]] = [:]
  /// Where the cluster has data checksums: what to check them against.
  public var pageCheck: PageCheck?

  public init(_ kind: Kind, root: OpenFolder) {
    self.kind = kind
    self.root = root
  }

  /// What stands before the tree's paths in the manifest.
  public var manifestPrefix: FilePath {
    switch kind {
    case .dataDirectory, .other: FilePath("")
    case .tablespace(let oid, _, _): FilePath("pg_tblspc/\(oid)")
    }
  }

  /// What stands before the tree's paths in the archive.
  var archivePrefix: FilePath {
    if case .other(let prefix) = kind { prefix } else { FilePath("") }
  }

  var exclusions: Exclusions? {
    switch kind {
    case .dataDirectory(let exclusions), .tablespace(_, _, let exclusions): exclusions
    case .other: nil
    }
  }

  public var isDataDirectory: Bool {
    if case .dataDirectory = kind { true } else { false }
  }
}
