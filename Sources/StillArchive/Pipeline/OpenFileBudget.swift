import Synchronization

/// How many small files may wait open for the threads that read them.
final class OpenFileBudget: Sendable {
  /// Well below what every process may have open.
  private static let most = 256
  private let open = Atomic<Int>(0)

  /// False where there is no room for another one.
  func take() -> Bool {
    if open.wrappingAdd(1, ordering: .relaxed).newValue <= OpenFileBudget.most { return true }
    open.wrappingSubtract(1, ordering: .relaxed)
    return false
  }

  func giveBack() { open.wrappingSubtract(1, ordering: .relaxed) }
}
