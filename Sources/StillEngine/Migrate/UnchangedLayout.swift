import StillModel
import StillPostgres
import StillSystem
import SystemPackage

extension LiveCluster {
  /// A tablespace that came or went since the plan was made is in no pass, and its link would lead the
  /// new server into the old one's files.
  ///
  /// - Throws: `.copying` with what changed.
  func requireUnchangedLayout() throws {
    let folder = directory.folder
    try requireSameTablespaces(folder, layout, "since the passes were planned")
    guard try (folder.metadata(of: "pg_wal").kind == .link) == layout.walIsLinked else {
      throw StillError(
        .copying, "\(folder.path)/pg_wal was moved since the passes were planned",
        hint: "Run the migration again.")
    }
  }
}

extension ServerSwitch {
  /// - Throws: `.postgres` where a server runs on the data directory, whoever started it.
  func requireNone() throws {
    guard let other = try Postmaster.running(in: folder) else { return }
    throw StillError(
      .postgres,
      "somebody started the old server again while everything was copied (pid \(other.processID))",
      hint: "Whoever looks after it has to let it be down.")
  }
}
