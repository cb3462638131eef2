/*
 * redis_socket.c - connect, TLS, poll
 */
#include "net/redis_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

struct redis_trust {
    gnutls_certificate_credentials_t credentials;
};

struct redis_socket {
    int fd;
    gnutls_session_t tls; /* NULL: plain */
};

static int64_t
now_us(void)
{
    return clock_mono_us(clock_system());
}

/* ---------------------------------------------------------------- certificates */

enum status
redis_trust_create(const char *ca_file, struct redis_trust **trust_out, struct err *err)
{
    struct redis_trust *trust = calloc(1, sizeof(*trust));
    bool own = ca_file != NULL && ca_file[0] != '\0';
    int loaded;

    *trust_out = NULL;
    if (trust == NULL || gnutls_certificate_allocate_credentials(&trust->credentials) != 0)
        abort();
    loaded = own ? gnutls_certificate_set_x509_trust_file(trust->credentials, ca_file,
                                                          GNUTLS_X509_FMT_PEM)
                 : gnutls_certificate_set_x509_system_trust(trust->credentials);
    if (loaded < 0 || (own && loaded == 0)) {
        redis_trust_destroy(&trust);
        return err_set_detail(err, ST_INVALID, "%s: no certificates: %s",
                              own ? ca_file : "the system's trust", gnutls_strerror(loaded));
    }
    *trust_out = trust;
    return ST_OK;
}

void
redis_trust_destroy(struct redis_trust **trust_ref)
{
    if (*trust_ref == NULL)
        return;
    gnutls_certificate_free_credentials((*trust_ref)->credentials);
    free(*trust_ref);
    *trust_ref = NULL;
}

/* ---------------------------------------------------------------- waiting */

enum socket_wait
redis_socket_wait(struct redis_socket *stream, bool wants_write, int wake_fd,
                  int64_t mono_deadline_us)
{
    struct pollfd fds[2] = {
        {.fd = wake_fd, .events = POLLIN},
        {.fd = stream == NULL ? -1 : stream->fd,
         .events = (short)(wants_write ? POLLIN | POLLOUT : POLLIN)},
    };
    int count = 0;

    if (stream != NULL && stream->tls != NULL && gnutls_record_check_pending(stream->tls) > 0)
        return SOCKET_READY;
    while (count == 0) {
        int64_t left_us = mono_deadline_us - now_us();
        struct timespec left = {left_us / US_PER_S, left_us % US_PER_S * 1000};

        if (left_us <= 0)
            return SOCKET_LATE;
        count = ppoll(fds, 2, &left, NULL);
        if (count < 0 && errno == EINTR)
            count = 0;
    }
    return fds[1].revents != 0 ? SOCKET_READY : SOCKET_WOKEN;
}

/* ---------------------------------------------------------------- opening */

static enum status
wait_connected(struct redis_socket *stream, int wake_fd, int64_t deadline_us, struct err *err)
{
    int failure = 0;
    socklen_t size = sizeof(failure);

    switch (redis_socket_wait(stream, true, wake_fd, deadline_us)) {
    case SOCKET_WOKEN:
        return err_set_detail(err, ST_BUSY, "woken while connecting");
    case SOCKET_LATE:
        return err_set_detail(err, ST_UNAVAILABLE, "no connection within the time");
    case SOCKET_READY:
        break;
    }
    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
        failure = errno;
    if (failure != 0)
        return err_set_detail(err, ST_UNAVAILABLE, "%s", strerrordesc_np(failure));
    return ST_OK;
}

static enum status
connect_one(struct redis_socket *stream, const struct addrinfo *at, int wake_fd,
            int64_t deadline_us, struct err *err)
{
    const int on = 1;

    stream->fd =
        socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
    if (stream->fd < 0)
        return err_set_detail(err, ST_UNAVAILABLE, "socket: %s", strerrordesc_np(errno));
    (void)setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    /* A server that vanished without a word is noticed also by who only listens. */
    (void)setsockopt(stream->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (connect(stream->fd, at->ai_addr, at->ai_addrlen) == 0)
        return ST_OK;
    if (errno != EINPROGRESS)
        return err_set_detail(err, ST_UNAVAILABLE, "%s", strerrordesc_np(errno));
    return wait_connected(stream, wake_fd, deadline_us, err);
}

static enum status
connect_any(struct redis_socket *stream, const struct redis_address *address, int wake_fd,
            int64_t deadline_us, struct err *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[8];
    int code;
    enum status st = ST_UNAVAILABLE;

    (void)snprintf(port, sizeof(port), "%u", address->port);
    code = getaddrinfo(address->host, port, &hints, &found);
    if (code != 0)
        return err_set_detail(err, ST_UNAVAILABLE, "%s", gai_strerror(code));
    for (struct addrinfo *at = found; at != NULL && st == ST_UNAVAILABLE; at = at->ai_next) {
        if (stream->fd >= 0)
            (void)close(stream->fd);
        st = connect_one(stream, at, wake_fd, deadline_us, err);
    }
    freeaddrinfo(found);
    return st;
}

static bool
is_numeric(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static enum status
shake_hands(struct redis_socket *stream, const struct redis_address *address,
            const struct redis_trust *trust, int wake_fd, int64_t deadline_us, struct err *err)
{
    int code = gnutls_init(&stream->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);

    if (code == 0)
        code = gnutls_set_default_priority(stream->tls);
    if (code == 0)
        code = gnutls_credentials_set(stream->tls, GNUTLS_CRD_CERTIFICATE, trust->credentials);
    if (code == 0 && !is_numeric(address->host))
        code = gnutls_server_name_set(stream->tls, GNUTLS_NAME_DNS, address->host,
                                      strlen(address->host));
    if (code != 0)
        return err_set_detail(err, ST_UNAVAILABLE, "TLS: %s", gnutls_strerror(code));
    gnutls_session_set_verify_cert(stream->tls, address->host, 0);
    gnutls_transport_set_int(stream->tls, stream->fd);
    while ((code = gnutls_handshake(stream->tls)) < 0 && gnutls_error_is_fatal(code) == 0) {
        bool wants_write = gnutls_record_get_direction(stream->tls) == 1;
        enum socket_wait waited = redis_socket_wait(stream, wants_write, wake_fd, deadline_us);

        if (waited == SOCKET_WOKEN)
            return err_set_detail(err, ST_BUSY, "woken while connecting");
        if (waited == SOCKET_LATE)
            return err_set_detail(err, ST_UNAVAILABLE, "no TLS session within the time");
    }
    if (code < 0)
        return err_set_detail(err, ST_UNAVAILABLE, "TLS: %s", gnutls_strerror(code));
    return ST_OK;
}

enum status
redis_socket_open(const struct redis_address *address, const struct redis_trust *trust, int wake_fd,
                  int64_t mono_deadline_us, struct redis_socket **socket_out, struct err *err)
{
    struct redis_socket *stream = calloc(1, sizeof(*stream));
    enum status st;

    if (stream == NULL)
        abort();
    stream->fd = -1;
    st = connect_any(stream, address, wake_fd, mono_deadline_us, err);
    if (st == ST_OK && address->tls)
        st = shake_hands(stream, address, trust, wake_fd, mono_deadline_us, err);
    if (st != ST_OK)
        redis_socket_close(&stream);
    *socket_out = stream;
    return st;
}

void
redis_socket_close(struct redis_socket **socket_ref)
{
    struct redis_socket *stream = *socket_ref;

    if (stream == NULL)
        return;
    if (stream->tls != NULL)
        gnutls_deinit(stream->tls);
    if (stream->fd >= 0)
        (void)close(stream->fd);
    free(stream);
    *socket_ref = NULL;
}

/* ---------------------------------------------------------------- moving bytes */

static ssize_t
result_of_tls(ssize_t moved)
{
    if (moved == GNUTLS_E_AGAIN || moved == GNUTLS_E_INTERRUPTED)
        return 0;
    return moved > 0 ? moved : -1;
}

static ssize_t
result_of_plain(ssize_t moved)
{
    if (moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return 0;
    return moved > 0 ? moved : -1;
}

ssize_t
redis_socket_read(struct redis_socket *stream, void *bytes, size_t size)
{
    if (stream->tls != NULL)
        return result_of_tls(gnutls_record_recv(stream->tls, bytes, size));
    return result_of_plain(recv(stream->fd, bytes, size, 0));
}

ssize_t
redis_socket_write(struct redis_socket *stream, const void *bytes, size_t size)
{
    if (stream->tls != NULL)
        return result_of_tls(gnutls_record_send(stream->tls, bytes, size));
    return result_of_plain(send(stream->fd, bytes, size, MSG_NOSIGNAL));
}
