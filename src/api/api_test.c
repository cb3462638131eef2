/*
 * api_test.c - requests over HTTP through the one path that all operations share: keys, scopes,
 * limits, pages, idempotency, live topics
 */
#include <stdio.h>

#include "api/api.h"
#include "net/http_client.h"
#include "orchestrator/orchestrator_test_support.h"
#include "text/json.h"

#define DEADLINE_MS 20000

struct house {
    struct desk desk;
    struct gateway *gateway;
    struct api *api;
    struct http_server *server;
    struct http_client *client;
    struct str keys[2]; /* of both organizations: all scopes */
    struct str reader;  /* of the first: conversations:read */
    struct http_reply reply;
};

static struct str
make_key(struct house *house, unsigned organization, unsigned scopes)
{
    struct talk *talk = &house->desk.talk;
    struct api_key key;
    struct str secret;

    ASSERT_OK(api_key_create(talk->bed.tenants, talk->bed.scopes[organization], STR("test"), scopes,
                             STR(""), 0, talk->arena, &key, &secret, &talk->err),
              &talk->err);
    return secret;
}

static void
open_services(struct house *house, unsigned staff_per_minute)
{
    struct desk *desk = &house->desk;
    struct talk *talk = &desk->talk;
    const struct gateway_config gateway = {.store = talk->bed.store,
                                           .tenants = talk->bed.tenants,
                                           .queue = talk->bed.queue,
                                           .channels = desk->registry,
                                           .live = desk->live,
                                           .clock = talk->clock,
                                           .senders = 1};
    struct api_config config = {.store = talk->bed.store,
                                .tenants = talk->bed.tenants,
                                .queue = talk->bed.queue,
                                .live = desk->live,
                                .channels = desk->registry,
                                .orchestrator = desk->orchestrator,
                                .clock = talk->clock,
                                .staff_per_minute = staff_per_minute,
                                .max_upload_bytes = 1024 * 1024};
    const struct http_client_config client = {.allow_private_addresses = true};

    ASSERT_OK(gateway_open(&gateway, &house->gateway, &talk->err), &talk->err);
    config.gateway = house->gateway;
    ASSERT_OK(api_open(&config, &house->api, &talk->err), &talk->err);
    ASSERT_OK(http_client_create(&client, &house->client, &talk->err), &talk->err);
}

static struct house *
open_house(void **state, unsigned staff_per_minute)
{
    const unsigned all = SCOPE_ADMIN | SCOPE_CONVERSATIONS_READ | SCOPE_CONVERSATIONS_WRITE |
                         SCOPE_KNOWLEDGE_READ | SCOPE_KNOWLEDGE_WRITE | SCOPE_QUERY |
                         SCOPE_QUERY_STAFF | SCOPE_OPERATE;
    struct house *house = calloc(1, sizeof(*house));
    struct http_server_config config = {.listen = "127.0.0.1:0",
                                        .workers = 4,
                                        .max_queued = 100,
                                        .max_connections = 100,
                                        .idle_timeout_s = 30,
                                        .max_body_bytes = 1024 * 1024};
    const struct http_route *routes;
    size_t count;

    assert_non_null(house);
    desk_open(&house->desk, "fake", "[{\"driver\": \"fake\", \"text\": \"NO_ANSWER\"}]");
    open_services(house, staff_per_minute);
    house->keys[0] = make_key(house, 0, all);
    house->keys[1] = make_key(house, 1, all);
    house->reader = make_key(house, 0, SCOPE_CONVERSATIONS_READ);
    config.upload_folder = house->desk.talk.bed.folder;
    config.context = house->api;
    config.observe = api_observe;
    routes = api_routes(house->api, &count);
    ASSERT_OK(http_server_start(&config, routes, count, &house->server, &house->desk.talk.err),
              &house->desk.talk.err);
    *state = house;
    return house;
}

static int
tear_down(void **state)
{
    struct house *house = *state;

    api_set_stopping(house->api);
    http_server_stop(&house->server, 1000);
    api_close(&house->api);
    http_client_destroy(&house->client);
    gateway_close(&house->gateway);
    desk_close(&house->desk);
    free(house);
    return 0;
}

/* The status; the answer stays in house->reply. key NULL: none. idempotency may be NULL. */
static int
ask(struct house *house, const char *method, const char *path, const struct str *key,
    const char *body, const char *idempotency)
{
    struct arena *arena = house->desk.talk.arena;
    struct http_header headers[2];
    struct http_call call = {
        .method = method,
        .url = arena_printf(arena, "http://127.0.0.1:%u%s", http_server_port(house->server), path),
        .headers = headers,
        .body = str_from_c(body),
        .deadline_ms = DEADLINE_MS};
    struct err err;

    if (key != NULL)
        headers[call.header_count++] = (struct http_header){
            "Authorization", arena_printf(arena, "Bearer %.*s", STR_ARG(*key))};
    if (idempotency != NULL)
        headers[call.header_count++] =
            (struct http_header){"Idempotency-Key", str_from_c(idempotency)};
    ASSERT_OK(http_client_call(house->client, &call, arena, &house->reply, &err), &err);
    return house->reply.status;
}

/* A member of the last answer. */
static struct str
member(struct house *house, const char *key)
{
    json_auto_t *body = NULL;
    struct err err;

    ASSERT_OK(json_parse(house->reply.body, &body, &err), &err);
    return arena_str(house->desk.talk.arena, json_get_str(body, key));
}

static void
keys_are_asked_for(void **state)
{
    struct house *house = open_house(state, 0);
    const struct str wrong = STR("pk_00000000_0000000000000000000000000000000000000000000");
    const struct str nonsense = STR("nonsense");

    assert_int_equal(ask(house, "GET", "/healthz", NULL, NULL, NULL), 200);
    assert_int_equal(ask(house, "GET", "/openapi.json", NULL, NULL, NULL), 200);
    assert_int_equal(ask(house, "GET", "/v1/conversations", NULL, NULL, NULL), 401);
    ASSERT_STR(house->reply.content_type, "application/problem+json");
    assert_int_equal(ask(house, "GET", "/v1/conversations", &wrong, NULL, NULL), 401);
    assert_int_equal(ask(house, "GET", "/v1/conversations", &nonsense, NULL, NULL), 401);
    assert_int_equal(ask(house, "GET", "/v1/conversations", &house->reader, NULL, NULL), 200);
    assert_int_equal(ask(house, "GET", "/v1/channels", &house->reader, NULL, NULL), 403);
    assert_true(str_find(house->reply.body, STR("admin")) >= 0); /* which scope is missing */
    assert_int_equal(ask(house, "GET", "/v1/nothing", &house->reader, NULL, NULL), 404);
}

static void
bodies_are_read_strictly(void **state)
{
    static const char *const bodies[] = {
        "{", "[]", "\"text\"", "{} {}", "{\"text\": 1}", "{\"text\": \"\\ud800\"}", "{}"};
    struct house *house = open_house(state, 0);
    struct conversation_id id = desk_hear(&house->desk, "Hello").conversation_id;
    char path[128];

    (void)snprintf(path, sizeof(path), "/v1/conversations/%s/messages", id.id.text);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        if (ask(house, "POST", path, &house->keys[0], bodies[i], NULL) != 400)
            fail_msg("%s: %d", bodies[i], house->reply.status);
    assert_int_equal(talk_count(&house->desk.talk, 0).messages, 1);
}

static void
pages_follow_each_other(void **state)
{
    struct house *house = open_house(state, 0);
    struct str cursor = STR("");
    unsigned seen = 0, pages = 0;

    for (size_t i = 0; i < 5; i++) {
        char name[] = {'c', (char)('0' + i), 0};

        (void)talk_hear(&house->desk.talk, name, name, name, "Hello");
        clock_advance_us(house->desk.talk.clock, US_PER_S);
    }
    do {
        struct str path = arena_printf(house->desk.talk.arena,
                                       "/v1/conversations?limit=2&cursor=%.*s", STR_ARG(cursor));
        json_auto_t *body = NULL;
        struct err err;

        assert_int_equal(ask(house, "GET", path.ptr, &house->keys[0], NULL, NULL), 200);
        ASSERT_OK(json_parse(house->reply.body, &body, &err), &err);
        seen += (unsigned)json_array_size(json_get_array(body, "data"));
        cursor = arena_str(house->desk.talk.arena, json_get_str(body, "next_cursor"));
        assert_in_range(++pages, 1, 4);
    } while (cursor.len > 0);
    assert_int_equal(seen, 5);
}

static void
limits_and_cursors_are_checked(void **state)
{
    static const struct {
        const char *query;
        int status;
    } table[] = {
        {"limit=1", 200},     {"limit=100", 200},  {"limit=0", 400},
        {"limit=101", 400},   {"limit=-1", 400},   {"limit=ten", 400},
        {"limit=1e1", 400},   {"limit=%31", 200},  {"limit=99999999999999999999", 400},
        {"cursor=xyz", 400},  {"cursor=abc", 400}, {"cursor=ff", 400},
        {"cursor=4142", 400}, {"cursor=00", 400},  {"limit=&cursor=", 200},
        {"cursor=2041", 400},
    };
    struct house *house = open_house(state, 0);
    unsigned wrong = 0;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct str path =
            arena_printf(house->desk.talk.arena, "/v1/conversations?%s", table[i].query);

        if (ask(house, "GET", path.ptr, &house->keys[0], NULL, NULL) != table[i].status) {
            print_error("%s: %d\n", table[i].query, house->reply.status);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void
same_key_has_one_effect(void **state)
{
    struct house *house = open_house(state, 0);
    struct conversation_id id = desk_hear(&house->desk, "Hello").conversation_id;
    struct str first;
    char path[128];

    (void)snprintf(path, sizeof(path), "/v1/conversations/%s/messages", id.id.text);
    assert_int_equal(ask(house, "POST", path, &house->keys[0], "{\"text\": \"One\"}", "k1") / 100,
                     2);
    first = house->reply.body;
    assert_int_equal(ask(house, "POST", path, &house->keys[0], "{\"text\": \"One\"}", "k1") / 100,
                     2);
    assert_true(str_eq(first, house->reply.body));
    assert_int_equal(talk_count(&house->desk.talk, 0).messages, 2);
    assert_int_equal(ask(house, "POST", path, &house->keys[0], "{\"text\": \"Two\"}", "k1"), 409);
    assert_int_equal(ask(house, "POST", path, &house->keys[0], "{\"text\": \"\"}", "k2"), 400);
    /* What failed is forgotten: the key may be used for the corrected request. */
    assert_int_equal(ask(house, "POST", path, &house->keys[0], "{\"text\": \"Two\"}", "k2") / 100,
                     2);
    /* Keys belong to an organization. */
    assert_int_equal(ask(house, "POST", path, &house->keys[1], "{\"text\": \"One\"}", "k1"), 404);
    clock_advance_us(house->desk.talk.clock, INT64_C(25) * 3600 * US_PER_S);
    assert_int_equal(ask(house, "POST", path, &house->keys[0], "{\"text\": \"New\"}", "k1") / 100,
                     2);
    assert_int_equal(talk_count(&house->desk.talk, 0).messages, 4);
}

static void
too_long_idempotency_key_is_refused(void **state)
{
    struct house *house = open_house(state, 0);
    struct conversation_id id = desk_hear(&house->desk, "Hello").conversation_id;
    char path[128], key[202];

    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    (void)snprintf(path, sizeof(path), "/v1/conversations/%s/messages", id.id.text);
    assert_int_equal(ask(house, "POST", path, &house->keys[0], "{\"text\": \"One\"}", key), 400);
    assert_int_equal(talk_count(&house->desk.talk, 0).messages, 1);
}

static void
too_many_requests_are_told_to_wait(void **state)
{
    struct house *house = open_house(state, 3);

    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(house, "GET", "/v1/conversations", &house->keys[0], NULL, NULL), 200);
    assert_int_equal(ask(house, "GET", "/v1/conversations", &house->keys[0], NULL, NULL), 429);
    assert_true(house->reply.retry_after_ms > 0);
    assert_int_equal(ask(house, "GET", "/v1/conversations", &house->keys[1], NULL, NULL), 200);
    clock_advance_us(house->desk.talk.clock, 60 * US_PER_S);
    assert_int_equal(ask(house, "GET", "/v1/conversations", &house->keys[0], NULL, NULL), 200);
}

static void
escalation_is_resolved_over_http(void **state)
{
    struct house *house = open_house(state, 0);
    struct conversation_id id = desk_ask(&house->desk, "Do you ship to Norway?").conversation_id;
    struct escalation_id escalation = desk_escalation(&house->desk).id;
    char path[160];

    (void)snprintf(path, sizeof(path), "/v1/conversations/%s", id.id.text);
    assert_int_equal(ask(house, "GET", path, &house->keys[1], NULL, NULL), 404);
    assert_int_equal(ask(house, "GET", path, &house->keys[0], NULL, NULL), 200);
    ASSERT_STR(member(house, "conversation_status"), STATUS_AWAITING_APPROVAL);
    assert_int_equal(ask(house, "GET", "/v1/escalations?status=open", &house->keys[1], NULL, NULL),
                     200);
    assert_true(str_find(house->reply.body, ID_STR(escalation)) < 0);
    assert_int_equal(ask(house, "GET", "/v1/escalations?status=open", &house->keys[0], NULL, NULL),
                     200);
    assert_true(str_find(house->reply.body, ID_STR(escalation)) >= 0);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_teardown(fn, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(keys_are_asked_for),
        CASE(bodies_are_read_strictly),
        CASE(pages_follow_each_other),
        CASE(limits_and_cursors_are_checked),
        CASE(same_key_has_one_effect),
        CASE(too_long_idempotency_key_is_refused),
        CASE(too_many_requests_are_told_to_wait),
        CASE(escalation_is_resolved_over_http),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
