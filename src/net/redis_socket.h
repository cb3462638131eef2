/*
 * redis_socket.h - a non-blocking stream to a server, plain or TLS; only for src/net/redis.c
 *
 * Debian's hiredis has no TLS, and its own sockets have time-outs for each read instead of one
 * deadline: so only its reader and writer of the protocol are used, over this. Threads: one at a
 * time. Blocks: only redis_socket_open (a name is looked up as long as the system's resolver takes)
 * and redis_socket_wait.
 */
#ifndef PARLEY_NET_REDIS_SOCKET_H
#define PARLEY_NET_REDIS_SOCKET_H

#include <sys/types.h>

#include "net/redis_address.h"

struct redis_socket;
struct redis_trust; /* certificates of authorities; shared, frozen */

/* ca_file NULL or "": the system's. ST_INVALID. */
MUST_USE enum status redis_trust_create(const char *ca_file, struct redis_trust **trust_out,
                                        struct err *err);
void redis_trust_destroy(struct redis_trust **trust);

enum socket_wait { SOCKET_READY, SOCKET_WOKEN, SOCKET_LATE };

/* wake_fd: an eventfd; readable gives up with ST_BUSY. ST_UNAVAILABLE. */
MUST_USE enum status redis_socket_open(const struct redis_address *address,
                                       const struct redis_trust *trust, int wake_fd,
                                       int64_t mono_deadline_us, struct redis_socket **socket_out,
                                       struct err *err);
void redis_socket_close(struct redis_socket **socket);

/* Bytes moved, 0 when it would block, -1 when the connection is over. */
ssize_t redis_socket_read(struct redis_socket *stream, void *bytes, size_t size);
ssize_t redis_socket_write(struct redis_socket *stream, const void *bytes, size_t size);
/* Waits until it can go on; socket NULL: only for the eventfd. Does not read the eventfd. */
enum socket_wait redis_socket_wait(struct redis_socket *stream, bool wants_write, int wake_fd,
                                   int64_t mono_deadline_us);

#endif
