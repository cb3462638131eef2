/*
 * draft_test.c - drafts: who finds them, in place of what, and what publishing makes of them
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "blob/blob_driver.h"
#include "knowledge/archive_test_support.h"
#include "knowledge/knowledge_test_support.h"

#define DAY_US (86400 * US_PER_S)

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
hits_of(struct shop *shop, const char *words, bool for_staff, struct index_filter filter)
{
    struct looking looking = {.filter = filter, .arena = shop->arena};
    struct err err;

    looking.query = (struct index_query){
        .text = str_from_c(words), .for_staff = for_staff, .limit = 10, .filter = &looking.filter};
    ASSERT_OK(store_read(shop->bed.store, shop->bed.scopes[0], "look", look, &looking, &err), &err);
    return looking.result.count;
}

static size_t
hits_with_drafts(struct shop *shop, const char *words, bool for_staff)
{
    return hits_of(shop, words, for_staff, (struct index_filter){.with_drafts = true});
}

/* Of documents of which one thing is said. */
static size_t
hits_where(struct shop *shop, const char *words, enum index_filter_field field, struct str value)
{
    struct index_filter filter = {.with_drafts = true};

    index_filter_add(&filter, field, value, shop->arena);
    return hits_of(shop, words, false, filter);
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

/* --- while it is read --- */

/* What comes after the archive itself waits until it may be read. */
struct gate {
    struct knowledge *knowledge;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int handled;
    bool is_open;
};

static enum status
handle_behind_gate(struct lease *lease, void *context, struct err *err)
{
    struct gate *gate = context;
    enum status st;

    pthread_mutex_lock(&gate->lock);
    while (gate->handled > 0 && !gate->is_open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    st = knowledge_handle_job(lease, gate->knowledge, err);
    pthread_mutex_lock(&gate->lock);
    gate->handled++;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
    return st;
}

static void
start_gated(struct shop *shop, struct gate *gate)
{
    struct err err;

    if (shop->workers != NULL)
        queue_workers_stop(&shop->workers, WAIT_MS);
    gate->knowledge = shop->knowledge;
    ASSERT_OK(queue_workers_start(shop->bed.queue, QUEUE_TOPIC_INGEST, 1, handle_behind_gate, NULL,
                                  gate, &shop->workers, &err),
              &err);
}

static void
wait_for_first(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->handled == 0)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void
open_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->is_open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

/* What it is to replace is found until what takes its place is read. */
static void
an_archive_whose_documents_are_being_read(void **state)
{
    static const struct packed_file old[] = {{"a.md", "Brass bells are loud.", 0},
                                             {"b.md", "Brass horns are louder.", 0},
                                             {"c.md", "Brass gongs are loudest.", 0}},
                                    new[] = {{"a.md", "Silver bells are quiet.", 0},
                                             {"b.pdf", "no pdf", 0},
                                             {"c.md", "%PDF-1.7 and nothing else", 0}};
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct str before = pack(PACK_ZIP, old, 3), after = pack(PACK_ZIP, new, 3);
    struct upload_spec spec = {.name = STR("all.zip"), .kind = STR(DRAFT_KIND), .content = after};
    struct upload_result result;
    struct shop shop;
    struct err err;

    (void)state;
    open_shop(&shop, extractor_path);
    (void)upload_for(&shop, STR("all.zip"), before, STR("customer"));
    wait_idle(&shop);
    start_gated(&shop, &gate);
    ASSERT_OK(knowledge_upload(shop.knowledge, shop.bed.scopes[0], &spec, &result, &err), &err);
    wait_for_first(&gate);
    ASSERT_STR(get_source(&shop, result.source_id).status, "done");
    assert_int_equal(hits_with_drafts(&shop, "silver", false), 0);
    assert_int_equal(hits_with_drafts(&shop, "brass", false), 3);
    open_gate(&gate);
    wait_idle(&shop);
    assert_int_equal(hits_with_drafts(&shop, "silver", false), 1);
    /* One that has a successor which cannot be read stays, as it would if that were published. */
    assert_int_equal(hits_with_drafts(&shop, "brass", false), 1);
    assert_int_equal(hits_with_drafts(&shop, "gongs", false), 1);
    free((char *)(uintptr_t)before.ptr);
    free((char *)(uintptr_t)after.ptr);
    close_shop(&shop);
}

static struct source
source_named(struct shop *shop, const char *name, const char *kind_of_parent)
{
    struct source *sources;
    size_t count;
    struct err err;

    ASSERT_OK(source_list(shop->knowledge, shop->bed.scopes[0], NULL, (struct source_id){{""}}, 20,
                          shop->arena, &sources, &count, &err),
              &err);
    for (size_t i = 0; i < count; i++)
        if (str_eq_c(sources[i].name, name) &&
            str_eq_c(get_source(shop, sources[i].parent_id).kind, kind_of_parent))
            return sources[i];
    fail_msg("no %s", name);
    return (struct source){.name = STR("")};
}

/* Filters see a draft as what it will be, and by its own id and kind as well. */
static void
filters_look_through_a_draft(void **state)
{
    static const struct packed_file old[] = {{"a.md", "Brass gongs are loud.", 0}},
                                    new[] = {{"a.md", "Golden gongs are quiet.", 0}};
    struct str before = pack(PACK_ZIP, old, 1), after = pack(PACK_ZIP, new, 1);
    struct upload_result shown, other, draft, fresh, archive;
    struct source member;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    shown = upload(&shop, "bells.md", "Brass bells are loud.");
    other = upload(&shop, "other.md", "Brass horns are louder.");
    archive = upload_for(&shop, STR("all.zip"), before, STR("customer"));
    wait_idle(&shop);
    draft = draft_for(&shop, "bells.md", STR("Silver bells are quiet."), "");
    fresh = draft_for(&shop, "new.md", STR("Copper bells are new."), "");
    (void)draft_for(&shop, "all.zip", after, "");
    assert_int_equal(hits_where(&shop, "silver", INDEX_FILTER_KIND, STR("upload")), 1);
    assert_int_equal(hits_where(&shop, "silver", INDEX_FILTER_KIND, STR("folder")), 0);
    assert_int_equal(hits_where(&shop, "silver", INDEX_FILTER_KIND, STR("draft")), 1);
    assert_int_equal(hits_where(&shop, "copper", INDEX_FILTER_KIND, STR("upload")), 1);
    assert_int_equal(hits_where(&shop, "golden", INDEX_FILTER_KIND, STR("member")), 1);
    assert_int_equal(hits_where(&shop, "silver", INDEX_FILTER_SOURCE, ID_STR(shown.source_id)), 1);
    assert_int_equal(hits_where(&shop, "brass", INDEX_FILTER_SOURCE, ID_STR(shown.source_id)), 0);
    assert_int_equal(hits_where(&shop, "silver", INDEX_FILTER_SOURCE, ID_STR(other.source_id)), 0);
    assert_int_equal(hits_where(&shop, "silver", INDEX_FILTER_SOURCE, ID_STR(draft.source_id)), 1);
    assert_int_equal(hits_where(&shop, "copper", INDEX_FILTER_SOURCE, ID_STR(fresh.source_id)), 1);
    assert_int_equal(hits_where(&shop, "golden", INDEX_FILTER_SOURCE, ID_STR(archive.source_id)),
                     1);
    member = source_named(&shop, "all.zip/a.md", "upload");
    assert_int_equal(hits_where(&shop, "golden", INDEX_FILTER_SOURCE, ID_STR(member.id)), 1);
    assert_int_equal(hits_where(&shop, "golden", INDEX_FILTER_SOURCE, ID_STR(shown.source_id)), 0);
    assert_int_equal(hits(&shop, "silver"), 0);
    free((char *)(uintptr_t)before.ptr);
    free((char *)(uintptr_t)after.ptr);
    close_shop(&shop);
}

/* --- labels --- */

static struct upload_result
labelled(struct shop *shop, const char *name, const char *kind, struct str content,
         struct source_labels labels)
{
    struct upload_spec spec = {
        .name = str_from_c(name), .kind = str_from_c(kind), .content = content, .labels = labels};
    struct upload_result result;
    struct err err;

    ASSERT_OK(knowledge_upload(shop->knowledge, shop->bed.scopes[0], &spec, &result, &err), &err);
    wait_idle(shop);
    return result;
}

static void
say(struct shop *shop, struct source_id id, struct source_labels labels)
{
    const struct source_change change = {.labels = labels};
    struct err err;

    ASSERT_OK(knowledge_update(shop->knowledge, shop->bed.scopes[0], id, &change, &err), &err);
}

/* Of the question's documents one has these labels, with drafts or without them, and no others. */
static void
assert_found_by(struct shop *shop, const char *words, bool with_drafts, const char *category,
                const char *tone, int64_t day)
{
    static const char *const labels[] = {"shop", "hall", "fair", "dry", "warm", ""};

    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        struct index_filter about = {.with_drafts = with_drafts}, spoken = about;

        index_filter_add(&about, INDEX_FILTER_CATEGORY, str_from_c(labels[i]), shop->arena);
        index_filter_add(&spoken, INDEX_FILTER_TONE, str_from_c(labels[i]), shop->arena);
        assert_int_equal(hits_of(shop, words, false, about), strcmp(labels[i], category) == 0);
        assert_int_equal(hits_of(shop, words, false, spoken), strcmp(labels[i], tone) == 0);
    }
    for (int64_t i = 0; i < 5; i++) {
        const struct index_filter dated = {.with_drafts = with_drafts,
                                           .has_dates = true,
                                           .dated_from_us = i * DAY_US,
                                           .dated_to_us = i * DAY_US};

        assert_int_equal(hits_of(shop, words, false, dated), day != 0 && i == day);
    }
}

/* A draft is found by the labels that it will have once it is published, and then has them. */
static void
filters_see_the_labels_of_what_it_will_be(void **state)
{
    static const struct {
        struct source_labels shown, draft;
        const char *front_matter, *category, *tone;
        int64_t day;
    } rows[] = {
        {{.category = STR_INIT("shop"),
          .tone = STR_INIT("dry"),
          .has_date = true,
          .dated_at_us = DAY_US},
         {.has_date = false},
         "",
         "shop",
         "dry",
         1},
        {{.category = STR_INIT("shop"),
          .tone = STR_INIT("dry"),
          .has_date = true,
          .dated_at_us = DAY_US},
         {.tone = STR_INIT("warm"), .has_date = true, .dated_at_us = 2 * DAY_US},
         "",
         "shop",
         "warm",
         2},
        {{.category = STR_INIT("shop")},
         {.has_date = false},
         "category: hall\ntone: warm\ndate: 1970-01-04\n",
         "shop",
         "warm",
         3},
        {{.tone = STR_INIT(""), .has_date = true},
         {.category = STR_INIT("fair")},
         "category: hall\ntone: warm\ndate: 1970-01-04\n",
         "fair",
         "",
         0},
        {{.tone = STR_INIT("dry"), .has_date = true, .dated_at_us = DAY_US},
         {.tone = STR_INIT(""), .has_date = true},
         "category: hall\n",
         "hall",
         "",
         0},
    };
    struct shop shop;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct upload_result draft, published;

        open_shop(&shop, extractor_path);
        (void)labelled(&shop, "bells.md", "upload",
                       STR("---\ncategory: old\n---\nBrass bells are loud."), rows[i].shown);
        draft = labelled(
            &shop, "bells.md", DRAFT_KIND,
            arena_printf(shop.arena, "---\n%s---\nSilver bells are quiet.", rows[i].front_matter),
            rows[i].draft);
        assert_found_by(&shop, "silver", true, rows[i].category, rows[i].tone, rows[i].day);
        assert_int_equal(publish_as(&shop, NULL, draft.source_id, &published), ST_OK);
        assert_found_by(&shop, "silver", false, rows[i].category, rows[i].tone, rows[i].day);
        close_shop(&shop);
    }
}

/* Of one within an archive: what was said of the archive's draft, of the archive, of the document
 * of its name in it, or what it says itself. */
static void
filters_see_the_labels_within_an_archive(void **state)
{
    static const struct packed_file
        old[] = {{"a.md", "Brass bells are loud.", 0},
                 {"b.md", "Brass horns are loud.", 0},
                 {"c.md", "---\ncategory: hall\n---\nCopper gongs stay.", 0}},
        new[] = {{"a.md", "---\ncategory: hall\ndate: 1970-01-03\n---\nSilver bells.", 0},
                 {"b.md", "---\ncategory: fair\ntone: dry\n---\nGolden horns.", 0},
                 {"c.md", "%PDF-1.7 and nothing else", 0}};
    struct str before = pack(PACK_ZIP, old, 3), after = pack(PACK_ZIP, new, 3);
    struct upload_result draft, published;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    (void)labelled(&shop, "all.zip", "upload", before, (struct source_labels){.tone = STR("warm")});
    say(&shop, source_named(&shop, "all.zip/a.md", "upload").id,
        (struct source_labels){.category = STR("shop"), .unsaid = SOURCE_TONE});
    draft =
        labelled(&shop, "all.zip", DRAFT_KIND, after, (struct source_labels){.has_date = false});
    /* Said of what goes with the draft. */
    say(&shop, source_named(&shop, "all.zip/b.md", DRAFT_KIND).id,
        (struct source_labels){.category = STR("hall")});
    assert_found_by(&shop, "silver", true, "shop", "warm", 2);
    assert_found_by(&shop, "golden", true, "fair", "warm", 0);
    say(&shop, draft.source_id, (struct source_labels){.has_date = true, .dated_at_us = DAY_US});
    assert_found_by(&shop, "silver", true, "shop", "warm", 1);
    assert_found_by(&shop, "golden", true, "fair", "warm", 1);
    assert_found_by(&shop, "copper", true, "hall", "warm", 1);
    assert_int_equal(publish_as(&shop, NULL, draft.source_id, &published), ST_OK);
    assert_found_by(&shop, "silver", false, "shop", "warm", 1);
    assert_found_by(&shop, "golden", false, "fair", "warm", 1);
    assert_found_by(&shop, "copper", false, "hall", "warm", 1);
    free((char *)(uintptr_t)before.ptr);
    free((char *)(uintptr_t)after.ptr);
    close_shop(&shop);
}

/* --- what is changed while it is published --- */

/* Changes a document at the moment when publishing reads the draft's bytes. */
static struct {
    struct shop *shop;
    const struct blob_driver *driver;
    struct source_id id;
    struct source_change change;
    bool is_armed;
} meddler;

static enum status
open_and_meddle(struct blob_reader *reader, struct organization_id organization_id, struct str key,
                struct err *err)
{
    struct err failure;

    if (meddler.is_armed) {
        meddler.is_armed = false;
        ASSERT_OK(knowledge_update(meddler.shop->knowledge, meddler.shop->bed.scopes[0], meddler.id,
                                   &meddler.change, &failure),
                  &failure);
    }
    return meddler.driver->reader_open(reader, organization_id, key, err);
}

static enum status
publish_while(struct shop *shop, struct source_id draft, struct source_id changed,
              struct source_change change, struct upload_result *result_out)
{
    struct blob_driver driver = *shop->blobs->driver;
    struct err err;
    enum status st;

    meddler.shop = shop;
    meddler.driver = shop->blobs->driver;
    meddler.id = changed;
    meddler.change = change;
    meddler.is_armed = true;
    queue_workers_stop(&shop->workers, WAIT_MS); /* they read from the store as well */
    driver.reader_open = open_and_meddle;
    shop->blobs->driver = &driver;
    st = knowledge_publish(shop->knowledge, shop->bed.scopes[0], NULL, draft, result_out, &err);
    shop->blobs->driver = meddler.driver;
    assert_false(meddler.is_armed);
    wait_idle(shop);
    return st;
}

static void
what_is_changed_while_it_is_published(void **state)
{
    const struct source_change shop_label = {.labels = {.category = STR("shop")}},
                               for_staff = {.audience = STR("staff")},
                               for_customers = {.audience = STR("customer")};
    struct upload_result shown, draft, published;
    struct shop shop;

    (void)state;
    open_shop(&shop, extractor_path);
    shown = upload(&shop, "bells.md", "Brass bells are loud.");
    wait_idle(&shop);
    /* A label of the draft: it is the document's. */
    draft = draft_for(&shop, "bells.md", STR("Silver bells are quiet."), "");
    assert_int_equal(publish_while(&shop, draft.source_id, draft.source_id, shop_label, &published),
                     ST_OK);
    ASSERT_STR(get_source(&shop, shown.source_id).category, "shop");
    assert_int_equal(published.version, 2);
    /* A label of the document that the draft says nothing of: it stays. */
    draft = draft_for(&shop, "bells.md", STR("Silver bells are silent."), "");
    assert_int_equal(publish_while(&shop, draft.source_id, shown.source_id,
                                   (struct source_change){.labels = {.tone = STR("dry")}},
                                   &published),
                     ST_OK);
    ASSERT_STR(get_source(&shop, shown.source_id).tone, "dry");
    /* A new document that was said not to be for customers. */
    draft = draft_for(&shop, "wages.md", STR("Wages are mine."), "customer");
    assert_int_equal(publish_while(&shop, draft.source_id, draft.source_id, for_staff, &published),
                     ST_OK);
    ASSERT_STR(get_source(&shop, published.source_id).audience, "staff");
    assert_int_equal(hits(&shop, "wages"), 0);
    /* What was written for staff does not become the customers' with a document that becomes so. */
    draft = draft_for(&shop, "wages.md", STR("Wages are secret, and mine."), "");
    assert_int_equal(
        publish_while(&shop, draft.source_id, published.source_id, for_customers, &published),
        ST_CONFLICT);
    assert_int_equal(hits(&shop, "secret"), 0);
    ASSERT_STR(get_source(&shop, draft.source_id).kind, "draft");
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
        cmocka_unit_test(an_archive_whose_documents_are_being_read),
        cmocka_unit_test(filters_look_through_a_draft),
        cmocka_unit_test(filters_see_the_labels_of_what_it_will_be),
        cmocka_unit_test(filters_see_the_labels_within_an_archive),
        cmocka_unit_test(what_is_changed_while_it_is_published),
        cmocka_unit_test(all_drafts_of_a_folder),
    };

    assert_int_equal(argc, 2);
    extractor_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
