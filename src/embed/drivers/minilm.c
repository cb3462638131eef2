/*
 * minilm.c - all-MiniLM-L6-v2, and models of its kind, computed in this process
 *
 *   {"driver": "minilm", "weights": "/var/lib/parley/all-minilm-l6-v2.bin", "precision": "int8",
 *    "threads": 2, "kernels": "avx512"}
 *
 *   call -> tokens of all texts -> slices of at most 256 tokens -> a task for each thread
 *           task: takes the next slice, computes, goes to the end of the queue while there are more
 *
 * So no call holds a thread longer than one slice, and at most "threads" compute at once, whoever
 * asks. precision: int8 (weights and inputs as bytes, sums exact) or float32, the reference.
 * kernels: for tests; otherwise the best that the processor has.
 */
#include "embed/embed_driver.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/task_pool.h"
#include "base/thread.h"
#include "embed/drivers/minilm_net.h"
#include "text/json.h"

#define MAX_BATCH ((size_t)64)
#define MAX_THREADS 64

struct minilm {
    struct embedder base;
    struct minilm_file file;
    struct minilm_net net;
    struct task_pool *pool;
    size_t threads;
    pthread_mutex_t lock; /* guards the list: as many scratches as threads */
    struct minilm_scratch *free[MAX_THREADS];
    size_t free_count;
};

struct minilm_config {
    struct str driver, weights, precision, kernels;
    int64_t threads;
};

#define FIELD(key, kind, required, max_len, min, max)                                              \
    {                                                                                              \
#key, JSON_FIELD_##kind, required, offsetof(struct minilm_config, key), max_len, min, max  \
    }

static const struct json_field minilm_fields[] = {
    FIELD(driver, STR, true, 64, 0, 0),
    FIELD(weights, STR, true, 4096, 0, 0),
    FIELD(precision, STR, false, 16, 0, 0),
    FIELD(kernels, STR, false, 16, 0, 0),
    FIELD(threads, INT, false, 0, 1, MAX_THREADS),
    {NULL, JSON_FIELD_STR, false, 0, 0, 0, 0},
};

/* --- opening --- */

static int64_t
default_threads(void)
{
    int64_t processors = sysconf(_SC_NPROCESSORS_ONLN);

    return processors < 1 ? 1 : processors > 4 ? 4 : processors;
}

static enum status
choose_net(struct minilm *minilm, const struct minilm_config *config, struct err *err)
{
    if (!str_eq(config->precision, STR("int8")) && !str_eq(config->precision, STR("float32")))
        return err_set(err, ST_INVALID, "\"precision\" must be int8 or float32");
    minilm->net.uses_bytes = str_eq(config->precision, STR("int8"));
    minilm->net.weights = &minilm->file.weights;
    minilm->net.kernels =
        config->kernels.ptr == NULL ? kernels_best() : kernels_find(config->kernels);
    if (minilm->net.kernels == NULL)
        return err_set(err, ST_INVALID, "this processor has no kernels \"%.*s\"",
                       STR_ARG(config->kernels));
    return ST_OK;
}

static enum status
minilm_open(struct embedder *embedder, const json_t *config, struct err *err)
{
    struct minilm *minilm = (struct minilm *)embedder;
    struct minilm_config read = {.precision = STR("int8"), .threads = default_threads()};
    enum status st;

    (void)pthread_mutex_init(&minilm->lock, NULL);
    st = json_read(config, minilm_fields, &read, err);
    if (st == ST_OK)
        st = choose_net(minilm, &read, err);
    if (st == ST_OK)
        st = minilm_file_open(arena_cstr(embedder->arena, read.weights), &minilm->file, err);
    if (st != ST_OK)
        return st;
    embedder->dimension = minilm->file.weights.header->dims.hidden;
    embedder->max_batch = MAX_BATCH;
    /* Bytes or floats make no difference that a search would notice. */
    embedder->version =
        arena_printf(embedder->arena, "minilm/%.16s", minilm->file.weights.header->digest);
    minilm->threads = (size_t)read.threads;
    for (; minilm->free_count < minilm->threads; minilm->free_count++)
        minilm->free[minilm->free_count] =
            minilm_scratch_create(&minilm->file.weights.header->dims);
    return task_pool_create("embed", (unsigned)minilm->threads, 0, &minilm->pool, err);
}

static void
minilm_close(struct embedder *embedder)
{
    struct minilm *minilm = (struct minilm *)embedder;

    task_pool_destroy(&minilm->pool);
    while (minilm->free_count > 0)
        minilm_scratch_destroy(&minilm->free[--minilm->free_count]);
    minilm_file_close(&minilm->file);
    (void)pthread_mutex_destroy(&minilm->lock);
}

/* --- a call --- */

struct slice {
    size_t first, count; /* texts */
    const uint32_t *tokens;
};

struct call;

struct call_task {
    struct pool_task task; /* first: the pool gives it back */
    struct call *call;
};

struct call {
    struct minilm *minilm;
    int64_t deadline_us;
    uint32_t *tokens; /* of all texts */
    size_t lengths[MAX_BATCH];
    struct slice slices[MAX_BATCH];
    size_t slice_count;
    float *vectors;
    struct call_task tasks[MAX_THREADS];
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t ended;
    size_t next, running;
    bool is_late;
};

static void
cut_slices(struct call *call, size_t count)
{
    const uint32_t *tokens = call->tokens;
    size_t rows = MINILM_MAX_ROWS;

    for (size_t text = 0; text < count; text++) {
        if (rows + call->lengths[text] > MINILM_MAX_ROWS) {
            call->slices[call->slice_count++] = (struct slice){.first = text, .tokens = tokens};
            rows = 0;
        }
        call->slices[call->slice_count - 1].count++;
        rows += call->lengths[text];
        tokens += call->lengths[text];
    }
}

static void
run_slice(struct call *call, const struct slice *slice)
{
    struct minilm *minilm = call->minilm;
    struct minilm_scratch *scratch;

    pthread_mutex_lock(&minilm->lock);
    scratch = minilm->free[--minilm->free_count];
    pthread_mutex_unlock(&minilm->lock);
    minilm_net_run(&minilm->net, scratch, slice->tokens, call->lengths + slice->first, slice->count,
                   call->vectors + slice->first * minilm->base.dimension);
    pthread_mutex_lock(&minilm->lock);
    minilm->free[minilm->free_count++] = scratch;
    pthread_mutex_unlock(&minilm->lock);
}

static void
run_task(struct pool_task *task)
{
    struct call *call = ((struct call_task *)task)->call;
    size_t slice;
    bool goes_on;

    pthread_mutex_lock(&call->lock);
    slice = call->next;
    if (slice < call->slice_count && clock_mono_us(clock_system()) >= call->deadline_us) {
        call->is_late = true;
        call->next = call->slice_count;
        slice = call->slice_count;
    }
    call->next += slice < call->slice_count;
    pthread_mutex_unlock(&call->lock);

    if (slice < call->slice_count)
        run_slice(call, &call->slices[slice]);

    pthread_mutex_lock(&call->lock);
    goes_on = call->next < call->slice_count;
    if (!goes_on && --call->running == 0)
        pthread_cond_signal(&call->ended);
    pthread_mutex_unlock(&call->lock);
    /* After its last task the call is gone: it is not touched any more. */
    if (goes_on)
        (void)task_pool_submit(call->minilm->pool, task, true);
}

static enum status
run_call(struct call *call, struct err *err)
{
    struct minilm *minilm = call->minilm;
    size_t tasks = call->slice_count < minilm->threads ? call->slice_count : minilm->threads;

    (void)pthread_mutex_init(&call->lock, NULL);
    cond_init(&call->ended);
    call->running = tasks;
    for (size_t i = 0; i < tasks; i++) {
        call->tasks[i] = (struct call_task){.task.run = run_task, .call = call};
        (void)task_pool_submit(minilm->pool, &call->tasks[i].task, true);
    }
    pthread_mutex_lock(&call->lock);
    while (call->running > 0)
        (void)pthread_cond_wait(&call->ended, &call->lock);
    pthread_mutex_unlock(&call->lock);
    (void)pthread_cond_destroy(&call->ended);
    (void)pthread_mutex_destroy(&call->lock);
    return call->is_late ? err_set_detail(err, ST_UNAVAILABLE, "the deadline came first") : ST_OK;
}

static enum status
minilm_texts(struct embedder *embedder, const struct str *texts, size_t count, int64_t deadline_us,
             float *vectors_out, struct err *err)
{
    struct minilm *minilm = (struct minilm *)embedder;
    struct call *call = calloc(1, sizeof(*call));
    uint32_t *tokens = malloc(count * MINILM_MAX_TOKENS * sizeof(*tokens));
    size_t at = 0;
    enum status st;

    if (call == NULL || tokens == NULL)
        abort();
    call->minilm = minilm;
    call->deadline_us = deadline_us;
    call->tokens = tokens;
    call->vectors = vectors_out;
    for (size_t i = 0; i < count; i++) {
        call->lengths[i] = wordpiece_tokens(&minilm->file.weights.wordpiece, texts[i], tokens + at,
                                            MINILM_MAX_TOKENS);
        at += call->lengths[i];
    }
    cut_slices(call, count);
    st = run_call(call, err);
    free(tokens);
    free(call);
    return st;
}

const struct embed_driver embed_driver_minilm = {
    .name = "minilm",
    .size = sizeof(struct minilm),
    .open = minilm_open,
    .close = minilm_close,
    .texts = minilm_texts,
};
