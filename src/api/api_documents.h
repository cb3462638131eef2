/*
 * api_documents.h - where a cited document opens: at its page, or at the passage in its text
 *
 * Threads: any. Blocks: on the store.
 */
#ifndef PARLEY_API_API_DOCUMENTS_H
#define PARLEY_API_API_DOCUMENTS_H

#include "api/api_private.h"

/* What a citation says of its passage; page 0, end 0: not said. */
struct document_place {
    struct source_id source_id;
    int64_t version, start, end, page;
};

struct document_address {
    struct str url;
    struct str web_url; /* where it stands on the web; empty: it is no page of a site */
};

/* An address that needs no key: of a PDF the file with #page=, of anything else its text with the
 * passage marked (GET /v1/blobs/{token}/text). for_customers: what is searched, as long as it is
 * theirs. When that is not the cited version, the document opens at its beginning. In the arena.
 * ST_NOT_FOUND; ST_INVALID: no links, or an expiry that cannot be. */
MUST_USE enum status api_document_url(const struct api_config *config,
                                      const struct tenant_scope *scope,
                                      const struct document_place *place, bool for_customers,
                                      int64_t expires_at_us, struct arena *arena,
                                      struct document_address *address_out, struct err *err);
/* Adds "url" to each of answer_citations_json's rows that has a document to open, and "web_url" to
 * those of pages on the web. */
void api_citations_add_urls(const struct api_config *config, const struct tenant_scope *scope,
                            bool for_customers, struct arena *arena, json_t *citations);
/* {"url", "expires_at"} of the citation with that number among a message's. ST_NOT_FOUND. */
enum status api_citation_link(struct api_call *call, const struct message *message,
                              struct str number, struct err *err);
/* The text of a document as a page with the passage from start to end marked; in the arena. name:
 * of the file, token: of its link. ST_NOT_FOUND; ST_INVALID: no such range. */
MUST_USE enum status api_document_page(struct api_call *call, const struct document_place *place,
                                       struct str name, struct str token, struct str *html_out,
                                       struct err *err);

#endif
