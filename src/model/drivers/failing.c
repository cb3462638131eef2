/*
 * failing.c - a model for tests that fails on command
 *
 *   {"driver": "failing", "status": "unavailable", "times": 2, "retry_after_ms": 0, "text": "…",
 *    "after_words": 0, "skip": 0}
 * After "skip" calls that answer with "text", the next "times" calls (0: all) fail with "status",
 * having given "after_words" words of "text"; later calls answer again.
 */
#include "model/model_driver.h"

#include <stdatomic.h>

#include "text/json.h"

struct failing_config {
    struct str driver, status, text;
    int64_t times, retry_after_ms, after_words, skip;
};

static const struct json_field failing_fields[] = {
    {"driver", JSON_FIELD_STR, true, offsetof(struct failing_config, driver), 64, 0, 0},
    {"status", JSON_FIELD_STR, false, offsetof(struct failing_config, status), 32, 0, 0},
    {"text", JSON_FIELD_STR, false, offsetof(struct failing_config, text), 65536, 0, 0},
    {"times", JSON_FIELD_INT, false, offsetof(struct failing_config, times), 0, 0, 1000000},
    {"retry_after_ms", JSON_FIELD_INT, false, offsetof(struct failing_config, retry_after_ms), 0, 0,
     3600000},
    {"after_words", JSON_FIELD_INT, false, offsetof(struct failing_config, after_words), 0, 0,
     10000},
    {"skip", JSON_FIELD_INT, false, offsetof(struct failing_config, skip), 0, 0, 1000000},
    {NULL, JSON_FIELD_STR, false, 0, 0, 0, 0},
};

struct failing_model {
    struct model base;
    enum status status;
    struct str text;
    int64_t times; /* 0: every call */
    int retry_after_ms;
    int64_t after_words;
    int64_t skip;
    _Atomic int64_t calls;
};

static enum status
failing_open(struct model *model, const json_t *config, struct err *err)
{
    struct failing_model *failing = (struct failing_model *)model;
    struct failing_config read = {.status = STR("unavailable"), .text = STR("It works again.")};
    enum status st = json_read(config, failing_fields, &read, err);

    if (st != ST_OK)
        return st;
    for (int code = ST_INVALID; code <= ST_INTERNAL; code++) {
        if (str_eq_c(read.status, status_name((enum status)code)))
            failing->status = (enum status)code;
    }
    if (failing->status == ST_OK)
        return err_set(err, ST_INVALID, "\"status\" is not the name of a failure");
    failing->times = read.times;
    failing->retry_after_ms = (int)read.retry_after_ms;
    failing->after_words = read.after_words;
    failing->skip = read.skip;
    return arena_try_str(model->arena, read.text, &failing->text, err);
}

static void
failing_close(struct model *model)
{
    (void)model;
}

/* The first words of text, with the spaces between them. */
static struct str
first_words(struct str text, int64_t words)
{
    size_t end = 0;

    for (; words > 0 && end < text.len; words--) {
        while (end < text.len && text.ptr[end] == ' ')
            end++;
        while (end < text.len && text.ptr[end] != ' ')
            end++;
    }
    return str_sub(text, 0, end);
}

static enum status
failing_complete(struct model *model, const struct model_request *request, struct model_sink *sink,
                 struct arena *arena, struct model_reply *reply, struct err *err)
{
    struct failing_model *failing = (struct failing_model *)model;
    int64_t call = atomic_fetch_add(&failing->calls, 1) + 1;

    (void)request;
    (void)arena;
    (void)reply;
    if (call <= failing->skip || (failing->times > 0 && call > failing->skip + failing->times)) {
        (void)model_sink_words(sink, failing->text);
        return ST_OK;
    }
    if (!model_sink_words(sink, first_words(failing->text, failing->after_words)))
        return ST_OK;
    (void)err_set(err, failing->status, "told to fail (call %lld)", (long long)call);
    err->retry_after_ms = failing->retry_after_ms;
    return failing->status;
}

const struct model_driver model_driver_failing = {
    .name = "failing",
    .caps = MODEL_READS_MESSAGES | MODEL_READS_PASSAGES | MODEL_CAN_BE_AWAY,
    .size = sizeof(struct failing_model),
    .open = failing_open,
    .close = failing_close,
    .complete = failing_complete,
};
