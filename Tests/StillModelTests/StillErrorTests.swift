import Foundation
import StillModel
import Testing

@Suite struct StillErrorTests {
  @Test("A plain failure takes the status of its phase, one that says more keeps its own")
  func status() {
    #expect(StillError(.failed, "x").during("copying", as: .copying).status == .copying)
    #expect(StillError(.overflow, "x").during("copying", as: .copying).status == .overflow)
  }

  @Test("The innermost phase is the one that is told")
  func phases() {
    let failure = StillError(.failed, "x").during("reading", as: .copying).during(
      "planning", as: .failed)
    #expect(failure.phase == "reading")
    #expect(failure.status == .copying)
  }

  @Test("It reads as message, phase, what came of the clean-up, and a hint")
  func text() {
    var failure = StillError(.copying, "cannot read a", hint: "Look at a.").during(
      "copying", as: .copying)
    failure.further = ["snapshot s is left", "folder f too"]
    #expect(
      failure.description == """
        cannot read a (while copying)
        also: snapshot s is left
        also: folder f too
        hint: Look at a.
        """)
    #expect("\(StillError(.failed, "short"))" == "short")
  }

  @Test("A signal decides the exit status, whatever phase it came in")
  func signal() {
    let failure = StillError.interrupted(by: 15).during("copying", as: .copying)
    #expect(failure.exitCode == 143)
    #expect(failure.message == "ended by signal 15")
    #expect(StillError(.busy, "x").exitCode == 10)
  }

  @Test("A phase names itself in whatever its body throws")
  func phase() throws {
    struct Other: Error {}
    let plain = #expect(throws: StillError.self) {
      try StillModel.phase("planning", failsAs: .precondition) { throw Other() }
    }
    #expect(plain?.status == .precondition)
    #expect(plain?.phase == "planning")
    #expect(plain?.message == "Other()")
    let own = #expect(throws: StillError.self) {
      try StillModel.phase("planning", failsAs: .precondition) { throw StillError(.busy, "b") }
    }
    #expect(own?.status == .busy)
    #expect(try StillModel.phase("planning", failsAs: .precondition) { 7 } == 7)
  }

  @Test("It comes through JSON as it was, as it does from the broker")
  func json() throws {
    var failure = StillError(.volumes, "m", hint: "h").during("freezing", as: .failed)
    failure.further = ["f"]
    failure.signal = 2
    let data = try JSONEncoder().encode(failure)
    #expect(try JSONDecoder().decode(StillError.self, from: data) == failure)
  }
}
