import ArgumentParser
import StillModel
import StillSystem
import SystemPackage

/// Of verbs that can draw what they found out.
struct PageOptions: ParsableArguments {
  @Option(
    name: .customLong("report"),
    help: ArgumentHelp(
      "Also write it as a page with pictures, one file that needs no network. It is written as the user "
        + "whom the files belong to, also where root runs pgstill: name a folder that this user may write to. A "
        + "file that is there is replaced.", valueName: "file.html"))
  var path: String?

  /// The file that is meant, known to be writable; nil where none is.
  ///
  /// - Throws: `.precondition` where it cannot be written.
  func file() throws -> PageFile? {
    try path.map { try PageFile(FilePath($0)) }
  }
}

/// A page on the disk: all of it, or as it was before. Its writer has given up root long before, so that no link in
/// a folder of somebody else's leads root anywhere.
struct PageFile {
  private let path: FilePath
  private let folder: OpenFolder
  private let name: FilePath

  /// Looks whether it can be written, and writes nothing.
  init(_ relative: FilePath) throws {
    guard let last = relative.lastComponent, last.kind == .regular else {
      throw PageFile.refusal(relative, "it is a folder")
    }
    name = FilePath(root: nil, [last])
    var path = relative
    do {
      path = try relative.absolute()
      self.path = path
      folder = try OpenFolder.open(path.removingLastComponent())
      try folder.requireWritable()
      guard let there = try folder.metadataIfPresent(of: name) else { return }
      switch there.kind {
      case .file, .link: break
      case .folder: throw PageFile.refusal(path, "it is a folder")
      case .other: throw PageFile.refusal(path, "it is no file")
      }
      // Where everybody may write, nobody replaces what is another's (rename(2), EPERM).
      let parent = try folder.metadata()
      let own = [there.owner, parent.owner].contains(Account.effectiveUser)
      if parent.mode & 0o1000 != 0, !own, Account.effectiveUser != 0 {
        throw PageFile.refusal(path, "another user's file has that name")
      }
    } catch let failure as StillError where failure.status != .precondition {
      throw PageFile.refusal(path, failure.message)
    }
  }

  /// - Returns: the path, for whoever tells of it.
  /// - Throws: `.copying`; then the file is as it was.
  func write(_ html: String) throws -> String {
    let new = FilePath(".pgstill-\(UInt64.random(in: 0...UInt64.max)).html")
    do {
      let file = try folder.file(new, .create(permissions: 0o644))
      do {
        try file.writeAll(Array(html.utf8))
        try file.sync()
        try file.close()
        try folder.rename(new, to: name)
      } catch {
        try? folder.remove(new)
        throw error
      }
    } catch var failure as StillError {
      failure.message = "the report \(path) was not written: \(failure.message)"
      failure.status = .copying
      throw failure
    }
    return path.string
  }

  private static func refusal(_ path: FilePath, _ reason: String) -> StillError {
    let user = Account.of(user: Account.effectiveUser)?.name ?? "\(Account.effectiveUser)"
    return StillError(
      .precondition, "the report \(path) cannot be written: \(reason)",
      hint: "Name a file in a folder that user \(user), who writes it, may write to.")
  }
}
