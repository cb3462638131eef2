/*
 * knowledge_test.c - documents from upload to search and out again, on a real store, queue and
 * index
 */
#include "base/testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/failpoint.h"
#include "index/index.h"
#include "knowledge/knowledge.h"
#include "queue/queue_test_support.h"

#define MB ((size_t)1024 * 1024)
#define WAIT_MS 60000

static const char *extractor_path;

/* A bed with knowledge on it. */
struct shop {
    struct bed bed;
    struct live_hub *live;
    struct knowledge *knowledge;
    struct queue_workers *workers;
    struct arena *arena;
};

static void
open_knowledge(struct shop *shop)
{
    const struct live_config live = {.clock = clock_system(),
                                     .max_topics = 100,
                                     .events_per_topic = 100,
                                     .max_bytes = MB,
                                     .keep_us = 600 * US_PER_S};
    struct knowledge_config config = {.clock = clock_system(), .extractor_path = extractor_path};
    struct err err;

    shop->arena = arena_create(256 * MB);
    ASSERT_OK(live_hub_create(&live, &shop->live, &err), &err);
    config.store = shop->bed.store;
    config.queue = shop->bed.queue;
    config.live = shop->live;
    ASSERT_OK(knowledge_open(&config, &shop->knowledge, &err), &err);
}

static void
open_shop(struct shop *shop)
{
    *shop = (struct shop){.workers = NULL};
    bed_open(&shop->bed, 2, clock_system(), NULL);
    open_knowledge(shop);
}

static void
start_workers(struct shop *shop)
{
    struct err err;

    ASSERT_OK(queue_workers_start(shop->bed.queue, QUEUE_TOPIC_INGEST, 2, knowledge_handle_job,
                                  knowledge_on_dead, shop->knowledge, &shop->workers, &err),
              &err);
}

static void
wait_idle(struct shop *shop)
{
    struct err err;

    if (shop->workers == NULL)
        start_workers(shop);
    ASSERT_OK(queue_wait_idle(shop->bed.queue, WAIT_MS, &err), &err);
}

static void
close_shop(struct shop *shop)
{
    if (shop->workers != NULL)
        queue_workers_stop(&shop->workers, WAIT_MS);
    knowledge_close(&shop->knowledge);
    live_hub_destroy(&shop->live);
    arena_destroy(&shop->arena);
    bed_close(&shop->bed, true);
}

static struct upload_result
upload_for(struct shop *shop, struct str name, struct str content, struct str audience)
{
    struct upload_spec spec = {.name = name, .content = content, .audience = audience};
    struct upload_result result;
    struct err err;

    ASSERT_OK(knowledge_upload(shop->knowledge, shop->bed.scopes[0], &spec, &result, &err), &err);
    return result;
}

static struct upload_result
upload(struct shop *shop, const char *name, const char *content)
{
    return upload_for(shop, str_from_c(name), str_from_c(content), STR_EMPTY);
}

static struct source
get_source(struct shop *shop, struct source_id id)
{
    struct source source;
    struct err err;

    ASSERT_OK(source_get(shop->knowledge, shop->bed.scopes[0], id, shop->arena, &source, &err),
              &err);
    return source;
}

static struct ingestion
get_ingestion(struct shop *shop, struct ingestion_id id)
{
    struct ingestion ingestion;
    struct err err;

    ASSERT_OK(
        ingestion_get(shop->knowledge, shop->bed.scopes[0], id, shop->arena, &ingestion, &err),
        &err);
    return ingestion;
}

struct search {
    struct index_query query;
    struct arena *arena;
    struct index_result result;
    struct index_health health;
};

static enum status
search_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct search *search = arg;
    enum status st = index_get_health(tx, &search->health, err);

    return st == ST_OK ? index_search(tx, &search->query, search->arena, &search->result, err) : st;
}

static struct search
search_as(struct shop *shop, unsigned organization, const char *words, bool for_staff)
{
    struct search search = {.arena = shop->arena};
    struct err err;

    search.query = (struct index_query){
        .text = str_from_c(words), .language = STR("en"), .for_staff = for_staff, .limit = 10};
    ASSERT_OK(store_read(shop->bed.store, shop->bed.scopes[organization], "test_search",
                         search_in_tx, &search, &err),
              &err);
    return search;
}

static size_t
hits(struct shop *shop, const char *words)
{
    return search_as(shop, 0, words, false).result.count;
}

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
    open_shop(&shop);
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
    open_shop(&shop);
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
    open_shop(&shop);
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

static void
a_bad_document_fails_alone(void **state)
{
    struct upload_result good, bad, other;
    struct ingestion ingestion;
    struct shop shop;

    (void)state;
    open_shop(&shop);
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
    open_shop(&shop);
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
    open_shop(&shop);
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
    open_shop(&shop);
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
    open_shop(&shop);
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
    assert_int_equal(ingestion_list(shop.knowledge, other, mine.source_id, (struct ingestion_id){0},
                                    10, shop.arena, &ingestions, &count, &err),
                     ST_NOT_FOUND);
    ASSERT_OK(source_list(shop.knowledge, other, (struct source_id){0}, 10, shop.arena, &sources,
                          &count, &err),
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
    open_shop(&shop);
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
    open_shop(&shop);
    for (unsigned i = 0; i < 7; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "%u.txt", i);
        (void)upload(&shop, name, "words");
    }
    do {
        ASSERT_OK(source_list(shop.knowledge, shop.bed.scopes[0], before, 3, shop.arena, &sources,
                              &count, &err),
                  &err);
        for (size_t i = 0; i < count; i++) {
            assert_true(total == 0 || str_cmp(ID_STR(sources[i].id), ID_STR(before)) < 0);
            before = sources[i].id;
            ASSERT_STR(sources[i].status, "queued");
            total++;
        }
    } while (count > 0);
    assert_int_equal(total, 7);
    ASSERT_OK(ingestion_list(shop.knowledge, shop.bed.scopes[0], (struct source_id){{""}}, none,
                             500, shop.arena, &ingestions, &count, &err),
              &err);
    assert_int_equal(count, 7);
    ASSERT_OK(ingestion_list(shop.knowledge, shop.bed.scopes[0], before, none, 500, shop.arena,
                             &ingestions, &count, &err),
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
    open_shop(&shop);
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
        {STR_INIT("a.pdf"), STR_INIT("words"), "application/octet-stream"},
        {STR_INIT("blob"), STR_INIT("a\0b"), "application/octet-stream"},
        {STR_INIT("blob"),
         STR_INIT("\xff\xfe"
                  "a\0"),
         "text/plain"},
        {STR_INIT(".md"), STR_INIT(""), "application/octet-stream"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_string_equal(knowledge_guess_type(table[i].name, table[i].content), table[i].want);
}

/* --- telling --- */

struct heard {
    pthread_mutex_t lock;
    char types[256];
    char last[512];
};

static bool
on_event(const struct live_event *event, void *context)
{
    struct heard *heard = context;
    size_t len;

    pthread_mutex_lock(&heard->lock);
    len = strlen(heard->types);
    (void)snprintf(heard->types + len, sizeof(heard->types) - len, "%.*s ", STR_ARG(event->type));
    (void)snprintf(heard->last, sizeof(heard->last), "%.*s", STR_ARG(event->data));
    pthread_mutex_unlock(&heard->lock);
    return true;
}

static void
progress_is_told(void **state)
{
    struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct live_subscription *subscription = NULL;
    struct upload_result result;
    struct shop shop;
    struct err err;

    (void)state;
    open_shop(&shop);
    result = upload(&shop, "a.md", "Words.");
    ASSERT_OK(live_subscribe(shop.live, shop.bed.scopes[0],
                             ingestion_topic(result.ingestion_id, shop.arena), STR(""), on_event,
                             &heard, &subscription, &err),
              &err);
    wait_idle(&shop);
    queue_workers_stop(&shop.workers, WAIT_MS);
    live_unsubscribe(&subscription);
    assert_string_equal(heard.types, "progress progress progress done ");
    assert_non_null(strstr(heard.last, "\"chunk_count\":1"));

    heard.types[0] = '\0';
    result = upload(&shop, "a.md", "\x89PNG");
    ASSERT_OK(live_subscribe(shop.live, shop.bed.scopes[0],
                             ingestion_topic(result.ingestion_id, shop.arena), STR(""), on_event,
                             &heard, &subscription, &err),
              &err);
    wait_idle(&shop);
    queue_workers_stop(&shop.workers, WAIT_MS);
    live_unsubscribe(&subscription);
    assert_string_equal(heard.types, "progress failed ");
    assert_non_null(strstr(heard.last, "This is a PNG image, not a text file."));
    close_shop(&shop);
}

struct burial {
    struct knowledge *knowledge;
    struct job job;
};

static enum status
bury_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct burial *burial = arg;

    return knowledge_on_dead(tx, &burial->job, STR("reason for the operator"), burial->knowledge,
                             err);
}

static void
a_dead_job_fails_its_ingestion(void **state)
{
    struct upload_result result;
    struct burial burial;
    struct shop shop;
    struct err err;

    (void)state;
    open_shop(&shop);
    result = upload(&shop, "a.md", "Words.");
    burial.knowledge = shop.knowledge;
    burial.job =
        (struct job){.payload = arena_printf(
                         shop.arena, "{\"ingestion_id\":\"%s\",\"source_id\":\"%s\",\"version\":1}",
                         result.ingestion_id.id.text, result.source_id.id.text)};
    ASSERT_OK(store_run(shop.bed.store, shop.bed.scopes[0], "test_bury", STORE_DURABLE, bury_in_tx,
                        &burial, &err),
              &err);
    ASSERT_STR(get_ingestion(&shop, result.ingestion_id).status, "failed");
    assert_true(str_starts_with(get_ingestion(&shop, result.ingestion_id).error,
                                STR("The document could not be read because of a fault on our")));
    /* Replayed, it is read after all. */
    wait_idle(&shop);
    ASSERT_STR(get_ingestion(&shop, result.ingestion_id).status, "done");
    assert_int_equal(get_ingestion(&shop, result.ingestion_id).error.len, 0);
    close_shop(&shop);
}

/* --- a folder --- */

static void
write_file(const char *folder, const char *name, const char *content)
{
    char path[256];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    assert_int_equal(close(fd), 0);
}

static void
remove_file(const char *folder, const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(remove(path), 0);
}

static struct folder_progress
ingest(struct shop *shop, const char *folder)
{
    const struct folder_spec spec = {
        .path = folder, .remove_missing = true, .wait = true, .deadline_ms = WAIT_MS};
    struct folder_progress totals;
    struct err err;

    ASSERT_OK(knowledge_ingest_folder(shop->knowledge, shop->bed.scopes[0], &spec, NULL, NULL,
                                      &totals, &err),
              &err);
    return totals;
}

static void
a_folder_is_kept_in_step(void **state)
{
    char folder[] = "/tmp/parley-folder-XXXXXX";
    char inner[64];
    struct folder_progress totals;
    struct shop shop;

    (void)state;
    open_shop(&shop);
    start_workers(&shop);
    assert_non_null(mkdtemp(folder));
    (void)snprintf(inner, sizeof(inner), "%s/inner", folder);
    assert_int_equal(mkdir(inner, 0700), 0);
    write_file(folder, "a.md", "# A\n\nAlpha words.");
    write_file(folder, "inner/b.txt", "Beta words.");
    write_file(folder, "c.html", "");
    write_file(folder, "d.bin", "Delta words.");
    write_file(folder, ".hidden.md", "Hidden words.");

    totals = ingest(&shop, folder);
    assert_int_equal(totals.found, 4);
    assert_int_equal(totals.uploaded, 2);
    assert_int_equal(totals.done, 2);
    assert_int_equal(totals.failed, 1);
    assert_int_equal(totals.skipped, 1);
    assert_int_equal(hits(&shop, "beta"), 1);
    assert_int_equal(hits(&shop, "hidden"), 0);

    totals = ingest(&shop, folder);
    assert_int_equal(totals.unchanged, 2);
    assert_int_equal(totals.uploaded + totals.removed, 0);

    write_file(folder, "a.md", "# A\n\nOmega words.");
    remove_file(folder, "inner/b.txt");
    totals = ingest(&shop, folder);
    assert_int_equal(totals.uploaded, 1);
    assert_int_equal(totals.done, 1);
    assert_int_equal(totals.removed, 1);
    assert_int_equal(hits(&shop, "alpha"), 0);
    assert_int_equal(hits(&shop, "beta"), 0);
    assert_int_equal(hits(&shop, "omega"), 1);

    remove_file(folder, "a.md");
    remove_file(folder, "c.html");
    remove_file(folder, "d.bin");
    remove_file(folder, ".hidden.md");
    assert_int_equal(rmdir(inner), 0);
    assert_int_equal(rmdir(folder), 0);
    close_shop(&shop);
}

/* --- dying --- */

#ifdef PARLEY_WITH_FAILPOINTS
/* A process of its own uploads, works, and dies at the failpoint. */
static void
work_and_die(const char *folder, const char *failpoint)
{
    struct shop shop = {.workers = NULL};
    struct err err;

    bed_reopen(&shop.bed, folder, clock_system(), NULL);
    open_knowledge(&shop);
    if (failpoint_configure(failpoint, &err) != ST_OK)
        _exit(1);
    (void)upload(&shop, "doc.md", "# Doc\n\nThe new text has a sidecar.");
    wait_idle(&shop);
    _exit(2); /* it should have died */
}

static void
killed_between_steps(void **state)
{
    static const char *const failpoints[] = {"ingest.extracted=crash", "ingest.committed=crash"};

    (void)state;
    for (size_t i = 0; i < sizeof(failpoints) / sizeof(failpoints[0]); i++) {
        struct shop shop;
        char folder[64];
        int status;
        pid_t child;

        open_shop(&shop);
        (void)upload(&shop, "doc.md", "# Doc\n\nThe old text has a basket.");
        wait_idle(&shop);
        queue_workers_stop(&shop.workers, WAIT_MS);
        (void)snprintf(folder, sizeof(folder), "%s", shop.bed.folder);
        knowledge_close(&shop.knowledge);
        live_hub_destroy(&shop.live);
        arena_destroy(&shop.arena);
        bed_close(&shop.bed, false);

        child = fork();
        if (child == 0)
            work_and_die(folder, failpoints[i]);
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

        shop = (struct shop){.workers = NULL};
        bed_reopen(&shop.bed, folder, clock_system(), NULL);
        open_knowledge(&shop);
        /* Never both and never neither, whenever it died. */
        assert_int_equal(hits(&shop, "sidecar") + hits(&shop, "basket"), 1);
        wait_idle(&shop);
        assert_int_equal(hits(&shop, "sidecar"), 1);
        assert_int_equal(hits(&shop, "basket"), 0);
        assert_int_equal(search_as(&shop, 0, "x", true).health.chunks, 1);
        close_shop(&shop);
    }
}
#else
static void
killed_between_steps(void **state)
{
    (void)state;
    skip();
}
#endif

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upload_is_searched),
        cmocka_unit_test(the_same_bytes_are_no_work),
        cmocka_unit_test(a_new_version_replaces_the_old),
        cmocka_unit_test(a_bad_document_fails_alone),
        cmocka_unit_test(deleting_leaves_nothing),
        cmocka_unit_test(reprocessing_changes_nothing),
        cmocka_unit_test(audiences_are_kept_apart),
        cmocka_unit_test(organizations_are_kept_apart),
        cmocka_unit_test(uploads_of_one_name_are_versions),
        cmocka_unit_test(pages_go_on_where_they_ended),
        cmocka_unit_test(impossible_uploads_are_refused),
        cmocka_unit_test(types_are_told),
        cmocka_unit_test(progress_is_told),
        cmocka_unit_test(a_dead_job_fails_its_ingestion),
        cmocka_unit_test(a_folder_is_kept_in_step),
        cmocka_unit_test(killed_between_steps),
    };

    if (argc != 2)
        return 2;
    extractor_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
