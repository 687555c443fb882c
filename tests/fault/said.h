// How much of a file says anything: where its last byte that is not zero ends. A journal of durability `power` prepares
// room behind its records, so the length of a file tells nothing about what was written or synced.
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static off_t said(int fd, off_t size) {
  enum { kPiece = 1 << 16 };
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);  // itself it may be open for writing alone
  const int in = open(path, O_RDONLY | O_CLOEXEC);
  char* piece = malloc(kPiece);
  if (in < 0 || piece == NULL) abort();
  off_t from = size;
  while (size > 0 && size == from) {
    from = size > kPiece ? size - kPiece : 0;
    if (pread(in, piece, (size_t)(size - from), from) != (ssize_t)(size - from)) abort();
    while (size > from && piece[size - from - 1] == 0) --size;
  }
  free(piece);
  close(in);
  return size;
}
