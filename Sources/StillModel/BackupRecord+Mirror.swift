extension BackupRecord {
  /// What a backup holds that is a plain tree of files.
  public struct Mirror: Hashable, Sendable, Codable {
    /// The data directory, a tablespace, the WAL, or configuration: what is an archive elsewhere, and
    /// called as that.
    public struct Part: Hashable, Sendable, Codable {
      /// `base`, `pg_wal`, `config`, or a tablespace's OID.
      public var name: String
      public var files: Int
      /// Of content.
      public var bytes: UInt64
      /// Counted from the part's own folder, like every path here; the manifest lists no folders.
      public var folders: [RecordedPath]
      public var links: [Link]
      /// Files that the manifest says nothing of: WAL, configuration.
      public var unlisted: [File]

      /// Of all parts but tablespaces.
      static let names: Set<String> = ["base", "pg_wal", "config"]

      public init(
        name: String, files: Int, bytes: UInt64, folders: [RecordedPath], links: [Link],
        unlisted: [File]
      ) {
        self.name = name
        self.files = files
        self.bytes = bytes
        self.folders = folders
        self.links = links
        self.unlisted = unlisted
      }
    }

    public struct Link: Hashable, Sendable, Codable {
      public var path: RecordedPath
      public var target: RecordedPath

      public init(path: RecordedPath, target: RecordedPath) {
        self.path = path
        self.target = target
      }
    }

    public struct File: Hashable, Sendable, Codable {
      public var path: RecordedPath
      /// In bytes.
      public var size: UInt64
      /// The algorithm, a colon, hexadecimal digits.
      public var checksum: String

      public init(path: RecordedPath, size: UInt64, checksum: String) {
        self.path = path
        self.size = size
        self.checksum = checksum
      }
    }

    /// What of the content is on the disk how, in bytes.
    public struct Sharing: Hashable, Sendable, Codable {
      /// Files that are the earlier backup's own, under another name.
      public var linked: UInt64 = 0
      /// Blocks that files of their own share with the earlier backup's.
      public var cloned: UInt64 = 0
      public var written: UInt64 = 0

      public init() {}
    }

    /// The backup that files are shared with; nil where there was none.
    public var sharedWith: RunID?
    public var sharing: Sharing
    public var parts: [Part]
    /// In the order of their paths.
    public var apart: [Apart]
    /// How many more there are than `mostApart`; what those had is lost.
    public var moreApart: Int

    public init(
      sharedWith: RunID?, sharing: Sharing, parts: [Part], apart: [Apart] = [], moreApart: Int = 0
    ) {
      self.sharedWith = sharedWith
      self.sharing = sharing
      self.parts = parts
      self.apart = apart
      self.moreApart = moreApart
    }
  }

  public var kind: BackupFormat { mirror == nil ? .tar : .mirror }

  /// The content of one part of the backup, in bytes: `base`, `pg_wal`, `16402`.
  public func bytes(ofPart name: String) -> UInt64 {
    if let mirror { return mirror.parts.first { $0.name == name }?.bytes ?? 0 }
    return archives.first { $0.name.hasPrefix(name + ".tar") }?.bytesRead ?? 0
  }
}
