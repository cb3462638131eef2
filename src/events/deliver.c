/*
 * deliver.c - a lane's job: sends what is due, records what became of it, comes back when more is
 *
 * What is due is read, then sent one after the other without a transaction; each outcome is a
 * transaction of its own. A failure ends the turn: the endpoint is paused. A
 * turn ends after TURN_US anyway, so that others have theirs. The last transaction looks whether
 * more is waiting and puts a job for then. Not this one, put back: one that a process died of keeps
 * its distance, and what is told next would wait for it.
 */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/metrics.h"
#include "events/events_private.h"
#include "events/events_sql.h"
#include "events/standard_webhooks.h"
#include "text/json.h"

#define TURN_US (10 * US_PER_S)
#define BATCH 10
#define BATCH_BYTES ((size_t)8 * 1024 * 1024)
#define CALL_MS 15000
#define RESPONSE_KEPT_BYTES 1024
#define RESPONSE_READ_BYTES (64 * 1024)
#define WAIT_MAX_S (24 * 3600)
#define PAUSE_FIRST_S 5
#define PAUSE_MAX_S 300
#define ADDRESS_FAILURES 3 /* a name may lead astray for a moment */
#define REMOVED_AT_ONCE 500

/* Before the second try, the third ...: the specification's own schedule. */
static const int64_t schedule_s[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
#define TRIES_MAX ((int64_t)(sizeof(schedule_s) / sizeof(schedule_s[0])) + 1)

static struct metric sent_total = {
    .name = "parley_events_sent_total",
    .help = "Tries to hand an event to an endpoint, by result",
    .kind = METRIC_COUNTER,
    .labels = {"result"},
};
static struct metric send_seconds = {
    .name = "parley_events_send_seconds",
    .help = "Time of the call to an endpoint",
    .kind = METRIC_HISTOGRAM,
    .labels = {"result"},
};
static struct metric disabled_total = {
    .name = "parley_events_endpoints_disabled_total",
    .help = "Endpoints that were given up, by reason",
    .kind = METRIC_COUNTER,
    .labels = {"reason"},
};

struct due {
    struct event_id event_id;
    int64_t attempts; /* before this one */
    struct str kind, body;
};

/* A turn of one lane; the worker's that holds the lease. */
struct turn {
    struct events *events;
    struct lease *lease;
    struct event_endpoint_id endpoint_id;
    int lane;
    int64_t now_us;
    /* What a batch reads, into its arena. */
    struct arena *arena;
    bool is_gone; /* the endpoint was removed */
    struct event_endpoint endpoint;
    struct event_keys keys;
    struct due due[BATCH];
    size_t due_count;
    /* What one try came to. */
    const struct due *tried;
    const char *result;
    bool is_delivered;
    int http_status; /* 0: no answer */
    struct str error, response;
    int64_t asked_wait_s;   /* by the endpoint; 0: not */
    const char *disable;    /* why nothing is sent there any more, or NULL */
    const char *state;      /* of the delivery, now */
    int64_t due_us;         /* of the next try */
    int64_t pause_until_us; /* of the endpoint */
};

/* --- reading what is due --- */

static enum status
read_due(struct store_tx *tx, struct turn *t, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query(tx, &SQL_EVENT_DUE,
                                 ARGS(sv_id(t->endpoint_id), sv_int(t->lane), sv_int(t->now_us),
                                      sv_int(t->endpoint.include_text), sv_int(BATCH)),
                                 &rows, err);

    while (st == ST_OK && t->due_count < BATCH && store_rows_next(rows))
        t->due[t->due_count++] = (struct due){
            .event_id = STORE_COL_ID(rows, 0, event_id),
            .attempts = store_col_int(rows, 1),
            .kind = arena_str(t->arena, store_col_text(rows, 2)),
            .body = arena_str(t->arena, store_col_text(rows, 3)),
        };
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

static enum status
load(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *t = arg;
    enum status st;

    arena_reset(t->arena);
    t->due_count = 0;
    st = event_endpoint_get(tx, t->endpoint_id, t->arena, &t->endpoint, err);
    t->is_gone = st == ST_NOT_FOUND;
    if (t->is_gone)
        return ST_OK;
    if (st != ST_OK || !str_eq_c(t->endpoint.status, "enabled") ||
        t->endpoint.paused_until_us > t->now_us)
        return st;
    st = read_due(tx, t, err);
    if (st == ST_OK && t->due_count > 0)
        st = event_endpoint_keys(t->events->config.tenants, tx, t->endpoint_id, t->now_us, &t->keys,
                                 err);
    return st;
}

/* --- the call --- */

/* The beginning of the answer is kept; nobody waits for the rest. */
static bool
take_answer(struct str bytes, void *context)
{
    struct buf *kept = context;

    buf_append(kept, str_sub(bytes, 0, RESPONSE_KEPT_BYTES - kept->len));
    return kept->len < RESPONSE_KEPT_BYTES;
}

static struct str
readable(struct str bytes, struct arena *arena)
{
    struct str head = str_sub(bytes, 0, RESPONSE_KEPT_BYTES);

    head.len = str_utf8_valid_prefix(head);
    if (str_find_byte(head, '\0') >= 0)
        head.len = (size_t)str_find_byte(head, '\0');
    return head.len == 0 ? STR("") : arena_str(arena, head);
}

static void
judge_answer(struct turn *t, const struct http_reply *reply, struct str body)
{
    t->http_status = reply->status;
    t->response = readable(body, t->arena);
    t->is_delivered = reply->status >= 200 && reply->status <= 299;
    t->result = t->is_delivered ? "delivered" : "refused";
    if (t->is_delivered)
        return;
    t->error = arena_printf(t->arena, "the endpoint answered %d", reply->status);
    if (reply->status == 410) {
        t->result = "gone";
        t->disable = "gone";
    }
    if (reply->retry_after_ms > 0 && (reply->status == 429 || reply->status == 503))
        t->asked_wait_s =
            reply->retry_after_ms / 1000 < WAIT_MAX_S ? reply->retry_after_ms / 1000 : WAIT_MAX_S;
}

static void
judge_failure(struct turn *t, enum status st, const struct err *err)
{
    t->result = st == ST_DENIED ? "address" : "unreachable";
    if (st == ST_DENIED) {
        t->error = STR("the address is private: the operator would have to allow it");
        if (t->endpoint.failures + 1 >= ADDRESS_FAILURES)
            t->disable = "address";
    } else if (st == ST_UNCERTAIN) {
        t->error = STR("no complete answer in time");
    } else {
        t->error = readable(str_from_c(err->detail), t->arena);
    }
}

/* Makes one try and says what it came to. False: we are stopping, and it does not count. */
static bool
call_endpoint(struct turn *t, const struct due *due)
{
    struct events *events = t->events;
    struct str id = arena_printf(t->arena, EVENT_ID_PREFIX "%s", due->event_id.id.text);
    int64_t wall_s = clock_wall_us(events->config.clock) / US_PER_S;
    int64_t start_us = clock_mono_us(clock_system());
    struct webhook_key keys[2];
    struct http_reply reply;
    struct buf kept;
    struct err err;
    enum status st;

    for (size_t i = 0; i < t->keys.count; i++)
        keys[i] = (struct webhook_key){t->keys.keys[i], EVENT_KEY_BYTES};
    buf_init(&kept, RESPONSE_KEPT_BYTES);
    {
        const struct http_header headers[] = {
            {"Content-Type", STR("application/json")},
            {"webhook-id", id},
            {"webhook-timestamp", arena_printf(t->arena, "%lld", (long long)wall_s)},
            {"webhook-signature",
             standard_webhooks_sign(keys, t->keys.count, id, wall_s, due->body, t->arena)},
        };
        const struct http_call call = {
            .method = "POST",
            .url = t->endpoint.url,
            .url_is_secret = true,
            .headers = headers,
            .header_count = sizeof(headers) / sizeof(headers[0]),
            .body = due->body,
            .deadline_ms = CALL_MS,
            .max_response_bytes = RESPONSE_READ_BYTES,
            .cancel = events->config.stopping,
            .sink = take_answer,
            .sink_context = &kept,
        };

        st = http_client_call(events->http, &call, t->arena, &reply, &err);
    }
    t->tried = due;
    t->is_delivered = false;
    t->disable = NULL;
    t->asked_wait_s = 0;
    t->http_status = 0;
    t->error = t->response = STR_EMPTY;
    if (st == ST_OK)
        judge_answer(t, &reply, reply.body.len > 0 ? reply.body : buf_str(&kept));
    else
        judge_failure(t, st, &err);
    buf_deinit(&kept);
    if (!t->is_delivered && events->config.stopping != NULL && atomic_load(events->config.stopping))
        return false;
    METRIC_INC(&sent_total, str_from_c(t->result));
    metric_observe(&send_seconds, (double)(clock_mono_us(clock_system()) - start_us) / 1e6,
                   str_from_c(t->result), STR_EMPTY, STR_EMPTY);
    return true;
}

/* --- recording --- */

/* Up to a tenth later, so that what failed together does not come back together. */
static int64_t
with_jitter_us(int64_t wait_s)
{
    return wait_s * US_PER_S + (int64_t)random_below((uint32_t)(wait_s * 100)) * US_PER_MS;
}

static void
plan_next(struct turn *t)
{
    int64_t tries = t->tried->attempts + 1;
    unsigned doublings = t->endpoint.failures < 8 ? (unsigned)t->endpoint.failures : 8;
    int64_t pause_s = (int64_t)PAUSE_FIRST_S << doublings;

    t->due_us = t->now_us;
    t->pause_until_us = 0;
    t->state = "delivered";
    if (t->is_delivered)
        return;
    t->state = "pending";
    if (tries >= TRIES_MAX)
        t->state = "failed";
    else
        t->due_us += with_jitter_us(schedule_s[tries - 1]);
    if (t->due_us < t->now_us + t->asked_wait_s * US_PER_S)
        t->due_us = t->now_us + t->asked_wait_s * US_PER_S;
    if (pause_s > PAUSE_MAX_S)
        pause_s = PAUSE_MAX_S;
    if (pause_s < t->asked_wait_s)
        pause_s = t->asked_wait_s;
    t->pause_until_us = t->now_us + pause_s * US_PER_S;
    if (t->disable == NULL && t->endpoint.failing_since_us != 0 &&
        t->now_us - t->endpoint.failing_since_us >= t->events->config.disable_after_us)
        t->disable = "failing";
}

static enum status
tell_disabled(struct store_tx *tx, const struct turn *t, struct err *err)
{
    json_auto_t *data = json_object();
    const struct event_telling telling = {
        .kind = EVENT_ENDPOINT_DISABLED,
        .affinity = ID_STR(t->endpoint_id),
        .data = data,
        .not_to = &t->endpoint_id,
    };

    json_set_str(data, "endpoint_id", ID_STR(t->endpoint_id));
    json_set_str(data, "url", t->endpoint.url);
    json_set_str(data, "reason", str_from_c(t->disable));
    return events_tell(tx, &telling, NULL, err);
}

static enum status
record(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *t = arg;
    const struct due *due = t->tried;
    enum status st;

    st = store_exec(
        tx, &SQL_EVENT_TRIED,
        ARGS(sv_id(t->endpoint_id), sv_id(due->event_id), sv_text(str_from_c(t->state)),
             sv_int(t->due_us), t->http_status == 0 ? sv_null() : sv_int(t->http_status),
             sv_text(t->error), sv_text(t->response), sv_int(t->now_us), sv_int(due->attempts)),
        NULL, err);
    if (st == ST_OK && t->is_delivered)
        return t->endpoint.failures > 0
                   ? event_endpoint_note_success(tx, t->endpoint_id, t->now_us, err)
                   : ST_OK;
    if (st == ST_OK)
        st = event_endpoint_note_failure(t->events->config.tenants, tx, t->endpoint_id, t->now_us,
                                         t->pause_until_us, t->disable, err);
    return st == ST_OK && t->disable != NULL ? tell_disabled(tx, t, err) : st;
}

static void
log_outcome(const struct turn *t)
{
    if (t->disable != NULL) {
        METRIC_INC(&disabled_total, str_from_c(t->disable));
        LOG(LOG_WARN, "event.endpoint_disabled", log_str("endpoint_id", ID_STR(t->endpoint_id)),
            log_cstr("reason", t->disable));
    }
    if (str_eq_c(str_from_c(t->state), "failed"))
        LOG(LOG_WARN, "event.given_up", log_str("endpoint_id", ID_STR(t->endpoint_id)),
            log_str("event_id", ID_STR(t->tried->event_id)), log_str("kind", t->tried->kind),
            log_int("http_status", t->http_status));
}

/* Relaxed: an outcome that a power cut undoes is an event that is sent once more. */
static enum status
record_outcome(struct turn *t, struct err *err)
{
    enum status st;

    t->now_us = clock_wall_us(t->events->config.clock);
    plan_next(t);
    st = store_run(t->events->config.store, lease_scope(t->lease), "event_tried", STORE_RELAXED,
                   record, t, err);
    if (t->disable != NULL)
        event_endpoint_changed(t->events->config.tenants, lease_scope(t->lease));
    if (st == ST_OK)
        log_outcome(t);
    if (st == ST_OK && t->is_delivered)
        t->endpoint.failures = 0;
    return st;
}

/* Sends what the batch read. *goes_on: all of it was delivered. */
static enum status
send_batch(struct turn *t, bool *goes_on, struct err *err)
{
    enum status st = ST_OK;

    *goes_on = t->due_count > 0;
    for (size_t i = 0; st == ST_OK && *goes_on && i < t->due_count; i++) {
        st = queue_lease_hold(t->lease, err);
        if (st == ST_OK && !call_endpoint(t, &t->due[i])) {
            *goes_on = false;
            return ST_OK;
        }
        FAILPOINT("event.called");
        if (st == ST_OK)
            st = record_outcome(t, err);
        *goes_on = st == ST_OK && t->is_delivered;
    }
    return st;
}

/* --- the end of a turn --- */

static enum status
read_time(struct store_tx *tx, const struct store_sql *sql, const struct store_value *args,
          size_t arg_count, int64_t add_us, int64_t *earliest, struct err *err)
{
    struct store_rows *rows = NULL;
    int64_t at_us;
    enum status st = store_query_one(tx, sql, args, arg_count, &rows, err);

    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    at_us = store_col_int(rows, 0) + add_us;
    if (at_us < *earliest)
        *earliest = at_us;
    return store_rows_close(&rows, err);
}

/* Events are removed when they are old, or when there is nobody left who could hear of them. */
static enum status
remove_events(struct store_tx *tx, const struct turn *t, int64_t before_us, int64_t *due_us,
              struct err *err)
{
    int64_t removed = 0;
    enum status st = store_exec(tx, &SQL_EVENT_DELIVERY_REMOVE_OLD,
                                ARGS(sv_int(before_us), sv_int(REMOVED_AT_ONCE)), NULL, err);

    if (st == ST_OK)
        st = store_exec(tx, &SQL_EVENT_REMOVE_OLD, ARGS(sv_int(before_us), sv_int(REMOVED_AT_ONCE)),
                        &removed, err);
    if (removed == REMOVED_AT_ONCE)
        *due_us = t->now_us;
    return st;
}

static enum status
clear_removed(struct store_tx *tx, const struct turn *t, int64_t *due_us, struct err *err)
{
    struct store_rows *rows = NULL;
    int64_t removed = 0;
    enum status st =
        store_exec(tx, &SQL_EVENT_DELIVERY_REMOVE_OF,
                   ARGS(sv_id(t->endpoint_id), sv_int(REMOVED_AT_ONCE)), &removed, err);

    if (removed == REMOVED_AT_ONCE)
        *due_us = t->now_us;
    if (st != ST_OK)
        return st;
    st = store_query_one(tx, &SQL_EVENT_ANY_ENDPOINT, NO_ARGS, &rows, err);
    if (st == ST_NOT_FOUND)
        return remove_events(tx, t, INT64_MAX, due_us, err);
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

/* When there is something to do again: a try, or an event to be removed. */
static enum status
find_next(struct store_tx *tx, const struct turn *t, int64_t *due_us, struct err *err)
{
    int64_t retention_us = t->events->config.retention_us;
    struct event_endpoint endpoint;
    enum status st = event_endpoint_get(tx, t->endpoint_id, store_tx_arena(tx), &endpoint, err);

    if (st == ST_NOT_FOUND)
        return clear_removed(tx, t, due_us, err);
    if (st == ST_OK && str_eq_c(endpoint.status, "enabled"))
        st = read_time(tx, &SQL_EVENT_NEXT_DUE, ARGS(sv_id(t->endpoint_id), sv_int(t->lane)), 0,
                       due_us, err);
    if (st == ST_OK && *due_us != INT64_MAX && *due_us < endpoint.paused_until_us)
        *due_us = endpoint.paused_until_us;
    if (st == ST_OK)
        st = remove_events(tx, t, t->now_us - retention_us, due_us, err);
    if (st == ST_OK)
        st = read_time(tx, &SQL_EVENT_OLDEST, NO_ARGS, retention_us, due_us, err);
    return st;
}

static enum status
end_turn(struct store_tx *tx, void *arg, struct err *err)
{
    const struct turn *t = arg;
    int64_t due_us = INT64_MAX;
    enum status st = find_next(tx, t, &due_us, err);

    if (st == ST_OK && due_us != INT64_MAX)
        st = events_queue_lane(t->events, tx, t->endpoint_id, t->lane, due_us, err);
    return st == ST_OK ? queue_lease_done(tx, t->lease, err) : st;
}

static enum status
take_turn(struct turn *t, struct err *err)
{
    struct store *store = t->events->config.store;
    const struct tenant_scope *scope = lease_scope(t->lease);
    int64_t end_us = clock_mono_us(clock_system()) + TURN_US;
    bool goes_on = true;
    enum status st = ST_OK;

    while (st == ST_OK && goes_on && clock_mono_us(clock_system()) < end_us) {
        t->now_us = clock_wall_us(t->events->config.clock);
        st = store_read(store, scope, "event_load", load, t, err);
        if (st == ST_OK)
            st = send_batch(t, &goes_on, err);
    }
    t->now_us = clock_wall_us(t->events->config.clock);
    if (st == ST_OK)
        st = store_run(store, scope, "event_turn_end", STORE_RELAXED, end_turn, t, err);
    return st;
}

enum status
events_deliver(struct lease *lease, void *context, struct err *err)
{
    struct turn *t = calloc(1, sizeof(*t));
    json_auto_t *payload = NULL;
    enum status st;

    if (t == NULL)
        abort();
    t->events = context;
    t->lease = lease;
    t->arena = arena_create(BATCH_BYTES);
    st = json_parse(lease_job(lease)->payload, &payload, err);
    if (st == ST_OK)
        st = ID_PARSE(json_get_str(payload, "endpoint_id"), &t->endpoint_id, err);
    if (st == ST_OK) {
        t->lane = (int)json_get_int(payload, "lane", 0);
        st = take_turn(t, err);
    }
    sodium_memzero(&t->keys, sizeof(t->keys));
    arena_destroy(&t->arena);
    free(t);
    return st == ST_OK ? ST_OK : err_wrap(err, "send events");
}
