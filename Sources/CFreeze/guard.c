#define _GNU_SOURCE
#include "freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// A guard's whole life: wait to be armed, then wait for the dismissal, the broker's death (its end of
// the pipe closes) or the deadline, whichever comes first; in the last two cases, act. One that is
// never armed knows no deadline. It never needs memory, a file or a lock after it said that it is
// ready.
//
// There are two, for who ends the broker may end the process next to it as well. The second one gives
// the first a lead: what two resume at once one of them resumes a moment too late, and by then
// somebody else may have suspended it.

enum { READY = 'r', ARMED = 'a', DISMISSED = 'd', LATE = 'l' };

/// In nanoseconds.
static const int64_t LEAD = 100 * 1000 * 1000;

static char *own_name;
static size_t own_name_room;

__attribute__((constructor)) static void remember_name(int count, char **arguments) {
  if (count == 0) return;
  own_name = arguments[0];
  own_name_room = (size_t)(arguments[count - 1] + strlen(arguments[count - 1]) - own_name);
}

/// Goes under a name and into a control group of its own: who ends the broker by its name, or with
/// its whole service, must not end its guard too.
static void step_aside(void) {
  prctl(PR_SET_NAME, "still-guard");
  if (own_name_room > strlen("still-guard")) {
    memset(own_name, 0, own_name_room);
    strcpy(own_name, "still-guard");
  }
  const char *groups[] = {"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/systemd/cgroup.procs"};
  for (int index = 0; index < 2; index++) {
    int file = open(groups[index], O_WRONLY | O_CLOEXEC);
    if (file < 0) continue;
    ssize_t ignored = write(file, "0", 1);  // oneself
    (void)ignored;
    close(file);
  }
}

/// How many there were when this one was started.
static bool is_second(struct freeze_window *window) { return window->guard_count > 0; }

/// The origin that comes next in this guard's own order. A resume writes to the file system, and may
/// wait for its disk: so the second guard goes the other way about, and no origin keeps all others
/// waiting. Not so where devices are stacked on each other.
static uint32_t at(struct freeze_window *window, uint32_t step) {
  return is_second(window) && !window->rolls_back ? window->origin_count - 1 - step : step;
}

/// One that runs is left alone: a resume would put in place whatever table waits in it. One without a
/// table cannot run, and nobody waits for it.
static bool is_waiting(struct freeze_window *window, uint32_t index) {
  int64_t flags = freeze_flags(window, window->origins[index]);
  return flags >= 0 && (flags & DM_SUSPEND_FLAG) && (flags & DM_ACTIVE_PRESENT_FLAG);
}

/// True if it runs now.
static bool let_run(struct freeze_window *window, uint32_t index) {
  if (window->rolls_back) freeze_clear(window, window->origins[index]);
  return freeze_resume(window, window->origins[index]) == 0;
}

/// One round while the broker lives. Each origin is let run once: what is suspended after that is
/// somebody else's work. True if a suspend is under way, which cannot be resumed before it is done.
static bool help_the_living(struct freeze_window *window) {
  struct freeze_shared *shared = window->shared;
  bool is_under_way = false;
  for (uint32_t step = 0; step < window->origin_count; step++) {
    uint32_t index = at(window, step);
    // Read before the flags: once it says that the suspend is done, what runs has been resumed.
    int32_t mark = __atomic_load_n(&shared->marks[index], __ATOMIC_SEQ_CST);
    if (mark == FREEZE_NOT_HELD || shared->has_run[index]) continue;
    bool runs = !is_waiting(window, index) || let_run(window, index);
    // The broker's own suspend may come only after this.
    if (mark == FREEZE_SUSPENDING) is_under_way = true;
    else if (runs) shared->has_run[index] = 1;
  }
  return is_under_way;
}

/// What is suspended at the death of the broker. None of its suspends is under way: it had one
/// thread, whose last call ended before its end of the pipe closed. So whatever is suspended later is
/// somebody else's work.
static void note(struct freeze_window *window, bool noted[FREEZE_MAX_ORIGINS]) {
  for (uint32_t index = 0; index < window->origin_count; index++)
    noted[index] = window->shared->marks[index] != FREEZE_NOT_HELD &&
                   !window->shared->has_run[index] && is_waiting(window, index);
}

/// One round over what was noted. True if none of it is suspended any more.
static bool let_noted_run(struct freeze_window *window, bool noted[FREEZE_MAX_ORIGINS]) {
  bool none = true;
  for (uint32_t step = 0; step < window->origin_count; step++) {
    uint32_t index = at(window, step);
    noted[index] = noted[index] && !window->shared->has_run[index] && is_waiting(window, index);
    if (!noted[index]) continue;
    if (let_run(window, index)) window->shared->has_run[index] = 1;
    none = false;
  }
  return none;
}

/// 1: something to read (or the end of the pipe), 0: the time is up.
static int wait_for(int pipe_end, int64_t until) {
  for (;;) {
    int64_t rest = until - freeze_now();
    if (rest <= 0) return 0;
    struct timespec timeout = {.tv_sec = rest / 1000000000, .tv_nsec = rest % 1000000000};
    struct pollfd wanted = {.fd = pipe_end, .events = POLLIN};
    int got = ppoll(&wanted, 1, &timeout, NULL);
    if (got > 0) return 1;
  }
}

static char next_word(int pipe_end) {
  char word = 0;
  ssize_t got;
  do got = read(pipe_end, &word, 1);
  while (got < 0 && errno == EINTR);
  return got == 1 ? word : 0;
}

/// Lets everything run that is the broker's. While it lives that takes round after round, until its
/// last word says that it is done; a signal interrupts a suspend of its that waits for a disk.
static void act(struct freeze_window *window, int commands, bool broker_lives) {
  const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
  while (broker_lives) {
    // By its number alone it might be another process by now.
    if (help_the_living(window) && getppid() == window->broker) kill(window->broker, SIGUSR1);
    nanosleep(&pause, NULL);
    if (!wait_for(commands, freeze_now() + 1000000)) continue;
    if (next_word(commands) == DISMISSED) return;
    broker_lives = false;
  }
  bool noted[FREEZE_MAX_ORIGINS];
  note(window, noted);
  const struct timespec lead = {.tv_nsec = is_second(window) ? LEAD : 0};
  nanosleep(&lead, NULL);
  while (!let_noted_run(window, noted)) nanosleep(&pause, NULL);
}

static void __attribute__((noreturn)) guard(struct freeze_window *window, int commands,
                                            int reports) {
  setpgid(0, 0);
  for (int number = 1; number < NSIG; number++) signal(number, SIG_IGN);
  step_aside();
  freeze_hurry(true, 20);  // it sleeps nearly all of its life
  int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (score >= 0) {
    ssize_t ignored = write(score, "-1000", 5);
    (void)ignored;
  }
  // Low numbers, so that everything else can be closed: an open end of the broker's socket would
  // keep the coordinator from seeing that the broker died.
  int kept[3] = {fcntl(window->control, F_DUPFD, 10), fcntl(commands, F_DUPFD, 10),
                 fcntl(reports, F_DUPFD, 10)};
  for (int index = 0; index < 3; index++)
    if (kept[index] < 0 || dup2(kept[index], index) < 0) _exit(2);
  syscall(SYS_close_range, 3u, ~0u, 0u);
  window->control = 0;
  commands = 1;
  if (freeze_lock_memory() != 0) _exit(2);
  // As in the window: every page that will be needed is touched now.
  const struct timespec no_time = {0};
  window->rehearsing = true;
  bool noted[FREEZE_MAX_ORIGINS];
  help_the_living(window);
  note(window, noted);
  let_noted_run(window, noted);
  freeze_clear(window, window->origins[0]);
  freeze_resume(window, window->origins[0]);
  freeze_flags(window, window->origins[0]);
  wait_for(commands, freeze_now() + 1000000);
  nanosleep(&no_time, NULL);
  if (getppid() == window->broker) kill(window->broker, 0);
  window->rehearsing = false;
  char word = READY;
  if (write(2, &word, 1) != 1) _exit(2);
  close(2);

  word = next_word(commands);
  if (word == ARMED) {
    int64_t until = freeze_now() + window->deadline_nanoseconds + (is_second(window) ? LEAD : 0);
    word = wait_for(commands, until) ? next_word(commands) : LATE;
  }
  if (word == DISMISSED) _exit(0);
  window->shared->guard_acted = 1;
  act(window, commands, word == LATE);
  _exit(1);
}

/// 0, or errno.
static int start_one(struct freeze_window *window, struct freeze_guard *started) {
  int commands[2], reports[2];
  if (pipe2(commands, O_CLOEXEC) != 0) return errno;
  if (pipe2(reports, O_CLOEXEC) != 0) {
    int reason = errno;
    close(commands[0]);
    close(commands[1]);
    return reason;
  }
  pid_t child = fork();
  int reason = child < 0 ? errno : 0;
  if (child == 0) guard(window, commands[0], reports[1]);
  close(commands[0]);
  close(reports[1]);
  if (reason == 0 && next_word(reports[0]) != READY) {
    waitpid(child, NULL, 0);
    reason = EPERM;  // it could not lock its memory
  }
  close(reports[0]);
  if (reason != 0) {
    close(commands[1]);
    return reason;
  }
  *started = (struct freeze_guard){.process = child, .pipe = commands[1]};
  return 0;
}

static bool say(struct freeze_guard *guard, char word) { return write(guard->pipe, &word, 1) == 1; }

int freeze_guards_start(struct freeze_window *window) {
  for (window->guard_count = 0; window->guard_count < FREEZE_GUARDS; window->guard_count++) {
    int reason = start_one(window, &window->guards[window->guard_count]);
    if (reason == 0) continue;
    freeze_guards_dismiss(window);
    return reason;
  }
  return 0;
}

bool freeze_guards_arm(struct freeze_window *window) {
  bool all = true;
  for (uint32_t index = 0; index < window->guard_count; index++)
    all = say(&window->guards[index], ARMED) && all;
  return all;
}

bool freeze_guards_dismiss(struct freeze_window *window) {
  for (uint32_t index = 0; index < window->guard_count; index++) {
    say(&window->guards[index], DISMISSED);
    close(window->guards[index].pipe);
  }
  bool all = true;
  for (uint32_t index = 0; index < window->guard_count; index++) {
    int status = -1;
    pid_t got;
    do got = waitpid(window->guards[index].process, &status, 0);
    while (got < 0 && errno == EINTR);
    all = got == window->guards[index].process && WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
          all;
  }
  window->guard_count = 0;
  return all;
}
