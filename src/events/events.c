/*
 * events.c - telling: who hears of it, the bytes that are signed, and the jobs that send them
 */
#include "events/events_private.h"

#include <stdlib.h>

#include "base/metrics.h"
#include "events/events_sql.h"
#include "net/http_url.h"
#include "net/net_address.h"
#include "text/json.h"

#define DAY_US (INT64_C(24) * 3600 * US_PER_S)
#define RETENTION_US (30 * DAY_US)
#define DISABLE_AFTER_US (5 * DAY_US)
#define URL_MAX_BYTES 2000
#define LOWEST_PORT 1024 /* but 443: below are the services that one does not want called */
#define JOB_ATTEMPTS 100 /* only the store can make it fail */
#define URL_ARENA_BYTES 65536

static struct metric told_total = {
    .name = "parley_events_told_total",
    .help = "Events that an endpoint hears of, by kind",
    .kind = METRIC_COUNTER,
    .labels = {"kind"},
};

enum status
events_open(const struct events_config *config, struct events **events_out, struct err *err)
{
    const struct http_client_config http = {.allow_private_addresses =
                                                config->allow_private_addresses};
    struct events *events = calloc(1, sizeof(*events));
    enum status st;

    *events_out = NULL;
    if (events == NULL)
        abort();
    events->config = *config;
    if (events->config.retention_us == 0)
        events->config.retention_us = RETENTION_US;
    if (events->config.disable_after_us == 0)
        events->config.disable_after_us = DISABLE_AFTER_US;
    st = http_client_create(&http, &events->http, err);
    if (st != ST_OK) {
        free(events);
        return err_wrap(err, "open events");
    }
    store_set_companion(config->store, events);
    *events_out = events;
    return ST_OK;
}

enum status
events_start(struct events *events, struct err *err)
{
    if (events->config.workers == 0)
        return ST_OK;
    return queue_workers_start(events->config.queue, QUEUE_TOPIC_EVENTS, events->config.workers,
                               events_deliver, NULL, events, &events->workers, err);
}

void
events_stop(struct events *events, int64_t deadline_ms)
{
    queue_workers_stop(&events->workers, deadline_ms);
}

void
events_close(struct events **events_ref)
{
    struct events *events = *events_ref;

    if (events == NULL)
        return;
    store_set_companion(events->config.store, NULL);
    http_client_destroy(&events->http);
    free(events);
    *events_ref = NULL;
}

/* --- addresses --- */

static enum status
check_parts(const struct events *events, const struct http_url *url, struct err *err)
{
    bool guarded = !events->config.allow_private_addresses;
    struct str host = url->host;
    struct net_address address;
    struct err ignored;
    int64_t port;

    if (guarded && !str_eq_c(url->scheme, "https"))
        return err_set(err, ST_INVALID, "url: only https");
    if (guarded && url->port.len > 0 &&
        (!str_to_i64(url->port, &port) || (port != 443 && port < LOWEST_PORT)))
        return err_set(err, ST_INVALID, "url: port 443, or from %d on", LOWEST_PORT);
    /* A name is looked up when it is called. */
    if (guarded && (str_eq_nocase(host, STR("localhost")) ||
                    (net_address_parse(host, &address, &ignored) == ST_OK &&
                     net_address_is_private(&address))))
        return err_set(err, ST_INVALID, "url: a private address; the operator may allow them");
    return ST_OK;
}

enum status
events_check_url(const struct events *events, struct str url, struct err *err)
{
    struct arena *arena;
    struct http_url parts;
    enum status st;

    if (url.len > URL_MAX_BYTES)
        return err_set(err, ST_INVALID, "url: at most %d bytes", URL_MAX_BYTES);
    if (str_find_byte(url, '#') >= 0)
        return err_set(err, ST_INVALID, "url: without a fragment");
    arena = arena_create(URL_ARENA_BYTES);
    st = http_url_read(url, arena, &parts, err);
    if (st == ST_INVALID)
        st = err_set(err, st, "url: an https address, without a user in it");
    if (st == ST_OK)
        st = check_parts(events, &parts, err);
    arena_destroy(&arena);
    return st;
}

/* --- telling --- */

enum status
events_are_heard(struct store_tx *tx, enum event_kind kind, bool *heard_out, struct err *err)
{
    struct events *events = store_companion(store_tx_store(tx));
    const struct event_subscriptions *subscriptions = NULL;
    enum status st = ST_OK;

    *heard_out = false;
    if (events == NULL)
        return ST_OK;
    st = event_subscriptions_get(events->config.tenants, tx, &subscriptions, err);
    if (st == ST_OK)
        *heard_out = (subscriptions->kinds & EVENT_BIT(kind)) != 0;
    event_subscriptions_unref(&subscriptions);
    return st;
}

static struct str
make_body(struct store_tx *tx, const struct event_telling *telling, int64_t now_us, struct str text)
{
    struct organization_id organization = tenant_scope_organization(store_tx_scope(tx));
    json_auto_t *body = json_object();
    json_t *data = json_object();
    char time[32];

    json_set_str(data, "organization_id", ID_STR(organization));
    json_object_update(data, (json_t *)(uintptr_t)telling->data);
    if (text.len > 0) {
        size_t kept =
            text.len > EVENT_TEXT_MAX_BYTES ? str_utf8_floor(text, EVENT_TEXT_MAX_BYTES) : text.len;

        json_set_str(data, "text", str_sub(text, 0, kept));
        json_set_bool(data, "text_is_cut", kept < text.len);
    }
    json_set_str(body, "type", str_from_c(event_kind_name(telling->kind)));
    json_set_str(body, "timestamp", time_format_rfc3339(now_us, time));
    json_set(body, "data", data);
    return json_text(body, store_tx_arena(tx));
}

enum status
events_queue_lane(struct events *events, struct store_tx *tx, struct event_endpoint_id endpoint_id,
                  int lane, int64_t due_us, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    struct str name = arena_printf(arena, "%s:%d", endpoint_id.id.text, lane);
    struct job_spec job = {
        .topic = QUEUE_TOPIC_EVENTS,
        .lane = name,
        .dedup_key = name,
        .payload =
            arena_printf(arena, "{\"endpoint_id\":\"%s\",\"lane\":%d}", endpoint_id.id.text, lane),
        .due_us = due_us,
        .coalesce_max_us = 1, /* one that waits for a later try runs now */
        .max_attempts = JOB_ATTEMPTS,
    };
    struct job_id job_id;

    return queue_put(events->config.queue, tx, &job, &job_id, err);
}

static enum status
put_delivery(struct events *events, struct store_tx *tx, struct event_endpoint_id endpoint_id,
             struct event_id event_id, int lane, struct err *err)
{
    int64_t now_us = clock_wall_us(events->config.clock);

    return store_exec(tx, &SQL_EVENT_DELIVERY_PUT,
                      ARGS(sv_id(endpoint_id), sv_id(event_id), sv_int(lane), sv_int(now_us)), NULL,
                      err);
}

static bool
hears(const struct event_subscription *one, const struct event_telling *telling)
{
    if (telling->only_to != NULL)
        return id_eq(&one->id.id, &telling->only_to->id);
    if (telling->not_to != NULL && id_eq(&one->id.id, &telling->not_to->id))
        return false;
    return (one->kinds & EVENT_BIT(telling->kind)) != 0;
}

/* The same for one affinity in all processes. */
static int
lane_of(struct str affinity)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < affinity.len; i++)
        hash = (hash ^ (unsigned char)affinity.ptr[i]) * 16777619u;
    return (int)(hash % EVENT_REPLAY_LANE);
}

static enum status
tell(struct events *events, struct store_tx *tx, const struct event_subscriptions *subscriptions,
     const struct event_telling *telling, struct event_id id, struct err *err)
{
    int64_t now_us = clock_wall_us(events->config.clock);
    int lane = lane_of(telling->affinity);
    struct str with_text = STR_EMPTY;
    bool wants_text = false, is_heard = false;
    enum status st;

    for (size_t i = 0; i < subscriptions->count; i++)
        if (hears(&subscriptions->endpoints[i], telling)) {
            is_heard = true;
            wants_text = wants_text || subscriptions->endpoints[i].include_text;
        }
    if (!is_heard)
        return ST_OK;
    if (wants_text && telling->text.len > 0)
        with_text = make_body(tx, telling, now_us, telling->text);
    st = store_exec(tx, &SQL_EVENT_INSERT,
                    ARGS(sv_id(id), sv_text(str_from_c(event_kind_name(telling->kind))),
                         sv_text(make_body(tx, telling, now_us, STR_EMPTY)), sv_text(with_text),
                         sv_int(now_us), sv_id(telling->message_id)),
                    NULL, err);
    for (size_t i = 0; st == ST_OK && i < subscriptions->count; i++) {
        const struct event_subscription *one = &subscriptions->endpoints[i];

        if (!hears(one, telling))
            continue;
        st = put_delivery(events, tx, one->id, id, lane, err);
        if (st == ST_OK)
            st = events_queue_lane(events, tx, one->id, lane, 0, err);
    }
    METRIC_INC(&told_total, str_from_c(event_kind_name(telling->kind)));
    return st;
}

enum status
events_tell(struct store_tx *tx, const struct event_telling *telling, struct event_id *id_out,
            struct err *err)
{
    struct events *events = store_companion(store_tx_store(tx));
    const struct event_subscriptions *subscriptions = NULL;
    struct event_id id = ID_NEW(event_id);
    enum status st;

    if (id_out != NULL)
        *id_out = id;
    if (events == NULL)
        return ST_OK;
    st = event_subscriptions_get(events->config.tenants, tx, &subscriptions, err);
    if (st == ST_OK)
        st = tell(events, tx, subscriptions, telling, id, err);
    event_subscriptions_unref(&subscriptions);
    return st;
}

enum status
events_forget_text(struct store_tx *tx, struct message_id id, struct err *err)
{
    return store_exec(tx, &SQL_EVENT_FORGET_TEXT, ARGS(sv_id(id)), NULL, err);
}

/* --- again --- */

enum status
events_wake_endpoint(struct store_tx *tx, void *endpoint_id, struct err *err)
{
    struct events *events = store_companion(store_tx_store(tx));
    const struct event_endpoint_id *id = endpoint_id;
    enum status st = ST_OK;

    for (int lane = 0; events != NULL && st == ST_OK && lane < EVENT_LANES; lane++)
        st = events_queue_lane(events, tx, *id, lane, 0, err);
    return st;
}

/* Of an endpoint that is enabled: what is replayed is sent now. */
static enum status
get_enabled(struct store_tx *tx, struct event_endpoint_id id, struct event_endpoint *endpoint_out,
            struct err *err)
{
    enum status st = event_endpoint_get(tx, id, store_tx_arena(tx), endpoint_out, err);

    if (st == ST_OK && !str_eq_c(endpoint_out->status, "enabled"))
        st = err_set(err, ST_CONFLICT, "the endpoint is disabled: enable it first");
    return st;
}

enum status
events_replay(struct store_tx *tx, struct event_endpoint_id endpoint_id, struct event_id event_id,
              struct err *err)
{
    struct events *events = store_companion(store_tx_store(tx));
    struct event_endpoint endpoint;
    struct store_rows *rows = NULL;
    enum status st = get_enabled(tx, endpoint_id, &endpoint, err);

    if (st != ST_OK)
        return st;
    st = store_query_one(tx, &SQL_EVENT_KIND, ARGS(sv_id(event_id)), &rows, err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "no such event");
    if (st == ST_OK)
        st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st = put_delivery(events, tx, endpoint_id, event_id, EVENT_REPLAY_LANE, err);
    return st == ST_OK ? events_queue_lane(events, tx, endpoint_id, EVENT_REPLAY_LANE, 0, err) : st;
}

/* Reads a page; ids of those that the endpoint hears of. */
static enum status
read_page(struct store_tx *tx, struct event_replay *replay, uint32_t kinds, struct event_id *ids,
          size_t *count_out, struct err *err)
{
    struct store_rows *rows = NULL;
    size_t seen = 0;
    enum status st = store_query(tx, &SQL_EVENT_PAGE,
                                 ARGS(sv_int(replay->since_us), sv_text(ID_STR(replay->after)),
                                      sv_int(replay->until_us), sv_int((int64_t)replay->limit)),
                                 &rows, err);

    *count_out = 0;
    while (st == ST_OK && seen < replay->limit && store_rows_next(rows)) {
        uint32_t kind =
            event_kinds_parse(store_col_text(rows, 1)) & ~EVENT_BIT(EVENT_ENDPOINT_TEST);

        replay->after = STORE_COL_ID(rows, 0, event_id);
        replay->since_us = store_col_int(rows, 2);
        if ((kind & kinds) != 0)
            ids[(*count_out)++] = replay->after;
        seen++;
    }
    replay->more = seen == replay->limit;
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

enum status
events_replay_page(struct store_tx *tx, struct event_replay *replay, struct err *err)
{
    struct events *events = store_companion(store_tx_store(tx));
    struct event_id *ids = ARENA_NEW_N(store_tx_arena(tx), struct event_id, replay->limit);
    struct event_endpoint endpoint;
    size_t count = 0;
    enum status st = get_enabled(tx, replay->endpoint_id, &endpoint, err);

    if (st == ST_OK)
        st = read_page(tx, replay, endpoint.kinds, ids, &count, err);
    replay->queued = count;
    for (size_t i = 0; st == ST_OK && i < count; i++)
        st = put_delivery(events, tx, replay->endpoint_id, ids[i], EVENT_REPLAY_LANE, err);
    if (st == ST_OK && count > 0)
        st = events_queue_lane(events, tx, replay->endpoint_id, EVENT_REPLAY_LANE, 0, err);
    return st;
}

static void
read_delivery(struct store_rows *rows, struct arena *arena, struct event_delivery *out)
{
    *out = (struct event_delivery){
        .event_id = STORE_COL_ID(rows, 0, event_id),
        .kind = arena_str(arena, store_col_text(rows, 1)),
        .state = arena_str(arena, store_col_text(rows, 2)),
        .attempts = store_col_int(rows, 3),
        .http_status = store_col_int(rows, 4),
        .error = arena_str(arena, store_col_text(rows, 5)),
        .response = arena_str(arena, store_col_text(rows, 6)),
        .due_at_us = store_col_int(rows, 7),
        .created_at_us = store_col_int(rows, 8),
        .updated_at_us = store_col_int(rows, 9),
    };
}

enum status
event_delivery_list(struct store_tx *tx, struct event_endpoint_id endpoint_id, struct str state,
                    struct event_id before, size_t limit, struct arena *arena,
                    struct event_delivery **deliveries_out, size_t *count_out, struct err *err)
{
    struct event_delivery *list = ARENA_NEW_N(arena, struct event_delivery, limit);
    struct store_rows *rows = NULL;
    enum status st =
        store_query(tx, &SQL_EVENT_DELIVERY_LIST,
                    ARGS(sv_id(endpoint_id), sv_text(state.ptr == NULL ? STR("") : state),
                         sv_text(ID_STR(before)), sv_int((int64_t)limit)),
                    &rows, err);

    *deliveries_out = list;
    *count_out = 0;
    while (st == ST_OK && *count_out < limit && store_rows_next(rows))
        read_delivery(rows, arena, &list[(*count_out)++]);
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}
