/*
 * model_driver.h - what a chat model's driver offers; for src/model/ alone
 *
 * A driver turns a request into text that it puts into a sink, piece by piece; the front (model.c)
 * keeps the text, measures, counts and fills what every reply has. A driver's table is constant and
 * complete: model_driver_check says so at every open. Threads: complete is called by many at once,
 * so a driver's own state is frozen after open or locked inside.
 */
#ifndef PARLEY_MODEL_MODEL_DRIVER_H
#define PARLEY_MODEL_MODEL_DRIVER_H

#include "base/buf.h"
#include "model/model.h"

#define MODEL_MAX_TEXT_BYTES ((size_t)256 * 1024)
#define MODEL_MAX_NAME_BYTES ((size_t)64)

enum model_caps {
    MODEL_READS_MESSAGES = 1, /* answers from request->messages */
    MODEL_READS_PASSAGES = 2, /* answers from request->question and request->passages */
    MODEL_CAN_BE_AWAY = 4     /* depends on a server: a chain keeps to its breaker and deadline */
};

struct model {
    const struct model_driver *driver;
    struct model_env env;
    struct arena *arena; /* lives as long as the model: configuration */
    struct str name;     /* in logs, metrics, replies; the driver's name unless open sets another */
};

struct model_sink;

struct model_driver {
    const char *name; /* config key "driver" and log field */
    unsigned caps;
    size_t size; /* of the struct that begins with struct model */

    /* Always set. config is borrowed for the call; unknown keys are ST_INVALID. */
    enum status (*open)(struct model *model, const json_t *config, struct err *err);
    void (*close)(struct model *model); /* accepts a model whose open failed */
    /* Puts text into the sink and fills finish, no_answer and the token counts of the reply.
     * When the sink says stop, it returns ST_OK soon. Codes as model_complete. */
    enum status (*complete)(struct model *model, const struct model_request *request,
                            struct model_sink *sink, struct arena *arena, struct model_reply *reply,
                            struct err *err);
};

/* ST_INTERNAL when the table is incomplete: a programming error that a start must show. */
MUST_USE enum status model_driver_check(const struct model_driver *driver, struct err *err);
/* NULL when there is none of that name. */
const struct model_driver *model_driver_find(struct str name);

/* --- the sink --- */

/* False: stop, the reader wants no more or the text is at its maximum. piece is valid UTF-8. */
bool model_sink_text(struct model_sink *sink, struct str piece);
/* Forgets the text so that a driver may try again. False when the reader has seen some of it. */
bool model_sink_restart(struct model_sink *sink);
/* What was put in so far; borrowed until the next call. */
struct str model_sink_so_far(const struct model_sink *sink);
/* For parsers that are tested alone: a sink without a model. on_text may be NULL. Heap. */
struct model_sink *model_sink_create(struct clock *clock, model_on_text on_text, void *context);
void model_sink_destroy(struct model_sink **sink);
/* The reader, or the maximum, stopped it. */
bool model_sink_is_stopped(const struct model_sink *sink);

/* Gives text to the sink word by word, as a model that streams would. False: stopped. */
bool model_sink_words(struct model_sink *sink, struct str text);

extern const struct model_driver model_driver_openai_chat;
extern const struct model_driver model_driver_extractive;
/* For tests: says what it is told to; fails on command; keeps what it was asked. */
extern const struct model_driver model_driver_fake;
extern const struct model_driver model_driver_failing;
extern const struct model_driver model_driver_recording;

/* --- recording --- */

struct model_record {
    struct str question, language, prompt; /* prompt: the messages as "role: text" lines */
    size_t passage_count;
    unsigned deadline_ms, max_output_tokens;
    enum status status;
    struct str text; /* of the reply; "" when it failed */
};

/* Of a recording model: how often it was asked, and its kept calls (the first 256), oldest first.
 */
size_t model_recording_count(struct model *recording);
/* False beyond the kept ones. The strings live as long as the model. */
bool model_recording_get(struct model *recording, size_t index, struct model_record *record_out);

#endif
