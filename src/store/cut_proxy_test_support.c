/*
 * cut_proxy_test_support.c - a thread a connection, which carries bytes both ways
 */
#include "store/cut_proxy_test_support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct pair {
    struct cut_proxy *proxy;
    int client, server;
};

static int
open_socket(unsigned port, bool listens)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        abort();
    if (listens ? bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 64) != 0
                : connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool
carry(int from, int to, char *bytes, size_t size, ssize_t *got)
{
    *got = recv(from, bytes, size, 0);
    return *got > 0 && (to < 0 || send(to, bytes, (size_t)*got, MSG_NOSIGNAL) == *got);
}

/* What is to be cut at these bytes. A flush is a statement of that name that is bound. */
static int
take_cut(struct cut_proxy *proxy, const char *bytes, size_t count)
{
    int cut = atomic_load(&proxy->next);
    bool at_flush = cut == CUT_BEFORE_FLUSH || cut == CUT_BEFORE_FLUSH_ANSWER;
    bool is_here = cut != CUT_NEVER && memmem(bytes, count, at_flush ? "\0flush" : "\0COMMIT",
                                              at_flush ? 7 : 8) != NULL;

    if (!is_here || !atomic_compare_exchange_strong(&proxy->next, &cut, CUT_NEVER))
        return CUT_NEVER;
    atomic_fetch_add(&proxy->cuts, 1);
    return cut;
}

/* The client's next bytes; false: the connection is to be ended. */
static bool
carry_to_server(struct pair *pair)
{
    char bytes[65536];
    ssize_t got = recv(pair->client, bytes, sizeof(bytes), 0);
    bool passes;
    int cut;

    if (got <= 0)
        return false;
    cut = take_cut(pair->proxy, bytes, (size_t)got);
    passes = cut != CUT_BEFORE_COMMIT && cut != CUT_BEFORE_FLUSH;
    if (passes && send(pair->server, bytes, (size_t)got, MSG_NOSIGNAL) != got)
        return false;
    if (cut == CUT_NEVER)
        return true;
    if (passes)
        (void)carry(pair->server, -1, bytes, sizeof(bytes), &got);
    if (pair->proxy->on_cut != NULL)
        pair->proxy->on_cut();
    return false;
}

static void
count_pairs(struct cut_proxy *proxy, int more)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->pairs += more;
    pthread_cond_broadcast(&proxy->ended);
    pthread_mutex_unlock(&proxy->lock);
}

static void *
run_pair(void *arg)
{
    struct pair *pair = arg;
    char bytes[65536];
    bool goes_on = true;

    while (goes_on) {
        struct pollfd fds[2] = {{.fd = pair->client, .events = POLLIN},
                                {.fd = pair->server, .events = POLLIN}};
        ssize_t got;

        if (poll(fds, 2, -1) < 0)
            break;
        if (fds[1].revents != 0)
            goes_on = carry(pair->server, pair->client, bytes, sizeof(bytes), &got);
        if (goes_on && fds[0].revents != 0)
            goes_on = carry_to_server(pair);
    }
    (void)close(pair->client);
    (void)close(pair->server);
    count_pairs(pair->proxy, -1);
    free(pair);
    return NULL;
}

static void *
run_listener(void *arg)
{
    struct cut_proxy *proxy = arg;
    int client;

    while ((client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct pair *pair = calloc(1, sizeof(*pair));
        pthread_t thread;

        if (pair == NULL)
            abort();
        *pair = (struct pair){.proxy = proxy, .client = client, .server = -1};
        if (!atomic_load(&proxy->refuses) || atomic_load(&proxy->cuts) == 0)
            pair->server = open_socket(proxy->server_port, false);
        if (pair->server < 0) {
            (void)close(client);
            free(pair);
        } else {
            count_pairs(proxy, 1);
            if (pthread_create(&thread, NULL, run_pair, pair) != 0 || pthread_detach(thread) != 0)
                abort();
        }
    }
    return NULL;
}

void
cut_proxy_start(struct cut_proxy *proxy, unsigned server_port)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof(address);

    *proxy = (struct cut_proxy){.server_port = server_port};
    pthread_mutex_init(&proxy->lock, NULL);
    pthread_cond_init(&proxy->ended, NULL);
    proxy->listener = open_socket(0, true);
    if (proxy->listener < 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&address, &size) != 0)
        abort();
    proxy->port = ntohs(address.sin_port);
    if (pthread_create(&proxy->thread, NULL, run_listener, proxy) != 0)
        abort();
}

void
cut_proxy_stop(struct cut_proxy *proxy)
{
    (void)shutdown(proxy->listener, SHUT_RDWR);
    (void)pthread_join(proxy->thread, NULL);
    (void)close(proxy->listener);
    pthread_mutex_lock(&proxy->lock);
    while (proxy->pairs > 0)
        pthread_cond_wait(&proxy->ended, &proxy->lock);
    pthread_mutex_unlock(&proxy->lock);
    pthread_mutex_destroy(&proxy->lock);
    pthread_cond_destroy(&proxy->ended);
}
