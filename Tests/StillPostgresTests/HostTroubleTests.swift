import StillModel
import Testing

@testable import StillPostgres

@Suite struct HostTroubleTests {
  @Test(
    "What the server says of its host",
    arguments: [
      "2026-11-21 20:00:00 UTC [7] PANIC:  could not write to file \"pg_wal/xlogtemp.7\": No space left on device",
      "FATAL:  could not create any Unix-domain sockets",
      "FATAL:  could not map anonymous shared memory: Cannot allocate memory",
      "FATAL:  data directory \"/mnt/smb/data\" has invalid permissions",
      "FATAL:  database locale is incompatible with operating system (The database was initialized "
        + "with LC_COLLATE \"xx_XX\",  which is not recognized by setlocale().)",
    ])
  func found(_ line: String) {
    let trouble = HostTrouble.find(in: ["LOG:  starting", line, "LOG:  shut down"])
    #expect(trouble?.status == .precondition)
    #expect(trouble?.message.hasSuffix(line) == true)
  }

  @Test("What it says of its files")
  func others() {
    #expect(
      HostTrouble.find(in: [
        "PANIC:  could not locate a valid checkpoint record",
        "FATAL:  could not access status of transaction 4711",
        "ERROR:  could not open file \"base/5/16384\": No such file or directory",
        "ERROR:  invalid memory alloc request size 18446744073709551613",
        "btree index \"a.public.i\": ERROR:  item order invariant violated",
      ]) == nil)
  }
}
