import ArgumentParser
import StillModel

/// Sizes of chunks on the command line: `4k,8k,32k`.
struct ChunkSizes: ExpressibleByArgument {
  /// As LVM makes them, each once, the smallest first.
  var bytes: [UInt64]

  init?(argument: String) {
    let sizes = argument.split(separator: ",", omittingEmptySubsequences: false).map {
      ByteCount.parse($0)
    }
    guard !sizes.isEmpty,
      sizes.allSatisfy({ $0.map(OverwrittenChunks.usualSizes.contains) == true })
    else { return nil }
    bytes = Set(sizes.compactMap { $0 }).sorted()
  }
}
