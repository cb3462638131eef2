/*
 * vectors_test.c - passages get their vectors: with the document, or later when the encoder was
 * away, is new, or is another one
 */
#include <stdio.h>

#include "knowledge/knowledge_test_support.h"
#include "text/json.h"

static const char *extractor_path;

static struct embedder *
encoder(const char *config)
{
    const struct embed_env env = {.clock = clock_system()};
    struct embedder *embedder;
    json_auto_t *json = NULL;
    struct err err;

    ASSERT_OK(json_parse(str_from_c(config), &json, &err), &err);
    ASSERT_OK(embed_open(&env, json, &embedder, &err), &err);
    return embedder;
}

/* The same shop from now on with this encoder, as after a start with other settings. */
static void
use_encoder(struct shop *shop, struct embedder *embedder)
{
    if (shop->workers != NULL)
        queue_workers_stop(&shop->workers, WAIT_MS);
    knowledge_close(&shop->knowledge);
    blob_close(&shop->blobs);
    live_hub_destroy(&shop->live);
    arena_destroy(&shop->arena);
    shop->embedder = embedder;
    open_knowledge(shop);
}

struct looking {
    struct index_query query;
    struct str encoder;
    struct arena *arena;
    struct index_result result;
    size_t missing;
};

static enum status
look_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct looking *looking = arg;
    struct index_missing *missing = NULL;
    enum status st = index_vectors_missing(tx, looking->encoder, 0, 1000, looking->arena, &missing,
                                           &looking->missing, err);

    return st == ST_OK ? index_search(tx, &looking->query, looking->arena, &looking->result, err)
                       : st;
}

/* Asks with the shop's encoder; the words find nothing. */
static struct looking
look(struct shop *shop, const char *words)
{
    const struct index_vectors_config config = {embed_version(shop->embedder),
                                                embed_dimension(shop->embedder), MB, NULL};
    struct str text = str_from_c(words);
    float vector[EMBED_MAX_DIMENSION];
    struct index_vectors *vectors;
    struct looking looking = {.encoder = embed_version(shop->embedder), .arena = shop->arena};
    struct err err;

    ASSERT_OK(index_vectors_create(&config, &vectors, &err), &err);
    ASSERT_OK(embed_texts(shop->embedder, &text, 1, 1000, vector, &err), &err);
    looking.query = (struct index_query){
        .text = text, .language = STR("en"), .limit = 10, .vectors = vectors, .vector = vector};
    ASSERT_OK(
        store_read(shop->bed.store, shop->bed.scopes[0], "test_look", look_in_tx, &looking, &err),
        &err);
    index_vectors_destroy(&vectors);
    return looking;
}

static void
make_missing(struct shop *shop)
{
    struct err err;

    ASSERT_OK(knowledge_make_missing_vectors(shop->knowledge, shop->bed.scopes[0], &err), &err);
    wait_idle(shop);
}

static void
a_document_has_vectors_when_it_is_searched(void **state)
{
    struct embedder *embedder = encoder("{\"driver\":\"fake\"}");
    struct upload_result first;
    struct looking looking;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    use_encoder(&shop, embedder);
    first = upload(&shop, "a.md", "# Bicycle\n\nThe sidecar of the tandem.");
    upload(&shop, "b.md", "# Lamp\n\nIts battery lasts a winter.");
    wait_idle(&shop);
    looking = look(&shop, "the sidecar of the tandem");
    assert_int_equal(looking.missing, 0);
    assert_true(looking.result.by_vectors);
    assert_true(looking.result.count == 2 && looking.result.hits[0].cosine > 0.5);
    assert_true(id_eq(&looking.result.hits[0].source_id.id, &first.source_id.id));

    upload(&shop, "a.md", "# Bicycle\n\nThe basket, nothing else.");
    wait_idle(&shop);
    looking = look(&shop, "the sidecar of the tandem");
    assert_true(looking.result.by_vectors && looking.result.count == 2);
    assert_int_equal(looking.result.hits[0].version + looking.result.hits[1].version, 3);
    close_shop(&shop);
    embed_close(&embedder);
}

/* The encoder's server is away: found by words at once, by vectors when it is back. */
static void
vectors_come_later(void **state)
{
    struct embedder *embedder = encoder("{\"driver\":\"failing\",\"times\":1}");
    struct looking looking;
    struct upload_result result;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    use_encoder(&shop, embedder);
    result = upload(&shop, "a.md", "# Bicycle\n\nThe sidecar of the tandem.");
    wait_idle(&shop);
    ASSERT_STR(get_ingestion(&shop, result.ingestion_id).status, "done");
    assert_int_equal(hits(&shop, "sidecar"), 1);
    looking = look(&shop, "sidecar");
    assert_int_equal(looking.missing, 0);
    assert_true(looking.result.by_vectors);
    close_shop(&shop);
    embed_close(&embedder);
}

/* From words alone to an encoder, and on to another one; the first one's vectors go. */
static void
another_encoder(void **state)
{
    struct embedder *first = encoder("{\"driver\":\"fake\"}");
    struct embedder *second = encoder("{\"driver\":\"fake\",\"version\":\"2\",\"dimension\":100}");
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    for (int i = 0; i < 70; i++)
        upload(&shop, arena_printf(shop.arena, "%d.md", i).ptr, "The sidecar of the tandem.");
    wait_idle(&shop);
    make_missing(&shop); /* without an encoder nothing is done */
    use_encoder(&shop, first);
    assert_int_equal(look(&shop, "tandem").missing, 70);
    assert_false(look(&shop, "tandem").result.by_vectors);
    assert_true(look(&shop, "tandem").result.count > 0);
    make_missing(&shop);
    assert_int_equal(look(&shop, "tandem").missing, 0);
    assert_true(look(&shop, "tandem").result.by_vectors);

    use_encoder(&shop, second);
    assert_false(look(&shop, "tandem").result.by_vectors);
    make_missing(&shop);
    assert_true(look(&shop, "tandem").result.by_vectors);
    use_encoder(&shop, first);
    assert_int_equal(look(&shop, "tandem").missing, 70);
    close_shop(&shop);
    embed_close(&first);
    embed_close(&second);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_has_vectors_when_it_is_searched),
        cmocka_unit_test(vectors_come_later),
        cmocka_unit_test(another_encoder),
    };

    if (argc != 2)
        return 2;
    extractor_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
