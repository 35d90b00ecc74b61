import StillModel
import StillSystem
import SystemPackage

/// A look at every name of a folder, and what can have changed since an earlier one.
///
/// What a file's content was changed at, the kernel writes down as its time of change, and nobody can
/// set that: not utimes(2), not a rename over it, not a truncate. It is written before the content
/// is, and by a clock that lags by a tick: so a file counts as changed from a margin before the
/// moment that is asked about. Only a folder that is moved does not show in the files below it; for
/// that, folders are known by their numbers.
struct FileSurvey {
  /// How long before a moment a file may have been given the time of a change whose content came after it:
  /// a write is given its time first, and may then wait for the journal of a disk that stalls. In
  /// nanoseconds.
  struct Margin {
    /// For what lies in the folder itself, and for what lies in the folders below.
    var top: Int64
    var below: Int64

    init(_ nanoseconds: Int64) { (top, below) = (nanoseconds, nanoseconds) }

    init(top: Margin, below: Margin) { (self.top, self.below) = (top.top, below.below) }

    /// Where anybody may be writing.
    static let long = Margin(180_000_000_000)
    /// Where whoever was writing is through: for the ticks of the clock.
    static let short = Margin(1_000_000_000)
  }

  /// When it began, by the wall clock, in nanoseconds.
  private(set) var moment: Int64
  private(set) var files: UInt64 = 0
  /// Content of the files, in bytes.
  private(set) var bytes: UInt64 = 0
  /// Files that can have changed since the earlier look, counted from the root; empty without one.
  private(set) var changed: [FilePath] = []
  /// Of them, those that changed within the margin before this look.
  private(set) var recentFiles: UInt64 = 0
  private(set) var recentBytes: UInt64 = 0
  private let margin: Margin
  private let clockOffset: Int64
  private let proof: ChangeProof.Place?
  private let refusesLink: (FilePath) -> Bool
  private var folders: [FilePath: UInt64] = [:]

  /// - Parameters:
  ///   - proof: what tells which files can have changed, and better than times do.
  ///   - moment: by the wall clock; before the folder was frozen, where it is.
  ///   - excluded: paths that are passed by, counted from the root.
  ///   - earlier: of the same folder; nil for the first time.
  ///   - clockOffset: see `Clock.offset`.
  ///   - isLive: names may vanish under the look.
  ///   - refusesLink: whether a link may not be at a path.
  init(
    _ root: OpenFolder, excluding excluded: Set<FilePath>, since earlier: FileSurvey? = nil,
    proof: ChangeProof.Place? = nil, moment: Int64 = Clock.wall(),
    margin: Margin = .long, clockOffset: Int64 = Clock.offset(), isLive: Bool,
    refusesLink: @escaping (FilePath) -> Bool = { _ in false },
    _ cancellation: Cancellation
  ) throws {
    self.moment = moment
    self.proof = proof
    self.margin = margin
    self.clockOffset = clockOffset
    self.refusesLink = refusesLink
    // A clock that was set back gives times to what is written now that are long over.
    let isSetBack =
      earlier.map {
        clockOffset < $0.clockOffset - min($0.margin.top, $0.margin.below) / 2
      } ?? false
    try look(
      at: root, FilePath(""), excluded, earlier, isMoved: isSetBack, isLive: isLive, cancellation)
  }

  /// What was changed before this moment in the folder at a path has been looked at with its content.
  private func settled(at path: FilePath) -> Int64 {
    moment - (path.isEmpty ? margin.top : margin.below)
  }

  private mutating func look(
    at folder: OpenFolder, _ path: FilePath, _ excluded: Set<FilePath>, _ earlier: FileSurvey?,
    isMoved: Bool, isLive: Bool, _ cancellation: Cancellation
  ) throws {
    try cancellation.checkpoint()
    let number = try folder.metadata().inode
    folders[path] = number
    let isMoved = isMoved || earlier.map { $0.folders[path] != number } ?? false
    for name in try folder.names() {
      let inner = path.isEmpty ? name : path.appending(name.components)
      if excluded.contains(inner) { continue }
      guard
        let metadata =
          isLive ? try folder.metadataIfPresent(of: name) : try folder.metadata(of: name)
      else { continue }
      switch metadata.kind {
      case .folder:
        let child: OpenFolder
        do { child = try folder.folder(name) } catch {
          if isLive, try folder.metadataIfPresent(of: name) == nil { continue }
          throw error
        }
        try look(
          at: child, inner, excluded, earlier, isMoved: isMoved, isLive: isLive, cancellation)
      case .file:
        files += 1
        bytes += metadata.size
        if metadata.changed >= settled(at: path) {
          recentFiles += 1
          recentBytes += metadata.size
        }
        if let proof {
          if isMoved || proof.frozen.canDiffer(inner, metadata, proof.written) {
            changed.append(inner)
          }
        } else if let earlier, isMoved || metadata.changed >= earlier.settled(at: path) {
          changed.append(inner)
        }
      case .link where refusesLink(inner):
        throw StillError(
          .precondition,
          "\(folder.path.appending(name.components)) is a link: a server in the new place would write "
            + "into the old one's files",
          hint: "Put what it leads to back there, on another disk if need be by a mount "
            + "(mount --bind), or move tables to a tablespace.")
      case .link, .other: break
      }
    }
  }
}
