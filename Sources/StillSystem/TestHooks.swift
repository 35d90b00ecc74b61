import Glibc
import StillModel

/// What tests can ask of a debug build, so that they know where a process is, and find it there: a
/// release build has none of it.
public enum TestHooks {
  /// Says that a step of the work is done, and rests there if a test asks for it.
  ///
  /// Never called inside the freeze window: a file may be frozen.
  public static func reached(_ step: @autoclosure () -> String) {
    #if DEBUG
      let step = step()
      mark(step)
      if let milliseconds = pause(at: step) { Clock.sleep(milliseconds: milliseconds) }
    #endif
  }

  /// The same for steps that cannot be told while they are done: says beforehand at which of them
  /// this process is going to rest.
  ///
  /// - Returns: its number, from 0, and the milliseconds of the rest.
  public static func announced(_ steps: @autoclosure () -> [String]) -> (step: Int, rest: UInt32)? {
    #if DEBUG
      for (index, step) in steps().enumerated() {
        guard let milliseconds = pause(at: step) else { continue }
        mark(step)
        return (index, milliseconds)
      }
    #endif
    return nil
  }

  /// The variables of the environment that the broker inherits for these hooks.
  public static var variables: [String] {
    #if DEBUG
      [stepVariable, restVariable, marksVariable]
    #else
      []
    #endif
  }

  #if DEBUG
    /// The name of the step to rest at.
    private static let stepVariable = "PGSTILL_TEST_PAUSE_AT"
    /// For how long, in milliseconds.
    private static let restVariable = "PGSTILL_TEST_PAUSE_MS"
    /// A file that takes a line for every step: "PROCESS broker|coordinator STEP".
    private static let marksVariable = "PGSTILL_TEST_MARKS"

    private static func pause(at step: String) -> UInt32? {
      guard Environment.value(stepVariable) == step else { return nil }
      return Environment.value(restVariable).flatMap { UInt32($0) }
    }

    private static func mark(_ step: String) {
      guard let path = Environment.value(marksVariable) else { return }
      let kind = CommandLine.arguments.dropFirst().first == "broker" ? "broker" : "coordinator"
      let line = Array("\(getpid()) \(kind) \(step)\n".utf8)
      let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
      _ = write(descriptor, line, line.count)
      close(descriptor)
    }
  #endif
}
