#pragma once
// What Swift cannot call itself: macros, variadic functions, fork, and messages that carry file
// descriptors. Every function returns what the system call returns, and leaves errno alone.

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// openat(2) with O_CLOEXEC | O_NOFOLLOW added to `flags`.
int still_openat(int folder, const char *name, int flags, mode_t mode);

/// Opens a device for reading, or for writing, past the page cache (O_DIRECT).
int still_open_direct(const char *path, int writes);

/// A piece of a file and where it lies on its device, in bytes.
struct still_extent {
  uint64_t logical, physical, length;
  /// Nothing of the file lies behind it.
  int is_last;
  /// Reserved; reads as zeros.
  int is_unwritten;
  /// Where it lies, as the kernel says it, is not where its bytes are.
  int is_untold;
};

/// Up to `capacity` extents (64 at most) of an open file from byte `start` on (FS_IOC_FIEMAP; Linux,
/// filesystems/fiemap.rst); `syncs` writes first what waits in the page cache. How many, or -1.
int still_extents(int file, uint64_t start, int syncs, struct still_extent *extents, int capacity);

/// Starts `path` with `argv` and `environment` (both closed by NULL): standard streams inherited,
/// but for stdin where `input` is not -1, and stdout and stderr where `output` and `errors` are not -1; `third`,
/// where it is not -1, passed on as descriptor 3; every other descriptor closed, signal mask and
/// dispositions as a fresh process has them, in a process group of its own, so that a Ctrl-C at the
/// terminal reaches the coordinator only, which then ends the child in order; with `own_session` in
/// a session of its own too, so that nothing of the terminal reaches it; with `tied` it is told to end (SIGTERM) when the thread that starts it ends, which the main
/// thread does with the process.
/// Returns the process id, or -1 with errno.
pid_t still_spawn(const char *path, char *const argv[], char *const environment[], int input,
                  int output, int errors, int third, int own_session, int tied);

/// A new file in memory that has no name (memfd_create(2)).
int still_memory_file(const char *name);

/// Listens on a socket of this host that has a name but no file (unix(7), "abstract"). Returns the
/// listening socket, or -1 with errno.
int still_listen(const char *name);

/// Takes the next connection that comes within `milliseconds`, and says whose it is. Returns it, or
/// -1 with errno (EAGAIN when none came).
int still_accept(int listener, int milliseconds, uid_t *peer);

/// Connects to such a socket, and says whose it is. Returns the connection, or -1 with errno.
int still_connect(const char *name, uid_t *peer);

/// Whether `descriptor` is an open socket.
int still_is_socket(int descriptor);

/// Sends one message with up to 16 descriptors over a socket; all of it or an error.
ssize_t still_send(int socket, const void *bytes, size_t count, const int *descriptors,
                   size_t descriptor_count);

/// Receives up to `count` bytes and up to 16 descriptors (close-on-exec).
ssize_t still_receive(int socket, void *bytes, size_t count, int *descriptors,
                      size_t *descriptor_count);

/// Mounts the file system of `source` nowhere: returns a descriptor of its root folder, which is
/// unmounted when the last descriptor into it is closed. Read-only, nosuid, nodev, noexec; with
/// `nouuid` for XFS, whose snapshot carries its origin's UUID, and ext4 never told to panic.
/// On failure returns -1 and leaves the kernel's own words in `reason`.
int still_mount_detached(const char *kind, const char *source, int nouuid, char *reason,
                         size_t reason_size);

/// Writes a line to the system's log (syslog(3)) as `pgstill`: a notice, or an error.
void still_log(int is_error, const char *text);

/// pipe2(2), both ends close-on-exec.
int still_pipe(int ends[2]);

/// Lets a new file share all of another one's blocks (ioctl_ficlone(2)). 0, or -1 with errno.
int still_clone(int to, int from);

/// syncfs(2).
int still_syncfs(int descriptor);

/// ioprio_get(2) of a process: its class in the bits from 13 on, its level below; -1 with errno.
int still_io_priority(pid_t process);

/// Exit status of wait(2)'s word: 0...255, or 128 + signal.
int still_exit_status(int wait_status);

/// Which devices a name in an open folder has to do with, links followed (statx(2), without asking a
/// file server): that of its file system, and where it is a block device, its own; 0:0 where not.
/// 0, or -1 with errno.
int still_devices(int folder, const char *name, unsigned int file_system[2],
                  unsigned int block_device[2]);

/// Device number in the kernel's parts.
unsigned int still_major(dev_t device);
unsigned int still_minor(dev_t device);

/// Begins to write a range of a file to the disk (sync_file_range(2)); best effort.
void still_start_writing(int descriptor, int64_t offset, int64_t count);

/// CRC-32C (Castagnoli) as PostgreSQL computes it, continued from `crc` (begin with 0).
uint32_t still_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The checksum that PostgreSQL keeps in the header of a page of `size` bytes, the block number of
/// its relation mixed in; what the header holds now does not matter.
uint16_t still_page_checksum(const void *page, size_t size, uint32_t block);
