import Foundation
import StillModel
import StillTestSupport
import SystemPackage
import Testing

@testable import StillPostgres

@Suite(.serialized) struct SessionTests {
  let cluster: ThrowAwayCluster

  init() throws { cluster = try ThrowAwayCluster() }

  @Test func answersComeAsTheyAre() throws {
    let session = try cluster.session()
    let rows = try session.query(
      "SELECT $1 AS given, NULL AS nothing, 42 AS number, true AS flag, '1/2A'::pg_lsn AS lsn",
      ["a'b\\c"])
    let row = try rows.single()
    #expect(try row.string("given") == "a'b\\c")
    #expect(try row.optionalString("nothing") == nil)
    #expect(try row.number("number") == 42)
    #expect(try row.flag("flag"))
    #expect(try row.lsn("lsn") == LSN("1/2A"))
    #expect(throws: StillError.self) { try row.string("nothing") }
    #expect(throws: StillError.self) { try row.string("missing") }
    #expect(throws: StillError.self) { try row.number("given", as: Int.self) }
    #expect(try session.query("SELECT FROM pg_class WHERE false").isEmpty)
  }

  @Test func theSessionIsSetUp() throws {
    try cluster.sql(
      "ALTER ROLE \(cluster.owner) SET statement_timeout = 5000",
      "ALTER ROLE \(cluster.owner) SET search_path = public",
      "ALTER ROLE \(cluster.owner) SET client_encoding = latin1")
    let session = try cluster.session()
    let row = try session.query(
      """
      SELECT current_setting('statement_timeout') AS timeout, current_setting('search_path') AS path,
        current_setting('client_encoding') AS encoding, current_setting('application_name') AS name
      """
    ).single()
    #expect(try row.string("timeout") == "0")
    #expect(try row.string("path") == "pg_catalog, pg_temp")
    #expect(try row.string("encoding") == "SQL_ASCII")
    #expect(try row.string("name") == "pgstill")
  }

  @Test func errorsSayWhatTheServerSaid() throws {
    let session = try cluster.session()
    let error = try #require(throws: StillError.self) { try session.query("SELECT 1/0") }
    #expect(error.status == .postgres)
    #expect(error.message == "division by zero (SQLSTATE 22012)")
    #expect(try session.query("SELECT 1 AS one").single().number("one") == 1, "usable afterwards")
  }

  @Test func noticesAreKept() throws {
    let session = try cluster.session()
    _ = try session.query("DO $$ BEGIN RAISE WARNING 'mind the gap'; END $$")
    #expect(session.notices.map(\.message) == ["mind the gap"])
    #expect(session.notices.first?.severity == "WARNING")
  }

  @Test func aDeadlineEndsTheStatementOnly() throws {
    let session = try cluster.session()
    let start = ContinuousClock.now
    let error = try #require(throws: StillError.self) {
      try session.query("SELECT pg_catalog.pg_sleep(60)", within: .milliseconds(300))
    }
    #expect(error.status == .postgres)
    #expect(error.message.contains("did not finish within 0.3 seconds"))
    #expect(ContinuousClock.now - start < .seconds(5))
    #expect(try session.query("SELECT 1 AS one").single().number("one") == 1)
  }

  @Test func anotherThreadCancels() throws {
    let session = try cluster.session()
    let canceller = session.canceller
    let thread = Thread {
      Thread.sleep(forTimeInterval: 0.3)
      canceller.cancel()
    }
    thread.start()
    let error = try #require(throws: StillError.self) {
      try session.query("SELECT pg_catalog.pg_sleep(60)")
    }
    #expect(error.status == .failed)
    #expect(error.message == "the query was cancelled")
    #expect(throws: StillError.self, "it stays so") { try session.query("SELECT 1") }
    session.close()
    canceller.cancel()
  }

  @Test func aServerThatDiesIsNoticed() throws {
    let session = try cluster.session()
    try cluster.stop("immediate")
    let error = try #require(throws: StillError.self) { try session.query("SELECT 1") }
    #expect(error.status == .postgres)
    #expect(!error.message.contains("\n") && !error.message.contains("\t"))
    #expect(error.message.contains("SQLSTATE 57P0") || error.message.contains("was lost"))
    #expect(error.hint?.contains("its log says") == true)
    session.close()
    session.close()
    #expect(throws: StillError.self) { try session.query("SELECT 1") }
  }

  @Test func noServer() throws {
    try cluster.stop()
    let error = try #require(throws: StillError.self) { try cluster.session() }
    #expect(error.status == .postgres)
    #expect(error.message.contains("No such file or directory"))
    #expect(error.hint?.contains("PGHOST") == true)
  }

  @Test func anUnknownRole() throws {
    let error = try #require(throws: StillError.self) { try cluster.session(user: "nobody_here") }
    #expect(error.message.hasSuffix("role \"nobody_here\" does not exist (SQLSTATE 28000)"))
    #expect(error.hint?.contains("owner") == true)
    #expect(!error.message.contains("LOCATION"))
  }

  @Test func template1ServesWherePostgresIsMissing() throws {
    _ = try cluster.session(database: "template1").query("DROP DATABASE postgres")
    var target = cluster.target()
    target.databases = ConnectionTarget().databases
    let session = try Session.open(target)
    let name = try session.query("SELECT current_database() AS name").single().string("name")
    #expect(name == "template1")
    target.databases = ["missing"]
    let error = try #require(throws: StillError.self) { try Session.open(target) }
    #expect(error.message.contains("3D000"))
  }

  @Test func pathsKeepTheirBytes() throws {
    // A database in another encoding than the names on the disk: no conversion may happen.
    _ = try cluster.session(database: "template1").query(
      "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    let session = try cluster.session(database: "latin")
    let row = try session.query("SELECT pg_catalog.chr(233) AS name").single()
    #expect(try row.bytes("name") == [0xE9])
    #expect(throws: StillError.self) { try row.string("name") }
    #expect(try row.path("name").bytes == [0xE9])
  }

  @Test func theEnvironmentWins() {
    let postmaster = Postmaster(
      processID: 1, dataDirectory: "/d", started: CalendarTime(secondsSince1970: 0), port: 5433,
      socketFolder: "/run/x", listenAddress: nil, status: "ready")
    func target(_ environment: [String: String]) -> ConnectionTarget {
      ConnectionTarget(postmaster: postmaster, environment: environment)
    }
    #expect(target([:]).parameters == ["host": "/run/x", "port": "5433"])
    #expect(target([:]).databases == ["postgres", "template1"])
    #expect(target(["PGHOST": "h"]).parameters == ["port": "5433"])
    #expect(target(["PGPORT": "1"]).parameters == ["host": "/run/x"])
    #expect(target(["PGSERVICE": "s"]).parameters == [:])
    #expect(target(["PGDATABASE": "d"]).databases == [])
    #expect(target(["PGHOST": ""]).parameters["host"] == "/run/x")
  }
}
