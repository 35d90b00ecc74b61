import StillModel
import SystemPackage

/// A file that somebody else is at work on.
protocol FileUnderway: AnyObject {
  /// In bytes.
  var size: UInt64 { get }
  /// nil as long as it is on its way.
  var outcome: CopiedFile.Outcome? { get }
}

extension CopiedFile: FileUnderway {}

/// Files on their way into an archive, in its order, until it is known what came of each.
struct FilesUnderway {
  fileprivate struct Item {
    /// Nil for files that the manifest does not list.
    var path: FilePath?
    var size: UInt64
    var modified: Int64
    var result: Result

    enum Result {
      case known(Checksum)
      case underway(any FileUnderway, LinkedFiles.Identity?)
      /// Another name of a file that comes before it.
      case link(LinkedFiles.Identity)
    }
  }

  private var linked = LinkedFiles()
  private var items: [Item] = []
  private var first = 0

  mutating func add(_ path: FilePath?, size: UInt64, modified: Int64, _ checksum: Checksum) {
    items.append(Item(path: path, size: size, modified: modified, result: .known(checksum)))
  }

  /// `identity` is that of a file with further names, whose name in the archive is `name`.
  mutating func add(
    _ path: FilePath?, modified: Int64, _ file: any FileUnderway,
    _ identity: LinkedFiles.Identity? = nil, name: FilePath
  ) {
    var known = identity
    if let identity, !linked.remember(identity, name, size: file.size) { known = nil }
    items.append(
      Item(path: path, size: file.size, modified: modified, result: .underway(file, known)))
  }

  /// Adds another name of a file; answers the first one in the archive, or nil where there is none.
  mutating func addLink(
    _ path: FilePath?, modified: Int64, _ identity: LinkedFiles.Identity
  ) -> FilePath? {
    guard let first = linked.first(identity) else { return nil }
    items.append(Item(path: path, size: first.size, modified: modified, result: .link(identity)))
    return first.path
  }

  /// Hands on those that are done, up to the first that is not.
  mutating func settle(
    list: (ManifestFile) throws -> Void, pages: (CheckedPages) -> Void
  ) rethrows {
    while first < items.count, let outcome = outcome(of: items[first]) {
      let item = items[first]
      // The file knows its folder, which stays open as long as it is kept.
      items[first].result = .known(outcome.checksum)
      first += 1
      if case .underway(_, let identity?) = item.result {
        linked.conclude(identity, outcome.checksum)
      }
      guard let path = item.path else { continue }
      if !(outcome.bad.isEmpty && outcome.changed.isEmpty) {
        pages(CheckedPages(file: path.string, bad: outcome.bad, changed: outcome.changed))
      }
      try list(
        ManifestFile(
          path: path, size: item.size, modified: CalendarTime(secondsSince1970: item.modified),
          checksum: outcome.checksum))
    }
    // What is behind is dropped now and then, not one by one.
    if first > 1024, first * 2 > items.count {
      items.removeFirst(first)
      first = 0
    }
  }

  var isEmpty: Bool { first == items.count }
  var count: Int { items.count - first }

  private func outcome(of item: Item) -> CopiedFile.Outcome? {
    switch item.result {
    case .known(let checksum): .init(checksum: checksum)
    case .underway(let file, _): file.outcome
    case .link(let identity):
      linked.first(identity)?.checksum.map { .init(checksum: $0) }
    }
  }
}
