import StillModel
import StillPostgres

/// What a new server has to answer.
final class Proof {
  private let facts: ServerFacts
  private let word: MigrationWord
  /// Whether it has said that it serves this cluster: from then on others may have written to it, and it
  /// is not given up because somebody is in a hurry.
  private(set) var isAnswered = false

  /// - Parameter facts: of the old server.
  init(_ facts: ServerFacts, _ word: MigrationWord) {
    self.facts = facts
    self.word = word
  }

  /// - Throws: `.precondition` where it is another cluster that is served; other failures as long as it
  ///   may still come.
  func demand(_ ask: Question) throws {
    guard try ask("SELECT pg_catalog.pg_is_in_recovery()") == (facts.isStandby ? "t" : "f")
    else { throw StillError(.postgres, "it is still recovering") }
    let identifier = try ask("SELECT system_identifier FROM pg_catalog.pg_control_system()")
    guard Int64(identifier).map({ UInt64(bitPattern: $0) }) == facts.systemIdentifier else {
      throw StillError(.precondition, "the new server serves another cluster (\(identifier))")
    }
    isAnswered = true
    // It is only asked for, so that it can be asked for again where the answer was lost.
    if !facts.isStandby { try word.require(ask) }
  }

  /// Removes what was asked for; it is in nobody's way.
  func tidy(_ ask: Question, _ observer: any Observer) {
    guard !facts.isStandby else { return }
    do { try word.forget(ask) } catch {
      observer.noticed("an empty table, \(word.name), was left on the new server: \(error)")
    }
  }
}
