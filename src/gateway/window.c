/*
 * window.c - whether a message may be sent as it is, and what takes its place
 */
#include "gateway/window.h"

#include "channel/markup.h"
#include "gateway/gateway_sql.h"
#include "text/json.h"
#include "text/text.h"

#define WINDOW_US (INT64_C(24) * 3600 * US_PER_S)
#define PARAMETER_MAX_CHARS 900 /* of providers' 1024, with room for the template's own words */

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
             const struct channel *channel, const struct message *message, struct arena *arena,
             enum window_verdict *verdict_out, json_t **template_out, struct err *err)
{
    struct hearing hearing = {.conversation_id = message->conversation_id};
    const json_t *template = json_get_object(channel_record(channel)->settings, "window_template");
    json_auto_t *metadata = NULL;
    enum status st = ST_OK;

    *verdict_out = WINDOW_OPEN;
    *template_out = NULL;
    if ((channel_caps(channel) & CHANNEL_HAS_WINDOW) == 0)
        return ST_OK;
    st = json_parse(message->metadata, &metadata, err);
    if (st != ST_OK || json_get_object(metadata, "template") != NULL)
        return st;
    st = store_read(gateway->config.store, scope, "send_window", read_last_heard, &hearing, err);
    if (st != ST_OK || (hearing.heard_us != 0 &&
                        clock_wall_us(gateway->config.clock) - hearing.heard_us < WINDOW_US))
        return st;
    *verdict_out = template != NULL ? WINDOW_TEMPLATE : WINDOW_CLOSED;
    if (template != NULL)
        *template_out = fill(template, message->body, arena);
    return ST_OK;
}
