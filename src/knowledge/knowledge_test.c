/*
 * knowledge_test.c - documents from upload to search and out again, on a real store, queue and
 * index
 */
#include <pthread.h>
#include <stdio.h>

#include "base/buf.h"
#include "knowledge/content_type.h"
#include "knowledge/knowledge_test_support.h"

static const char *extractor_path;

/* --- the way of a document --- */

static void
an_upload_is_searched(void **state)
{
    struct shop shop;
    struct upload_result result;
    struct ingestion ingestion;
    struct source source;
    struct search search;
    struct str text;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload(&shop, "hire.md",
                    "# Bike hire\n\nHello.\n\n## Deposit\n\nA tandem asks for a "
                    "deposit of eighty euro.\n");
    assert_true(result.created && !result.unchanged);
    assert_int_equal(result.version, 1);
    ASSERT_STR(get_ingestion(&shop, result.ingestion_id).status, "queued");
    assert_int_equal(hits(&shop, "tandem"), 0);
    wait_idle(&shop);

    ingestion = get_ingestion(&shop, result.ingestion_id);
    ASSERT_STR(ingestion.status, "done");
    assert_int_equal(ingestion.chunk_count, 2);
    assert_true(ingestion.progress == 1.0);
    source = get_source(&shop, result.source_id);
    ASSERT_STR(source.title, "Bike hire");
    ASSERT_STR(source.content_type, "text/markdown");
    ASSERT_STR(source.audience, "customer");
    ASSERT_STR(source.status, "done");
    assert_int_equal(source.current_version, 1);
    assert_int_equal(source.chunk_count, 2);

    search = search_as(&shop, 0, "What deposit does a tandem ask for?", false);
    assert_true(search.result.count > 0);
    ASSERT_STR(search.result.hits[0].heading_path, "Deposit");
    ASSERT_STR(search.result.hits[0].text, "A tandem asks for a deposit of eighty euro.");
    ASSERT_OK(source_text_get(shop.knowledge, shop.bed.scopes[0], result.source_id, 0,
                              search.result.hits[0].start_char, search.result.hits[0].end_char,
                              shop.arena, &text, &err),
              &err);
    assert_true(str_eq(text, search.result.hits[0].text));
    close_shop(&shop);
}

static void
the_same_bytes_are_no_work(void **state)
{
    struct shop shop;
    struct upload_result first, second;

    (void)state;
    open_shop(&shop, extractor_path);
    first = upload(&shop, "a.txt", "Some words.");
    second = upload(&shop, "a.txt", "Some words.");
    assert_true(second.unchanged && id_is_none(&second.ingestion_id.id));
    wait_idle(&shop);
    second = upload(&shop, "a.txt", "Some words.");
    assert_true(second.unchanged && !second.created && id_is_none(&second.ingestion_id.id));
    assert_true(id_eq(&first.source_id.id, &second.source_id.id));
    assert_int_equal(second.version, 1);
    close_shop(&shop);
}

static void
a_new_version_replaces_the_old(void **state)
{
    struct source_version *versions;
    struct upload_result first, second;
    struct shop shop;
    struct str content, type;
    size_t count;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    first = upload(&shop, "prices.md", "# Prices\n\nA monocycle costs ninety.\n");
    wait_idle(&shop);
    assert_int_equal(hits(&shop, "monocycle"), 1);
    second = upload(&shop, "prices.md", "# Prices\n\nA velocipede costs ninety.\n");
    assert_int_equal(second.version, 2);
    assert_true(id_eq(&first.source_id.id, &second.source_id.id));
    wait_idle(&shop);
    assert_int_equal(hits(&shop, "monocycle"), 0);
    assert_int_equal(hits(&shop, "velocipede"), 1);
    assert_int_equal(get_source(&shop, first.source_id).chunk_count, 1);
    assert_int_equal(search_as(&shop, 0, "x", true).health.chunks, 1);

    ASSERT_OK(source_version_list(shop.knowledge, shop.bed.scopes[0], first.source_id, 0, 10,
                                  shop.arena, &versions, &count, &err),
              &err);
    assert_int_equal(count, 2);
    assert_int_equal(versions[0].version, 2);
    assert_true(versions[0].is_current && !versions[1].is_current);
    ASSERT_OK(source_content_get(shop.knowledge, shop.bed.scopes[0], first.source_id, 1, shop.arena,
                                 &content, &type, &err),
              &err);
    ASSERT_STR(content, "# Prices\n\nA monocycle costs ninety.\n");
    close_shop(&shop);
}

/* By the name of its file without the ending, beside its title. */
static void
a_document_is_found_by_its_name(void **state)
{
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    start_workers(&shop);
    upload(&shop, "reports/2031_Q3_zebra.md", "# Form\n\nNothing else tells what this is about.\n");
    wait_idle(&shop);
    assert_int_equal(hits(&shop, "zebra"), 1);
    assert_int_equal(hits(&shop, "2031"), 1);
    assert_int_equal(hits(&shop, "reports"), 0);
    assert_int_equal(hits(&shop, "md"), 0);
    close_shop(&shop);
}

static void
a_bad_document_fails_alone(void **state)
{
    struct upload_result good, bad, other;
    struct ingestion ingestion;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    good = upload(&shop, "guide.md", "The kickstand is on the left.");
    wait_idle(&shop);
    bad = upload(&shop, "guide.md", "\x89PNG\r\n\x1a\n and so on");
    other = upload(&shop, "other.md", "The saddle is brown.");
    wait_idle(&shop);

    ingestion = get_ingestion(&shop, bad.ingestion_id);
    ASSERT_STR(ingestion.status, "failed");
    ASSERT_STR(ingestion.error, "This is a PNG image, not a text file.");
    ASSERT_STR(get_ingestion(&shop, other.ingestion_id).status, "done");
    ASSERT_STR(get_source(&shop, good.source_id).status, "failed");
    assert_int_equal(get_source(&shop, good.source_id).current_version, 1);
    assert_int_equal(get_source(&shop, good.source_id).last_version, 2);
    assert_int_equal(hits(&shop, "kickstand"), 1);
    assert_int_equal(bed_count(&shop.bed, 0, QUEUE_TOPIC_INGEST).dead, 0);
    /* Uploaded again, it is tried again: the reader may have learned. */
    bad = upload(&shop, "guide.md", "\x89PNG\r\n\x1a\n and so on");
    assert_true(bad.unchanged && !id_is_none(&bad.ingestion_id.id));
    wait_idle(&shop);
    ASSERT_STR(get_ingestion(&shop, bad.ingestion_id).status, "failed");
    close_shop(&shop);
}

static void
deleting_leaves_nothing(void **state)
{
    struct upload_result kept, gone, waiting;
    struct ingestion ingestion;
    struct source source;
    struct search search;
    struct shop shop;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    kept = upload(&shop, "kept.md", "Bells are required.");
    gone = upload(&shop, "gone.md", "Whistles are required.");
    wait_idle(&shop);
    (void)upload(&shop, "gone.md", "Trumpets are required.");
    wait_idle(&shop);
    ASSERT_OK(knowledge_delete(shop.knowledge, shop.bed.scopes[0], gone.source_id, &err), &err);
    assert_int_equal(hits(&shop, "whistles"), 0);
    search = search_as(&shop, 0, "trumpets", true);
    assert_int_equal(search.result.count, 0);
    assert_int_equal(search.health.chunks, 1);
    assert_int_equal(
        source_get(shop.knowledge, shop.bed.scopes[0], gone.source_id, shop.arena, &source, &err),
        ST_NOT_FOUND);
    assert_int_equal(ingestion_get(shop.knowledge, shop.bed.scopes[0], gone.ingestion_id,
                                   shop.arena, &ingestion, &err),
                     ST_NOT_FOUND);
    assert_int_equal(knowledge_delete(shop.knowledge, shop.bed.scopes[0], gone.source_id, &err),
                     ST_NOT_FOUND);
    assert_int_equal(hits(&shop, "bells"), 1);

    /* Uploaded anew under the same name it is another source; deleted while its job waits, the job
     * finds nothing to do. */
    queue_workers_stop(&shop.workers, WAIT_MS);
    waiting = upload(&shop, "gone.md", "Trumpets are required.");
    assert_true(waiting.created && !id_eq(&waiting.source_id.id, &gone.source_id.id));
    ASSERT_OK(knowledge_delete(shop.knowledge, shop.bed.scopes[0], waiting.source_id, &err), &err);
    wait_idle(&shop);
    assert_int_equal(hits(&shop, "trumpets"), 0);
    assert_int_equal(bed_count(&shop.bed, 0, NULL).dead, 0);
    ASSERT_OK(knowledge_delete(shop.knowledge, shop.bed.scopes[0], kept.source_id, &err), &err);
    search = search_as(&shop, 0, "bells", true);
    assert_int_equal(search.health.chunks, 0);
    assert_int_equal(search.health.terms, 0);
    close_shop(&shop);
}

static void
reprocessing_changes_nothing(void **state)
{
    struct ingestion_id ingestion_id;
    struct upload_result result;
    struct shop shop;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload(&shop, "a.md", "Fenders keep you dry.");
    wait_idle(&shop);
    ASSERT_OK(knowledge_reprocess(shop.knowledge, shop.bed.scopes[0], result.source_id,
                                  &ingestion_id, &err),
              &err);
    wait_idle(&shop);
    ASSERT_STR(get_ingestion(&shop, ingestion_id).status, "done");
    assert_int_equal(get_ingestion(&shop, ingestion_id).version, 1);
    assert_int_equal(hits(&shop, "fenders"), 1);
    assert_int_equal(search_as(&shop, 0, "x", true).health.chunks, 1);
    close_shop(&shop);
}

/* --- who may read --- */

static void
audiences_are_kept_apart(void **state)
{
    const struct str name = STR("safe.md"), words = STR("The safe is behind the clock.");
    struct upload_result result;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload_for(&shop, name, words, STR("staff"));
    wait_idle(&shop);
    assert_int_equal(hits(&shop, "safe clock"), 0);
    assert_int_equal(search_as(&shop, 0, "safe clock", true).result.count, 1);
    /* Not said again is as it was. */
    assert_true(upload_for(&shop, name, words, STR_EMPTY).unchanged);
    ASSERT_STR(get_source(&shop, result.source_id).audience, "staff");

    /* Wider counts when the new text is searched, not before. */
    queue_workers_stop(&shop.workers, WAIT_MS);
    (void)upload_for(&shop, name, STR("There is a safe."), STR("customer"));
    ASSERT_STR(get_source(&shop, result.source_id).audience, "staff");
    assert_int_equal(hits(&shop, "safe"), 0);
    wait_idle(&shop);
    ASSERT_STR(get_source(&shop, result.source_id).audience, "customer");
    assert_int_equal(hits(&shop, "safe"), 1);

    /* Narrower counts at once, even before it is read. */
    queue_workers_stop(&shop.workers, WAIT_MS);
    (void)upload_for(&shop, name, STR("There is a safe."), STR("staff"));
    assert_int_equal(hits(&shop, "safe"), 0);
    wait_idle(&shop);
    assert_int_equal(hits(&shop, "safe"), 0);
    assert_int_equal(search_as(&shop, 0, "safe", true).result.count, 1);
    close_shop(&shop);
}

static void
organizations_are_kept_apart(void **state)
{
    struct source_version *versions;
    struct ingestion_id ingestion_id;
    struct ingestion *ingestions;
    struct ingestion ingestion;
    struct upload_result mine;
    struct source *sources;
    struct source source;
    struct str text, type;
    struct shop shop;
    const struct tenant_scope *other;
    size_t count;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    other = shop.bed.scopes[1];
    mine = upload(&shop, "mine.md", "The combination is 4711.");
    wait_idle(&shop);
    assert_int_equal(search_as(&shop, 1, "combination 4711", true).result.count, 0);
    assert_int_equal(source_get(shop.knowledge, other, mine.source_id, shop.arena, &source, &err),
                     ST_NOT_FOUND);
    assert_int_equal(knowledge_delete(shop.knowledge, other, mine.source_id, &err), ST_NOT_FOUND);
    assert_int_equal(
        knowledge_reprocess(shop.knowledge, other, mine.source_id, &ingestion_id, &err),
        ST_NOT_FOUND);
    assert_int_equal(source_version_list(shop.knowledge, other, mine.source_id, 0, 10, shop.arena,
                                         &versions, &count, &err),
                     ST_NOT_FOUND);
    assert_int_equal(source_content_get(shop.knowledge, other, mine.source_id, 1, shop.arena, &text,
                                        &type, &err),
                     ST_NOT_FOUND);
    assert_int_equal(
        source_text_get(shop.knowledge, other, mine.source_id, 1, 0, 5, shop.arena, &text, &err),
        ST_NOT_FOUND);
    assert_int_equal(
        ingestion_get(shop.knowledge, other, mine.ingestion_id, shop.arena, &ingestion, &err),
        ST_NOT_FOUND);
    assert_int_equal(ingestion_list(shop.knowledge, other, NULL, mine.source_id,
                                    (struct ingestion_id){0}, 10, shop.arena, &ingestions, &count,
                                    &err),
                     ST_NOT_FOUND);
    ASSERT_OK(source_list(shop.knowledge, other, NULL, (struct source_id){0}, 10, shop.arena,
                          &sources, &count, &err),
              &err);
    assert_int_equal(count, 0);
    assert_int_equal(hits(&shop, "combination"), 1);
    close_shop(&shop);
}

/* --- many at once --- */

struct uploader {
    struct shop *shop;
    unsigned number;
    struct upload_result result;
    enum status st;
};

static void *
upload_thread(void *arg)
{
    struct uploader *uploader = arg;
    char text[64];
    struct upload_spec spec = {.name = STR("shared.md")};
    struct err err;

    (void)snprintf(text, sizeof(text), "The winner is runner%u.", uploader->number);
    spec.content = str_from_c(text);
    uploader->st = knowledge_upload(uploader->shop->knowledge, uploader->shop->bed.scopes[0], &spec,
                                    &uploader->result, &err);
    return NULL;
}

static void
uploads_of_one_name_are_versions(void **state)
{
    enum { COUNT = 8 };
    struct uploader uploaders[COUNT];
    pthread_t threads[COUNT];
    bool seen[COUNT + 1] = {false};
    char winner[32];
    struct source source;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    start_workers(&shop);
    for (unsigned i = 0; i < COUNT; i++) {
        uploaders[i] = (struct uploader){.shop = &shop, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, upload_thread, &uploaders[i]), 0);
    }
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    wait_idle(&shop);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(uploaders[i].st, ST_OK);
        assert_in_range(uploaders[i].result.version, 1, COUNT);
        assert_false(seen[uploaders[i].result.version]);
        seen[uploaders[i].result.version] = true;
        if (uploaders[i].result.version == COUNT)
            (void)snprintf(winner, sizeof(winner), "runner%u", i);
        assert_true(id_eq(&uploaders[i].result.source_id.id, &uploaders[0].result.source_id.id));
    }
    source = get_source(&shop, uploaders[0].result.source_id);
    assert_int_equal(source.current_version, COUNT);
    assert_int_equal(source.chunk_count, 1);
    assert_int_equal(search_as(&shop, 0, "x", true).health.chunks, 1);
    assert_int_equal(hits(&shop, winner), 1);
    close_shop(&shop);
}

static void
pages_go_on_where_they_ended(void **state)
{
    struct source_id before = {{""}};
    struct ingestion_id none = {{""}};
    struct ingestion *ingestions;
    struct source *sources;
    struct shop shop;
    size_t count, total = 0;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    for (unsigned i = 0; i < 7; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "%u.txt", i);
        (void)upload(&shop, name, "words");
    }
    do {
        ASSERT_OK(source_list(shop.knowledge, shop.bed.scopes[0], NULL, before, 3, shop.arena,
                              &sources, &count, &err),
                  &err);
        for (size_t i = 0; i < count; i++) {
            assert_true(total == 0 || str_cmp(ID_STR(sources[i].id), ID_STR(before)) < 0);
            before = sources[i].id;
            ASSERT_STR(sources[i].status, "queued");
            total++;
        }
    } while (count > 0);
    assert_int_equal(total, 7);
    ASSERT_OK(ingestion_list(shop.knowledge, shop.bed.scopes[0], NULL, (struct source_id){{""}},
                             none, 500, shop.arena, &ingestions, &count, &err),
              &err);
    assert_int_equal(count, 7);
    ASSERT_OK(ingestion_list(shop.knowledge, shop.bed.scopes[0], NULL, before, none, 500,
                             shop.arena, &ingestions, &count, &err),
              &err);
    assert_int_equal(count, 1);
    close_shop(&shop);
}

/* --- refusing --- */

static void
impossible_uploads_are_refused(void **state)
{
    static const struct {
        struct upload_spec spec;
        enum status want;
    } table[] = {
        {{.name = STR_INIT(""), .content = STR_INIT("x")}, ST_INVALID},
        {{.name = STR_INIT(" "), .content = STR_INIT("x")}, ST_INVALID},
        {{.name = STR_INIT("a\nb"), .content = STR_INIT("x")}, ST_INVALID},
        {{.name = STR_INIT("\xff"), .content = STR_INIT("x")}, ST_INVALID},
        {{.name = STR_INIT("a"), .content = STR_INIT("")}, ST_INVALID},
        {{.name = STR_INIT("a"), .content = STR_INIT("x"), .kind = STR_INIT("y")}, ST_INVALID},
        {{.name = STR_INIT("a"), .content = STR_INIT("x"), .audience = STR_INIT("all")},
         ST_INVALID},
        {{.name = STR_INIT("a"), .content = STR_INIT("x"), .language = STR_INIT("EN")}, ST_INVALID},
        {{.name = STR_INIT("a"),
          .content = STR_INIT("x"),
          .brand_id = {{"01890000-0000-7000-8000-000000000000"}}},
         ST_NOT_FOUND},
        {{.name = STR_INIT("a"), .file = "/nowhere/at/all"}, ST_NOT_FOUND},
        {{.name = STR_INIT("a"), .file = "/"}, ST_NOT_FOUND},
    };
    struct upload_spec large = {.name = STR("a")};
    struct upload_result result;
    struct shop shop;
    struct buf bytes;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        enum status st =
            knowledge_upload(shop.knowledge, shop.bed.scopes[0], &table[i].spec, &result, &err);

        if (st != table[i].want)
            fail_msg("row %zu: %s", i, status_name(st));
    }
    buf_init(&bytes, 17 * MB);
    while (bytes.len <= 16 * MB)
        buf_append_c(&bytes, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    large.content = buf_str(&bytes);
    assert_int_equal(knowledge_upload(shop.knowledge, shop.bed.scopes[0], &large, &result, &err),
                     ST_TOO_LARGE);
    buf_deinit(&bytes);
    close_shop(&shop);
}

static void
types_are_told(void **state)
{
    static const struct {
        struct str name, content;
        const char *want;
    } table[] = {
        {STR_INIT("a.md"), STR_INIT(""), "text/markdown"},
        {STR_INIT("A.HTM"), STR_INIT(""), "text/html"},
        {STR_INIT("x.txt"), STR_INIT("<html>"), "text/plain"},
        {STR_INIT("page"), STR_INIT("\n <!DOCTYPE HTML><p>"), "text/html"},
        {STR_INIT("notes"), STR_INIT("# A"), "text/markdown"},
        {STR_INIT("notes v1.2 final"), STR_INIT("words"), "text/plain"},
        {STR_INIT("a.exe"), STR_INIT("words"), "application/octet-stream"},
        {STR_INIT("a.tar.GZ"), STR_INIT(""), "application/gzip"},
        {STR_INIT("a.eml"), STR_INIT(""), "message/rfc822"},
        {STR_INIT("a.pdf"), STR_INIT("words"), "application/pdf"},
        {STR_INIT("scan"), STR_INIT("%PDF-1.7"), "application/pdf"},
        {STR_INIT("Prices.XLSX"), STR_INIT("PK"),
         "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
        {STR_INIT("blob"), STR_INIT("a\0b"), "application/octet-stream"},
        {STR_INIT("blob"),
         STR_INIT("\xff\xfe"
                  "a\0"),
         "text/plain"},
        {STR_INIT(".md"), STR_INIT(""), "application/octet-stream"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_string_equal(content_type_guess(table[i].name, table[i].content), table[i].want);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upload_is_searched),
        cmocka_unit_test(the_same_bytes_are_no_work),
        cmocka_unit_test(a_new_version_replaces_the_old),
        cmocka_unit_test(a_document_is_found_by_its_name),
        cmocka_unit_test(a_bad_document_fails_alone),
        cmocka_unit_test(deleting_leaves_nothing),
        cmocka_unit_test(reprocessing_changes_nothing),
        cmocka_unit_test(audiences_are_kept_apart),
        cmocka_unit_test(organizations_are_kept_apart),
        cmocka_unit_test(uploads_of_one_name_are_versions),
        cmocka_unit_test(pages_go_on_where_they_ended),
        cmocka_unit_test(impossible_uploads_are_refused),
        cmocka_unit_test(types_are_told),
    };

    if (argc != 2)
        return 2;
    extractor_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
