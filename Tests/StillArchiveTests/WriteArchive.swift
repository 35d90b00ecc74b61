import StillModel
import StillSystem

@testable import StillArchive

/// Writes one archive of one tree, and nothing else, into `folder`; adds its files to `manifest`.
///
/// `name` is without `.tar` and the suffix of the compression: `base`, `16402`. `workers` threads
/// compress. `progress` is called with every number of bytes read; it has to be cheap. Answers what
/// was written, and what of the tree was not.
func writeArchive(
  named name: String, in folder: OpenFolder, compression: Compression, workers: Int,
  from tree: SourceTree, manifest: inout [ManifestFile], checksum: ChecksumAlgorithm,
  times: ArchiveWriter.Times = .nanoseconds, cancellation: Cancellation? = nil,
  progress: @escaping (UInt64) -> Void = { _ in }
) throws -> (summary: ArchiveSummary, remarks: WalkRemarks) {
  var listed: [ManifestFile] = []
  let writer = try ArchiveWriter(
    named: name, in: folder, compression: compression, workers: workers, checksum: checksum,
    times: times, cancellation: cancellation, progress: progress, list: { listed.append($0) })
  let remarks = try writer.add(tree)
  let summary = try writer.finish()
  manifest += listed
  return (summary, remarks)
}
