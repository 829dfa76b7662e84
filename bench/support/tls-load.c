/*
 * The load of the TLS benches: clients of TLS at a port of this machine, that cost as little as can be.
 * The results are printed as one line of JSON.
 *
 *   tls-load PORT VERSION full    CONNECTIONS CONCURRENCY  handshakes; each is read to its end
 *   tls-load PORT VERSION resume  CONNECTIONS CONCURRENCY  the same, resuming the session of a first one
 *   tls-load PORT VERSION hold    CONNECTIONS CONCURRENCY  open and kept until standard input ends
 *   tls-load PORT VERSION receive MEGABYTES                one connection that is read
 *   tls-load PORT VERSION send    MEGABYTES                one connection that is written to, then read
 *
 * VERSION is 1.2 or 1.3, and offers what OpenSSL offers, or 1.2:CIPHER, 1.3:CIPHER. The server's
 * certificate is not looked at.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

enum { CHUNK = 16384 };

struct client {
	SSL *ssl;
	int fd;
	double since;
	int is_shaken, is_resumed, has_heard;
};

static const char *cipher = "none"; /* of the last handshake */

static SSL_CTX *context;
static struct sockaddr_in server = { .sin_family = AF_INET };
static SSL_SESSION *session;
static int resumes, holds;
static long total, started, finished, heard, failed;
static double *latencies;
static int poller;

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void fail(const char *what)
{
	perror(what);
	exit(111);
}

static int keep_session(SSL *ssl, SSL_SESSION *given)
{
	(void)ssl;
	if (session != NULL)
		return 0;
	session = given;
	return 1;
}

static void make_context(const char *version)
{
	int number = strncmp(version, "1.2", 3) == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
	const char *wanted = strchr(version, ':');
	context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(context, number);
	SSL_CTX_set_max_proto_version(context, number);
	if (wanted != NULL && (number == TLS1_2_VERSION ? SSL_CTX_set_cipher_list(context, wanted + 1)
	                                                : SSL_CTX_set_ciphersuites(context, wanted + 1)) != 1)
		fail("cipher");
	SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, keep_session);
}

/* A connection, blocking or not. */
static SSL *open_client(int type)
{
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | type, 0);
	if (fd < 0)
		fail("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS)
		fail("connect");
	SSL *ssl = SSL_new(context);
	SSL_set_fd(ssl, fd);
	SSL_set_connect_state(ssl);
	return ssl;
}

/* Without a word, and yet so that the session stays good. */
static void close_client(SSL *ssl)
{
	int fd = SSL_get_fd(ssl);
	SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(ssl);
	close(fd);
}

/* A copy: OpenSSL takes a session of TLS 1.3 for spent once it was used. */
static void resume(SSL *ssl)
{
	SSL_SESSION *copy = SSL_SESSION_dup(session);
	SSL_set_session(ssl, copy);
	SSL_SESSION_free(copy);
}

static void next(struct client *client)
{
	if (started >= total)
		return;
	started++;
	client->since = now_ms();
	client->ssl = open_client(SOCK_NONBLOCK);
	client->fd = SSL_get_fd(client->ssl);
	client->is_shaken = client->is_resumed = client->has_heard = 0;
	if (resumes)
		resume(client->ssl);
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client };
	if (epoll_ctl(poller, EPOLL_CTL_ADD, client->fd, &event) < 0)
		fail("epoll_ctl");
}

static void finish(struct client *client)
{
	finished++;
	if (!client->has_heard || client->is_resumed != resumes)
		failed++;
	if (holds && client->has_heard) {
		epoll_ctl(poller, EPOLL_CTL_DEL, client->fd, NULL);
	} else {
		close_client(client->ssl);
	}
	next(client);
}

/* Go on until the socket has no more, or all is said. */
static void proceed(struct client *client)
{
	char bytes[CHUNK];
	if (!client->is_shaken) {
		int result = SSL_do_handshake(client->ssl);
		if (result == 1) {
			client->is_shaken = 1;
			cipher = SSL_get_cipher_name(client->ssl);
			client->is_resumed = SSL_session_reused(client->ssl);
		} else {
			int error = SSL_get_error(client->ssl, result);
			if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
				finish(client);
			return;
		}
	}
	for (;;) {
		int count = SSL_read(client->ssl, bytes, sizeof bytes);
		if (count <= 0) {
			if (SSL_get_error(client->ssl, count) != SSL_ERROR_WANT_READ)
				finish(client);
			return;
		}
		if (!client->has_heard)
			latencies[heard++] = now_ms() - client->since;
		client->has_heard = 1;
		if (holds) {
			finish(client);
			return;
		}
	}
}

static int ascending(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return left < right ? -1 : left > right;
}

static void report(double rate, long count)
{
	qsort(latencies, count, sizeof *latencies, ascending);
	double p50 = count == 0 ? 0 : latencies[(count - 1) / 2];
	double p99 = count == 0 ? 0 : latencies[(count - 1) * 99 / 100];
	printf("{\"rate\":%.3f,\"p50Ms\":%.4f,\"p99Ms\":%.4f,\"failed\":%ld,\"cipher\":\"%s\"}\n", rate,
	       p50, p99, failed, cipher);
	fflush(stdout);
}

static void make_connections(int concurrency)
{
	struct epoll_event events[64];
	struct client *clients = calloc(concurrency, sizeof *clients);
	poller = epoll_create1(0);
	double began = now_ms();
	for (int i = 0; i < concurrency; i++)
		next(&clients[i]);
	while (finished < total) {
		int ready = epoll_wait(poller, events, 64, -1);
		for (int i = 0; i < ready; i++)
			proceed(events[i].data.ptr);
	}
	report(total / (now_ms() - began) * 1e3, heard);
}

/* The session of a connection that was read to its end. */
static void get_session(void)
{
	char bytes[CHUNK];
	SSL *ssl = open_client(0);
	while (SSL_read(ssl, bytes, sizeof bytes) > 0)
		;
	close_client(ssl);
	if (session == NULL)
		fail("no session");
}

/* Megabytes a second. */
static void move(const char *mode, long megabytes)
{
	static char bytes[CHUNK];
	SSL *ssl = open_client(0);
	if (SSL_do_handshake(ssl) != 1)
		fail("handshake");
	cipher = SSL_get_cipher_name(ssl);
	double began = now_ms();
	long long left = megabytes * 1000000LL;
	if (strcmp(mode, "send") == 0) {
		for (; left > 0; left -= CHUNK)
			if (SSL_write(ssl, bytes, CHUNK) <= 0)
				fail("write");
		SSL_shutdown(ssl);
		shutdown(SSL_get_fd(ssl), SHUT_WR);
		while (SSL_read(ssl, bytes, CHUNK) > 0)
			;
	} else {
		while (left > 0) {
			int count = SSL_read(ssl, bytes, CHUNK);
			if (count <= 0)
				fail("read");
			left -= count;
		}
	}
	report(megabytes / (now_ms() - began) * 1e3, 0);
}

int main(int count, char **words)
{
	if (count < 5)
		return 100;
	const char *mode = words[3];
	signal(SIGPIPE, SIG_IGN);
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server.sin_port = htons(atoi(words[1]));
	make_context(words[2]);
	total = atol(words[4]);
	latencies = calloc(total + 1, sizeof *latencies);
	holds = strcmp(mode, "hold") == 0;
	resumes = strcmp(mode, "resume") == 0;
	if (resumes)
		get_session();
	if (count == 5)
		move(mode, total);
	else
		make_connections(atoi(words[5]));
	char byte;
	while (holds && read(0, &byte, 1) > 0)
		;
	return 0;
}
