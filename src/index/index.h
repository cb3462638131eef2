/*
 * index.h - which passages answer a question? By words and by sentence vectors, both inside the
 * organization's database
 *
 *   index_put --in the caller's transaction--> postings, vectors --index_search--> ranked hits
 *                                                                                + confidence
 *
 * Ranking is ours on every database: terms by src/text, BM25 over title, headings and text, then
 * the best candidates again with how close the question's words stand (docs/decisions/0002). With
 * vectors the nearest passages of an exact scan join the candidates, and both figures of each make
 * its score (docs/decisions/0012). The database supplies rows only, so that the order is the
 * same on all of them.
 * Rows are written and read in the caller's transaction: a passage is found from the commit that
 * put it, and no longer after the one that deleted it, to the last posting. What may not be seen is
 * never read: brand and audience choose whole partitions before scoring, and the words of a
 * partition that is left out do not even count in the statistics. Threads: any, one per
 * transaction. Blocks: on the store. Crash: what the transaction says.
 */
#ifndef PARLEY_INDEX_INDEX_H
#define PARLEY_INDEX_INDEX_H

#include "store/store.h"
#include "text/text.h"

/* --- sentence vectors --- */

/* What a passage or a question is as numbers. */
struct index_vector {
    struct str encoder; /* embed_version(): only vectors of one may be compared */
    unsigned dimension;
    const float *values; /* of length 1; NULL: there is none */
};

/* Vectors of one encoder in memory, of the organizations that were searched last, read again when
 * their documents change. Threads: shared. */
struct index_vectors;
struct index_vectors_config {
    struct str encoder;
    unsigned dimension;
    size_t max_bytes;   /* of all that is kept; an organization beyond it is searched by words */
    const char *kernel; /* NULL: the fastest (scan.h) */
};
/* ST_INVALID: no such kernel on this processor. */
MUST_USE enum status index_vectors_create(const struct index_vectors_config *config,
                                          struct index_vectors **vectors_out, struct err *err);
void index_vectors_destroy(struct index_vectors **vectors); /* accepts NULL; no search may run */
size_t index_vectors_bytes(struct index_vectors *vectors);

/* --- who may read --- */

/* "customer": everybody. "staff": whoever belongs to the organization. "staff:finance,hr": those of
 * them who have one of the roles (tenant.h). "draft:" before one of these: a draft for them, which
 * no search finds but one with drafts, and only staff may look at. Each is a key of its own in the
 * index. */

/* The one way to write an audience, in the arena: roles sorted, each once. ST_INVALID. */
MUST_USE enum status index_audience_parse(struct str text, struct arena *arena,
                                          struct str *audience_out, struct err *err);
/* A parsed audience as a draft's, in the arena; what is one stays. And the other way round. */
struct str index_audience_of_draft(struct str audience, struct arena *arena);
struct str index_audience_published(struct str audience);
/* Of audiences that were parsed. roles: those of whoever asks, words with spaces; "*": all. */
bool index_audience_may_read(struct str audience, bool for_staff, struct str roles);
/* Everybody who may read narrow may read wide; both are drafts', or neither. */
bool index_audience_includes(struct str wide, struct str narrow);

/* --- writing --- */

struct index_entry {
    int64_t chunk_id; /* of the table chunk; not in the index yet */
    struct source_id source_id;
    int64_t version;
    struct brand_id brand_id; /* none: every brand of the organization may use it */
    struct str audience;      /* as index_audience_parse has it */
    struct str language;      /* ISO 639-1: chooses stems and stop words; "" is unknown */
    struct str title;         /* of the document */
    struct str name;         /* of its file, without the ending: found as the title is, not shown */
    struct str heading_path; /* "Travel > Expenses" */
    struct str text;
    struct index_vector vector;
};

/* What is made a vector of a passage, everywhere the same; in the arena. */
struct str index_vector_text(struct str title, struct str heading_path, struct str text,
                             struct arena *arena);

/* All chunks of a version at once: that is one rewrite of a word's postings, not one a chunk.
 * ST_CONFLICT: a chunk is in the index. ST_INVALID: not UTF-8, no such audience. */
MUST_USE enum status index_put(struct store_tx *tx, const struct index_entry *entries, size_t count,
                               struct err *err);
/* Takes out every chunk of the version, or of all versions when version is 0, with vectors of any
 * encoder. None there: ST_OK. */
MUST_USE enum status index_delete(struct store_tx *tx, struct source_id source_id, int64_t version,
                                  struct err *err);

/* Other readers, or another brand (none: every brand), for every chunk of the source; words and
 * vectors stay. */
MUST_USE enum status index_move(struct store_tx *tx, struct source_id source_id,
                                struct brand_id brand_id, struct str audience, struct err *err);

/* A passage that was put without a vector of an encoder. */
struct index_missing {
    int64_t chunk_id;
    struct source_id source_id;
    int64_t version;
    struct str title, heading_path, text;
    const float *values; /* the caller's, for index_vectors_put */
};
/* Ascending by chunk, those after one. */
MUST_USE enum status index_vectors_missing(struct store_tx *tx, struct str encoder, int64_t after,
                                           size_t limit, struct arena *arena,
                                           struct index_missing **missing_out, size_t *count_out,
                                           struct err *err);
/* Adds their vectors; passages that are gone meanwhile, or have one, are left out. */
MUST_USE enum status index_vectors_put(struct store_tx *tx, struct str encoder, unsigned dimension,
                                       const struct index_missing *items, size_t count,
                                       struct err *err);
/* Passages that have a vector of the encoder, of all versions. */
MUST_USE enum status index_vectors_count(struct store_tx *tx, struct str encoder,
                                         int64_t *count_out, struct err *err);
/* Removes vectors of other encoders. */
MUST_USE enum status index_vectors_keep_only(struct store_tx *tx, struct str encoder,
                                             struct err *err);

/* --- words that mean the same to an organization --- */

#define INDEX_SYNONYMS_GROUP_BYTES 300
#define INDEX_SYNONYMS_OF_GROUP 12 /* words or phrases */
#define INDEX_SYNONYMS_GROUPS 200
#define INDEX_SYNONYM_TERMS 4 /* of a phrase */

/* A group: "e-bike, pedelec, electric bicycle". ST_INVALID: not words or short phrases with commas
 * between. */
MUST_USE enum status index_synonyms_check(struct str group, struct err *err);

/* A word, or a phrase: words that stand next to each other. */
struct index_synonym {
    struct str text; /* as it was declared */
    const struct text_term *terms;
    size_t term_count; /* at least 1 */
    size_t line;       /* its group */
};

/* Checked groups, a line each, as terms of a language. */
struct index_synonyms {
    struct index_synonym *items; /* those of a group one after the other */
    size_t count;
};
/* text lives as long. */
void index_synonyms_open(struct str text, struct str language, struct arena *arena,
                         struct index_synonyms *synonyms_out);
/* Whether terms of a text, of the same language, begin with it. */
bool index_synonym_stands_at(const struct index_synonym *synonym, const struct text_term *terms,
                             size_t count);

/* Where a text has one of a group. */
struct index_synonym_match {
    size_t first, count;       /* of the text's terms */
    size_t group, group_count; /* items that mean the same: the one that is there, and others */
};
/* The next one in a text; match is all zero before the first. Of one group none overlap, and the
 * longest comes first; those of several groups may. False: there is no other. */
bool index_synonyms_next(const struct index_synonyms *synonyms, const struct text_term *terms,
                         size_t count, struct index_synonym_match *match);

/* --- which documents are asked --- */

enum index_filter_field {
    INDEX_FILTER_BRAND, /* an id; documents of every brand are in it */
    INDEX_FILTER_AUDIENCE,
    INDEX_FILTER_LANGUAGE, /* of the passage */
    INDEX_FILTER_SOURCE,   /* an id: the document, and what lies within it */
    INDEX_FILTER_KIND,
    INDEX_FILTER_CATEGORY,
    INDEX_FILTER_TONE,
    INDEX_FILTER_CONTENT_TYPE,
    INDEX_FILTER_FIELDS
};

/* Narrows a search before anything is scored; but for drafts it opens nothing. Fields must all
 * agree, one of a field's values is enough. */
struct index_filter {
    /* Values with an INDEX_FILTER_MARK, which none of them holds, before, between and after them;
     * "": any. */
    struct str wanted[INDEX_FILTER_FIELDS];
    bool has_dates; /* only documents that say their date, from the one to the other, both in */
    int64_t dated_from_us, dated_to_us;
    /* As if every draft were published: drafts for whoever asks are searched, and what they are to
     * replace is not (knowledge.h). Who may ask so is for the caller to know. */
    bool with_drafts;
};
#define INDEX_FILTER_MARK "\x1f"
/* Another value that is wanted; the list is in the arena. */
void index_filter_add(struct index_filter *filter, enum index_filter_field field, struct str value,
                      struct arena *arena);

/* --- searching --- */

#define INDEX_MAX_HITS 50
#define INDEX_MAX_QUERY_BYTES 4096
#define INDEX_MAX_QUERY_TERMS 32

/* Confidence from which an answer may be given without a person; one value for all organizations.
 * Calibrated: of the results at 0.8 about eight in ten hold the answer. Below one half, because a
 * refusal of what the documents hold costs more than a cited passage beside the point: the highest
 * that passes 19 in 20 of the questions with an answer that it was fitted on (docs/decisions/0019,
 * with what that lets through). */
#define INDEX_CONFIDENCE_ANSWER 0.4

struct index_query {
    struct str text;          /* the question: longer than INDEX_MAX_QUERY_BYTES is cut */
    struct str language;      /* of the question; "" is guessed */
    struct brand_id brand_id; /* passages of this brand and of all brands; none: of any brand */
    bool for_staff;           /* also what only staff may read */
    struct str roles;         /* of the staff who asks: index_audience_may_read */
    size_t limit;             /* 1..INDEX_MAX_HITS */
    bool want_best_sentence;
    struct str synonyms; /* checked groups, a line each: what is in one means the same */
    const struct index_filter *filter; /* NULL: all that may be read */
    /* NULL: by words alone. Inside store_read only, so that what is kept was committed. */
    struct index_vectors *vectors;
    const float *vector; /* of the question, of the same encoder; NULL: by words alone */
};

/* How one of the question's words was found in a passage. */
struct index_evidence {
    struct str word;  /* as it was asked */
    double weight;    /* its share of the question, by rarity: all of a hit's add up to 1 */
    uint32_t matches; /* in title, headings and text; 0: not there */
};

struct index_hit {
    int64_t chunk_id;
    struct source_id source_id;
    int64_t version;
    struct str title, heading_path, text, language;
    int64_t start_char, end_char; /* of the chunk: bytes of the version's normalised text */
    int64_t
        page; /* of the best sentence, else of the chunk's beginning; 0: the document has none */
    /* Bytes within text of the sentence that has most of the question; both 0 when not wanted. */
    struct text_span best_sentence;
    double score;    /* comparable within one result only */
    double cosine;   /* of the question's vector; 0 by words alone */
    double coverage; /* 0..1: share of the question's weight that the passage has */
    struct index_evidence *evidence;
    size_t evidence_count;
};

/* What the confidence was made of (confidence.c), for those who measure it. */
enum index_signal {
    INDEX_SIGNAL_NEAR,
    INDEX_SIGNAL_SCORE,
    INDEX_SIGNAL_MATCHED,
    INDEX_SIGNAL_MISSING,
    INDEX_SIGNAL_SIZE,
    INDEX_SIGNAL_OWN_CASE,
    INDEX_SIGNAL_COSINE, /* 0 by words alone */
    INDEX_SIGNALS
};

/* Where the time of a search went. With an engine its call is in vectors_us. */
struct index_timings {
    int64_t words_us, vectors_us, rank_us;
};

struct index_result {
    struct index_hit *hits; /* best first; in the arena */
    size_t count;
    double confidence; /* 0..1 that the hits answer the question; 0 without hits */
    double signals[INDEX_SIGNALS];
    int64_t chunks_searched; /* that the filters left */
    /* Vectors took part: all passages have one of the encoder, and they fit into memory. */
    bool by_vectors;
    /* Words of the question that the passages may write as one, or as two: what was asked and what
     * it was taken for, as groups of synonyms. */
    struct str spellings;
    /* Words that no passage has nor writes otherwise, and what they were meant for in everyday
     * questions: lines of "asked, meant". */
    struct str everyday;
    double nearest; /* the greatest cosine of a passage; 0 by words alone */
    struct index_timings timings;
};

/* An index without passages, or a question without words, gives no hits and ST_OK. */
MUST_USE enum status index_search(struct store_tx *tx, const struct index_query *query,
                                  struct arena *arena, struct index_result *result_out,
                                  struct err *err);

struct index_health {
    int64_t chunks, terms, partitions, blocks, bytes;
};
MUST_USE enum status index_get_health(struct store_tx *tx, struct index_health *health_out,
                                      struct err *err);

#endif
