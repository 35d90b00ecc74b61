import StillModel
import Testing

/// Testing has one of that name, too.
private typealias ExitStatus = StillModel.ExitStatus

@Suite struct ExitStatusTests {
  @Test("The numbers are those that were promised, and unique")
  func numbers() {
    let promised: [ExitStatus: Int32] = [
      .done: 0, .failed: 1, .incomplete: 3, .busy: 10, .precondition: 11, .postgres: 12,
      .volumes: 13, .copying: 14, .leftBehind: 15, .overflow: 16, .usage: 64,
    ]
    #expect(ExitStatus.allCases.allSatisfy { promised[$0] == $0.rawValue })
    #expect(Set(promised.values).count == ExitStatus.allCases.count)
    #expect(ExitStatus.allCases.allSatisfy { $0.rawValue < 128 }, "those are for signals")
  }

  @Test("Every status has a meaning of its own, and the table has them all")
  func meanings() {
    #expect(Set(ExitStatus.allCases.map(\.meaning)).count == ExitStatus.allCases.count)
    let lines = ExitStatus.table.split(separator: "\n")
    #expect(lines.count == ExitStatus.allCases.count + 1)
    for (line, status) in zip(lines, ExitStatus.allCases) {
      let words = line.split(separator: " ")
      #expect(words.first.flatMap { Int32($0) } == status.rawValue)
      #expect(line.hasSuffix("  " + status.meaning))
    }
    #expect(lines.last?.contains("128+N") == true)
  }
}
