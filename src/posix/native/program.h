/* A program to be executed: the three vectors that execve takes, from blocks of strings. */
#ifndef UCSPI_PROGRAM_H
#define UCSPI_PROGRAM_H

#include "addon.h"

#define IN_CHILD __attribute__((no_sanitize("address", "undefined")))

/* Strings back to back, each with its NUL. */
struct blocks {
  struct bytes files;
  struct bytes argv;
  struct bytes environment;
  struct bytes extra; /* more of the environment */
};

/* The vectors point into the blocks they were made of. */
struct program {
  char **files;
  char **argv;
  char **environment;
};

/* Refuses the call when a block lacks its terminator, or there is no file. */
void check_blocks(struct call *call, const struct blocks *blocks);

/* The number of pointers in the vectors of these blocks. */
size_t count_vectors(const struct blocks *blocks);

/* Makes the vectors of checked blocks, at a place for as many pointers as count_vectors says. */
void make_vectors(struct program *program, const struct blocks *blocks, char **at);

/* Executes, or gives the errno: execvp's rules, the last error that was not ENOENT counts. */
IN_CHILD int try_files(const struct program *program);

#endif
