/*
 * failing.c - an embedder for tests that fails on command
 *
 *   {"driver": "failing", "status": "unavailable", "skip": 0, "times": 2, "retry_after_ms": 0}
 * After "skip" batches that it answers as fake does, the next "times" (0: all) fail with "status";
 * later ones are answered again.
 */
#include "embed/embed_driver.h"

#include <stdatomic.h>

#include "text/json.h"

#define DIMENSION 64
#define MAX_BATCH ((size_t)8)

struct failing {
    struct embedder base;
    enum status status;
    int64_t skip, times;
    int retry_after_ms;
    _Atomic int64_t calls;
};

struct failing_config {
    struct str driver, status;
    int64_t skip, times, retry_after_ms;
};

static const struct json_field failing_fields[] = {
    {"driver", JSON_FIELD_STR, true, offsetof(struct failing_config, driver), 64, 0, 0},
    {"status", JSON_FIELD_STR, false, offsetof(struct failing_config, status), 32, 0, 0},
    {"skip", JSON_FIELD_INT, false, offsetof(struct failing_config, skip), 0, 0, 1000000},
    {"times", JSON_FIELD_INT, false, offsetof(struct failing_config, times), 0, 0, 1000000},
    {"retry_after_ms", JSON_FIELD_INT, false, offsetof(struct failing_config, retry_after_ms), 0, 0,
     3600000},
    {NULL, JSON_FIELD_STR, false, 0, 0, 0, 0},
};

static enum status
failing_open(struct embedder *embedder, const json_t *config, struct err *err)
{
    struct failing *failing = (struct failing *)embedder;
    struct failing_config read = {.status = STR("unavailable")};
    enum status st = json_read(config, failing_fields, &read, err);

    if (st != ST_OK)
        return st;
    for (int code = ST_INVALID; code <= ST_INTERNAL; code++) {
        if (str_eq_c(read.status, status_name((enum status)code)))
            failing->status = (enum status)code;
    }
    if (failing->status == ST_OK)
        return err_set(err, ST_INVALID, "\"status\" is not the name of a failure");
    failing->skip = read.skip;
    failing->times = read.times;
    failing->retry_after_ms = (int)read.retry_after_ms;
    embedder->dimension = DIMENSION;
    embedder->max_batch = MAX_BATCH;
    embedder->version = STR("failing/1");
    return ST_OK;
}

static void
failing_close(struct embedder *embedder)
{
    (void)embedder;
}

static enum status
failing_texts(struct embedder *embedder, const struct str *texts, size_t count, int64_t deadline_us,
              float *vectors_out, struct err *err)
{
    struct failing *failing = (struct failing *)embedder;
    int64_t call = atomic_fetch_add(&failing->calls, 1) - failing->skip;

    (void)deadline_us;
    if (call >= 0 && (failing->times == 0 || call < failing->times)) {
        (void)err_set(err, failing->status, "told to fail (call %lld)", (long long)call);
        err->retry_after_ms = failing->retry_after_ms;
        return failing->status;
    }
    for (size_t i = 0; i < count; i++)
        embed_fake_vector(texts[i], embedder->dimension, vectors_out + i * embedder->dimension);
    return ST_OK;
}

const struct embed_driver embed_driver_failing = {
    .name = "failing",
    .size = sizeof(struct failing),
    .open = failing_open,
    .close = failing_close,
    .texts = failing_texts,
};
