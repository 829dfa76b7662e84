/*
 * The least that a server with a program for each connection does: accept, vfork, exec. It listens on
 * a free port of 127.0.0.1, writes that to standard output, and runs the program named by its words.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (argc < 2 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
      listen(listener, 128) < 0 || getsockname(listener, (struct sockaddr *)&address, &length) < 0)
    return 111;
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
  for (;;) {
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) continue;
    if (vfork() == 0) {
      dup2(connection, 0);
      dup2(connection, 1);
      execve(argv[1], argv + 1, environ);
      _exit(127);
    }
    close(connection);
  }
}
