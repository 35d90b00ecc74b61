import ArgumentParser
import StillModel

/// How snapshots are made and looked after.
struct SnapshotOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The size of each snapshot's COW store: a size (10G), or a share of its origin (15%ORIGIN), "
        + "of what its volume group has free (50%FREE) or of what its file system holds "
        + "(30%USED). auto is twice the most that the last backups needed, once three of them have "
        + "left their fill history, and 20%ORIGIN before.",
      valueName: "size"))
  var snapshotSize = SnapshotSize.automatic

  @Option(
    help: ArgumentHelp(
      "Make a snapshot larger when so much of it is full (50% to 95%), by what its rate asks for.",
      valueName: "share"))
  var extendAt = Share(percent: 70)

  @Option(
    help: ArgumentHelp(
      "Room that extending leaves free in a volume group.", valueName: "size"))
  var keepFree = Size(bytes: 0)

  @Option(
    help: ArgumentHelp(
      "Seconds after which every volume is let go, whatever happens.", valueName: "seconds"))
  var freezeDeadline = 5.0

  func validate() throws {
    guard (50...95).contains(extendAt.percent) else {
      throw ValidationError("--extend-at wants 50% to 95%.")
    }
    guard (0.1...60).contains(freezeDeadline) else {
      throw ValidationError("--freeze-deadline wants 0.1 to 60 seconds.")
    }
  }

  var extending: ExtensionPolicy {
    ExtensionPolicy(threshold: Double(extendAt.percent) / 100, keptFree: keepFree.bytes)
  }
}
