import Foundation
import StillModel
import Testing

@Suite struct ServerControlTests {
  private let told = ServerControl.PgCtl(
    program: "/usr/lib/postgresql/15/bin/pg_ctl", dataDirectory: "/srv/pg data",
    startDirectory: "/srv/pg data", options: ["-c", "work_mem=1MB", "--cluster_name=it's $HOME"],
    log: "/var/log/pg.log")

  @Test("What a person would type is what is run, word for word")
  func lines() throws {
    for control in [
      ServerControl.pgCtl(told), .pgCtlCluster(version: "15", name: "main"),
      .unit("postgresql@15-main.service"),
    ] {
      for (line, words) in [
        (control.startLine, control.startWords),
        (control.stopLine(within: 1.5), control.stopWords(within: 1.5)),
      ] {
        #expect(try shellSplits(line) == words)
      }
    }
  }

  @Test("A shell gives every option of the server's command line back as it was")
  func options() throws {
    let words = ServerControl.pgCtl(told).startWords
    let index = try #require(words.firstIndex(of: "-o"))
    #expect(try shellSplits(words[index + 1]) == told.options)
  }

  @Test("The limit is told in whole seconds, never less")
  func limit() {
    #expect(ServerControl.pgCtl(told).stopWords(within: 1.2).suffix(2) == ["-t", "2"])
  }

  /// The words that a real shell makes of a line.
  private func shellSplits(_ line: String) throws -> [String] {
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-c", "for word in \(line); do printf '%s\\0' \"$word\"; done"]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast().map {
      String(decoding: $0, as: UTF8.self)
    }
  }
}
