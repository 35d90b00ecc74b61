#define _GNU_SOURCE
#include "freeze.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>

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
