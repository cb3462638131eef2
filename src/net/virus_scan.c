/*
 * virus_scan.c - one connection a scan
 *
 * clamd closes the connection when a stream is longer than its StreamMaxLength, and its answer may
 * be there before we have written all: a write that fails looks for that answer first.
 */
#include "net/virus_scan.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#define ANSWER_MAX_BYTES 1024
#define PIECE_MAX_BYTES 65536
#define HOST_MAX_BYTES 256

struct virus_scan {
    int fd;
    int64_t deadline_us;
};

/* host ends up without brackets; port NULL: a path. */
static bool
split_address(struct str address, char host[HOST_MAX_BYTES], char port[8])
{
    ptrdiff_t colon = -1;
    int64_t number = 0;

    if (address.len == 0 || address.len >= HOST_MAX_BYTES)
        return false;
    port[0] = '\0';
    if (address.ptr[0] == '/') {
        memcpy(host, address.ptr, address.len);
        host[address.len] = '\0';
        return address.len < sizeof((struct sockaddr_un){0}).sun_path;
    }
    for (size_t i = 0; i < address.len; i++)
        if (address.ptr[i] == ':')
            colon = (ptrdiff_t)i;
    if (colon <= 0 || !str_to_i64(str_sub(address, (size_t)colon + 1, address.len), &number) ||
        number < 1 || number > 65535)
        return false;
    struct str name = str_sub(address, 0, (size_t)colon);
    if (str_starts_with(name, STR("[")) && str_ends_with(name, STR("]")))
        name = str_sub(name, 1, name.len - 2);
    else if (str_find_byte(name, ':') >= 0)
        return false;
    memcpy(host, name.ptr, name.len);
    host[name.len] = '\0';
    (void)snprintf(port, 8, "%lld", (long long)number);
    return name.len > 0;
}

enum status
virus_scan_check_address(struct str address, struct err *err)
{
    char host[HOST_MAX_BYTES], port[8];

    if (!split_address(address, host, port))
        return err_set(err, ST_INVALID,
                       "a virus scanner's address is host:port, or the path of "
                       "its socket");
    return ST_OK;
}

static bool
wait_for(const struct virus_scan *scan, short events)
{
    struct pollfd waiting = {.fd = scan->fd, .events = events};
    int ready;

    do {
        int64_t left_us = scan->deadline_us - clock_mono_us(clock_system());

        if (left_us <= 0)
            return false;
        ready = poll(&waiting, 1, (int)(left_us / US_PER_MS) + 1);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

static bool
connect_to(struct virus_scan *scan, const struct sockaddr *address, socklen_t length)
{
    int error = 0;
    socklen_t error_length = sizeof(error);

    scan->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (scan->fd < 0)
        return false;
    if (connect(scan->fd, address, length) == 0)
        return true;
    if ((errno == EINPROGRESS || errno == EAGAIN) && wait_for(scan, POLLOUT) &&
        getsockopt(scan->fd, SOL_SOCKET, SO_ERROR, &error, &error_length) == 0 && error == 0)
        return true;
    close(scan->fd);
    scan->fd = -1;
    return false;
}

static bool
connect_any(struct virus_scan *scan, const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    if (port[0] == '\0') {
        struct sockaddr_un path = {.sun_family = AF_UNIX};

        memcpy(path.sun_path, host, strlen(host) + 1);
        return connect_to(scan, (const struct sockaddr *)&path, sizeof(path));
    }
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return false;
    for (const struct addrinfo *at = found; at != NULL && scan->fd < 0; at = at->ai_next)
        (void)connect_to(scan, at->ai_addr, at->ai_addrlen);
    freeaddrinfo(found);
    return scan->fd >= 0;
}

static bool
write_all(const struct virus_scan *scan, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = send(scan->fd, bytes, length, MSG_NOSIGNAL);

        if (written < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (!wait_for(scan, POLLOUT))
                return false;
            continue;
        }
        if (written <= 0)
            return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

enum status
virus_scan_begin(struct str address, unsigned deadline_ms, struct virus_scan **scan_out,
                 struct err *err)
{
    char host[HOST_MAX_BYTES], port[8];
    struct virus_scan *scan;

    *scan_out = NULL;
    if (!split_address(address, host, port))
        return virus_scan_check_address(address, err);
    scan = calloc(1, sizeof(*scan));
    if (scan == NULL)
        abort();
    scan->fd = -1;
    scan->deadline_us = clock_mono_us(clock_system()) + (int64_t)deadline_ms * US_PER_MS;
    if (!connect_any(scan, host, port) ||
        !write_all(scan, "zINSTREAM", sizeof("zINSTREAM"))) { /* with its zero byte */
        virus_scan_abort(&scan);
        return err_set_detail(err, ST_UNAVAILABLE, "the virus scanner at %.*s does not answer",
                              STR_ARG(address));
    }
    *scan_out = scan;
    return ST_OK;
}

/* One line, without its zero byte; empty when none came. */
static struct str
read_answer(const struct virus_scan *scan, char *answer)
{
    size_t length = 0;

    while (length < ANSWER_MAX_BYTES && wait_for(scan, POLLIN)) {
        ssize_t got = recv(scan->fd, answer + length, ANSWER_MAX_BYTES - length, 0);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
        if (answer[length - 1] == '\0')
            return str_of(answer, length - 1);
    }
    return STR_EMPTY;
}

/* The scanner stopped listening: what it says about that, if anything. */
static enum status
refused(const struct virus_scan *scan, struct err *err)
{
    char answer[ANSWER_MAX_BYTES];
    struct str said = read_answer(scan, answer);

    if (str_find(said, STR("size limit exceeded")) >= 0)
        return err_set(err, ST_TOO_LARGE, "larger than the virus scanner takes");
    return err_set_detail(err, ST_UNAVAILABLE, "the virus scanner went away: %.*s",
                          STR_ARG(str_sub(said, 0, 100)));
}

enum status
virus_scan_write(struct virus_scan *scan, struct str bytes, struct err *err)
{
    while (bytes.len > 0) {
        struct str piece = str_sub(bytes, 0, PIECE_MAX_BYTES);
        uint32_t length = htonl((uint32_t)piece.len);

        if (!write_all(scan, (const char *)&length, sizeof(length)) ||
            !write_all(scan, piece.ptr, piece.len))
            return refused(scan, err);
        bytes = str_sub(bytes, piece.len, bytes.len);
    }
    return ST_OK;
}

/* "stream: <name> FOUND" */
static bool
read_name(struct str answer, struct virus_verdict *verdict)
{
    const struct str before = STR("stream: "), after = STR(" FOUND");
    struct str name;

    if (answer.len <= before.len + after.len || !str_starts_with(answer, before) ||
        !str_ends_with(answer, after))
        return false;
    name = str_sub(answer, before.len, answer.len - before.len - after.len);
    if (name.len > VIRUS_NAME_MAX_LEN)
        name.len = VIRUS_NAME_MAX_LEN;
    for (size_t i = 0; i < name.len; i++)
        verdict->name[i] = name.ptr[i] > ' ' && name.ptr[i] < 127 ? name.ptr[i] : '?';
    verdict->name[name.len] = '\0';
    return true;
}

enum status
virus_scan_end(struct virus_scan **scan_ptr, struct virus_verdict *verdict_out, struct err *err)
{
    struct virus_scan *scan = *scan_ptr;
    char answer[ANSWER_MAX_BYTES];
    struct str said = STR_EMPTY;
    enum status st = ST_OK;

    *verdict_out = (struct virus_verdict){.is_infected = false};
    if (!write_all(scan, "\0\0\0\0", 4))
        st = refused(scan, err);
    else
        said = read_answer(scan, answer);
    virus_scan_abort(scan_ptr);
    if (st != ST_OK || str_eq_c(said, "stream: OK"))
        return st;
    verdict_out->is_infected = read_name(said, verdict_out);
    if (verdict_out->is_infected)
        return ST_OK;
    if (str_find(said, STR("size limit exceeded")) >= 0)
        return err_set(err, ST_TOO_LARGE, "larger than the virus scanner takes");
    return err_set_detail(err, ST_UNAVAILABLE, "the virus scanner gave no verdict: %.*s",
                          STR_ARG(str_sub(said, 0, 100)));
}

void
virus_scan_abort(struct virus_scan **scan_ptr)
{
    struct virus_scan *scan = *scan_ptr;

    *scan_ptr = NULL;
    if (scan == NULL)
        return;
    if (scan->fd >= 0)
        close(scan->fd);
    free(scan);
}

enum status
virus_scan_bytes(struct str address, unsigned deadline_ms, struct str bytes,
                 struct virus_verdict *verdict_out, struct err *err)
{
    struct virus_scan *scan = NULL;
    enum status st = virus_scan_begin(address, deadline_ms, &scan, err);

    if (scan == NULL)
        return st;
    st = virus_scan_write(scan, bytes, err);
    if (st == ST_OK)
        st = virus_scan_end(&scan, verdict_out, err);
    virus_scan_abort(&scan);
    return st;
}
