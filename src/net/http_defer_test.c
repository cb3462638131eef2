/*
 * http_defer_test.c - handlers on the epoll thread, and answers that come after the handler
 */
#include "net/http_test_support.h"

#define HOST "Host: test\r\n"

struct fixture {
    struct http_server *server;
    unsigned port;
    struct buf got;
    struct test_gate entered;       /* raised when an answer is deferred until later */
    struct test_gate ended;         /* by every request */
    struct http_response *deferred; /* set before entered is raised */
};

static void
on_end(void *context)
{
    gate_raise(&((struct fixture *)context)->ended);
}

/* ?how= worker: asks for one; now: answers at once; done: finished before it returns; later: when
 * the test does. */
static void
on_inline(struct http_request *req, struct http_response *resp, void *context)
{
    struct fixture *f = context;
    struct str how = http_request_query(req, "how");
    bool is_worker = str_eq_c(how, "worker");

    if (is_worker && !req->may_block) {
        http_need_worker(resp);
        return;
    }
    http_request_on_end(req, on_end, f);
    if (str_eq_c(how, "done") || str_eq_c(how, "later"))
        http_defer(resp);
    if (str_eq_c(how, "later")) {
        f->deferred = resp;
        gate_raise(&f->entered);
        return;
    }
    http_respond(resp, 200, "text/plain", req->may_block ? STR("on a worker") : STR("at once"));
    if (str_eq_c(how, "done"))
        http_finish(resp);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/inline", on_inline, HTTP_ROUTE_INLINE, 0, NULL},
    {HTTP_GET, "/defer", on_inline, 0, 0, NULL},
};

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct http_server_config config = {.listen = "127.0.0.1:0", .workers = 2, .context = f};
    struct err err;

    pthread_mutex_init(&f->entered.lock, NULL);
    pthread_cond_init(&f->entered.changed, NULL);
    pthread_mutex_init(&f->ended.lock, NULL);
    pthread_cond_init(&f->ended.changed, NULL);
    buf_init(&f->got, 65536);
    assert_int_equal(
        http_server_start(&config, routes, sizeof(routes) / sizeof(routes[0]), &f->server, &err),
        ST_OK);
    f->port = http_server_port(f->server);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    http_server_stop(&f->server, 5000);
    buf_deinit(&f->got);
    free(f);
    return 0;
}

static void
expect_inline(struct fixture *f, int fd, const char *how, const char *want)
{
    char request[128];
    struct str answer;

    (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST "\r\n", how);
    raw_send(fd, str_from_c(request));
    assert_int_equal(raw_answer(fd, &f->got, &answer), 200);
    assert_true(str_ends_with(answer, str_from_c(want)));
    buf_clear(&f->got);
}

/* All on one connection, so that what a request leaves behind would show. */
static void
test_inline(void **state)
{
    struct fixture *f = *state;
    int fd = raw_open(f->port);

    for (int i = 0; i < 3; i++) {
        expect_inline(f, fd, "/inline?how=now", "at once");
        expect_inline(f, fd, "/inline?how=worker", "on a worker");
        expect_inline(f, fd, "/inline?how=done", "at once");
        expect_inline(f, fd, "/defer?how=done", "on a worker");
    }
    gate_wait(&f->ended, 12);
    (void)close(fd);
}

/* Answers come when the test gives them, also to a client that has left; the server waits for that
 * before it stops. */
static void
test_deferred(void **state)
{
    static const char *const paths[] = {"/inline?how=later", "/defer?how=later"};
    struct fixture *f = *state;
    unsigned entered = 0;

    for (size_t i = 0; i < 2; i++) {
        for (int leaves = 0; leaves < 2; leaves++) {
            int fd = raw_open(f->port);
            char request[128];
            struct str answer;

            (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST "\r\n", paths[i]);
            raw_send(fd, str_from_c(request));
            gate_wait(&f->entered, ++entered);
            if (leaves)
                (void)close(fd);
            http_respond(f->deferred, 200, "text/plain", STR("finally"));
            http_finish(f->deferred);
            if (leaves)
                continue;
            assert_int_equal(raw_answer(fd, &f->got, &answer), 200);
            assert_true(str_ends_with(answer, STR("finally")));
            buf_clear(&f->got);
            (void)close(fd);
        }
    }
}

/* A stopping server waits for answers that are still owed. */
struct stopper {
    struct fixture *f;
    struct test_gate stopped;
};

static void *
run_stop(void *arg)
{
    struct stopper *stopper = arg;

    http_server_stop(&stopper->f->server, 10000);
    gate_raise(&stopper->stopped);
    return NULL;
}

static void
test_stop_while_deferred(void **state)
{
    struct fixture *f = *state;
    struct stopper stopper = {.f = f, .stopped = TEST_GATE_INIT};
    int fd = raw_open(f->port);
    struct str answer;
    pthread_t thread;

    raw_send(fd, STR("GET /inline?how=later HTTP/1.1\r\n" HOST "\r\n"));
    gate_wait(&f->entered, 1);
    assert_int_equal(pthread_create(&thread, NULL, run_stop, &stopper), 0);
    assert_int_equal(gate_count(&stopper.stopped), 0);
    http_respond(f->deferred, 200, "text/plain", STR("finally"));
    http_finish(f->deferred);
    assert_int_equal(raw_answer(fd, &f->got, &answer), 200);
    gate_wait(&stopper.stopped, 1);
    (void)pthread_join(thread, NULL);
    (void)close(fd);
}

int
main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test_setup_teardown(test_inline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deferred, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop_while_deferred, set_up, tear_down),
    };

    return cmocka_run_group_tests(all, NULL, NULL);
}
