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

  /// This path seen from `folder`, or nil if it does not lie in it.
  public func relative(to folder: FilePath) -> FilePath? {
    guard starts(with: folder) else { return nil }
    var rest = FilePath()
    for component in components.dropFirst(folder.components.count) { rest.append(component) }
    return rest
  }
}
