/*
 * api_watch_test.c - a live topic as an event stream: order, resume, ends from either side at once
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "api/api_watch.h"
#include "base/thread.h"
#include "conversation/conversation_test_support.h"
#include "net/http_client.h"

#define DEADLINE_MS 20000
#define WATCHERS 6
#define ROUNDS 15
#define TEXT_BYTES 8192

struct tower {
    struct talk talk;
    struct live_hub *live;
    struct api *api;
    struct http_server *server;
    struct http_client *client;
    _Atomic bool stop;
    _Atomic unsigned asked, watching; /* handlers that have begun; that have subscribed */
    bool refuse_first;
};

static const char *const ends[] = {"done", NULL};

static enum status
say_first(struct api_call *call, void *arg, struct api_watch_first *first_out, struct err *err)
{
    const struct tower *tower = arg;

    (void)call;
    if (tower->refuse_first)
        return err_set(err, ST_NOT_FOUND, "no such thing");
    *first_out = (struct api_watch_first){STR("state"), STR("{\"n\":0}")};
    return ST_OK;
}

static void
watch(struct http_request *req, struct http_response *resp, void *context)
{
    struct tower *tower = context;
    const struct api_config config = {.live = tower->live};
    struct api_call call = {.api = tower->api,
                            .config = &config,
                            .req = req,
                            .resp = resp,
                            .arena = req->arena,
                            .scope = tower->talk.bed.scopes[0]};
    struct err err;

    tower->asked++;
    ASSERT_OK(api_watch_topic(&call, STR("topic"), say_first, tower, ends, "n", &err), &err);
    tower->watching++;
}

static const struct http_route routes[] = {
    {.method = HTTP_GET, .pattern = "/watch", .handler = watch}};

static int
set_up(void **state)
{
    struct tower *tower = calloc(1, sizeof(*tower));
    const struct live_config live = {.clock = clock_system(),
                                     .max_topics = 10,
                                     .events_per_topic = 100,
                                     .max_bytes = (size_t)1024 * 1024,
                                     .keep_us = 600 * US_PER_S};
    const struct http_client_config client = {.allow_private_addresses = true};
    struct http_server_config server = {.listen = "127.0.0.1:0",
                                        .workers = 4,
                                        .max_queued = 100,
                                        .max_connections = 100,
                                        .idle_timeout_s = 30,
                                        .context = tower};
    struct api_config config = {.clock = clock_system()};
    struct err *err;

    assert_non_null(tower);
    err = &tower->talk.err;
    talk_open(&tower->talk, "fake", "{}", clock_system());
    ASSERT_OK(live_hub_create(&live, &tower->live, err), err);
    ASSERT_OK(api_open(&config, &tower->api, err), err);
    ASSERT_OK(http_client_create(&client, &tower->client, err), err);
    ASSERT_OK(http_server_start(&server, routes, 1, &tower->server, err), err);
    *state = tower;
    return 0;
}

static int
tear_down(void **state)
{
    struct tower *tower = *state;
    unsigned left;

    http_server_stop(&tower->server, 1000);
    api_close(&tower->api);
    left = live_subscriber_count(tower->live);
    http_client_destroy(&tower->client);
    live_hub_destroy(&tower->live);
    talk_close(&tower->talk);
    free(tower);
    return left == 0 ? 0 : -1; /* nobody who left is still subscribed */
}

static void
publish(struct tower *tower, const char *type, const char *data)
{
    live_publish(tower->live, tower->talk.bed.scopes[0], STR("topic"), str_from_c(type),
                 str_from_c(data));
}

/* What one reader got; it goes when it has seen enough. */
struct reader {
    struct tower *tower;
    char text[TEXT_BYTES];
    size_t len;
    const char *until; /* NULL: until the stream ends */
    enum status outcome;
    pthread_t thread;
    char last_id[64];
};

static bool
take_bytes(struct str bytes, void *context)
{
    struct reader *reader = context;
    size_t room = sizeof(reader->text) - 1 - reader->len;

    if (bytes.len > room)
        return false;
    memcpy(reader->text + reader->len, bytes.ptr, bytes.len);
    reader->len += bytes.len;
    reader->text[reader->len] = '\0';
    return reader->until == NULL || strstr(reader->text, reader->until) == NULL;
}

static void
read_stream(struct reader *reader)
{
    struct arena *arena = arena_create((size_t)1024 * 1024);
    const struct http_header header = {"Last-Event-ID", str_from_c(reader->last_id)};
    const struct http_call call = {.method = "GET",
                                   .url = arena_printf(arena, "http://127.0.0.1:%u/watch",
                                                       http_server_port(reader->tower->server)),
                                   .headers = &header,
                                   .header_count = reader->last_id[0] == '\0' ? 0 : 1,
                                   .deadline_ms = DEADLINE_MS,
                                   .sink = take_bytes,
                                   .sink_context = reader};
    struct http_reply reply;
    struct err err;

    reader->len = 0;
    reader->text[0] = '\0';
    reader->outcome = http_client_call(reader->tower->client, &call, arena, &reply, &err);
    arena_destroy(&arena);
}

static void *
read_in_thread(void *arg)
{
    read_stream(arg);
    return NULL;
}

static void
start_reader(struct tower *tower, struct reader *reader, const char *until)
{
    unsigned before = tower->watching;
    struct err err;

    *reader = (struct reader){.tower = tower, .until = until};
    ASSERT_OK(thread_start("reader", read_in_thread, reader, &reader->thread, &err), &err);
    while (tower->watching == before)
        sched_yield();
}

static void
events_follow_the_first(void **state)
{
    struct tower *tower = *state;
    struct reader reader;
    const char *at;

    start_reader(tower, &reader, NULL);
    publish(tower, "step", "{\"n\":1}");
    publish(tower, "step", "{\"n\":2}");
    publish(tower, "step", "{\"n\":1.5}"); /* of before: it came late */
    publish(tower, "done", "{\"n\":3}");
    publish(tower, "step", "{\"n\":4}"); /* after the end: nobody hears it */
    assert_int_equal(pthread_join(reader.thread, NULL), 0);
    assert_int_equal(reader.outcome, ST_OK);
    at = strstr(reader.text, "{\"n\":0}");
    assert_non_null(at);
    at = strstr(at, "{\"n\":1}");
    assert_non_null(at);
    at = strstr(at, "{\"n\":2}");
    assert_non_null(at);
    at = strstr(at, "event: done");
    assert_non_null(at);
    assert_null(strstr(reader.text, "{\"n\":4}"));
    assert_null(strstr(reader.text, "{\"n\":1.5}"));
}

static void
reader_goes_on_where_it_was(void **state)
{
    struct tower *tower = *state;
    struct reader reader;
    const char *id, *end;

    start_reader(tower, &reader, "{\"n\":1}\n\n");
    publish(tower, "step", "{\"n\":1}");
    assert_int_equal(pthread_join(reader.thread, NULL), 0);
    id = strstr(reader.text, "id: ");
    assert_non_null(id);
    end = strchr(id, '\n');
    assert_non_null(end);
    assert_true((size_t)(end - id) - 4 < sizeof(reader.last_id));
    memcpy(reader.last_id, id + 4, (size_t)(end - id) - 4);
    publish(tower, "step", "{\"n\":2}"); /* while it was away */
    publish(tower, "done", "{\"n\":3}");
    reader.until = NULL;
    read_stream(&reader);
    assert_int_equal(reader.outcome, ST_OK);
    assert_null(strstr(reader.text, "{\"n\":1}"));
    assert_non_null(strstr(reader.text, "{\"n\":2}"));
    assert_non_null(strstr(reader.text, "{\"n\":3}"));
}

/* The end may have been missed: who asks again is told how it stands. */
static void
reset_ends_the_stream(void **state)
{
    struct tower *tower = *state;
    struct reader reader;

    start_reader(tower, &reader, NULL);
    publish(tower, "step", "{\"n\":1}");
    publish(tower, "reset", "{}");
    publish(tower, "done", "{\"n\":2}");
    assert_int_equal(pthread_join(reader.thread, NULL), 0);
    assert_int_equal(reader.outcome, ST_OK);
    assert_non_null(strstr(reader.text, "event: reset"));
    assert_null(strstr(reader.text, "{\"n\":2}"));
    (void)snprintf(reader.last_id, sizeof(reader.last_id), "of-another-hub-1");
    reader.until = "{\"n\":0}";
    read_stream(&reader);
    assert_int_equal(reader.outcome, ST_OK);
    assert_non_null(strstr(reader.text, "event: reset"));
    assert_non_null(strstr(reader.text, "{\"n\":0}"));
}

static void
failure_ends_the_stream_with_a_word(void **state)
{
    struct tower *tower = *state;
    struct reader reader = {.tower = tower};

    tower->refuse_first = true;
    read_stream(&reader);
    assert_int_equal(reader.outcome, ST_OK);
    assert_non_null(strstr(reader.text, "event: error"));
    assert_non_null(strstr(reader.text, "not_found"));
}

static void *
publish_in_thread(void *arg)
{
    struct tower *tower = arg;

    for (unsigned i = 0; !tower->stop; i++) {
        publish(tower, i % 16 == 15 ? "done" : "step", "{\"n\":1}");
        sched_yield();
    }
    return NULL;
}

static void *
come_and_go(void *arg)
{
    struct reader *reader = arg;

    for (int i = 0; i < ROUNDS; i++) {
        reader->until = i % 3 == 0 ? NULL : "event: step";
        read_stream(reader);
        if (reader->outcome != ST_OK)
            break;
    }
    return NULL;
}

/* Streams end by their last event and by their readers, while events are on the way. */
static void
both_sides_end_at_once(void **state)
{
    struct tower *tower = *state;
    struct reader *readers = calloc(WATCHERS, sizeof(*readers));
    pthread_t publisher;
    struct err err;

    assert_non_null(readers);
    ASSERT_OK(thread_start("publisher", publish_in_thread, tower, &publisher, &err), &err);
    for (size_t i = 0; i < WATCHERS; i++) {
        readers[i].tower = tower;
        ASSERT_OK(thread_start("reader", come_and_go, &readers[i], &readers[i].thread, &err), &err);
    }
    for (size_t i = 0; i < WATCHERS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_int_equal(readers[i].outcome, ST_OK);
    }
    tower->stop = true;
    assert_int_equal(pthread_join(publisher, NULL), 0);
    assert_int_equal(tower->asked, WATCHERS * ROUNDS);
    free(readers);
}

static void
server_may_stop_while_readers_watch(void **state)
{
    struct tower *tower = *state;
    struct reader reader;

    start_reader(tower, &reader, NULL);
    publish(tower, "step", "{\"n\":1}");
    http_server_stop(&tower->server, 1000);
    assert_int_equal(pthread_join(reader.thread, NULL), 0);
    assert_non_null(strstr(reader.text, "{\"n\":1}"));
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(events_follow_the_first), CASE(reader_goes_on_where_it_was),
        CASE(reset_ends_the_stream),   CASE(failure_ends_the_stream_with_a_word),
        CASE(both_sides_end_at_once),  CASE(server_may_stop_while_readers_watch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
