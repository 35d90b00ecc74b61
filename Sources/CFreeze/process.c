#define _GNU_SOURCE
#include "freeze.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// What a process does about itself so that nothing in the window waits.

int64_t freeze_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int freeze_lock_memory(void) {
  return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0 ? 0 : errno;
}

void freeze_hurry(bool hurries, int priority) {
  struct sched_param parameters = {.sched_priority = hurries ? priority : 0};
  sched_setscheduler(0, hurries ? SCHED_FIFO : SCHED_OTHER, &parameters);
}

void freeze_shed_limits(void) {
  freeze_hurry(false, 0);
  setpriority(PRIO_PROCESS, 0, 0);
  // linux/ioprio.h: this process, best effort, the middle of its eight levels.
  syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 4);
  const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  setrlimit(RLIMIT_CPU, &none);
  setrlimit(RLIMIT_FSIZE, &none);
}
