import CLVM2
import FoundationEssentials
import StillModel

/// liblvm2cmd: LVM's own commands, run in this process.
///
/// It is not thread-safe and changes its process for good (umask, locale, allocator, priority), so
/// only the broker makes one, once, and calls it from its one thread.
final class LVM {
  private let handle: UnsafeMutableRawPointer

  init() throws {
    lvm2_log_fn { level, _, _, _, message in
      guard let message else { return }
      LVMOutput.take(level: level, String(cString: message))
    }
    guard let handle = lvm2_init() else {
      throw StillError(.volumes, "LVM could not be initialised: \(LVMOutput.shared.complaint)")
    }
    self.handle = handle
    // Nobody but this broker watches our snapshots: dmeventd would unmount one that overflows, and
    // an empty folder copies without an error.
    lvm2_disable_dmeventd_monitoring(handle)
  }

  deinit { lvm2_exit(handle) }

  /// Runs one command. The words are joined by blanks, so none may hold a blank, a quote or a `#`;
  /// only names that passed `VolumeName.isValid` and words of ours are ever among them.
  ///
  /// - Parameter devices: what the command suspends on its way, by the names in `/dev/mapper`, each
  ///   before those that are stacked on it. Guards let them run should this process die meanwhile.
  /// - Returns: the lines that the command printed.
  /// - Throws: `.volumes` with LVM's own words.
  @discardableResult
  func run(_ words: [String], suspending devices: [String] = []) throws -> [String] {
    LVMOutput.shared = LVMOutput()
    let command = words.joined(separator: " ")
    return try CommandWatch.over(devices) {
      let status = lvm2_run(handle, command)
      let output = LVMOutput.shared
      guard status == LVM2_COMMAND_SUCCEEDED else {
        let reason = output.complaint.isEmpty ? "it gave status \(status)" : output.complaint
        throw StillError(.volumes, "LVM failed at \"\(command)\": \(reason)")
      }
      return output.printed
    }
  }

  /// Warnings reach the log function with the level of a report's lines, in the middle of it. Every
  /// line of the report itself begins like this.
  private static func isReportLine(_ line: String) -> Bool {
    line.first { $0 != " " }.map { "{}[]\"".contains($0) } ?? false
  }

  /// One row for each logical volume that `selection` matches, hidden ones left out.
  func volumes(_ selection: [String]) throws -> [LVMVolume] {
    let lines = try run(
      ["lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", LVMVolume.fields]
        + selection)
    return try LVMVolume.parse(report: lines.filter(LVM.isReportLine).joined(separator: "\n"))
  }
}

/// What the library said during one command. Its log function is one for the process and takes no
/// context, so this is the one place where it can go.
struct LVMOutput {
  var printed: [String] = []
  var complaints: [String] = []

  var complaint: String { complaints.joined(separator: "; ") }

  /// Touched by the broker's one thread only: `lvm2_run` calls the log function before it returns.
  nonisolated(unsafe) static var shared = LVMOutput()

  /// Levels of lvm2cmd.h in the lower three bits, flags above. Reports come as level "print".
  static func take(level: Int32, _ message: String) {
    switch level & 7 {
    case LVM2_LOG_PRINT: shared.printed.append(message)
    case LVM2_LOG_FATAL, LVM2_LOG_ERROR:
      shared.complaints.append(message.trimmingPrefix { $0 == " " }.description)
    default: break
    }
  }
}
