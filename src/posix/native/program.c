/* Blocks of strings as vectors, and executing them. */
#define _GNU_SOURCE
#include "program.h"
#include "raw.h"

#include <errno.h>
#include <string.h>

static size_t count_words(struct bytes block) {
  size_t count = 0;
  const unsigned char *end = block.data + block.length;
  for (const unsigned char *at = block.data; at < end; count++)
    at = (const unsigned char *)memchr(at, 0, (size_t)(end - at)) + 1;
  return count;
}

static char **list_words(struct bytes block, char **words) {
  char *end = (char *)block.data + block.length;
  for (char *at = (char *)block.data; at < end; at = (char *)memchr(at, 0, (size_t)(end - at)) + 1)
    *words++ = at;
  return words;
}

static bool is_block(struct bytes block) {
  return block.length == 0 || block.data[block.length - 1] == 0;
}

void check_blocks(struct call *call, const struct blocks *blocks) {
  if (call->invalid) return;
  if (blocks->files.length == 0 || !is_block(blocks->files) || !is_block(blocks->argv) ||
      !is_block(blocks->environment) || !is_block(blocks->extra))
    refuse_call(call, "a block of strings without its terminator");
}

size_t count_vectors(const struct blocks *blocks) {
  return count_words(blocks->files) + count_words(blocks->argv) +
         count_words(blocks->environment) + count_words(blocks->extra) + 3;
}

void make_vectors(struct program *program, const struct blocks *blocks, char **at) {
  program->files = at;
  at = list_words(blocks->files, at);
  *at++ = NULL;
  program->argv = at;
  at = list_words(blocks->argv, at);
  *at++ = NULL;
  program->environment = at;
  at = list_words(blocks->extra, list_words(blocks->environment, at));
  *at = NULL;
}

IN_CHILD int try_files(const struct program *program) {
  int error = ENOENT;
  for (char **file = program->files; *file != NULL; file++) {
    int failure = (int)-raw3(SYS_execve, *file, program->argv, program->environment);
    if (failure == ENOENT) continue;
    error = failure;
    if (error != EACCES && error != EPERM && error != EISDIR && error != ENOTDIR) break;
  }
  return error;
}
