import StillModel
import StillSystem

/// `show --fill`: a picture for each snapshot.
struct FillDocument: Displayable {
  /// Nil where nothing was frozen.
  var fill: RunFill?

  init(_ record: BackupRecord) { fill = RunFill(record) }

  init(_ record: HistoryRecord) { fill = RunFill(record) }

  var text: String {
    guard let fill else { return "nothing was snapshotted, so nothing filled\n" }
    let (width, isPlain) = (Terminal.outputColumns, !Terminal.drawsUnicode)
    return fill.title + "\n"
      + fill.volumes.map { "\n" + FillChart($0, width: width, isPlain: isPlain).text }.joined()
  }
}
