/* A program to be executed: the three vectors that execve takes, from blocks of strings. */
#ifndef UCSPI_PROGRAM_H
#define UCSPI_PROGRAM_H

#include "addon.h"

#define IN_CHILD __attribute__((no_sanitize("address", "undefined")))

enum { WORDS_ON_STACK = 512 };

/* The vectors point into the blocks they came from. */
struct program {
  char **files;
  char **argv;
  char **environment;
  char **allocated; /* to be freed */
  char *room[WORDS_ON_STACK];
};

/* Refuses the call when a block lacks its terminator. */
void load_program(struct call *call, struct program *program, struct bytes files,
                  struct bytes argv, struct bytes environment, struct bytes extra);

/* Executes, or gives the errno: execvp's rules, the last error that was not ENOENT counts. */
IN_CHILD int try_files(const struct program *program);

#endif
