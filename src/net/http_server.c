/*
 * http_server.c - start, connections, stop
 *
 * Stopping, in this order because the library must not be stopped while a connection is suspended:
 * no new connections and requests; streams told to come back; running handlers waited for (until
 * they return, the deadline only bounds how long answers may take to leave); then the library; then
 * the workers.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "net/http_server_private.h"

#define DEFAULT_EPOLL_THREADS 2
#define DEFAULT_WORKERS 8
#define DEFAULT_MAX_QUEUED 1024
#define DEFAULT_MAX_CONNECTIONS 16384
#define DEFAULT_IDLE_TIMEOUT_S 60
#define DEFAULT_MAX_BODY_BYTES ((size_t)1024 * 1024)
#define DEFAULT_HEARTBEAT_MS 15000
#define LISTEN_BACKLOG 1024
#define THREAD_STACK_BYTES ((size_t)512 * 1024)

struct http_address_counts {
    pthread_mutex_t lock; /* guards map */
    struct map map;       /* address bytes to a count in the pointer itself */
};

static struct str
address_key(const struct net_address *address)
{
    return str_of((const char *)address->bytes, sizeof(address->bytes));
}

static uintptr_t
change_count(struct http_address_counts *counts, const struct net_address *address, int by)
{
    struct str key = address_key(address);
    uintptr_t count;
    struct err err;
    void *ignored;

    pthread_mutex_lock(&counts->lock);
    count = (uintptr_t)map_find(&counts->map, key) + (uintptr_t)by;
    if (by != 0 && count == 0)
        (void)map_remove(&counts->map, key);
    else if (by != 0 &&
             map_put(&counts->map, key, (void *)count, &ignored, &err) != ST_OK) /* NOLINT */
        count = 0;
    pthread_mutex_unlock(&counts->lock);
    return count;
}

static enum MHD_Result
on_accept(void *cls, const struct sockaddr *sockaddr, socklen_t len)
{
    const struct http_server *server = cls;
    struct net_address address;

    (void)len;
    if (server->address_counts == NULL || !net_address_of_socket(sockaddr, &address) ||
        net_list_contains(&server->trusted, &address))
        return MHD_YES;
    return change_count(server->address_counts, &address, 0) <
                   server->config.max_connections_per_address
               ? MHD_YES
               : MHD_NO;
}

static void
on_connection(void *cls, struct MHD_Connection *connection, void **context,
              enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = cls;
    struct http_peer *peer = *context;
    const union MHD_ConnectionInfo *info;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (peer != NULL && peer->is_counted)
            (void)change_count(server->address_counts, &peer->address, -1);
        if (peer != NULL)
            http_tls_release(peer->tls);
        free(peer);
        *context = NULL;
        return;
    }
    peer = calloc(1, sizeof(*peer));
    if (peer == NULL)
        abort();
    *context = peer;
    if (server->tls != NULL)
        peer->tls = http_tls_attach(server->tls, connection);
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info == NULL || !net_address_of_socket(info->client_addr, &peer->address))
        return;
    (void)net_address_text(&peer->address, peer->text);
    peer->is_trusted = net_list_contains(&server->trusted, &peer->address);
    if (server->address_counts != NULL && !peer->is_trusted)
        peer->is_counted = change_count(server->address_counts, &peer->address, 1) != 0;
}

/* Fixes what the library would do to the path and the query before they are looked at. */
static size_t
keep_encoded(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

static void
log_library(void *cls, const char *fmt, va_list args)
{
    char text[256];

    (void)cls;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)vsnprintf(text, sizeof(text), fmt, args);
#pragma GCC diagnostic pop
    LOG(LOG_DEBUG, "http.library", log_str("text", str_trim(str_from_c(text))));
}

static enum status
parse_listen(const char *text, struct sockaddr_storage *address_out, socklen_t *len_out,
             struct err *err)
{
    struct str all = str_from_c(text);
    struct net_address address;
    size_t colon = all.len;
    int64_t port;
    enum status st;

    while (colon > 0 && all.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0 || !str_to_i64(str_sub(all, colon, all.len), &port) || port < 0 || port > 65535)
        return err_set(err, ST_INVALID, "listen address \"%s\" is not address:port", text);
    all = str_sub(all, 0, colon - 1);
    st = net_address_parse(all, &address, err);
    if (st != ST_OK)
        return err_wrap(err, "listen address \"%s\"", text);
    memset(address_out, 0, sizeof(*address_out));
    if (str_find_byte(all, ':') >= 0) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)address_out;

        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        memcpy(&in6->sin6_addr, address.bytes, 16);
        *len_out = sizeof(*in6);
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)address_out;

        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        memcpy(&in->sin_addr, address.bytes + 12, 4);
        *len_out = sizeof(*in);
    }
    return ST_OK;
}

static unsigned
port_of(const struct sockaddr_storage *address)
{
    struct sockaddr_in6 in6;
    struct sockaddr_in in;

    if (address->ss_family == AF_INET6) {
        memcpy(&in6, address, sizeof(in6));
        return ntohs(in6.sin6_port);
    }
    memcpy(&in, address, sizeof(in));
    return ntohs(in.sin_port);
}

static enum status
open_listener(struct http_server *server, struct err *err)
{
    struct sockaddr_storage address = {0};
    socklen_t len = 0;
    int on = 1;
    int fd;
    enum status st = parse_listen(server->config.listen, &address, &len, err);

    if (st != ST_OK)
        return st;
    fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set_detail(err, ST_UNAVAILABLE, "socket: %s", strerrordesc_np(errno));
    server->listen_fd = fd;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* Accepted sockets inherit it: answers must not wait for an acknowledgement. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&address, len) != 0 || listen(fd, LISTEN_BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return err_set_detail(err, errno == EADDRINUSE ? ST_CONFLICT : ST_UNAVAILABLE,
                              "listen on %s: %s", server->config.listen, strerrordesc_np(errno));
    server->port = port_of(&address);
    return ST_OK;
}

static enum status
start_library(struct http_server *server, struct err *err)
{
    const struct http_server_config *config = &server->config;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls_options[4];

    http_tls_options(server->tls, tls_options);
    if (server->tls != NULL)
        flags |= MHD_USE_TLS;
    server->daemon = MHD_start_daemon(
        flags, 0, on_accept, server, http_exchange_on_request, server, /* options follow */
        MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,                 /* first: covers the rest */
        MHD_OPTION_LISTEN_SOCKET, server->listen_fd, MHD_OPTION_THREAD_POOL_SIZE,
        config->epoll_threads > 1 ? config->epoll_threads : 0, MHD_OPTION_THREAD_STACK_SIZE,
        THREAD_STACK_BYTES, MHD_OPTION_CONNECTION_LIMIT, config->max_connections,
        MHD_OPTION_CONNECTION_TIMEOUT, config->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        HTTP_CONNECTION_POOL_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK,
        keep_encoded, NULL, MHD_OPTION_NOTIFY_COMPLETED, http_exchange_on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_ARRAY, tls_options,
        MHD_OPTION_END);
    if (server->daemon == NULL)
        return err_set_detail(err, ST_UNAVAILABLE, "start the HTTP library");
    server->listen_fd = -1; /* the library's now */
    if (server->tls != NULL)
        http_tls_started(server->tls);
    return ST_OK;
}

static void
set_defaults(struct http_server_config *config)
{
    if (config->epoll_threads == 0)
        config->epoll_threads = DEFAULT_EPOLL_THREADS;
    if (config->workers == 0)
        config->workers = DEFAULT_WORKERS;
    if (config->max_queued == 0)
        config->max_queued = DEFAULT_MAX_QUEUED;
    if (config->max_connections == 0)
        config->max_connections = DEFAULT_MAX_CONNECTIONS;
    if (config->idle_timeout_s == 0)
        config->idle_timeout_s = DEFAULT_IDLE_TIMEOUT_S;
    if (config->max_body_bytes == 0)
        config->max_body_bytes = DEFAULT_MAX_BODY_BYTES;
    if (config->heartbeat_ms == 0)
        config->heartbeat_ms = DEFAULT_HEARTBEAT_MS;
}

static void
destroy(struct http_server **server_in)
{
    struct http_server *server = *server_in;

    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);
    task_pool_destroy(&server->workers);
    http_streams_destroy(&server->streams);
    http_exchange_free_all(server);
    http_tls_destroy(&server->tls);
    http_router_destroy(&server->router);
    net_list_deinit(&server->trusted);
    if (server->listen_fd >= 0)
        (void)close(server->listen_fd);
    if (server->address_counts != NULL) {
        map_deinit(&server->address_counts->map);
        pthread_mutex_destroy(&server->address_counts->lock);
        free(server->address_counts);
    }
    pthread_cond_destroy(&server->drained);
    pthread_mutex_destroy(&server->drain_lock);
    pthread_mutex_destroy(&server->free_lock);
    free(server->upload_folder);
    free(server);
    *server_in = NULL;
}

static enum status
check_config(const struct http_server_config *config, const struct http_route *routes,
             size_t route_count, struct err *err)
{
    if (config->listen == NULL)
        return err_set(err, ST_INVALID, "no listen address");
    if ((config->tls_certificate_file == NULL) != (config->tls_key_file == NULL))
        return err_set(err, ST_INVALID, "TLS needs both a certificate and a key file");
    for (size_t i = 0; i < route_count; i++)
        if ((routes[i].flags & HTTP_ROUTE_UPLOAD) != 0 && config->upload_folder == NULL)
            return err_set(err, ST_INVALID, "route %s needs an upload folder", routes[i].pattern);
    return ST_OK;
}

enum status
http_server_start(const struct http_server_config *config, const struct http_route *routes,
                  size_t route_count, struct http_server **server_out, struct err *err)
{
    struct http_server *server;
    enum status st = check_config(config, routes, route_count, err);

    *server_out = NULL;
    if (st != ST_OK)
        return st;
    server = calloc(1, sizeof(*server));
    if (server == NULL)
        abort();
    server->config = *config;
    set_defaults(&server->config);
    server->listen_fd = -1;
    pthread_mutex_init(&server->free_lock, NULL);
    pthread_mutex_init(&server->drain_lock, NULL);
    cond_init(&server->drained);
    if (config->upload_folder != NULL)
        server->upload_folder = strdup(config->upload_folder);
    if (config->max_connections_per_address != 0) {
        server->address_counts = calloc(1, sizeof(*server->address_counts));
        if (server->address_counts == NULL)
            abort();
        pthread_mutex_init(&server->address_counts->lock, NULL);
        map_init(&server->address_counts->map, server->config.max_connections);
    }
    st = http_router_create(routes, route_count, &server->router, err);
    if (st == ST_OK)
        st = net_list_parse(config->trusted_proxies, &server->trusted, err);
    if (st == ST_OK && config->tls_certificate_file != NULL)
        st = http_tls_create(config->tls_certificate_file, config->tls_key_file, &server->tls, err);
    if (st == ST_OK)
        st = open_listener(server, err);
    if (st == ST_OK)
        st = task_pool_create("http-worker", server->config.workers, server->config.max_queued,
                              &server->workers, err);
    if (st == ST_OK)
        st = http_streams_create(server, &server->streams, err);
    if (st == ST_OK)
        st = start_library(server, err);
    /* These belong to the caller and were copied or are no longer needed. */
    server->config.upload_folder = server->upload_folder;
    server->config.listen = NULL;
    server->config.trusted_proxies = NULL;
    server->config.tls_certificate_file = server->config.tls_key_file = NULL;
    if (st != ST_OK) {
        destroy(&server);
        return err_wrap(err, "start HTTP server");
    }
    *server_out = server;
    return ST_OK;
}

unsigned
http_server_port(const struct http_server *server)
{
    return server->port;
}

unsigned
http_server_open_streams(const struct http_server *server)
{
    return atomic_load(&server->open_streams);
}

/* Under the lock, because whoever waits for 0 then frees the server: it sees the 0 only when nobody
 * touches the server any more. */
void
http_server_count_down(struct http_server *server, _Atomic unsigned *counter)
{
    pthread_mutex_lock(&server->drain_lock);
    if (atomic_fetch_sub(counter, 1) == 1 && atomic_load(&server->is_stopping))
        pthread_cond_broadcast(&server->drained);
    pthread_mutex_unlock(&server->drain_lock);
}

/* Waits until counter is 0. False when the deadline passed. */
static bool
wait_for_zero(struct http_server *server, _Atomic unsigned *counter, int64_t deadline_us)
{
    bool in_time = true;

    pthread_mutex_lock(&server->drain_lock);
    while (in_time && atomic_load(counter) != 0)
        in_time = cond_wait_until(&server->drained, &server->drain_lock, deadline_us);
    pthread_mutex_unlock(&server->drain_lock);
    return in_time;
}

void
http_server_stop(struct http_server **server_in, int64_t deadline_ms)
{
    struct http_server *server = *server_in;
    int64_t deadline_us;

    if (server == NULL)
        return;
    deadline_us = clock_mono_us(clock_system()) + deadline_ms * US_PER_MS;
    atomic_store(&server->is_stopping, true);
    /* The descriptor may be closed only after the library has stopped; until then nobody connects.
     */
    server->listen_fd = MHD_quiesce_daemon(server->daemon);
    if (server->listen_fd >= 0)
        (void)shutdown(server->listen_fd, SHUT_RDWR);
    http_streams_close_all(server->streams);
    if (!wait_for_zero(server, &server->active, deadline_us) ||
        !wait_for_zero(server, &server->open_streams, deadline_us))
        LOG(LOG_WARN, "http.stop_late", log_int("requests", atomic_load(&server->active)),
            log_int("streams", atomic_load(&server->open_streams)));
    http_streams_drop_all(server->streams);
    /* Handlers bound their own calls by deadlines; there is no safe way to end one from outside. */
    while (!wait_for_zero(server, &server->suspended, deadline_us))
        deadline_us = clock_mono_us(clock_system()) + US_PER_S;
    destroy(server_in);
}
