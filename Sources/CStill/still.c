#define _GNU_SOURCE
#include "still.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

enum { MAX_DESCRIPTORS = 16 };

int still_openat(int folder, const char *name, int flags, mode_t mode) {
  return openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
}

int still_open_direct(const char *path, int writes) {
  return open(path, (writes ? O_WRONLY : O_RDONLY) | O_DIRECT | O_CLOEXEC);
}

int still_extents(int file, uint64_t start, int syncs, struct still_extent *extents, int capacity) {
  // The kernel's answer ends in as many extents as there is room for.
  _Alignas(struct fiemap) char room[sizeof(struct fiemap) + 64 * sizeof(struct fiemap_extent)] = {0};
  struct fiemap *map = (struct fiemap *)room;
  if (capacity > 64) capacity = 64;
  map->fm_start = start;
  map->fm_length = FIEMAP_MAX_OFFSET - start;
  map->fm_flags = syncs ? FIEMAP_FLAG_SYNC : 0;
  map->fm_extent_count = (uint32_t)capacity;
  if (ioctl(file, FS_IOC_FIEMAP, map) != 0) return -1;
  const uint32_t untold = FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_ENCODED |
                          FIEMAP_EXTENT_NOT_ALIGNED | FIEMAP_EXTENT_DATA_INLINE |
                          FIEMAP_EXTENT_DATA_TAIL;
  for (uint32_t index = 0; index < map->fm_mapped_extents; index++) {
    const struct fiemap_extent *found = &map->fm_extents[index];
    extents[index] = (struct still_extent){
        .logical = found->fe_logical,
        .physical = found->fe_physical,
        .length = found->fe_length,
        .is_last = (found->fe_flags & FIEMAP_EXTENT_LAST) != 0,
        .is_unwritten = (found->fe_flags & FIEMAP_EXTENT_UNWRITTEN) != 0,
        .is_untold = (found->fe_flags & untold) != 0,
    };
  }
  return (int)map->fm_mapped_extents;
}

pid_t still_spawn(const char *path, char *const argv[], char *const environment[], int input,
                  int output, int errors, int third, int own_session, int tied) {
  int failure[2];
  if (pipe2(failure, O_CLOEXEC) != 0) return -1;
  pid_t self = getpid();
  sigset_t all, before;
  sigfillset(&all);
  // No handler of ours may run in the child before exec.
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pid_t child = fork();
  if (child == 0) {
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    if (own_session) setsid();
    else setpgid(0, 0);
    // The parent may have died before this was said.
    if (tied && (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != self)) _exit(127);
    // Out of the way first: each may have one of the numbers that are given out below.
    int kept = third < 0 ? -1 : fcntl(third, F_DUPFD, 10);
    int fed = input < 0 ? -1 : fcntl(input, F_DUPFD, 10);
    int told = output < 0 ? -1 : fcntl(output, F_DUPFD, 10);
    int blamed = errors < 0 ? -1 : fcntl(errors, F_DUPFD, 10);
    int pipe_end = fcntl(failure[1], F_DUPFD, 10);
    int reason = 0;
    close(3);
    if ((third >= 0 && (kept < 0 || dup3(kept, 3, 0) < 0)) ||
        (input >= 0 && (fed < 0 || dup2(fed, 0) < 0)) ||
        (output >= 0 && (told < 0 || dup2(told, 1) < 0)) ||
        (errors >= 0 && (blamed < 0 || dup2(blamed, 2) < 0)) || pipe_end < 0 ||
        dup3(pipe_end, 4, O_CLOEXEC) < 0)
      reason = errno;
    if (reason == 0) {
      syscall(SYS_close_range, 5u, ~0u, 0u);
      sigset_t none;
      sigemptyset(&none);
      sigprocmask(SIG_SETMASK, &none, NULL);
      execve(path, argv, environment);
      reason = errno;
    }
    ssize_t ignored = write(pipe_end, &reason, sizeof reason);
    (void)ignored;
    _exit(127);
  }
  int saved = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(failure[1]);
  if (child > 0) {
    int reason = 0;
    ssize_t got;
    do got = read(failure[0], &reason, sizeof reason);
    while (got < 0 && errno == EINTR);
    if (got == sizeof reason) {
      waitpid(child, NULL, 0);
      child = -1;
      saved = reason;
    }
  }
  close(failure[0]);
  errno = saved;
  return child;
}

ssize_t still_send(int socket, const void *bytes, size_t count, const int *descriptors,
                   size_t descriptor_count) {
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
  } control;
  if (descriptor_count > MAX_DESCRIPTORS) {
    errno = EINVAL;
    return -1;
  }
  size_t sent = 0;
  while (sent < count) {
    struct iovec part = {.iov_base = (char *)bytes + sent, .iov_len = count - sent};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor_count > 0) {
      memset(&control, 0, sizeof control);
      message.msg_control = control.room;
      message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptor_count);
      struct cmsghdr *header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int) * descriptor_count);
      memcpy(CMSG_DATA(header), descriptors, sizeof(int) * descriptor_count);
    }
    ssize_t now = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) return -1;
    sent += (size_t)now;
    descriptor_count = 0;  // they travel with the first byte
  }
  return (ssize_t)sent;
}

ssize_t still_receive(int socket, void *bytes, size_t count, int *descriptors,
                      size_t *descriptor_count) {
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
  } control;
  struct iovec part = {.iov_base = bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.room,
                           .msg_controllen = sizeof control.room};
  *descriptor_count = 0;
  ssize_t got;
  do got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0) return -1;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t held = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(descriptors + *descriptor_count, CMSG_DATA(header), held * sizeof(int));
    *descriptor_count += held;
  }
  return got;
}

static int configure(int context, unsigned int command, const char *key, const char *value) {
  return (int)syscall(SYS_fsconfig, context, command, key, value, 0);
}

/// ext4 and its elders do at an error what their superblock says, which may be to panic: not for a
/// snapshot, which gives nothing but errors once it has overflowed.
static int outlive_errors(int context, const char *kind) {
  if (strcmp(kind, "ext2") != 0 && strcmp(kind, "ext3") != 0 && strcmp(kind, "ext4") != 0) return 0;
  return configure(context, FSCONFIG_SET_STRING, "errors", "continue");
}

int still_mount_detached(const char *kind, const char *source, int nouuid, char *reason,
                         size_t reason_size) {
  if (reason_size > 0) reason[0] = 0;
  int context = (int)syscall(SYS_fsopen, kind, FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  int mounted = -1;
  if (configure(context, FSCONFIG_SET_STRING, "source", source) == 0 &&
      configure(context, FSCONFIG_SET_FLAG, "ro", NULL) == 0 &&
      outlive_errors(context, kind) == 0 &&
      (!nouuid || configure(context, FSCONFIG_SET_FLAG, "nouuid", NULL) == 0) &&
      configure(context, FSCONFIG_CMD_CREATE, NULL, NULL) == 0)
    mounted = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
                           MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                               MOUNT_ATTR_NOEXEC);
  // That is a place (O_PATH) and no more; a folder that can be read has to be opened at it.
  int root = mounted < 0 ? -1 : openat(mounted, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int saved = errno;
  if (mounted >= 0) close(mounted);
  if (root < 0 && reason_size > 1) {
    // The context holds the file system's own messages, one a read, each "e text".
    ssize_t got = read(context, reason, reason_size - 1);
    reason[got > 0 ? got : 0] = 0;
  }
  close(context);
  errno = saved;
  return root;
}

int still_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

void still_log(int is_error, const char *text) {
  openlog("pgstill", LOG_PID, LOG_DAEMON);
  syslog(is_error ? LOG_ERR : LOG_NOTICE, "%s", text);
}

int still_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int still_clone(int to, int from) { return ioctl(to, FICLONE, from); }

int still_syncfs(int descriptor) { return syncfs(descriptor); }

int still_io_priority(pid_t process) {
  // IOPRIO_WHO_PROCESS of linux/ioprio.h.
  return (int)syscall(SYS_ioprio_get, 1, process);
}

int still_exit_status(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

int still_devices(int folder, const char *name, unsigned int file_system[2],
                  unsigned int block_device[2]) {
  struct statx status;
  if (statx(folder, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &status) != 0) return -1;
  int is_block = S_ISBLK(status.stx_mode);
  file_system[0] = status.stx_dev_major;
  file_system[1] = status.stx_dev_minor;
  block_device[0] = is_block ? status.stx_rdev_major : 0;
  block_device[1] = is_block ? status.stx_rdev_minor : 0;
  return 0;
}

unsigned int still_major(dev_t device) { return major(device); }
unsigned int still_minor(dev_t device) { return minor(device); }

void still_start_writing(int descriptor, int64_t offset, int64_t count) {
  sync_file_range(descriptor, offset, count, SYNC_FILE_RANGE_WRITE);
}
