import ArgumentParser
import StillModel
import StillSystem
import StillTransfer
import SystemPackage

extension MigrateCommand {
  /// - Throws: a usage error where the options do not go with `--from`.
  func validatePull() throws {
    guard case .ssh? = from.flatMap({ Destination($0) }) else {
      throw ValidationError("--from wants [USER@]HOST:DIR, with the whole path of the folder.")
    }
    guard cluster.pgdata == nil else {
      throw ValidationError(
        "--from names the data directory; --pgdata is for moves from this host.")
    }
    if let to {
      guard case .folder? = Destination(to) else {
        throw ValidationError("--from wants a folder of this host: --to DIR.")
      }
    }
    guard targetConnection == nil else {
      throw ValidationError("With --from, the new server is asked here: no --target-connection.")
    }
    guard moduleDir == nil else { throw ValidationError("--module-dir is for rsync daemons.") }
    let places = tablespaceMapping.map(\.new) + [walDir].compactMap { $0 }
    guard places.allSatisfy({ $0.hasPrefix("/") }) else {
      throw ValidationError("With --from, new places are named with their whole path.")
    }
  }

  /// What `--from` asks for.
  func pulled(_ source: String) throws -> PulledMigration {
    guard case .ssh(let host, let path)? = Destination(source) else {
      throw ValidationError("--from wants [USER@]HOST:DIR.")
    }
    func words(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }
    return PulledMigration(
      host: host, dataDirectory: path, shell: RemoteShell(host: host, words: ssh.words),
      program: words(sourceCommand), sshd: words(sshd),
      options: PulledMigration.forwarded(
        CommandLine.arguments.dropFirst(2)),
      target: try to.map { try FilePath($0).absolute() },
      startsServer: !undo && !noStart && !dryRun && !keepSourceRunning, output: output)
  }
}
