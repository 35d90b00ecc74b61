import Foundation
import StillSystem
import StillTestSupport
import SystemPackage
import Testing

/// A stopped cluster that was backed up while it ran.
final class ChangedCluster {
  let site: OnlineSite
  let place: TestFolder
  /// A restore to an empty place, which everything is compared with.
  let fresh: FilePath
  var data: FilePath { site.cluster.dataDirectory }

  init(_ backup: [String] = [], prepare: (OnlineSite) throws -> Void = { _ in }) throws {
    site = try OnlineSite()
    try prepare(site)
    let outcome = try PgstillProgram.run(
      site.words(backup), environment: site.environment())
    try #require(outcome.status == 0, "\(outcome.talk)")
    place = try TestFolder(on: .disk, owner: FakeHost.owner)
    fresh = try site.restore(into: place)
    try site.cluster.sql(
      "INSERT INTO here SELECT i, 'new' FROM generate_series(1, 3000) AS i",
      "DELETE FROM there WHERE n % 2 = 0", "CREATE TABLE later AS SELECT 1 AS n",
      "CREATE DATABASE second", "DROP TABLE counter", "VACUUM there", "SELECT pg_switch_wal()")
    try site.cluster.stop()
  }

  /// Changes of all kinds behind the server's back.
  func disturb() throws {
    let script = """
      cd "$1"
      printf X | dd of="$(ls -d base/5/1249)" bs=1 seek=4000 conv=notrunc 2>/dev/null
      truncate -s 8192 base/5/1255
      truncate -s +8192 base/5/2619
      rm base/5/2608 global/1260
      chmod 644 base/5/1247; chmod 400 base/5/2610; chmod 0 base/5/2658; chmod 755 base/1
      touch -d 2001-01-01 base/5/2609
      ln base/5/2612 base/5/extra-name
      rm base/5/2613; ln -s /etc/passwd base/5/2613
      mkdir -p strange/folder base/5/2611.d; echo x >strange/folder/file; echo y >log-of-old
      rm base/5/2615; mkdir base/5/2615; echo z >base/5/2615/z
      cp -p base/5/1259 base/5/copy; mv base/5/copy base/5/1259
      setfattr -n user.note -v hello base/5/2617 || true
      rm -r pg_xact; rm pg_tblspc/*/PG_*/*/[1-9]* || true
      mkdir "$2/PG_9.6_201608131"; echo old >"$2/PG_9.6_201608131/file"
      """
    try Tool.demand(
      "setpriv", "--reuid=\(FakeHost.owner)", "--regid=\(FakeHost.owner)", "--init-groups",
      "/bin/sh", "-ec", script, "sh", data.string, site.tablespace.string)
  }

  func words(_ more: String...) -> [String] {
    [
      "restore", "latest", "--repo", site.repository, "--target", data.string, "--force-delta",
      "--progress", "none", "--json",
    ] + more
  }

  func restore(_ environment: [String: String] = [:]) throws -> Tool.Outcome {
    try PgstillProgram.run(words(), environment: environment)
  }

  /// Every name with everything that a restore sets, and the checksum of every file.
  func listing(_ root: FilePath, leavingOut name: String = "none") throws -> [String] {
    let script = """
      cd "$1"
      find . -name "$2" -prune -o -type d -printf '%P %y %m %U %G %T@\\n' \
        -o -type l -printf '%P %y %U %G\\n' -o -printf '%P %y %m %U %G %s %n %T@\\n' | sort
      find . -name "$2" -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
      getfattr -R -d . 2>/dev/null || true
      """
    return try Tool.demand("/bin/sh", "-ec", script, "sh", root.string, name)
      .split(separator: "\n").map(String.init)
  }

  func expectAsFresh(at location: SourceLocation = #_sourceLocation) throws {
    let space = place.path.appending("space")
    // Where the tablespace moved there is no map, and its folder and the links are new.
    func compare(_ one: [String], _ other: [String]) {
      let differences = Set(one).symmetricDifference(other)
        .filter { !$0.hasPrefix("pg_tblspc") && !$0.contains("tablespace_map") }
      #expect(differences == [], sourceLocation: location)
      #expect(one.count > 3, sourceLocation: location)
    }
    compare(try listing(data), try listing(fresh))
    compare(
      try listing(site.tablespace, leavingOut: "PG_9.6*").filter { !$0.hasPrefix(" d") },
      try listing(space).filter { !$0.hasPrefix(" d") })
  }
}
