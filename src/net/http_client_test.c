/*
 * http_client_test.c - calls against a server that misbehaves by script
 */
#include "net/http_test_support.h"

/* What the double does with one request, in order over all its connections. */
#define CLOSE_UNREAD "<close unread>"
#define CLOSE "<close>"  /* read the request, close without a byte */
#define SILENCE "<wait>" /* read the request, say nothing until the client leaves */

struct double_server {
    int listen_fd;
    unsigned port;
    const char *const *script; /* ended by NULL */
    bool closes_after_answer;
    struct test_gate connections;
    struct test_gate requests;
    struct buf last_request;
    pthread_t thread;
};

/* True when one whole request has come. */
static bool
read_request(int fd, struct buf *request)
{
    ptrdiff_t head;
    ptrdiff_t at;
    int64_t length = 0;

    buf_clear(request);
    if (!raw_read_until(fd, request, STR("\r\n\r\n")))
        return false;
    head = str_find(buf_str(request), STR("\r\n\r\n")) + 4;
    at = str_find(buf_str(request), STR("Content-Length: "));
    if (at >= 0) {
        struct str number = str_sub(buf_str(request), (size_t)at + 16, request->len);

        number.len = (size_t)str_find_byte(number, '\r');
        if (!str_to_i64(number, &length))
            abort();
    }
    while (request->len < (size_t)(head + length)) {
        char piece[4096];
        ssize_t n = recv(fd, piece, sizeof(piece), 0);

        if (n <= 0)
            return false;
        buf_append(request, str_of(piece, (size_t)n));
    }
    return true;
}

static void *
run_double(void *arg)
{
    struct double_server *d = arg;
    int fd = -1;

    for (const char *const *step = d->script; *step != NULL; step++) {
        char byte;

        while (true) {
            if (fd < 0) {
                fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC);
                if (fd < 0)
                    return NULL;
                gate_raise(&d->connections);
            }
            if (strcmp(*step, CLOSE_UNREAD) == 0 || read_request(fd, &d->last_request))
                break;
            (void)close(fd);
            fd = -1;
        }
        gate_raise(&d->requests);
        if (strcmp(*step, SILENCE) == 0)
            while (recv(fd, &byte, 1, 0) > 0)
                ;
        else if (strcmp(*step, CLOSE) != 0 && strcmp(*step, CLOSE_UNREAD) != 0)
            (void)send(fd, *step, strlen(*step), MSG_NOSIGNAL);
        if (strchr("<", (*step)[0]) != NULL || d->closes_after_answer) {
            (void)close(fd);
            fd = -1;
        }
    }
    if (fd >= 0)
        (void)close(fd);
    return NULL;
}

static void
double_start(struct double_server *d, const char *const *script, bool closes_after_answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    *d = (struct double_server){.script = script,
                                .closes_after_answer = closes_after_answer,
                                .connections = TEST_GATE_INIT,
                                .requests = TEST_GATE_INIT};
    buf_init(&d->last_request, 1024 * 1024);
    d->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(d->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(d->listen_fd, 16), 0);
    assert_int_equal(getsockname(d->listen_fd, (struct sockaddr *)&address, &len), 0);
    d->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&d->thread, NULL, run_double, d), 0);
}

static void
double_stop(struct double_server *d)
{
    (void)shutdown(d->listen_fd, SHUT_RDWR);
    (void)pthread_join(d->thread, NULL);
    (void)close(d->listen_fd);
    buf_deinit(&d->last_request);
}

static bool
stop_after_first(struct str bytes, void *context)
{
    *(size_t *)context += bytes.len;
    return false;
}

static bool
take_all(struct str bytes, void *context)
{
    *(size_t *)context += bytes.len;
    return true;
}

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

struct row {
    const char *name;
    const char *script[5];
    const char *method;
    const char *body;
    unsigned deadline_ms, stall_ms;
    size_t max_bytes;
    enum status want;
    int want_status;
    const char *want_body;
    int want_retry_after_ms;
    unsigned want_connections;
};

static const struct row rows[] = {
    {"plain", {OK_ANSWER}, "GET", "", 5000, 0, 0, ST_OK, 200, "ok", -1, 1},
    {"post", {OK_ANSWER}, "POST", "hello", 5000, 0, 0, ST_OK, 200, "ok", -1, 1},
    {"error status",
     {"HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\nbad"},
     "POST",
     "x",
     5000,
     0,
     0,
     ST_OK,
     500,
     "bad",
     -1,
     1},
    {"redirect is not followed",
     {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"},
     "GET",
     "",
     5000,
     0,
     0,
     ST_OK,
     302,
     "",
     -1,
     1},
    {"retry after",
     {"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"},
     "GET",
     "",
     5000,
     0,
     0,
     ST_OK,
     429,
     "",
     7000,
     1},
    {"retry after in the past",
     {"HTTP/1.1 503 No\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n"},
     "GET",
     "",
     5000,
     0,
     0,
     ST_OK,
     503,
     "",
     0,
     1},
    {"retry after nonsense",
     {"HTTP/1.1 503 No\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n"},
     "GET",
     "",
     5000,
     0,
     0,
     ST_OK,
     503,
     "",
     -1,
     1},
    {"chunked",
     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"},
     "GET",
     "",
     5000,
     0,
     0,
     ST_OK,
     200,
     "abcde",
     -1,
     1},
    {"too large by length",
     {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n01234567890"},
     "GET",
     "",
     5000,
     0,
     10,
     ST_TOO_LARGE,
     0,
     NULL,
     -1,
     1},
    {"too large by chunks",
     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n"},
     "GET",
     "",
     5000,
     0,
     10,
     ST_TOO_LARGE,
     0,
     NULL,
     -1,
     1},
    {"just fits",
     {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"},
     "GET",
     "",
     5000,
     0,
     10,
     ST_OK,
     200,
     "0123456789",
     -1,
     1},
    {"closed after the request", {CLOSE}, "POST", "x", 5000, 0, 0, ST_UNCERTAIN, 0, NULL, -1, 1},
    {"cut off answer",
     {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234", CLOSE},
     "POST",
     "x",
     5000,
     200,
     0,
     ST_UNCERTAIN,
     0,
     NULL,
     -1,
     1},
    {"silence to the deadline", {SILENCE}, "POST", "x", 200, 0, 0, ST_UNCERTAIN, 0, NULL, -1, 1},
    {"silence to the stall time",
     {SILENCE},
     "GET",
     "",
     20000,
     100,
     0,
     ST_UNCERTAIN,
     0,
     NULL,
     -1,
     1},
    {"not HTTP", {"SSH-2.0-x\r\n"}, "GET", "", 1000, 0, 0, ST_UNCERTAIN, 0, NULL, -1, 1},
};

static void
test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct http_client *client = test_client(NULL);
        struct arena *arena = arena_create(1024 * 1024);
        struct double_server d;
        struct http_call call = {.method = row->method,
                                 .body = str_from_c(row->body),
                                 .deadline_ms = row->deadline_ms,
                                 .stall_ms = row->stall_ms,
                                 .max_response_bytes = row->max_bytes};
        int64_t began_us = clock_mono_us(clock_system());
        struct http_reply reply;
        struct err err;
        enum status st;

        double_start(&d, row->script, false);
        call.url = arena_printf(arena, "http://127.0.0.1:%u/path?x=1", d.port);
        st = http_client_call(client, &call, arena, &reply, &err);
        if (st != row->want)
            fail_msg("%s: %s: %s", row->name, status_name(st), err.detail);
        if (clock_mono_us(clock_system()) - began_us > 10 * US_PER_S)
            fail_msg("%s took too long", row->name);
        if (st == ST_OK &&
            (reply.status != row->want_status || !str_eq_c(reply.body, row->want_body) ||
             reply.retry_after_ms != row->want_retry_after_ms))
            fail_msg("%s: %d, %d ms, %.*s", row->name, reply.status, reply.retry_after_ms,
                     STR_ARG(reply.body));
        if (row->want_status == 302)
            assert_true(str_eq_c(reply.location, "http://127.0.0.1:1/"));
        else
            assert_int_equal(reply.location.len, 0);
        http_client_destroy(&client);
        double_stop(&d);
        if (gate_count(&d.connections) != row->want_connections)
            fail_msg("%s: %u connections", row->name, gate_count(&d.connections));
        arena_destroy(&arena);
    }
}

/* Fields that the caller wants: those of the last head, several of one name line by line. */
static void
test_wanted(void **state)
{
    static const char *const script[] = {
        "HTTP/1.1 103 Early\r\nETag: early\r\n\r\nHTTP/1.1 200 OK\r\netag: \"a\"\r\nX-Tag: b\r\n"
        "x-tag:  c, d \r\nEmpty:\r\nContent-Length: 0\r\n\r\n",
        NULL};
    static const char *const wanted[] = {"etag", "x-tag", "empty", "last-modified"};
    struct http_client *client = test_client(NULL);
    struct arena *arena = arena_create(1024 * 1024);
    struct double_server d;
    struct http_call call = {
        .method = "GET", .deadline_ms = 5000, .wanted = wanted, .wanted_count = 4};
    struct http_reply reply;
    struct err err;

    (void)state;
    double_start(&d, script, false);
    call.url = arena_printf(arena, "http://127.0.0.1:%u/", d.port);
    assert_int_equal(http_client_call(client, &call, arena, &reply, &err), ST_OK);
    assert_true(str_eq_c(reply.wanted[0], "\"a\""));
    assert_true(str_eq_c(reply.wanted[1], "b\nc, d"));
    assert_true(reply.wanted[2].ptr != NULL && reply.wanted[2].len == 0);
    assert_null(reply.wanted[3].ptr);
    call.wanted_count = HTTP_WANTED_MAX + 1;
    assert_int_equal(http_client_call(client, &call, arena, &reply, &err), ST_INVALID);
    http_client_destroy(&client);
    double_stop(&d);
    arena_destroy(&arena);
}

static enum status
call_once(struct http_client *client, unsigned port, const char *method, struct err *err)
{
    struct arena *arena = arena_create(1024 * 1024);
    struct http_call call = {.method = method, .deadline_ms = 5000};
    struct http_reply reply;
    enum status st;

    call.url = arena_printf(arena, "http://127.0.0.1:%u/", port);
    st = http_client_call(client, &call, arena, &reply, err);
    arena_destroy(&arena);
    return st;
}

static void
test_reuse(void **state)
{
    static const char *const script[] = {OK_ANSWER, OK_ANSWER, OK_ANSWER, NULL};
    struct http_client *client = test_client(NULL);
    struct double_server d;
    struct err err;

    (void)state;
    double_start(&d, script, false);
    for (int i = 0; i < 3; i++)
        assert_int_equal(call_once(client, d.port, "POST", &err), ST_OK);
    assert_int_equal(gate_count(&d.connections), 1);
    http_client_destroy(&client);
    double_stop(&d);
}

/* The server takes the second request on the reused connection and closes without a byte: it may
 * have acted. A GET is repeated on a fresh connection; a POST is not, and the caller is told. */
static void
test_reused_connection_closes(void **state)
{
    static const char *const script[] = {OK_ANSWER, CLOSE, OK_ANSWER, NULL};
    struct err err;

    (void)state;
    for (int is_post = 0; is_post < 2; is_post++) {
        struct http_client *client = test_client(NULL);
        struct double_server d;

        double_start(&d, script, false);
        assert_int_equal(call_once(client, d.port, "GET", &err), ST_OK);
        assert_int_equal(call_once(client, d.port, is_post ? "POST" : "GET", &err),
                         is_post ? ST_UNCERTAIN : ST_OK);
        assert_int_equal(gate_count(&d.requests), is_post ? 2 : 3);
        http_client_destroy(&client);
        double_stop(&d);
    }
}

/* The server closed the idle connection before the next call: nothing is lost, nothing uncertain.
 */
static void
test_idle_connection_closed(void **state)
{
    static const char *const script[] = {OK_ANSWER, OK_ANSWER, NULL};
    struct http_client *client = test_client(NULL);
    struct double_server d;
    struct err err;
    int probe;

    (void)state;
    double_start(&d, script, true);
    assert_int_equal(call_once(client, d.port, "POST", &err), ST_OK);
    /* The double accepts the next connection only after it has closed the first. */
    probe = raw_open(d.port);
    gate_wait(&d.connections, 2);
    (void)close(probe);
    assert_int_equal(call_once(client, d.port, "POST", &err), ST_OK);
    assert_int_equal(gate_count(&d.requests), 2);
    http_client_destroy(&client);
    double_stop(&d);
}

/* A server that says how long it keeps an idle connection may be just closing it then. */
static void
test_told_how_long_it_is_kept(void **state)
{
    static const struct {
        const char *fields;
        unsigned want_connections;
    } table[] = {
        {"", 1},
        {"Keep-Alive: timeout=60\r\n", 1},
        {"Keep-Alive: timeout=5, max=100\r\n", 1},
        {"Keep-Alive: max=100\r\n", 1},
        {"Keep-Alive: timeout=soon\r\n", 1},
        {"Keep-Alive: timeout=-1\r\n", 1},
        {"Keep-Alive: timeout=1\r\n", 2},
        {"keep-alive: max=100, Timeout=1\r\n", 2},
        {"Keep-Alive: timeout=0\r\n", 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char answer[128];
        const char *const script[] = {answer, answer, NULL};
        struct http_client *client = test_client(NULL);
        struct double_server d;
        struct err err;

        (void)snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n%sContent-Length: 0\r\n\r\n",
                       table[i].fields);
        double_start(&d, script, false);
        for (int call = 0; call < 2; call++)
            assert_int_equal(call_once(client, d.port, "POST", &err), ST_OK);
        if (gate_count(&d.connections) != table[i].want_connections)
            fail_msg("%s: %u connections", table[i].fields, gate_count(&d.connections));
        http_client_destroy(&client);
        double_stop(&d);
    }
}

static void
test_nothing_sent(void **state)
{
    static const char *const urls[] = {
        "http://127.0.0.1:1/",
        "http://no-such-host.invalid/",
        "https://127.0.0.1:1/",
    };
    struct http_client *client = test_client(NULL);
    struct arena *arena = arena_create(1024 * 1024);
    struct http_reply reply;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct http_call call = {.method = "POST", .url = str_from_c(urls[i]), .deadline_ms = 4000};
        enum status st = http_client_call(client, &call, arena, &reply, &err);

        if (st != ST_UNAVAILABLE)
            fail_msg("%s: %s %s", urls[i], status_name(st), err.detail);
    }
    arena_destroy(&arena);
    http_client_destroy(&client);
}

static void
test_invalid(void **state)
{
    static const struct http_header bad_value = {"X-A", STR_INIT("a\r\nX-B: c")};
    static const struct http_header bad_name = {"X A", STR_INIT("a")};
    static const struct {
        const char *name;
        struct http_call call;
    } calls[] = {
        {"no deadline", {.method = "GET", .url = STR_INIT("http://a/")}},
        {"no method", {.url = STR_INIT("http://a/"), .deadline_ms = 1}},
        {"bad method", {.method = "G T", .url = STR_INIT("http://a/"), .deadline_ms = 1}},
        {"empty url", {.method = "GET", .deadline_ms = 1}},
        {"file url", {.method = "GET", .url = STR_INIT("file:///etc/passwd"), .deadline_ms = 1}},
        {"ftp url", {.method = "GET", .url = STR_INIT("ftp://a/"), .deadline_ms = 1}},
        {"no host", {.method = "GET", .url = STR_INIT("http://"), .deadline_ms = 1}},
        {"user in url", {.method = "GET", .url = STR_INIT("http://u:p@a/"), .deadline_ms = 1}},
        {"line end in url", {.method = "GET", .url = STR_INIT("http://a/\r\nx"), .deadline_ms = 1}},
        {"NUL in url", {.method = "GET", .url = STR_INIT("http://a/\0x"), .deadline_ms = 1}},
        {"line end in header",
         {.method = "GET",
          .url = STR_INIT("http://a/"),
          .deadline_ms = 1,
          .headers = &bad_value,
          .header_count = 1}},
        {"space in header name",
         {.method = "GET",
          .url = STR_INIT("http://a/"),
          .deadline_ms = 1,
          .headers = &bad_name,
          .header_count = 1}},
    };
    struct http_client *client = test_client(NULL);
    struct arena *arena = arena_create(1024 * 1024);
    struct http_reply reply;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        enum status st = http_client_call(client, &calls[i].call, arena, &reply, &err);

        if (st != ST_INVALID)
            fail_msg("%s: %s", calls[i].name, status_name(st));
    }
    arena_destroy(&arena);
    http_client_destroy(&client);
}

/* Refused before a connect, by number, by name, in every spelling; and on a connection that an
 * allowed call opened. */
static void
test_guard(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost",  "[::1]", "[::ffff:127.0.0.1]",
                                        "0.0.0.0",   "2130706433", "0x7f.1"};
    static const char *const script[] = {OK_ANSWER, OK_ANSWER, NULL};
    struct http_client_config config = {0};
    struct http_client *client;
    struct arena *arena = arena_create(1024 * 1024);
    struct double_server d;
    struct http_call call = {.method = "GET", .deadline_ms = 5000};
    struct http_reply reply;
    struct err err;

    (void)state;
    assert_int_equal(http_client_create(&config, &client, &err), ST_OK);
    double_start(&d, script, false);
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        enum status st;

        call.url = arena_printf(arena, "http://%s:%u/", hosts[i], d.port);
        st = http_client_call(client, &call, arena, &reply, &err);
        if (st != ST_DENIED)
            fail_msg("%s: %s %s", hosts[i], status_name(st), err.detail);
    }
    assert_int_equal(gate_count(&d.connections), 0);
    call.url = arena_printf(arena, "http://127.0.0.1:%u/", d.port);
    call.allow_private_addresses = true;
    assert_int_equal(http_client_call(client, &call, arena, &reply, &err), ST_OK);
    call.allow_private_addresses = false;
    assert_int_equal(http_client_call(client, &call, arena, &reply, &err), ST_DENIED);
    assert_int_equal(gate_count(&d.requests), 1);
    http_client_destroy(&client);
    double_stop(&d);
    arena_destroy(&arena);
}

static void
test_request_text(void **state)
{
    static const char *const script[] = {"HTTP/1.1 100 Continue\r\nX-Request-Id: early\r\n\r\n"
                                         "HTTP/1.1 201 Made\r\nContent-Type: "
                                         "text/x\r\nX-Request-Id: r-1\r\nContent-Length: 0\r\n\r\n",
                                         NULL};
    static const struct http_header headers[] = {{"Authorization", STR_INIT("Bearer abc")},
                                                 {"X-Empty", STR_INIT("")}};
    struct http_client *client = test_client(NULL);
    struct arena *arena = arena_create(1024 * 1024);
    struct double_server d;
    struct http_call call = {.method = "PATCH",
                             .deadline_ms = 5000,
                             .headers = headers,
                             .header_count = 2,
                             .body = STR_INIT("a\0b")};
    struct http_reply reply;
    struct err err;

    (void)state;
    double_start(&d, script, false);
    call.url = arena_printf(arena, "http://127.0.0.1:%u/a%%20b?c=d", d.port);
    assert_int_equal(http_client_call(client, &call, arena, &reply, &err), ST_OK);
    assert_int_equal(reply.status, 201);
    assert_true(str_eq_c(reply.content_type, "text/x"));
    assert_true(str_eq_c(reply.request_id, "r-1"));
    gate_wait(&d.requests, 1);
    assert_true(contains(&d.last_request, "PATCH /a%20b?c=d HTTP/1.1\r\n"));
    assert_true(contains(&d.last_request, "Authorization: Bearer abc\r\n"));
    assert_true(contains(&d.last_request, "X-Empty:\r\n"));
    assert_true(contains(&d.last_request, "Content-Length: 3\r\n"));
    assert_false(contains(&d.last_request, "Content-Type"));
    assert_false(contains(&d.last_request, "Expect"));
    assert_true(str_ends_with(buf_str(&d.last_request), STR("\r\n\r\na\0b")));
    http_client_destroy(&client);
    double_stop(&d);
    arena_destroy(&arena);
}

static void
test_sink(void **state)
{
    static const struct {
        const char *name;
        const char *answer;
        bool (*sink)(struct str, void *);
        bool want_ended;
        size_t want_bytes;
        const char *want_body;
    } sinks[] = {
        {"all", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", take_all, false, 4, ""},
        {"ended", "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nabcd", stop_after_first, true, 4,
         ""},
        {"not for errors", "HTTP/1.1 400 No\r\nContent-Length: 4\r\n\r\nabcd", take_all, false, 0,
         "abcd"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(sinks) / sizeof(sinks[0]); i++) {
        const char *const script[] = {sinks[i].answer, NULL};
        struct http_client *client = test_client(NULL);
        struct arena *arena = arena_create(1024 * 1024);
        struct double_server d;
        size_t taken = 0;
        struct http_call call = {
            .method = "GET", .deadline_ms = 5000, .sink = sinks[i].sink, .sink_context = &taken};
        struct http_reply reply;
        struct err err;

        double_start(&d, script, false);
        call.url = arena_printf(arena, "http://127.0.0.1:%u/", d.port);
        assert_int_equal(http_client_call(client, &call, arena, &reply, &err), ST_OK);
        if (reply.ended_by_sink != sinks[i].want_ended || taken != sinks[i].want_bytes ||
            reply.received_bytes != 4 || !str_eq_c(reply.body, sinks[i].want_body))
            fail_msg("%s: ended %d, taken %zu", sinks[i].name, reply.ended_by_sink, taken);
        http_client_destroy(&client);
        double_stop(&d);
        arena_destroy(&arena);
    }
}

/* A token in the URL appears in no message, whatever goes wrong. */
static void
test_secret_url(void **state)
{
    static const char *const urls[] = {
        "http://127.0.0.1:1/botSECRET/send?k=SECRET",
        "http://no-such-host.invalid/SECRET",
        "http://127.0.0.1:99999/SECRET",
        "http://[bad/SECRET",
    };
    struct http_client *client = test_client(NULL);
    struct arena *arena = arena_create(1024 * 1024);
    struct http_reply reply;

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct http_call call = {.method = "POST",
                                 .url = str_from_c(urls[i]),
                                 .url_is_secret = true,
                                 .deadline_ms = 4000};
        struct err err;

        assert_int_not_equal(http_client_call(client, &call, arena, &reply, &err), ST_OK);
        if (strstr(err.detail, "SECRET") != NULL || strstr(err.public_text, "SECRET") != NULL)
            fail_msg("%s", err.detail);
    }
    arena_destroy(&arena);
    http_client_destroy(&client);
}

struct crowd {
    struct http_client *client;
    unsigned port;
    _Atomic unsigned failures;
};

static void *
run_crowd(void *arg)
{
    struct crowd *crowd = arg;
    struct err err;

    for (int i = 0; i < 50; i++)
        if (call_once(crowd->client, crowd->port, "POST", &err) != ST_OK)
            atomic_fetch_add(&crowd->failures, 1);
    return NULL;
}

static void
on_ok(struct http_request *req, struct http_response *resp, void *context)
{
    (void)req;
    (void)context;
    http_respond(resp, 200, "text/plain", STR("ok"));
}

static void
test_threads(void **state)
{
    static const struct http_route route = {HTTP_POST, "/", on_ok, 0, 0, NULL};
    struct http_server_config config = {.listen = "127.0.0.1:0", .workers = 4};
    struct http_server *server;
    struct crowd crowd = {.client = test_client(NULL)};
    pthread_t threads[8];
    struct err err;

    (void)state;
    assert_int_equal(http_server_start(&config, &route, 1, &server, &err), ST_OK);
    crowd.port = http_server_port(server);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_crowd, &crowd), 0);
    for (size_t i = 0; i < 8; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&crowd.failures), 0);
    http_client_destroy(&crowd.client);
    http_server_stop(&server, 2000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_reused_connection_closes),
        cmocka_unit_test(test_idle_connection_closed),
        cmocka_unit_test(test_told_how_long_it_is_kept),
        cmocka_unit_test(test_nothing_sent),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_request_text),
        cmocka_unit_test(test_sink),
        cmocka_unit_test(test_secret_url),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
