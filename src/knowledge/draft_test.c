/*
 * draft_test.c - drafts: who finds them, in place of what, and what publishing makes of them
 */
#include <stdlib.h>

#include "knowledge/archive_test_support.h"
#include "knowledge/knowledge_test_support.h"

static const char *extractor_path;

static struct upload_result
draft_for(struct shop *shop, const char *name, struct str content, const char *audience)
{
    struct upload_spec spec = {.name = str_from_c(name),
                               .kind = STR(DRAFT_KIND),
                               .content = content,
                               .audience = str_from_c(audience)};
    struct upload_result result;
    struct err err;

    ASSERT_OK(knowledge_upload(shop->knowledge, shop->bed.scopes[0], &spec, &result, &err), &err);
    wait_idle(shop);
    return result;
}

struct looking {
    struct index_query query;
    struct index_filter filter;
    struct arena *arena;
    struct index_result result;
};

static enum status
look(struct store_tx *tx, void *arg, struct err *err)
{
    struct looking *looking = arg;

    return index_search(tx, &looking->query, looking->arena, &looking->result, err);
}

static size_t
hits_with_drafts(struct shop *shop, const char *words, bool for_staff)
{
    struct looking looking = {.filter = {.with_drafts = true}, .arena = shop->arena};
    struct err err;

    looking.query = (struct index_query){
        .text = str_from_c(words), .for_staff = for_staff, .limit = 10, .filter = &looking.filter};
    ASSERT_OK(store_read(shop->bed.store, shop->bed.scopes[0], "look", look, &looking, &err), &err);
    return looking.result.count;
}

static enum status
publish_as(struct shop *shop, const struct knowledge_reader *reader, struct source_id id,
           struct upload_result *result_out)
{
    struct err err;
    enum status st =
        knowledge_publish(shop->knowledge, shop->bed.scopes[0], reader, id, result_out, &err);

    wait_idle(shop);
    return st;
}

static size_t
count_sources(struct shop *shop)
{
    struct source *sources;
    size_t count;
    struct err err;

    ASSERT_OK(source_list(shop->knowledge, shop->bed.scopes[0], NULL, (struct source_id){{""}}, 20,
                          shop->arena, &sources, &count, &err),
              &err);
    return count;
}

static void
a_draft_takes_the_place_of_its_document(void **state)
{
    struct upload_result shown, draft, published;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    shown = upload(&shop, "bells.md", "Brass bells are loud.");
    (void)upload(&shop, "other.md", "Brass horns are louder.");
    wait_idle(&shop);
    draft = draft_for(&shop, "bells.md", STR("Silver bells are quiet."), "");
    ASSERT_STR(get_source(&shop, draft.source_id).audience, "draft:customer");
    assert_int_equal(hits(&shop, "silver"), 0);
    assert_int_equal(search_as(&shop, 0, "silver", true).result.count, 0);
    assert_int_equal(hits(&shop, "brass"), 2);
    assert_int_equal(hits_with_drafts(&shop, "silver", false), 1);
    assert_int_equal(hits_with_drafts(&shop, "brass", false), 1); /* the other document's */

    assert_int_equal(publish_as(&shop, NULL, draft.source_id, &published), ST_OK);
    assert_true(id_eq(&published.source_id.id, &shown.source_id.id));
    assert_int_equal(published.version, 2);
    assert_int_equal(hits(&shop, "silver"), 1);
    assert_int_equal(hits(&shop, "brass"), 1);
    assert_int_equal(count_sources(&shop), 2);
    assert_int_equal(publish_as(&shop, NULL, draft.source_id, &published), ST_NOT_FOUND);
    assert_int_equal(publish_as(&shop, NULL, shown.source_id, &published), ST_INVALID);
    close_shop(&shop);
}

static void
a_new_document_is_published_as_an_upload(void **state)
{
    struct upload_result draft, published;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    draft = draft_for(&shop, "bells.md", STR("Silver bells are quiet."), "customer");
    assert_int_equal(publish_as(&shop, NULL, draft.source_id, &published), ST_OK);
    assert_true(published.created);
    ASSERT_STR(get_source(&shop, published.source_id).kind, "upload");
    ASSERT_STR(get_source(&shop, published.source_id).audience, "customer");
    assert_int_equal(hits(&shop, "silver"), 1);
    close_shop(&shop);
}

/* It is for those who may read the document, unless it says otherwise; and stays a draft. */
static void
readers_of_a_draft(void **state)
{
    const struct knowledge_reader customer = {false, STR_EMPTY}, nobody = {true, STR_EMPTY};
    struct upload_spec spec = {.reader = &nobody,
                               .name = STR("wages.md"),
                               .kind = STR(DRAFT_KIND),
                               .content = STR("Mine.")};
    struct upload_result draft, result;
    struct source_change change = {.audience = STR("customer")};
    struct source *sources;
    struct shop shop;
    size_t count;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    (void)upload_for(&shop, STR("bells.md"), STR("Brass bells are loud."), STR("staff"));
    (void)upload_for(&shop, STR("wages.md"), STR("Wages are secret."), STR("staff:hr"));
    wait_idle(&shop);
    draft = draft_for(&shop, "bells.md", STR("Silver bells are quiet."), "");
    ASSERT_STR(get_source(&shop, draft.source_id).audience, "draft:staff");
    assert_int_equal(hits_with_drafts(&shop, "silver", false), 0);
    assert_int_equal(hits_with_drafts(&shop, "silver", true), 1);
    ASSERT_OK(knowledge_update(shop.knowledge, shop.bed.scopes[0], draft.source_id, &change, &err),
              &err);
    ASSERT_STR(get_source(&shop, draft.source_id).audience, "draft:customer");
    assert_int_equal(hits(&shop, "silver"), 0);
    assert_int_equal(hits_with_drafts(&shop, "silver", false), 1);
    ASSERT_OK(source_list(shop.knowledge, shop.bed.scopes[0], &customer, (struct source_id){{""}},
                          20, shop.arena, &sources, &count, &err),
              &err);
    assert_int_equal(count, 0); /* customers see none of it */
    assert_int_equal(knowledge_upload(shop.knowledge, shop.bed.scopes[0], &spec, &result, &err),
                     ST_CONFLICT); /* its document is out of reach */
    spec.audience = STR("draft:customer");
    assert_int_equal(knowledge_upload(shop.knowledge, shop.bed.scopes[0], &spec, &result, &err),
                     ST_INVALID);
    spec.audience = STR("customer"); /* nor by calling it anybody's */
    assert_int_equal(knowledge_upload(shop.knowledge, shop.bed.scopes[0], &spec, &result, &err),
                     ST_CONFLICT);
    /* Publishing opens nothing, and closes nothing. */
    draft = draft_for(&shop, "wages.md", STR("Mine."), "customer");
    assert_int_equal(publish_as(&shop, NULL, draft.source_id, &result), ST_CONFLICT);
    assert_int_equal(hits(&shop, "mine"), 0);
    change.audience = STR("staff:hr");
    ASSERT_OK(knowledge_update(shop.knowledge, shop.bed.scopes[0], draft.source_id, &change, &err),
              &err);
    assert_int_equal(publish_as(&shop, &nobody, draft.source_id, &result), ST_CONFLICT);
    assert_int_equal(publish_as(&shop, NULL, draft.source_id, &result), ST_OK);
    ASSERT_STR(get_source(&shop, result.source_id).audience, "staff:hr");
    assert_int_equal(hits(&shop, "mine"), 0);
    close_shop(&shop);
}

static void
what_cannot_be_read_is_not_published(void **state)
{
    struct upload_result draft, published;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    (void)upload(&shop, "bells.md", "Brass bells are loud.");
    wait_idle(&shop);
    draft = draft_for(&shop, "bells.md", STR("%PDF-1.7 and nothing else"), "");
    ASSERT_STR(get_source(&shop, draft.source_id).status, "failed");
    assert_int_equal(hits_with_drafts(&shop, "brass", false), 1); /* nothing takes its place */
    assert_int_equal(publish_as(&shop, NULL, draft.source_id, &published), ST_CONFLICT);
    assert_int_equal(hits(&shop, "brass"), 1);
    close_shop(&shop);
}

/* All that lies in it is a draft, and takes the place of all that lies in what it is to replace. */
static void
an_archive_as_a_draft(void **state)
{
    static const struct packed_file old[] = {{"a.md", "Brass bells are loud.", 0},
                                             {"b.md", "Brass horns are louder.", 0}},
                                    new[] = {{"a.md", "Silver bells are quiet.", 0}};
    struct str before = pack(PACK_ZIP, old, 2), after = pack(PACK_ZIP, new, 1);
    struct upload_result draft, published;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    (void)upload_for(&shop, STR("all.zip"), before, STR("customer"));
    wait_idle(&shop);
    assert_int_equal(hits(&shop, "brass"), 2);
    draft = draft_for(&shop, "all.zip", after, "");
    assert_int_equal(hits(&shop, "silver"), 0);
    assert_int_equal(hits_with_drafts(&shop, "silver", false), 1);
    assert_int_equal(hits_with_drafts(&shop, "brass", false), 0);
    assert_int_equal(publish_as(&shop, NULL, draft.source_id, &published), ST_OK);
    assert_int_equal(hits(&shop, "silver"), 1);
    assert_int_equal(hits(&shop, "brass"), 0);
    assert_int_equal(count_sources(&shop), 2);
    free((char *)(uintptr_t)before.ptr);
    free((char *)(uintptr_t)after.ptr);
    close_shop(&shop);
}

static void
all_drafts_of_a_folder(void **state)
{
    struct folder_progress totals;
    struct upload_result draft;
    struct shop shop;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    (void)upload(&shop, "bells.md", "Brass bells are loud.");
    wait_idle(&shop);
    draft = draft_for(&shop, "bells.md", STR("Silver bells are quiet."), "");
    (void)draft_for(&shop, "horns.md", STR("Silver horns are quiet, too."), "");
    (void)draft_for(&shop, "broken.pdf", STR("%PDF-1.7 and nothing else"), "");
    ASSERT_OK(knowledge_publish_all(shop.knowledge, shop.bed.scopes[0], NULL, NULL, &totals, &err),
              &err);
    assert_int_equal(totals.found, 3);
    assert_int_equal(totals.done, 2);
    assert_int_equal(totals.failed, 1);
    assert_int_equal(hits(&shop, "silver"), 2);
    assert_int_equal(count_sources(&shop), 3);
    assert_int_equal(publish_as(&shop, NULL, draft.source_id, &draft), ST_NOT_FOUND);
    close_shop(&shop);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_draft_takes_the_place_of_its_document),
        cmocka_unit_test(a_new_document_is_published_as_an_upload),
        cmocka_unit_test(readers_of_a_draft),
        cmocka_unit_test(what_cannot_be_read_is_not_published),
        cmocka_unit_test(an_archive_as_a_draft),
        cmocka_unit_test(all_drafts_of_a_folder),
    };

    assert_int_equal(argc, 2);
    extractor_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
