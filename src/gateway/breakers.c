/*
 * breakers.c - circuit breakers by channel, and their durable notes
 */
#include "gateway/breakers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/metrics.h"
#include "text/json.h"

/* Channels failing at once; beyond them sends are tried as if there were no breaker. */
#define MAX_FAILING 4096
/* Shorter waits are the pace of one chat: they tell nothing of the provider. */
#define PACE_MAX_MS 1000
#define NOTE_NAME STR("breaker")
#define NOTE_VOID_AFTER_US (INT64_C(300) * US_PER_S)

static struct metric breaker_channels = {
    .name = "parley_gateway_breaker_channels",
    .help = "Channels whose circuit breaker is not closed, by source and state",
    .kind = METRIC_GAUGE,
    .labels = {"source", "state"},
};
static struct metric breaker_opened = {
    .name = "parley_gateway_breaker_opened_total",
    .help = "Circuit breakers that opened, by source",
    .kind = METRIC_COUNTER,
    .labels = {"source"},
};

struct failing {
    struct breaker breaker;
    bool refused;    /* the credentials were */
    char source[32]; /* of the gauge's series */
};

struct breakers {
    pthread_mutex_t lock; /* guards failing and what is in it */
    struct map failing;   /* channel id -> struct failing */
};

struct breakers *
breakers_create(void)
{
    struct breakers *breakers = calloc(1, sizeof(*breakers));

    if (breakers == NULL)
        abort();
    pthread_mutex_init(&breakers->lock, NULL);
    map_init(&breakers->failing, MAX_FAILING);
    metric_register(&breaker_channels);
    metric_register(&breaker_opened);
    return breakers;
}

static void
count_state(const struct failing *failing, enum breaker_state state, double by)
{
    if (state != BREAKER_CLOSED)
        metric_add(&breaker_channels, by, str_from_c(failing->source),
                   str_from_c(breaker_state_name(state)), STR_EMPTY);
}

static void
count_change(const struct failing *failing, enum breaker_state before)
{
    if (failing->breaker.state == before)
        return;
    count_state(failing, before, -1);
    count_state(failing, failing->breaker.state, 1);
}

void
breakers_destroy(struct breakers **breakers_ref)
{
    struct breakers *breakers = *breakers_ref;
    struct map_entry *entry;

    *breakers_ref = NULL;
    if (breakers == NULL)
        return;
    MAP_FOREACH (&breakers->failing, entry) {
        const struct failing *failing = entry->value;

        count_state(failing, failing->breaker.state, -1);
        free(entry->value);
    }
    map_deinit(&breakers->failing);
    pthread_mutex_destroy(&breakers->lock);
    free(breakers);
}

int64_t
breakers_wait_ms(struct breakers *breakers, struct channel_id id, bool is_broken, int64_t mono_us)
{
    struct failing *failing;
    int64_t wait_ms = 0;

    pthread_mutex_lock(&breakers->lock);
    failing = map_find(&breakers->failing, ID_STR(id));
    if (failing != NULL) {
        enum breaker_state before = failing->breaker.state;

        if (failing->refused && !is_broken && failing->breaker.open_until_us > mono_us)
            failing->breaker.open_until_us = mono_us;
        if (!breaker_try(&failing->breaker, mono_us))
            wait_ms = failing->breaker.state == BREAKER_OPEN
                          ? 1 + (failing->breaker.open_until_us - mono_us) / US_PER_MS
                          : BREAKER_FIRST_WAIT_MS; /* a trial is under way */
        count_change(failing, before);
    }
    pthread_mutex_unlock(&breakers->lock);
    return wait_ms;
}

/* What is wrong with one message or one recipient is an answer of a provider that works. */
static enum breaker_outcome
outcome_of(enum status st, int wait_ms)
{
    switch (st) {
    case ST_OK:
    case ST_INVALID:
    case ST_NOT_FOUND:
    case ST_CONFLICT:
    case ST_TOO_LARGE:
        return BREAKER_WORKS;
    case ST_DENIED:
        return BREAKER_REFUSED;
    case ST_BUSY:
        return wait_ms < PACE_MAX_MS ? BREAKER_UNKNOWN : BREAKER_LIMITED;
    case ST_UNAVAILABLE:
    case ST_UNCERTAIN:
    case ST_INTERNAL:
        break;
    }
    return BREAKER_FAILED;
}

/* NULL: there is nothing to remember, or no room. The lock is held. */
static struct failing *
find_or_add(struct breakers *breakers, struct channel_id id, struct str source,
            enum breaker_outcome outcome)
{
    struct failing *failing = map_find(&breakers->failing, ID_STR(id));
    void *replaced = NULL;
    struct err ignored;

    if (failing != NULL || outcome == BREAKER_WORKS || outcome == BREAKER_UNKNOWN)
        return failing;
    failing = calloc(1, sizeof(*failing));
    if (failing == NULL)
        abort();
    (void)snprintf(failing->source, sizeof(failing->source), "%.*s", STR_ARG(source));
    if (map_put(&breakers->failing, ID_STR(id), failing, &replaced, &ignored) == ST_OK)
        return failing;
    free(failing);
    return NULL;
}

struct breaker_change
breakers_note(struct breakers *breakers, struct channel_id id, struct str source, enum status st,
              const struct err *err, int64_t mono_us)
{
    int wait_ms = st == ST_BUSY || st == ST_UNAVAILABLE ? err->retry_after_ms : 0;
    enum breaker_outcome outcome = outcome_of(st, wait_ms);
    struct breaker_change change = {.changed = false};
    struct failing *failing;

    pthread_mutex_lock(&breakers->lock);
    failing = find_or_add(breakers, id, source, outcome);
    if (failing != NULL) {
        enum breaker_state before = failing->breaker.state;
        bool opened =
            breaker_note(&failing->breaker, outcome, wait_ms < PACE_MAX_MS ? 0 : wait_ms, mono_us);

        if (opened) {
            failing->refused = outcome == BREAKER_REFUSED;
            METRIC_INC(&breaker_opened, source);
        }
        count_change(failing, before);
        change.state = failing->breaker.state;
        change.wait_ms = failing->breaker.wait_ms;
        change.changed = opened || (before == BREAKER_HALF_OPEN && change.state == BREAKER_CLOSED);
        if (change.state == BREAKER_CLOSED && failing->breaker.failures == 0)
            free(map_remove(&breakers->failing, ID_STR(id)));
    }
    pthread_mutex_unlock(&breakers->lock);
    return change;
}

void
breakers_give_back(struct breakers *breakers, struct channel_id id)
{
    struct failing *failing;

    pthread_mutex_lock(&breakers->lock);
    failing = map_find(&breakers->failing, ID_STR(id));
    if (failing != NULL) {
        enum breaker_state before = failing->breaker.state;

        (void)breaker_note(&failing->breaker, BREAKER_UNKNOWN, 0, 0);
        count_change(failing, before);
    }
    pthread_mutex_unlock(&breakers->lock);
}

/* --- notes --- */

struct telling {
    struct channel_id id;
    json_t *note;
};

static enum status
put_note(struct store_tx *tx, void *arg, struct err *err)
{
    const struct telling *telling = arg;

    return channel_state_put(tx, telling->id, NOTE_NAME,
                             json_text(telling->note, store_tx_arena(tx)), err);
}

enum status
breakers_tell(const struct gateway_config *config, const struct tenant_scope *scope,
              struct channel_id id, struct breaker_change change, struct str reason,
              struct err *err)
{
    json_auto_t *note = json_object();
    struct telling telling = {.id = id, .note = note};

    json_set_str(note, "state", str_from_c(breaker_state_name(change.state)));
    if (change.state == BREAKER_OPEN) {
        json_set_int(note, "until_us",
                     clock_wall_us(config->clock) + (int64_t)change.wait_ms * US_PER_MS);
        json_set_str(note, "reason", reason);
    }
    return store_run(config->store, scope, "send_breaker", STORE_DURABLE, put_note, &telling, err);
}

enum status
channel_breaker_get(struct store_tx *tx, struct channel_id id, int64_t now_us, struct arena *arena,
                    struct channel_breaker *breaker_out, struct err *err)
{
    json_auto_t *note = NULL;
    struct str text = STR_EMPTY;
    int64_t until_us;
    enum status st = channel_state_get(tx, id, NOTE_NAME, arena, &text, err);

    *breaker_out = (struct channel_breaker){.state = breaker_state_name(BREAKER_CLOSED)};
    if (st == ST_OK)
        st = json_parse(text, &note, err);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    until_us = json_get_int(note, "until_us", 0);
    if (until_us == 0 || until_us + NOTE_VOID_AFTER_US < now_us)
        return ST_OK;
    *breaker_out = (struct channel_breaker){
        .state = breaker_state_name(now_us < until_us ? BREAKER_OPEN : BREAKER_HALF_OPEN),
        .until_us = until_us,
        .reason = arena_str(arena, json_get_str(note, "reason")),
    };
    return ST_OK;
}
