import StillSystem

/// What tests can ask of a debug build; a release build has none of it.
enum TestHooks {
  private static let pauseVariable = "PGSTILL_TEST_FREEZE_PAUSE_MS"

  /// Variables that the broker inherits for these hooks.
  static var variables: [String] {
    #if DEBUG
      [pauseVariable]
    #else
      []
    #endif
  }

  /// How long the freeze window stays with everything suspended, in nanoseconds.
  static var pauseInFreezeWindow: Int64 {
    #if DEBUG
      Environment.value(pauseVariable).flatMap { Int64($0) }.map { $0 * 1_000_000 } ?? 0
    #else
      0
    #endif
  }
}
