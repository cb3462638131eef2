/*
 * knowledge_test_support.h - an organization or two with everything that documents need
 */
#ifndef PARLEY_KNOWLEDGE_KNOWLEDGE_TEST_SUPPORT_H
#define PARLEY_KNOWLEDGE_KNOWLEDGE_TEST_SUPPORT_H

#include "base/testing.h"

#include "index/index.h"
#include "knowledge/knowledge.h"
#include "queue/queue_test_support.h"

#define MB ((size_t)1024 * 1024)
#define WAIT_MS 60000

/* A bed with knowledge on it. */
struct shop {
    const char *extractor_path;
    struct bed bed;
    struct live_hub *live;
    struct blob_store *blobs; /* in blob_folder; the bed removes it */
    char blob_folder[96];
    struct knowledge *knowledge;
    struct embedder *embedder; /* the test's; NULL: none */
    struct queue_workers *workers;
    struct arena *arena;
};

struct search {
    struct index_query query;
    struct arena *arena;
    struct index_result result;
    struct index_health health;
};

void open_shop(struct shop *shop, const char *extractor_path);
/* Without organizations: on a bed that is open. */
void open_knowledge(struct shop *shop);
void start_workers(struct shop *shop);
void wait_idle(struct shop *shop);
void close_shop(struct shop *shop);
struct upload_result upload_for(struct shop *shop, struct str name, struct str content,
                                struct str audience);
struct upload_result upload(struct shop *shop, const char *name, const char *content);
struct source get_source(struct shop *shop, struct source_id id);
struct ingestion get_ingestion(struct shop *shop, struct ingestion_id id);
struct search search_as(struct shop *shop, unsigned organization, const char *words,
                        bool for_staff);
size_t hits(struct shop *shop, const char *words);

#endif
