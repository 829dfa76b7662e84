/*
 * The native launcher of a command: what runs before Node. It notes what Node is about to change (the
 * soft limit on open files, which descriptors are open, ignored and blocked signals), renames the
 * variables that Node would act on, and executes Node with what loads the command (src/command/loader.ts).
 * src/chain/inherit.ts reads the notes and gives everything back.
 *
 * It has no libc, so that one small file runs with every one of them and starts at once.
 */
#define _GNU_SOURCE
#include "../posix/native/raw.h"

#include <elf.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call launch\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n  mov x29, #0\n  mov x30, #0\n  mov x0, sp\n  bl launch\n");
#else
#error "there is no native launcher for this processor: the portable ones do"
#endif

enum {
  PATH_BYTES_MAX = 4096,
  RECORD_BYTES_MAX = 100 * 1024, /* the kernel takes 128 KiB in one string */
  SIGNALS_MAX = 64,
  POLL_BATCH = 1024,
  PROBED_DESCRIPTORS_MAX = 65536, /* where /proc does not list those that are open */
  LINKS_MAX = 40,
  NODE_DESCRIPTORS = 16, /* with fewer to open, Node 20 crashes before it can say why */
  EXIT_USAGE = 100,
  EXIT_SYSTEM = 111,
  EXIT_NOT_EXECUTABLE = 126,
  EXIT_NOT_FOUND = 127,
};

/*
 * What whoever makes a folder of launchers knows (src/command/commands/folder/launcher-folder.ts), lines of `name=value`
 * behind the first: `root`, where the package is, if not above the launcher's own folder; `node`, a Node;
 * `version`, by which that file is recognised; `option`, what this Node is to be given.
 */
__attribute__((used)) static const volatile char SETTINGS[3 * PATH_BYTES_MAX] = "UCSPI LAUNCHER 1\n";

/* --- strings ----------------------------------------------------------------------------------- */

/* The compiler may call these for what looks like them. */
void *memcpy(void *to, const void *from, size_t length);
void *memset(void *to, int value, size_t length);

void *memcpy(void *to, const void *from, size_t length) {
  for (size_t i = 0; i < length; i++) ((volatile char *)to)[i] = ((const char *)from)[i];
  return to;
}

void *memset(void *to, int value, size_t length) {
  for (size_t i = 0; i < length; i++) ((volatile char *)to)[i] = (char)value;
  return to;
}

static size_t length_of(const char *text) {
  size_t length = 0;
  while (text[length] != 0) length++;
  return length;
}

static bool starts_with(const char *text, const char *start) {
  while (*start != 0)
    if (*text++ != *start++) return false;
  return true;
}

/* A text that is put together piece by piece; `is_full` when a piece did not fit. */
struct text {
  char *at;
  char *end;
  bool is_full;
};

static void add(struct text *text, const char *piece) {
  size_t length = length_of(piece);
  if (text->is_full || (size_t)(text->end - text->at) <= length) {
    text->is_full = true;
    return;
  }
  memcpy(text->at, piece, length + 1);
  text->at += length;
}

static void add_number(struct text *text, uint64_t number) {
  char digits[24];
  char *at = digits + sizeof digits - 1;
  *at = 0;
  do *--at = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  add(text, at);
}

#define TEXT(room) ((struct text){(room), (room) + sizeof(room), false})

/* --- ending ------------------------------------------------------------------------------------ */

static char NAME[PATH_BYTES_MAX] = "ucspi";

__attribute__((noreturn)) static void die(int code, const char *what, const char *about) {
  static char room[2 * PATH_BYTES_MAX];
  struct text line = TEXT(room);
  add(&line, NAME);
  add(&line, ": fatal: ");
  add(&line, what);
  add(&line, about);
  add(&line, "\n");
  raw3(SYS_write, 2, room, line.at - room);
  for (;;) raw1(SYS_exit_group, code);
}

/* --- where things are -------------------------------------------------------------------------- */

/* The value of a setting; false when there is none. */
static bool read_setting(const char *name, char value[PATH_BYTES_MAX]) {
  const volatile char *at = SETTINGS;
  size_t length = length_of(name);
  while (*at != 0) {
    size_t same = 0;
    while (same < length && at[same] == name[same]) same++;
    if (same == length && at[same] == '=') {
      size_t used = 0;
      for (at += same + 1; *at != '\n' && *at != 0 && used < PATH_BYTES_MAX - 1; at++)
        value[used++] = *at;
      value[used] = 0;
      return true;
    }
    while (*at != '\n' && *at != 0) at++;
    if (*at == '\n') at++;
  }
  return false;
}

static bool read_link(const char *path, char target[PATH_BYTES_MAX]) {
  long length = raw4(SYS_readlinkat, AT_FDCWD, path, target, PATH_BYTES_MAX - 1);
  if (length <= 0) return false;
  target[length] = 0;
  return true;
}

/* Cuts a path before its last slash and gives what is behind it; "." has no slash to cut. */
static const char *split_path(char *path) {
  char *slash = NULL;
  for (char *at = path; *at != 0; at++)
    if (*at == '/') slash = at;
  if (slash == NULL) return NULL;
  *slash = 0;
  return slash + 1;
}

/* Puts `target`, as a link at `path` has it, in place of `path`. */
static void follow(char path[PATH_BYTES_MAX], const char *target) {
  static char room[PATH_BYTES_MAX];
  struct text resolved = TEXT(room);
  if (target[0] != '/' && split_path(path) != NULL) {
    add(&resolved, path);
    add(&resolved, "/");
  }
  add(&resolved, target);
  if (!resolved.is_full) memcpy(path, room, sizeof room);
}

/* Our own file: as the kernel knows it or, without /proc, as it was executed, links followed. */
static void find_ourselves(const char *executed, char path[PATH_BYTES_MAX]) {
  static char target[PATH_BYTES_MAX];
  if (read_link("/proc/self/exe", path) && raw3(SYS_faccessat, AT_FDCWD, path, F_OK) == 0) return;
  path[0] = 0;
  follow(path, executed);
  for (int i = 0; i < LINKS_MAX && read_link(path, target); i++) follow(path, target);
}

/* --- what Node is about to change -------------------------------------------------------------- */

static void add_range(struct text *text, long first, long last) {
  if (text->at[-1] != ';') add(text, ",");
  add_number(text, (uint64_t)first);
  if (first == last) return;
  add(text, "-");
  add_number(text, (uint64_t)last);
}

/* Open descriptors as they come, joined to ranges. */
struct ranges {
  struct text *text;
  long first;
  long last;
  uint64_t limit;
  uint64_t below_limit; /* how many there are below it */
};

static void add_descriptor(struct ranges *ranges, long fd) {
  if ((uint64_t)fd < ranges->limit) ranges->below_limit++;
  if (ranges->first >= 0 && fd == ranges->last + 1) {
    ranges->last = fd;
    return;
  }
  if (ranges->first >= 0) add_range(ranges->text, ranges->first, ranges->last);
  ranges->first = ranges->last = fd;
}

struct kernel_dirent {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

/* False where /proc is not. The kernel lists in ascending order. */
static bool list_descriptors(struct ranges *ranges) {
  static _Alignas(8) char room[32 * 1024];
  long folder = raw4(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY, 0);
  if (folder < 0) return false;
  for (;;) {
    long length = raw3(SYS_getdents64, folder, room, sizeof room);
    if (length <= 0) break;
    for (long at = 0; at < length; at += ((struct kernel_dirent *)(room + at))->length) {
      const char *digit = ((struct kernel_dirent *)(room + at))->name;
      if (*digit < '0' || *digit > '9') continue;
      long fd = 0;
      while (*digit != 0) fd = 10 * fd + (*digit++ - '0');
      if (fd != folder) add_descriptor(ranges, fd);
    }
  }
  raw1(SYS_close, folder);
  return true;
}

/* Asks about each number there may be; poll(2) answers for many at once. */
static void probe_descriptors(struct ranges *ranges, uint64_t end) {
  static struct pollfd polled[POLL_BATCH];
  if (end > PROBED_DESCRIPTORS_MAX) end = PROBED_DESCRIPTORS_MAX;
  for (uint64_t start = 0; start < end; start += POLL_BATCH) {
    size_t count = end - start < POLL_BATCH ? end - start : POLL_BATCH;
    for (size_t i = 0; i < count; i++) polled[i] = (struct pollfd){.fd = (int)(start + i)};
    struct timespec now = {0, 0};
    bool is_answered = raw4(SYS_ppoll, polled, count, &now, NULL) >= 0;
    for (size_t i = 0; i < count; i++) {
      bool is_open = is_answered ? (polled[i].revents & POLLNVAL) == 0
                               : raw2(SYS_fcntl, polled[i].fd, F_GETFD) >= 0;
      if (is_open) add_descriptor(ranges, polled[i].fd);
    }
  }
}

static void add_descriptors(struct text *record, uint64_t hard) {
  struct ranges ranges = {record, -1, -1, hard, 0};
  if (!list_descriptors(&ranges)) probe_descriptors(&ranges, hard);
  if (hard - ranges.below_limit < NODE_DESCRIPTORS)
    die(EXIT_SYSTEM, "the hard limit on open files leaves too few for Node", "");
  if (ranges.first >= 0) add_range(record, ranges.first, ranges.last);
}

static uint64_t ignored_signals(void) {
  uint64_t ignored = 0;
  for (int number = 1; number <= SIGNALS_MAX; number++) {
    /* The kernel's struct sigaction begins with the handler, and is no longer than this. */
    uint64_t action[8] = {0};
    if (raw4(SYS_rt_sigaction, number, NULL, action, 8) >= 0 && action[0] == 1)
      ignored |= UINT64_C(1) << (number - 1);
  }
  return ignored;
}

/* When this process began, in the kernel's ticks: field 22 of its stat. 0 without /proc. */
static uint64_t start_time(void) {
  static char stat[1024];
  long file = raw4(SYS_openat, AT_FDCWD, "/proc/self/stat", O_RDONLY, 0);
  if (file < 0) return 0;
  long length = raw3(SYS_read, file, stat, sizeof stat - 1);
  raw1(SYS_close, file);
  long at = length < 0 ? 0 : length;
  while (at > 0 && stat[at] != ')') at--; /* the name before it may hold anything */
  for (int field = 2; field < 22 && at < length; at++)
    if (stat[at] == ' ') field++;
  uint64_t ticks = 0;
  for (; at < length && stat[at] >= '0' && stat[at] <= '9'; at++)
    ticks = 10 * ticks + (uint64_t)(stat[at] - '0');
  return ticks;
}

/* `VERSION;PID;START;SOFT;OPEN;IGNORED;BLOCKED;FOLDER`, what Node is about to change and who says so. */
static void write_record(struct text *record, const char *folder) {
  uint64_t blocked = 0;
  struct {
    uint64_t soft;
    uint64_t hard;
  } files = {0, 0};
  raw4(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &blocked, 8);
  raw4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &files);
  add(record, "UCSPI_INHERITED=1;");
  add_number(record, (uint64_t)raw1(SYS_getpid, 0));
  add(record, ";");
  add_number(record, start_time());
  add(record, ";");
  add_number(record, files.soft);
  add(record, ";");
  add_descriptors(record, files.hard);
  add(record, ";");
  add_number(record, ignored_signals());
  add(record, ";");
  add_number(record, blocked);
  add(record, ";");
  add(record, folder);
}

/* --- variables --------------------------------------------------------------------------------- */

/* What a variable that Node must not see is called until the program gets it back. */
static const char ASIDE[] = "UCSPI_ASIDE_";

/*
 * Variables that Node, its libraries or its loop act on. Also whatever begins like one that is set aside
 * already, so that taking the beginning off again gives back exactly what was there.
 */
static bool is_set_aside(const char *variable) {
  static const char *const STARTS[] = {
      "NODE_",         "UV_",           "OPENSSL_CONF=", "OPENSSL_CONF_INCLUDE=", "OPENSSL_ENGINES=", "OPENSSL_MODULES=",
      "SSL_CERT_DIR=", "SSL_CERT_FILE=", "WATCH_REPORT_DEPENDENCIES=", ASIDE,
  };
  for (size_t i = 0; i < sizeof STARTS / sizeof *STARTS; i++)
    if (starts_with(variable, STARTS[i])) return true;
  return false;
}

static bool is_record(const char *variable) { return starts_with(variable, "UCSPI_INHERITED="); }

/* --- executing Node ---------------------------------------------------------------------------- */

/* `SIZE:MTIME` of a file, to know it again: in a container that is all that stays the same. */
static bool describe_file(const char *path, struct text *into) {
  struct stat file;
#ifdef SYS_newfstatat
  if (raw4(SYS_newfstatat, AT_FDCWD, path, &file, 0) < 0) return false;
#else
  if (raw4(SYS_fstatat, AT_FDCWD, path, &file, 0) < 0) return false;
#endif
  add_number(into, (uint64_t)file.st_size);
  add(into, ":");
  add_number(into, (uint64_t)file.st_mtim.tv_sec);
  return true;
}

static bool is_same(const char *a, const char *b) {
  return starts_with(a, b) && length_of(a) == length_of(b);
}

/* Is `node` still the file that the settings speak of? */
static bool is_known_node(const char *node) {
  static char known[PATH_BYTES_MAX], found[128];
  struct text version = TEXT(found);
  return read_setting("version", known) && describe_file(node, &version) && is_same(known, found);
}

static const char *find_variable(char **environment, const char *start) {
  for (; *environment != NULL; environment++)
    if (starts_with(*environment, start)) return *environment + length_of(start);
  return NULL;
}

/* The option for V8 that UCSPI_HEAP_MB asks for; NULL when it does not. */
static char *heap_option(char **environment) {
  static char room[64];
  struct text option = TEXT(room);
  const char *megabytes = find_variable(environment, "UCSPI_HEAP_MB=");
  if (megabytes == NULL || *megabytes == 0) return NULL;
  size_t digits = 0;
  while (megabytes[digits] >= '0' && megabytes[digits] <= '9') digits++;
  if (megabytes[digits] != 0 || digits > 7 || *megabytes == '0')
    die(EXIT_USAGE, "UCSPI_HEAP_MB is not a number of megabytes: ", megabytes);
  add(&option, "--max-old-space-size=");
  add(&option, megabytes);
  return room;
}

/* Tries `node` in each folder of PATH, as execvp(3) does. Returns why none was executed. */
static long execute_from_path(const char *path, char **argv, char **environment) {
  static char file[PATH_BYTES_MAX];
  long error = -ENOENT;
  while (*path != 0) {
    const char *end = path;
    while (*end != 0 && *end != ':') end++;
    size_t length = (size_t)(end - path);
    if (length > 0 && length < sizeof file - sizeof "/node") {
      memcpy(file, path, length);
      memcpy(file + length, "/node", sizeof "/node");
      long failure = raw3(SYS_execve, file, argv, environment);
      if (failure != -ENOENT && failure != -ENOTDIR) error = failure;
    }
    path = *end == ':' ? end + 1 : end;
  }
  return error;
}

/* `argv` has room for two options before the script, which is at `script`. */
static long execute_node(char **script, char **environment) {
  static char node[PATH_BYTES_MAX], option[PATH_BYTES_MAX];
  char *heap = heap_option(environment);
  if (heap != NULL) *--script = heap;
  long error = -ENOENT;
  if (read_setting("node", node)) {
    char **first = script;
    if (is_known_node(node) && read_setting("option", option) && option[0] != 0) *--first = option;
    *--first = "node";
    error = raw3(SYS_execve, node, first, environment);
  }
  if (error != -ENOENT && error != -EACCES) return error;
  *--script = "node";
  const char *path = find_variable(environment, "PATH=");
  return execute_from_path(path == NULL ? "/usr/bin:/bin" : path, script, environment);
}

static const char *reason(long error) {
  if (error == -ENOENT) return "there is none where this launcher was made, and none in PATH";
  if (error == -EACCES) return "permission denied";
  if (error == -E2BIG) return "too many words and variables";
  if (error == -ENOMEM) return "out of memory";
  return "the kernel refuses it";
}

/* --- the whole --------------------------------------------------------------------------------- */

/* What the kernel puts on the stack of a new process. */
struct start {
  size_t word_count;
  char *words[];
};

static uint64_t auxiliary(const uint64_t *vector, uint64_t type) {
  for (; vector[0] != AT_NULL; vector += 2)
    if (vector[0] == type) return vector[1];
  return 0;
}

/* The bytes that all renamed variables take. */
static size_t room_aside(char **environment, size_t *count) {
  size_t room = 1;
  for (*count = 0; environment[*count] != NULL; (*count)++)
    if (is_set_aside(environment[*count]))
      room += sizeof ASIDE - 1 + length_of(environment[*count]) + 1;
  return room;
}

static char **prepare_environment(char **from, char **to, struct text *aside, char *record) {
  char **next = to;
  for (; *from != NULL; from++) {
    if (is_record(*from)) continue;
    if (!is_set_aside(*from)) {
      *next++ = *from;
      continue;
    }
    /* Node may still measure coverage, of itself; it would make this path absolute for the program. */
    if (starts_with(*from, "NODE_V8_COVERAGE=")) *next++ = *from;
    *next++ = aside->at;
    add(aside, ASIDE);
    add(aside, *from);
    aside->at++;
  }
  *next++ = record;
  *next = NULL;
  return to;
}

static const char LAUNCHERS[] = "/dist/bin/";
static const char LOADER[] = "/dist/cjs/load.cjs"; /* which Node loads without a package.json */
static char SCRIPT[PATH_BYTES_MAX];
static char FOLDER[PATH_BYTES_MAX];
static char RECORD[RECORD_BYTES_MAX];

static void find_script(const char *executed) {
  static char root[PATH_BYTES_MAX];
  find_ourselves(executed, FOLDER);
  const char *name = split_path(FOLDER);
  if (name == NULL) {
    memcpy(NAME, FOLDER, sizeof NAME);
    memcpy(FOLDER, ".", 2);
  } else {
    memcpy(NAME, name, length_of(name) + 1);
  }
  struct text script = TEXT(SCRIPT);
  if (read_setting("root", root) && root[0] != 0) {
    add(&script, root);
  } else {
    add(&script, FOLDER);
    add(&script, "/..");
  }
  struct text launcher = script;
  add(&launcher, LAUNCHERS);
  add(&launcher, NAME);
  if (launcher.is_full) die(EXIT_SYSTEM, "its path is too long", "");
  if (raw3(SYS_faccessat, AT_FDCWD, SCRIPT, F_OK) < 0)
    die(EXIT_SYSTEM, "the package of this launcher is gone: there is no ", SCRIPT);
  add(&script, LOADER);
  if (script.is_full) die(EXIT_SYSTEM, "its path is too long", "");
}

__attribute__((noreturn, used)) void launch(struct start *start) {
  char **environment = start->words + start->word_count + 1;
  size_t variable_count;
  size_t room = room_aside(environment, &variable_count);
  const uint64_t *vector = (const uint64_t *)(environment + variable_count + 1);
  if (auxiliary(vector, AT_SECURE) != 0)
    die(EXIT_SYSTEM, "a launcher runs with the rights of who calls it, not set-user-ID", "");
  const char *executed = (const char *)auxiliary(vector, AT_EXECFN);
  find_script(executed == NULL ? start->words[0] : executed);

  struct text record = TEXT(RECORD);
  write_record(&record, FOLDER);
  if (record.is_full) die(EXIT_SYSTEM, "too many open descriptors, far apart", "");

  char aside_room[room];
  struct text aside = {aside_room, aside_room + room, false};
  char *variables[2 * variable_count + 2];
  prepare_environment(environment, variables, &aside, RECORD);
  char *argv[start->word_count + 6];
  char **script = argv + 3;
  script[0] = SCRIPT;
  script[1] = NAME;
  script[2] = NULL;
  for (size_t i = 1; i < start->word_count; i++) {
    script[i + 1] = start->words[i];
    script[i + 2] = NULL;
  }
  long error = execute_node(script, variables);
  die(error == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE, "unable to execute node: ",
      reason(error));
}
