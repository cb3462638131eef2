/*
 * openai_error.h - what an OpenAI-compatible server means when it refuses; for openai_*.c alone
 *
 * Errors come as {"error": {"message", "type", "param", "code": "text" or int}}, {"error": "text"},
 * {"object": "error", "message", ...}, {"detail": ...} or no JSON at all; with their own status,
 * with 200, or in the middle of a stream. Threads: any.
 */
#ifndef PARLEY_MODEL_DRIVERS_OPENAI_ERROR_H
#define PARLEY_MODEL_DRIVERS_OPENAI_ERROR_H

#include <jansson.h>

#include "base/arena.h"

/* Parameters that a server may refuse and that an answer can do without, or spell differently. */
enum openai_parameter {
    OPENAI_TEMPERATURE = 1,
    OPENAI_MAX_COMPLETION_TOKENS = 2,
    OPENAI_MAX_TOKENS = 4,
    OPENAI_STREAM_OPTIONS = 8
};

struct openai_error {
    int http_status; /* of the reply, or the code in the body of a 200; 0: not told */
    char code[64];   /* error.code or error.type: a word, never free text */
    char text[160];  /* error.message; "" where it might hold a part of the key */
    enum status status;
    bool may_retry;   /* by the rule of the official client */
    unsigned refused; /* enum openai_parameter */
};

/* True when the object is an error in one of its forms. */
bool openai_error_is(const json_t *json);
/* Sorts an error. json may be NULL. secret is never part of text. */
void openai_error_read(int http_status, const json_t *json, struct str secret,
                       struct openai_error *error_out);

#endif
