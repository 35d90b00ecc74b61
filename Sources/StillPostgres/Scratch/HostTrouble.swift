import StillModel

/// What ends a server, or one of its sessions, for reasons of the host that it runs on. That says nothing
/// about the files that it runs on.
enum HostTrouble {
  /// As PostgreSQL's source has them; the reasons themselves are the C library's.
  private static let words = [
    "No space left on device", "Disk quota exceeded", "Cannot allocate memory",
    "Too many open files", "Read-only file system",
    // src/backend/libpq/pqcomm.c, src/backend/postmaster/postmaster.c
    "could not bind Unix address", "could not create any Unix-domain sockets",
    // src/backend/port/sysv_shmem.c, sysv_sema.c and posix_sema.c
    "could not create shared memory segment", "could not map anonymous shared memory",
    "could not create semaphores",
    // src/backend/utils/init/miscinit.c
    "has invalid permissions", "has wrong ownership",
    // src/backend/utils/init/postinit.c, src/backend/utils/adt/pg_locale.c
    "database locale is incompatible with operating system",
    "is not recognized by setlocale()", "could not create locale", "ICU is not supported",
  ]

  /// - Returns: why it could not be tried, from the first of these lines that tells; nil where none does.
  static func find(in lines: some Sequence<String>) -> StillError? {
    lines.first { line in words.contains { line.contains($0) } }.map { line in
      StillError(
        .precondition, "the proof cannot be had on this host: \(line)",
        hint: "It says nothing about the backup. See to the host, or name another --scratch folder."
      )
    }
  }
}
