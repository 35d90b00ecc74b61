import StillModel
import StillSystem
import SystemPackage

/// A folder that a restore fills: one that is there, or that is made in the one above it.
struct RestoreFolder {
  let path: FilePath

  /// Opens it, made where it is missing.
  func make() throws -> OpenFolder {
    if let folder = try? OpenFolder.open(path) { return folder }
    do {
      let name = FilePath(root: nil, path.components.suffix(1))
      try OpenFolder.open(path.removingLastComponent()).makeFolder(name, permissions: 0o700)
      return try OpenFolder.open(path)
    } catch let failure as StillError {
      throw cannotBeMade(failure)
    }
  }

  /// Makes sure that it is this user's, or can be made.
  ///
  /// - Parameter others: folders that are made before it.
  /// - Throws: `.precondition`
  func requireMakeable(after others: [FilePath]) throws {
    if let folder = try? OpenFolder.open(path) {
      let owner = try folder.metadata().owner
      if Account.mayChange(whatIsOf: owner) { return }
      throw StillError(
        .precondition, "\(path) belongs to \(RestoreFolder.name(owner)), not to \(user)",
        hint: "Give it to its new owner: chown \(user) \(path)")
    }
    if others.contains(path.removingLastComponent()) { return }
    do {
      try OpenFolder.open(path.removingLastComponent()).requireWritable()
    } catch let failure as StillError {
      throw cannotBeMade(failure)
    }
  }

  /// Makes sure that a file can be made below it, at a path without links.
  ///
  /// - Throws: `.precondition`
  func requireFree(_ file: FilePath) throws {
    guard var folder = try? OpenFolder.open(path) else { return }
    let last = FilePath(root: nil, file.components.suffix(1))
    do {
      for component in file.removingLastComponent().components {
        let name = FilePath(root: nil, [component])
        if try folder.metadataIfPresent(of: name) == nil { return try folder.requireWritable() }
        folder = try folder.folder(name)
      }
      if try folder.metadataIfPresent(of: last) == nil { return try folder.requireWritable() }
    } catch var failure as StillError {
      failure.status = .precondition
      failure.message = "\(path.appending(file.components)) cannot be made: " + failure.message
      failure.hint = "Name a folder of \(user)'s with --config-dir."
      throw failure
    }
    throw StillError(
      .precondition, "\(path.appending(file.components)) is there already",
      hint: "Move it away, or name another --config-dir.")
  }

  private func cannotBeMade(_ failure: StillError) -> StillError {
    StillError(
      .precondition, "\(path) cannot be made: \(failure.message)",
      hint: "Make it once as root: install -d -o \(user) -m 700 \(path)")
  }

  private var user: String { RestoreFolder.name(Account.effectiveUser) }

  static func name(_ user: UInt32) -> String { Account.of(user: user)?.name ?? "user \(user)" }
}
