import StillModel
import StillTestSupport
import Testing

/// What the program says of itself.
@Suite struct HelpTests {
  private static let allVerbs = [
    "check", "backup", "list", "show", "verify", "restore", "copy", "migrate", "probe", "status",
    "release",
  ]

  @Test("It tells its version, and nothing else")
  func version() throws {
    let outcome = try PgstillProgram.run(["--version"])
    #expect(outcome.status == 0)
    #expect(outcome.output == StillVersion.text + "\n")
    #expect(outcome.talk == "")
  }

  @Test("Its help lists every exit status, each number once")
  func exitStatuses() throws {
    let outcome = try PgstillProgram.run(["--help"])
    #expect(outcome.status == 0)
    #expect(outcome.talk == "")
    let lines = outcome.output.split(separator: "\n").drop { !$0.contains("EXIT STATUS") }
    let numbers = lines.dropFirst().prefix { !$0.hasPrefix("USAGE") }
      .compactMap { $0.split(separator: " ").first.map(String.init) }
    #expect(Set(numbers).count == numbers.count)
    #expect(
      Set(numbers) == Set(StillModel.ExitStatus.allCases.map { "\($0.rawValue)" } + ["128+N"]))
    for status in StillModel.ExitStatus.allCases {
      #expect(lines.contains { $0.hasSuffix("  " + status.meaning) }, "\(status)")
    }
  }

  @Test("Its help lists every verb but the one that it starts itself")
  func verbs() throws {
    let text = try PgstillProgram.run(["--help"]).output
    for verb in HelpTests.allVerbs { #expect(text.contains("\n  \(verb) "), "\(verb)") }
    #expect(!text.contains("\n  broker"))
  }

  @Test("Every verb has a help of its own", arguments: allVerbs)
  func verb(_ verb: String) throws {
    for words in [["help", verb], [verb, "--help"]] {
      let outcome = try PgstillProgram.run(words)
      #expect(outcome.status == 0)
      #expect(outcome.talk == "")
      #expect(outcome.output.contains("USAGE: pgstill \(verb)"))
      #expect(outcome.output.contains("--json"))
    }
  }

  @Test("Without a verb it shows its help")
  func nothing() throws {
    let outcome = try PgstillProgram.run([])
    #expect(outcome.status == 0)
    #expect(outcome.output.contains("USAGE: pgstill"))
  }
}
