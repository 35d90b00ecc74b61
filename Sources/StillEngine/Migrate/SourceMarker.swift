import FoundationEssentials
import StillModel
import StillPostgres
import StillSystem
import SystemPackage

/// The note in the old data directory while it is given up, and after: where the cluster went, and
/// what brings it back. Once everything is copied the control file has another name, so that nobody
/// starts the old server by mistake: there would be two of one system identifier.
struct SourceMarker {
  private struct Note: Codable {
    var migration: RunID
    var target: MigrationTarget
    var stopped: CalendarTime
    /// Whether the control file has its other name.
    var isMoved: Bool
    var control: ServerControl
  }

  /// In the data directory; no pass copies it.
  static let name = "pgstill.migration"
  private static let newName: FilePath = "pgstill.migration-new"
  private static let controlFile: FilePath = "pg_control"
  private static let movedControlFile: FilePath = "pg_control.moved"

  private let folder: OpenFolder
  private var note: Note

  /// Leaves the note; nothing else changes yet.
  static func leave(
    in folder: OpenFolder, _ plan: MigrationPlan
  ) throws -> SourceMarker {
    let note = Note(
      migration: plan.id, target: plan.target, stopped: Clock.now(), isMoved: false,
      control: plan.control)
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

  var target: MigrationTarget { note.target }
  var control: ServerControl { note.control }

  /// The words that bring the old server back.
  static func undoLine(_ folder: FilePath) -> String {
    "pgstill migrate --undo --pgdata " + ShellWords.quoted(folder.string)
  }

  /// Takes the control file out of the way.
  mutating func move() throws {
    note.isMoved = true
    try write()
    let global = try folder.folder("global")
    try global.rename(SourceMarker.controlFile, to: SourceMarker.movedControlFile)
    try global.sync()
  }

  /// Makes it a data directory again that a server starts on.
  mutating func takeBack() throws {
    let global = try folder.folder("global")
    if try global.metadataIfPresent(of: SourceMarker.movedControlFile) != nil {
      // Whatever else has that name now was made by nobody who knew.
      guard try global.metadataIfPresent(of: SourceMarker.controlFile) == nil else {
        throw StillError(
          .precondition, "\(global.path) holds a pg_control beside pg_control.moved",
          hint: "See which of them is the cluster's, and remove the other one.")
      }
      try global.rename(SourceMarker.movedControlFile, to: SourceMarker.controlFile)
      try global.sync()
    }
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
