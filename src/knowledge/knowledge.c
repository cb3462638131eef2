/*
 * knowledge.c - opening, the job's payload, telling types apart
 */
#include "knowledge/knowledge_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "knowledge/chunker.h"
#include "knowledge/robots_cache.h"
#include "net/http_client.h"
#include "text/json.h"

#define DEFAULT_MAX_DOCUMENT_BYTES ((size_t)16 * 1024 * 1024)
#define DEFAULT_MAX_SITE_PAGES 1000
/* How often waiting looks at everything, for work that another process finished. */
#define LOOK_AGAIN_US (1 * US_PER_S)

enum status
knowledge_open(const struct knowledge_config *config, struct knowledge **knowledge_out,
               struct err *err)
{
    struct extractor_config extractor = {.path = config->extractor_path,
                                         .ocr_languages = config->ocr_languages,
                                         .ocr_seconds = config->ocr_seconds};
    const struct http_client_config http = {.allow_private_addresses = config->allow_private_sites};
    struct knowledge *knowledge = calloc(1, sizeof(*knowledge));
    enum status st;

    *knowledge_out = NULL;
    if (knowledge == NULL)
        abort();
    knowledge->store = config->store;
    knowledge->queue = config->queue;
    knowledge->blobs = config->blobs;
    knowledge->live = config->live;
    knowledge->clock = config->clock;
    knowledge->embedder = config->embedder;
    knowledge->previous = config->previous;
    knowledge->engine = config->engine;
    knowledge->max_document_bytes =
        config->max_document_bytes ? config->max_document_bytes : DEFAULT_MAX_DOCUMENT_BYTES;
    knowledge->passages = config->passages.words == 0
                              ? (struct chunk_settings){CHUNK_DEFAULT_WORDS, CHUNK_DEFAULT_OVERLAP}
                              : (struct chunk_settings){(size_t)config->passages.words,
                                                        (size_t)config->passages.overlap};
    extractor.max_input_bytes = knowledge->max_document_bytes;
    extractor.max_output_bytes = 2 * knowledge->max_document_bytes + 65536;
    pthread_mutex_init(&knowledge->lock, NULL);
    cond_init(&knowledge->changed);
    knowledge->max_site_pages =
        config->max_site_pages > 0 ? config->max_site_pages : DEFAULT_MAX_SITE_PAGES;
    knowledge->site_delay_us = config->site_delay_ms * US_PER_MS;
    st = extractor_open(&extractor, &knowledge->extractor, err);
    if (st == ST_OK)
        st = http_client_create(&http, &knowledge->http, err);
    if (st == ST_OK)
        knowledge->robots = robots_cache_create(knowledge->http);
    if (st != ST_OK) {
        knowledge_close(&knowledge);
        return st;
    }
    *knowledge_out = knowledge;
    return ST_OK;
}

void
knowledge_close(struct knowledge **knowledge)
{
    if (*knowledge == NULL)
        return;
    robots_cache_destroy(&(*knowledge)->robots);
    http_client_destroy(&(*knowledge)->http);
    extractor_close(&(*knowledge)->extractor);
    pthread_cond_destroy(&(*knowledge)->changed);
    pthread_mutex_destroy(&(*knowledge)->lock);
    free(*knowledge);
    *knowledge = NULL;
}

enum status
knowledge_check(struct knowledge *knowledge, struct err *err)
{
    struct arena *arena = arena_create((size_t)1024 * 1024);
    struct extracted extracted;
    enum status st = extractor_run(knowledge->extractor, STR("text/markdown"),
                                   STR("# Title\n\nWords.\n"), arena, &extracted, err);

    if (st == ST_OK && (extracted.block_count != 2 || !str_eq(extracted.title, STR("Title"))))
        st = err_set_detail(err, ST_INTERNAL, "parley-extract reads Markdown wrongly");
    arena_destroy(&arena);
    if (st == ST_OK)
        return ST_OK;
    err_wrap(err, "try %s", extractor_path(knowledge->extractor));
    err->code = ST_UNAVAILABLE;
    return err->code;
}

void
knowledge_tell_finished(struct knowledge *knowledge)
{
    pthread_mutex_lock(&knowledge->lock);
    knowledge->finished++;
    pthread_cond_broadcast(&knowledge->changed);
    pthread_mutex_unlock(&knowledge->lock);
}

bool
knowledge_wait_finished(struct knowledge *knowledge, uint64_t *seen)
{
    int64_t until_us = clock_mono_us(clock_system()) + LOOK_AGAIN_US;
    bool changed;

    pthread_mutex_lock(&knowledge->lock);
    while (knowledge->finished == *seen &&
           cond_wait_until(&knowledge->changed, &knowledge->lock, until_us))
        continue;
    changed = knowledge->finished != *seen;
    *seen = knowledge->finished;
    pthread_mutex_unlock(&knowledge->lock);
    return changed;
}

/* --- payload --- */

struct str
ingest_payload_format(const struct ingest_payload *payload, struct arena *arena)
{
    json_auto_t *json = json_object();

    json_set_str(json, "ingestion_id", ID_STR(payload->ingestion_id));
    json_set_str(json, "source_id", ID_STR(payload->source_id));
    json_set_int(json, "version", payload->version);
    if (payload->audience.len > 0)
        json_set_str(json, "audience", payload->audience);
    if (payload->instead_of.len > 0)
        json_set_str(json, "instead_of", payload->instead_of);
    return json_text(json, arena);
}

struct str
ingest_payload_audience(const struct ingest_payload *payload, struct str audience)
{
    bool is_changed = payload->instead_of.len > 0 && !str_eq(payload->instead_of, audience);

    return payload->audience.len == 0 || is_changed ? audience : payload->audience;
}

enum status
ingest_payload_parse(struct str text, struct arena *arena, struct ingest_payload *payload_out,
                     struct err *err)
{
    json_auto_t *json = NULL;
    struct ingest_payload payload = {.version = 0};
    enum status st = json_parse(text, &json, err);

    if (st == ST_OK)
        st = ID_PARSE(json_get_str(json, "ingestion_id"), &payload.ingestion_id, err);
    if (st == ST_OK)
        st = ID_PARSE(json_get_str(json, "source_id"), &payload.source_id, err);
    payload.version = json_get_int(json, "version", 0);
    if (st != ST_OK || payload.version <= 0)
        return err_set_detail(err, ST_INTERNAL, "a job of ingestion without its ids");
    payload.audience = arena_str(arena, json_get_str(json, "audience"));
    payload.instead_of = arena_str(arena, json_get_str(json, "instead_of"));
    *payload_out = payload;
    return ST_OK;
}
