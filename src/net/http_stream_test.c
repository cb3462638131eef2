/*
 * http_stream_test.c - event streams with real sockets: order, heartbeats, slow and gone readers
 */
#include "net/http_test_support.h"

#include <sys/resource.h>

#include "net/sse_parser.h"

#define MANY 500

struct fixture {
    struct http_server *server;
    unsigned port;
    struct test_gate opened;
    struct test_gate closed;
    pthread_mutex_t lock; /* guards streams */
    struct http_stream *streams[MANY];
    unsigned count;
    size_t max_pending;
};

static void
on_close(void *context)
{
    struct fixture *f = context;

    gate_raise(&f->closed);
}

static void
on_stream(struct http_request *req, struct http_response *resp, void *context)
{
    struct fixture *f = context;
    struct http_stream_config config = {
        .max_pending_bytes = f->max_pending, .on_close = on_close, .context = f};
    struct http_stream *stream = http_respond_stream(resp, &config);
    struct str last = http_request_header(req, "last-event-id");
    struct err err;

    if (last.ptr != NULL && http_stream_send(stream, STR("8"), STR("resumed"), last, &err) != ST_OK)
        abort();
    pthread_mutex_lock(&f->lock);
    f->streams[f->count++] = stream;
    pthread_mutex_unlock(&f->lock);
    gate_raise(&f->opened);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/stream", on_stream, HTTP_ROUTE_CORS, 0, NULL},
};

static int
start(void **state, size_t max_pending, unsigned heartbeat_ms)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct http_server_config config = {.listen = "127.0.0.1:0",
                                        .workers = 4,
                                        .max_connections = 2000,
                                        .heartbeat_ms = heartbeat_ms,
                                        .context = f};
    struct err err;

    *f = (struct fixture){.opened = TEST_GATE_INIT,
                          .closed = TEST_GATE_INIT,
                          .lock = PTHREAD_MUTEX_INITIALIZER,
                          .max_pending = max_pending};
    if (http_server_start(&config, routes, 1, &f->server, &err) != ST_OK)
        fail_msg("%s", err.detail);
    f->port = http_server_port(f->server);
    *state = f;
    return 0;
}

static int
set_up(void **state)
{
    return start(state, 0, 0);
}

static int
set_up_small(void **state)
{
    return start(state, 100000, 0);
}

static int
set_up_beating(void **state)
{
    return start(state, 0, 20);
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    http_server_stop(&f->server, 5000);
    assert_int_equal(gate_count(&f->closed), f->count); /* on_close exactly once for each */
    for (unsigned i = 0; i < f->count; i++)
        http_stream_unref(&f->streams[i]);
    free(f);
    return 0;
}

static int
open_stream(struct fixture *f, const char *more)
{
    int fd = raw_open(f->port);
    struct buf request;

    buf_init(&request, 4096);
    buf_printf(&request, "GET /stream HTTP/1.1\r\nHost: localhost\r\n%s\r\n", more);
    raw_send(fd, buf_str(&request));
    buf_deinit(&request);
    return fd;
}

static void
send_event(struct http_stream *stream, const char *id, const char *event, const char *data)
{
    struct err err;

    assert_int_equal(
        http_stream_send(stream, str_from_c(id), str_from_c(event), str_from_c(data), &err), ST_OK);
}

static void
test_format(void **state)
{
    struct fixture *f = *state;
    int fd = open_stream(f, "Last-Event-ID: 7\r\n");
    struct http_stream *stream;
    struct buf got;
    struct err err;

    buf_init(&got, 65536);
    gate_wait(&f->opened, 1);
    stream = f->streams[0];
    send_event(stream, "9", "token", "one\ntwo\r\nthree\rfour");
    send_event(stream, "", "", "");
    assert_int_equal(http_stream_send(stream, STR("a\nb"), STR_EMPTY, STR("x"), &err), ST_INVALID);
    assert_int_equal(http_stream_send(stream, STR_EMPTY, STR("a\rb"), STR("x"), &err), ST_INVALID);
    http_stream_close(stream);
    assert_int_equal(http_stream_send(stream, STR_EMPTY, STR_EMPTY, STR("x"), &err),
                     ST_UNAVAILABLE);
    assert_true(raw_read_until(fd, &got, STR("\r\n0\r\n\r\n"))); /* the end of the chunks */
    assert_true(contains(&got, "Content-Type: text/event-stream\r\n"));
    assert_true(contains(&got, "Access-Control-Allow-Origin: *\r\n"));
    assert_true(contains(&got, "X-Content-Type-Options: nosniff\r\n"));
    assert_true(contains(&got, "id: 8\nevent: resumed\ndata: 7\n\n"));
    assert_true(
        contains(&got, "id: 9\nevent: token\ndata: one\ndata: two\ndata: three\ndata: four\n\n"));
    assert_true(contains(&got, "data: \n\n"));
    gate_wait(&f->closed, 1);
    (void)close(fd);
    buf_deinit(&got);
}

static void
test_http_1_0(void **state)
{
    struct fixture *f = *state;
    int fd = raw_open(f->port);
    struct buf got;

    buf_init(&got, 65536);
    raw_send(fd, STR("GET /stream HTTP/1.0\r\n\r\n"));
    gate_wait(&f->opened, 1);
    send_event(f->streams[0], "1", "", "plain");
    http_stream_close(f->streams[0]);
    assert_false(raw_read_until(fd, &got, STR("never")));
    assert_true(str_ends_with(buf_str(&got), STR("\r\n\r\nid: 1\ndata: plain\n\n")));
    (void)close(fd);
    buf_deinit(&got);
}

struct collected {
    unsigned count;
    bool in_order;
};

static bool
count_event(const struct sse_event *event, void *context)
{
    struct collected *collected = context;
    int64_t number;

    if (!str_to_i64(event->data, &number) || number != (int64_t)collected->count)
        collected->in_order = false;
    collected->count++;
    return true;
}

static bool
parse_piece(struct str bytes, void *context)
{
    struct err err;

    return sse_parser_push(context, bytes, &err) == ST_OK;
}

#define EVENTS 20000

static void *
run_sender(void *arg)
{
    struct fixture *f = arg;

    gate_wait(&f->opened, 1);
    for (int i = 0; i < EVENTS; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%d", i);
        send_event(f->streams[0], text, "n", text);
    }
    http_stream_close(f->streams[0]);
    return NULL;
}

/* Every event arrives once and in order while sender and reader race. */
static void
test_order(void **state)
{
    struct fixture *f = *state;
    struct http_client *client = test_client(NULL);
    struct arena *arena = arena_create(1024 * 1024);
    struct collected collected = {.in_order = true};
    struct sse_parser parser;
    struct http_call call = {.method = "GET",
                             .deadline_ms = 60000,
                             .sink = parse_piece,
                             .sink_context = &parser,
                             .max_response_bytes = (size_t)64 * 1024 * 1024};
    struct http_reply reply;
    struct err err;
    pthread_t thread;

    f->max_pending = (size_t)16 * 1024 * 1024;
    sse_parser_init(&parser, 4096, count_event, &collected);
    assert_int_equal(pthread_create(&thread, NULL, run_sender, f), 0);
    call.url = arena_printf(arena, "http://127.0.0.1:%u/stream", f->port);
    assert_int_equal(http_client_call(client, &call, arena, &reply, &err), ST_OK);
    (void)pthread_join(thread, NULL);
    assert_int_equal(collected.count, EVENTS);
    assert_true(collected.in_order);
    sse_parser_deinit(&parser);
    arena_destroy(&arena);
    http_client_destroy(&client);
}

static void
test_heartbeat(void **state)
{
    struct fixture *f = *state;
    int fd = open_stream(f, "");
    struct buf got;

    buf_init(&got, 65536);
    for (int i = 0; i < 3; i++) {
        assert_true(raw_read_until(fd, &got, STR("\r\n:\n\n\r\n")));
        buf_clear(&got);
    }
    (void)close(fd);
    gate_wait(&f->closed, 1);
    buf_deinit(&got);
}

/* Noticed long before the next heartbeat (15 s) would fail. */
static void
test_disconnect_is_noticed(void **state)
{
    struct fixture *f = *state;
    int64_t began_us;
    int fd = open_stream(f, "");
    struct err err;

    gate_wait(&f->opened, 1);
    began_us = clock_mono_us(clock_system());
    (void)close(fd);
    gate_wait(&f->closed, 1);
    assert_true(clock_mono_us(clock_system()) - began_us < 10 * US_PER_S);
    assert_int_equal(http_stream_send(f->streams[0], STR_EMPTY, STR_EMPTY, STR("x"), &err),
                     ST_UNAVAILABLE);
    while (http_server_open_streams(f->server) != 0) /* falls just after on_close */
        assert_true(clock_mono_us(clock_system()) - began_us < TEST_WAIT_S * US_PER_S);
}

/* The reader never reads: the socket's buffers fill, then the stream's, then it is dropped. */
static void
test_slow_reader_is_dropped(void **state)
{
    struct fixture *f = *state;
    int fd = open_stream(f, "");
    char data[1000];
    enum status st = ST_OK;
    struct err err;

    memset(data, 'x', sizeof(data));
    gate_wait(&f->opened, 1);
    for (int i = 0; i < 1000000 && st == ST_OK; i++)
        st =
            http_stream_send(f->streams[0], STR_EMPTY, STR_EMPTY, str_of(data, sizeof(data)), &err);
    assert_int_equal(st, ST_TOO_LARGE);
    gate_wait(&f->closed, 1);
    assert_int_equal(http_stream_send(f->streams[0], STR_EMPTY, STR_EMPTY, STR("x"), &err),
                     ST_UNAVAILABLE);
    (void)close(fd);
}

/* A reader that does not read, with megabytes pending, costs no processor time meanwhile; what
 * "meanwhile" is, the heartbeats of a second stream tell. */
static void
test_waiting_reader_costs_nothing(void **state)
{
    struct fixture *f = *state;
    char data[1000];
    struct rusage before;
    struct rusage after;
    struct buf got;
    int64_t used_us;
    int fd;
    int other;

    memset(data, 'x', sizeof(data));
    data[sizeof(data) - 1] = '\0';
    buf_init(&got, (size_t)64 * 1024 * 1024);
    f->max_pending = (size_t)32 * 1024 * 1024;
    fd = open_stream(f, "");
    gate_wait(&f->opened, 1);
    other = open_stream(f, "");
    gate_wait(&f->opened, 2);
    for (int i = 0; i < 16000; i++)
        send_event(f->streams[0], "", "", data);
    assert_true(raw_read_until(other, &got, STR("\r\n:\n\n\r\n")));
    (void)getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < 15; i++) { /* 20 ms each */
        buf_clear(&got);
        assert_true(raw_read_until(other, &got, STR("\r\n:\n\n\r\n")));
    }
    (void)getrusage(RUSAGE_SELF, &after);
    used_us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * US_PER_S + after.ru_utime.tv_usec -
              before.ru_utime.tv_usec +
              (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * US_PER_S + after.ru_stime.tv_usec -
              before.ru_stime.tv_usec;
    assert_true(used_us < 150 * US_PER_MS);
    send_event(f->streams[0], "", "", "last");
    buf_clear(&got);
    assert_true(raw_read_until(fd, &got, STR("data: last\n\n")));
    (void)close(fd);
    (void)close(other);
    gate_wait(&f->closed, 2);
    buf_deinit(&got);
}

static void
test_many(void **state)
{
    struct fixture *f = *state;
    static int fds[MANY];
    struct buf got;

    buf_init(&got, 65536);
    for (int i = 0; i < MANY; i++)
        fds[i] = open_stream(f, "");
    gate_wait(&f->opened, MANY);
    for (int i = 0; i < MANY; i++)
        send_event(f->streams[i], "1", "hello", "there");
    for (int i = 0; i < MANY; i++) {
        buf_clear(&got);
        assert_true(raw_read_until(fds[i], &got, STR("id: 1\nevent: hello\ndata: there\n\n")));
    }
    assert_int_equal(http_server_open_streams(f->server), MANY);
    for (int i = 0; i < MANY; i += 2)
        (void)close(fds[i]);
    gate_wait(&f->closed, MANY / 2);
    for (int i = 1; i < MANY; i += 2)
        http_stream_close(f->streams[i]);
    for (int i = 1; i < MANY; i += 2) {
        buf_clear(&got);
        (void)close(fds[i]);
    }
    gate_wait(&f->closed, MANY);
    buf_deinit(&got);
}

static void
test_stop_tells_readers(void **state)
{
    struct fixture *f = *state;
    int fd = open_stream(f, "");
    struct buf got;

    buf_init(&got, 65536);
    gate_wait(&f->opened, 1);
    http_server_stop(&f->server, 5000);
    assert_true(raw_read_until(fd, &got, STR("event: reconnect\ndata: {}\n\n")));
    assert_true(raw_read_until(fd, &got, STR("0\r\n\r\n")));
    assert_int_equal(gate_count(&f->closed), 1);
    (void)close(fd);
    buf_deinit(&got);
}

struct racer {
    struct fixture *f;
    unsigned first;
};

static void *
run_racer(void *arg)
{
    struct racer *racer = arg;
    struct fixture *f = racer->f;
    struct err err;

    for (int round = 0; round < 200; round++) {
        for (unsigned i = racer->first; i < 50; i += 2) {
            enum status st =
                http_stream_send(f->streams[i], STR_EMPTY, STR_EMPTY, STR("race"), &err);

            if (st != ST_OK && st != ST_UNAVAILABLE)
                abort();
        }
    }
    return NULL;
}

/* Sends, closes and hang-ups of the same streams at the same time. */
static void
test_races(void **state)
{
    struct fixture *f = *state;
    struct racer racers[2] = {{f, 0}, {f, 1}};
    pthread_t threads[2];
    int fds[50];

    for (int i = 0; i < 50; i++)
        fds[i] = open_stream(f, "");
    gate_wait(&f->opened, 50);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_racer, &racers[i]), 0);
    for (int i = 0; i < 50; i++) {
        if (i % 3 == 0)
            http_stream_close(f->streams[i]);
        (void)close(fds[i]);
    }
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    gate_wait(&f->closed, 50);
}

#define WITH(set_up_function, test)                                                                \
    cmocka_unit_test_setup_teardown(test, set_up_function, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(set_up, test_format),
        WITH(set_up, test_http_1_0),
        WITH(set_up, test_order),
        WITH(set_up_beating, test_heartbeat),
        WITH(set_up, test_disconnect_is_noticed),
        WITH(set_up_small, test_slow_reader_is_dropped),
        WITH(set_up_beating, test_waiting_reader_costs_nothing),
        WITH(set_up, test_many),
        WITH(set_up, test_stop_tells_readers),
        WITH(set_up, test_races),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
