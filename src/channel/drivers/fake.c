/*
 * fake.c - the drivers for tests: fake, failing and recording; one channel with three tables
 */
#include "channel/drivers/fake.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "channel/secrets.h"
#include "text/json.h"
#include "text/text.h"

#define SECRET_MIN_LEN 8
#define DEFAULT_MAX_UNITS 4096

struct record {
    struct fake_call call; /* its strings are the record's, on the heap */
    struct record *next;
};

struct fake_channel {
    struct channel base;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    unsigned long long sent;
    enum status script[FAKE_SCRIPT_MAX];
    size_t script_at, script_len;
    struct record *first, *last;
    size_t record_count;
};

static struct fake_channel *
fake_of(struct channel *channel)
{
    return (struct fake_channel *)channel;
}

/* --- settings --- */

static const char *const setting_keys[] = {"account", "max_units", "script", NULL};
static const char *const credential_keys[] = {"secret", NULL};

static bool
status_parse(const char *name, enum status *status_out)
{
    for (int code = ST_OK; code <= ST_INTERNAL; code++)
        if (name != NULL && strcmp(name, status_name((enum status)code)) == 0) {
            *status_out = (enum status)code;
            return true;
        }
    return false;
}

static enum status
read_script(const json_t *settings, enum status *script, size_t *len_out, struct err *err)
{
    const json_t *names = json_object_get(settings, "script");
    size_t i;
    json_t *name;

    *len_out = 0;
    if (names != NULL && (!json_is_array(names) || json_array_size(names) > FAKE_SCRIPT_MAX))
        return err_set(err, ST_INVALID, "script must be a list of at most %d", FAKE_SCRIPT_MAX);
    json_array_foreach (names, i, name) {
        if (!status_parse(json_string_value(name), &script[i]))
            return err_set(err, ST_INVALID, "script: number %zu is no status name", i + 1);
        *len_out = i + 1;
    }
    return ST_OK;
}

static enum status
fake_check_spec(struct channel_spec *spec, json_t *settings, json_t *credentials,
                struct arena *arena, struct err *err)
{
    enum status script[FAKE_SCRIPT_MAX];
    size_t length;
    const json_t *max_units = json_object_get(settings, "max_units");
    const json_t *account = json_object_get(settings, "account");

    if (json_object_get(credentials, "secret") == NULL) {
        struct id_text secret = id_new();
        json_set_str(credentials, "secret", id_str(&secret));
    }
    if (json_get_str(credentials, "secret").len < SECRET_MIN_LEN)
        return err_set(err, ST_INVALID, "secret must have at least %d bytes", SECRET_MIN_LEN);
    if (max_units != NULL && (!json_is_integer(max_units) || json_integer_value(max_units) < 1))
        return err_set(err, ST_INVALID, "max_units must be a number from 1");
    if (account != NULL && !json_is_string(account))
        return err_set(err, ST_INVALID, "account must be text");
    spec->account = arena_str(arena, json_get_str(settings, "account"));
    return read_script(settings, script, &length, err);
}

/* --- inbound --- */

static enum status
fake_verify(const struct channel_record *record, const struct webhook *webhook,
            const struct channel_env *env, struct err *err)
{
    (void)env;
    if (webhook->request == NULL ||
        !channel_secret_is(record, "secret", SECRET_MIN_LEN,
                           http_request_header(webhook->request, "X-Fake-Secret")))
        return err_set(err, ST_DENIED, "wrong or missing X-Fake-Secret");
    return ST_OK;
}

/* GET ?secret=...&challenge=...: the challenge comes back. */
static enum status
fake_handshake(const struct channel_record *record, const struct webhook *webhook,
               const struct channel_env *env, struct arena *arena, struct webhook_reply *reply_out,
               struct err *err)
{
    (void)env;
    if (webhook->request->method != HTTP_GET)
        return ST_NOT_FOUND;
    if (!channel_secret_is(record, "secret", SECRET_MIN_LEN,
                           http_request_query(webhook->request, "secret")))
        return err_set(err, ST_DENIED, "wrong or missing secret");
    *reply_out = (struct webhook_reply){
        200, "text/plain", arena_str(arena, http_request_query(webhook->request, "challenge"))};
    return ST_OK;
}

struct fake_body {
    struct str id, user, chat, text, name, locale, event, about, state, reason, reference;
    int64_t time_us;
    bool wants_answer, new_conversation;
    json_t *attachments; /* of the body */
};

static enum status
read_body(const json_t *json, struct fake_body *body, struct err *err)
{
#define STR_FIELD(name, must)                                                                      \
    {                                                                                              \
        .key = #name, .kind = JSON_FIELD_STR, .required = (must),                                  \
        .offset = offsetof(struct fake_body, name)                                                 \
    }
#define BOOL_FIELD(name)                                                                           \
    {                                                                                              \
        .key = #name, .kind = JSON_FIELD_BOOL, .offset = offsetof(struct fake_body, name)          \
    }
    static const struct json_field fields[] = {
        STR_FIELD(id, true),
        STR_FIELD(user, false),
        STR_FIELD(chat, false),
        STR_FIELD(text, false),
        STR_FIELD(name, false),
        STR_FIELD(locale, false),
        STR_FIELD(event, false),
        STR_FIELD(about, false),
        STR_FIELD(state, false),
        STR_FIELD(reason, false),
        STR_FIELD(reference, false),
        {.key = "time_us", .kind = JSON_FIELD_INT, .offset = offsetof(struct fake_body, time_us)},
        BOOL_FIELD(wants_answer),
        BOOL_FIELD(new_conversation),
        {.key = "attachments",
         .kind = JSON_FIELD_ARRAY,
         .offset = offsetof(struct fake_body, attachments)},
        {.key = NULL}};
#undef STR_FIELD
#undef BOOL_FIELD
    enum status st = json_read(json, fields, body, err);

    if (st == ST_OK && (body->id.len == 0 ||
                        (body->event.ptr == NULL && (body->user.len == 0 || body->chat.len == 0))))
        st = err_set(err, ST_INVALID, "a message needs id, user and chat");
    return st;
}

static enum delivery_state
read_delivery_state(struct str word)
{
    static const char *const words[] = {[DELIVERY_SENT] = "sent",
                                        [DELIVERY_DELIVERED] = "delivered",
                                        [DELIVERY_READ] = "read",
                                        [DELIVERY_FAILED] = "failed",
                                        [DELIVERY_WINDOW_CLOSED] = "window_closed"};

    for (size_t i = DELIVERY_SENT; i <= DELIVERY_WINDOW_CLOSED; i++)
        if (str_eq_c(word, words[i]))
            return (enum delivery_state)i;
    return DELIVERY_NONE;
}

static enum status
fake_parse(struct channel *channel, const struct webhook *webhook, struct inbound_batch *batch,
           struct err *err)
{
    json_auto_t *json = NULL;
    struct fake_body body = {.wants_answer = true, .time_us = clock_wall_us(channel->env->clock)};
    struct arena *arena = batch->arena;
    enum status st = json_parse(webhook->body, &json, err);

    if (st == ST_OK && !json_is_object(json))
        st = err_set(err, ST_INVALID, "the body must be a JSON object");
    if (st == ST_OK)
        st = read_body(json, &body, err);
    if (st != ST_OK)
        return st;
    struct inbound *item = ARENA_NEW(arena, struct inbound);
    const char *channel_id = channel->record->id.id.text;
    struct str id = arena_printf(arena, "%s:%.*s", channel_id, STR_ARG(body.id));

    batch->items = item;
    batch->count = 1;
    item->metadata = json_object();
    item->external_user_id = arena_str(arena, body.user);
    item->external_chat_id = arena_str(arena, body.chat);
    item->text = arena_str(arena, body.text.ptr == NULL ? STR("") : body.text);
    item->display_name = arena_str(arena, body.name);
    item->locale = arena_str(arena, body.locale);
    item->timestamp_us = body.time_us;
    item->starts_new_conversation = body.new_conversation;
    if (body.event.ptr != NULL) {
        item->kind = INBOUND_EVENT;
        item->event_kind = arena_str(arena, body.event);
        item->external_event_id = id;
        item->raw = webhook->body;
        item->delivery_state = read_delivery_state(body.state);
        item->delivery_reason = arena_str(arena, body.reason);
        item->reference = arena_str(arena, body.reference);
        if (body.about.len > 0)
            item->about_external_message_id =
                arena_printf(arena, "%s:%.*s", channel_id, STR_ARG(body.about));
    } else {
        item->kind = INBOUND_MESSAGE;
        item->external_message_id = id;
        item->wants_answer = body.wants_answer;
        item->acknowledge = item->external_message_id;
        json_set_str(item->metadata, "raw_kind", STR("text"));
        json_set_bool(item->metadata, "addressed", body.wants_answer);
        if (body.attachments != NULL)
            json_set(item->metadata, "attachments", json_deep_copy(body.attachments));
    }
    return ST_OK;
}

/* --- opening --- */

static enum status
fake_open(struct channel *channel, struct err *err)
{
    struct fake_channel *fake = fake_of(channel);

    pthread_mutex_init(&fake->lock, NULL);
    cond_init(&fake->changed);
    if (json_get_str(channel->record->credentials, "secret").len < SECRET_MIN_LEN)
        return err_set(err, ST_INVALID, "the channel has no valid secret");
    return read_script(channel->record->settings, fake->script, &fake->script_len, err);
}

static void
fake_close(struct channel *channel)
{
    struct fake_channel *fake = fake_of(channel);

    while (fake->first != NULL) {
        struct record *record = fake->first;

        fake->first = record->next;
        free(record);
    }
    pthread_cond_destroy(&fake->changed);
    pthread_mutex_destroy(&fake->lock);
}

/* --- outbound --- */

static size_t
fake_split(struct channel *channel, struct str text, struct arena *arena, struct str **parts_out)
{
    int64_t max = json_get_int(channel->record->settings, "max_units", DEFAULT_MAX_UNITS);

    return text_split_utf16(text, (size_t)max, arena, parts_out);
}

static enum status
fake_send(struct channel *channel, const struct outbound *outbound, struct arena *arena,
          struct delivery *delivery_out, struct err *err)
{
    struct fake_channel *fake = fake_of(channel);

    (void)outbound;
    (void)err;
    pthread_mutex_lock(&fake->lock);
    unsigned long long number = ++fake->sent;
    pthread_mutex_unlock(&fake->lock);
    delivery_out->external_message_id =
        arena_printf(arena, "%s:sent:%llu", channel->record->id.id.text, number);
    return ST_OK;
}

/* attachment.content, a byte at a time so that limits are met within it, or attachment.fail. */
static enum status
fake_fetch_media(struct channel *channel, const json_t *attachment, const struct media_sink *sink,
                 struct arena *arena, struct str *mime_type_out, struct err *err)
{
    struct str content = json_get_str(attachment, "content");
    struct str fail = json_get_str(attachment, "fail");
    enum status outcome = ST_INVALID;

    (void)channel;
    if (fail.len > 0) {
        (void)status_parse(arena_cstr(arena, fail), &outcome);
        return err_set(err, outcome, "%s, as commanded", status_name(outcome));
    }
    if (content.ptr == NULL)
        return err_set(err, ST_INVALID, "the attachment has no content");
    for (size_t i = 0; i < content.len; i++)
        if (!sink->write(str_sub(content, i, 1), sink->context))
            return err_set(err, ST_INVALID, "nobody wants the rest");
    *mime_type_out = arena_str(arena, json_get_str(attachment, "real_type"));
    return ST_OK;
}

static void
fake_typing(struct channel *channel, struct str external_chat_id)
{
    (void)channel; /* nobody watches */
    (void)external_chat_id;
}

static enum status
fake_probe(struct channel *channel, struct arena *arena, struct str *account_out, struct err *err)
{
    (void)err;
    *account_out = arena_str(arena, channel->record->account);
    return ST_OK;
}

/* --- failing --- */

void
channel_failing_command(struct channel *channel, const enum status *outcomes, size_t count)
{
    struct fake_channel *fake = fake_of(channel);

    assert(channel->driver == &channel_driver_failing && count <= FAKE_SCRIPT_MAX);
    pthread_mutex_lock(&fake->lock);
    memcpy(fake->script, outcomes, count * sizeof outcomes[0]);
    fake->script_at = 0;
    fake->script_len = count;
    pthread_mutex_unlock(&fake->lock);
}

static enum status
take_outcome(struct fake_channel *fake, struct err *err)
{
    enum status outcome = ST_OK;

    pthread_mutex_lock(&fake->lock);
    if (fake->script_at < fake->script_len)
        outcome = fake->script[fake->script_at++];
    pthread_mutex_unlock(&fake->lock);
    if (outcome == ST_OK)
        return ST_OK;
    err_set_detail(err, outcome, "failing: %s, as commanded", status_name(outcome));
    if (status_is_passing(outcome))
        err->retry_after_ms = 1;
    return outcome;
}

static enum status
failing_send(struct channel *channel, const struct outbound *outbound, struct arena *arena,
             struct delivery *delivery_out, struct err *err)
{
    enum status outcome = take_outcome(fake_of(channel), err);

    return outcome == ST_OK ? fake_send(channel, outbound, arena, delivery_out, err) : outcome;
}

/* --- recording --- */

static struct str
place(char **at, struct str s)
{
    struct str copy = str_of(*at, s.len);

    if (s.len > 0)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return copy;
}

static void
record_call(struct channel *channel, const struct fake_call *call)
{
    struct fake_channel *fake = fake_of(channel);
    struct record *record =
        calloc(1, sizeof *record + call->chat.len + call->text.len + call->reply_to.len);

    if (record == NULL)
        abort();
    char *at = (char *)(record + 1);

    record->call = *call;
    record->call.chat = place(&at, call->chat);
    record->call.text = place(&at, call->text);
    record->call.reply_to = place(&at, call->reply_to);
    pthread_mutex_lock(&fake->lock);
    assert(fake->record_count < FAKE_RECORDS_MAX);
    if (fake->last == NULL)
        fake->first = record;
    else
        fake->last->next = record;
    fake->last = record;
    fake->record_count++;
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
}

size_t
channel_recording_count(struct channel *channel)
{
    struct fake_channel *fake = fake_of(channel);

    pthread_mutex_lock(&fake->lock);
    size_t count = fake->record_count;
    pthread_mutex_unlock(&fake->lock);
    return count;
}

bool
channel_recording_get(struct channel *channel, size_t index, struct arena *arena,
                      struct fake_call *call_out)
{
    struct fake_channel *fake = fake_of(channel);

    assert(channel->driver->send == channel_driver_recording.send);
    pthread_mutex_lock(&fake->lock);
    const struct record *record = fake->first;
    for (size_t i = 0; i < index && record != NULL; i++)
        record = record->next;
    if (record != NULL) {
        *call_out = record->call;
        call_out->chat = arena_str(arena, record->call.chat);
        call_out->text = arena_str(arena, record->call.text);
        call_out->reply_to = arena_str(arena, record->call.reply_to);
    }
    pthread_mutex_unlock(&fake->lock);
    return record != NULL;
}

bool
channel_recording_wait(struct channel *channel, size_t count, int64_t deadline_ms)
{
    struct fake_channel *fake = fake_of(channel);
    int64_t deadline_us = clock_mono_us(clock_system()) + deadline_ms * US_PER_MS;
    bool in_time = true;

    assert(channel->driver->send == channel_driver_recording.send);
    pthread_mutex_lock(&fake->lock);
    while (fake->record_count < count && in_time)
        in_time = cond_wait_until(&fake->changed, &fake->lock, deadline_us);
    bool reached = fake->record_count >= count;
    pthread_mutex_unlock(&fake->lock);
    return reached;
}

/* "name(first|second)": a template takes the text's place. */
static struct str
said(const struct outbound *outbound, struct arena *arena)
{
    const json_t *template = json_get_object(outbound->metadata, "template");
    const json_t *parameters = json_get_array(template, "parameters");
    struct str out = json_get_str(template, "name");
    json_t *parameter;
    size_t i;

    if (template == NULL)
        return outbound->text;
    json_array_foreach (parameters, i, parameter) {
        out = arena_printf(arena, "%.*s%s%s", STR_ARG(out), i == 0 ? "(" : "|",
                           json_string_value(parameter));
    }
    return json_array_size(parameters) == 0 ? out : arena_printf(arena, "%.*s)", STR_ARG(out));
}

static enum status
recording_send(struct channel *channel, const struct outbound *outbound, struct arena *arena,
               struct delivery *delivery_out, struct err *err)
{
    const struct fake_call call = {.kind = FAKE_SEND,
                                   .message_id = outbound->message_id,
                                   .chat = outbound->external_chat_id,
                                   .text = said(outbound, arena),
                                   .reply_to = outbound->reply_to_external_id,
                                   .part = outbound->part,
                                   .part_count = outbound->part_count};

    record_call(channel, &call);
    return fake_send(channel, outbound, arena, delivery_out, err);
}

static void
recording_typing(struct channel *channel, struct str external_chat_id)
{
    record_call(channel, &(struct fake_call){.kind = FAKE_TYPING, .chat = external_chat_id});
}

void
channel_recording_draft(struct channel *channel, struct str external_chat_id, int64_t draft_id,
                        struct str text)
{
    record_call(channel, &(struct fake_call){.kind = FAKE_DRAFT,
                                             .chat = external_chat_id,
                                             .text = text,
                                             .part = (unsigned)draft_id});
}

static void
recording_acknowledge(struct channel *channel, struct str acknowledge)
{
    record_call(channel, &(struct fake_call){.kind = FAKE_ACKNOWLEDGE, .text = acknowledge});
}

/* --- growing --- */

static void
record_growth(struct channel *channel, enum fake_call_kind kind, const struct outbound *outbound,
              struct str external_message_id, unsigned step)
{
    record_call(channel, &(struct fake_call){.kind = kind,
                                             .message_id = outbound->message_id,
                                             .chat = outbound->external_chat_id,
                                             .text = outbound->text,
                                             .reply_to = external_message_id,
                                             .part = step,
                                             .part_count = outbound->part_count});
}

static enum status
growing_begin(struct channel *channel, const struct outbound *outbound, struct arena *arena,
              struct delivery *delivery_out, struct err *err)
{
    enum status outcome = take_outcome(fake_of(channel), err);

    record_growth(channel, FAKE_BEGIN, outbound, STR_EMPTY, outbound->part);
    return outcome == ST_OK ? fake_send(channel, outbound, arena, delivery_out, err) : outcome;
}

static void
growing_grow(struct channel *channel, const struct outbound *outbound,
             struct str external_message_id, unsigned step)
{
    record_growth(channel, FAKE_GROW, outbound, external_message_id, step);
}

static enum status
growing_edit(struct channel *channel, const struct outbound *outbound,
             struct str external_message_id, struct err *err)
{
    record_growth(channel, FAKE_EDIT, outbound, external_message_id, outbound->part);
    return take_outcome(fake_of(channel), err);
}

static enum status
growing_withdraw(struct channel *channel, struct str external_chat_id,
                 struct str external_message_id, struct err *err)
{
    const struct outbound outbound = {.external_chat_id = external_chat_id};

    record_growth(channel, FAKE_WITHDRAW, &outbound, external_message_id, 0);
    return take_outcome(fake_of(channel), err);
}

static enum status
growing_find(struct channel *channel, const struct outbound *outbound, int64_t sent_us,
             struct arena *arena, struct delivery *delivery_out, struct err *err)
{
    enum status outcome = take_outcome(fake_of(channel), err);

    (void)sent_us;
    record_growth(channel, FAKE_FIND, outbound, STR_EMPTY, outbound->part);
    if (outcome == ST_OK)
        delivery_out->external_message_id =
            arena_printf(arena, "%s:found", channel->record->id.id.text);
    return outcome;
}

void
channel_fake_grows(struct channel_driver *copy, unsigned interval_ms)
{
    copy->caps |= CHANNEL_GROWS | CHANNEL_FINDS;
    copy->draft_interval_ms = interval_ms;
    copy->begin = growing_begin;
    copy->grow = growing_grow;
    copy->edit = growing_edit;
    copy->withdraw = growing_withdraw;
    copy->find = growing_find;
}

/* --- the tables --- */

#define FAKE_TABLE(name)                                                                           \
    .source = (name),                                                                              \
    .caps = CHANNEL_CAN_TYPE | CHANNEL_REPORTS_DELIVERY | CHANNEL_HAS_MEDIA | CHANNEL_HAS_WINDOW | \
            CHANNEL_SENDS_TEMPLATES,                                                               \
    .size = sizeof(struct fake_channel), .burst_window_ms = 0, .typing_interval_ms = 4000,         \
    .setting_keys = setting_keys, .credential_keys = credential_keys,                              \
    .check_spec = fake_check_spec, .open = fake_open, .close = fake_close, .verify = fake_verify,  \
    .handshake = fake_handshake, .parse = fake_parse, .split = fake_split, .probe = fake_probe,    \
    .fetch_media = fake_fetch_media

const struct channel_driver channel_driver_fake = {
    FAKE_TABLE("fake"),
    .send = fake_send,
    .typing = fake_typing,
};

const struct channel_driver channel_driver_failing = {
    FAKE_TABLE("failing"),
    .send = failing_send,
    .typing = fake_typing,
};

const struct channel_driver channel_driver_recording = {
    FAKE_TABLE("recording"),     .send = recording_send,
    .typing = recording_typing,  .acknowledge = recording_acknowledge,
    .accepted_type = "text/xml", .accepted_body = "<Response/>",
};
