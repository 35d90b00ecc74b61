#pragma once
// The freeze window and its guards.
//
// Between the first suspend and the last resume a database waits, and with it whoever needs one of
// its pages: a page fault, an allocation or a line in a log that lands on a frozen file system would
// wait for ourselves. So the window is C over buffers that were filled before: device-mapper's own
// ioctl calls (linux/dm-ioctl.h), and nothing else.

#include <linux/dm-ioctl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
  FREEZE_MAX_ORIGINS = 32,
  FREEZE_MAX_TAKES = 64,
  FREEZE_MESSAGE_ROOM = 64,
  FREEZE_GUARDS = 2,
};

/// From the monotonic clock, in nanoseconds; 0 where a step was not reached.
struct freeze_step {
  int64_t begin;
  int64_t end;
};

/// One ioctl call, filled in before the window.
struct freeze_request {
  unsigned long command;
  struct dm_ioctl header;
  // A struct dm_target_msg with its text, for messages only.
  uint64_t sector;
  char text[FREEZE_MESSAGE_ROOM];
};

enum freeze_outcome {
  FREEZE_DONE = 0,
  /// Another command is at work on an origin: it is suspended, or has a table loaded, already.
  FREEZE_ORIGIN_BUSY,
  /// An origin could not be suspended.
  FREEZE_SUSPEND_FAILED,
  /// Somebody resumed an origin inside the window: the set is not of one instant.
  FREEZE_NOT_SUSPENDED,
  /// A snapshot had begun before the window: another command has put its table in place.
  FREEZE_BEGAN_EARLY,
  /// A snapshot could not be taken.
  FREEZE_TAKE_FAILED,
  /// An origin is suspended still. It outweighs every other outcome; the guards go on trying.
  FREEZE_RESUME_FAILED,
  /// An origin could not be resumed at once, and runs now.
  FREEZE_RESUMED_LATE,
  /// The guards resumed the origins: the deadline had passed.
  FREEZE_GUARD_ACTED,
  /// A guard could not be started or has died.
  FREEZE_GUARD_LOST,
  /// This process may not lock its memory.
  FREEZE_NOT_LOCKED,
};

/// What the broker has to do with an origin.
enum freeze_mark {
  FREEZE_NOT_HELD = 0,
  /// It is being suspended.
  FREEZE_SUSPENDING,
  /// The broker has suspended it, and not resumed it.
  FREEZE_SUSPENDED,
};

/// What broker and guards all see: a page of shared memory. The broker alone writes `marks`, the
/// guards all else.
struct freeze_shared {
  /// Of each origin, from before its suspend until after its resume (enum freeze_mark).
  volatile int32_t marks[FREEZE_MAX_ORIGINS];
  /// 1 for an origin that has run again since the broker suspended it: who suspends it from then on
  /// is somebody else.
  volatile int32_t has_run[FREEZE_MAX_ORIGINS];
  volatile int32_t guard_acted;
};

/// A guard, and the broker's end of the pipe to it.
struct freeze_guard {
  pid_t process;
  int pipe;
};

struct freeze_window {
  /// An open /dev/mapper/control.
  int control;
  int64_t deadline_nanoseconds;

  /// For tests, in debug builds only: how long to rest after which step. The first is the flush, then
  /// come each suspend, the proof that all are suspended, each take and each resume. 0 for none.
  uint32_t pause_step;
  int64_t pause_nanoseconds;
  /// An open folder on each origin's file system: synced right before the window, so that little is
  /// left to flush inside it.
  int folders[FREEZE_MAX_ORIGINS];

  uint32_t origin_count;
  char origins[FREEZE_MAX_ORIGINS][DM_NAME_LEN];
  uint32_t take_count;
  struct freeze_request takes[FREEZE_MAX_TAKES];

  /// The time of day of the first suspend, in microseconds since 1970.
  int64_t began;
  struct freeze_step suspends[FREEZE_MAX_ORIGINS];
  struct freeze_step taken[FREEZE_MAX_TAKES];
  struct freeze_step resumes[FREEZE_MAX_ORIGINS];
  enum freeze_outcome outcome;
  /// Which origin or take failed, and errno.
  uint32_t failed_index;
  int failed_errno;

  // Set up by freeze_run.
  /// Every call goes to device-mapper as a question for its version.
  bool rehearsing;
  /// Which origins this process has suspended and not resumed.
  bool held[FREEZE_MAX_ORIGINS];
  uint32_t steps_done;
  /// Guards drop the table that waits in a device before they resume it.
  bool rolls_back;
  pid_t broker;
  struct freeze_shared *shared;
  uint32_t guard_count;
  struct freeze_guard guards[FREEZE_GUARDS];
};

/// Adds an origin by its device-mapper name, with an open folder on its file system. 0, or -1 when
/// there is no room for it.
int freeze_add_origin(struct freeze_window *window, const char *name, int folder);

/// Adds "resume this device", which puts its inactive table in place. 0 or -1.
int freeze_add_resume(struct freeze_window *window, const char *name);

/// Adds "send this message to sector 0 of this device". 0 or -1.
int freeze_add_message(struct freeze_window *window, const char *name, const char *text);

/// Starts the guards, then does the whole window: suspends every origin, proves that all are
/// suspended, takes every snapshot, proves it again, resumes every origin, and dismisses the guards.
/// Whatever fails, every origin that was suspended is resumed before it returns. The outcome and
/// the times stand in `window`. The caller ignores SIGPIPE, which a guard that died would cause.
void freeze_run(struct freeze_window *window);

/// For commands that suspend devices on their own, such as LVM's: from here until `freeze_watch_end`
/// two guards resume whatever of the window's origins is suspended, in their order, should this
/// process die. The tables that the command has loaded are dropped: whether LVM has committed the
/// metadata that they belong to is not known, and what ran before can go on in either case. There is
/// no deadline. 0, or errno.
int freeze_watch_begin(struct freeze_window *window);
void freeze_watch_end(struct freeze_window *window);

// Below the window. process.c:

int64_t freeze_now(void);
/// Locks this process's memory: what is present now, and every page that is touched from now on.
/// Pages that were never touched are not read in for that, which would take longer than the window.
/// 0, or errno.
int freeze_lock_memory(void);
/// Puts this process before all ordinary ones, or back among them: nobody who wants a processor may
/// keep the window open. What is not allowed is done without.
void freeze_hurry(bool hurries, int priority);
/// Takes off what was put on whoever started this process, such as ionice(1), nice(1) or ulimit: a
/// process that has suspended disks is not to wait for its turn, or to end. What is not allowed is
/// done without.
void freeze_shed_limits(void);

// device.c; each returns 0 or errno unless it says otherwise:

int freeze_call(struct freeze_window *window, unsigned long command, struct dm_ioctl *request);
int freeze_suspend(struct freeze_window *window, const char *name);
int freeze_resume(struct freeze_window *window, const char *name);
/// Drops the table that waits in a device, if there is one.
int freeze_clear(struct freeze_window *window, const char *name);
/// Device-mapper's flags of `name` (DM_SUSPEND_FLAG and others), or -1.
int64_t freeze_flags(struct freeze_window *window, const char *name);

// guard.c:

/// 0, or errno.
int freeze_guards_start(struct freeze_window *window);
/// False if a guard is gone.
bool freeze_guards_arm(struct freeze_window *window);
/// True if every guard was there to the end and none had to act.
bool freeze_guards_dismiss(struct freeze_window *window);
