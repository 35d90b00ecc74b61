import StillEngine
import StillModel
import StillSystem
import StillTransfer
import SystemPackage

/// What became of the copy of a backup that was published. It is the backup's second home: that it could
/// not be had makes the backup no less one, and is something that is missing.
struct BackupCopy {
  let destination: Destination
  private(set) var result: ElsewhereResult?
  /// Why there is none.
  private(set) var failure: StillError?

  /// Copies it; a signal ends that, and no more.
  init(
    of backup: BackupResult, in repository: FilePath, to destination: Destination,
    _ remoteShell: [String], _ observer: any Observer
  ) {
    self.destination = destination
    var request = ElsewhereRequest(
      repository: repository, cluster: backup.record.cluster, destination: destination)
    request.remoteShell = remoteShell
    do {
      let folder = try Repository.open(repository).cluster(request.cluster)
        .backup(backup.record.id.description)
      result = try Interruption.watch { cancellation in
        try copyElsewhere(request, of: folder, observer, cancellation)
      }
    } catch {
      var failure = error as? StillError ?? StillError(.failed, "\(error)")
      failure.status = .incomplete
      failure.message =
        "the backup is published, but is not at \(destination): " + failure.message
      let isUsual = remoteShell == RemoteShell.standardWords
      let again = ShellWords.line(
        [
          "pgstill", "copy", backup.record.id.description, "--repo", repository.string,
          "--cluster", request.cluster, "--to", destination.description,
        ] + (isUsual ? [] : ["--ssh", remoteShell.joined(separator: " ")]))
      failure.further.append("make it up with: \(again)")
      self.failure = failure
    }
  }
}

extension BackupCopy: Encodable {
  private enum Key: CodingKey { case destination, result, error }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(destination, forKey: .destination)
    try container.encodeIfPresent(result, forKey: .result)
    try container.encodeIfPresent(
      failure.map { FailureDocument($0).error }, forKey: .error)
  }
}
