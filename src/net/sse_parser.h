/*
 * sse_parser.h - server-sent events from bytes as they come (WHATWG HTML, "Server-sent events")
 *
 * Accepts LF, CR LF and CR; joins several data lines with LF; one optional space after the colon;
 * comment lines and unknown fields are passed over; bytes may be cut anywhere. Threads: one.
 */
#ifndef PARLEY_NET_SSE_PARSER_H
#define PARLEY_NET_SSE_PARSER_H

#include "base/buf.h"

struct sse_event {
    struct str event; /* "" when not named */
    struct str data;
    struct str id;
};

/* Returning false stops the parser: later bytes are ignored. */
typedef bool (*sse_on_event)(const struct sse_event *event, void *context);

struct sse_parser {
    struct buf line, data, event, id;
    sse_on_event on_event;
    void *context;
    bool last_was_cr, stopped, at_start;
};

/* max_event_bytes bounds one event. */
void sse_parser_init(struct sse_parser *parser, size_t max_event_bytes, sse_on_event on_event,
                     void *context);
void sse_parser_deinit(struct sse_parser *parser);
/* ST_TOO_LARGE: one event passed the limit. */
MUST_USE enum status sse_parser_push(struct sse_parser *parser, struct str bytes, struct err *err);

#endif
