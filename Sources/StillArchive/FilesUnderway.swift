import StillModel
import SystemPackage

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
      case underway(CopiedFile)
    }
  }

  private var items: [Item] = []
  private var first = 0

  mutating func add(_ path: FilePath?, size: UInt64, modified: Int64, _ checksum: Checksum) {
    items.append(Item(path: path, size: size, modified: modified, result: .known(checksum)))
  }

  mutating func add(_ path: FilePath?, modified: Int64, _ file: CopiedFile) {
    items.append(Item(path: path, size: file.size, modified: modified, result: .underway(file)))
  }

  /// Hands on those that are done, up to the first that is not.
  mutating func settle(
    list: (ManifestFile) throws -> Void, pages: (CheckedPages) -> Void
  ) rethrows {
    while first < items.count, let outcome = items[first].outcome {
      let item = items[first]
      first += 1
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
}

extension FilesUnderway.Item {
  fileprivate var outcome: CopiedFile.Outcome? {
    switch result {
    case .known(let checksum): .init(checksum: checksum)
    case .underway(let file): file.outcome
    }
  }
}
