/*
 * embed.c - opening an embedder by its configuration, asking it, measuring what it did
 */
#include "embed/embed_driver.h"

#include <math.h>
#include <stdlib.h>

#include "base/metrics.h"
#include "text/json.h"

#define CONFIG_ARENA_BYTES ((size_t)256 * 1024)

static struct metric embed_seconds = {
    .name = "parley_embed_seconds",
    .help = "Time to make vectors of the texts of one call, by embedder and result",
    .kind = METRIC_HISTOGRAM,
    .labels = {"embedder", "result"},
    .max_series = 64,
};
static struct metric embed_texts_total = {
    .name = "parley_embed_texts_total",
    .help = "Texts that became vectors",
    .kind = METRIC_COUNTER,
    .labels = {"embedder"},
    .max_series = 16,
};

static const struct embed_driver *const drivers[] = {
    &embed_driver_minilm,
    &embed_driver_openai,
    &embed_driver_fake,
    &embed_driver_failing,
};

enum status
embed_driver_check(const struct embed_driver *driver, struct err *err)
{
    if (driver->name == NULL || driver->name[0] == '\0')
        return err_set(err, ST_INTERNAL, "embedding driver without a name");
    if (driver->size < sizeof(struct embedder) || driver->open == NULL || driver->close == NULL ||
        driver->texts == NULL)
        return err_set(err, ST_INTERNAL, "embedding driver %s is incomplete", driver->name);
    return ST_OK;
}

const struct embed_driver *
embed_driver_find(struct str name)
{
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
        if (str_eq_c(name, drivers[i]->name))
            return drivers[i];
    }
    return NULL;
}

enum status
embed_open(const struct embed_env *env, const json_t *config, struct embedder **embedder_out,
           struct err *err)
{
    const struct embed_driver *driver;
    struct str name = json_get_str(config, "driver");
    struct embedder *embedder;
    enum status st;

    *embedder_out = NULL;
    if (name.ptr == NULL)
        return err_set(err, ST_INVALID, "an embedder needs the key \"driver\"");
    driver = embed_driver_find(name);
    if (driver == NULL)
        return err_set(err, ST_INVALID, "no embedding driver is called \"%.*s\"", STR_ARG(name));
    st = embed_driver_check(driver, err);
    if (st != ST_OK)
        return st;

    embedder = calloc(1, driver->size);
    if (embedder == NULL)
        abort();
    embedder->driver = driver;
    embedder->env = *env;
    embedder->arena = arena_create(CONFIG_ARENA_BYTES);
    embedder->name = str_from_c(driver->name);
    st = driver->open(embedder, config, err);
    if (st == ST_OK && (embedder->dimension == 0 || embedder->dimension > EMBED_MAX_DIMENSION ||
                        embedder->max_batch == 0 || embedder->version.len == 0))
        st = err_set_detail(err, ST_INTERNAL, "embedding driver %s left its facts unset",
                            driver->name);
    if (st != ST_OK) {
        embed_close(&embedder);
        return st;
    }
    *embedder_out = embedder;
    return ST_OK;
}

void
embed_close(struct embedder **embedder)
{
    if (*embedder == NULL)
        return;
    (*embedder)->driver->close(*embedder);
    arena_destroy(&(*embedder)->arena);
    free(*embedder);
    *embedder = NULL;
}

unsigned
embed_dimension(const struct embedder *embedder)
{
    return embedder->dimension;
}

struct str
embed_name(const struct embedder *embedder)
{
    return embedder->name;
}

struct str
embed_version(const struct embedder *embedder)
{
    return embedder->version;
}

/* --- asking --- */

static enum status
check_texts(const struct str *texts, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (texts[i].len > EMBED_MAX_TEXT_BYTES)
            return err_set(err, ST_INVALID, "text %zu is longer than %zu bytes", i,
                           EMBED_MAX_TEXT_BYTES);
        if (!str_is_utf8(texts[i]))
            return err_set(err, ST_INVALID, "text %zu is not UTF-8", i);
        if (str_trim(texts[i]).len == 0)
            return err_set(err, ST_INVALID, "text %zu is empty", i);
    }
    return ST_OK;
}

/* A length that is no positive number means that the model, or its server, gave no vector. */
static enum status
make_unit(float *vector, unsigned dimension, struct err *err)
{
    double sum = 0;
    float scale;

    for (unsigned i = 0; i < dimension; i++)
        sum += (double)vector[i] * (double)vector[i];
    if (!isfinite(sum) || sum <= 0)
        return err_set_detail(err, ST_UNAVAILABLE, "a vector came out without a direction");
    scale = (float)(1 / sqrt(sum));
    for (unsigned i = 0; i < dimension; i++)
        vector[i] *= scale;
    return ST_OK;
}

static enum status
embed_batches(struct embedder *embedder, const struct str *texts, size_t count, int64_t deadline_us,
              float *vectors_out, struct err *err)
{
    enum status st = ST_OK;

    for (size_t done = 0; st == ST_OK && done < count;) {
        size_t batch = count - done < embedder->max_batch ? count - done : embedder->max_batch;
        float *vectors = vectors_out + done * embedder->dimension;

        if (done > 0 && clock_mono_us(clock_system()) >= deadline_us)
            return err_set_detail(err, ST_UNAVAILABLE, "the deadline came after %zu of %zu texts",
                                  done, count);
        st = embedder->driver->texts(embedder, texts + done, batch, deadline_us, vectors, err);
        for (size_t i = 0; st == ST_OK && i < batch; i++)
            st = make_unit(vectors + i * embedder->dimension, embedder->dimension, err);
        done += batch;
    }
    return st;
}

enum status
embed_texts(struct embedder *embedder, const struct str *texts, size_t count, unsigned deadline_ms,
            float *vectors_out, struct err *err)
{
    int64_t start_us = clock_mono_us(embedder->env.clock), end_us;
    enum status st;

    if (deadline_ms == 0)
        return err_set_detail(err, ST_INVALID, "making vectors needs a deadline");
    st = check_texts(texts, count, err);
    if (st != ST_OK)
        return st;
    /* Servers live by the system's clock, also when a test stands still. */
    st = embed_batches(embedder, texts, count,
                       clock_mono_us(clock_system()) + (int64_t)deadline_ms * US_PER_MS,
                       vectors_out, err);
    end_us = clock_mono_us(embedder->env.clock);
    metric_observe(&embed_seconds, (double)(end_us - start_us) / (double)US_PER_S, embedder->name,
                   str_from_c(st == ST_OK ? "ok" : status_name(st)), STR_EMPTY);
    if (st != ST_OK)
        return err_wrap(err, "embedder %.*s", STR_ARG(embedder->name));
    metric_add(&embed_texts_total, (double)count, embedder->name, STR_EMPTY, STR_EMPTY);
    return ST_OK;
}
