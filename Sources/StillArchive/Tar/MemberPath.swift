import StillModel
import SystemPackage

extension TarMember {
  /// The path without `.` in it; empty for the root.
  ///
  /// - Throws: `.copying` for paths that lead out of the folder to unpack into: absolute ones, and
  ///   those with `..`.
  func safePath(_ archive: FilePath) throws -> FilePath {
    // Nearly none has a name that begins with a dot, or a root.
    let bytes = path.bytes
    let (slash, dot) = (UInt8(ascii: "/"), UInt8(ascii: "."))
    if let first = bytes.first, first != slash, first != dot,
      !zip(bytes, bytes.dropFirst()).contains(where: { $0 == slash && $1 == dot })
    {
      return path
    }
    var safe = FilePath("")
    var isSafe = path.root == nil
    for component in path.components {
      switch component.kind {
      case .regular: safe.append(component)
      case .currentDirectory: continue
      case .parentDirectory: isSafe = false
      }
    }
    guard isSafe else {
      throw StillError(
        .copying, "\(archive) holds \(path), which leads out of the folder to unpack into",
        hint: "No backup program writes that; find out where the archive comes from.")
    }
    return safe
  }
}
