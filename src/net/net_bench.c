/*
 * net_bench.c - a server that does nothing but hand over, for measuring
 *
 *   net_bench serve [workers]      POST /echo, GET /stream; prints the port; ends at end of input
 *   net_bench streams PORT COUNT   opens COUNT event streams, prints "open N", holds them until
 * input ends
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_server.h"

static void
on_echo(struct http_request *req, struct http_response *resp, void *context)
{
    (void)context;
    http_respond(resp, 200, "application/json", req->body);
}

static void
on_stream(struct http_request *req, struct http_response *resp, void *context)
{
    struct http_stream_config config = {0};
    struct http_stream *stream = http_respond_stream(resp, &config);
    struct err err;

    (void)req;
    (void)context;
    if (http_stream_send(stream, STR("1"), STR("hello"), STR("{}"), &err) != ST_OK)
        (void)fprintf(stderr, "%s\n", err.detail);
    http_stream_unref(&stream);
}

static const struct http_route routes[] = {
    {HTTP_POST, "/echo", on_echo, 0, 0, NULL},
    {HTTP_GET, "/stream", on_stream, HTTP_ROUTE_CORS, 0, NULL},
};

static void
raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int
serve(unsigned workers)
{
    struct http_server_config config = {.listen = "127.0.0.1:0",
                                        .workers = workers,
                                        .max_queued = 4096,
                                        .max_connections = 20000,
                                        .idle_timeout_s = 60};
    struct http_server *server;
    struct err err;

    if (http_server_start(&config, routes, sizeof(routes) / sizeof(routes[0]), &server, &err) !=
        ST_OK) {
        (void)fprintf(stderr, "%s\n", err.detail);
        return 1;
    }
    (void)printf("%u\n", http_server_port(server));
    (void)fflush(stdout);
    while (getchar() != EOF) {
        (void)printf("streams %u\n", http_server_open_streams(server));
        (void)fflush(stdout);
    }
    http_server_stop(&server, 2000);
    return 0;
}

static int
open_stream(int port)
{
    static const char request[] =
        "GET /stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream"
        "\r\nUser-Agent: net_bench\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer[1024];

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        write(fd, request, sizeof(request) - 1) < 0 || read(fd, answer, sizeof(answer)) <= 0)
        return -1;
    return fd;
}

static int
hold_streams(int port, int count)
{
    for (int i = 0; i < count; i++) {
        if (open_stream(port) < 0) {
            (void)fprintf(stderr, "stream %d: %s\n", i, strerrordesc_np(errno));
            return 1;
        }
    }
    (void)printf("open %d\n", count);
    (void)fflush(stdout);
    while (getchar() != EOF)
        ;
    return 0;
}

static int
number(const char *text)
{
    int64_t value = 0;

    return str_to_i64(str_from_c(text), &value) ? (int)value : 0;
}

int
main(int argc, char **argv)
{
    raise_file_limit();
    if (argc >= 2 && strcmp(argv[1], "serve") == 0)
        return serve(argc > 2 ? (unsigned)number(argv[2]) : 8);
    if (argc == 4 && strcmp(argv[1], "streams") == 0)
        return hold_streams(number(argv[2]), number(argv[3]));
    (void)fprintf(stderr, "usage: net_bench serve [workers] | streams PORT COUNT\n");
    return 2;
}
