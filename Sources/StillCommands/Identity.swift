import StillEngine
import StillModel
import StillSystem
import StillVolumes
import SystemPackage

/// Who this process is. Started as root it keeps only the broker as root and becomes the owner of
/// the files for good, before it opens a connection or a file: so stock `peer` authentication
/// works, and nothing that parses, copies or compresses has any power.
enum Identity {
  /// The program itself, however it was called.
  private static let program: FilePath = "/proc/self/exe"

  /// Starts the broker, then becomes the owner of the data directory.
  ///
  /// - Throws: `.precondition` where the data directory is missing or belongs to root.
  static func coordinator(of dataDirectory: FilePath) throws -> BrokerClient {
    guard Account.effectiveUser == 0 else { return try broker() }
    let owner = try owner(of: dataDirectory, .dataDirectory)
    let broker = try BrokerClient.start(program: program.resolved(), owner: owner.user)
    try owner.becomeForGood()
    return broker
  }

  /// Starts a broker that looks and releases, and freezes nothing unless sudo says for whom.
  static func broker() throws -> BrokerClient {
    try BrokerClient.start(program: program.resolved())
  }

  /// Is the broker: serves the coordinator that started this process.
  ///
  /// - Parameter owner: the user that the coordinator becomes.
  /// - Returns: the exit status of the process.
  static func serveAsBroker(of owner: UInt32?) -> Int32 { Broker.serve(owner: owner) }

  /// A folder whose owner this process becomes.
  enum Folder: String {
    case dataDirectory = "data directory"
    case repository

    fileprivate var hintWhereMissing: String {
      switch self {
      case .dataDirectory:
        "Give the folder that holds PG_VERSION; SHOW data_directory says which that is."
      case .repository: "Name an existing folder with --repo."
      }
    }

    fileprivate var hintWhereRoots: String {
      switch self {
      case .dataDirectory: "PostgreSQL does not run as root: name the folder of a cluster's owner."
      case .repository:
        "A repository belongs to the clusters' owner; is this the folder that was meant?"
      }
    }
  }

  /// Becomes the owner of what lies at `path`; does nothing for a process that is not root.
  static func become(ownerOf path: FilePath, _ folder: Folder) throws {
    guard Account.effectiveUser == 0 else { return }
    try owner(of: path, folder).becomeForGood()
  }

  private static func owner(of path: FilePath, _ folder: Folder) throws -> Account {
    let metadata: FileMetadata
    do {
      metadata = try OpenFolder.open(path).metadata()
    } catch var failure as StillError {
      failure.status = .precondition
      failure.hint = folder.hintWhereMissing
      throw failure
    }
    guard metadata.owner != 0 else {
      throw StillError(
        .precondition, "the \(folder.rawValue) \(path) belongs to root",
        hint: folder.hintWhereRoots)
    }
    guard let owner = Account.of(user: metadata.owner) else {
      throw StillError(
        .precondition,
        "the \(folder.rawValue) \(path) belongs to user \(metadata.owner), whom this host does "
          + "not know",
        hint: "Add the user, or give the folder to one that exists.")
    }
    return owner
  }
}
