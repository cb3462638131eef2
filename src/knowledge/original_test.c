/*
 * original_test.c - raw documents as objects: there before the row, gone after it, nothing left
 * over
 */
#include <stdio.h>

#include "knowledge/knowledge_test_support.h"

#include "base/failpoint.h"
#include "blob/blob_driver.h"

static const char *extractor_path;

#define TEXT "# Doc\n\nThe basket is blue.\n"

static size_t
count_objects(struct shop *shop)
{
    struct blob_entry *entries;
    size_t count;
    bool more;
    struct err err;

    ASSERT_OK(blob_list(shop->blobs, shop->bed.scopes[0], STR("knowledge/"), STR(""), 100,
                        shop->arena, &entries, &count, &more, &err),
              &err);
    return count;
}

static void
kept_until_the_source_goes(void **state)
{
    struct upload_result first, second;
    struct ingestion_id again;
    struct blob_link link;
    struct str content, type;
    struct source_link made;
    struct shop shop;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    first = upload(&shop, "a/doc.md", TEXT);
    (void)upload(&shop, "a/doc.md", TEXT); /* unchanged: no object more */
    assert_int_equal(count_objects(&shop), 1);
    second = upload(&shop, "a/doc.md", "# Doc\n\nThe basket is red.\n");
    assert_int_equal(second.version, 2);
    assert_int_equal(count_objects(&shop), 2);
    wait_idle(&shop);
    ASSERT_OK(source_content_get(shop.knowledge, shop.bed.scopes[0], first.source_id, 1, shop.arena,
                                 &content, &type, &err),
              &err);
    ASSERT_STR(content, TEXT);
    ASSERT_OK(
        knowledge_reprocess(shop.knowledge, shop.bed.scopes[0], first.source_id, &again, &err),
        &err);
    wait_idle(&shop);
    ASSERT_STR(get_ingestion(&shop, again).status, "done");
    assert_int_equal(hits(&shop, "red"), 1);
    /* The bed's store signs no links: that is said, after the document was found. */
    assert_int_equal(
        source_link_make(shop.knowledge, shop.bed.scopes[0],
                         &(struct source_link_spec){
                             first.source_id, 1, clock_wall_us(clock_system()) + US_PER_S, false},
                         shop.arena, &made, &err),
        ST_INVALID);
    assert_int_equal(
        source_link_make(shop.knowledge, shop.bed.scopes[1],
                         &(struct source_link_spec){
                             first.source_id, 1, clock_wall_us(clock_system()) + US_PER_S, false},
                         shop.arena, &made, &err),
        ST_NOT_FOUND);
    assert_int_equal(blob_link_check(shop.blobs, STR("x"), &link, &err), ST_NOT_FOUND);
    ASSERT_OK(knowledge_delete(shop.knowledge, shop.bed.scopes[0], first.source_id, &err), &err);
    wait_idle(&shop);
    assert_int_equal(count_objects(&shop), 0);
    assert_int_equal(bed_count(&shop.bed, 0, NULL).dead, 0);
    close_shop(&shop);
}

/* As a version stands that was uploaded before objects were: its bytes in its row. */
static const struct store_sql SQL_MAKE_OLD = {
    .name = "test_make_old",
    .text = "UPDATE source_version SET object = '', content = $2 WHERE organization_id = $1"};

static enum status
make_old(struct store_tx *tx, void *arg, struct err *err)
{
    (void)arg;
    return store_exec(tx, &SQL_MAKE_OLD, ARGS(sv_blob(STR(TEXT))), NULL, err);
}

static void
from_before_objects(void **state)
{
    struct upload_result result;
    struct ingestion_id again;
    struct str content, type;
    struct source_link made;
    struct shop shop;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload(&shop, "doc.md", TEXT);
    wait_idle(&shop);
    ASSERT_OK(
        store_run(shop.bed.store, shop.bed.scopes[0], "test", STORE_DURABLE, make_old, NULL, &err),
        &err);
    ASSERT_OK(
        knowledge_reprocess(shop.knowledge, shop.bed.scopes[0], result.source_id, &again, &err),
        &err);
    wait_idle(&shop);
    ASSERT_STR(get_ingestion(&shop, again).status, "done");
    /* Its first link gives it an object; the bytes stay the same. */
    assert_int_equal(count_objects(&shop), 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(source_link_make(shop.knowledge, shop.bed.scopes[0],
                                          &(struct source_link_spec){
                                              result.source_id, 0,
                                              clock_wall_us(clock_system()) + US_PER_S, false},
                                          shop.arena, &made, &err),
                         ST_INVALID);
    assert_int_equal(count_objects(&shop), 2);
    ASSERT_OK(source_content_get(shop.knowledge, shop.bed.scopes[0], result.source_id, 0,
                                 shop.arena, &content, &type, &err),
              &err);
    ASSERT_STR(content, TEXT);
    close_shop(&shop);
}

/* Two at a time with different bytes: each gets a version of its own, with its own bytes. */
struct racer {
    struct shop *shop;
    int number;
    enum status status;
};

static void *
race(void *arg)
{
    struct racer *racer = arg;

    for (int i = 0; i < 10 && racer->status == ST_OK; i++) {
        char text[64];
        struct upload_spec spec = {.name = STR("raced.txt")};
        struct upload_result result;
        struct err err;

        (void)snprintf(text, sizeof(text), "Writer %d wrote line %d here.", racer->number, i);
        spec.content = str_from_c(text);
        racer->status = knowledge_upload(racer->shop->knowledge, racer->shop->bed.scopes[0], &spec,
                                         &result, &err);
    }
    return NULL;
}

static void
uploads_at_once(void **state)
{
    enum { WRITERS = 3, WRITES = 10 };
    struct racer racers[WRITERS];
    pthread_t threads[WRITERS];
    struct source *sources;
    struct source_version *versions;
    struct shop shop;
    size_t count;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    for (int i = 0; i < WRITERS; i++) {
        racers[i] = (struct racer){&shop, i, ST_OK};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(racers[i].status, ST_OK);
    }
    ASSERT_OK(source_list(shop.knowledge, shop.bed.scopes[0], NULL, (struct source_id){{""}}, 10,
                          shop.arena, &sources, &count, &err),
              &err);
    assert_int_equal(count, 1);
    assert_int_equal(sources[0].last_version, WRITERS * WRITES);
    assert_int_equal(count_objects(&shop), WRITERS * WRITES);
    ASSERT_OK(source_version_list(shop.knowledge, shop.bed.scopes[0], sources[0].id, 0, 100,
                                  shop.arena, &versions, &count, &err),
              &err);
    for (size_t i = 0; i < count; i++) {
        char hash[BLOB_SHA256_LEN + 1];
        crypto_hash_sha256_state state_of;
        struct str content, type;

        ASSERT_OK(source_content_get(shop.knowledge, shop.bed.scopes[0], sources[0].id,
                                     versions[i].version, shop.arena, &content, &type, &err),
                  &err);
        (void)crypto_hash_sha256_init(&state_of);
        (void)crypto_hash_sha256_update(&state_of, (const unsigned char *)content.ptr, content.len);
        blob_hash_text(&state_of, hash);
        ASSERT_STR(versions[i].content_hash, hash);
    }
    close_shop(&shop);
}

/* An object that went missing fails its ingestion in words; nothing waits for it for ever. */
static void
a_missing_object(void **state)
{
    struct upload_result result;
    struct blob_entry *entries;
    struct shop shop;
    size_t count;
    bool more;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload(&shop, "doc.md", TEXT);
    ASSERT_OK(blob_list(shop.blobs, shop.bed.scopes[0], STR(""), STR(""), 10, shop.arena, &entries,
                        &count, &more, &err),
              &err);
    assert_int_equal(count, 1);
    ASSERT_OK(blob_delete(shop.blobs, shop.bed.scopes[0], entries[0].key, &err), &err);
    wait_idle(&shop);
    ASSERT_STR(get_ingestion(&shop, result.ingestion_id).status, "failed");
    ASSERT_STR(get_ingestion(&shop, result.ingestion_id).error,
               "The original document is no longer there.");
    close_shop(&shop);
}

/* No space: nothing is there, and the same upload succeeds later. */
static void
a_store_that_fails(void **state)
{
    struct knowledge_config config = {.clock = clock_system(), .extractor_path = extractor_path};
    struct upload_spec spec = {.name = STR("doc.md"), .content = STR(TEXT)};
    struct blob_config failing = {.driver = &blob_driver_failing, .clock = clock_system()};
    struct upload_result result;
    struct source *sources;
    struct shop shop;
    size_t count;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    knowledge_close(&shop.knowledge);
    failing.inner = shop.blobs;
    config.store = shop.bed.store;
    config.queue = shop.bed.queue;
    ASSERT_OK(blob_open(&failing, &config.blobs, &err), &err);
    ASSERT_OK(knowledge_open(&config, &shop.knowledge, &err), &err);
    for (unsigned step = 0; step < 3; step++) {
        blob_failing_set(config.blobs, ST_UNAVAILABLE, step, 1);
        assert_int_equal(knowledge_upload(shop.knowledge, shop.bed.scopes[0], &spec, &result, &err),
                         ST_UNAVAILABLE);
    }
    ASSERT_OK(source_list(shop.knowledge, shop.bed.scopes[0], NULL, (struct source_id){{""}}, 10,
                          shop.arena, &sources, &count, &err),
              &err);
    assert_int_equal(count, 0);
    assert_int_equal(count_objects(&shop), 0);
    ASSERT_OK(knowledge_upload(shop.knowledge, shop.bed.scopes[0], &spec, &result, &err), &err);
    wait_idle(&shop);
    assert_int_equal(hits(&shop, "basket"), 1);
    queue_workers_stop(&shop.workers, WAIT_MS);
    knowledge_close(&shop.knowledge);
    blob_close(&config.blobs);
    close_shop(&shop);
}

#ifdef PARLEY_WITH_FAILPOINTS

static void
close_for_child(struct shop *shop)
{
    knowledge_close(&shop->knowledge);
    blob_close(&shop->blobs);
    live_hub_destroy(&shop->live);
    arena_destroy(&shop->arena);
    bed_close(&shop->bed, false);
}

/* A process of its own does one thing and dies at the failpoint. */
static void
die_in(const char *folder, const char *failpoint, bool deletes, struct source_id id)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct shop shop = {.extractor_path = extractor_path};
        struct err err;

        bed_reopen(&shop.bed, folder, clock_system(), NULL);
        open_knowledge(&shop);
        if (failpoint_configure(failpoint, &err) != ST_OK)
            _exit(1);
        if (deletes)
            (void)!knowledge_delete(shop.knowledge, shop.bed.scopes[0], id, &err);
        else
            (void)upload(&shop, "other.md", TEXT);
        wait_idle(&shop);
        _exit(2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
killed_between_object_and_row(void **state)
{
    struct source *sources;
    struct upload_result result;
    struct shop shop;
    char folder[64];
    unsigned removed;
    size_t count;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload(&shop, "doc.md", TEXT);
    wait_idle(&shop);
    queue_workers_stop(&shop.workers, WAIT_MS);
    (void)snprintf(folder, sizeof(folder), "%s", shop.bed.folder);
    close_for_child(&shop);
    die_in(folder, "ingest.original_put=crash", false, result.source_id);

    shop = (struct shop){.extractor_path = extractor_path};
    bed_reopen(&shop.bed, folder, clock_system(), NULL);
    open_knowledge(&shop);
    ASSERT_OK(source_list(shop.knowledge, shop.bed.scopes[0], NULL, (struct source_id){{""}}, 10,
                          shop.arena, &sources, &count, &err),
              &err);
    assert_int_equal(count, 1);
    assert_int_equal(count_objects(&shop), 2);
    ASSERT_OK(knowledge_upkeep(shop.knowledge, shop.bed.scopes[0], 3600 * US_PER_S, &removed, &err),
              &err);
    assert_int_equal(removed, 0); /* it may be an upload that still runs */
    ASSERT_OK(knowledge_upkeep(shop.knowledge, shop.bed.scopes[0], -10 * US_PER_S, &removed, &err),
              &err);
    assert_int_equal(removed, 1);
    assert_int_equal(count_objects(&shop), 1);
    ASSERT_OK(knowledge_upkeep(shop.knowledge, shop.bed.scopes[0], -10 * US_PER_S, &removed, &err),
              &err);
    assert_int_equal(removed, 0);
    close_for_child(&shop);
    die_in(folder, "ingest.originals_removed=crash", true, result.source_id);

    shop = (struct shop){.extractor_path = extractor_path};
    bed_reopen(&shop.bed, folder, clock_system(), NULL);
    open_knowledge(&shop);
    wait_idle(&shop);
    assert_int_equal(count_objects(&shop), 0);
    assert_int_equal(bed_count(&shop.bed, 0, NULL).dead, 0);
    close_shop(&shop);
}

#else
SKIPPED_WITHOUT_FAILPOINTS(killed_between_object_and_row)
#endif

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_until_the_source_goes),
        cmocka_unit_test(from_before_objects),
        cmocka_unit_test(uploads_at_once),
        cmocka_unit_test(a_missing_object),
        cmocka_unit_test(a_store_that_fails),
        cmocka_unit_test(killed_between_object_and_row),
    };

    if (argc != 2)
        return 2;
    extractor_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
