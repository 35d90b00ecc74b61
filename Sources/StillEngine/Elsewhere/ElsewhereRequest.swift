import StillModel
import StillTransfer
import SystemPackage

/// What the caller wants of a copy of a backup in another repository.
public struct ElsewhereRequest: Sendable {
  /// The repository that has the backup; absolute.
  public var repository: FilePath
  /// The name of the cluster's folder, here and there.
  public var cluster: String
  /// The other repository.
  public var destination: Destination
  /// For another host: ssh and its options.
  public var remoteShell = RemoteShell.standardWords
  /// Bytes that are sent in a second at most.
  public var rateLimit: UInt64?

  public init(repository: FilePath, cluster: String, destination: Destination) {
    self.repository = repository
    self.cluster = cluster
    self.destination = destination
  }
}

/// What such a copy came to.
public struct ElsewhereResult: Hashable, Sendable, Codable {
  public var plan: ElsewherePlan
  /// Files whose content was not there, and their content in bytes; all others are shared, or were there.
  public var files: UInt64
  public var bytes: UInt64
  /// What of it went over, in bytes: of a file that differs from one that is there, little.
  public var sent: UInt64
  /// Files and folders that were there already.
  public var kept: UInt64
  /// What the copy may lack, each with the reason.
  public var missing: [String]
  public var phases: [BackupRecord.Phase]
}
