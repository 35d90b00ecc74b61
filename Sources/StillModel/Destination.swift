/// A folder that something goes to, wherever it is: a cluster that moves, or a copy of a backup.
public enum Destination: Hashable, Sendable, CustomStringConvertible {
  /// A folder of this host; absolute.
  case folder(String)
  /// A folder of another host, by ssh; absolute. `host` may have a user in front: `postgres@db2`.
  case ssh(host: String, path: String)
  /// A folder below a module of an rsync daemon; empty for the module itself.
  case daemon(host: String, port: Int?, module: String, path: String)

  /// Reads `DIR`, `[USER@]HOST:DIR` or `rsync://HOST[:PORT]/MODULE[/DIR]`, as rsync does: a colon
  /// before the first slash makes it another host.
  ///
  /// - Returns: nil for anything else, and for names of hosts that a program could take for an option.
  public init?(_ text: String) {
    let scheme = "rsync://"
    if text.hasPrefix(scheme) {
      let parts = text.dropFirst(scheme.count).split(
        separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count >= 2, Destination.isName(parts[1]) else { return nil }
      let place = parts[0].split(separator: ":", omittingEmptySubsequences: false)
      guard (1...2).contains(place.count), Destination.isHost(place[0]) else { return nil }
      let port = place.count == 2 ? Int(place[1]) : nil
      guard place.count == 1 || (1...65535).contains(port ?? 0) else { return nil }
      self = .daemon(
        host: String(place[0]), port: port, module: String(parts[1]),
        path: parts.count == 3 ? String(parts[2]) : "")
    } else if let colon = text.firstIndex(of: ":"),
      colon < text.firstIndex(of: "/") ?? text.endIndex
    {
      let path = text[text.index(after: colon)...]
      guard Destination.isHost(text[..<colon]), path.hasPrefix("/") else { return nil }
      self = .ssh(host: String(text[..<colon]), path: String(path))
    } else {
      guard !text.isEmpty else { return nil }
      self = .folder(text)
    }
  }

  public var description: String {
    switch self {
    case .folder(let path): path
    case .ssh(let host, let path): "\(host):\(path)"
    case .daemon(let host, let port, let module, let path):
      "rsync://\(host)\(port.map { ":\($0)" } ?? "")/\(module)\(path.isEmpty ? "" : "/\(path)")"
    }
  }

  private static func isName(_ text: Substring) -> Bool {
    !text.isEmpty && text.first != "-" && text.utf8.allSatisfy { $0 > 32 && $0 < 127 }
  }

  private static func isHost(_ text: Substring) -> Bool {
    isName(text)
      && text.allSatisfy { $0.isLetter || $0.isNumber || "@.-_%[]".contains($0) }
  }
}

extension Destination: TextCodable {
  public static var nameOfText: String { "a destination" }
  public init?(codedText: String) { self.init(codedText) }
  public var codedText: String { description }
}
