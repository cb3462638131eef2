/*
 * telegram_send.c - what the product asks of Telegram: send, type, acknowledge, probe,
 * register, poll
 *
 * A message is tried as it should be; each thing that Telegram refuses by itself is given up once:
 * the markup, then the chat's old id. Everything else is the caller's to decide.
 */
#include "channel/drivers/telegram.h"

#include <stdatomic.h>
#include <string.h>

#include "channel/markup.h"
#include "text/json.h"
#include "text/text.h"

#define SEND_DEADLINE_MS 20000
#define LOSSY_DEADLINE_MS 5000
#define LOSSY_ARENA_BYTES (512 * 1024)
#define TEXT_MAX_BYTES (64 * 1024) /* 4096 units of text, with marks to spare */
#define POLL_MARGIN_MS 10000
#define POLL_MAX_WAIT_S 50 /* the server's own cap */
#define POLL_MAX_UPDATES 100
#define MAX_CONNECTIONS 40
#define BUTTONS_MAX 100
#define CALLBACK_DATA_MAX 64
#define CAPTION_MAX_UNITS 1024

/* --- sending --- */

struct sending {
    struct telegram_channel *telegram;
    const struct outbound *outbound;
    struct arena *arena;
    int64_t chat_id, topic_id;
    bool is_plain;       /* the markup was refused */
    bool as_addresses;   /* the attachment was refused, or there are several */
    struct str moved_to; /* external chat id; empty: not moved */
    struct telegram_answer answer;
};

/* metadata.buttons: [{"title", "id" or "url"}], one row each, under the last part. */
static enum status
add_buttons(json_t *parameters, const struct outbound *outbound, struct err *err)
{
    const json_t *buttons = json_get_array(outbound->metadata, "buttons");
    json_t *rows, *markup, *button;
    size_t i;

    if (json_array_size(buttons) == 0 || outbound->part + 1 < outbound->part_count)
        return ST_OK;
    if (json_array_size(buttons) > BUTTONS_MAX)
        return err_set(err, ST_INVALID, "more than %d buttons", BUTTONS_MAX);
    rows = json_array();
    markup = json_object();
    json_set(markup, "inline_keyboard", rows);
    json_set(parameters, "reply_markup", markup);
    json_array_foreach (buttons, i, button) {
        struct str text = json_get_str(button, "title"), data = json_get_str(button, "id");
        struct str url = json_get_str(button, "url");
        json_t *row = json_array(), *cell = json_object();

        json_array_append_new(rows, row);
        json_array_append_new(row, cell);
        if (text.len == 0 || (data.len == 0) == (url.len == 0) || data.len > CALLBACK_DATA_MAX)
            return err_set(err, ST_INVALID,
                           "a button needs a title, and an id of 1 to %d bytes or a url",
                           CALLBACK_DATA_MAX);
        json_set_str(cell, "text", text);
        json_set_str(cell, data.len > 0 ? "callback_data" : "url", data.len > 0 ? data : url);
    }
    return ST_OK;
}

/* How one attachment is sent, with the text as its caption: one message, so that none arrives
 * without the other. Telegram fetches it by its address. */
static const struct media_way {
    const char *kind, *method, *key;
} media_ways[] = {
    {"image", "sendPhoto", "photo"}, {"photo", "sendPhoto", "photo"},
    {"video", "sendVideo", "video"}, {"audio", "sendAudio", "audio"},
    {"voice", "sendVoice", "voice"}, {"document", "sendDocument", "document"},
};

/* NULL: no attachment, or none that goes with its text in one message. */
static const struct media_way *
find_media(const struct sending *sending, struct str *url_out)
{
    const struct outbound *outbound = sending->outbound;
    const json_t *attachments = json_get_array(outbound->metadata, "attachments");
    const json_t *only = json_array_get(attachments, 0);

    *url_out = json_get_str(only, "url");
    if (sending->as_addresses || json_array_size(attachments) != 1 || url_out->len == 0 ||
        outbound->part + 1 < outbound->part_count ||
        text_utf16_len(outbound->text) > CAPTION_MAX_UNITS)
        return NULL;
    for (size_t i = 0; i < sizeof media_ways / sizeof media_ways[0]; i++)
        if (str_eq_c(json_get_str(only, "kind"), media_ways[i].kind))
            return &media_ways[i];
    return NULL;
}

/* The text with the addresses of what does not go as media under its last part. */
static struct str
with_addresses(const struct outbound *outbound, struct arena *arena)
{
    struct str text = outbound->text;
    size_t i;
    json_t *attachment;

    if (outbound->part + 1 < outbound->part_count)
        return text;
    json_array_foreach (json_get_array(outbound->metadata, "attachments"), i, attachment) {
        struct str url = json_get_str(attachment, "url");

        if (url.len > 0)
            text = arena_printf(arena, "%.*s%s%.*s", STR_ARG(text), text.len > 0 ? "\n" : "",
                                STR_ARG(url));
    }
    return text;
}

/* key: "text", or "caption". */
static void
add_words(json_t *parameters, const char *key, struct str text, bool is_plain, struct arena *arena)
{
    bool has_marks = false;
    struct str html = markup_render(text, &markup_html, arena, &has_marks);

    if (!is_plain && has_marks) {
        json_set_str(parameters, key, html);
        json_set_str(parameters, "parse_mode", STR("HTML"));
    } else {
        json_set_str(parameters, key, markup_render(text, &markup_plain, arena, NULL));
    }
}

static void
add_text(json_t *parameters, struct str text, bool is_plain, struct arena *arena)
{
    json_t *preview = json_object();

    add_words(parameters, "text", text, is_plain, arena);
    json_set_bool(preview, "is_disabled", true);
    json_set(parameters, "link_preview_options", preview);
}

/* Only the first part of an answer points at what it answers. */
static void
add_reply(json_t *parameters, const struct sending *sending)
{
    int64_t chat_id, message_id;

    if (sending->outbound->part > 0 || sending->moved_to.len > 0 ||
        !telegram_message_id_parse(sending->outbound->reply_to_external_id, &chat_id,
                                   &message_id) ||
        chat_id != sending->chat_id)
        return;
    json_t *reply = json_object();

    json_set_int(reply, "message_id", message_id);
    json_set_bool(reply, "allow_sending_without_reply", true);
    json_set(parameters, "reply_parameters", reply);
}

static enum status
send_once(struct sending *sending, struct err *err)
{
    json_auto_t *parameters = json_object();

    json_set_int(parameters, "chat_id", sending->chat_id);
    if (sending->topic_id != 0)
        json_set_int(parameters, "message_thread_id", sending->topic_id);
    struct str url;
    const struct media_way *media = find_media(sending, &url);

    if (media != NULL) {
        json_set_str(parameters, media->key, url);
        add_words(parameters, "caption", sending->outbound->text, sending->is_plain,
                  sending->arena);
    } else {
        add_text(parameters, with_addresses(sending->outbound, sending->arena), sending->is_plain,
                 sending->arena);
    }
    add_reply(parameters, sending);
    enum status st = add_buttons(parameters, sending->outbound, err);
    if (st != ST_OK)
        return st;
    return telegram_call(sending->telegram, media != NULL ? media->method : "sendMessage",
                         parameters, SEND_DEADLINE_MS, sending->arena, &sending->answer, err);
}

/* A supergroup begins without topics, so the old topic is not taken along. */
static void
follow_migration(struct sending *sending)
{
    sending->chat_id = sending->answer.migrated_to;
    sending->topic_id = 0;
    sending->moved_to = telegram_chat_id_format(sending->arena, sending->chat_id, 0);
}

static enum status
read_sent(const struct sending *sending, struct delivery *delivery_out, struct err *err)
{
    const json_t *message = sending->answer.result;
    const json_t *id = json_object_get(message, "message_id");

    if (!json_is_integer(id))
        return err_set_detail(err, ST_UNCERTAIN, "telegram accepted without a message id");
    telegram_learn_name(sending->telegram, json_get_object(message, "from"));
    delivery_out->external_message_id = telegram_message_id_format(
        sending->arena, sending->telegram->bot_id_text, sending->chat_id, json_integer_value(id));
    return ST_OK;
}

enum status
telegram_send(struct channel *channel, const struct outbound *outbound, struct arena *arena,
              struct delivery *delivery_out, struct err *err)
{
    struct sending sending = {
        .telegram = telegram_of(channel), .outbound = outbound, .arena = arena};
    struct telegram_pace *pace = &sending.telegram->pace;
    struct clock *clock = channel->env->clock;
    enum status st = telegram_chat_id_parse(outbound->external_chat_id, &sending.chat_id,
                                            &sending.topic_id, err);
    if (st == ST_OK && outbound->text.len > TEXT_MAX_BYTES)
        st = err_set(err, ST_TOO_LARGE, "the message was not split into parts");
    if (st != ST_OK)
        return st;
    int wait_ms = telegram_pace_take(pace, sending.chat_id, clock_mono_us(clock));
    if (wait_ms > 0) {
        st = err_set_detail(err, ST_BUSY, "telegram's sending limits: %d ms to wait", wait_ms);
        err->retry_after_ms = wait_ms;
        return st;
    }

    st = send_once(&sending, err);
    if (st == ST_INVALID && sending.answer.cannot_parse) {
        sending.is_plain = true;
        st = send_once(&sending, err);
    }
    struct str url;

    /* It could not fetch the file, or takes none of its kind: the person may. */
    if (st == ST_INVALID && find_media(&sending, &url) != NULL) {
        sending.as_addresses = true;
        st = send_once(&sending, err);
    }
    if (st == ST_CONFLICT && sending.answer.migrated_to != 0) {
        follow_migration(&sending);
        st = send_once(&sending, err);
    }
    /* Also when the second attempt failed: the next one should go to the right place at once. */
    delivery_out->new_external_chat_id = sending.moved_to;
    if (st == ST_OK)
        st = read_sent(&sending, delivery_out, err);
    else if (st == ST_BUSY)
        telegram_pace_rest(pace, sending.chat_id, clock_mono_us(clock), err->retry_after_ms);
    json_decref(sending.answer.result);
    return st;
}

/* --- lossy calls: what fails is forgotten, the next one comes soon --- */

static void
call_lossy(struct telegram_channel *telegram, const char *method, const json_t *parameters)
{
    struct arena *arena = arena_create(LOSSY_ARENA_BYTES);
    struct telegram_answer answer;
    struct err ignored;

    if (telegram_call(telegram, method, parameters, LOSSY_DEADLINE_MS, arena, &answer, &ignored) ==
        ST_OK)
        json_decref(answer.result);
    arena_destroy(&arena);
}

void
telegram_typing(struct channel *channel, struct str external_chat_id)
{
    json_auto_t *parameters = json_object();
    int64_t chat_id, topic_id;
    struct err ignored;

    if (telegram_chat_id_parse(external_chat_id, &chat_id, &topic_id, &ignored) != ST_OK)
        return;
    json_set_int(parameters, "chat_id", chat_id);
    if (topic_id != 0)
        json_set_int(parameters, "message_thread_id", topic_id);
    json_set_str(parameters, "action", STR("typing"));
    call_lossy(telegram_of(channel), "sendChatAction", parameters);
}

/* A preview of 30 seconds at most, in private chats alone; the message takes its place. */
void
telegram_draft(struct channel *channel, struct str external_chat_id, int64_t draft_id,
               struct str text)
{
    struct telegram_channel *telegram = telegram_of(channel);
    struct telegram_answer answer;
    int64_t chat_id, topic_id;
    struct err err;

    if (atomic_load(&telegram->refuses_drafts) ||
        telegram_chat_id_parse(external_chat_id, &chat_id, &topic_id, &err) != ST_OK ||
        chat_id <= 0 || str_trim(text).len == 0 || text_utf16_len(text) > TELEGRAM_TEXT_MAX_UNITS)
        return;
    struct arena *arena = arena_create(LOSSY_ARENA_BYTES);
    json_auto_t *parameters = json_object();

    json_set_int(parameters, "chat_id", chat_id);
    if (topic_id != 0)
        json_set_int(parameters, "message_thread_id", topic_id);
    json_set_int(parameters, "draft_id", draft_id);
    /* Without marks: those that are still open would be shown as they are written. */
    json_set_str(parameters, "text", markup_render(text, &markup_plain, arena, NULL));
    enum status st = telegram_call(telegram, "sendMessageDraft", parameters, LOSSY_DEADLINE_MS,
                                   arena, &answer, &err);
    if (st == ST_OK)
        json_decref(answer.result);
    else if (st == ST_BUSY) /* the message itself would be refused, too */
        telegram_pace_rest(&telegram->pace, chat_id, clock_mono_us(channel->env->clock),
                           err.retry_after_ms);
    else if (st == ST_INTERNAL || st == ST_INVALID)
        atomic_store(&telegram->refuses_drafts, true);
    arena_destroy(&arena);
}

void
telegram_acknowledge(struct channel *channel, struct str acknowledge)
{
    json_auto_t *parameters = json_object();

    json_set_str(parameters, "callback_query_id", acknowledge);
    call_lossy(telegram_of(channel), "answerCallbackQuery", parameters);
}

/* --- the account --- */

enum status
telegram_probe(struct channel *channel, struct arena *arena, struct str *account_out,
               struct err *err)
{
    struct telegram_channel *telegram = telegram_of(channel);
    json_auto_t *parameters = json_object();
    struct telegram_answer answer;
    enum status st =
        telegram_call(telegram, "getMe", parameters, SEND_DEADLINE_MS, arena, &answer, err);

    if (st != ST_OK)
        return st;
    if (json_get_int(answer.result, "id", 0) != telegram->bot_id) {
        st = err_set(err, ST_INVALID, "Telegram says that the token belongs to another bot");
    } else {
        telegram_learn_name(telegram, answer.result);
        *account_out =
            arena_printf(arena, "@%.*s", STR_ARG(json_get_str(answer.result, "username")));
    }
    json_decref(answer.result);
    return st;
}

static json_t *
wanted_updates(void)
{
    /* Named one by one: an empty list would leave reactions out. */
    return json_pack("[s, s, s, s, s]", "message", "edited_message", "callback_query",
                     "my_chat_member", "message_reaction");
}

static enum status
call_plain(struct telegram_channel *telegram, const char *method, const json_t *parameters,
           struct arena *arena, struct err *err)
{
    struct telegram_answer answer;
    enum status st =
        telegram_call(telegram, method, parameters, SEND_DEADLINE_MS, arena, &answer, err);

    json_decref(answer.result);
    return st;
}

static enum status
register_commands(struct telegram_channel *telegram, struct arena *arena, struct err *err)
{
    json_t *commands = json_get_array(telegram->base.record->settings, "commands");

    if (commands == NULL)
        return ST_OK;
    json_auto_t *parameters = json_object();

    json_set(parameters, "commands", json_deep_copy(commands));
    return call_plain(telegram, "setMyCommands", parameters, arena, err);
}

enum status
telegram_register(struct channel *channel, struct str url, struct err *err)
{
    struct telegram_channel *telegram = telegram_of(channel);
    struct arena *arena = arena_create(LOSSY_ARENA_BYTES);
    struct str account;
    enum status st = telegram_probe(channel, arena, &account, err);

    if (st == ST_OK) {
        json_auto_t *parameters = json_object();

        json_set_str(parameters, "url", url);
        json_set_str(parameters, "secret_token",
                     json_get_str(channel->record->credentials, "secret_token"));
        json_set(parameters, "allowed_updates", wanted_updates());
        json_set_int(parameters, "max_connections", MAX_CONNECTIONS);
        st = call_plain(telegram, "setWebhook", parameters, arena, err);
    }
    if (st == ST_OK)
        st = register_commands(telegram, arena, err);
    arena_destroy(&arena);
    return st;
}

enum status
telegram_registered(struct channel *channel, struct arena *arena, struct str *url_out,
                    struct str *trouble_out, struct err *err)
{
    json_auto_t *parameters = json_object();
    struct telegram_answer answer;
    enum status st = telegram_call(telegram_of(channel), "getWebhookInfo", parameters,
                                   SEND_DEADLINE_MS, arena, &answer, err);

    if (st != ST_OK)
        return st;
    *url_out = arena_str(arena, json_get_str(answer.result, "url"));
    *trouble_out = arena_str(arena, json_get_str(answer.result, "last_error_message"));
    json_decref(answer.result);
    return ST_OK;
}

/* --- polling --- */

static bool
knows_name(struct telegram_channel *telegram)
{
    pthread_mutex_lock(&telegram->name_lock);
    bool known = telegram->name[0] != '\0';
    pthread_mutex_unlock(&telegram->name_lock);
    return known;
}

static enum status
get_updates(struct telegram_channel *telegram, struct str cursor, unsigned wait_ms,
            struct arena *arena, struct telegram_answer *answer_out, struct err *err)
{
    json_auto_t *parameters = json_object();
    unsigned wait_s = wait_ms / 1000 > POLL_MAX_WAIT_S ? POLL_MAX_WAIT_S : wait_ms / 1000;
    int64_t offset;

    *answer_out = (struct telegram_answer){.result = NULL};
    if (cursor.len > 0 && !str_to_i64(cursor, &offset))
        return err_set(err, ST_INVALID, "the polling cursor is not a number");
    if (cursor.len > 0)
        json_set_int(parameters, "offset", offset);
    json_set_int(parameters, "limit", POLL_MAX_UPDATES);
    json_set_int(parameters, "timeout", wait_s);
    json_set(parameters, "allowed_updates", wanted_updates());
    return telegram_call(telegram, "getUpdates", parameters, wait_s * 1000 + POLL_MARGIN_MS, arena,
                         answer_out, err);
}

static enum status
read_updates(const json_t *updates, struct str cursor, struct arena *arena,
             struct channel_poll *poll_out, struct err *err)
{
    size_t count = json_array_size(updates), i;
    json_t *update;

    if (!json_is_array(updates) || count > POLL_MAX_UPDATES)
        return err_set_detail(err, ST_UNAVAILABLE, "getUpdates gave no list of updates");
    poll_out->cursor = arena_str(arena, cursor);
    if (count == 0)
        return ST_OK;
    poll_out->updates = ARENA_NEW_N(arena, struct webhook, count);
    json_array_foreach (updates, i, update) {
        const json_t *id = json_object_get(update, "update_id");

        if (!json_is_integer(id))
            return err_set_detail(err, ST_UNAVAILABLE, "an update without update_id");
        poll_out->updates[i].body = json_text(update, arena);
        poll_out->cursor = arena_printf(arena, "%lld", (long long)json_integer_value(id) + 1);
    }
    poll_out->count = count;
    return ST_OK;
}

enum status
telegram_poll(struct channel *channel, struct str cursor, unsigned wait_ms, struct arena *arena,
              struct channel_poll *poll_out, struct err *err)
{
    struct telegram_channel *telegram = telegram_of(channel);
    struct telegram_answer answer;
    struct str account;
    enum status st = ST_OK;

    if (!knows_name(telegram))
        st = telegram_probe(channel, arena, &account, err);
    if (st != ST_OK)
        return st;
    st = get_updates(telegram, cursor, wait_ms, arena, &answer, err);
    if (st == ST_CONFLICT && answer.webhook_is_set) {
        /* A webhook is still set: whoever polls says that it is not wanted. */
        json_auto_t *nothing = json_object();

        st = call_plain(telegram, "deleteWebhook", nothing, arena, err);
        if (st == ST_OK)
            st = get_updates(telegram, cursor, wait_ms, arena, &answer, err);
    }
    /* Fetching changes nothing at Telegram, so it may simply be done again. */
    if (st == ST_UNCERTAIN)
        st = err_set_detail(err, ST_UNAVAILABLE, "getUpdates was not answered");
    if (st == ST_OK)
        st = read_updates(answer.result, cursor, arena, poll_out, err);
    json_decref(answer.result);
    return st;
}
