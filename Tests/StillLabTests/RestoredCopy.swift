import StillTestSupport
import Testing

/// Restores the latest backup beside the running cluster, starts it, and asks it everything that the
/// load's notes can tell: what was acknowledged before `began` must be there, and what was sent after
/// `ended` cannot be.
enum RestoredCopy {
  static func check(_ repository: String, _ notes: String, began: Int, ended: Int? = nil) throws {
    let place = try Lab.newFolder("restored")
    let target = place + "/data"
    let restore = try Lab.pgstill(
      "restore", "latest", "--repo", repository, "--target", target, "--tablespace-mapping",
      "\(Lab.tablespace)=\(place)/space")
    #expect(restore.status == 0, "\(restore.talk)")
    // A restore that moves tablespaces leaves out the map that would lead the server back.
    try Tool.demand(
      "runuser", "-u", "postgres", "--", "pg_verifybackup", "-i", "tablespace_map", "-m",
      "\(repository)/pg/latest/backup_manifest", target)
    try Lab.withServer(target) { port in
      let words = try Tool.demand("cat", target + ".log")
      #expect(words.contains("database system is ready to accept connections"))
      for bad in ["PANIC", "FATAL", "invalid page", "could not"] {
        #expect(!words.contains(bad), "\(words)")
      }
      let check = try Tool.run(
        [try Lab.helper("load"), "check", "\(port)", notes, "\(began)"]
          + (ended.map { ["\($0)"] } ?? []))
      #expect(check.status == 0, "\(check.output)")
      try Tool.demand(
        "runuser", "-u", "postgres", "--", "pg_amcheck", "-p", "\(port)", "--all",
        "--install-missing", "--heapallindexed")
    }
    let sums = try Tool.run(
      ["runuser", "-u", "postgres", "--", "pg_checksums", "--check", "-D", target])
    #expect(sums.status == 0, "\(sums.output) \(sums.talk)")
    try Tool.demand("rm", "-rf", place)
  }
}
