/*
 * recording.c - a model for tests that keeps what it was asked and lets another answer
 *
 *   {"driver": "recording", "inner": {"driver": "fake", …}}
 */
#include "model/model_driver.h"

#include <pthread.h>

#include "text/json.h"

#define MAX_RECORDS 256
#define MAX_KEPT_BYTES ((size_t)64 * 1024)

struct recording_model {
    struct model base;
    struct model *inner;
    pthread_mutex_t lock; /* guards what follows, and the model's arena after open */
    size_t count;
    struct model_record records[MAX_RECORDS];
};

struct recording_config {
    struct str driver;
    json_t *inner;
};

static const struct json_field recording_fields[] = {
    {"driver", JSON_FIELD_STR, true, offsetof(struct recording_config, driver), 64, 0, 0},
    {"inner", JSON_FIELD_OBJECT, true, offsetof(struct recording_config, inner), 0, 0, 0},
    {NULL, JSON_FIELD_STR, false, 0, 0, 0, 0},
};

static enum status
recording_open(struct model *model, const json_t *config, struct err *err)
{
    struct recording_model *recording = (struct recording_model *)model;
    struct recording_config read = {0};
    enum status st;

    pthread_mutex_init(&recording->lock, NULL);
    st = json_read(config, recording_fields, &read, err);
    if (st == ST_OK)
        st = model_open(&model->env, read.inner, &recording->inner, err);
    if (st != ST_OK)
        return st;
    arena_destroy(&model->arena);
    model->arena = arena_create(MAX_RECORDS * MAX_KEPT_BYTES);
    model->name = recording->inner->name;
    return ST_OK;
}

static void
recording_close(struct model *model)
{
    struct recording_model *recording = (struct recording_model *)model;

    model_close(&recording->inner);
    pthread_mutex_destroy(&recording->lock);
}

/* What does not fit is kept as nothing: the count still tells of the call. */
static struct str
keep(struct recording_model *recording, struct str text)
{
    struct str kept = STR_EMPTY;
    struct err err;

    if (arena_try_str(recording->base.arena, text, &kept, &err) != ST_OK)
        return STR_EMPTY;
    return kept;
}

static struct str
prompt_text(const struct model_request *request, struct buf *out)
{
    static const char *const roles[] = {"system", "user", "assistant"};

    for (size_t i = 0; i < request->message_count; i++) {
        buf_append_c(out, roles[request->messages[i].role]);
        buf_append_c(out, ": ");
        buf_append(out, request->messages[i].text);
        buf_append_byte(out, '\n');
    }
    return buf_str(out);
}

static void
record(struct recording_model *recording, const struct model_request *request, enum status st,
       struct str text)
{
    struct model_record *record;
    struct buf prompt;

    buf_init(&prompt, MAX_KEPT_BYTES);
    pthread_mutex_lock(&recording->lock);
    if (recording->count < MAX_RECORDS) {
        record = &recording->records[recording->count];
        record->question = keep(recording, request->question);
        record->language = keep(recording, request->language);
        record->prompt = keep(recording, prompt_text(request, &prompt));
        record->passage_count = request->passage_count;
        record->deadline_ms = request->deadline_ms;
        record->max_output_tokens = request->max_output_tokens;
        record->status = st;
        record->text = st == ST_OK ? keep(recording, text) : STR_EMPTY;
    }
    recording->count++;
    pthread_mutex_unlock(&recording->lock);
    buf_deinit(&prompt);
}

static enum status
recording_complete(struct model *model, const struct model_request *request,
                   struct model_sink *sink, struct arena *arena, struct model_reply *reply,
                   struct err *err)
{
    struct recording_model *recording = (struct recording_model *)model;
    struct model *inner = recording->inner;
    enum status st = inner->driver->complete(inner, request, sink, arena, reply, err);

    record(recording, request, st, model_sink_so_far(sink));
    return st;
}

size_t
model_recording_count(struct model *model)
{
    struct recording_model *recording = (struct recording_model *)model;
    size_t count;

    pthread_mutex_lock(&recording->lock);
    count = recording->count;
    pthread_mutex_unlock(&recording->lock);
    return count;
}

bool
model_recording_get(struct model *model, size_t index, struct model_record *record_out)
{
    struct recording_model *recording = (struct recording_model *)model;
    bool found;

    pthread_mutex_lock(&recording->lock);
    found = index < recording->count && index < MAX_RECORDS;
    if (found)
        *record_out = recording->records[index];
    pthread_mutex_unlock(&recording->lock);
    return found;
}

const struct model_driver model_driver_recording = {
    .name = "recording",
    .caps = MODEL_READS_MESSAGES | MODEL_READS_PASSAGES,
    .size = sizeof(struct recording_model),
    .open = recording_open,
    .close = recording_close,
    .complete = recording_complete,
};
