import StillArchive
import StillModel
import StillSystem

/// Finds out how much there is to read while it is being read already: with a hundred thousand files to
/// look at, nobody waits for a forecast.
final class SizeEstimate {
  private let over = Cancellation()
  private let thread: WorkerThread

  /// - Parameters:
  ///   - more: bytes beside those of the trees.
  ///   - delay: seconds after which it begins: what is copied in a moment needs no forecast, unless a
  ///     snapshot has to last until then.
  init(
    of trees: [SourceTree], beside more: UInt64 = 0, after delay: Double = 0,
    _ observer: any Observer
  ) throws {
    thread = try WorkerThread { [over] in
      let watch = Stopwatch()
      while watch.seconds < delay {
        if over.isCancelled { return }
        Clock.sleep(milliseconds: 10)
      }
      // What is wrong with a tree, whoever copies it finds.
      let bytes = try? trees.reduce(more) { try $0 + SizeEstimate.contentSize(of: $1, over) }
      if let bytes, !over.isCancelled { observer.expects(bytes: bytes) }
    }
  }

  deinit { end() }

  /// Ends it, and lets go of the folders.
  func end() {
    over.cancel(StillError(.failed, "the copy is done"))
    thread.join()
  }

  /// In bytes.
  private static func contentSize(
    of tree: SourceTree, _ cancellation: Cancellation
  ) throws -> UInt64 {
    var bytes: UInt64 = 0
    _ = try TreeWalk.run(tree, cancellation: cancellation) { entry in
      if case .file = entry.kind { bytes += entry.metadata.size }
    }
    return bytes
  }
}
