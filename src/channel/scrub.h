/*
 * scrub.h - takes out of a provider's words what must not stand in a log or a row
 *
 * Providers quote in their refusals: the text that they could not read, the address, now and then
 * the token. Hidden is whatever the message, its recipient or the channel's credentials have in
 * common with the words, and what looks like a token of any kind.
 * Threads: any.
 */
#ifndef PARLEY_CHANNEL_SCRUB_H
#define PARLEY_CHANNEL_SCRUB_H

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

struct scrub {
    struct str text;           /* of the message; may be empty */
    struct str recipient;      /* may be empty */
    const json_t *credentials; /* object of texts; may be NULL */
};

/* Both texts of err; detail is cut to what the operator needs. */
void scrub_err(const struct scrub *scrub, struct err *err);

#endif
