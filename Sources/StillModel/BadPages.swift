/// Pages of a relation's file that are damaged: their checksum is not the one that stands in them.
public struct BadPages: Hashable, Sendable, Codable {
  /// Counted from the data directory: `base/5/16384.1`.
  public var file: String
  /// Their numbers in the relation, ascending; the first of them only where there are very many.
  public var blocks: [UInt32]
  /// How many there are.
  public var count: Int

  /// No more blocks than these are listed.
  public static let listed = 1000

  public init(file: String, blocks: [UInt32]) {
    self.file = file
    self.blocks = Array(blocks.prefix(BadPages.listed))
    count = blocks.count
  }

  /// `base/5/16384.1: 3 bad pages, blocks 131072, 131080, 131081`
  public var text: String {
    let shown = blocks.prefix(10).map(String.init).joined(separator: ", ")
    let more = count > 10 ? " and \(count - 10) more" : ""
    return "\(file): \(count) bad \(count == 1 ? "page" : "pages"), "
      + "\(count == 1 ? "block" : "blocks") \(shown)\(more)"
  }
}
