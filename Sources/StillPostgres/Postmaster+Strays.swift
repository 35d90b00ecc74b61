import StillModel
import StillSystem
import SystemPackage

extension Postmaster {
  /// Makes sure that no server is at work in a folder whose files are about to be replaced: no
  /// postmaster, none that begins to start, and no process that has outlived its postmaster.
  ///
  /// - Throws: `.precondition` where there is one.
  public static func requireNone(in folder: OpenFolder) throws {
    let hint = "Stop it first: pg_ctl -D \(folder.path) stop"
    if let server = try running(in: folder) {
      throw StillError(
        .precondition, "a server is running on \(folder.path) (pid \(server.processID))",
        hint: hint)
    }
    let own = try folder.metadata()
    for name in try OpenFolder.open("/proc").names() {
      guard let id = Int32(name.string), isServer(id),
        let place = try? RunningProcess(id).workingFolder().metadata(),
        (place.device, place.inode) == (own.device, own.inode)
      else { continue }
      throw StillError(
        .precondition, "a server process is at work in \(folder.path) (pid \(id))",
        hint: "It may have outlived its server, or be one that is just starting: end it first.")
    }
  }

  /// Every process of a server works in the data directory (`ChangeToDataDir`), but so may a shell.
  private static func isServer(_ id: Int32) -> Bool {
    let program = try? RunningProcess(id).executable().lastComponent
    return program == "postgres" || program == "postmaster"
  }
}
