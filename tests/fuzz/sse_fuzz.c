/*
 * sse_fuzz.c - any bytes as an event stream
 *
 * The first byte says how the rest is cut; whole and in pieces it must give the same events.
 */
#include <assert.h>

#include "net/sse_parser.h"

#define MAX_EVENT_BYTES 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct buf text;
    unsigned count;
};

static bool
on_event(const struct sse_event *event, void *context)
{
    struct seen *seen = context;

    assert(event->data.len <= MAX_EVENT_BYTES && event->event.len <= MAX_EVENT_BYTES);
    assert(str_find_byte(event->id, '\0') < 0);
    buf_printf(&seen->text, "%zu/%zu/%zu:", event->event.len, event->data.len, event->id.len);
    buf_append(&seen->text, event->event);
    buf_append(&seen->text, event->data);
    buf_append(&seen->text, event->id);
    return ++seen->count < 100;
}

static enum status
run(struct str input, size_t piece, struct seen *seen)
{
    struct sse_parser parser;
    struct err err;
    enum status st = ST_OK;

    buf_init(&seen->text, 1024 * 1024);
    seen->count = 0;
    sse_parser_init(&parser, MAX_EVENT_BYTES, on_event, seen);
    for (size_t at = 0; at < input.len && st == ST_OK; at += piece)
        st = sse_parser_push(&parser, str_sub(input, at, piece), &err);
    sse_parser_deinit(&parser);
    return st;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = str_of((const char *)data, size);
    struct seen whole;
    struct seen cut;
    enum status whole_st;
    enum status cut_st;

    if (size < 2)
        return 0;
    input = str_sub(input, 1, size);
    whole_st = run(input, input.len, &whole);
    cut_st = run(input, (size_t)data[0] + 1, &cut);
    assert(whole_st == cut_st);
    assert(whole.count == cut.count);
    assert(str_eq(buf_str(&whole.text), buf_str(&cut.text)));
    buf_deinit(&whole.text);
    buf_deinit(&cut.text);
    return 0;
}
