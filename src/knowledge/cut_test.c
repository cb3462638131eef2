/*
 * cut_test.c - passages as an organization wants them: checked, and cut anew from what is kept
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/failpoint.h"
#include "knowledge/archive_test_support.h"
#include "knowledge/knowledge_test_support.h"
#include "tenant/tenant.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *extractor_path;

/* Sixty sentences of one paragraph, and a word that only this one has. */
static struct str
story(struct arena *arena, const char *word)
{
    struct buf text;
    struct str result;

    buf_init(&text, 65536);
    buf_printf(&text, "# Journey\n\nIt is the journey of the %s.", word);
    for (int i = 0; i < 60; i++)
        buf_printf(&text, " On day %d the boat stayed in the harbour of the town.", i);
    result = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
    return result;
}

struct wish {
    struct knowledge *knowledge;
    struct passage_settings settings;
    int64_t left;
};

static enum status
set_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct wish *wish = arg;
    struct brand brand;
    enum status st = brand_get(tx, (struct brand_id){{""}}, store_tx_arena(tx), &brand, err);

    brand.passages = wish->settings;
    if (st == ST_OK)
        st = brand_update(tx, &brand, err);
    return st == ST_OK ? knowledge_cut_anew(wish->knowledge, tx, &wish->left, err) : st;
}

/* How many documents there are to cut. */
static int64_t
want(struct shop *shop, int64_t words, int64_t overlap)
{
    struct wish wish = {shop->knowledge, {words, overlap}, -1};
    struct err err;

    ASSERT_OK(store_run(shop->bed.store, shop->bed.scopes[0], "set", STORE_DURABLE, set_in_tx,
                        &wish, &err),
              &err);
    return wish.left;
}

static enum status
count_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct wish *wish = arg;

    return knowledge_count_uncut(wish->knowledge, tx, &wish->left, err);
}

static int64_t
left(struct shop *shop)
{
    struct wish wish = {.knowledge = shop->knowledge};
    struct err err;

    ASSERT_OK(store_read(shop->bed.store, shop->bed.scopes[0], "count", count_in_tx, &wish, &err),
              &err);
    return wish.left;
}

static void
stop_workers(struct shop *shop)
{
    if (shop->workers != NULL)
        queue_workers_stop(&shop->workers, WAIT_MS);
}

static void
wishes_are_checked(void **state)
{
    static const struct {
        struct passage_settings settings;
        enum status want;
    } cases[] = {
        {{PASSAGES_AS_SERVER, PASSAGES_AS_SERVER}, ST_OK},
        {{80, PASSAGES_AS_SERVER}, ST_OK},
        {{PASSAGES_AS_SERVER, 0}, ST_OK},
        {{PASSAGES_AS_SERVER, 100}, ST_OK},
        {{400, 100}, ST_OK},
        {{80, 40}, ST_OK},
        {{80, 41}, ST_INVALID},
        {{79, PASSAGES_AS_SERVER}, ST_INVALID},
        {{401, PASSAGES_AS_SERVER}, ST_INVALID},
        {{0, 0}, ST_INVALID},
        {{PASSAGES_AS_SERVER, 101}, ST_INVALID},
        {{PASSAGES_AS_SERVER, -2}, ST_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err err;

        if (passage_settings_check(&cases[i].settings, &err) != cases[i].want)
            fail_msg("%lld, %lld", (long long)cases[i].settings.words,
                     (long long)cases[i].settings.overlap);
    }
}

static void
documents_are_cut_as_wanted(void **state)
{
    struct upload_spec spec = {.name = STR("story.md")};
    struct upload_result mine, theirs;
    struct source before;
    struct ingestion *ingestions;
    struct shop shop;
    size_t count;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    spec.content = story(shop.arena, "ferry");
    mine = upload_for(&shop, STR("story.md"), spec.content, STR_EMPTY);
    ASSERT_OK(knowledge_upload(shop.knowledge, shop.bed.scopes[1], &spec, &theirs, &err), &err);
    wait_idle(&shop);
    before = get_source(&shop, mine.source_id);
    stop_workers(&shop);

    assert_int_equal(want(&shop, 80, PASSAGES_AS_SERVER), 1);
    assert_int_equal(want(&shop, 80, 0), 1); /* once more is no second job */
    assert_int_equal(hits(&shop, "ferry"), 1);
    assert_int_equal(get_source(&shop, mine.source_id).chunk_count, before.chunk_count);
    wait_idle(&shop);
    assert_int_equal(left(&shop), 0);
    assert_int_equal(hits(&shop, "ferry"), 1);
    assert_true(get_source(&shop, mine.source_id).chunk_count > before.chunk_count + 2);
    assert_int_equal(get_source(&shop, mine.source_id).current_version, 1);
    ASSERT_OK(ingestion_list(shop.knowledge, shop.bed.scopes[0], NULL, mine.source_id,
                             (struct ingestion_id){{""}}, 10, shop.arena, &ingestions, &count,
                             &err),
              &err);
    assert_int_equal(count, 1);
    assert_int_equal(search_as(&shop, 1, "ferry", false).health.chunks, before.chunk_count);

    /* Uploads follow, too; what is cut rightly is not cut again. */
    (void)upload_for(&shop, STR("other.md"), story(shop.arena, "violin"), STR_EMPTY);
    wait_idle(&shop);
    assert_int_equal(want(&shop, 80, 0), 0);
    assert_int_equal(want(&shop, PASSAGES_AS_SERVER, PASSAGES_AS_SERVER), 2);
    wait_idle(&shop);
    assert_int_equal(get_source(&shop, mine.source_id).chunk_count, before.chunk_count);
    assert_int_equal(search_as(&shop, 0, "ferry", false).health.chunks, 2 * before.chunk_count);
    close_shop(&shop);
}

/* What is searched is cut, though the newest version cannot be read; and that stays told. */
static void
a_version_before_one_that_failed(void **state)
{
    struct upload_result first;
    int64_t before;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    first = upload_for(&shop, STR("story.md"), story(shop.arena, "ferry"), STR_EMPTY);
    wait_idle(&shop);
    before = get_source(&shop, first.source_id).chunk_count;
    (void)upload(&shop, "story.md", "%PDF-1.7 and nothing else");
    wait_idle(&shop);
    ASSERT_STR(get_source(&shop, first.source_id).status, "failed");
    assert_int_equal(want(&shop, 80, PASSAGES_AS_SERVER), 1);
    wait_idle(&shop);
    assert_true(get_source(&shop, first.source_id).chunk_count > before + 2);
    assert_int_equal(get_source(&shop, first.source_id).current_version, 1);
    ASSERT_STR(get_source(&shop, first.source_id).status, "failed");
    close_shop(&shop);
}

static void
what_is_gone_keeps_its_passages(void **state)
{
    struct upload_result result;
    struct blob_entry *entries;
    struct shop shop;
    int64_t before;
    size_t count;
    bool more;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload_for(&shop, STR("story.md"), story(shop.arena, "ferry"), STR_EMPTY);
    wait_idle(&shop);
    before = get_source(&shop, result.source_id).chunk_count;
    ASSERT_OK(blob_list(shop.blobs, shop.bed.scopes[0], STR(""), STR(""), 10, shop.arena, &entries,
                        &count, &more, &err),
              &err);
    assert_int_equal(count, 1);
    ASSERT_OK(blob_delete(shop.blobs, shop.bed.scopes[0], entries[0].key, &err), &err);
    assert_int_equal(want(&shop, 80, PASSAGES_AS_SERVER), 1);
    wait_idle(&shop);
    assert_int_equal(left(&shop), 0); /* it is not tried for ever */
    assert_int_equal(get_source(&shop, result.source_id).chunk_count, before);
    assert_int_equal(hits(&shop, "ferry"), 1);
    close_shop(&shop);
}

static void
an_archive_is_cut_within(void **state)
{
    struct shop shop;
    struct packed_file file = {.path = "story.md"};
    struct str bytes;
    int64_t before;

    (void)state;
    open_shop(&shop, extractor_path);
    file.bytes = story(shop.arena, "ferry").ptr;
    file.size = story(shop.arena, "ferry").len;
    bytes = pack(PACK_ZIP, &file, 1);
    (void)upload_for(&shop, STR("all.zip"), bytes, STR_EMPTY);
    free((char *)(uintptr_t)bytes.ptr);
    wait_idle(&shop);
    before = search_as(&shop, 0, "ferry", false).health.chunks;
    assert_int_equal(want(&shop, 80, PASSAGES_AS_SERVER), 2);
    wait_idle(&shop);
    assert_int_equal(left(&shop), 0);
    assert_true(search_as(&shop, 0, "ferry", false).health.chunks > before + 2);
    close_shop(&shop);
}

/* --- a wish that comes while a document is read --- */

/* An extractor that at its first run says that it begins, and waits until it may go on. */
static void
make_waiting_extractor(const char *path, const char *begun, const char *go)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fprintf(file,
                        "#!/bin/sh\nif [ -p %s ]; then\n echo >%s; read word <%s; /bin/rm %s\nfi\n"
                        "exec %s \"$@\"\n",
                        begun, begun, go, begun, extractor_path) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(mkfifo(begun, 0600), 0);
    assert_int_equal(mkfifo(go, 0600), 0);
}

/* Opening one end of a pipe waits for the other. */
static void
meet(const char *path, int flags)
{
    char byte = '\n';
    int fd = open(path, flags | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(flags == O_RDONLY ? read(fd, &byte, 1) : write(fd, &byte, 1), 1);
    assert_int_equal(close(fd), 0);
}

static void
a_wish_while_a_document_is_read(void **state)
{
    struct shop shop;
    char path[256], begun[256], go[256];
    struct upload_result result;

    (void)state;
    open_shop(&shop, extractor_path);
    (void)snprintf(path, sizeof(path), "%s/waits.sh", shop.bed.folder);
    (void)snprintf(begun, sizeof(begun), "%s/begun", shop.bed.folder);
    (void)snprintf(go, sizeof(go), "%s/go", shop.bed.folder);
    make_waiting_extractor(path, begun, go);
    knowledge_close(&shop.knowledge);
    blob_close(&shop.blobs);
    live_hub_destroy(&shop.live);
    arena_destroy(&shop.arena);
    shop.extractor_path = path;
    open_knowledge(&shop);
    result = upload_for(&shop, STR("story.md"), story(shop.arena, "ferry"), STR_EMPTY);
    start_workers(&shop);
    meet(begun, O_RDONLY);
    assert_int_equal(want(&shop, 80, PASSAGES_AS_SERVER), 0); /* nothing is searched yet */
    meet(go, O_WRONLY);
    wait_idle(&shop);
    assert_int_equal(left(&shop), 0);
    assert_true(get_source(&shop, result.source_id).chunk_count > 8);
    close_shop(&shop);
}

/* --- dying --- */

#ifdef PARLEY_WITH_FAILPOINTS
/* A process of its own cuts documents anew and dies at the second one. */
static void
cut_and_die(const char *folder)
{
    struct shop shop = {.extractor_path = extractor_path};
    struct err err;

    bed_reopen(&shop.bed, folder, clock_system(), NULL);
    open_knowledge(&shop);
    if (failpoint_configure("ingest.extracted=crash:2", &err) != ST_OK)
        _exit(1);
    wait_idle(&shop);
    _exit(2); /* it should have died */
}

static void
killed_between_documents(void **state)
{
    static const char *const words[] = {"kettle", "lantern", "violin"};
    struct shop shop;
    char folder[64], name[16];
    int64_t before;
    int status;
    pid_t child;

    (void)state;
    open_shop(&shop, extractor_path);
    for (size_t i = 0; i < COUNT(words); i++) {
        (void)snprintf(name, sizeof(name), "%zu.md", i);
        (void)upload_for(&shop, str_from_c(name), story(shop.arena, words[i]), STR_EMPTY);
    }
    wait_idle(&shop);
    before = search_as(&shop, 0, "x", true).health.chunks;
    stop_workers(&shop);
    assert_int_equal(want(&shop, 80, PASSAGES_AS_SERVER), 3);
    (void)snprintf(folder, sizeof(folder), "%s", shop.bed.folder);
    knowledge_close(&shop.knowledge);
    blob_close(&shop.blobs);
    live_hub_destroy(&shop.live);
    arena_destroy(&shop.arena);
    bed_close(&shop.bed, false);

    child = fork();
    if (child == 0)
        cut_and_die(folder);
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    shop = (struct shop){.extractor_path = extractor_path};
    bed_reopen(&shop.bed, folder, clock_system(), NULL);
    open_knowledge(&shop);
    assert_int_equal(left(&shop), 2);
    for (size_t i = 0; i < COUNT(words); i++)
        assert_int_equal(hits(&shop, words[i]), 1);
    wait_idle(&shop);
    assert_int_equal(left(&shop), 0);
    for (size_t i = 0; i < COUNT(words); i++)
        assert_int_equal(hits(&shop, words[i]), 1);
    assert_true(search_as(&shop, 0, "x", true).health.chunks > before + 3 * 2);
    close_shop(&shop);
}
#else
SKIPPED_WITHOUT_FAILPOINTS(killed_between_documents)
#endif

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wishes_are_checked),
        cmocka_unit_test(documents_are_cut_as_wanted),
        cmocka_unit_test(a_version_before_one_that_failed),
        cmocka_unit_test(what_is_gone_keeps_its_passages),
        cmocka_unit_test(an_archive_is_cut_within),
        cmocka_unit_test(a_wish_while_a_document_is_read),
        cmocka_unit_test(killed_between_documents),
    };

    assert_int_equal(argc, 2);
    extractor_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
