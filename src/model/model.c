/*
 * model.c - opening a model by its configuration, asking it, measuring what it did
 */
#include "model/model_driver.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "text/json.h"

#define CONFIG_ARENA_BYTES ((size_t)256 * 1024)

static struct metric model_seconds = {
    .name = "parley_model_seconds",
    .help = "Time of a model's answer, by model and result",
    .kind = METRIC_HISTOGRAM,
    .labels = {"model", "result"},
    .max_series = 128,
};
static struct metric model_tokens = {
    .name = "parley_model_tokens_total",
    .help = "Tokens read (prompt) and written (completion), as the model's server told",
    .kind = METRIC_COUNTER,
    .labels = {"model", "kind"},
    .max_series = 128,
};

static const struct model_driver *const drivers[] = {
    &model_driver_extractive, &model_driver_openai_chat, &model_driver_fake,
    &model_driver_failing,    &model_driver_recording,
};

struct model_sink {
    model_on_text on_text;
    void *context;
    struct clock *clock;
    struct buf text;
    int64_t first_text_us; /* 0: none yet */
    bool shown;            /* the reader has seen text */
    bool stopped;          /* by the reader */
    bool full;
};

/* --- drivers --- */

enum status
model_driver_check(const struct model_driver *driver, struct err *err)
{
    bool reads = (driver->caps & (MODEL_READS_MESSAGES | MODEL_READS_PASSAGES)) != 0;

    if (driver->name == NULL || driver->name[0] == '\0')
        return err_set(err, ST_INTERNAL, "model driver without a name");
    if (driver->size < sizeof(struct model) || !reads || driver->open == NULL ||
        driver->close == NULL || driver->complete == NULL)
        return err_set(err, ST_INTERNAL, "model driver %s is incomplete", driver->name);
    return ST_OK;
}

const struct model_driver *
model_driver_find(struct str name)
{
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
        if (str_eq_c(name, drivers[i]->name))
            return drivers[i];
    }
    return NULL;
}

/* --- the sink --- */

static void
sink_init(struct model_sink *sink, struct clock *clock, model_on_text on_text, void *context)
{
    *sink = (struct model_sink){.on_text = on_text, .context = context, .clock = clock};
    buf_init(&sink->text, MODEL_MAX_TEXT_BYTES);
}

struct model_sink *
model_sink_create(struct clock *clock, model_on_text on_text, void *context)
{
    struct model_sink *sink = malloc(sizeof(*sink));

    if (sink == NULL)
        abort();
    sink_init(sink, clock, on_text, context);
    return sink;
}

void
model_sink_destroy(struct model_sink **sink)
{
    if (*sink == NULL)
        return;
    buf_deinit(&(*sink)->text);
    free(*sink);
    *sink = NULL;
}

bool
model_sink_text(struct model_sink *sink, struct str piece)
{
    if (sink->stopped || sink->full)
        return false;
    if (piece.len == 0)
        return true;
    if (piece.len > MODEL_MAX_TEXT_BYTES - sink->text.len) {
        sink->full = true;
        return false;
    }
    buf_append(&sink->text, piece);
    if (sink->text.failed) {
        sink->full = true;
        return false;
    }
    if (sink->first_text_us == 0)
        sink->first_text_us = clock_mono_us(sink->clock);
    if (sink->on_text != NULL) {
        sink->shown = true;
        if (!sink->on_text(piece, sink->context))
            sink->stopped = true;
    }
    return !sink->stopped;
}

bool
model_sink_restart(struct model_sink *sink)
{
    if (sink->shown)
        return false;
    buf_clear(&sink->text);
    sink->first_text_us = 0;
    sink->full = false;
    return true;
}

struct str
model_sink_so_far(const struct model_sink *sink)
{
    return buf_str(&sink->text);
}

bool
model_sink_is_stopped(const struct model_sink *sink)
{
    return sink->stopped || sink->full;
}

bool
model_sink_words(struct model_sink *sink, struct str text)
{
    size_t start = 0;

    while (start < text.len) {
        size_t end = start;

        /* A piece is a word with the space before it, so that pieces join to the text itself. */
        while (end < text.len && (text.ptr[end] == ' ' || text.ptr[end] == '\n'))
            end++;
        while (end < text.len && text.ptr[end] != ' ' && text.ptr[end] != '\n')
            end++;
        if (!model_sink_text(sink, str_sub(text, start, end - start)))
            return false;
        start = end;
    }
    return true;
}

/* --- opening --- */

enum status
model_open(const struct model_env *env, const json_t *config, struct model **model_out,
           struct err *err)
{
    const struct model_driver *driver;
    struct str name = json_get_str(config, "driver");
    struct model *model;
    enum status st;

    *model_out = NULL;
    if (name.ptr == NULL)
        return err_set(err, ST_INVALID, "a model needs the key \"driver\"");
    driver = model_driver_find(name);
    if (driver == NULL)
        return err_set(err, ST_INVALID, "no model driver is called \"%.*s\"", STR_ARG(name));
    st = model_driver_check(driver, err);
    if (st != ST_OK)
        return st;

    model = calloc(1, driver->size);
    if (model == NULL)
        abort();
    model->driver = driver;
    model->env = *env;
    model->arena = arena_create(CONFIG_ARENA_BYTES);
    model->name = str_from_c(driver->name);
    st = driver->open(model, config, err);
    if (st != ST_OK) {
        model_close(&model);
        return st;
    }
    *model_out = model;
    return ST_OK;
}

void
model_close(struct model **model)
{
    if (*model == NULL)
        return;
    (*model)->driver->close(*model);
    arena_destroy(&(*model)->arena);
    free(*model);
    *model = NULL;
}

/* --- asking --- */

static enum status
check_request(const struct model_request *request, struct err *err)
{
    if (request->deadline_ms == 0)
        return err_set_detail(err, ST_INVALID, "a model call needs a deadline");
    if (request->message_count > 0 && request->messages == NULL)
        return err_set_detail(err, ST_INVALID, "messages are counted but not given");
    if (request->passage_count > 0 && request->passages == NULL)
        return err_set_detail(err, ST_INVALID, "passages are counted but not given");
    return ST_OK;
}

static unsigned
since_ms(int64_t start_us, int64_t end_us)
{
    return end_us <= start_us ? 0 : (unsigned)((end_us - start_us) / US_PER_MS);
}

static void
count(struct model *model, const struct model_reply *reply, enum status st, double seconds)
{
    const char *result = status_name(st);

    if (st == ST_OK)
        result = reply->no_answer ? "no_answer" : "ok";
    metric_observe(&model_seconds, seconds, model->name, str_from_c(result), STR_EMPTY);
    if (st != ST_OK)
        return;
    if (reply->prompt_tokens > 0)
        metric_add(&model_tokens, (double)reply->prompt_tokens, model->name, STR("prompt"),
                   STR_EMPTY);
    if (reply->completion_tokens > 0)
        metric_add(&model_tokens, (double)reply->completion_tokens, model->name, STR("completion"),
                   STR_EMPTY);
}

enum status
model_complete(struct model *model, const struct model_request *request, model_on_text on_text,
               void *context, struct arena *arena, struct model_reply *reply_out, struct err *err)
{
    struct model_sink sink;
    int64_t start_us = clock_mono_us(model->env.clock), end_us;
    enum status st;

    *reply_out = (struct model_reply){.prompt_tokens = -1, .completion_tokens = -1};
    reply_out->model_name = arena_str(arena, model->name);
    st = check_request(request, err);
    if (st != ST_OK)
        return st;

    sink_init(&sink, model->env.clock, on_text, context);
    st = model->driver->complete(model, request, &sink, arena, reply_out, err);
    end_us = clock_mono_us(model->env.clock);
    if (st == ST_OK) {
        st = arena_try_str(arena, buf_str(&sink.text), &reply_out->text, err);
        if (sink.stopped)
            reply_out->finish = MODEL_FINISH_STOPPED;
        else if (sink.full)
            reply_out->finish = MODEL_FINISH_LENGTH;
    }
    reply_out->latency_ms = since_ms(start_us, end_us);
    reply_out->first_text_ms =
        sink.first_text_us == 0 ? reply_out->latency_ms : since_ms(start_us, sink.first_text_us);
    count(model, reply_out, st, (double)(end_us - start_us) / (double)US_PER_S);
    buf_deinit(&sink.text);
    return st == ST_OK ? ST_OK : err_wrap(err, "model %.*s", STR_ARG(model->name));
}
