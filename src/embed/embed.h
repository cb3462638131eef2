/*
 * embed.h - texts to sentence vectors, behind one call
 *
 *   texts -> embedder: checked -> cut into the driver's batches -> driver -> unit vectors ->
 * checked
 *
 * A vector has embed_dimension() floats and length 1, so that the dot product of two is their
 * cosine. Only vectors of one embed_version() may be compared. The same text has the same vector,
 * whatever stands beside it in a batch (within float rounding). Threads: shared. Blocks:
 * embed_texts, up to its deadline; a driver that computes here finishes the piece it is at.
 */
#ifndef PARLEY_EMBED_EMBED_H
#define PARLEY_EMBED_EMBED_H

#include <jansson.h>

#include "base/arena.h"
#include "base/clock.h"
#include "net/http_client.h"

#define EMBED_MAX_DIMENSION 4096U
#define EMBED_MAX_TEXT_BYTES ((size_t)1024 * 1024)

struct embedder;

struct embed_env {
    struct http_client *http; /* NULL: drivers that call a server cannot be opened */
    struct clock *clock;
};

/* config: JSON object {"driver": "minilm", ...} as in docs/contracts/embed.md; unknown keys are
 * ST_INVALID. ST_NOT_FOUND: the weights are not there, and the words say how to get them. */
MUST_USE enum status embed_open(const struct embed_env *env, const json_t *config,
                                struct embedder **embedder_out, struct err *err);
void embed_close(struct embedder **embedder); /* accepts NULL; no call may be running */

unsigned embed_dimension(const struct embedder *embedder); /* 1..EMBED_MAX_DIMENSION */
struct str embed_name(const struct embedder *embedder);    /* in logs and metrics */
struct str embed_version(const struct embedder *embedder); /* beside stored vectors */

/* vectors_out holds count * embed_dimension() floats, text after text. Texts are valid UTF-8, hold
 * more than white space and at most EMBED_MAX_TEXT_BYTES; what a model cannot read of a long text
 * is left out at its end. ST_INVALID: a text, or the deadline, is at fault. ST_BUSY,
 * ST_UNAVAILABLE: later it may work. ST_DENIED: key refused. ST_TOO_LARGE: the server says that a
 * text is too long. On failure vectors_out holds nothing of use. */
MUST_USE enum status embed_texts(struct embedder *embedder, const struct str *texts, size_t count,
                                 unsigned deadline_ms, float *vectors_out, struct err *err);

#endif
