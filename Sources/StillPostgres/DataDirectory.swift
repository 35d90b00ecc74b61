import Glibc
import StillModel
import StillSystem
import SystemPackage

/// A folder that is known to hold a cluster.
public struct DataDirectory: Sendable {
  public let folder: OpenFolder
  /// From `PG_VERSION`: 15.
  public let majorVersion: Int
  /// As it was when the folder was examined.
  public let control: ControlFile

  /// Opens the folder at `path` and examines it.
  ///
  /// - Throws: `.precondition` where it is missing, may not be read, or holds no cluster.
  public static func open(_ path: FilePath) throws -> DataDirectory {
    let folder: OpenFolder
    do {
      folder = try OpenFolder.open(path)
    } catch let error as StillError {
      throw explained(error)
    }
    return try inspect(folder)
  }

  /// Examines an open folder: a live data directory, a frozen or a copied one.
  ///
  /// - Throws: `.precondition` where it holds no cluster, may not be read, or is from a version before
  ///   11; `.failed` where its control file is damaged.
  public static func inspect(_ folder: OpenFolder) throws -> DataDirectory {
    do {
      for name: FilePath in ["PG_VERSION", "global/pg_control"]
      where try folder.metadataIfPresent(of: name) == nil {
        throw StillError(
          .precondition, "\(folder.path) is not a data directory: it has no \(name)",
          hint: try suggestion(folder))
      }
      let text = String(decoding: try folder.file("PG_VERSION").readAll(limit: 64), as: UTF8.self)
      guard let word = text.split(whereSeparator: \.isWhitespace).first, let major = Int(word),
        major >= 11
      else {
        let shown = text.split(whereSeparator: \.isNewline).first ?? "nothing"
        throw StillError(
          .precondition, "\(folder.path) is a cluster of PostgreSQL \(shown)",
          hint: "Clusters from PostgreSQL 11 on can be backed up.")
      }
      return DataDirectory(
        folder: folder, majorVersion: major, control: try readControlFile(folder))
    } catch let error as StillError {
      throw explained(error)
    }
  }

  /// Reads `global/pg_control`.
  ///
  /// A running server rewrites it in place, and a reader may see half of a write (PostgreSQL's own
  /// `get_controlfile` tries again for that reason), so a wrong checksum is believed the fifth time.
  public static func readControlFile(_ folder: OpenFolder) throws -> ControlFile {
    try ControlFile(bytes: readControlBytes(folder))
  }

  /// The same, as it lies there: bytes that are a control file.
  public static func readControlBytes(_ folder: OpenFolder) throws -> [UInt8] {
    let attempts = 5
    for attempt in 1...attempts {
      let bytes = try folder.file("global/pg_control").readAll(limit: 64 << 10)
      do {
        _ = try ControlFile(bytes: bytes)
        return bytes
      } catch  where attempt < attempts {
        usleep(10_000)
      }
    }
    throw StillError(.failed, "\(folder.path) changes faster than it can be read")
  }

  /// `PG_15_202209061`: what this version calls its folder in every tablespace.
  public var tablespaceFolder: String { control.tablespaceFolder(major: majorVersion) }

  /// What the user may have meant instead.
  private static func suggestion(_ folder: OpenFolder) throws -> String {
    let inner: [FilePath] = ["data/PG_VERSION", "main/PG_VERSION"]
    for name in inner where (try? folder.metadataIfPresent(of: name)) != nil {
      return "Did you mean \(folder.path.pushing(name.removingLastComponent()))?"
    }
    return "Give the folder that holds PG_VERSION; SHOW data_directory says which that is."
  }

  /// What the system said, as a precondition with a remedy.
  private static func explained(_ error: StillError) -> StillError {
    let cases: [(code: Int32, hint: String)] = [
      (ENOENT, "Give the folder that holds PG_VERSION; SHOW data_directory says which that is."),
      (ENOTDIR, "Give the folder that holds PG_VERSION; SHOW data_directory says which that is."),
      (EACCES, "Run pgstill as the owner of the cluster, or as root."),
      (EPERM, "Run pgstill as the owner of the cluster, or as root."),
    ]
    guard error.status == .failed,
      let known = cases.first(where: { error.message.hasSuffix(": " + StillError.reason($0.code)) })
    else { return error }
    return StillError(.precondition, error.message, hint: known.hint)
  }
}
