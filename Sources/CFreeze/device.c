#include "freeze.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

// Words with device-mapper: requests that are filled in before the window, and the few that are made
// inside it.

static int fill(struct dm_ioctl *header, const char *name, uint32_t flags) {
  memset(header, 0, sizeof *header);
  header->version[0] = DM_VERSION_MAJOR;  // minor 0: any kernel of this major understands us
  header->data_size = sizeof *header;
  header->data_start = sizeof *header;
  header->flags = flags;
  if (strlen(name) >= sizeof header->name) return -1;
  strcpy(header->name, name);
  return 0;
}

int freeze_add_origin(struct freeze_window *window, const char *name, int folder) {
  if (window->origin_count == FREEZE_MAX_ORIGINS || strlen(name) >= DM_NAME_LEN) return -1;
  window->folders[window->origin_count] = folder;
  strcpy(window->origins[window->origin_count++], name);
  return 0;
}

int freeze_add_resume(struct freeze_window *window, const char *name) {
  if (window->take_count == FREEZE_MAX_TAKES) return -1;
  struct freeze_request *request = &window->takes[window->take_count];
  request->command = DM_DEV_SUSPEND;  // without the suspend flag it resumes
  if (fill(&request->header, name, 0) != 0) return -1;
  window->take_count++;
  return 0;
}

int freeze_add_message(struct freeze_window *window, const char *name, const char *text) {
  if (window->take_count == FREEZE_MAX_TAKES || strlen(text) >= FREEZE_MESSAGE_ROOM) return -1;
  struct freeze_request *request = &window->takes[window->take_count];
  request->command = DM_TARGET_MSG;
  if (fill(&request->header, name, 0) != 0) return -1;
  request->header.data_start = offsetof(struct freeze_request, sector) -
                               offsetof(struct freeze_request, header);
  request->header.data_size = sizeof *request - offsetof(struct freeze_request, header);
  request->sector = 0;
  strcpy(request->text, text);
  window->take_count++;
  return 0;
}

int freeze_call(struct freeze_window *window, unsigned long command, struct dm_ioctl *request) {
  unsigned long sent = window->rehearsing ? DM_VERSION : command;
  return ioctl(window->control, sent, request) == 0 ? 0 : errno;
}

int freeze_suspend(struct freeze_window *window, const char *name) {
  struct dm_ioctl request;
  fill(&request, name, DM_SUSPEND_FLAG);
  return freeze_call(window, DM_DEV_SUSPEND, &request);
}

int freeze_resume(struct freeze_window *window, const char *name) {
  struct dm_ioctl request;
  fill(&request, name, 0);
  return freeze_call(window, DM_DEV_SUSPEND, &request);
}

int freeze_clear(struct freeze_window *window, const char *name) {
  struct dm_ioctl request;
  fill(&request, name, 0);
  return freeze_call(window, DM_TABLE_CLEAR, &request);
}

int64_t freeze_flags(struct freeze_window *window, const char *name) {
  struct dm_ioctl request;
  fill(&request, name, 0);
  return freeze_call(window, DM_DEV_STATUS, &request) == 0 ? (int64_t)request.flags : -1;
}
