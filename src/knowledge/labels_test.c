/*
 * labels_test.c - what is said of a document: set, said anew, and who then finds it and sees it
 */
#include <stdlib.h>

#include "base/buf.h"
#include "knowledge/archive_test_support.h"
#include "knowledge/knowledge_test_support.h"

static const char *extractor_path;

struct looking {
    const struct index_filter *filter;
    struct arena *arena;
    struct index_result result;
};

static enum status
look(struct store_tx *tx, void *arg, struct err *err)
{
    struct looking *looking = arg;
    const struct index_query query = {
        .text = STR("brass bells"), .limit = 10, .filter = looking->filter};

    return index_search(tx, &query, looking->arena, &looking->result, err);
}

static struct upload_result
upload_labelled(struct shop *shop, const char *name, struct source_labels labels)
{
    struct upload_spec spec = {.name = str_from_c(name),
                               .content = STR("# Bells\n\nBrass bells are loud.\n"),
                               .labels = labels};
    struct upload_result result;
    struct err err;

    ASSERT_OK(knowledge_upload(shop->knowledge, shop->bed.scopes[0], &spec, &result, &err), &err);
    return result;
}

static enum status
change(struct shop *shop, struct source_id id, struct source_change what)
{
    struct err err;

    return knowledge_update(shop->knowledge, shop->bed.scopes[0], id, &what, &err);
}

static void
labels_are_kept_and_changed(void **state)
{
    struct upload_result result;
    struct source source;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload_labelled(
        &shop, "bells.md",
        (struct source_labels){STR("Parts"), STR("dry"), .has_date = true, .dated_at_us = 5});
    source = get_source(&shop, result.source_id);
    ASSERT_STR(source.category, "Parts");
    ASSERT_STR(source.tone, "dry");
    assert_int_equal(source.dated_at_us, 5);
    /* What an upload does not say stays as it is. */
    assert_true(
        upload_labelled(&shop, "bells.md", (struct source_labels){.tone = STR("warm")}).unchanged);
    source = get_source(&shop, result.source_id);
    ASSERT_STR(source.category, "Parts");
    ASSERT_STR(source.tone, "warm");
    assert_int_equal(source.dated_at_us, 5);
    assert_int_equal(change(&shop, result.source_id,
                            (struct source_change){.labels = {STR(""), .has_date = true}}),
                     ST_OK);
    source = get_source(&shop, result.source_id);
    ASSERT_STR(source.category, "");
    ASSERT_STR(source.tone, "warm");
    assert_int_equal(source.dated_at_us, 0);
    close_shop(&shop);
}

/* What a document says of itself, as "category/tone/day". */
static void
assert_labels(struct shop *shop, struct source_id id, const char *want)
{
    struct source source = get_source(shop, id);

    ASSERT_STR(arena_printf(shop->arena, "%.*s/%.*s/%lld", STR_ARG(source.category),
                            STR_ARG(source.tone),
                            (long long)(source.dated_at_us / US_PER_S / 86400)),
               want);
}

static size_t
hits_of(struct shop *shop, const struct index_filter *filter)
{
    struct looking looking = {.filter = filter, .arena = shop->arena};
    struct err err;

    ASSERT_OK(store_read(shop->bed.store, shop->bed.scopes[0], "look", look, &looking, &err), &err);
    return looking.result.count;
}

/* What the document says counts where nobody said anything, and changes with it. */
static void
a_document_says_its_labels(void **state)
{
    static const char *const versions[] = {
        "---\ncategory: Parts\ntone: dry\ndate: 1970-01-03\naudience: staff\n---\nBrass bells.\n",
        "---\ncategory: Horns\ndate: 1970-01-04\n---\nBrass bells.\n",
        "---\ncategory: Bells\ntone: warm\n---\nBrass bells.\n"};
    struct index_filter filter = {.has_dates = true, .dated_to_us = 3 * 86400 * US_PER_S};
    struct upload_result result;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload(&shop, "bells.md", versions[0]);
    assert_labels(&shop, result.source_id, "//0");
    wait_idle(&shop);
    assert_labels(&shop, result.source_id, "Parts/dry/2");
    ASSERT_STR(get_source(&shop, result.source_id).audience, "customer");
    index_filter_add(&filter, INDEX_FILTER_CATEGORY, STR("Parts"), shop.arena);
    index_filter_add(&filter, INDEX_FILTER_TONE, STR("dry"), shop.arena);
    assert_int_equal(hits_of(&shop, &filter), 1);
    (void)upload(&shop, "bells.md", versions[1]);
    wait_idle(&shop);
    assert_labels(&shop, result.source_id, "Horns//3");
    assert_int_equal(hits_of(&shop, &filter), 0);

    /* Said, and said to be none. */
    assert_int_equal(
        change(&shop, result.source_id,
               (struct source_change){
                   .labels = {.category = STR("Shop"), .tone = STR("plain"), .has_date = true}}),
        ST_OK);
    assert_labels(&shop, result.source_id, "Shop/plain/0");
    (void)upload(&shop, "bells.md", versions[2]);
    wait_idle(&shop);
    assert_labels(&shop, result.source_id, "Shop/plain/0");
    /* Taken back. */
    assert_int_equal(
        change(&shop, result.source_id,
               (struct source_change){.labels = {.unsaid = SOURCE_TONE | SOURCE_DATE}}),
        ST_OK);
    assert_labels(&shop, result.source_id, "Shop/warm/0");
    assert_int_equal(change(&shop, result.source_id,
                            (struct source_change){.labels = {.unsaid = SOURCE_CATEGORY}}),
                     ST_OK);
    assert_labels(&shop, result.source_id, "Bells/warm/0");
    close_shop(&shop);
}

/* What cannot be a label is passed over, and the document is read. */
static void
labels_that_cannot_be(void **state)
{
    struct buf text;
    struct upload_result result;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    buf_init(&text, 4096);
    buf_append_c(&text, "---\ndate: 1970-01-01\ntone: a\x01z\ncategory: ");
    for (int i = 0; i < 101; i++)
        buf_append_byte(&text, 'c');
    buf_append_c(&text, "\n---\nBrass bells.\n");
    result = upload_for(&shop, STR("bells.md"), buf_str(&text), STR(""));
    wait_idle(&shop);
    assert_labels(&shop, result.source_id, "//0");
    assert_int_equal(hits(&shop, "brass bells"), 1);
    buf_deinit(&text);
    close_shop(&shop);
}

static struct source_id
member_of(struct shop *shop, struct source_id parent)
{
    struct source *sources;
    size_t count;
    struct err err;

    ASSERT_OK(source_list(shop->knowledge, shop->bed.scopes[0], NULL, (struct source_id){{""}}, 10,
                          shop->arena, &sources, &count, &err),
              &err);
    for (size_t i = 0; i < count; i++)
        if (id_eq(&sources[i].parent_id.id, &parent.id))
            return sources[i].id;
    fail_msg("no member");
    return parent;
}

/* What was said of an archive counts for all in it; of the rest each speaks for itself. */
static void
labels_within_an_archive(void **state)
{
    static const struct packed_file file = {
        "a.md", "---\ncategory: Parts\ntone: dry\n---\nBrass bells.", 0};
    struct str bytes = pack(PACK_ZIP, &file, 1);
    struct upload_spec spec = {
        .name = STR("all.zip"), .content = bytes, .labels = {.category = STR("Shop")}};
    struct upload_result result;
    struct source_id member;
    struct shop shop;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    ASSERT_OK(knowledge_upload(shop.knowledge, shop.bed.scopes[0], &spec, &result, &err), &err);
    wait_idle(&shop);
    member = member_of(&shop, result.source_id);
    assert_labels(&shop, result.source_id, "Shop//0");
    assert_labels(&shop, member, "Shop/dry/0");
    assert_int_equal(
        change(&shop, result.source_id,
               (struct source_change){.labels = {.tone = STR("warm"), .unsaid = SOURCE_CATEGORY}}),
        ST_OK);
    assert_labels(&shop, result.source_id, "/warm/0");
    assert_labels(&shop, member, "Parts/warm/0");
    free((char *)(uintptr_t)bytes.ptr);
    close_shop(&shop);
}

static void
readers_are_changed_at_once(void **state)
{
    static const struct {
        const char *audience;
        bool customer, staff;
    } rows[] = {{"staff", false, true},
                {"customer", true, true},
                {"staff:hr", false, false},
                {"staff", false, true},
                {"customer", true, true}};
    struct upload_result result;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload(&shop, "bells.md", "# Bells\n\nBrass bells are loud.\n");
    wait_idle(&shop);
    queue_workers_stop(&shop.workers, WAIT_MS); /* nothing is read again */
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(change(&shop, result.source_id,
                                (struct source_change){.audience = str_from_c(rows[i].audience)}),
                         ST_OK);
        assert_int_equal(hits(&shop, "brass bells"), rows[i].customer);
        assert_int_equal(search_as(&shop, 0, "brass bells", true).result.count, rows[i].staff);
        ASSERT_STR(get_source(&shop, result.source_id).audience, rows[i].audience);
    }
    close_shop(&shop);
}

/* An upload that opens a document waits to be read while somebody closes it: closed it stays. */
static void
a_later_word_wins(void **state)
{
    const struct str name = STR("bells.md");
    struct upload_result result;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload_for(&shop, name, STR("Brass bells are loud."), STR("staff"));
    wait_idle(&shop);
    queue_workers_stop(&shop.workers, WAIT_MS);
    (void)upload_for(&shop, name, STR("Brass bells are quiet."), STR("customer"));
    assert_int_equal(
        change(&shop, result.source_id, (struct source_change){.audience = STR("staff:hr")}),
        ST_OK);
    wait_idle(&shop);
    ASSERT_STR(get_source(&shop, result.source_id).audience, "staff:hr");
    assert_int_equal(hits(&shop, "brass bells"), 0);
    assert_int_equal(search_as(&shop, 0, "brass bells", true).result.count, 0);
    close_shop(&shop);
}

static void
lists_are_for_their_readers(void **state)
{
    static const char *const audiences[] = {"customer", "staff", "staff:hr", "staff:finance,hr"};
    static const struct {
        struct knowledge_reader reader;
        size_t want;
    } rows[] = {{{false, STR_INIT("hr")}, 1},
                {{true, STR_INIT("")}, 2},
                {{true, STR_INIT("finance")}, 3},
                {{true, STR_INIT("hr")}, 4},
                {{true, STR_INIT("*")}, 4}};
    struct source *sources;
    struct ingestion *ingestions;
    struct shop shop;
    size_t count;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    for (size_t i = 0; i < 4; i++)
        (void)upload_for(&shop, str_from_c(audiences[i]), STR("Brass bells."),
                         str_from_c(audiences[i]));
    wait_idle(&shop);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ASSERT_OK(source_list(shop.knowledge, shop.bed.scopes[0], &rows[i].reader,
                              (struct source_id){{""}}, 10, shop.arena, &sources, &count, &err),
                  &err);
        assert_int_equal(count, rows[i].want);
        for (size_t s = 0; s < count; s++)
            assert_true(index_audience_may_read(sources[s].audience, rows[i].reader.for_staff,
                                                rows[i].reader.roles));
        ASSERT_OK(ingestion_list(shop.knowledge, shop.bed.scopes[0], &rows[i].reader,
                                 (struct source_id){{""}}, (struct ingestion_id){{""}}, 10,
                                 shop.arena, &ingestions, &count, &err),
                  &err);
        assert_int_equal(count, rows[i].want);
    }
    close_shop(&shop);
}

static void
refusals(void **state)
{
    static const char *const dates[] = {"2026", "2026-13-01", "2026-05-1", "yesterday!",
                                        "2026-05-01T00:00:00"};
    const struct knowledge_reader customer = {false, STR_EMPTY};
    struct upload_spec spec = {.reader = &customer,
                               .name = STR("safe.md"),
                               .content = STR("Mine."),
                               .labels = {.category = STR("a\nb")}};
    struct upload_result result, ignored;
    struct shop shop;
    int64_t at_us;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    result = upload_for(&shop, STR("safe.md"), STR("A safe."), STR("staff"));
    assert_int_equal(knowledge_upload(shop.knowledge, shop.bed.scopes[0], &spec, &ignored, &err),
                     ST_INVALID);
    spec.labels.category = STR_EMPTY;
    assert_int_equal(knowledge_upload(shop.knowledge, shop.bed.scopes[0], &spec, &ignored, &err),
                     ST_CONFLICT);
    assert_int_equal(get_source(&shop, result.source_id).last_version, 1);
    assert_int_equal(
        change(&shop, result.source_id, (struct source_change){.audience = STR("all")}),
        ST_INVALID);
    assert_int_equal(
        change(&shop, result.source_id, (struct source_change){.labels = {.tone = STR("\xff")}}),
        ST_INVALID);
    assert_int_equal(
        change(&shop, result.source_id,
               (struct source_change){.has_brand = true, .brand_id = ID_NEW(brand_id)}),
        ST_NOT_FOUND);
    assert_int_equal(change(&shop, ID_NEW(source_id), (struct source_change){.has_brand = true}),
                     ST_NOT_FOUND);
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++)
        assert_int_equal(source_date_parse(str_from_c(dates[i]), &at_us, &err), ST_INVALID);
    ASSERT_OK(source_date_parse(STR("1970-01-02"), &at_us, &err), &err);
    assert_int_equal(at_us, 86400 * US_PER_S);
    ASSERT_OK(source_date_parse(STR(""), &at_us, &err), &err);
    assert_int_equal(at_us, 0);
    close_shop(&shop);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_kept_and_changed), cmocka_unit_test(a_document_says_its_labels),
        cmocka_unit_test(labels_that_cannot_be),       cmocka_unit_test(labels_within_an_archive),
        cmocka_unit_test(readers_are_changed_at_once), cmocka_unit_test(a_later_word_wins),
        cmocka_unit_test(lists_are_for_their_readers), cmocka_unit_test(refusals),
    };

    assert_int_equal(argc, 2);
    extractor_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
