import Glibc
import StillModel
import SystemPackage

extension FilePath {
  /// This path with every link in it resolved (realpath(3)).
  public func resolved() throws -> FilePath {
    try withPlatformString { pointer in
      guard let result = realpath(pointer, nil) else {
        let code = errno
        throw StillError.system("find", string, code)
      }
      defer { free(result) }
      return FilePath(platformString: result)
    }
  }

  /// This path counted from the root; a relative one is taken from the working folder.
  ///
  /// Where it goes up, it does so as the kernel does: from where a link has led, not from where the
  /// link lies.
  ///
  /// - Throws: where it goes up from a folder that is not there.
  public func absolute() throws -> FilePath {
    let path = isRelative ? try FilePath.workingFolder().pushing(self) : self
    guard let last = path.components.lastIndex(where: { $0.kind == .parentDirectory }) else {
      return path.lexicallyNormalized()
    }
    let end = path.components.index(after: last)
    return try FilePath(root: path.root, path.components[..<end]).resolved()
      .appending(path.components[end...]).lexicallyNormalized()
  }

  private static func workingFolder() throws -> FilePath {
    guard let here = getcwd(nil, 0) else {
      let code = errno
      throw StillError.system("find", "the working folder", code)
    }
    defer { free(here) }
    return FilePath(platformString: here)
  }
}
