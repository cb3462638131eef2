/*
 * site_private.h - what the files of sites share
 */
#ifndef PARLEY_KNOWLEDGE_SITE_PRIVATE_H
#define PARLEY_KNOWLEDGE_SITE_PRIVATE_H

#include "knowledge/knowledge_private.h"
#include "knowledge/site.h"

/* A page's address is its document's, too: source.uri. */
#define SITE_URL_MAX_BYTES 2000

/* A page as the job takes it; texts in the job's arena. */
struct crawl_page {
    struct str url;
    bool is_sitemap;
    int64_t depth, hops;
    struct source_id source_id;
    bool has_document;
    struct str etag, last_modified; /* of what was fetched last */
};

enum crawl_outcome {
    CRAWL_DOCUMENT,  /* content is the page's document */
    CRAWL_LISTING,   /* of a sitemap: it was read */
    CRAWL_UNCHANGED, /* 304 */
    CRAWL_MOVED,     /* links[0] is where to */
    CRAWL_SKIPPED,   /* it is not to be read: reason */
    CRAWL_GONE,
    CRAWL_FAILED
};

struct crawl_link {
    struct str url; /* of http_url_resolve, at most SITE_URL_MAX_BYTES */
    bool is_sitemap;
};

struct crawl_result {
    enum crawl_outcome outcome;
    struct str reason; /* a sentence */
    struct str content, content_type, charset, etag, last_modified;
    struct crawl_link *links; /* that may be followed; each once */
    size_t link_count;
    int64_t delay_us; /* until the next request */
};

/* Fetches a page and says what came of it; all in the arena. ST_BUSY, ST_UNAVAILABLE: a failure
 * that may pass, with the sentence as the public text. */
MUST_USE enum status crawl_fetch(struct knowledge *knowledge, const struct tenant_scope *scope,
                                 const struct site *site, const struct crawl_page *page,
                                 struct arena *arena, struct crawl_result *result_out,
                                 struct err *err);

/* Whether links, sitemaps and redirects of the site may lead there. */
bool crawl_is_own_host(const struct site *site, struct str url, struct arena *arena);

/* In the caller's transaction. */
MUST_USE enum status site_load(struct store_tx *tx, struct source_id id, struct arena *arena,
                               struct site *site_out, struct err *err);
MUST_USE enum status site_count(struct store_tx *tx, struct source_id id, int64_t round,
                                struct site_counts *counts_out, struct err *err);
/* Begins a round. ST_NOT_FOUND. */
MUST_USE enum status site_begin(struct knowledge *knowledge, struct store_tx *tx,
                                struct source_id id, struct err *err);
/* The job that fetches the round's next page. */
MUST_USE enum status site_queue_step(struct knowledge *knowledge, struct store_tx *tx,
                                     struct source_id id, int64_t round, struct str url,
                                     int64_t due_us, struct err *err);
/* The job that begins a round when its hour comes, if the site wants one. */
MUST_USE enum status site_queue_again(struct knowledge *knowledge, struct store_tx *tx,
                                      const struct site *site, struct err *err);

#endif
