/*
 * The least that a server with a program for each connection does: accept, vfork, exec. It listens on
 * a free port of 127.0.0.1, or with -u on the Unix-domain socket named next; writes the port, or an empty
 * line, to standard output, and runs the program named by its words.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

extern char **environ;

static int listen_locally(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -1;
  strcpy(address.sun_path, path);
  unlink(path);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 128) < 0)
    return -1;
  puts("");
  return listener;
}

static int listen_on_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
      listen(listener, 128) < 0 || getsockname(listener, (struct sockaddr *)&address, &length) < 0)
    return -1;
  printf("%d\n", ntohs(address.sin_port));
  return listener;
}

int main(int argc, char **argv) {
  int is_local = argc > 2 && strcmp(argv[1], "-u") == 0;
  char **program = argv + (is_local ? 3 : 1);
  if (argc < 2 || *program == NULL) return 100;
  int listener = is_local ? listen_locally(argv[2]) : listen_on_port();
  if (listener < 0) return 111;
  fflush(stdout);
  signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
  for (;;) {
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) continue;
    if (vfork() == 0) {
      dup2(connection, 0);
      dup2(connection, 1);
      execve(*program, program, environ);
      _exit(127);
    }
    close(connection);
  }
}
