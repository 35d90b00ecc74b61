#define _GNU_SOURCE
#include "freeze.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static bool fail(struct freeze_window *window, enum freeze_outcome outcome, uint32_t index,
                 int reason) {
  // The first failure is the one to report, but for an origin that is left suspended.
  if (window->outcome == FREEZE_DONE || outcome == FREEZE_RESUME_FAILED) {
    window->outcome = outcome;
    window->failed_index = index;
    window->failed_errno = reason;
  }
  return false;
}

/// Counts the steps of the window; a debug build rests after the one that a test names.
static void step_done(struct freeze_window *window) {
  window->steps_done++;
#ifdef DEBUG
  if (window->rehearsing || window->steps_done != window->pause_step) return;
  struct timespec rest = {.tv_sec = window->pause_nanoseconds / 1000000000,
                          .tv_nsec = window->pause_nanoseconds % 1000000000};
  nanosleep(&rest, NULL);
#endif
}

static bool is_suspended(struct freeze_window *window, const char *name) {
  int64_t flags = freeze_flags(window, name);
  return window->rehearsing || (flags >= 0 && (flags & DM_SUSPEND_FLAG));
}

static bool all_suspended(struct freeze_window *window) {
  for (uint32_t index = 0; index < window->origin_count; index++)
    if (!is_suspended(window, window->origins[index]))
      return fail(window, FREEZE_NOT_SUSPENDED, index, 0);
  return true;
}

/// Whether nobody else is at work on an origin. The kernel would let us adopt another command's
/// suspend, and our resume would put in place whatever table that command had loaded.
static bool is_free(struct freeze_window *window, const char *name) {
  int64_t flags = freeze_flags(window, name);
  return window->rehearsing ||
         (flags >= 0 && !(flags & (DM_SUSPEND_FLAG | DM_INACTIVE_PRESENT_FLAG)));
}

static bool suspend_all(struct freeze_window *window) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  window->began = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
  for (uint32_t index = 0; index < window->origin_count; index++) {
    const char *name = window->origins[index];
    if (!is_free(window, name)) return fail(window, FREEZE_ORIGIN_BUSY, index, 0);
    // Marked before it is done: dying between the two must not hide a suspended device from the
    // guard. Resuming one that is not suspended does nothing.
    window->shared->marks[index] = FREEZE_SUSPENDING;
    window->suspends[index].begin = freeze_now();
    int reason = freeze_suspend(window, name);
    window->suspends[index].end = freeze_now();
    window->held[index] = reason == 0;
    __atomic_store_n(&window->shared->marks[index],
                     reason == 0 ? FREEZE_SUSPENDED : FREEZE_NOT_HELD, __ATOMIC_SEQ_CST);
    if (reason != 0) {
      return fail(window, FREEZE_SUSPEND_FAILED, index, reason);
    }
    // A guard that has acted while this one was under way resumes it, and will not stop doing so.
    if (window->shared->guard_acted) return fail(window, FREEZE_GUARD_ACTED, index, 0);
    step_done(window);
  }
  return true;
}

static bool take_all(struct freeze_window *window) {
  for (uint32_t index = 0; index < window->take_count; index++) {
    // The kernel answers into what it is given; the request itself is needed once more after the
    // rehearsal.
    struct freeze_request request = window->takes[index];
    if (request.command == DM_DEV_SUSPEND && !window->rehearsing) {
      // Without a table that waits, the device runs already, and shows a moment of its own.
      int64_t flags = freeze_flags(window, request.header.name);
      if (flags < 0 || !(flags & DM_INACTIVE_PRESENT_FLAG))
        return fail(window, FREEZE_BEGAN_EARLY, index, 0);
    }
    window->taken[index].begin = freeze_now();
    int reason = freeze_call(window, request.command, &request.header);
    window->taken[index].end = freeze_now();
    if (reason != 0) return fail(window, FREEZE_TAKE_FAILED, index, reason);
    step_done(window);
  }
  return true;
}

static void let_go(struct freeze_window *window, uint32_t index) {
  window->held[index] = false;
  window->shared->marks[index] = FREEZE_NOT_HELD;
}

static bool resume_all(struct freeze_window *window) {
  bool all = true;
  for (uint32_t index = 0; index < window->origin_count; index++) {
    if (!window->held[index]) continue;
    // After a long time, that is: what is suspended in it now, or waits in it, is not ours.
    if (window->shared->has_run[index]) {
      let_go(window, index);
      continue;
    }
    window->resumes[index].begin = freeze_now();
    int reason = freeze_resume(window, window->origins[index]);
    window->resumes[index].end = freeze_now();
    if (reason == 0) {
      let_go(window, index);
      step_done(window);
    } else {
      all = fail(window, FREEZE_RESUME_FAILED, index, reason);
    }
  }
  return all;
}

/// The window itself. True if every origin runs again, whatever the outcome.
static bool pass_through(struct freeze_window *window) {
  if (suspend_all(window) && all_suspended(window)) {
    step_done(window);
    if (take_all(window)) all_suspended(window);
  }
  return resume_all(window);
}

/// Tries again, beside the guards, to resume what could not be resumed; but not for ever, for
/// somebody has to be told.
static void insist(struct freeze_window *window) {
  const struct timespec pause = {.tv_nsec = window->rehearsing ? 0 : 100 * 1000 * 1000};
  int64_t until = freeze_now() + window->deadline_nanoseconds + 5 * INT64_C(1000000000);
  for (bool left = true; left && freeze_now() < until;) {
    nanosleep(&pause, NULL);
    left = false;
    for (uint32_t index = 0; index < window->origin_count; index++) {
      if (!window->held[index]) continue;
      const char *name = window->origins[index];
      if (window->shared->has_run[index] || !is_suspended(window, name) ||
          freeze_resume(window, name) == 0)
        let_go(window, index);
      else left = true;
    }
    if (!left && !window->rehearsing) window->outcome = FREEZE_RESUMED_LATE;
  }
}

/// Goes through the window once without doing anything, so that every page of code, stack and data
/// that it needs is present and locked before a file system is frozen that could not deliver it.
static bool rehearse(struct freeze_window *window) {
  window->rehearsing = true;
  bool passed = pass_through(window) && window->outcome == FREEZE_DONE;
  insist(window);
  window->rehearsing = false;
  window->steps_done = 0;
  memset(window->suspends, 0, sizeof window->suspends);
  memset(window->taken, 0, sizeof window->taken);
  memset(window->resumes, 0, sizeof window->resumes);
  return passed;
}

/// An empty handler: a guard's signal has to interrupt a suspend that waits for a disk, no more.
static void interrupted(int number) { (void)number; }

static void hold_window(struct freeze_window *window) {
  if (!rehearse(window)) return;
  for (uint32_t index = 0; index < window->origin_count; index++)
    syncfs(window->folders[index]);  // best effort: the suspend flushes what is left
  step_done(window);
  freeze_hurry(true, 10);
  if (freeze_guards_arm(window)) pass_through(window);
  else fail(window, FREEZE_GUARD_LOST, 0, 0);
  freeze_hurry(false, 0);
  if (window->outcome == FREEZE_RESUME_FAILED) insist(window);
}

/// The guards, and the memory that is shared with them. 0, or errno.
static int call_guards(struct freeze_window *window) {
  window->broker = getpid();
  window->shared = mmap(NULL, sizeof *window->shared, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (window->shared == MAP_FAILED) return errno;
  int reason = freeze_guards_start(window);
  if (reason != 0) munmap(window->shared, sizeof *window->shared);
  return reason;
}

int freeze_watch_begin(struct freeze_window *window) {
  window->rolls_back = true;
  int reason = call_guards(window);
  if (reason != 0) return reason;
  // The command does not tell what it suspends: anything, from now on.
  for (uint32_t index = 0; index < window->origin_count; index++)
    window->shared->marks[index] = FREEZE_SUSPENDING;
  return 0;
}

void freeze_watch_end(struct freeze_window *window) {
  freeze_guards_dismiss(window);  // one that is gone was not needed
  munmap(window->shared, sizeof *window->shared);
}

void freeze_run(struct freeze_window *window) {
  window->outcome = FREEZE_DONE;
  int reason = call_guards(window);
  if (reason != 0) {
    fail(window, FREEZE_GUARD_LOST, 0, reason);
    return;
  }

  // No handler of ours may run in here, and a signal that interrupts a suspend makes it fail; the
  // guards' is there for just that.
  struct sigaction empty = {.sa_handler = interrupted};
  sigaction(SIGUSR1, &empty, NULL);  // for good: a late one must not end the process
  sigset_t all, before;
  sigfillset(&all);
  sigdelset(&all, SIGUSR1);
  sigprocmask(SIG_BLOCK, &all, &before);
  reason = freeze_lock_memory();
  if (reason == 0) hold_window(window);
  else fail(window, FREEZE_NOT_LOCKED, 0, reason);
  munlockall();

  // Where an origin is suspended still the guards are not dismissed: they go on until it has run once,
  // and do nothing else.
  if (window->outcome != FREEZE_RESUME_FAILED && !freeze_guards_dismiss(window))
    fail(window, FREEZE_GUARD_LOST, 0, 0);
  // Whatever else was noticed then, such as origins that ran again, is their doing.
  if (window->shared->guard_acted && window->outcome != FREEZE_RESUME_FAILED)
    window->outcome = FREEZE_GUARD_ACTED;
  sigprocmask(SIG_SETMASK, &before, NULL);
  munmap(window->shared, sizeof *window->shared);
}
