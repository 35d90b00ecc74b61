import StillModel
import StillSystem
import SystemPackage

/// A folder of temporary files that nobody else may look into, removed with all of them when it is dropped.
public final class PrivateFolder: Sendable {
  public let path: FilePath

  public init() throws { path = try OpenFolder.makeTemporary() }

  deinit {
    // What is left is worth nothing by then.
    guard let name = path.lastComponent else { return }
    try? OpenFolder.open(path.removingLastComponent())
      .removeTree(FilePath(root: nil, [name]))
  }

  func write(_ name: String, _ text: String) throws {
    let file = try OpenFolder.open(path).file(FilePath(name), .create(permissions: 0o600))
    try file.writeAll(Array((text.last == "\n" ? text : text + "\n").utf8))
    try file.close()
  }

  func remove(_ name: String) throws { try OpenFolder.open(path).remove(FilePath(name)) }

  func read(_ name: String) throws -> String {
    String(decoding: try OpenFile.open(path.appending(name)).readAll(), as: UTF8.self)
  }
}
