/*
 * knowledge_test_support.c - see the header
 */
#include "knowledge/knowledge_test_support.h"

#include <stdio.h>

void
open_knowledge(struct shop *shop)
{
    const struct live_config live = {.clock = clock_system(),
                                     .max_topics = 100,
                                     .events_per_topic = 100,
                                     .max_bytes = MB,
                                     .keep_us = 600 * US_PER_S};
    struct knowledge_config config = {.clock = clock_system(),
                                      .extractor_path = shop->extractor_path};
    struct blob_config blobs = {.clock = clock_system(), .folder = shop->blob_folder};
    struct err err;

    (void)snprintf(shop->blob_folder, sizeof(shop->blob_folder), "%s/blobs", shop->bed.folder);
    ASSERT_OK(blob_open(&blobs, &shop->blobs, &err), &err);
    config.blobs = shop->blobs;
    shop->arena = arena_create(256 * MB);
    ASSERT_OK(live_hub_create(&live, &shop->live, &err), &err);
    config.store = shop->bed.store;
    config.queue = shop->bed.queue;
    config.live = shop->live;
    config.embedder = shop->embedder;
    ASSERT_OK(knowledge_open(&config, &shop->knowledge, &err), &err);
}

void
open_shop(struct shop *shop, const char *extractor_path)
{
    *shop = (struct shop){.extractor_path = extractor_path};
    bed_open(&shop->bed, 2, clock_system(), NULL);
    open_knowledge(shop);
}

void
start_workers(struct shop *shop)
{
    struct err err;

    ASSERT_OK(queue_workers_start(shop->bed.queue, QUEUE_TOPIC_INGEST, 2, knowledge_handle_job,
                                  knowledge_on_dead, shop->knowledge, &shop->workers, &err),
              &err);
}

void
wait_idle(struct shop *shop)
{
    struct err err;

    if (shop->workers == NULL)
        start_workers(shop);
    ASSERT_OK(queue_wait_idle(shop->bed.queue, WAIT_MS, &err), &err);
}

void
close_shop(struct shop *shop)
{
    if (shop->workers != NULL)
        queue_workers_stop(&shop->workers, WAIT_MS);
    knowledge_close(&shop->knowledge);
    blob_close(&shop->blobs);
    live_hub_destroy(&shop->live);
    arena_destroy(&shop->arena);
    bed_close(&shop->bed, true);
}

struct upload_result
upload_for(struct shop *shop, struct str name, struct str content, struct str audience)
{
    struct upload_spec spec = {.name = name, .content = content, .audience = audience};
    struct upload_result result;
    struct err err;

    ASSERT_OK(knowledge_upload(shop->knowledge, shop->bed.scopes[0], &spec, &result, &err), &err);
    return result;
}

struct upload_result
upload(struct shop *shop, const char *name, const char *content)
{
    return upload_for(shop, str_from_c(name), str_from_c(content), STR_EMPTY);
}

struct source
get_source(struct shop *shop, struct source_id id)
{
    struct source source;
    struct err err;

    ASSERT_OK(source_get(shop->knowledge, shop->bed.scopes[0], id, shop->arena, &source, &err),
              &err);
    return source;
}

struct ingestion
get_ingestion(struct shop *shop, struct ingestion_id id)
{
    struct ingestion ingestion;
    struct err err;

    ASSERT_OK(
        ingestion_get(shop->knowledge, shop->bed.scopes[0], id, shop->arena, &ingestion, &err),
        &err);
    return ingestion;
}

static enum status
search_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct search *search = arg;
    enum status st = index_get_health(tx, &search->health, err);

    return st == ST_OK ? index_search(tx, &search->query, search->arena, &search->result, err) : st;
}

struct search
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

size_t
hits(struct shop *shop, const char *words)
{
    return search_as(shop, 0, words, false).result.count;
}
