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
  public func absolute() throws -> FilePath {
    guard isRelative else { return lexicallyNormalized() }
    guard let here = getcwd(nil, 0) else {
      let code = errno
      throw StillError.system("find", "the working folder", code)
    }
    defer { free(here) }
    return FilePath(platformString: here).pushing(self).lexicallyNormalized()
  }
}
