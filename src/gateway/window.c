/*
 * window.c - whether a message may be sent as it is, and what takes its place
 */
#include "gateway/window.h"

#include "base/buf.h"
#include "channel/markup.h"
#include "conversation/delivery.h"
#include "gateway/gateway_sql.h"
#include "text/json.h"
#include "text/text.h"

/* A message is a while on its way, and the provider counts when it comes there, by its own clock:
 * in the last minute it would be refused as often as not. */
#define MARGIN_US (INT64_C(60) * US_PER_S)
#define WINDOW_US (INT64_C(24) * 3600 * US_PER_S - MARGIN_US)
#define PARAMETER_MAX_CHARS 900 /* of providers' 1024, with room for the template's own words */
#define SENT_WORDS_MAX_BYTES ((size_t)16 * 1024)

static struct metric closed_total = {
    .name = "parley_gateway_window_closed_total",
    .help = "Messages for which the provider's window was closed, by source and what followed",
    .kind = METRIC_COUNTER,
    .labels = {"source", "result"},
};

struct hearing {
    struct conversation_id conversation_id;
    int64_t heard_us; /* 0: never */
};

static enum status
read_last_heard(struct store_tx *tx, void *arg, struct err *err)
{
    struct hearing *hearing = arg;
    struct store_rows *rows = NULL;
    enum status st =
        store_query_one(tx, &SQL_LAST_HEARD, ARGS(sv_id(hearing->conversation_id)), &rows, err);

    hearing->heard_us = 0;
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    hearing->heard_us = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

/* Templates take neither line breaks nor long texts. */
static struct str
on_one_line(struct str text, struct arena *arena)
{
    struct str plain = markup_render(text, &markup_plain, arena, NULL);
    char *line = arena_alloc(arena, plain.len + 1);
    size_t length = 0;

    for (size_t i = 0; i < plain.len; i++) {
        bool is_space = plain.ptr[i] == '\n' || plain.ptr[i] == '\r' || plain.ptr[i] == '\t' ||
                        plain.ptr[i] == ' ';

        if (!is_space)
            line[length++] = plain.ptr[i];
        else if (length > 0 && line[length - 1] != ' ')
            line[length++] = ' ';
    }
    return text_ellipsis(str_trim(str_of(line, length)), PARAMETER_MAX_CHARS, arena);
}

static json_t *
fill(const json_t *template, struct str text, struct arena *arena)
{
    json_t *filled = json_deep_copy(template);
    json_t *parameters = json_get_array(filled, "parameters");
    json_t *parameter;
    size_t i;

    json_array_foreach (parameters, i, parameter) {
        if (str_eq_c(str_from_c(json_string_value(parameter)), "{text}"))
            json_array_set_new(parameters, i, json_from_str(on_one_line(text, arena)));
    }
    return filled;
}

enum status
window_check(struct gateway *gateway, const struct tenant_scope *scope,
             const struct channel *channel, const struct message *message,
             enum window_verdict *verdict_out, struct err *err)
{
    struct hearing hearing = {.conversation_id = message->conversation_id};
    const json_t *settings = channel_record(channel)->settings;
    json_auto_t *metadata = NULL;
    enum status st = ST_OK;

    *verdict_out = WINDOW_OPEN;
    if ((channel_caps(channel) & CHANNEL_HAS_WINDOW) == 0)
        return ST_OK;
    st = json_parse(message->metadata, &metadata, err);
    if (st != ST_OK || json_get_object(metadata, "template") != NULL)
        return st;
    st = store_read(gateway->config.store, scope, "send_window", read_last_heard, &hearing, err);
    if (st != ST_OK || (hearing.heard_us != 0 &&
                        clock_wall_us(gateway->config.clock) - hearing.heard_us < WINDOW_US))
        return st;
    *verdict_out =
        json_get_object(settings, "window_template") != NULL ? WINDOW_TEMPLATE : WINDOW_CLOSED;
    return ST_OK;
}

/* The template leaves as a part of its own, so that what is still said of the text's parts, by
 * their ids or our references, is not taken for news of the template. */
static enum status
replace(struct store_tx *tx, const struct message *message, json_t *metadata,
        const json_t *template, enum window_closer closer, int64_t now_us, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    struct delivery_part *parts = NULL;
    json_t *window = json_object();
    size_t count = 0;
    enum status st = delivery_list(tx, message->id, arena, &parts, &count, err);

    json_set_str(window, "closed_by", closer == WINDOW_BY_CLOCK ? STR("clock") : STR("provider"));
    json_set_int(window, "part", count == 0 ? 0 : parts[count - 1].part + 1);
    json_set(metadata, "window", window);
    json_set(metadata, "template", fill(template, message->body, arena));
    return st == ST_OK ? delivery_replace(tx, message, json_text(metadata, arena), now_us, err)
                       : st;
}

enum status
window_close(struct store_tx *tx, const struct channel_record *record, struct message_id id,
             enum window_closer closer, int64_t now_us, bool *replaced_out, struct err *err)
{
    const json_t *template = json_get_object(record->settings, "window_template");
    struct escalation_id escalation;
    json_auto_t *metadata = NULL;
    struct message message;
    enum status st = message_get(tx, id, store_tx_arena(tx), &message, err);

    *replaced_out = false;
    if (st == ST_OK)
        st = json_parse(message.metadata, &metadata, err);
    if (st != ST_OK)
        return st;
    if (template != NULL && json_get_object(metadata, "template") == NULL) {
        *replaced_out = true;
        return replace(tx, &message, metadata, template, closer, now_us, err);
    }
    st = delivery_fail(tx, &message, "window_closed", now_us, err);
    if (st == ST_OK) /* to a person, who knows another way */
        st = escalation_open(tx, message.conversation_id, (struct message_id){{""}},
                             "outside_window", message.body, now_us, &escalation, err);
    return st;
}

bool
window_template_part(const json_t *metadata, size_t *part_out)
{
    int64_t part = json_get_int(json_get_object(metadata, "window"), "part", 0);

    *part_out = part > 0 ? (size_t)part : 0;
    return json_get_object(metadata, "template") != NULL;
}

struct str
window_sent_words(const struct message *message, struct arena *arena)
{
    json_auto_t *metadata = NULL;
    const json_t *template;
    struct str words = message->body;
    struct err ignored;
    struct buf buf;
    json_t *parameter;
    size_t i;

    if (json_parse(message->metadata, &metadata, &ignored) != ST_OK ||
        json_get_object(metadata, "window") == NULL)
        return words;
    template = json_get_object(metadata, "template");
    buf_init(&buf, SENT_WORDS_MAX_BYTES);
    buf_append(&buf, json_get_str(template, "name"));
    buf_append_byte(&buf, '(');
    json_array_foreach (json_get_array(template, "parameters"), i, parameter) {
        if (i > 0)
            buf_append_byte(&buf, '|');
        buf_append(&buf, str_of(json_string_value(parameter), json_string_length(parameter)));
    }
    buf_append_byte(&buf, ')');
    if (buf_check(&buf, &ignored) == ST_OK)
        words = arena_str(arena, buf_str(&buf));
    buf_deinit(&buf);
    return words;
}

bool
window_reopen(json_t *metadata, int64_t *first_part_out)
{
    const json_t *window = json_get_object(metadata, "window");

    if (window == NULL)
        return false;
    *first_part_out = json_get_int(window, "part", 0);
    json_object_del(metadata, "window");
    json_object_del(metadata, "template");
    return true;
}

void
window_tell(struct gateway *gateway, const struct tenant_scope *scope,
            const struct message *message, bool replaced, struct arena *arena)
{
    METRIC_INC(&closed_total, message->source, replaced ? STR("template") : STR("escalated"));
    if (replaced)
        return;
    live_publish(
        gateway->config.live, scope, STR("inbox"), STR("waiting_for_person"),
        arena_printf(arena, "{\"conversation_id\":\"%s\"}", message->conversation_id.id.text));
}
