/*
 * slack_grow.c - answers that are shown while they are made, and what has arrived of what was sent
 *
 * A growing answer is an ordinary message that is changed by chat.update. Slack's own streams
 * (chat.startStream) carry no metadata: one whose ts got lost could never be found again. Every
 * message carries ours ("parley_message": the message's id and part), by which it is looked for in
 * the channel's history or the thread's replies.
 */
#include <stdatomic.h>

#include "base/buf.h"
#include "channel/drivers/slack.h"
#include "text/json.h"

#define EDIT_DEADLINE_MS 20000
#define LOSSY_DEADLINE_MS 5000
#define ARENA_BYTES ((size_t)8 * 1024 * 1024)
#define FORM_MAX_BYTES 2048
/* chat.update may be called 50 times a minute in a workspace; answers that are whole need some. */
#define GROW_PAUSE_US (1500 * US_PER_MS)
#define CLOCKS_DIFFER_US (300 * US_PER_S)
#define PAGES_MAX 10
#define PAGE_MESSAGES "100"

/* --- growing --- */

enum status
slack_begin(struct channel *channel, const struct outbound *outbound, struct arena *arena,
            struct delivery *delivery_out, struct err *err)
{
    return slack_post(slack_of(channel), outbound, LOSSY_DEADLINE_MS, arena, delivery_out, err);
}

static enum status
update(struct slack_channel *slack, const struct outbound *outbound, struct str external_message_id,
       unsigned deadline_ms, struct err *err)
{
    struct str channel_id, ts;
    json_t *answer = NULL;
    bool blocks_refused = false;

    if (!slack_message_parse(external_message_id, &channel_id, &ts))
        return err_set(err, ST_INVALID, "\"%.*s\" names no Slack message",
                       STR_ARG(str_sub(external_message_id, 0, 60)));
    struct arena *arena = arena_create(ARENA_BYTES);
    enum status st = ST_INVALID;

    for (int attempt = 0; attempt == 0 || (attempt == 1 && blocks_refused); attempt++) {
        json_auto_t *parameters = json_object();

        json_set_str(parameters, "channel", channel_id);
        json_set_str(parameters, "ts", ts);
        st = slack_add_content(parameters, outbound, attempt == 1, arena, err);
        if (st == ST_OK)
            st = slack_call(slack, "chat.update", parameters, deadline_ms, arena, &answer,
                            &blocks_refused, err);
    }
    json_decref(answer);
    arena_destroy(&arena);
    return st;
}

enum status
slack_edit(struct channel *channel, const struct outbound *outbound, struct str external_message_id,
           struct err *err)
{
    return update(slack_of(channel), outbound, external_message_id, EDIT_DEADLINE_MS, err);
}

void
slack_grow(struct channel *channel, const struct outbound *outbound, struct str external_message_id,
           unsigned step)
{
    struct slack_channel *slack = slack_of(channel);
    int64_t now_us = clock_mono_us(channel->env->clock);
    int64_t due_us = atomic_load(&slack->grow_due_us);
    struct err err = {.retry_after_ms = 0};

    (void)step;
    /* All answers of a workspace share what it allows. */
    if (now_us < due_us ||
        !atomic_compare_exchange_strong(&slack->grow_due_us, &due_us, now_us + GROW_PAUSE_US))
        return;
    if (update(slack, outbound, external_message_id, LOSSY_DEADLINE_MS, &err) == ST_BUSY)
        atomic_store(&slack->grow_due_us, now_us + err.retry_after_ms * US_PER_MS);
}

enum status
slack_withdraw(struct channel *channel, struct str external_chat_id, struct str external_message_id,
               struct err *err)
{
    struct str channel_id, ts;
    json_t *answer = NULL;

    (void)external_chat_id;
    if (!slack_message_parse(external_message_id, &channel_id, &ts))
        return err_set(err, ST_INVALID, "\"%.*s\" names no Slack message",
                       STR_ARG(str_sub(external_message_id, 0, 60)));
    struct arena *arena = arena_create(ARENA_BYTES);
    json_auto_t *parameters = json_object();

    json_set_str(parameters, "channel", channel_id);
    json_set_str(parameters, "ts", ts);
    enum status st = slack_call(slack_of(channel), "chat.delete", parameters, EDIT_DEADLINE_MS,
                                arena, &answer, NULL, err);
    json_decref(answer);
    arena_destroy(&arena);
    return st == ST_CONFLICT ? ST_OK : st; /* gone already */
}

/* --- finding --- */

static bool
is_of(const json_t *message, const struct outbound *outbound)
{
    const json_t *metadata = json_get_object(message, "metadata");
    const json_t *payload = json_get_object(metadata, "event_payload");

    return str_eq_c(json_get_str(metadata, "event_type"), "parley_message") &&
           str_eq(json_get_str(payload, "id"), ID_STR(outbound->message_id)) &&
           json_get_int(payload, "part", -1) == (int64_t)outbound->part;
}

static void
ask_for(struct buf *form, const struct slack_chat *chat, int64_t oldest_us, struct str cursor)
{
    char oldest[32];

    (void)snprintf(oldest, sizeof oldest, "%lld.%06lld", (long long)(oldest_us / US_PER_S),
                   (long long)(oldest_us % US_PER_S));
    form_append(form, "channel", chat->channel_id);
    if (chat->thread_ts.len > 0)
        form_append(form, "ts", chat->thread_ts);
    form_append(form, "oldest", str_from_c(oldest));
    form_append(form, "include_all_metadata", STR("true"));
    form_append(form, "limit", STR(PAGE_MESSAGES));
    if (cursor.len > 0)
        form_append(form, "cursor", cursor);
}

/* One page. ST_NOT_FOUND with what stands behind it in cursor, "" after the last. */
static enum status
look(struct slack_channel *slack, const struct slack_chat *chat, const struct outbound *outbound,
     int64_t oldest_us, struct str *cursor, struct arena *arena, struct delivery *delivery_out,
     struct err *err)
{
    bool in_thread = chat->thread_ts.len > 0;
    json_t *answer = NULL, *message;
    struct buf form;
    int64_t when_us;
    size_t i;

    buf_init(&form, FORM_MAX_BYTES);
    ask_for(&form, chat, oldest_us, *cursor);
    enum status st =
        slack_read(slack, in_thread ? "conversations.replies" : "conversations.history", &form,
                   arena, &answer, err);
    buf_deinit(&form);
    if (st != ST_OK)
        /* That the channel cannot be read says nothing of what is in it. */
        return st == ST_NOT_FOUND ? err_set(err, ST_INVALID, "Slack does not show the channel")
                                  : st;
    json_array_foreach (json_get_array(answer, "messages"), i, message) {
        struct str ts = json_get_str(message, "ts");

        if (is_of(message, outbound) && slack_ts_read(ts, &when_us))
            delivery_out->external_message_id =
                slack_message_format(slack, arena, chat->channel_id, ts);
    }
    *cursor =
        arena_str(arena, json_get_str(json_get_object(answer, "response_metadata"), "next_cursor"));
    json_decref(answer);
    return delivery_out->external_message_id.len > 0
               ? ST_OK
               : err_set(err, ST_NOT_FOUND, "Slack has no such message");
}

enum status
slack_find(struct channel *channel, const struct outbound *outbound, int64_t sent_us,
           struct arena *arena, struct delivery *delivery_out, struct err *err)
{
    struct str cursor = STR("");
    struct slack_chat chat;
    enum status st = slack_chat_parse(outbound->external_chat_id, &chat, err);
    bool goes_on = st == ST_OK;

    for (int page = 0; goes_on && page < PAGES_MAX; page++) {
        st = look(slack_of(channel), &chat, outbound, sent_us - CLOCKS_DIFFER_US, &cursor, arena,
                  delivery_out, err);
        goes_on = st == ST_NOT_FOUND && cursor.len > 0;
    }
    return goes_on ? err_set(err, ST_INVALID, "the channel is too busy to be searched") : st;
}
