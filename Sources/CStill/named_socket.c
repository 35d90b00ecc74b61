#define _GNU_SOURCE
#include "still.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static socklen_t address_of(const char *name, struct sockaddr_un *address) {
  size_t length = strlen(name);
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (length == 0 || length > sizeof address->sun_path - 1) return 0;
  memcpy(address->sun_path + 1, name, length);  // the leading zero makes it abstract
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
}

static int failed(int descriptor) {
  int saved = errno;
  if (descriptor >= 0) close(descriptor);
  errno = saved;
  return -1;
}

static int owner_of(int connection, uid_t *peer) {
  struct ucred credentials;
  socklen_t size = sizeof credentials;
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return failed(connection);
  *peer = credentials.uid;
  return connection;
}

int still_listen(const char *name) {
  struct sockaddr_un address;
  socklen_t size = address_of(name, &address);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
      listen(listener, 4) != 0)
    return failed(listener);
  return listener;
}

int still_accept(int listener, int milliseconds, uid_t *peer) {
  struct pollfd wanted = {.fd = listener, .events = POLLIN};
  int ready = poll(&wanted, 1, milliseconds);
  if (ready <= 0) {
    if (ready == 0) errno = EAGAIN;
    return -1;
  }
  int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  return connection < 0 ? -1 : owner_of(connection, peer);
}

int still_connect(const char *name, uid_t *peer) {
  struct sockaddr_un address;
  socklen_t size = address_of(name, &address);
  int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0 || connect(connection, (struct sockaddr *)&address, size) != 0)
    return failed(connection);
  return owner_of(connection, peer);
}

int still_is_socket(int descriptor) {
  struct stat status;
  return fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode);
}
