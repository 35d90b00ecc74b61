import StillArchive
import StillModel
import StillSystem
import SystemPackage

/// The folder of backups. It has no state but its folders and files, so it can be copied anywhere.
public struct Repository {
  let folder: OpenFolder

  /// - Throws: `.precondition` where there is no such folder.
  public static func open(_ path: FilePath) throws -> Repository {
    do {
      return Repository(folder: try OpenFolder.open(path))
    } catch var failure as StillError {
      failure.status = .precondition
      failure.message = "no repository: " + failure.message
      failure.hint = "Name an existing folder with --repo."
      throw failure
    }
  }

  /// Opens the repository for writing; makes its own folder where the one above it allows that.
  ///
  /// - Throws: `.precondition` where it cannot be written.
  public static func openForWriting(_ path: FilePath) throws -> Repository {
    let name = FilePath(root: nil, path.components.suffix(1))
    let parent = try parentFolder(of: path)
    if try parent.metadataIfPresent(of: name) == nil {
      do { try parent.makeFolder(name, permissions: 0o700) } catch {
        throw notWritable(path, error)
      }
    }
    return try open(path)
  }

  /// Asks whether `openForWriting` would open it; makes nothing.
  ///
  /// - Throws: `.precondition` where it would not.
  static func requireWritable(_ path: FilePath) throws {
    let existing = try OpenFolder.openIfPresent(path)
    do { try (existing ?? parentFolder(of: path)).requireWritable() } catch {
      if (error as? StillError)?.status == .precondition { throw error }
      throw notWritable(path, error)
    }
  }

  /// The folder that a new repository is made in.
  static func parentFolder(of path: FilePath) throws -> OpenFolder {
    do {
      return try OpenFolder.open(path.removingLastComponent())
    } catch var failure as StillError {
      failure.status = .precondition
      failure.message = "the repository \(path) cannot be made: " + failure.message
      failure.hint = "Make the folder above it first, or name another --repo."
      throw failure
    }
  }

  /// The names of the clusters that have backups here.
  public func clusterNames() throws -> [String] {
    try folder.names().filter { name in
      // A repository may be the root of a file system of its own.
      try isClusterName(name.string) && name != "lost+found"
        && folder.metadata(of: name).kind == .folder
    }.map(\.string)
  }

  /// The folder of one cluster.
  ///
  /// - Throws: `.precondition` where it has no backups here.
  public func cluster(_ name: String) throws -> ClusterFolder {
    guard isClusterName(name), try folder.metadataIfPresent(of: FilePath(name)) != nil else {
      throw StillError(
        .precondition, "the repository \(folder.path) has no cluster \"\(name)\"",
        hint: try hintOfClusters())
    }
    return ClusterFolder(name: name, folder: try folder.folder(FilePath(name)))
  }

  /// The folder of the one cluster that has backups here.
  public func onlyCluster() throws -> ClusterFolder {
    let names = try clusterNames()
    guard let name = names.first else {
      throw StillError(
        .precondition, "the repository \(folder.path) has no backups yet",
        hint: "Make one with pgstill backup, or name another --repo.")
    }
    let known = try names.map(cluster)
    // A probe leaves a folder too.
    let backedUp = known.filter { !$0.isOnlyProbed }
    if backedUp.count == 1 { return backedUp[0] }
    guard names.count == 1 else {
      throw StillError(
        .usage, "the repository \(folder.path) has several clusters", hint: try hintOfClusters())
    }
    return try cluster(name)
  }

  /// The folder of one cluster, made where it is missing.
  public func clusterForWriting(_ name: String) throws -> ClusterFolder {
    guard isClusterName(name) else {
      throw StillError(
        .usage, "not a name for a cluster's folder: \"\(name)\"",
        hint: "Use letters, digits, dots, hyphens and underscores; not a dot first.")
    }
    if try folder.metadataIfPresent(of: FilePath(name)) == nil {
      do { try folder.makeFolder(FilePath(name), permissions: 0o700) } catch {
        throw Repository.notWritable(folder.path, error)
      }
    }
    return ClusterFolder(name: name, folder: try folder.folder(FilePath(name)))
  }

  static func notWritable(_ path: FilePath, _ error: any Error) -> StillError {
    let owner = Account.of(user: Account.effectiveUser)?.name ?? "the cluster's owner"
    return StillError(
      .precondition,
      "the repository \(path) is not writable for \(owner): "
        + ((error as? StillError)?.message ?? "\(error)"),
      hint: "Make it once as root: install -d -o \(owner) -m 700 \(path)")
  }

  private func isClusterName(_ name: String) -> Bool {
    VolumeName.isValid(name) && !name.hasPrefix(".")
  }

  private func hintOfClusters() throws -> String {
    "Name one with --cluster: \(try clusterNames().joined(separator: ", "))"
  }
}
