/*
 * openai_call.h - what calls to OpenAI-compatible servers share: address, headers, when to try
 * again
 *
 * The rule of the official client: 408, 409, 429, 5xx, connect and read errors are tried again; the
 * wait is what the server asks for (at most 120 s, and never past the deadline), else min(0.5 *
 * 2^n, 8) s less up to a quarter. For drivers here and for src/embed/. Threads: any.
 */
#ifndef PARLEY_MODEL_DRIVERS_OPENAI_CALL_H
#define PARLEY_MODEL_DRIVERS_OPENAI_CALL_H

#include <jansson.h>

#include "net/http_client.h"

#define OPENAI_MAX_HEADERS ((size_t)16)
#define OPENAI_FIXED_HEADERS ((size_t)3)

struct openai_headers {
    struct http_header list[OPENAI_MAX_HEADERS + OPENAI_FIXED_HEADERS];
    size_t count;
};

/* No control characters: it may stand in a header. */
bool openai_is_printable(struct str text);
/* base_url is a scheme, a host and a path alone; the result is base_url/path. ST_INVALID. */
MUST_USE enum status openai_take_url(struct str base_url, const char *path, struct arena *arena,
                                     struct str *url_out, struct err *err);
/* Content type, accept, the key unless it is empty, then added (an object of texts, or NULL).
 * ST_INVALID. */
MUST_USE enum status openai_take_headers(const json_t *added, struct str accept, struct str api_key,
                                         struct arena *arena, struct openai_headers *headers_out,
                                         struct err *err);

/* What came of one call. */
struct openai_attempt {
    enum status status;
    bool may_retry;
    int retry_after_ms; /* -1: the server did not say */
    unsigned refused;   /* enum openai_parameter */
};

/* The server refused: reply's status is not 2xx. err tells what it said, without the key. */
void openai_note_refusal(const struct http_reply *reply, struct str api_key,
                         struct openai_attempt *attempt_out, struct err *err);
/* http_client_call failed with st, and err filled; what names the call in the words. */
void openai_note_transport(enum status st, const char *what, struct openai_attempt *attempt_out,
                           struct err *err);

/* The wait before try number n (from 0), or -1 when waiting is not worth it. */
int64_t openai_retry_wait_ms(const struct openai_attempt *attempt, unsigned n, int64_t left_ms);
void openai_wait_ms(int64_t ms); /* blocks */
/* From now, by the system's monotonic clock, until deadline_us; 0 when it has passed. */
int64_t openai_left_ms(int64_t deadline_us);

#endif
