/*
 * What the files of the addon share. Each function of theirs takes its arguments apart, makes one
 * system call (again after EINTR) and throws when it fails. Only the TypeScript of their family calls
 * them, with arguments of the right types; anything else is a TypeError, never a wild pointer.
 */
#ifndef UCSPI_ADDON_H
#define UCSPI_ADDON_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARGUMENTS_MAX = 8 };

/* One call from JavaScript. `invalid` is set, and an exception pending, after a bad argument. */
struct call {
  napi_env env;
  size_t argc;
  napi_value argv[ARGUMENTS_MAX];
  bool invalid;
};

struct bytes {
  unsigned char *data;
  size_t length;
};

/* What belongs to one environment (the main thread or a worker). There are no other variables. */
struct instance {
  napi_env env;
  napi_ref make_error;
  /* spawn.c */
  bool lacks_clone3;
  bool lacks_clone_pidfd;
  struct births *births;
  /* watch.c */
  struct uv_poll_s *poll;
  int epoll_fd;
  double *events;
  napi_ref events_owner;
  napi_ref dispatch;
  napi_async_context context;
  void (*closed)(struct instance *instance); /* to be called once the event loop let go */
};

struct instance *instance_of(napi_env env);

/* arguments.c: arguments in. */
struct call begin_call(napi_env env, napi_callback_info info);
int32_t int_argument(struct call *call, size_t index);
uint32_t uint_argument(struct call *call, size_t index);
double double_argument(struct call *call, size_t index);
bool bool_argument(struct call *call, size_t index);
int64_t bigint_argument(struct call *call, size_t index);
/* A Uint8Array. */
struct bytes bytes_argument(struct call *call, size_t index);
/* A Uint8Array that ends with a NUL. */
const char *string_argument(struct call *call, size_t index);
/* A Uint8Array or undefined. */
struct bytes optional_bytes_argument(struct call *call, size_t index);
bool is_undefined(struct call *call, size_t index);
/* An Int32Array or a Float64Array of at least `length_min` elements. */
int32_t *ints_argument(struct call *call, size_t index, size_t length_min, size_t *length);
double *doubles_argument(struct call *call, size_t index, size_t length_min, size_t *length);
/* paths.c: the descriptor of a directory, or undefined for the working directory. */
int directory_argument(struct call *call, size_t index);
/* Refuse a call whose arguments do not fit together. */
void refuse_call(struct call *call, const char *why);

/* arguments.c: results out. */
napi_value undefined_result(napi_env env);
napi_value int_result(napi_env env, int32_t value);
napi_value double_result(napi_env env, double value);
napi_value bool_result(napi_env env, bool value);
napi_value bytes_result(napi_env env, const void *data, size_t length);
napi_value errno_name_result(napi_env env, int error);
/* Throw SystemError for `error`; always NULL, for `return`. */
napi_value throw_errno(napi_env env, const char *syscall, int error);
/* undefined when `outcome` is 0 or more, else throw errno. */
napi_value nothing_or_throw(napi_env env, const char *syscall, int outcome);
/* `outcome` as a number when it is 0 or more, else throw errno. */
napi_value int_or_throw(napi_env env, const char *syscall, int outcome);

/* places.c: free what no child needs any more. */
void end_births(struct instance *instance);

/* handover.c: a descriptor that is not close-on-exec (any more), so that programs inherit it. */
void note_inheritable(int fd);

/* errnos.c */
const char *errno_name(int error);
int errno_of_name(const char *name);

/* signals.c: raw system calls, for they have to work in a vforked child too. */
typedef unsigned char kernel_action[64]; /* struct sigaction as the kernel has it, or longer */
enum { SIGNALS_MAX = 64 };
void set_mask(uint64_t mask, uint64_t *before);
void add_to_mask(int number, uint64_t *before);
/* Dispositions and the mask as programs are to be born with: the defaults, or what was inherited. */
void program_dispositions(void);
/* The same where no signal has a handler: find out what is ignored, and set that alone. */
void seek_ignored(void);
void program_ignored(void);
void program_mask(void);
void save_dispositions(kernel_action saved[SIGNALS_MAX]);
void restore_dispositions(kernel_action saved[SIGNALS_MAX]);

/* identity.c, for process.c: the resources in the order of native-plan.ts. */
extern const int RESOURCES[];
extern const int RESOURCES_LENGTH;
uint64_t limit_of_double(double value);

/* Where the functions of each family are registered; NULL ends a table. */
struct method {
  const char *name;
  napi_callback function;
};
extern const struct method process_methods[];
extern const struct method signal_methods[];
extern const struct method spawn_methods[];
extern const struct method identity_methods[];
extern const struct method descriptor_methods[];
extern const struct method output_methods[];
extern const struct method file_methods[];
extern const struct method path_methods[];
extern const struct method lock_methods[];
extern const struct method socket_methods[];
extern const struct method message_methods[];
extern const struct method watch_methods[];
extern const struct method name_methods[];
extern const struct method clock_methods[];

/* sockets.c, for messages.c: addresses cross the border as family, bytes, port, scope. */
struct sockaddr_storage;
unsigned address_argument(struct call *call, size_t index, struct sockaddr_storage *address);
/* One record of ADDRESS_RECORD_BYTES: int32 fd, family (0, 4, 6, 1), port, scope, length; bytes. */
enum { ADDRESS_RECORD_BYTES = 128, ADDRESS_RECORD_HEADER = 20 };
void write_address_record(unsigned char *record, int fd, const struct sockaddr_storage *address,
                          unsigned length);

/* watch.c: undo what an environment had set up; `done` is called once the event loop let go. */
void close_watcher(struct instance *instance, void (*done)(struct instance *instance));

/* Calls once, and again for as long as a signal interrupts it. */
#define RETRY(outcome, call)                                                                       \
  do {                                                                                             \
    (outcome) = (call);                                                                            \
  } while ((outcome) < 0 && errno == EINTR)

#endif
