/*
 * model_chain.c - the first model that can answer, in the order of the configuration
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/breaker.h"
#include "base/log.h"
#include "base/metrics.h"
#include "model/model_driver.h"
#include "text/json.h"

#define MAX_MODELS 8

static struct metric model_fallbacks = {
    .name = "parley_model_fallbacks_total",
    .help = "Answers that had to be asked of the next model, by the model passed over and why",
    .kind = METRIC_COUNTER,
    .labels = {"model", "reason"},
    .max_series = 128,
};

struct chain_link {
    struct model *model;
    struct breaker breaker;
};

struct model_chain {
    struct clock *clock;
    struct chain_link links[MAX_MODELS + 1];
    size_t count;
    pthread_mutex_t lock; /* guards the breakers */
};

/* Tells whether the model that fails has shown text, which the next one makes void. */
struct chain_reader {
    model_on_text on_text;
    void *context;
    bool shown;
};

static bool
chain_on_text(struct str piece, void *context)
{
    struct chain_reader *reader = context;

    reader->shown = true;
    return reader->on_text(piece, reader->context);
}

static enum status
append_extractive(struct model_chain *chain, const struct model_env *env, struct err *err)
{
    json_t *config;
    enum status st;

    if (chain->count > 0 &&
        chain->links[chain->count - 1].model->driver == &model_driver_extractive)
        return ST_OK;
    config = json_object();
    json_set_str(config, "driver", str_from_c(model_driver_extractive.name));
    st = model_open(env, config, &chain->links[chain->count].model, err);
    json_decref(config);
    if (st == ST_OK)
        chain->count++;
    return st;
}

enum status
model_chain_open(const struct model_env *env, const json_t *configs, struct model_chain **chain_out,
                 struct err *err)
{
    struct model_chain *chain;
    enum status st = ST_OK;
    size_t count = json_array_size(configs);

    *chain_out = NULL;
    if (!json_is_array(configs))
        return err_set(err, ST_INVALID, "models must be an array");
    if (count > MAX_MODELS)
        return err_set(err, ST_INVALID, "at most %d models make a chain", MAX_MODELS);

    chain = calloc(1, sizeof(*chain));
    if (chain == NULL)
        abort();
    pthread_mutex_init(&chain->lock, NULL);
    chain->clock = env->clock;
    for (size_t i = 0; st == ST_OK && i < count; i++) {
        st = model_open(env, json_array_get(configs, i), &chain->links[i].model, err);
        if (st == ST_OK)
            chain->count++;
        else
            (void)err_wrap(err, "model %zu of the chain", i + 1);
    }
    if (st == ST_OK)
        st = append_extractive(chain, env, err);
    if (st != ST_OK) {
        model_chain_close(&chain);
        return st;
    }
    *chain_out = chain;
    return ST_OK;
}

void
model_chain_close(struct model_chain **chain)
{
    if (*chain == NULL)
        return;
    for (size_t i = 0; i < (*chain)->count; i++)
        model_close(&(*chain)->links[i].model);
    pthread_mutex_destroy(&(*chain)->lock);
    free(*chain);
    *chain = NULL;
}

bool
model_chain_streams(const struct model_chain *chain)
{
    return chain->links[0].model->driver != &model_driver_extractive;
}

static bool
breaker_admits(struct model_chain *chain, struct chain_link *link)
{
    bool admitted;

    pthread_mutex_lock(&chain->lock);
    admitted = breaker_try(&link->breaker, clock_mono_us(chain->clock));
    pthread_mutex_unlock(&chain->lock);
    return admitted;
}

/* What only the request is at fault for says nothing about the model. */
static enum breaker_outcome
outcome_of(enum status st)
{
    if (st == ST_OK || st == ST_INVALID || st == ST_TOO_LARGE)
        return BREAKER_WORKS;
    return st == ST_DENIED ? BREAKER_REFUSED : BREAKER_FAILED;
}

static void
note_outcome(struct model_chain *chain, struct chain_link *link, enum status st,
             const struct err *err)
{
    int retry_after_ms = st == ST_BUSY || st == ST_UNAVAILABLE ? err->retry_after_ms : 0;
    unsigned wait_ms;
    bool opened;

    pthread_mutex_lock(&chain->lock);
    opened =
        breaker_note(&link->breaker, outcome_of(st), retry_after_ms, clock_mono_us(chain->clock));
    wait_ms = link->breaker.wait_ms;
    pthread_mutex_unlock(&chain->lock);
    if (opened)
        LOG(LOG_WARN, "model.breaker_opened", log_str("model", link->model->name),
            log_int("wait_ms", wait_ms));
}

/* Milliseconds left; 0 when the deadline has passed. */
static unsigned
left_ms(struct model_chain *chain, int64_t deadline_us)
{
    int64_t now_us = clock_mono_us(chain->clock);

    return now_us >= deadline_us ? 0 : (unsigned)((deadline_us - now_us) / US_PER_MS);
}

enum status
model_chain_complete(struct model_chain *chain, const struct model_request *request,
                     model_on_text on_text, void (*restart)(void *context), void *context,
                     struct arena *arena, struct model_reply *reply_out, struct err *err)
{
    struct chain_reader reader = {.on_text = on_text, .context = context};
    int64_t deadline_us = clock_mono_us(chain->clock) + (int64_t)request->deadline_ms * US_PER_MS;
    enum status st;

    for (size_t i = 0; i < chain->count; i++) {
        struct chain_link *link = &chain->links[i];
        struct model_request attempt = *request;
        bool can_be_away = (link->model->driver->caps & MODEL_CAN_BE_AWAY) != 0;

        attempt.deadline_ms = left_ms(chain, deadline_us);
        /* Models that need no server answer in milliseconds, also when the time is up: a late
         * true answer serves the customer better than none. */
        if (!can_be_away && attempt.deadline_ms == 0)
            attempt.deadline_ms = 1;
        if (attempt.deadline_ms == 0) {
            METRIC_INC(&model_fallbacks, link->model->name, STR("deadline"));
            continue;
        }
        if (can_be_away && !breaker_admits(chain, link)) {
            METRIC_INC(&model_fallbacks, link->model->name, STR("breaker_open"));
            continue;
        }
        st = model_complete(link->model, &attempt, on_text == NULL ? NULL : chain_on_text, &reader,
                            arena, reply_out, err);
        if (can_be_away)
            note_outcome(chain, link, st, err);
        if (st == ST_OK) {
            unsigned before_ms = request->deadline_ms - attempt.deadline_ms;

            /* The customer also waited for the models that failed before. */
            reply_out->latency_ms += before_ms;
            reply_out->first_text_ms += before_ms;
            return ST_OK;
        }
        METRIC_INC(&model_fallbacks, link->model->name, str_from_c(status_name(st)));
        if (i + 1 == chain->count)
            break;
        LOG_ERR(LOG_WARN, "model.passed_over", err, log_str("model", link->model->name));
        if (reader.shown && restart != NULL)
            restart(context);
        reader.shown = false;
    }
    return err_wrap(err, "model chain"); /* the last is extractive: it was asked, and err is its */
}
