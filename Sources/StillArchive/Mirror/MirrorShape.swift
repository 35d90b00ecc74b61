import StillModel
import StillSystem
import SystemPackage

/// Makes sure that the folders and links of a part of a mirror are those that its record names: no
/// manifest lists them, and a copy that lost a link to a tablespace looks whole.
///
/// - Parameter elsewhere: folders of it that are no part of it.
/// - Throws: `.copying` with the first that is missing, changed, or not of the mirror.
public func requireShape(
  of mirror: OpenFolder, without elsewhere: Set<FilePath>, _ part: BackupRecord.Mirror.Part,
  _ cancellation: Cancellation?
) throws {
  var folders = Set(part.folders.map(\.path))
  var links = Dictionary(
    part.links.map { ($0.path.path, $0.target.path) }, uniquingKeysWith: { $1 })
  func refusal(_ path: FilePath, _ fault: String) -> StillError {
    StillError(
      .copying, "\(mirror.path.pushing(path)) \(fault)",
      hint: "See what else is wrong with verify; use another backup.")
  }
  var tree = SourceTree(.other(prefix: FilePath("")), root: mirror)
  tree.elsewhere = elsewhere
  _ = try TreeWalk.run(tree, cancellation: cancellation) { entry in
    switch entry.kind {
    case .folder:
      guard entry.path.isEmpty || folders.remove(entry.path) != nil else {
        throw refusal(entry.path, "is not of this backup")
      }
    case .link(let target):
      guard let wanted = links.removeValue(forKey: entry.path) else {
        throw refusal(entry.path, "is a link that is not of this backup")
      }
      guard wanted == FilePath(bytes: target) else {
        throw refusal(entry.path, "is a link to \(FilePath(bytes: target)) instead of \(wanted)")
      }
    case .file: break
    }
  }
  if let missing = (Array(folders) + Array(links.keys)).min(by: {
    $0.bytes.lexicographicallyPrecedes($1.bytes)
  }) {
    throw refusal(missing, "is missing")
  }
}
