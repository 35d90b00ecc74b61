import StillModel
import StillSystem
import SystemPackage

/// PostgreSQL's own programs of one major version.
public struct ServerPrograms: Sendable {
  public let folder: FilePath
  public let major: Int
  /// `15.18`
  public let version: String

  /// Finds those that a cluster of a major version needs: in `given`, else where Debian and the
  /// PostgreSQL project's own packages put them, else in the PATH.
  ///
  /// - Throws: `.precondition` where they are not there, or of another version.
  public static func find(major: Int, in given: FilePath?) throws -> ServerPrograms {
    if let given {
      guard let found = version(of: given) else {
        throw StillError(
          .precondition, "there is no program postgres in \(given)",
          hint: "Give --pg-bin the folder with the programs of PostgreSQL \(major).")
      }
      guard majorNumber(found) == major else {
        throw StillError(
          .precondition,
          "the programs in \(given) are of PostgreSQL \(found), but the backup is of \(major)",
          hint: "Give --pg-bin the folder with the programs of PostgreSQL \(major).")
      }
      return ServerPrograms(folder: given, major: major, version: found)
    }
    let path = Environment.value("PATH") ?? ""
    let places =
      [FilePath("/usr/lib/postgresql/\(major)/bin"), FilePath("/usr/pgsql-\(major)/bin")]
      + path.split(separator: ":").map { FilePath(String($0)) }
    for place in places {
      if let found = version(of: place), majorNumber(found) == major {
        return ServerPrograms(folder: place, major: major, version: found)
      }
    }
    throw StillError(
      .precondition, "PostgreSQL \(major) is not installed on this host",
      hint: "Install it (on Debian: postgresql-\(major)), or name the folder of its programs with "
        + "--pg-bin.")
  }

  /// The absolute path of one of them.
  ///
  /// - Throws: `.precondition` where it is not there.
  public func program(_ name: String) throws -> String {
    let path = folder.appending(name)
    guard (try? OpenFile.open(path.resolved())) != nil else {
      throw StillError(
        .precondition, "there is no \(path)",
        hint: "Install all of PostgreSQL \(major)'s programs, contrib included, or give --pg-bin.")
    }
    return path.string
  }

  /// What its programs are run with: nothing of libpq's, and English.
  var environment: [String: String] {
    ["PATH": "\(folder):/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"]
  }

  /// `15.18` of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`; nil where there is none.
  private static func version(of folder: FilePath) -> String? {
    guard folder.isAbsolute,
      let errand = try? Errand(
        [folder.appending("postgres").string, "--version"], environment: ["LC_ALL": "C"]),
      errand.wait(atMost: 10) == 0
    else { return nil }
    let words = errand.words.split(separator: " ")
    guard words.count >= 3, words[1] == "(PostgreSQL)" else { return nil }
    return String(words[2])
  }

  private static func majorNumber(_ version: String) -> Int? {
    Int(version.prefix { $0.isNumber })
  }
}
