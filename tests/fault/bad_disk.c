// Loaded before the C library: writes and syncs fail as the file named by $BAD_DISK says, one rule per line:
//   write ERRNO PART   writes to files whose path holds PART fail
//   sync  ERRNO PART   so do fsync and fdatasync
//   slow  MS    PART   they take so long
//   stall MS    PART   syncs wait until the rule is gone, which is looked for every MS: the disk has stopped, and the
//                      system takes writes still
//   hang  MS    PART   writes do, too
//   lose  ERRNO PART   the same, and what was written since the last good sync is dropped: the bytes become zeros, as
//                      when a kernel gives up pages it could not write and has nothing to say about them afterwards
// No such file, no faults.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "said.h"

enum { kFiles = 4096 };
static struct { dev_t dev; ino_t ino; off_t size; } synced[kFiles];
static int synced_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static off_t* synced_size(const struct stat* st) {
  for (int i = 0; i < synced_count; ++i)
    if (synced[i].dev == st->st_dev && synced[i].ino == st->st_ino) return &synced[i].size;
  if (synced_count == kFiles) abort();
  synced[synced_count].dev = st->st_dev;
  synced[synced_count].ino = st->st_ino;
  return &synced[synced_count++].size;
}

// The number a rule for `call` gives this file, 0 when there is none.
static int rule(int fd, const char* call, struct stat* st) {
  const char* control = getenv("BAD_DISK");
  if (control == NULL) return 0;
  const int in = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
  if (in < 0) return 0;
  char text[1024], link[64], path[4096];
  const ssize_t size = syscall(SYS_read, in, text, sizeof text - 1);
  syscall(SYS_close, in);
  if (size <= 0 || fstat(fd, st) != 0 || !S_ISREG(st->st_mode)) return 0;
  text[size] = 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  char *rest = NULL, word[16], part[512];
  for (char* line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
    int code = 0;
    if (sscanf(line, "%15s %d %511s", word, &code, part) == 3 && strcmp(word, call) == 0 && strstr(path, part) != NULL)
      return code;
  }
  return 0;
}

static void wait_while(int fd, int is_write) {
  struct stat st;
  for (int ms; (ms = rule(fd, "hang", &st)) != 0 || (!is_write && (ms = rule(fd, "stall", &st)) != 0);)
    usleep((useconds_t)ms * 1000);
}

#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))

static int sync_or_fail(int fd, const char* name) {
  struct stat st;
  wait_while(fd, 0);
  usleep((useconds_t)rule(fd, "slow", &st) * 1000);
  int code = rule(fd, "sync", &st);
  const int lost = rule(fd, "lose", &st);
  if (lost != 0) {
    pthread_mutex_lock(&lock);
    const off_t safe = *synced_size(&st);
    if (safe < st.st_size && (ftruncate(fd, safe) != 0 || ftruncate(fd, st.st_size) != 0)) abort();
    pthread_mutex_unlock(&lock);
    code = lost;
  }
  if (code != 0) {
    errno = code;
    return -1;
  }
  const int known = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
  const off_t written = known ? said(fd, st.st_size) : 0;
  const int result = REAL(int (*)(int), name)(fd);
  if (result == 0 && known) {
    pthread_mutex_lock(&lock);
    *synced_size(&st) = written;
    pthread_mutex_unlock(&lock);
  }
  return result;
}

int sync_file_range(int fd, off64_t at, off64_t size, unsigned flags) {
  if (flags & SYNC_FILE_RANGE_WAIT_BEFORE) wait_while(fd, 0);
  return REAL(int (*)(int, off64_t, off64_t, unsigned), "sync_file_range")(fd, at, size, flags);
}

int fsync(int fd) { return sync_or_fail(fd, "fsync"); }
int fdatasync(int fd) { return sync_or_fail(fd, "fdatasync"); }

#define WRITE_OR_FAIL(type, name, ...)                    \
  struct stat st;                                         \
  wait_while(fd, 1);                                      \
  const int saved = errno, code = rule(fd, "write", &st); \
  if (code != 0) {                                        \
    errno = code;                                         \
    return -1;                                            \
  }                                                       \
  errno = saved;                                          \
  return REAL(type, name)(fd, __VA_ARGS__)

typedef ssize_t (*write_type)(int, const void*, size_t);
typedef ssize_t (*writev_type)(int, const struct iovec*, int);
typedef ssize_t (*pwrite_type)(int, const void*, size_t, off_t);

ssize_t write(int fd, const void* bytes, size_t size) { WRITE_OR_FAIL(write_type, "write", bytes, size); }
ssize_t writev(int fd, const struct iovec* parts, int count) { WRITE_OR_FAIL(writev_type, "writev", parts, count); }
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) { WRITE_OR_FAIL(pwrite_type, "pwrite", bytes, size, at); }
ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t at) {
  WRITE_OR_FAIL(pwrite_type, "pwrite64", bytes, size, at);
}
