import Glibc
import StillModel
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

@testable import StillPostgres

/// What is waited for, and what is not; the server is a process that sleeps in a folder with a lock
/// file.
@Suite struct ServerStartTests {
  private let place: TestFolder
  private let sleeper: Child
  private var server: ServerSwitch {
    ServerSwitch(
      control: .commands(stop: "true", start: "true"), dataDirectory: place.path.string,
      environment: [:], log: nil)
  }

  init() throws {
    place = try TestFolder(on: .memory)
    sleeper = try Child.start(
      "/bin/sh", ["-c", "cd \(place.path) && touch here && exec sleep 60"],
      environment: Environment.all)
    while (try? OpenFile.open(place.path.appending("here"))) == nil { usleep(10_000) }
  }

  private func say(_ status: String) throws {
    let lines = "\(sleeper.process)\n\(place.path)\n1\n5432\n\n\n 1 2\n\(status)\n"
    let file = try OpenFolder.open(place.path).file("next", .create(permissions: 0o600))
    try file.writeAll(Array(lines.utf8))
    try OpenFolder.open(place.path).rename("next", to: "postmaster.pid")
  }

  @Test("A server that is starting is waited for, however long it takes")
  func starting() throws {
    defer { kill(sleeper.process, SIGKILL) }
    try say("starting")
    var asked = 0
    let (_, wasDown) = try server.ensureUp(units: nil, patience: 0.2, notice: { _ in }) { server in
      asked += 1
      if asked == 30 { try say("ready") }
      guard server.status == "ready" else { throw StillError(.postgres, "it is starting up") }
    }
    #expect(asked > 30)
    #expect(!wasDown)
  }

  @Test("A server that takes connections and proves nothing is not waited for without an end")
  func silent() throws {
    defer { kill(sleeper.process, SIGKILL) }
    try say("ready")
    let failure = try #require(throws: StillError.self) {
      _ = try server.ensureUp(units: nil, patience: 0.2, notice: { _ in }) { _ in
        throw StillError(.postgres, "too many clients already")
      }
    }
    #expect(failure.message.contains("does not prove itself: too many clients already"))
  }
}
