/*
 * res_event_endpoints.c - where events go: set up, tried out, looked at, sent again
 */
#include "api/api_private.h"
#include "events/events.h"

#define KEEP_SECRET_US (INT64_C(24) * 3600 * US_PER_S)
#define REPLAY_PAGE 500
#define REPLAY_PAGES_MAX 20

struct endpoint_body {
    struct str url, description, status;
    json_t *events;
    bool include_text;
};

static const struct json_field endpoint_fields[] = {
    {.key = "url",
     .kind = JSON_FIELD_STR,
     .offset = offsetof(struct endpoint_body, url),
     .max_len = 2000},
    {.key = "description",
     .kind = JSON_FIELD_STR,
     .offset = offsetof(struct endpoint_body, description),
     .max_len = 500},
    {.key = "status",
     .kind = JSON_FIELD_STR,
     .offset = offsetof(struct endpoint_body, status),
     .max_len = 20},
    {.key = "events", .kind = JSON_FIELD_ARRAY, .offset = offsetof(struct endpoint_body, events)},
    {.key = "include_text",
     .kind = JSON_FIELD_BOOL,
     .offset = offsetof(struct endpoint_body, include_text)},
    {.key = NULL},
};

struct one_endpoint {
    struct arena *arena;
    struct event_endpoint_id id;
    struct event_endpoint endpoint;
    struct event_id event_id;
    struct event_replay replay;
};

static json_t *
endpoint_json(const struct event_endpoint *endpoint)
{
    json_t *row = json_object();

    json_set_str(row, "id", ID_STR(endpoint->id));
    json_set_str(row, "url", endpoint->url);
    json_set_str(row, "description", endpoint->description);
    json_set(row, "events", event_kinds_json(endpoint->kinds));
    json_set_bool(row, "include_text", endpoint->include_text);
    json_set_str(row, "status", endpoint->status);
    json_set(row, "status_reason",
             endpoint->status_reason.len == 0 ? json_null()
                                              : json_from_str(endpoint->status_reason));
    json_set_int(row, "failures", endpoint->failures);
    json_set(row, "failing_since", api_time(endpoint->failing_since_us));
    json_set(row, "created_at", api_time(endpoint->created_at_us));
    json_set(row, "updated_at", api_time(endpoint->updated_at_us));
    return row;
}

static enum status
get_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct one_endpoint *o = arg;

    return event_endpoint_get(tx, o->id, o->arena, &o->endpoint, err);
}

static enum status
read_endpoint(struct api_call *call, struct one_endpoint *o, struct err *err)
{
    return api_read(call, "event_endpoint_get", get_work, o, err);
}

static enum status
begin(struct api_call *call, struct one_endpoint *o, struct err *err)
{
    *o = (struct one_endpoint){.arena = call->arena};
    return API_PATH_ID(call, "endpoint_id", &o->id, err);
}

struct endpoints {
    struct arena *arena;
    struct event_endpoint *list;
    size_t count;
};

static enum status
list_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct endpoints *e = arg;

    return event_endpoint_list(tx, e->arena, &e->list, &e->count, err);
}

static enum status
list_endpoints(struct api_call *call, struct err *err)
{
    struct endpoints e = {.arena = call->arena};
    enum status st = api_read(call, "event_endpoint_list", list_work, &e, err);
    json_t *data;

    if (st != ST_OK)
        return st;
    data = json_array();
    for (size_t i = 0; i < e.count; i++)
        json_array_append_new(data, endpoint_json(&e.list[i]));
    return api_reply_page(call, data, STR(""));
}

static enum status
read_body(struct api_call *call, struct event_endpoint_change *change, struct err *err)
{
    struct endpoint_body body = {.url = STR_EMPTY};
    uint32_t kinds = 0;
    enum status st = json_read(call->body, endpoint_fields, &body, err);

    *change = (struct event_endpoint_change){.url = body.url,
                                             .description = body.description,
                                             .status = body.status,
                                             .kinds = -1,
                                             .include_text = -1};
    if (st == ST_OK && json_object_get(call->body, "include_text") != NULL)
        change->include_text = body.include_text;
    if (st == ST_OK && body.events != NULL) {
        st = event_kinds_read(body.events, &kinds, err);
        change->kinds = kinds;
    }
    if (st == ST_OK && body.url.ptr != NULL)
        st = events_check_url(call->config->events, body.url, err);
    return st;
}

/* The endpoint with its secret, which is shown this once. */
static enum status
reply_with_secret(struct api_call *call, struct one_endpoint *o, struct str secret, struct err *err)
{
    enum status st = read_endpoint(call, o, err);
    json_t *row;

    if (st != ST_OK)
        return st;
    row = endpoint_json(&o->endpoint);
    call->kept_answer = json_text(row, call->arena);
    json_set_str(row, "secret", secret);
    return api_reply(call, row);
}

static enum status
create_endpoint(struct api_call *call, struct err *err)
{
    struct one_endpoint o = {.arena = call->arena};
    struct event_endpoint_change spec;
    struct str secret = STR_EMPTY;
    enum status st = read_body(call, &spec, err);

    if (st == ST_OK && spec.url.len == 0)
        st = err_set(err, ST_INVALID, "url: where events are to be posted");
    if (st == ST_OK && spec.status.ptr != NULL)
        st = err_set(err, ST_INVALID, "status: an endpoint begins enabled");
    if (st == ST_OK)
        st = event_endpoint_create(call->config->tenants, call->scope, &spec, call->arena, &o.id,
                                   &secret, err);
    return st == ST_OK ? reply_with_secret(call, &o, secret, err) : st;
}

static enum status
get_endpoint(struct api_call *call, struct err *err)
{
    struct one_endpoint o;
    enum status st = begin(call, &o, err);

    if (st == ST_OK)
        st = read_endpoint(call, &o, err);
    return st == ST_OK ? api_reply(call, endpoint_json(&o.endpoint)) : st;
}

static enum status
update_endpoint(struct api_call *call, struct err *err)
{
    struct event_endpoint_change change;
    struct one_endpoint o;
    enum status st = begin(call, &o, err);

    if (st == ST_OK)
        st = read_endpoint(call, &o, err);
    if (st == ST_OK)
        st = read_body(call, &change, err);
    if (st == ST_OK)
        st = event_endpoint_update(call->config->tenants, call->scope, o.id, &change,
                                   events_wake_endpoint, &o.id, err);
    if (st == ST_OK)
        st = read_endpoint(call, &o, err);
    return st == ST_OK ? api_reply(call, endpoint_json(&o.endpoint)) : st;
}

static enum status
delete_endpoint(struct api_call *call, struct err *err)
{
    struct one_endpoint o;
    enum status st = begin(call, &o, err);

    if (st == ST_OK)
        st = event_endpoint_delete(call->config->tenants, call->scope, o.id, events_wake_endpoint,
                                   &o.id, err);
    return st == ST_OK ? api_reply(call, NULL) : st;
}

static enum status
rotate_secret(struct api_call *call, struct err *err)
{
    struct str secret = STR_EMPTY;
    struct one_endpoint o;
    enum status st = begin(call, &o, err);

    if (st == ST_OK)
        st = event_endpoint_rotate(call->config->tenants, call->scope, o.id, KEEP_SECRET_US,
                                   call->arena, &secret, err);
    return st == ST_OK ? reply_with_secret(call, &o, secret, err) : st;
}

static enum status
test_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct one_endpoint *o = arg;
    json_auto_t *data = json_object();
    const struct event_telling telling = {
        .kind = EVENT_ENDPOINT_TEST, .affinity = ID_STR(o->id), .data = data, .only_to = &o->id};
    enum status st = get_work(tx, o, err);

    if (st == ST_OK && !str_eq_c(o->endpoint.status, "enabled"))
        st = err_set(err, ST_CONFLICT, "the endpoint is disabled: enable it first");
    json_set_str(data, "endpoint_id", ID_STR(o->id));
    return st == ST_OK ? events_tell(tx, &telling, &o->event_id, err) : st;
}

static enum status
reply_event(struct api_call *call, struct event_id id)
{
    json_t *body = json_object();

    json_set_str(body, "event_id", ID_STR(id));
    return api_reply(call, body);
}

static enum status
test_endpoint(struct api_call *call, struct err *err)
{
    struct one_endpoint o;
    enum status st = begin(call, &o, err);

    if (st == ST_OK)
        st = api_write(call, "event_endpoint_test", test_work, &o, err);
    return st == ST_OK ? reply_event(call, o.event_id) : st;
}

/* --- deliveries --- */

struct deliveries {
    struct one_endpoint one;
    struct str state;
    size_t limit, count;
    struct event_delivery *list;
};

static enum status
deliveries_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct deliveries *d = arg;
    enum status st = get_work(tx, &d->one, err);

    return st == ST_OK ? event_delivery_list(tx, d->one.id, d->state, d->one.event_id, d->limit + 1,
                                             d->one.arena, &d->list, &d->count, err)
                       : st;
}

static json_t *
delivery_json(const struct event_delivery *delivery)
{
    bool pending = str_eq_c(delivery->state, "pending");
    json_t *row = json_object();

    json_set_str(row, "event_id", ID_STR(delivery->event_id));
    json_set_str(row, "type", delivery->kind);
    json_set_str(row, "state", delivery->state);
    json_set_int(row, "attempts", delivery->attempts);
    json_set(row, "next_attempt_at", api_time(pending ? delivery->due_at_us : 0));
    json_set(row, "http_status",
             delivery->http_status == 0 ? json_null() : json_integer(delivery->http_status));
    json_set_str(row, "error", delivery->error);
    json_set_str(row, "response", delivery->response);
    json_set(row, "created_at", api_time(delivery->created_at_us));
    json_set(row, "updated_at", api_time(delivery->updated_at_us));
    return row;
}

static enum status
list_deliveries(struct api_call *call, struct err *err)
{
    struct deliveries d = {.state = http_request_query(call->req, "state")};
    struct str next = STR("");
    struct api_page page;
    json_t *data;
    enum status st = begin(call, &d.one, err);

    if (st == ST_OK)
        st = api_page_read(call, &page, err);
    if (st == ST_OK && page.cursor.len > 0)
        st = ID_PARSE(page.cursor, &d.one.event_id, err);
    if (st != ST_OK)
        return st;
    d.limit = page.limit;
    st = api_read(call, "event_delivery_list", deliveries_work, &d, err);
    if (st != ST_OK)
        return st;
    data = json_array();
    for (size_t i = 0; i < d.count && i < d.limit; i++)
        json_array_append_new(data, delivery_json(&d.list[i]));
    if (d.count > d.limit)
        next = ID_STR(d.list[d.limit - 1].event_id);
    return api_reply_page(call, data, next);
}

/* --- again --- */

struct replay_body {
    struct str event_id, since;
};

static enum status
replay_one_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct one_endpoint *o = arg;

    return events_replay(tx, o->id, o->event_id, err);
}

static enum status
replay_page_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct one_endpoint *o = arg;
    struct event_replay page = o->replay; /* the work may run again */
    enum status st = events_replay_page(tx, &page, err);

    if (st == ST_OK)
        o->replay = page;
    return st;
}

/* In pages of a transaction each; what is left of very many is for another call. */
static enum status
replay_since(struct api_call *call, struct one_endpoint *o, struct err *err)
{
    json_t *body;
    int64_t queued = 0;
    enum status st = ST_OK;

    o->replay.endpoint_id = o->id;
    o->replay.until_us = clock_wall_us(call->config->clock);
    o->replay.limit = REPLAY_PAGE;
    o->replay.more = true;
    for (int i = 0; st == ST_OK && o->replay.more && i < REPLAY_PAGES_MAX; i++) {
        st = api_write(call, "event_replay", replay_page_work, o, err);
        queued += (int64_t)o->replay.queued;
    }
    if (st != ST_OK)
        return st;
    body = json_object();
    json_set_int(body, "queued", queued);
    json_set(body, "next_since", api_time(o->replay.more ? o->replay.since_us : 0));
    return api_reply(call, body);
}

static enum status
replay(struct api_call *call, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "event_id",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct replay_body, event_id),
         .max_len = 60},
        {.key = "since",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct replay_body, since),
         .max_len = 40},
        {.key = NULL},
    };
    struct replay_body body = {.event_id = STR_EMPTY};
    struct one_endpoint o;
    json_t *reply;
    enum status st = begin(call, &o, err);

    if (st == ST_OK)
        st = read_endpoint(call, &o, err);
    if (st == ST_OK)
        st = json_read(call->body, fields, &body, err);
    if (st == ST_OK && (body.event_id.len == 0) == (body.since.len == 0))
        st = err_set(err, ST_INVALID, "either event_id or since");
    if (st == ST_OK && body.since.len > 0)
        st = time_parse_rfc3339(body.since, &o.replay.since_us, err);
    if (st == ST_OK && body.since.len > 0)
        return replay_since(call, &o, err);
    /* As the receiver has it in webhook-id, or as our lists have it. */
    if (str_starts_with(body.event_id, STR(EVENT_ID_PREFIX)))
        body.event_id = str_sub(body.event_id, sizeof(EVENT_ID_PREFIX) - 1, body.event_id.len);
    if (st == ST_OK && ID_PARSE(body.event_id, &o.event_id, err) != ST_OK)
        st = err_set(err, ST_INVALID, "event_id: not one of ours");
    if (st == ST_OK)
        st = api_write(call, "event_replay", replay_one_work, &o, err);
    if (st != ST_OK)
        return st;
    reply = json_object();
    json_set_int(reply, "queued", 1);
    json_set(reply, "next_since", json_null());
    return api_reply(call, reply);
}

#define ENDPOINT_PROPERTIES                                                                        \
    "\"url\":{\"type\":\"string\",\"format\":\"uri\"},\"description\":{\"type\":\"string\"},"      \
    "\"events\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"include_text\":{\"type\":"  \
    "\"boolean\"}"
#define ENDPOINT_SCHEMA                                                                            \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"}," ENDPOINT_PROPERTIES       \
    ",\"status\":{\"type\":\"string\",\"enum\":[\"enabled\",\"disabled\"]},\"status_reason\":{"    \
    "\"type\":[\"string\",\"null\"]},\"failures\":{\"type\":\"integer\"},\"failing_since\":{"      \
    "\"type\":[\"string\",\"null\"]},\"secret\":{\"type\":\"string\"}}}"
#define ENDPOINT_CHANGE_SCHEMA                                                                     \
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" ENDPOINT_PROPERTIES     \
    ",\"status\":{\"type\":\"string\",\"enum\":[\"enabled\",\"disabled\"]}}}"

const struct api_operation api_event_endpoint_operations[] = {
    {HTTP_GET, "/v1/event-endpoints", "event_endpoints.list", "Events", "Where events are sent",
     ACCESS_KEY, SCOPE_ADMIN, list_endpoints, 0, 0, NULL, API_PAGE_SCHEMA, NULL, 200},
    {HTTP_POST, "/v1/event-endpoints", "event_endpoints.create", "Events",
     "Have events sent to a system of yours; the secret is shown this once", ACCESS_KEY,
     SCOPE_ADMIN, create_endpoint, 0, 0,
     "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"url\"],"
     "\"properties\":{" ENDPOINT_PROPERTIES "}}",
     ENDPOINT_SCHEMA, NULL, 201},
    {HTTP_GET, "/v1/event-endpoints/{endpoint_id}", "event_endpoints.get", "Events",
     "One endpoint, and how it fares", ACCESS_KEY, SCOPE_ADMIN, get_endpoint, 0, 0, NULL,
     ENDPOINT_SCHEMA, NULL, 200},
    {HTTP_PATCH, "/v1/event-endpoints/{endpoint_id}", "event_endpoints.update", "Events",
     "Change address, kinds or status; what is left out stays", ACCESS_KEY, SCOPE_ADMIN,
     update_endpoint, 0, 0, ENDPOINT_CHANGE_SCHEMA, ENDPOINT_SCHEMA, NULL, 200},
    {HTTP_DELETE, "/v1/event-endpoints/{endpoint_id}", "event_endpoints.delete", "Events",
     "Remove it with what is still to be sent there", ACCESS_KEY, SCOPE_ADMIN, delete_endpoint, 0,
     0, NULL, NULL, NULL, 204},
    {HTTP_POST, "/v1/event-endpoints/{endpoint_id}/rotate-secret", "event_endpoints.rotate",
     "Events", "A new secret; the one before signs beside it for 24 hours more", ACCESS_KEY,
     SCOPE_ADMIN, rotate_secret, 0, 0, "{\"type\":\"object\"}", ENDPOINT_SCHEMA, NULL, 200},
    {HTTP_POST, "/v1/event-endpoints/{endpoint_id}/test", "event_endpoints.test", "Events",
     "Send it an event endpoint.test", ACCESS_KEY, SCOPE_ADMIN, test_endpoint, 0, 0,
     "{\"type\":\"object\"}",
     "{\"type\":\"object\",\"properties\":{\"event_id\":{\"type\":\"string\"}}}", NULL, 202},
    {HTTP_GET, "/v1/event-endpoints/{endpoint_id}/deliveries", "event_endpoints.deliveries",
     "Events", "What was sent there, newest first, and what became of it", ACCESS_KEY,
     SCOPE_OPERATE, list_deliveries, 0, 0, NULL, API_PAGE_SCHEMA,
     API_PAGE_QUERY ";state:string:pending, delivered or failed", 200},
    {HTTP_POST, "/v1/event-endpoints/{endpoint_id}/replay", "event_endpoints.replay", "Events",
     "Send one event again, or all that the endpoint hears of from a time on", ACCESS_KEY,
     SCOPE_OPERATE, replay, 0, 0,
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"event_id\":{\"type\":"
     "\"string\"},\"since\":{\"type\":\"string\",\"format\":\"date-time\"}}}",
     "{\"type\":\"object\",\"properties\":{\"queued\":{\"type\":\"integer\"},\"next_since\":{"
     "\"type\":[\"string\",\"null\"]}}}",
     NULL, 202},
    {.path = NULL},
};
