/*
 * site.h - places on the web whose pages are documents: fetched, kept in step, removed
 *
 *   site_put, site_crawl, its hour --> round: RUNNING --a job a page--> DONE
 *   page of a round: pending -> done | unchanged (304, or the same bytes)
 *                            -> moved (its target is a page of the round) | skipped | gone | failed
 *
 * The address is that of a page, whose links are followed depth steps far, or of a sitemap. A
 * page's document is a source of kind "url" whose parent is the site's id (knowledge.h): it has the
 * site's audience, brand and labels and goes with it. A page that is gone (404, 410, no longer
 * found, or not wanted by its author) loses its document; one that failed keeps it, and so do pages
 * that were not found in a round in which something that could have named them failed.
 *
 * One page a job, in the lane of its host, the next one delay_ms later; a failure that passes is
 * tried again by the queue. Each request goes through the client's address guard, each redirect is
 * a page and a request of its own. Progress goes to the live topic "site:<id>": events "progress"
 * and, at a round's end, "done" or "failed": {site_id, round, status, the counts, url, page_status,
 * reason}, the last three of the page just fetched.
 * Threads: shared. Blocks: every function, on the store; the job handler also on the network and
 * the extractor. Crash: a job that was cut short fetches its page again.
 */
#ifndef PARLEY_KNOWLEDGE_SITE_H
#define PARLEY_KNOWLEDGE_SITE_H

#include <jansson.h>

#include "knowledge/knowledge.h"

#define SITE_DEPTH_MAX 5
#define SITE_PAGES_DEFAULT 200
#define SITE_RECRAWL_MAX_HOURS 8760

struct site_spec {
    const struct knowledge_reader *reader; /* as of upload_spec */
    struct str url;                        /* the site's identity beside its brand */
    bool is_sitemap;
    unsigned depth;         /* of a page's links: 0..SITE_DEPTH_MAX */
    unsigned max_pages;     /* 0: SITE_PAGES_DEFAULT; the operator's limit bounds it */
    struct str hosts;       /* that links, sitemaps and redirects may lead to, beside the address's
                               own with and without "www."; parted by spaces */
    unsigned recrawl_hours; /* 0: only when asked */
    struct str audience;    /* this and what follows: as of upload_spec */
    struct source_labels labels;
    struct brand_id brand_id;
    struct str language;
};
/* A new site, or other settings for a known one; either begins a round. Durable when it returns.
 * ST_INVALID; ST_NOT_FOUND: no such brand; ST_CONFLICT: it is a site that the reader may not read.
 */
MUST_USE enum status site_put(struct knowledge *knowledge, const struct tenant_scope *scope,
                              const struct site_spec *spec, struct source_id *id_out,
                              struct err *err);
/* Begins a round; one that runs is given up for it. ST_NOT_FOUND. */
MUST_USE enum status site_crawl(struct knowledge *knowledge, const struct tenant_scope *scope,
                                struct source_id id, struct err *err);
/* With its pages' documents and all that was made of them: knowledge_delete(id). */

/* site_put, and waits until the round has ended and its documents are read; workers of both topics
 * must be running, here or elsewhere. Each page that failed is reported at the end. ST_BUSY: ten
 * minutes without any progress. totals_out is filled in any case, its texts empty. */
MUST_USE enum status site_ingest(struct knowledge *knowledge, const struct tenant_scope *scope,
                                 const struct site_spec *spec, folder_on_progress on_progress,
                                 void *context, struct folder_progress *totals_out,
                                 struct err *err);

struct site_counts { /* of the round's pages, sitemaps left out */
    int64_t found, pending, done, unchanged, moved, skipped, gone, failed;
};
struct site {
    struct source_id id;
    struct brand_id brand_id;
    struct str url, kind; /* "page" or "sitemap" */
    struct str audience, language, hosts;
    struct source_labels labels; /* of all its pages */
    int64_t depth, max_pages, recrawl_hours;
    int64_t round;            /* from 1 */
    struct str status, error; /* running, done, failed; of failed */
    struct site_counts counts;
    int64_t started_at_us, finished_at_us; /* 0: it runs */
};
/* In the arena. ST_NOT_FOUND. */
MUST_USE enum status site_get(struct knowledge *knowledge, const struct tenant_scope *scope,
                              struct source_id id, struct arena *arena, struct site *site_out,
                              struct err *err);
/* Newest first, without counts: pass the last id seen, or none. limit: 1..500. */
MUST_USE enum status site_list(struct knowledge *knowledge, const struct tenant_scope *scope,
                               const struct knowledge_reader *reader, struct source_id before,
                               size_t limit, struct arena *arena, struct site **sites_out,
                               size_t *count_out, struct err *err);

struct site_page {
    struct str url, kind, status, reason;
    struct source_id source_id;        /* none: it has no document */
    struct str reading, reading_error; /* of its document's newest ingestion */
    int64_t round, ordinal, depth, fetched_at_us;
};
/* By address; after: the last one seen, or "". Also pages of earlier rounds that are kept. */
MUST_USE enum status site_page_list(struct knowledge *knowledge, const struct tenant_scope *scope,
                                    struct source_id id, struct str after, size_t limit,
                                    struct arena *arena, struct site_page **pages_out,
                                    size_t *count_out, struct err *err);

/* What events say of a round's pages; the caller owns it. */
json_t *site_counts_json(const struct site_counts *counts);
/* "site:<id>" for live_subscribe. */
struct str site_topic(struct source_id id, struct arena *arena);

/* For queue_workers_start on QUEUE_TOPIC_CRAWL; context is the struct knowledge. */
enum status site_handle_job(struct lease *lease, void *knowledge, struct err *err);
/* Its on_dead: the round fails with a sentence. */
enum status site_on_dead(struct store_tx *tx, const struct job *job, struct str reason,
                         void *knowledge, struct err *err);

#endif
