/*
 * embed_conformance.c - the promises of embed.h, held against one driver
 */
#include "embed/embed_conformance.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/json.h"

#define DEADLINE_MS 60000
#define THREADS 4
#define CALLS 5
#define MANY 70 /* more than one batch of any driver here */

static const struct str texts[] = {
    STR_INIT("When does the shop open on Saturday?"),
    STR_INIT("the shop"),
    STR_INIT("Gr\xc3\xbc\xc3\x9f"
             "e aus dem Laden \xf0\x9f\x8e\x89, 24 shop hours"),
    STR_INIT("x"),
};
#define TEXTS (sizeof(texts) / sizeof(texts[0]))

static float *
vectors_of(struct embedder *embedder, const struct str *some, size_t count)
{
    float *vectors = calloc(count * embed_dimension(embedder), sizeof(*vectors));
    struct err err;

    assert_non_null(vectors);
    if (embed_texts(embedder, some, count, DEADLINE_MS, vectors, &err) != ST_OK)
        fail_msg("%s", err.detail);
    return vectors;
}

static double
cosine(const float *a, const float *b, unsigned dimension)
{
    double sum = 0;

    for (unsigned i = 0; i < dimension; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void
check_alone_and_together(struct embedder *embedder)
{
    unsigned dimension = embed_dimension(embedder);
    float *together = vectors_of(embedder, texts, TEXTS);

    for (size_t i = 0; i < TEXTS; i++) {
        float *alone = vectors_of(embedder, &texts[i], 1);

        assert_true(fabs(cosine(alone, alone, dimension) - 1) < 1e-5);
        assert_true(cosine(alone, together + i * dimension, dimension) > 0.99999);
        if (i > 0)
            assert_true(cosine(alone, together, dimension) < 0.99999);
        free(alone);
    }
    free(together);
}

/* More texts than a batch holds: each vector stands at its text's place. */
static void
check_batches(struct embedder *embedder)
{
    unsigned dimension = embed_dimension(embedder);
    struct str many[MANY];
    float *few = vectors_of(embedder, texts, TEXTS), *all;

    for (size_t i = 0; i < MANY; i++)
        many[i] = texts[i * 7 % TEXTS];
    all = vectors_of(embedder, many, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_true(cosine(all + i * dimension, few + i * 7 % TEXTS * dimension, dimension) >
                    0.99999);
    free(all);
    free(few);
}

static void
check_long_text(struct embedder *embedder)
{
    size_t bytes = (size_t)100 * 1024;
    char *text = calloc(1, bytes);
    struct str view = str_of(text, bytes);
    float *vector;

    assert_non_null(text);
    for (size_t i = 0; i < bytes; i++)
        text[i] = "long words "[i % 11];
    vector = vectors_of(embedder, &view, 1);
    assert_true(fabs(cosine(vector, vector, embed_dimension(embedder)) - 1) < 1e-5);
    free(vector);
    free(text);
}

static void
check_refuses(const struct embed_env *env, const json_t *config, struct embedder *embedder)
{
    static const struct str bad[] = {STR_INIT(""), STR_INIT(" \n\t"), STR_INIT("caf\xe9")};
    json_t *unknown = json_deep_copy(config);
    float *vectors = calloc(2 * embed_dimension(embedder), sizeof(*vectors));
    struct embedder *refused;
    struct err err;

    assert_non_null(vectors);
    json_set_bool(unknown, "no_such_key", true);
    assert_int_equal(embed_open(env, unknown, &refused, &err), ST_INVALID);
    assert_null(refused);
    json_decref(unknown);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct str two[] = {texts[0], bad[i]};

        assert_int_equal(embed_texts(embedder, two, 2, DEADLINE_MS, vectors, &err), ST_INVALID);
        assert_non_null(strstr(err.detail, "text 1"));
    }
    assert_int_equal(embed_texts(embedder, texts, 1, 0, vectors, &err), ST_INVALID);
    assert_int_equal(embed_texts(embedder, texts, 0, DEADLINE_MS, vectors, &err), ST_OK);
    free(vectors);
}

struct caller {
    struct embedder *embedder;
    const float *want;
    unsigned answered;
};

static void *
call_often(void *arg)
{
    struct caller *caller = arg;
    unsigned dimension = embed_dimension(caller->embedder);
    float *vectors = calloc(TEXTS * dimension, sizeof(*vectors));
    struct err err;

    for (unsigned call = 0; vectors != NULL && call < CALLS; call++) {
        bool good =
            embed_texts(caller->embedder, texts, TEXTS, DEADLINE_MS, vectors, &err) == ST_OK;

        for (size_t i = 0; i < TEXTS; i++)
            good = good && cosine(vectors + i * dimension, caller->want + i * dimension,
                                  dimension) > 0.99999;
        caller->answered += good;
    }
    free(vectors);
    return NULL;
}

static void
check_threads(struct embedder *embedder)
{
    float *want = vectors_of(embedder, texts, TEXTS);
    struct caller callers[THREADS];
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.embedder = embedder, .want = want};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(callers[i].answered, CALLS);
    }
    free(want);
}

/* The facts do not change from one opening to the next: vectors are stored beside them. */
static void
check_facts(const struct embed_env *env, const json_t *config, struct embedder *embedder)
{
    struct embedder *other;
    struct err err;

    assert_in_range(embed_dimension(embedder), 1, EMBED_MAX_DIMENSION);
    assert_true(embed_name(embedder).len > 0);
    assert_true(embed_version(embedder).len > 0);
    assert_int_equal(embed_open(env, config, &other, &err), ST_OK);
    assert_int_equal(embed_dimension(other), embed_dimension(embedder));
    assert_true(str_eq(embed_version(other), embed_version(embedder)));
    embed_close(&other);
    assert_null(other);
    embed_close(&other);
}

void
embed_conformance_run(const struct embed_env *env, const json_t *config)
{
    struct embedder *embedder;
    struct err err;

    if (embed_open(env, config, &embedder, &err) != ST_OK)
        fail_msg("%s", err.detail);
    check_facts(env, config, embedder);
    check_alone_and_together(embedder);
    check_batches(embedder);
    check_long_text(embedder);
    check_refuses(env, config, embedder);
    check_threads(embedder);
    embed_close(&embedder);
}
