/*
 * refresh.c - credentials that end by themselves are refreshed long before they do
 *
 *   seen first, or changed by somebody --> refreshed at once --> again 30 days before the end
 *                                               '-- fails: again in a day, and said in doctor
 *
 * What is known is a durable note of the channel: when they end, when they were tried last, what
 * went wrong. It counts for one revision of the record. A process that is killed after the provider
 * gave fresh ones and before they are kept loses nothing: the old ones go on working.
 */
#include "gateway/refresh.h"

#include "base/log.h"
#include "gateway/gateway_private.h"
#include "text/json.h"

#define NOTE_NAME STR("credentials_end")
#define DAY_US (INT64_C(86400) * US_PER_S)
#define BEFORE_END_US (30 * DAY_US)

struct note {
    struct channel_id id;
    struct arena *arena;
    json_t *json; /* owned; NULL: none */
    struct credentials_end end;
    int64_t tried_us, revision;
};

static enum status
read_note(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;
    struct str text = STR_EMPTY;
    enum status st = channel_state_get(tx, note->id, NOTE_NAME, note->arena, &text, err);

    json_decref(note->json);
    note->json = NULL;
    note->end = (struct credentials_end){.failures = 0};
    note->tried_us = note->revision = 0;
    if (st == ST_OK)
        st = json_parse(text, &note->json, err);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    note->end.ends_us = json_get_int(note->json, "ends_us", 0);
    note->end.failures = json_get_int(note->json, "failures", 0);
    note->end.reason = arena_str(note->arena, json_get_str(note->json, "reason"));
    note->tried_us = json_get_int(note->json, "tried_us", 0);
    note->revision = json_get_int(note->json, "revision", 0);
    return ST_OK;
}

static enum status
write_note(struct store_tx *tx, void *arg, struct err *err)
{
    const struct note *note = arg;
    json_auto_t *json = json_object();

    json_set_int(json, "ends_us", note->end.ends_us);
    json_set_int(json, "failures", note->end.failures);
    json_set_str(json, "reason", note->end.reason);
    json_set_int(json, "tried_us", note->tried_us);
    json_set_int(json, "revision", note->revision);
    return channel_state_put(tx, note->id, NOTE_NAME, json_text(json, store_tx_arena(tx)), err);
}

enum status
credentials_end_get(struct store_tx *tx, struct channel_id id, struct arena *arena,
                    struct credentials_end *end_out, struct err *err)
{
    struct note note = {.id = id, .arena = arena};
    enum status st = read_note(tx, &note, err);

    *end_out = note.end;
    json_decref(note.json);
    return st;
}

static bool
is_due(const struct note *note, const struct channel_record *record, int64_t now_us)
{
    if (note->tried_us == 0 || note->revision != record->revision)
        return true;
    if (now_us - note->tried_us < DAY_US)
        return false;
    return note->end.failures > 0 || note->end.ends_us - now_us < BEFORE_END_US;
}

static enum status
refresh_channel(struct gateway *gateway, const struct tenant_scope *scope, struct note *note,
                const struct channel_record *record, struct err *err)
{
    int64_t lasts_us = 0, now_us = clock_wall_us(gateway->config.clock);
    json_auto_t *fresh = NULL, *whole = json_deep_copy(record->credentials);
    struct channel *channel = NULL;
    enum status st = channel_acquire(gateway->config.channels, record, &channel, err);

    if (st == ST_OK)
        st = channel_refresh(channel, note->arena, &fresh, &lasts_us, err);
    channel_release(&channel);
    if (st == ST_NOT_FOUND)
        return ST_OK; /* these do not end */
    note->tried_us = now_us;
    note->revision = record->revision;
    json_object_update(whole, fresh);
    if (st == ST_OK)
        st = gateway_store_credentials(gateway, scope, record, whole, &note->revision, err);
    if (st == ST_CONFLICT)
        return ST_OK;
    if (st == ST_OK) {
        note->end = (struct credentials_end){.ends_us = now_us + lasts_us};
        LOG(LOG_INFO, "channel.credentials_refreshed", log_str("source", record->source),
            log_str("channel_id", ID_STR(record->id)), log_int("days", lasts_us / DAY_US));
    } else {
        note->end.failures++;
        note->end.reason = arena_str(note->arena, str_from_c(err->public_text));
        LOG_ERR(LOG_WARN, "channel.credentials_not_refreshed", err,
                log_str("source", record->source), log_str("channel_id", ID_STR(record->id)));
    }
    return store_run(gateway->config.store, scope, "credentials_end", STORE_DURABLE, write_note,
                     note, err);
}

static enum status
refresh_if_due(struct gateway *gateway, const struct tenant_scope *scope, struct channel_id id,
               struct arena *arena, struct err *err)
{
    struct note note = {.id = id, .arena = arena};
    const struct channel_record *record = NULL;
    enum status st = channel_record_get(gateway->config.tenants, scope, id, &record, err);

    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st; /* removed meanwhile */
    if (channel_is_refreshed(gateway->config.channels, record) &&
        !str_eq_c(record->status, "disabled")) {
        st = store_read(gateway->config.store, scope, "credentials_end", read_note, &note, err);
        if (st == ST_OK && is_due(&note, record, clock_wall_us(gateway->config.clock)))
            st = refresh_channel(gateway, scope, &note, record, err);
        json_decref(note.json);
    }
    channel_record_unref(&record);
    return st;
}

enum status
gateway_refresh_credentials(struct gateway *gateway, const struct tenant_scope *scope,
                            struct arena *arena, struct err *err)
{
    struct channel_id *ids = NULL;
    size_t count = 0;
    enum status st = channel_list(gateway->config.tenants, scope, &ids, &count, arena, err);

    for (size_t i = 0; st == ST_OK && i < count; i++)
        st = refresh_if_due(gateway, scope, ids[i], arena, err);
    return st;
}
