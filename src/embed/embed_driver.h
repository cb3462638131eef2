/*
 * embed_driver.h - what a driver of sentence vectors offers; for src/embed/ alone
 *
 * The front (embed.c) checks texts and deadline, cuts batches, makes vectors of length 1 and
 * counts; a driver turns at most max_batch texts into vectors of any length but 0. A driver's table
 * is constant and complete: embed_driver_check says so at every open. Threads: texts is called by
 * many at once: a driver's state is frozen after open or locked inside.
 */
#ifndef PARLEY_EMBED_EMBED_DRIVER_H
#define PARLEY_EMBED_EMBED_DRIVER_H

#include "embed/embed.h"

struct embedder {
    const struct embed_driver *driver;
    struct embed_env env;
    struct arena *arena; /* lives as long as the embedder: configuration */
    /* Set by open: */
    struct str name, version;
    unsigned dimension;
    size_t max_batch;
};

struct embed_driver {
    const char *name; /* config key "driver" and log field */
    size_t size;      /* of the struct that begins with struct embedder */

    /* Always set. config is borrowed for the call; unknown keys are ST_INVALID. */
    enum status (*open)(struct embedder *embedder, const json_t *config, struct err *err);
    void (*close)(struct embedder *embedder); /* accepts an embedder whose open failed */
    /* 1..max_batch checked texts. deadline_us is of the system's monotonic clock. Codes as
     * embed_texts. */
    enum status (*texts)(struct embedder *embedder, const struct str *texts, size_t count,
                         int64_t deadline_us, float *vectors_out, struct err *err);
};

/* ST_INTERNAL when the table is incomplete: a programming error that a start must show. */
MUST_USE enum status embed_driver_check(const struct embed_driver *driver, struct err *err);
/* NULL when there is none of that name. */
const struct embed_driver *embed_driver_find(struct str name);

extern const struct embed_driver embed_driver_minilm;
extern const struct embed_driver embed_driver_openai;
/* For tests: vectors from the words themselves; failures on command. */
extern const struct embed_driver embed_driver_fake;
extern const struct embed_driver embed_driver_failing;

/* Of fake, for failing as well: texts that share words have vectors that are near. */
void embed_fake_vector(struct str text, unsigned dimension, float *vector_out);

#endif
