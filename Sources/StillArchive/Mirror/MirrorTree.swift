import StillModel
import StillSystem
import SystemPackage

/// A backup that is a plain tree of files, while it grows: the data directory in `data`, with its WAL,
/// tablespaces in `tablespaces/OID`, configuration from elsewhere in `config`. A server starts on a
/// copy of it as it is.
public final class MirrorTree {
  /// What is done with a file that is to get its name last of all.
  private static let waitingSuffix = ".unfinished"
  /// Counted from the backup's folder.
  private static let controlPath = FilePath("data").pushing(TreeWalk.controlPath)

  let crew: WorkCrew
  let tools: WorkCrew.Tools
  let progress: @Sendable (UInt64) -> Void
  let restorer = AttributeRestorer(names: AccountNames())
  let cancellation: Cancellation?
  private let root: OpenFolder
  /// The backup that files are shared with.
  private let earlier: OpenFolder?
  private let totals = MirrorTotals()
  private let grain: TimeGrain
  /// In the order in which they were made, counted from the backup's folder.
  private var folders: [(path: FilePath, member: TarMember)] = []
  /// The folder of the last file; files of one folder stand together.
  private var parent: (path: FilePath, folder: OpenFolder, earlier: OpenFolder?)
  private var isControlFileWaiting = false

  /// - Parameters:
  ///   - root: the backup's folder, empty.
  ///   - earlier: another mirror's folder in the same repository; nil shares nothing.
  ///   - progress: called with every number of bytes read, by several threads.
  public init(
    _ root: OpenFolder, earlier: OpenFolder?, workers: Int, cancellation: Cancellation? = nil,
    progress: @escaping @Sendable (UInt64) -> Void = { _ in }
  ) throws {
    self.root = root
    self.earlier = earlier
    self.cancellation = cancellation
    self.progress = progress
    grain = try TimeGrain(of: root)
    crew = try WorkCrew(workers: workers, cancellation: cancellation)
    tools = WorkCrew.Tools { try cancellation?.checkpoint() }
    parent = (FilePath(""), root, earlier)
  }

  /// Gives the control file its name, and folders what they had, the inner ones first: what is made in a
  /// folder changes its time, and a folder may forbid writing in it.
  public func finish() throws {
    try crew.drain()
    var summary = UnpackSummary()
    if isControlFileWaiting {
      let place = try place(Self.controlPath)
      try place.folder.rename(Self.waiting(place.name), to: place.name)
    }
    for (path, member) in folders.reversed() {
      let folder = try root.folder(path)
      let lost = summary.lostAttributes
      try restorer.restore(member, folder, &summary)
      noteApart(
        member, at: path, try folder.metadata(), hasAttributes: summary.lostAttributes == lost)
    }
    totals.add(.init(), summary)
  }

  public var sharing: BackupRecord.Mirror.Sharing { totals.sharing }

  /// What inodes of it could not take, and of how many more that is not known.
  public var apart: ([BackupRecord.Mirror.Apart], more: Int) { totals.apart }

  /// What could not be made as it was, for the user.
  public var notes: [String] { totals.notes }

  func rules(
    _ checksum: ChecksumAlgorithm, isFrozen: Bool, isReadOnce: Bool
  ) -> MirroredFile.Rules {
    MirroredFile.Rules(
      checksum: checksum, isFrozen: isFrozen, isReadOnce: isReadOnce, restorer: restorer,
      grain: grain, totals: totals, progress: progress)
  }

  func add(_ sharing: BackupRecord.Mirror.Sharing, _ summary: UnpackSummary) {
    totals.add(sharing, summary)
  }

  /// Remembers what the inode that was made of a member could not take.
  func noteApart(
    _ member: TarMember, at path: FilePath, _ inode: FileMetadata, hasAttributes: Bool
  ) {
    let apart = member.apart(
      at: path, from: inode, hasAttributes: hasAttributes, restorer.names)
    if let apart { totals.add(apart) }
  }

  /// Makes a folder where it is missing, and those above it.
  ///
  /// - Returns: those that were made.
  func makeFolder(_ path: FilePath) throws -> [FilePath] {
    var made: [FilePath] = []
    var (folder, above) = (root, FilePath(""))
    for component in path.components {
      let name = FilePath(root: nil, [component])
      above.append(component)
      if try folder.metadataIfPresent(of: name) == nil {
        try folder.makeFolder(name, permissions: 0o700)
        made.append(above)
      }
      folder = try folder.folder(name)
    }
    return made
  }

  /// What a folder gets in the end.
  func remember(_ path: FilePath, _ member: TarMember) { folders.append((path, member)) }

  /// Where a file goes, counted from the backup's folder; the folder has to be there.
  func place(_ path: FilePath) throws -> MirrorPlace {
    guard let (above, name) = path.divided else {
      throw StillError(.failed, "a file without a name is to be copied")
    }
    if above != parent.path {
      parent = (above, try root.folder(above), earlier.flatMap { try? $0.folder(above) })
    }
    return MirrorPlace(folder: parent.folder, name: name, earlier: parent.earlier)
  }

  /// The same; the control file waits for its name, and is nobody else's.
  func placeForWriting(_ path: FilePath) throws -> MirrorPlace {
    var place = try place(path)
    guard path == Self.controlPath else { return place }
    try crew.drain()
    isControlFileWaiting = true
    place.name = Self.waiting(place.name)
    place.earlier = nil
    return place
  }

  private static func waiting(_ name: FilePath) -> FilePath {
    FilePath(bytes: name.bytes + Array(waitingSuffix.utf8))
  }
}
