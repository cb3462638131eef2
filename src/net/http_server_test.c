/*
 * http_server_test.c - requests against a real server: refusals, answers, hand-over, stop
 */
#include "net/http_test_support.h"

struct fixture {
    struct http_server *server;
    unsigned port;
    struct buf got;
    struct test_gate entered; /* raised by /wait when it has begun */
    struct test_gate release; /* lets /wait go on */
    struct test_gate left;
    _Atomic unsigned observed;
    _Atomic int last_status;
};

static void
on_echo(struct http_request *req, struct http_response *resp, void *context)
{
    (void)context;
    http_respond(resp, 200, "text/plain", req->body);
}

static void
on_show(struct http_request *req, struct http_response *resp, void *context)
{
    struct str text = arena_printf(
        req->arena,
        "path=%.*s id=%.*s q=%.*s cookie=%.*s address=%.*s tls=%d query=%.*s trace=%.*s",
        STR_ARG(req->path), STR_ARG(http_request_param(req, "id")),
        STR_ARG(http_request_query(req, "q")), STR_ARG(http_request_cookie(req, "sid")),
        STR_ARG(req->client_address), req->is_tls, STR_ARG(http_request_query_text(req)),
        STR_ARG(req->trace_id));

    (void)context;
    if (http_request_query(req, "absent").ptr != NULL ||
        http_request_header(req, "x-absent").ptr != NULL ||
        http_request_cookie(req, "absent").ptr != NULL)
        text = STR("absent things were found");
    http_respond_header(resp, "X-First", STR("one"));
    http_respond(resp, 200, "text/plain", text);
    http_respond_header(resp, "X-Second", STR("two"));
    http_respond_header(resp, "X-Forged", STR("a\r\nX-Evil: b"));
}

static void
on_wait(struct http_request *req, struct http_response *resp, void *context)
{
    struct fixture *f = context;

    (void)req;
    gate_raise(&f->entered);
    gate_wait(&f->release, 1);
    http_respond(resp, 200, "text/plain", STR("waited"));
    gate_raise(&f->left);
}

static void
on_silent(struct http_request *req, struct http_response *resp, void *context)
{
    (void)req;
    (void)resp;
    (void)context;
}

static void
on_file(struct http_request *req, struct http_response *resp, void *context)
{
    struct err err;
    struct str name = http_request_query(req, "name");

    (void)context;
    if (http_respond_file(resp, "text/plain", arena_cstr(req->arena, name), &err) != ST_OK)
        http_respond(resp, 404, "text/plain", STR("no file"));
}

static void
on_large(struct http_request *req, struct http_response *resp, void *context)
{
    size_t size = (size_t)1024 * 1024;
    char *bytes = malloc(size);

    (void)req;
    (void)context;
    memset(bytes, 'x', size);
    http_respond(resp, 200, "text/plain", str_of(bytes, size));
    free(bytes);
}

static void
on_static(struct http_request *req, struct http_response *resp, void *context)
{
    (void)req;
    (void)context;
    http_respond_static(resp, 200, "text/plain", STR("for ever"));
}

static void
observe(const struct http_request *req, int status, double seconds, void *context)
{
    struct fixture *f = context;

    (void)req;
    if (seconds < 0)
        abort();
    atomic_store(&f->last_status, status);
    atomic_fetch_add(&f->observed, 1);
}

static const struct http_route routes[] = {
    {HTTP_POST, "/echo", on_echo, 0, 1000, NULL},
    {HTTP_PUT, "/echo", on_echo, 0, (size_t)4 * 1024 * 1024, NULL},
    {HTTP_GET, "/show/{id}", on_show, 0, 0, NULL},
    {HTTP_GET, "/wait", on_wait, 0, 0, NULL},
    {HTTP_GET, "/silent", on_silent, 0, 0, NULL},
    {HTTP_GET, "/file", on_file, 0, 0, NULL},
    {HTTP_GET, "/large", on_large, 0, 0, NULL},
    {HTTP_GET, "/static", on_static, 0, 0, NULL},
    {HTTP_POST, "/open", on_echo, HTTP_ROUTE_CORS, 10, NULL},
    {HTTP_DELETE, "/open", on_echo, 0, 0, NULL},
};

static int
set_up_with(void **state, unsigned epoll_threads)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct http_server_config config = {.listen = "127.0.0.1:0",
                                        .epoll_threads = epoll_threads,
                                        .workers = 2,
                                        .max_queued = 1,
                                        .max_connections = 1000,
                                        .idle_timeout_s = 30,
                                        .trusted_proxies = NULL,
                                        .observe = observe,
                                        .context = f};
    struct err err;

    *f = (struct fixture){
        .entered = TEST_GATE_INIT, .release = TEST_GATE_INIT, .left = TEST_GATE_INIT};
    buf_init(&f->got, (size_t)16 * 1024 * 1024);
    if (http_server_start(&config, routes, sizeof(routes) / sizeof(routes[0]), &f->server, &err) !=
        ST_OK)
        fail_msg("%s", err.detail);
    f->port = http_server_port(f->server);
    *state = f;
    return 0;
}

static int
set_up(void **state)
{
    return set_up_with(state, 2);
}

static int
set_up_one_thread(void **state)
{
    return set_up_with(state, 1);
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    http_server_stop(&f->server, 2000);
    assert_null(f->server);
    buf_deinit(&f->got);
    free(f);
    return 0;
}

#define HOST "Host: localhost\r\n"

static void
test_refusals(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        const char *request;
        int want;
        const char *text;
    } rows[] = {
        {"unknown path", "GET /no HTTP/1.1\r\n" HOST "\r\n", 404, "\"title\":\"Not Found\""},
        {"unknown path, body", "POST /no HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 404,
         ""},
        {"wrong method", "GET /echo HTTP/1.1\r\n" HOST "\r\n", 405, "Allow: POST, PUT\r\n"},
        {"unknown method", "BREW /echo HTTP/1.1\r\n" HOST "\r\n", 405, "Allow: POST, PUT\r\n"},
        {"unknown method and path", "BREW /no HTTP/1.1\r\n" HOST "\r\n", 404, ""},
        {"get allows head", "POST /static HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 405,
         "Allow: GET, HEAD\r\n"},
        {"length over limit", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n", 413,
         "\"status\":413"},
        {"length far over limit",
         "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 9000000000000000000\r\n\r\n", 413, ""},
        {"broken escape", "GET /show/%zz HTTP/1.1\r\n" HOST "\r\n", 400, "\"trace_id\":\""},
        {"NUL in path", "GET /show/a%00b HTTP/1.1\r\n" HOST "\r\n", 400, "problem+json"},
        {"cut escape", "GET /show/a%4 HTTP/1.1\r\n" HOST "\r\n", 400, ""},
        {"broken escape in query", "GET /show/a?q=%g0 HTTP/1.1\r\n" HOST "\r\n", 400, ""},
        {"NUL in query", "GET /show/a?q=%00 HTTP/1.1\r\n" HOST "\r\n", 400, ""},
        {"broken escape in a query's name", "GET /show/a?%q=1 HTTP/1.1\r\n" HOST "\r\n", 400, ""},
        {"no answer", "GET /silent HTTP/1.1\r\n" HOST "\r\n", 500, "problem+json"},
        {"options without CORS", "OPTIONS /echo HTTP/1.1\r\n" HOST "\r\n", 405, ""},
        {"CORS refusal is readable", "POST /open HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n",
         413, "Access-Control-Allow-Origin: *\r\n"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int status;

        buf_clear(&f->got);
        status = raw_exchange(f->port, str_from_c(rows[i].request), &f->got);
        if (status != rows[i].want || !contains(&f->got, rows[i].text))
            fail_msg("%s: %d\n%.*s", rows[i].name, status, STR_ARG(buf_str(&f->got)));
        assert_true(contains(&f->got, "X-Content-Type-Options: nosniff"));
        assert_int_equal(atomic_load(&f->last_status), rows[i].want);
    }
    assert_int_equal(atomic_load(&f->observed), sizeof(rows) / sizeof(rows[0]));
}

static void
test_header_limits(void **state)
{
    struct fixture *f = *state;
    struct buf request;

    buf_init(&request, 65536);
    buf_append_c(&request, "GET /static HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 70; i++)
        buf_printf(&request, "X-%d: y\r\n", i);
    buf_append_c(&request, "\r\n");
    assert_int_equal(raw_exchange(f->port, buf_str(&request), &f->got), 431);
    assert_true(contains(&f->got, "application/problem+json"));

    buf_clear(&request);
    buf_clear(&f->got);
    buf_append_c(&request, "GET /static HTTP/1.1\r\n" HOST "X-Long: ");
    for (int i = 0; i < 6200; i++)
        buf_append_byte(&request, 'a');
    buf_append_c(&request, "\r\n\r\n");
    assert_int_equal(raw_exchange(f->port, buf_str(&request), &f->got), 431);
    assert_true(contains(&f->got, "application/problem+json"));

    /* Beyond the connection's pool the library answers by itself. */
    buf_clear(&request);
    buf_clear(&f->got);
    buf_append_c(&request, "GET /static HTTP/1.1\r\n" HOST "X-Long: ");
    for (int i = 0; i < 20000; i++)
        buf_append_byte(&request, 'a');
    buf_append_c(&request, "\r\n\r\n");
    assert_int_equal(raw_exchange(f->port, buf_str(&request), &f->got), 431);
    buf_deinit(&request);
}

static void
test_request_view(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        raw_exchange(f->port,
                     STR("GET /show/a%2Fb?x=1&q=caf%C3%A9+ol%C3%A9&q=second HTTP/1.1\r\n" HOST
                         "Cookie: a=b; sid=\"s1\"; sid=s2\r\nX-Forwarded-For: 1.2.3.4\r\n"
                         "X-Forwarded-Proto: https\r\n"
                         "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
                         "\r\n"),
                     &f->got),
        200);
    assert_true(contains(&f->got, "path=/show/a/b id=a/b q=caf\xC3\xA9 ol\xC3\xA9 cookie=s1 "
                                  "address=127.0.0.1 tls=0 "
                                  "query=x=1&q=caf%C3%A9+ol%C3%A9&q=second "
                                  "trace=0af7651916cd43dd8448eb211c80319c"));
    assert_true(contains(&f->got, "X-First: one\r\n"));
    assert_true(contains(&f->got, "X-Second: two\r\n"));
    assert_false(contains(&f->got, "X-Evil"));
    assert_false(contains(&f->got, "X-Forged"));
}

static void
test_traceparent(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *value;
        bool want;
    } rows[] = {
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true},
        {"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", true},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", false},
        {"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
        {"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
        {"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
        {"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01", false},
        {"00-0af7651916cd43dd8448eb211c80319c", false},
        {"", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf request;
        ptrdiff_t at;

        buf_init(&request, 4096);
        buf_clear(&f->got);
        buf_printf(&request, "GET /show/1 HTTP/1.1\r\n" HOST "traceparent: %s\r\n\r\n",
                   rows[i].value);
        assert_int_equal(raw_exchange(f->port, buf_str(&request), &f->got), 200);
        if (contains(&f->got, "trace=0af7651916cd43dd8448eb211c80319c") != rows[i].want)
            fail_msg("%s", rows[i].value);
        at = str_find(buf_str(&f->got), STR("trace="));
        assert_int_equal(f->got.len - (size_t)at - 6, 32);
        buf_deinit(&request);
    }
}

static void
test_cors(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        raw_exchange(f->port,
                     STR("OPTIONS /open HTTP/1.1\r\n" HOST "Origin: https://a.example\r\n"
                         "Access-Control-Request-Method: POST\r\n\r\n"),
                     &f->got),
        204);
    assert_true(contains(&f->got, "Access-Control-Allow-Origin: *\r\n"));
    assert_true(contains(&f->got, "Access-Control-Allow-Methods: POST\r\n"));
    assert_true(contains(&f->got, "Access-Control-Allow-Headers: authorization, content-type, "
                                  "last-event-id, idempotency-key\r\n"));
    buf_clear(&f->got);
    assert_int_equal(raw_exchange(f->port,
                                  STR("POST /open HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nok"),
                                  &f->got),
                     200);
    assert_true(contains(&f->got, "Access-Control-Allow-Origin: *\r\n"));
    buf_clear(&f->got);
    assert_int_equal(raw_exchange(f->port, STR("DELETE /open HTTP/1.1\r\n" HOST "\r\n"), &f->got),
                     200);
    assert_false(contains(&f->got, "Access-Control-Allow-Origin"));
}

static void
test_head(void **state)
{
    struct fixture *f = *state;
    int fd = raw_open(f->port);

    raw_send(fd, STR("HEAD /static HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
    assert_false(raw_read_until(fd, &f->got, STR("for ever")));
    assert_true(contains(&f->got, "HTTP/1.1 200 OK\r\n"));
    assert_true(contains(&f->got, "Content-Length: 8\r\n"));
    (void)close(fd);
}

static void
test_keep_alive_and_pipelining(void **state)
{
    struct fixture *f = *state;
    int fd = raw_open(f->port);
    struct str answer;

    for (int i = 0; i < 50; i++) {
        raw_send(fd, STR("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nfirst"
                         "GET /no HTTP/1.1\r\n" HOST "\r\n"
                         "POST /echo HTTP/1.1\r\n" HOST
                         "Transfer-Encoding: chunked\r\n\r\n3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n"));
        assert_int_equal(raw_answer(fd, &f->got, &answer), 200);
        assert_true(str_ends_with(answer, STR("\r\n\r\nfirst")));
        buf_consume(&f->got, answer.len);
        assert_int_equal(raw_answer(fd, &f->got, &answer), 404);
        buf_consume(&f->got, answer.len);
        assert_int_equal(raw_answer(fd, &f->got, &answer), 200);
        assert_true(str_ends_with(answer, STR("\r\n\r\nsecond")));
        buf_consume(&f->got, answer.len);
        assert_int_equal(f->got.len, 0);
    }
    (void)close(fd);
}

static void
test_slow_body(void **state)
{
    struct fixture *f = *state;
    struct str request = STR("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n0123456789");
    int fd = raw_open(f->port);
    struct str answer;
    int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
    for (size_t i = 0; i < request.len; i++)
        raw_send(fd, str_sub(request, i, 1));
    assert_int_equal(raw_answer(fd, &f->got, &answer), 200);
    assert_true(str_ends_with(answer, STR("\r\n\r\n0123456789")));
    (void)close(fd);
}

static void
test_chunked_over_limit(void **state)
{
    struct fixture *f = *state;
    struct buf request;

    buf_init(&request, 65536);
    buf_append_c(&request, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 11; i++) {
        buf_append_c(&request, "64\r\n");
        for (int n = 0; n < 100; n++)
            buf_append_byte(&request, 'x');
        buf_append_c(&request, "\r\n");
    }
    buf_append_c(&request, "0\r\n\r\n");
    assert_int_equal(raw_exchange(f->port, buf_str(&request), &f->got), 413);
    assert_true(contains(&f->got, "problem+json"));
    buf_deinit(&request);
}

static void
test_expect_continue(void **state)
{
    struct fixture *f = *state;
    int fd = raw_open(f->port);
    struct str answer;

    raw_send(fd, STR("POST /echo HTTP/1.1\r\n" HOST
                     "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n"));
    assert_int_equal(raw_answer(fd, &f->got, &answer), 413);
    (void)close(fd);
    buf_clear(&f->got);
    fd = raw_open(f->port);
    raw_send(fd, STR("POST /echo HTTP/1.1\r\n" HOST
                     "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"));
    assert_int_equal(raw_answer(fd, &f->got, &answer), 100);
    buf_consume(&f->got, answer.len);
    raw_send(fd, STR("ok"));
    assert_int_equal(raw_answer(fd, &f->got, &answer), 200);
    (void)close(fd);
}

static void
test_large_bodies(void **state)
{
    struct fixture *f = *state;
    size_t size = (size_t)4 * 1024 * 1024;
    char *bytes = malloc(size);
    struct http_client *client = test_client(NULL);
    struct arena *arena = arena_create((size_t)64 * 1024 * 1024);
    struct http_call call = {.method = "PUT", .deadline_ms = 20000, .max_response_bytes = size};
    struct http_reply reply;
    struct err err;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 31 / 7);
    call.url = arena_printf(arena, "http://127.0.0.1:%u/echo", f->port);
    call.body = str_of(bytes, size);
    assert_int_equal(http_client_call(client, &call, arena, &reply, &err), ST_OK);
    assert_int_equal(reply.status, 200);
    assert_true(str_eq(reply.body, call.body));
    call = (struct http_call){.method = "GET", .deadline_ms = 20000};
    call.url = arena_printf(arena, "http://127.0.0.1:%u/large", f->port);
    assert_int_equal(http_client_call(client, &call, arena, &reply, &err), ST_OK);
    assert_int_equal(reply.body.len, 1024 * 1024);
    arena_destroy(&arena);
    http_client_destroy(&client);
    free(bytes);
}

static void
test_files(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {0, 10, 3 * 1024 * 1024};
    char path[] = "/tmp/parley-net-test-XXXXXX";
    int fd = mkstemp(path);
    struct http_client *client = test_client(NULL);
    struct arena *arena = arena_create((size_t)64 * 1024 * 1024);
    struct http_call call = {.method = "GET", .deadline_ms = 20000};
    struct http_reply reply;
    struct err err;

    assert_true(fd >= 0);
    call.url = arena_printf(arena, "http://127.0.0.1:%u/file?name=%s", f->port, path);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(ftruncate(fd, (off_t)sizes[i]), 0);
        assert_int_equal(http_client_call(client, &call, arena, &reply, &err), ST_OK);
        assert_int_equal(reply.status, 200);
        assert_int_equal(reply.body.len, sizes[i]);
    }
    (void)close(fd);
    (void)unlink(path);
    assert_int_equal(http_client_call(client, &call, arena, &reply, &err), ST_OK);
    assert_int_equal(reply.status, 404);
    call.url = arena_printf(arena, "http://127.0.0.1:%u/file?name=/tmp", f->port);
    assert_int_equal(http_client_call(client, &call, arena, &reply, &err), ST_OK);
    assert_int_equal(reply.status, 404);
    arena_destroy(&arena);
    http_client_destroy(&client);
}

/* Two workers wait, one request is queued: the fourth is told to come back. */
static void
test_busy(void **state)
{
    struct fixture *f = *state;
    int fds[3];
    struct str answer;

    for (int i = 0; i < 2; i++) {
        fds[i] = raw_open(f->port);
        raw_send(fds[i], STR("GET /wait HTTP/1.1\r\n" HOST "\r\n"));
    }
    gate_wait(&f->entered, 2);
    fds[2] = raw_open(f->port);
    raw_send(fds[2], STR("GET /wait HTTP/1.1\r\n" HOST "\r\n"));
    /* One epoll thread reads in order: once this is answered, the third request is in the queue.
     * Refusals need no worker. */
    assert_int_equal(raw_exchange(f->port, STR("GET /nope HTTP/1.1\r\n" HOST "\r\n"), &f->got),
                     404);
    buf_clear(&f->got);
    assert_int_equal(raw_exchange(f->port, STR("GET /static HTTP/1.1\r\n" HOST "\r\n"), &f->got),
                     503);
    assert_true(contains(&f->got, "Retry-After: 1\r\n"));
    assert_true(contains(&f->got, "problem+json"));
    gate_raise(&f->release);
    for (int i = 0; i < 3; i++) {
        buf_clear(&f->got);
        assert_int_equal(raw_answer(fds[i], &f->got, &answer), 200);
        (void)close(fds[i]);
    }
}

/* A client that leaves while its handler runs harms nobody. */
static void
test_client_leaves(void **state)
{
    struct fixture *f = *state;
    int fd = raw_open(f->port);

    raw_send(fd, STR("GET /wait HTTP/1.1\r\n" HOST "\r\n"));
    gate_wait(&f->entered, 1);
    (void)close(fd);
    gate_raise(&f->release);
    gate_wait(&f->left, 1);
    assert_int_equal(raw_exchange(f->port, STR("GET /static HTTP/1.1\r\n" HOST "\r\n"), &f->got),
                     200);
}

struct stopper {
    struct fixture *f;
    int64_t deadline_ms;
    struct test_gate stopped;
};

static void *
run_stop(void *arg)
{
    struct stopper *stopper = arg;

    http_server_stop(&stopper->f->server, stopper->deadline_ms);
    gate_raise(&stopper->stopped);
    return NULL;
}

/* The running request is answered, a new one on an open connection is not handled, nobody connects.
 */
static void
test_stop_while_running(void **state)
{
    struct fixture *f = *state;
    struct stopper stopper = {.f = f, .deadline_ms = 10000, .stopped = TEST_GATE_INIT};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)f->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = raw_open(f->port);
    struct str answer;
    pthread_t thread;
    int refused;

    raw_send(fd, STR("GET /wait HTTP/1.1\r\n" HOST "\r\n"));
    gate_wait(&f->entered, 1);
    assert_int_equal(pthread_create(&thread, NULL, run_stop, &stopper), 0);
    do { /* until the listener is closed */
        refused = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(refused, (const struct sockaddr *)&address, sizeof(address)) != 0)
            break;
        (void)close(refused);
    } while (true);
    (void)close(refused);
    assert_int_equal(gate_count(&stopper.stopped), 0);
    gate_raise(&f->release);
    assert_int_equal(raw_answer(fd, &f->got, &answer), 200);
    assert_true(str_ends_with(answer, STR("waited")));
    assert_true(contains(&f->got, "Connection: close\r\n"));
    (void)close(fd);
    gate_wait(&stopper.stopped, 1);
    (void)pthread_join(thread, NULL);
}

static void
test_forwarded(void **state)
{
    static const struct {
        const char *forwarded;
        const char *want;
    } rows[] = {
        {"9.9.9.9", "9.9.9.9"},
        {"1.1.1.1, 9.9.9.9", "9.9.9.9"},
        {"9.9.9.9, 10.0.0.7", "9.9.9.9"},
        {"9.9.9.9,10.0.0.7 , 10.0.0.8", "9.9.9.9"},
        {"2001:db8::7", "2001:db8::7"},
        {"nonsense", "127.0.0.1"},
        {"9.9.9.9, nonsense", "127.0.0.1"},
        {"9.9.9.9, nonsense, 10.0.0.8", "10.0.0.8"},
        {"", "127.0.0.1"},
    };
    struct http_server_config config = {.listen = "127.0.0.1:0",
                                        .workers = 1,
                                        .max_connections_per_address = 1,
                                        .trusted_proxies = "127.0.0.0/8, 10.0.0.0/8"};
    struct http_server *server;
    struct err err;

    (void)state;
    assert_int_equal(
        http_server_start(&config, routes, sizeof(routes) / sizeof(routes[0]), &server, &err),
        ST_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf text;
        struct buf got;

        buf_init(&text, 4096);
        buf_init(&got, 4096);
        buf_printf(&text,
                   "GET /show/1 HTTP/1.1\r\n" HOST
                   "X-Forwarded-For: %s\r\nX-Forwarded-Proto: https\r\n\r\n",
                   rows[i].forwarded);
        assert_int_equal(raw_exchange(http_server_port(server), buf_str(&text), &got), 200);
        buf_clear(&text);
        buf_printf(&text, "address=%s tls=1", rows[i].want);
        if (str_find(buf_str(&got), buf_str(&text)) < 0)
            fail_msg("%s: %.*s", rows[i].forwarded, STR_ARG(buf_str(&got)));
        buf_deinit(&text);
        buf_deinit(&got);
    }
    http_server_stop(&server, 1000);
}

static void
test_start_failures(void **state)
{
    static const struct {
        struct http_server_config config;
        enum status want;
    } rows[] = {
        {{.listen = "127.0.0.1"}, ST_INVALID},
        {{.listen = "127.0.0.1:70000"}, ST_INVALID},
        {{.listen = "localhost:80"}, ST_INVALID},
        {{.listen = NULL}, ST_INVALID},
        {{.listen = "192.0.2.1:0"}, ST_UNAVAILABLE},
        {{.listen = "127.0.0.1:0", .trusted_proxies = "x"}, ST_INVALID},
        {{.listen = "127.0.0.1:0", .tls_key_file = "/nonexistent"}, ST_INVALID},
        {{.listen = "127.0.0.1:0",
          .tls_key_file = "/nonexistent",
          .tls_certificate_file = "/nonexistent"},
         ST_INVALID},
    };
    struct http_server *server;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum status st = http_server_start(&rows[i].config, routes, 1, &server, &err);

        if (st != rows[i].want)
            fail_msg("row %zu: %s", i, status_name(st));
        assert_null(server);
    }
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_refusals),
        WITH_SERVER(test_header_limits),
        WITH_SERVER(test_request_view),
        WITH_SERVER(test_traceparent),
        WITH_SERVER(test_cors),
        WITH_SERVER(test_head),
        WITH_SERVER(test_keep_alive_and_pipelining),
        WITH_SERVER(test_slow_body),
        WITH_SERVER(test_chunked_over_limit),
        WITH_SERVER(test_expect_continue),
        WITH_SERVER(test_large_bodies),
        WITH_SERVER(test_files),
        cmocka_unit_test_setup_teardown(test_busy, set_up_one_thread, tear_down),
        WITH_SERVER(test_client_leaves),
        WITH_SERVER(test_stop_while_running),
        cmocka_unit_test(test_forwarded),
        cmocka_unit_test(test_start_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
