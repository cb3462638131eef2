/*
 * sse_parser.c - the event stream format, WHATWG HTML section 9.2.6
 *
 * Lines are gathered byte by byte in runs; a field is looked at when its line is complete. The last
 * id stays for later events, as the format says; an id with a NUL byte is passed over.
 */
#include "net/sse_parser.h"

#include <string.h>

/* A line longer than its event may be can only be a comment or an unknown field; it is bounded too.
 */
#define LINE_MARGIN_BYTES ((size_t)64)

void
sse_parser_init(struct sse_parser *parser, size_t max_event_bytes, sse_on_event on_event,
                void *context)
{
    buf_init(&parser->line, max_event_bytes + LINE_MARGIN_BYTES);
    buf_init(&parser->data, max_event_bytes);
    buf_init(&parser->event, max_event_bytes);
    buf_init(&parser->id, max_event_bytes);
    parser->on_event = on_event;
    parser->context = context;
    parser->last_was_cr = false;
    parser->stopped = false;
    parser->at_start = true;
}

void
sse_parser_deinit(struct sse_parser *parser)
{
    buf_deinit(&parser->line);
    buf_deinit(&parser->data);
    buf_deinit(&parser->event);
    buf_deinit(&parser->id);
}

static enum status
dispatch(struct sse_parser *parser, struct err *err)
{
    struct sse_event event;
    enum status st = buf_check(&parser->data, err);

    if (st == ST_OK)
        st = buf_check(&parser->event, err);
    if (st == ST_OK)
        st = buf_check(&parser->id, err);
    if (st != ST_OK)
        return err_wrap(err, "event stream");
    /* Every data field appended an LF, so an empty buffer means that there was none. */
    if (parser->data.len > 0) {
        event.event = buf_str(&parser->event);
        event.data = str_sub(buf_str(&parser->data), 0, parser->data.len - 1);
        event.id = buf_str(&parser->id);
        if (!parser->on_event(&event, parser->context))
            parser->stopped = true;
    }
    buf_clear(&parser->data);
    buf_clear(&parser->event);
    return ST_OK;
}

static enum status
take_line(struct sse_parser *parser, struct err *err)
{
    struct str line = buf_str(&parser->line);
    struct str name = line;
    struct str value = STR_EMPTY;
    ptrdiff_t colon;

    if (parser->at_start && str_starts_with(line, STR("\xEF\xBB\xBF")))
        name = line = str_sub(line, 3, line.len);
    parser->at_start = false;
    if (line.len == 0)
        return dispatch(parser, err);
    colon = str_find_byte(line, ':');
    if (colon >= 0) {
        name = str_sub(line, 0, (size_t)colon);
        value = str_sub(line, (size_t)colon + 1, line.len);
        if (str_starts_with(value, STR(" ")))
            value = str_sub(value, 1, value.len);
    }
    if (str_eq(name, STR("data"))) {
        buf_append(&parser->data, value);
        buf_append_byte(&parser->data, '\n');
    } else if (str_eq(name, STR("event"))) {
        buf_clear(&parser->event);
        buf_append(&parser->event, value);
    } else if (str_eq(name, STR("id")) && (value.len == 0 || str_find_byte(value, '\0') < 0)) {
        buf_clear(&parser->id);
        buf_append(&parser->id, value);
    }
    /* An event over the limit is told at once, not when its end comes. */
    if (parser->data.failed || parser->event.failed || parser->id.failed)
        return dispatch(parser, err);
    return ST_OK;
}

static size_t
line_end(struct str bytes, size_t from)
{
    while (from < bytes.len && bytes.ptr[from] != '\n' && bytes.ptr[from] != '\r')
        from++;
    return from;
}

enum status
sse_parser_push(struct sse_parser *parser, struct str bytes, struct err *err)
{
    size_t at = 0;
    enum status st = ST_OK;

    while (at < bytes.len && !parser->stopped && st == ST_OK) {
        size_t end;

        if (parser->last_was_cr && bytes.ptr[at] == '\n')
            at++; /* the second half of CR LF */
        parser->last_was_cr = false;
        end = line_end(bytes, at);
        if (end > at) {
            buf_append(&parser->line, str_sub(bytes, at, end - at));
            st = buf_check(&parser->line, err);
            if (st != ST_OK)
                return err_wrap(err, "event stream line");
        }
        at = end;
        if (at == bytes.len)
            break;
        parser->last_was_cr = bytes.ptr[at] == '\r';
        at++;
        st = take_line(parser, err);
        buf_clear(&parser->line);
    }
    return st;
}
