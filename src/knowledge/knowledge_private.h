/*
 * knowledge_private.h - what the files of src/knowledge/ share
 */
#ifndef PARLEY_KNOWLEDGE_KNOWLEDGE_PRIVATE_H
#define PARLEY_KNOWLEDGE_KNOWLEDGE_PRIVATE_H

#include <pthread.h>

#include "embed/embed.h"
#include "knowledge/chunker.h"
#include "knowledge/extractor.h"
#include "base/buf.h"
#include "knowledge/knowledge.h"

/* Raw document, answer, text, sentences and passages of the largest document, several times over.
 */
#define DOCUMENT_ARENA_MAX_BYTES ((size_t)3 * 1024 * 1024 * 1024)

struct knowledge {
    struct store *store;
    struct queue *queue;
    struct blob_store *blobs;
    struct live_hub *live;
    struct clock *clock;
    struct extractor *extractor;
    struct embedder *embedder;   /* NULL: passages are found by words alone */
    struct embedder *previous;   /* NULL: none whose vectors serve until the new ones are there */
    struct index_engine *engine; /* NULL: the database searches */
    size_t max_document_bytes;
    struct chunk_settings passages; /* of organizations that want nothing else */
    struct http_client *http;       /* of sites */
    struct robots_cache *robots;
    unsigned max_site_pages;
    int64_t site_delay_us;

    pthread_mutex_t lock; /* guards finished */
    pthread_cond_t changed;
    uint64_t finished; /* ingestions that ended in this process */
};

/* What the job carries. */
struct ingest_payload {
    struct ingestion_id ingestion_id;
    struct source_id source_id;
    int64_t version;
    /* To be set when the version becomes searched, unless somebody changed it since: instead_of is
     * what it was. Empty: as it is. */
    struct str audience, instead_of;
};

/* JSON, in the arena. */
struct str ingest_payload_format(const struct ingest_payload *payload, struct arena *arena);
/* Texts in the arena. ST_INTERNAL: not what ingest_payload_format makes. */
MUST_USE enum status ingest_payload_parse(struct str json, struct arena *arena,
                                          struct ingest_payload *payload_out, struct err *err);

/* For whom the source is when the payload's version is read; audience: for whom it is now. */
struct str ingest_payload_audience(const struct ingest_payload *payload, struct str audience);

/* A version's raw bytes: in the store of objects, or in the row of one that is older than that. */
struct original {
    struct source_id source_id;
    int64_t version; /* 0: the newest */
    struct arena *arena;
    struct str name, content_type, charset;
    struct str web_url; /* empty: it is no page of a site */
    struct str object;  /* its key; empty: content is filled */
    struct str content;
};
/* ST_NOT_FOUND: no such source or version. */
MUST_USE enum status original_find(struct store_tx *tx, struct original *original, struct err *err);
/* Its content type, with the charset that was said beside it; in the original's arena. */
struct str original_type(const struct original *original);
/* Fills content, verified. ST_NOT_FOUND: the object is gone. */
MUST_USE enum status original_read(struct knowledge *knowledge, const struct tenant_scope *scope,
                                   struct original *original, struct err *err);
/* A key that no other upload takes. */
struct str original_new_key(struct source_id id, int64_t version, struct arena *arena);
/* A job that removes the source's objects, in the transaction that removes the source. */
MUST_USE enum status originals_queue_removal(struct knowledge *knowledge, struct store_tx *tx,
                                             struct source_id id, struct err *err);
/* Whether the payload is of such a job, and of which source. */
bool is_removal(struct str payload, struct source_id *id_out);
MUST_USE enum status originals_remove(struct knowledge *knowledge, struct lease *lease,
                                      struct source_id id, struct err *err);

/* A vector a chunk, in the arena; NULL without an encoder. The failure is the encoder's. */
MUST_USE enum status vectors_make(struct embedder *embedder, struct str title,
                                  const struct chunk *chunks, size_t count, struct arena *arena,
                                  float **vectors_out, struct err *err);
/* A job that makes what is missing; one that waits already is enough. */
MUST_USE enum status vectors_queue(struct knowledge *knowledge, struct store_tx *tx,
                                   struct err *err);
bool is_vectors_job(struct str payload);
MUST_USE enum status vectors_run(struct knowledge *knowledge, struct lease *lease, struct err *err);

/* --- cut.c --- */

/* What the organization wants of its passages now. */
MUST_USE enum status cut_settings_find(struct knowledge *knowledge, struct store_tx *tx,
                                       struct chunk_settings *settings_out, struct err *err);
/* How the version that is searched was cut, or was tried to be. */
MUST_USE enum status cut_settings_note(struct store_tx *tx, struct source_id id,
                                       const struct chunk_settings *settings, struct err *err);
/* The job, in the caller's transaction; one that waits already is enough. */
MUST_USE enum status cut_queue(struct knowledge *knowledge, struct store_tx *tx, struct err *err);
bool is_cut_job(struct str payload);
MUST_USE enum status cut_run(struct knowledge *knowledge, struct lease *lease, struct err *err);
/* ingest.c: what is searched of the document, from its original, in one commit that belongs to the
 * lease and does not end it. ST_OK also when nothing came of it: the document is gone, was replaced
 * meanwhile, or can no longer be read and so keeps its passages. */
MUST_USE enum status ingest_cut_anew(struct knowledge *knowledge, struct lease *lease,
                                     struct source_id id, struct err *err);

/* In the caller's transaction: it ended, and why; nothing of one that is done. */
MUST_USE enum status ingestion_fail(struct knowledge *knowledge, struct store_tx *tx,
                                    const struct ingest_payload *payload, struct str sentence,
                                    struct err *err);

/* Passages and index rows of all versions, in the caller's transaction. */
MUST_USE enum status passages_delete(struct store_tx *tx, struct source_id id, struct err *err);
/* Has the engine, if there is one, brought into step after the commit: whoever puts, deletes or
 * moves passages calls it once. */
MUST_USE enum status passages_changed(struct knowledge *knowledge, struct store_tx *tx,
                                      struct err *err);

/* Also of a site, with its pages. ST_NOT_FOUND: no such document. */
MUST_USE enum status source_delete_in_tx(struct knowledge *knowledge, struct store_tx *tx,
                                         struct source_id id, struct err *err);
/* knowledge_update in the caller's transaction; the change is checked already. */
MUST_USE enum status source_change_in_tx(struct knowledge *knowledge, struct store_tx *tx,
                                         struct source_id id, const struct source_change *change,
                                         struct err *err);
/* Empty, or a code such as "en": else ST_INVALID. */
MUST_USE enum status language_check(struct str code, struct err *err);

/* labels.c */
MUST_USE enum status label_check(const char *name, struct str label, struct err *err);
MUST_USE enum status labels_write(struct knowledge *knowledge, struct store_tx *tx,
                                  struct source_id id, const struct source_labels *labels,
                                  struct err *err);
/* What the document says of itself, instead of what its version before said; what cannot be a label
 * is passed over. */
MUST_USE enum status labels_write_own(struct store_tx *tx, struct source_id id,
                                      const struct extracted *extracted, struct err *err);
/* What was said, from the columns category, tone, dated_at that begin at first; in the arena. */
struct source_labels labels_read(struct store_rows *rows, int first, struct arena *arena);
bool labels_eq(const struct source_labels *a, const struct source_labels *b);

/* --- draft.c --- */

/* The document that a draft of this brand and name is to replace, as it would be uploaded; what
 * there is none of would be a new upload for customers. In the transaction's arena. */
struct draft_target {
    struct str kind, uri, audience;
    bool is_there;
};
MUST_USE enum status draft_target_find(struct store_tx *tx, struct brand_id brand_id,
                                       struct str name, struct draft_target *target_out,
                                       struct err *err);

/* A draft that is being published, as it was found; complete before the upload. */
struct draft_publishing {
    struct source draft;
    struct draft_target target;
};
/* In the upload's transaction. ST_BUSY: the draft or its target is another now. */
MUST_USE enum status draft_publishing_check(struct store_tx *tx,
                                            const struct draft_publishing *publishing,
                                            struct err *err);

/* "||customer||staff|": those of the organization's that the reader may read; "" for everything. */
MUST_USE enum status readable_audiences(struct store_tx *tx, const struct knowledge_reader *reader,
                                        struct str *audiences_out, struct err *err);
/* None, or one that is there: else ST_NOT_FOUND. */
MUST_USE enum status brand_check(struct store_tx *tx, struct brand_id id, struct err *err);

struct member {
    struct source_id id;
    struct str name;
    struct ingestion_id ingestion_id; /* its newest */
};
/* What lies within a document; in the arena. */
MUST_USE enum status member_list(struct store_tx *tx, struct source_id parent, struct arena *arena,
                                 struct member **members_out, size_t *count_out, struct err *err);
/* The same as the work of store_read. */
struct members_of {
    struct source_id parent;
    struct arena *arena;
    struct member *list;
    size_t count;
};
enum status member_list_in_tx(struct store_tx *tx, void *members_of, struct err *err);
/* A source of each member; those that are no longer among them go. Does nothing for what is a
 * member itself: its members were told with it. Blocks on the store. */
MUST_USE enum status members_ingest(struct knowledge *knowledge, const struct tenant_scope *scope,
                                    const struct ingest_payload *payload,
                                    const struct extracted *extracted, struct err *err);

/* Whoever waits for an ingestion looks again. */
void knowledge_tell_finished(struct knowledge *knowledge);
/* Until something ended that was not counted in *seen yet; false: it is time to look at everything.
 */
bool knowledge_wait_finished(struct knowledge *knowledge, uint64_t *seen);

/* At most one byte more than max_bytes, so that too large is seen. ST_NOT_FOUND: cannot be read. */
MUST_USE enum status document_file_read(const char *path, size_t max_bytes, struct buf *content,
                                        struct err *err);
bool pack_is_manifest(struct str path);

#endif
