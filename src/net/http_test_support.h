/*
 * http_test_support.h - raw sockets and answers for the tests of this folder
 */
#ifndef PARLEY_NET_HTTP_TEST_SUPPORT_H
#define PARLEY_NET_HTTP_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those four first */
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_client.h"
#include "net/http_server.h"

#define TEST_WAIT_S 60

/* A flag that one thread raises and others wait for; fails the test when nobody does. */
struct test_gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
};

#define TEST_GATE_INIT                                                                             \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0                                     \
    }

static inline void
gate_raise(struct test_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->count++;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static inline void
gate_wait(struct test_gate *gate, unsigned count)
{
    struct timespec end;
    int failed = 0;

    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += TEST_WAIT_S;
    pthread_mutex_lock(&gate->lock);
    while (gate->count < count && failed == 0)
        failed = pthread_cond_timedwait(&gate->changed, &gate->lock, &end);
    pthread_mutex_unlock(&gate->lock);
    assert_int_equal(failed, 0);
}

static inline unsigned
gate_count(struct test_gate *gate)
{
    unsigned count;

    pthread_mutex_lock(&gate->lock);
    count = gate->count;
    pthread_mutex_unlock(&gate->lock);
    return count;
}

static inline int
raw_open(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval wait = {.tv_sec = TEST_WAIT_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static inline void
raw_send(int fd, struct str bytes)
{
    size_t sent = 0;

    while (sent < bytes.len) {
        ssize_t n = send(fd, bytes.ptr + sent, bytes.len - sent, MSG_NOSIGNAL);

        assert_true(n > 0);
        sent += (size_t)n;
    }
}

/* Reads until needle has come, or the end. True when it came. */
static inline bool
raw_read_until(int fd, struct buf *got, struct str needle)
{
    while (str_find(buf_str(got), needle) < 0) {
        char piece[4096];
        ssize_t n = recv(fd, piece, sizeof(piece), 0);

        if (n <= 0)
            return false;
        buf_append(got, str_of(piece, (size_t)n));
    }
    return true;
}

/* One answer with Content-Length; what follows it stays in *got. Returns its status. */
static inline int
raw_answer(int fd, struct buf *got, struct str *answer_out)
{
    struct str all;
    ptrdiff_t head;
    ptrdiff_t at;
    int64_t length = 0;
    int64_t status = 0;
    char piece[4096];

    assert_true(raw_read_until(fd, got, STR("\r\n\r\n")));
    head = str_find(buf_str(got), STR("\r\n\r\n")) + 4;
    all = str_sub(buf_str(got), 0, (size_t)head);
    at = str_find(all, STR("Content-Length: "));
    if (at >= 0) {
        struct str number = str_sub(all, (size_t)at + 16, all.len);

        number.len = (size_t)str_find_byte(number, '\r');
        assert_true(str_to_i64(number, &length));
    }
    while (got->len < (size_t)(head + length)) {
        ssize_t n = recv(fd, piece, sizeof(piece), 0);

        assert_true(n > 0);
        buf_append(got, str_of(piece, (size_t)n));
    }
    *answer_out = str_sub(buf_str(got), 0, (size_t)(head + length));
    assert_true(str_to_i64(str_sub(*answer_out, 9, 3), &status));
    return (int)status;
}

/* One request on a connection of its own. The answer's text goes to got. Returns its status. */
static inline int
raw_exchange(unsigned port, struct str request, struct buf *got)
{
    int fd = raw_open(port);
    struct str answer;
    int status;

    raw_send(fd, request);
    status = raw_answer(fd, got, &answer);
    (void)close(fd);
    return status;
}

static inline bool
contains(const struct buf *got, const char *text)
{
    return str_find(buf_str(got), str_from_c(text)) >= 0;
}

static inline struct http_client *
test_client(const char *ca_file)
{
    struct http_client_config config = {.allow_private_addresses = true, .ca_file = ca_file};
    struct http_client *client;
    struct err err;

    assert_int_equal(http_client_create(&config, &client, &err), ST_OK);
    return client;
}

#endif
