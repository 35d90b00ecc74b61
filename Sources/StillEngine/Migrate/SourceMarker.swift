import FoundationEssentials
import StillModel
import StillPostgres
import StillSystem
import SystemPackage

/// The note in the old data directory from before its server is stopped until it is known what became of
/// the move: where the cluster goes, and what brings it back. Once everything is copied the control file
/// has another name, so that nobody starts the old server by mistake: there would be two of one system
/// identifier.
struct SourceMarker {
  private struct Note: Codable {
    var plan: MigrationPlan
    /// How another host is reached; nil where only that can ask us to come.
    var remoteShell: [String]?
    /// What the target calls this cluster, where it asked for the move.
    var pulledAs: String?
    var began: CalendarTime
    var server: ServerSwitch
  }

  /// In the data directory; no pass copies it.
  static let name = "pgstill.migration"
  private static let newName: FilePath = "pgstill.migration-new"
  private static let controlFile: FilePath = "pg_control"
  private static let movedControlFile: FilePath = "pg_control.moved"

  private let folder: OpenFolder
  private let note: Note

  /// Leaves the note; nothing else changes yet. One of an earlier run, which died, is replaced.
  static func leave(
    in folder: OpenFolder, _ plan: MigrationPlan, _ server: ServerSwitch, remoteShell: [String],
    pulledAs: String?
  ) throws -> SourceMarker {
    // A way that ends with this run is nobody's later; what lay there then could be anybody's.
    let note = Note(
      plan: plan, remoteShell: pulledAs == nil ? remoteShell : nil, pulledAs: pulledAs,
      began: Clock.now(), server: server)
    let marker = SourceMarker(folder: folder, note: note)
    try marker.write()
    return marker
  }

  /// The note that was left in a data directory; nil where there is none.
  static func find(in folder: OpenFolder) throws -> SourceMarker? {
    guard try folder.metadataIfPresent(of: FilePath(name)) != nil else { return nil }
    do {
      let note = try JSONDecoder().decode(
        Note.self, from: Data(folder.file(FilePath(name)).readAll()))
      return SourceMarker(folder: folder, note: note)
    } catch let failure as DecodingError {
      throw StillError(.failed, "\(folder.path)/\(name) cannot be read: \(failure)")
    }
  }

  var plan: MigrationPlan { note.plan }
  var remoteShell: [String]? { note.remoteShell }
  var pulledAs: String? { note.pulledAs }
  var undoLine: String { SourceMarker.undoLine(folder.path, pulledAs: note.pulledAs) }
  var server: ServerSwitch { note.server }
  var word: MigrationWord { MigrationWord(of: note.plan.id) }

  /// Whether no server can be started on the old data directory.
  var isMoved: Bool {
    get throws {
      // One beside a control file is of an earlier time.
      let global = try folder.folder("global")
      return try global.metadataIfPresent(of: SourceMarker.controlFile) == nil
        && global.metadataIfPresent(of: SourceMarker.movedControlFile) != nil
    }
  }

  /// The control file, under whichever name it has, and its permissions.
  func controlFile() throws -> (bytes: [UInt8], mode: UInt32) {
    let name = try isMoved ? SourceMarker.movedControlFile : SourceMarker.controlFile
    let file = try folder.folder("global").file(name)
    return (try file.readAll(), try file.metadata().mode)
  }

  /// Refuses to begin where a cluster was moved away.
  ///
  /// - Throws: `.precondition` with where to, and the way back.
  static func requireHere(_ folder: OpenFolder) throws {
    guard let marker = try find(in: folder), try marker.isMoved else { return }
    throw StillError(
      .precondition, "the cluster of \(folder.path) was moved to \(marker.plan.target)",
      hint: "To go back: " + marker.undoLine)
  }

  /// The words that bring the old server back.
  static func undoLine(_ folder: FilePath, pulledAs: String?) -> String {
    guard let pulledAs else {
      return "pgstill migrate --undo --pgdata " + ShellWords.quoted(folder.string)
    }
    return "(on the target) pgstill migrate --undo --from " + ShellWords.quoted(pulledAs)
  }

  /// Takes the control file out of the way.
  func move() throws {
    let global = try folder.folder("global")
    try global.rename(SourceMarker.controlFile, to: SourceMarker.movedControlFile)
    try global.sync()
  }

  /// Makes it a data directory again that a server starts on. The note stays, for that has not happened
  /// yet.
  func takeBack() throws {
    guard try isMoved else { return }
    let global = try folder.folder("global")
    try global.rename(SourceMarker.movedControlFile, to: SourceMarker.controlFile)
    try global.sync()
  }

  /// Nothing is left to be brought back.
  func remove() throws {
    guard try folder.metadataIfPresent(of: FilePath(SourceMarker.name)) != nil else { return }
    try folder.remove(FilePath(SourceMarker.name))
    try folder.sync()
  }

  private func write() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    if try folder.metadataIfPresent(of: SourceMarker.newName) != nil {
      try folder.remove(SourceMarker.newName)
    }
    let file = try folder.file(SourceMarker.newName, .create(permissions: 0o600))
    try file.writeAll(Array(encoder.encode(note)) + [UInt8(ascii: "\n")])
    try file.sync()
    try file.close()
    try folder.rename(SourceMarker.newName, to: FilePath(SourceMarker.name))
    try folder.sync()
  }
}
