/* Blocks of strings as vectors, and executing them. */
#define _GNU_SOURCE
#include "program.h"
#include "raw.h"

#include <errno.h>
#include <stdlib.h>
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

void load_program(struct call *call, struct program *program, struct bytes files,
                         struct bytes argv, struct bytes environment, struct bytes extra) {
  program->allocated = NULL;
  if (call->invalid) return;
  if (files.length == 0 || !is_block(files) || !is_block(argv) || !is_block(environment) ||
      !is_block(extra)) {
    refuse_call(call, "a block of strings without its terminator");
    return;
  }
  size_t total = count_words(files) + count_words(argv) + count_words(environment) +
                 count_words(extra) + 3;
  char **at = program->room;
  if (total > WORDS_ON_STACK) {
    at = program->allocated = malloc(total * sizeof *at);
    if (at == NULL) {
      call->invalid = true;
      throw_errno(call->env, "malloc", ENOMEM);
      return;
    }
  }
  program->files = at;
  at = list_words(files, at);
  *at++ = NULL;
  program->argv = at;
  at = list_words(argv, at);
  *at++ = NULL;
  program->environment = at;
  at = list_words(extra, list_words(environment, at));
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
