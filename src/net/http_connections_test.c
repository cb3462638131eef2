/*
 * http_connections_test.c - how many connections there may be: of all, of one address, and how long
 * idle
 *
 * One over the limit of all is not refused: it waits in the kernel until another ends. One over the
 * limit of its address is closed at once.
 */
#include "net/http_test_support.h"

#include <errno.h>

#define HOST "Host: localhost\r\n"
#define LIMIT 6

static void
on_hello(struct http_request *req, struct http_response *resp, void *context)
{
    (void)req;
    (void)context;
    http_respond_static(resp, 200, "text/plain", STR("hello"));
}

static const struct http_route routes[] = {
    {HTTP_GET, "/hello", on_hello, 0, 0, NULL},
};

static struct http_server *
start(const struct http_server_config *config)
{
    struct http_server *server;
    struct err err;

    if (http_server_start(config, routes, sizeof(routes) / sizeof(routes[0]), &server, &err) !=
        ST_OK)
        fail_msg("%s", err.detail);
    return server;
}

static void
say_hello(int fd)
{
    raw_send(fd, STR("GET /hello HTTP/1.1\r\n" HOST "\r\n"));
}

static void
expect_hello(int fd)
{
    struct buf got;
    struct str answer;

    buf_init(&got, 65536);
    assert_int_equal(raw_answer(fd, &got, &answer), 200);
    assert_true(str_ends_with(answer, STR("hello")));
    buf_deinit(&got);
}

/* Nothing has come, and it was not closed either. */
static void
expect_silence(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static void
connections_over_the_limit_wait(void **state)
{
    static const unsigned threads[] = {1, 2, 3};

    (void)state;
    for (size_t t = 0; t < sizeof(threads) / sizeof(threads[0]); t++) {
        const struct http_server_config config = {.listen = "127.0.0.1:0",
                                                  .epoll_threads = threads[t],
                                                  .workers = 1,
                                                  .max_connections = LIMIT};
        struct http_server *server = start(&config);
        int open[LIMIT], waiting[2];

        for (int i = 0; i < LIMIT; i++) {
            open[i] = raw_open(http_server_port(server));
            say_hello(open[i]);
            expect_hello(open[i]);
        }
        for (int i = 0; i < 2; i++) {
            waiting[i] = raw_open(http_server_port(server));
            say_hello(waiting[i]);
        }
        /* Those that are open go on, meanwhile and again. */
        for (int round = 0; round < 20; round++) {
            for (int i = 0; i < LIMIT; i++) {
                say_hello(open[i]);
                expect_hello(open[i]);
            }
            expect_silence(waiting[0]);
            expect_silence(waiting[1]);
        }
        /* One ends: there is room for one, in the order of their coming. */
        (void)close(open[0]);
        expect_hello(waiting[0]);
        for (int i = 1; i < LIMIT; i++) {
            say_hello(open[i]);
            expect_hello(open[i]);
        }
        expect_silence(waiting[1]);
        (void)close(waiting[0]);
        expect_hello(waiting[1]);
        (void)close(waiting[1]);
        for (int i = 1; i < LIMIT; i++)
            (void)close(open[i]);
        http_server_stop(&server, 1000);
    }
}

/* From that address of this machine. */
static int
open_from(unsigned port, uint32_t address)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    struct timeval wait = {.tv_sec = TEST_WAIT_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&from, sizeof(from)), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* False: it was closed without an answer. */
static bool
is_answered(int fd)
{
    static const char request[] = "GET /hello HTTP/1.1\r\n" HOST "\r\n";
    char byte;

    return send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) > 0 && recv(fd, &byte, 1, 0) == 1;
}

static void
one_address_never_has_all(void **state)
{
    const struct http_server_config config = {.listen = "127.0.0.1:0",
                                              .workers = 1,
                                              .max_connections = LIMIT,
                                              .max_connections_per_address = 2};
    struct http_server *server = start(&config);
    int greedy[2], other, again;
    bool answered;

    (void)state;
    for (int i = 0; i < 2; i++) {
        greedy[i] = open_from(http_server_port(server), INADDR_LOOPBACK);
        say_hello(greedy[i]);
        expect_hello(greedy[i]);
    }
    for (int i = 0; i < 2 * LIMIT; i++) { /* what is refused takes no place */
        int fd = open_from(http_server_port(server), INADDR_LOOPBACK);

        assert_false(is_answered(fd));
        (void)close(fd);
    }
    other = open_from(http_server_port(server), INADDR_LOOPBACK + 1);
    say_hello(other);
    expect_hello(other);
    say_hello(greedy[1]);
    expect_hello(greedy[1]);

    /* There is room again as soon as the server has noticed the end, which only asking tells. */
    (void)close(greedy[0]);
    do {
        again = open_from(http_server_port(server), INADDR_LOOPBACK);
        answered = is_answered(again);
        (void)close(again);
    } while (!answered);
    (void)close(greedy[1]);
    (void)close(other);
    http_server_stop(&server, 1000);
}

/* Neither a connection that says nothing nor half a request holds a place for ever. */
static void
idle_connections_end(void **state)
{
    static const char *const said[] = {"", "GET /hello HTTP/1.1\r\nHos"};
    const struct http_server_config config = {
        .listen = "127.0.0.1:0", .workers = 1, .idle_timeout_s = 1};
    struct http_server *server = start(&config);

    (void)state;
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        int fd = raw_open(http_server_port(server));
        char answer[512];
        ssize_t n;

        if (said[i][0] != '\0')
            raw_send(fd, str_from_c(said[i]));
        while ((n = recv(fd, answer, sizeof(answer), 0)) >
               0) /* 408, or nothing, and then the end */
            continue;
        if (n < 0)
            assert_int_not_equal(errno, EAGAIN);
        (void)close(fd);
    }
    http_server_stop(&server, 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_over_the_limit_wait),
        cmocka_unit_test(one_address_never_has_all),
        cmocka_unit_test(idle_connections_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
