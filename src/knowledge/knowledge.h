/*
 * knowledge.h - an organization's documents: uploaded, read, cut into passages, searched
 *
 *   upload --object--> raw bytes --one commit--> source + version + ingestion QUEUED + job
 *   job: QUEUED -> RUNNING (extract, chunk, embed, index) --one commit--> DONE, the version is
 * searched |                                              instead of the one before
 *                     '-- the document cannot be read --> FAILED; the version before stays
 *
 * A source is a document by name; uploading that name again makes its next version. What is
 * searched changes in one commit: passages and index rows of the new version come, those of older
 * versions go, so a search never sees half a document or two versions of it. Raw bytes of every
 * version are kept in the objects' store (knowledge/<source>/<version>-<unique>) until the source
 * is deleted: its rows go in one commit, its objects by a job of that commit. An archive, or a mail
 * with attachments, is a source whose job makes a source of each document in it (its members): they
 * have its audience, brand and language, are replaced when it is uploaded again, and go when they
 * are no longer in it, or with it. Another
 * organization's id is ST_NOT_FOUND.
 *
 * Progress goes to the live topic "ingestion:<id>": events "progress" {status, stage, progress},
 * "done" {status, chunk_count, version}, "failed" {status, error}, each with ingestion_id,
 * source_id. Threads: shared. Blocks: every function, on the store; the job handler also on the
 * extractor. Crash: a job that was cut short runs again and finds nothing of its own.
 */
#ifndef PARLEY_KNOWLEDGE_KNOWLEDGE_H
#define PARLEY_KNOWLEDGE_KNOWLEDGE_H

#include "base/clock.h"
#include "blob/blob.h"
#include "embed/embed.h"
#include "index/engine.h"
#include "live/live.h"
#include "queue/queue.h"
#include "store/store.h"
#include "tenant/tenant.h"

struct knowledge;

struct knowledge_config {
    struct store *store;
    struct queue *queue;
    struct blob_store *blobs;
    struct live_hub *live; /* NULL: progress only in the row */
    struct clock *clock;
    const char *extractor_path;       /* of parley-extract; NULL or "": beside this program */
    size_t max_document_bytes;        /* 0: 16 MB */
    struct passage_settings passages; /* of organizations that want nothing else; words 0: those of
                                         chunker.h */
    const char *ocr_languages;        /* as of struct extractor_config */
    unsigned ocr_seconds;
    struct embedder *embedder; /* of passages; NULL: they are found by words alone */
    struct embedder *previous; /* the one before, whose vectors serve while others are made; NULL */
    struct index_engine *engine; /* that is kept in step; NULL: the database searches */
    bool allow_private_sites;    /* site.h: sites may be on this machine or in a private network */
    unsigned max_site_pages;     /* 0: 1000 */
    unsigned site_delay_ms;      /* between two requests to a host */
};

/* ST_NOT_FOUND: parley-extract is not where it should be. */
MUST_USE enum status knowledge_open(const struct knowledge_config *config,
                                    struct knowledge **knowledge_out, struct err *err);
/* Stop the workers of QUEUE_TOPIC_INGEST first. */
void knowledge_close(struct knowledge **knowledge);

/* For queue_workers_start on QUEUE_TOPIC_INGEST; context is the struct knowledge. */
enum status knowledge_handle_job(struct lease *lease, void *knowledge, struct err *err);
/* Its on_dead: the ingestion fails with a sentence. */
enum status knowledge_on_dead(struct store_tx *tx, const struct job *job, struct str reason,
                              void *knowledge, struct err *err);

/* Reads a small document through parley-extract: for `doctor`. ST_UNAVAILABLE, with what to do. */
MUST_USE enum status knowledge_check(struct knowledge *knowledge, struct err *err);

/* --- uploading --- */

#define KNOWLEDGE_NAME_MAX_BYTES 300

/* What somebody says of a document; it counts whatever the document says of itself. What nobody
 * said is as the version that is searched says: Markdown in its front matter, a page or an office
 * document in its properties. */
struct source_labels {
    struct str category, tone; /* ptr NULL: not said, or as it is; "": it has none */
    bool has_date;             /* false: not said, or as it is */
    int64_t dated_at_us;       /* the document's own date; 0: it has none */
    unsigned unsaid;           /* enum source_label: in a change, what is no longer said */
};
enum source_label { SOURCE_CATEGORY = 1, SOURCE_TONE = 2, SOURCE_DATE = 4 };
/* "2026-05-01" or RFC 3339; "" is 0. ST_INVALID. */
MUST_USE enum status source_date_parse(struct str text, int64_t *at_us_out, struct err *err);

struct knowledge_reader;
struct draft_publishing;

struct upload_spec {
    /* Who uploads: what they may not read they may not replace. NULL: everything. */
    const struct knowledge_reader *reader;
    struct str name; /* file name, title or path: the source's identity beside brand and kind */
    struct str kind; /* "upload", "folder", "url" (a page of a site), "member", "pack" or
                        DRAFT_KIND; empty: "upload" */
    struct str uri;  /* where it came from, for citations; may be empty */
    struct str content_type; /* empty or application/octet-stream: told from name and first bytes;
                                its charset counts for text that is not UTF-8 */
    struct str audience; /* index_audience_parse; empty: as it is, "customer" for a new source; a
                            draft's is that of the document that it is to replace */
    struct source_labels labels;
    struct brand_id brand_id; /* none: all brands */
    struct str language;      /* ISO 639-1; empty: told from the document */
    struct str content;       /* the bytes; when ptr is NULL, file is read */
    const char *file;
    /* Of a member: what holds it, and why it cannot be read (then without content). */
    struct source_id parent_id;
    struct str parent_audience; /* as it was found: ST_BUSY when it is another now */
    struct str failure;
    /* Of knowledge_publish: the draft that the upload ends, in its own commit. ST_BUSY: it, or what
     * it is to replace, is not as it was found. NULL: none. */
    const struct draft_publishing *publishing;
};

struct upload_result {
    struct source_id source_id;
    int64_t version;
    struct ingestion_id ingestion_id; /* none when unchanged and nothing had to be done */
    bool created;                     /* the source is new */
    bool unchanged;                   /* these bytes are its newest version already */
};

/* Durable when it returns; reading happens later. ST_INVALID: a name, kind, audience or type that
 * cannot be; ST_TOO_LARGE; ST_NOT_FOUND: no such brand, no such file; ST_CONFLICT: the name is that
 * of a document that the reader may not read. */
MUST_USE enum status knowledge_upload(struct knowledge *knowledge, const struct tenant_scope *scope,
                                      const struct upload_spec *spec,
                                      struct upload_result *result_out, struct err *err);
/* A draft: an upload of this kind is tried with searches that ask for drafts (index_filter) and by
 * evaluations, in place of the uploaded or folder's document of its brand and name, which the
 * reader may read; nobody else finds it. Publishing uploads its newest version as that document's
 * next, with what was said of the draft, and removes the draft, in one commit: what is changed of
 * either meanwhile counts, or is ST_NOT_FOUND. ST_INVALID: it is none; ST_CONFLICT: it was not read
 * (yet), or the document is out of the reader's reach, or for another audience; ST_NOT_FOUND;
 * ST_BUSY: others change it again and again. */
#define DRAFT_KIND "draft"
MUST_USE enum status knowledge_publish(struct knowledge *knowledge,
                                       const struct tenant_scope *scope,
                                       const struct knowledge_reader *reader, struct source_id id,
                                       struct upload_result *result_out, struct err *err);
/* A brand pack: an archive of documents with brand.json, at its root or in the one folder that all
 * is in. It is uploaded with the kind PACK_KIND, and its manifest is no document. The manifest's
 * bytes, as they are, in the arena. ST_INVALID, ST_TOO_LARGE: no archive that can be read, or none
 * with a manifest; ST_UNAVAILABLE. Blocks on the extractor. */
#define PACK_KIND "pack"
#define PACK_MANIFEST "brand.json"
MUST_USE enum status pack_manifest_read(struct knowledge *knowledge, struct str content_type,
                                        const char *file, struct arena *arena,
                                        struct str *manifest_out, struct err *err);
/* Reads the newest version again, as after an upgrade. ST_NOT_FOUND. */
MUST_USE enum status knowledge_reprocess(struct knowledge *knowledge,
                                         const struct tenant_scope *scope, struct source_id id,
                                         struct ingestion_id *ingestion_id_out, struct err *err);
/* Nothing is read again, and what is searched changes in one commit. ST_INVALID; ST_NOT_FOUND: no
 * such document or brand; ST_CONFLICT: the brand has a document of its name. */
struct source_change {
    struct str audience; /* empty: as it is */
    bool has_brand;
    struct brand_id brand_id; /* none: all brands */
    struct source_labels labels;
};
MUST_USE enum status knowledge_update(struct knowledge *knowledge, const struct tenant_scope *scope,
                                      struct source_id id, const struct source_change *change,
                                      struct err *err);
/* With all its versions, passages, index rows and ingestions. ST_NOT_FOUND. */
MUST_USE enum status knowledge_delete(struct knowledge *knowledge, const struct tenant_scope *scope,
                                      struct source_id id, struct err *err);
/* Removes objects older than age_us that no version names: what a process that died between object
 * and commit left. ST_BUSY: a backup runs. */
MUST_USE enum status knowledge_upkeep(struct knowledge *knowledge, const struct tenant_scope *scope,
                                      int64_t age_us, unsigned *removed_out, struct err *err);
/* Queues the job that makes vectors of passages that have none of this encoder, if there are any;
 * those of other encoders go when it is done. And the job that brings the engine into step, and
 * counts. */
MUST_USE enum status knowledge_make_missing_vectors(struct knowledge *knowledge,
                                                    const struct tenant_scope *scope,
                                                    struct err *err);

/* --- how documents are cut into passages --- */

/* What an organization may want (brand.passages). ST_INVALID. */
MUST_USE enum status passage_settings_check(const struct passage_settings *settings,
                                            struct err *err);
/* In the transaction that changes it: queues a job that cuts anew what is searched and was cut
 * otherwise, from the kept originals. It works in short turns behind whatever else waits to be
 * read, document by document, each in one commit: until then the old passages are searched. Nobody
 * is told of an ingestion, for the documents stay as they are. One that cannot be read any more
 * keeps its old passages. left_out: how many documents there are to cut. Crash: the job goes on
 * with those that are left. */
MUST_USE enum status knowledge_cut_anew(struct knowledge *knowledge, struct store_tx *tx,
                                        int64_t *left_out, struct err *err);
/* How many searched documents are cut otherwise than the organization wants now. */
MUST_USE enum status knowledge_count_uncut(struct knowledge *knowledge, struct store_tx *tx,
                                           int64_t *left_out, struct err *err);

/* --- a folder --- */

struct folder_progress {
    struct str name; /* of the file just handed over or finished; "" while waiting */
    unsigned found, uploaded, unchanged, skipped, done, failed, removed;
    struct str error; /* of that file, when it failed */
    struct str note;  /* of that file: what of it could not be read */
};
/* Of those found: nothing is left to do. */
static inline unsigned
folder_progress_settled(const struct folder_progress *progress)
{
    return progress->done + progress->failed + progress->unchanged + progress->skipped;
}
/* Returning false stops: what was handed over stays. */
typedef bool (*folder_on_progress)(const struct folder_progress *progress, void *context);

struct folder_spec {
    const char *path; /* a folder, or one file */
    struct str audience, language;
    struct source_labels labels;
    struct brand_id brand_id;
    bool is_draft;       /* uploaded as drafts */
    bool remove_missing; /* delete sources that an earlier run took from this path and are gone */
    bool wait;           /* return when all are read; workers for the topic must be running */
    int64_t deadline_ms; /* of waiting; 0: 10 min without any progress */
};

/* Uploads every file of a type that can be read, by its path within the folder; hidden files and
 * symbolic links are left out, others are counted as skipped. A file that cannot be read fails
 * alone. ST_NOT_FOUND: no such path. ST_BUSY: the deadline passed. totals_out is filled in any
 * case. */
MUST_USE enum status knowledge_ingest_folder(struct knowledge *knowledge,
                                             const struct tenant_scope *scope,
                                             const struct folder_spec *spec,
                                             folder_on_progress on_progress, void *context,
                                             struct folder_progress *totals_out, struct err *err);

/* Reads every document of the organization again, members of archives included, and waits as
 * knowledge_ingest_folder does. What is searched stays until its document was read. */
MUST_USE enum status knowledge_reprocess_all(struct knowledge *knowledge,
                                             const struct tenant_scope *scope,
                                             folder_on_progress on_progress, void *context,
                                             struct folder_progress *totals_out, struct err *err);

/* Publishes every draft, and waits likewise. One that could not be read counts as failed. */
MUST_USE enum status knowledge_publish_all(struct knowledge *knowledge,
                                           const struct tenant_scope *scope,
                                           folder_on_progress on_progress, void *context,
                                           struct folder_progress *totals_out, struct err *err);

/* --- looking; all results are in the arena --- */

/* Who looks: lists leave out what they may not read (index_audience_may_read). NULL: everything. */
struct knowledge_reader {
    bool for_staff;
    struct str roles;
};

struct source {
    struct source_id id;
    struct brand_id brand_id; /* none: all brands */
    struct str name, kind, uri, audience, language;
    struct str category, tone; /* as said, else as the document says; empty: neither */
    int64_t dated_at_us;       /* likewise; 0: neither */
    struct source_labels said; /* what somebody said of it */
    struct str title;          /* of the version that is searched; else empty */
    struct str content_type;   /* of the newest version */
    int64_t current_version;   /* that is searched; 0: none yet */
    int64_t last_version;
    int64_t size_bytes;  /* of the newest version */
    int64_t chunk_count; /* that are searched */
    struct str status;   /* of the newest ingestion: queued, running, done, failed */
    struct str error;    /* of the newest ingestion */
    struct str note;     /* of the newest ingestion: what of it could not be read */
    int64_t created_at_us, updated_at_us;
    struct source_id parent_id; /* what it is a member of; none: it came by itself */
};

MUST_USE enum status source_get(struct knowledge *knowledge, const struct tenant_scope *scope,
                                struct source_id id, struct arena *arena, struct source *source_out,
                                struct err *err);
/* Newest first: pass the last id seen, or none. limit: 1..500. */
MUST_USE enum status source_list(struct knowledge *knowledge, const struct tenant_scope *scope,
                                 const struct knowledge_reader *reader, struct source_id before,
                                 size_t limit, struct arena *arena, struct source **sources_out,
                                 size_t *count_out, struct err *err);

struct source_version {
    int64_t version;
    struct str content_type, content_hash, title;
    int64_t size_bytes, created_at_us;
    bool is_current;
};
/* Newest first; before_version 0: from the newest. ST_NOT_FOUND: no such source. */
MUST_USE enum status source_version_list(struct knowledge *knowledge,
                                         const struct tenant_scope *scope, struct source_id id,
                                         int64_t before_version, size_t limit, struct arena *arena,
                                         struct source_version **versions_out, size_t *count_out,
                                         struct err *err);
/* A signed link to the raw document, for GET /v1/blobs/{token}. */
struct source_link_spec {
    struct source_id id;
    int64_t version; /* 0: the newest */
    int64_t expires_at_us;
    bool
        for_customers; /* to what is searched, whatever version says, and good while it is theirs */
};
struct source_link {
    struct str token, content_type;
    struct str web_url; /* of a page of a site, where it stands on the web; else empty */
    int64_t version;
};
/* ST_NOT_FOUND; ST_INVALID: an expiry that cannot be. */
MUST_USE enum status source_link_make(struct knowledge *knowledge, const struct tenant_scope *scope,
                                      const struct source_link_spec *spec, struct arena *arena,
                                      struct source_link *link_out, struct err *err);
/* What a link's object belongs to: none in source_out for objects of no document, such as
 * attachments. ST_NOT_FOUND: it was made for customers, and is no longer theirs. */
MUST_USE enum status source_link_redeem(struct knowledge *knowledge,
                                        const struct tenant_scope *scope,
                                        const struct blob_link *link, struct source_id *source_out,
                                        int64_t *version_out, struct err *err);
/* The raw document; version 0: the newest. */
MUST_USE enum status source_content_get(struct knowledge *knowledge,
                                        const struct tenant_scope *scope, struct source_id id,
                                        int64_t version, struct arena *arena,
                                        struct str *content_out, struct str *content_type_out,
                                        struct err *err);
/* Bytes start to end of a version's normalised text, as citations count them; both are moved inward
 * to characters' borders, an end beyond the text to its end. version 0: the one that is searched.
 * ST_NOT_FOUND; ST_INVALID: no such range. */
MUST_USE enum status source_text_get(struct knowledge *knowledge, const struct tenant_scope *scope,
                                     struct source_id id, int64_t version, int64_t start,
                                     int64_t end, struct arena *arena, struct str *text_out,
                                     struct err *err);

struct ingestion {
    struct ingestion_id id;
    struct source_id source_id;
    int64_t version;
    struct str status, stage, error;
    struct str note; /* of one that is done: what of the document could not be read */
    double progress; /* 0..1 */
    int64_t chunk_count, created_at_us, updated_at_us;
};
MUST_USE enum status ingestion_get(struct knowledge *knowledge, const struct tenant_scope *scope,
                                   struct ingestion_id id, struct arena *arena,
                                   struct ingestion *ingestion_out, struct err *err);
/* Newest first; source_id none: of all sources. */
MUST_USE enum status ingestion_list(struct knowledge *knowledge, const struct tenant_scope *scope,
                                    const struct knowledge_reader *reader,
                                    struct source_id source_id, struct ingestion_id before,
                                    size_t limit, struct arena *arena,
                                    struct ingestion **ingestions_out, size_t *count_out,
                                    struct err *err);
/* "ingestion:<id>" for live_subscribe. */
struct str ingestion_topic(struct ingestion_id id, struct arena *arena);

#endif
