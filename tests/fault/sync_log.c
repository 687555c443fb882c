// Loaded before the C library: notes in $SYNC_LOG how long each file was when a sync of it had succeeded, zeros at its
// end not counted. What lies behind that is what a power failure may take.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "said.h"

static int noted(int fd, const char* name) {
  struct stat before;
  if (fstat(fd, &before) != 0) return -1;
  const off_t written = S_ISREG(before.st_mode) ? said(fd, before.st_size) : 0;
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  const int result = real(fd);
  const char* path = getenv("SYNC_LOG");
  if (result != 0 || path == NULL || !S_ISREG(before.st_mode)) return result;
  char link[64], target[4096], line[4200];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, target, sizeof target - 1);
  if (size <= 0) return result;
  target[size] = 0;
  const int length = snprintf(line, sizeof line, "%lld %s\n", (long long)written, target);
  const int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log >= 0) {
    if (write(log, line, (size_t)length) != length) abort();
    close(log);
  }
  return result;
}

int fdatasync(int fd) { return noted(fd, "fdatasync"); }
int fsync(int fd) { return noted(fd, "fsync"); }
