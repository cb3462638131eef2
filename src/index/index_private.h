/*
 * index_private.h - what the files of src/index share; the numbers of docs/decisions/0002
 */
#ifndef PARLEY_INDEX_INDEX_PRIVATE_H
#define PARLEY_INDEX_INDEX_PRIVATE_H

#include "index/index_driver.h"
#include "index/postings.h"

/* BM25 (Robertson and Zaragoza 2009): saturation and length normalisation. */
#define RANK_K1 1.5
#define RANK_B 0.6
/* A word in the title or a heading counts as this many in the text. */
#define RANK_CONTEXT_WEIGHT 2
/* Candidates that are ranked again by nearness, the weight of it, and the widest gap in words. */
#define RANK_CANDIDATES 50
/* The nearest by vectors that join them: what comes later is never among the first ten. */
#define RANK_NEAREST 20
#define RANK_NEAR_WEIGHT 0.3
#define RANK_NEAR_K 1.2
#define RANK_NEAR_WINDOW 8
/* Of the cosine, beside the words' share of what they could earn (docs/decisions/0012). */
#define RANK_COSINE_WEIGHT 1.2
/* Places between title, headings and text, so that their words are not near each other. */
#define RANK_FIELD_GAP 10
#define RANK_MAX_PLACES 64
#define SEARCH_MAX_LANGUAGES 12

/* The driver that keeps the transaction's index. */
static inline const struct index_driver *
index_driver_of(struct store_tx *tx)
{
    (void)tx; /* every store has the local one so far */
    return &index_driver_local;
}

/* --- put.c --- */

struct analysed_term {
    struct str term;
    uint32_t frequency;
    uint32_t *places;
    uint32_t place_count;
};
struct analysed_entry {
    struct analysed_term *terms; /* ascending by term */
    size_t count;
    uint32_t length;  /* sum of frequencies */
    struct str bytes; /* of index_chunk.terms */
};
/* All in the arena. */
MUST_USE enum status index_analyse(const struct index_entry *entry, struct arena *arena,
                                   struct analysed_entry *analysed_out, struct err *err);

/* Of one call: a document of a thousand pages has about 4,000 chunks of 300 words. */
#define PUT_MAX_BYTES ((size_t)1 << 30)

/* A word of a chunk that comes into a partition's postings, or goes. */
struct change {
    int64_t partition_id;
    struct str term;
    int64_t chunk_id;
    uint32_t frequency, length;
};
struct change_list {
    struct change *items;
    size_t count, capacity;
};
void change_add(struct change_list *list, struct arena *arena, const struct change *change);
/* Each row of postings is read and written once; sorts the list. */
MUST_USE enum status change_postings(struct store_tx *tx, struct change_list *list, bool removing,
                                     struct err *err);

/* --- put_vectors.c --- */

struct vector_item {
    int64_t chunk_id, partition_id;
    struct source_id source_id;
    int64_t version;
    struct index_vector vector;
};
/* Items of one source, version and encoder that follow each other become a batch. */
MUST_USE enum status put_vectors(struct store_tx *tx, const struct vector_item *items, size_t count,
                                 struct err *err);
/* While the chunks are still there. */
MUST_USE enum status delete_vectors(struct store_tx *tx, struct source_id source_id,
                                    int64_t version, struct err *err);

/* --- query.c: the question as the passages of one language see it --- */

/* One term that stands for a word: itself, what was misspelled, what means about the same. Or a
 * phrase of several, which a passage has when it has all of them. */
struct query_form {
    struct str term;             /* "" of a phrase */
    struct query_phrase *phrase; /* NULL: a term */
    double weight;               /* 1 for the word itself */
    bool is_part;                /* all that the index has of a phrase: never worth as much */
    int64_t chunk_count;
    double idf;
};

#define QUERY_MAX_CORRECTIONS 3
#define QUERY_MAX_JOINED 2 /* with the word before, with the one after */
#define QUERY_MAX_FORMS                                                                            \
    (1 + QUERY_MAX_CORRECTIONS + QUERY_MAX_JOINED + TEXT_MAX_RELATED + INDEX_SYNONYMS_OF_GROUP)

struct query_term {
    struct str word; /* of the question; "" of a side that a phrase asks for */
    struct query_form forms[QUERY_MAX_FORMS]; /* the first is the word itself */
    size_t form_count;
    uint32_t frequency; /* in the question */
    bool is_common;     /* little is missing when nobody wrote it */
    double share;       /* 0..1: how much of its rarity counts (text_question) */
    double idf;
};

/* How much of the question lies in the word. */
static inline double
query_term_value(const struct query_term *term)
{
    return term->idf * term->share * term->frequency;
}

/* A word of the question as it stands there, and what it became. */
struct query_word {
    struct text_term term;
    size_t at; /* of terms[]; INDEX_MAX_QUERY_TERMS: it was left out */
};

/* Words of the question that hyphens join: terms[], and how far from the first they stand. */
#define QUERY_COMPOUND_WORDS 4
#define QUERY_MAX_COMPOUNDS 8
struct query_compound {
    struct query_compound_word {
        size_t term;
        uint32_t offset;
    } words[QUERY_COMPOUND_WORDS];
    size_t count; /* at least 2 */
};

#define QUERY_MAX_PHRASES 32

struct query_group {
    struct str language;
    struct query_word *words;
    size_t word_count;
    struct str spellings, everyday;                  /* of index_result */
    struct query_phrase *phrases[QUERY_MAX_PHRASES]; /* of all forms, each once */
    size_t phrase_count;
    struct query_term terms[INDEX_MAX_QUERY_TERMS];
    size_t term_count;
    uint64_t begins[4]; /* a bit for each first byte of a form: spares comparing most terms */
    /* The question as a sequence of terms[], for nearness. */
    unsigned char sequence[INDEX_MAX_QUERY_TERMS * 2];
    size_t sequence_count;
    struct query_compound compounds[QUERY_MAX_COMPOUNDS];
    size_t compound_count;
    int64_t chunk_count;
    double flat, slope; /* BM25's length normalisation: flat + slope * length */
    double value_sum;   /* of the terms: how much the question asks */
    double rank_sum;    /* the same as scores count it */
};

static inline unsigned
query_beginning(struct str term)
{
    return term.len > 0 ? (unsigned char)term.ptr[0] : 0;
}
/* False: none of the forms is this term. */
static inline bool
query_may_be_form(const struct query_group *group, struct str term)
{
    return (group->begins[query_beginning(term) / 64] >> (query_beginning(term) % 64) & 1) != 0;
}

/* Words that only make a question are left out; none may be left. */
void query_analyse(const struct index_query *query, struct str language, struct arena *arena,
                   struct query_group *group_out);
/* Another form for a word, unless it has it or max are there: one term, or a phrase. Of a phrase
 * the index has no stop words; where that leaves one word, it counts as its part of the phrase. */
void query_add_form(struct query_group *group, struct query_term *term,
                    const struct text_term *terms, size_t count, double weight, size_t max,
                    struct arena *arena);

/* --- phrase.c: several words that stand for one --- */

struct query_phrase {
    struct str words[INDEX_SYNONYM_TERMS]; /* each once, no stop words */
    size_t count;                          /* at least 2 */
    size_t index;                          /* of group->phrases */
    struct phrase_rows *rows;              /* by partition, as they are read */
};

/* The one with these words; NULL: there are too many. */
struct query_phrase *query_phrase_get(struct query_group *group, const struct str *words,
                                      size_t count, struct arena *arena);

/* How a passage has a phrase. */
struct phrase_found {
    size_t words;           /* the phrase's count: all */
    uint32_t frequency;     /* of the word that it has least often */
    struct chunk_term term; /* of its first word */
};
/* For each of group->phrases. */
void phrases_find(const struct query_group *group, struct str chunk_terms,
                  struct phrase_found *found);
bool phrase_is_in(const struct query_phrase *phrase, const struct text_term *terms, size_t count);

/* --- spelling.c --- */

struct search;

/* What stands between two words says that they are one. */
bool query_is_hyphen(struct str gap);
/* Gives neighbours in the question the one word that passages write for both, if they do. chosen:
 * the partitions that are asked. */
MUST_USE enum status query_join(const struct search *search, const bool *chosen,
                                struct query_group *group, struct err *err);
/* Gives a term that no passage has the forms that passages have and that look like it, the two
 * words that it is made of, and the parts of a compound. */
MUST_USE enum status query_correct(const struct search *search, const bool *chosen,
                                   struct query_group *group, struct query_term *term,
                                   struct err *err);

/* --- rank.c --- */

#define GROUP_UNREAD SIZE_MAX
struct candidate {
    int64_t chunk_id;
    double score;
    size_t group; /* whose statistics it was scored with; GROUP_UNREAD: until rank_again */
    struct index_chunk chunk;
    bool is_unread;     /* found outside of the transaction: score is of that, until rank_again */
    bool by_words;      /* the engine named it for its words, and for nothing else */
    bool gone;          /* no longer there, or not for whoever asks */
    double cosine;      /* of its vector and the question's */
    double words_share; /* of what its words could earn at most */
    /* By rank_again: */
    double coverage;    /* share of the question's value found */
    unsigned compounds; /* of the question that it has as they are asked for */
    double near_share;  /* the same within one stretch of the passage: by rank_stretch */
    uint32_t matches[INDEX_MAX_QUERY_TERMS];
    double found[INDEX_MAX_QUERY_TERMS]; /* weight of the best form that it has */
};

/* A score by words as a part of the highest that BM25 could give. */
static inline double
rank_share_of_bound(const struct query_group *group, double score)
{
    return group->rank_sum > 0 ? score / (group->rank_sum * (RANK_K1 + 1)) : 0;
}
/* What one form of one term is worth at most in BM25, and at a frequency in a chunk of a length. */
double rank_form_weight(const struct query_term *term, const struct query_form *form);
/* What of it is not by rarity: as the question has the form. */
double rank_form_share(const struct query_term *term, const struct query_form *form);
static inline double
rank_form_score(const struct query_group *group, double weight, double frequency, double length)
{
    return weight * frequency / (frequency + group->flat + group->slope * length);
}

/* The best, a heap with the worst on top. */
struct candidate_heap {
    struct candidate items[RANK_CANDIDATES];
    size_t count, max; /* max: 1..RANK_CANDIDATES */
};
void candidate_offer(struct candidate_heap *heap, int64_t chunk_id, double score, size_t group);

/* Passages, a bit each. */
struct chunk_set {
    unsigned char *bits;
    int64_t end; /* above the greatest */
};
/* NULL: every passage. */
static inline bool
chunk_set_has(const struct chunk_set *set, int64_t chunk_id)
{
    return set == NULL || (chunk_id >= 0 && chunk_id < set->end &&
                           (set->bits[chunk_id / 8] >> (chunk_id % 8) & 1) != 0);
}

struct search {
    struct store_tx *tx;
    const struct index_query *query;
    struct arena *arena;
    struct index_partition *partitions;
    bool *chosen; /* that the filters leave */
    size_t partition_count;
    struct chunk_set *allowed; /* by what is said of the documents; NULL: every one */
    /* Made when a language is searched: they are large, and most searches are in one or two. */
    struct query_group *groups[SEARCH_MAX_LANGUAGES];
    size_t group_count;
    bool by_postings;               /* best comes from the database, else from the engine */
    struct candidate_heap best;     /* by words */
    struct candidate_heap *nearest; /* by vectors; NULL: they take no part */
    struct str encoder;             /* of them */
    unsigned dimension;
    struct candidate *candidates; /* of both, in order of score at the end */
    size_t candidate_count;
    int64_t chunks;
    struct index_timings timings;
};

/* --- filter.c --- */

/* Whether the filter looks at more than the partitions' keys; filter may be NULL. */
bool filter_is_of_documents(const struct index_filter *filter);
bool filter_wants_partition(const struct index_filter *filter,
                            const struct index_partition *partition);
/* Of the chosen partitions: sets search->allowed, and counts the passages. */
MUST_USE enum status filter_apply(struct search *search, struct err *err);

/* --- search.c --- */

/* Of one search: a common word's postings in a million chunks are 4 MB. */
#define SEARCH_MAX_BYTES ((size_t)512 << 20)

/* Checks it, and guesses its language. */
MUST_USE enum status search_take_query(const struct index_query *query,
                                       struct index_query *asked_out, struct err *err);
/* In the arena; asked lives as long. */
struct search *search_new(struct store_tx *tx, const struct index_query *asked, bool by_postings,
                          struct arena *arena);
/* What may be seen, and the question as each language's passages see it, weighed; the best by
 * postings. */
MUST_USE enum status search_prepare(struct search *search, struct err *err);
/* From best and nearest to hits; in search->tx, which may be a later transaction than that of
 * search_prepare: what is gone meanwhile, or may not be seen, is left out. */
MUST_USE enum status search_finish(struct search *search, struct arena *arena,
                                   struct index_result *result, struct err *err);

/* --- phrase.c, continued --- */

/* Postings of the passages of a partition that have all the phrase's words, as of one term. */
MUST_USE enum status phrase_load(const struct search *search, size_t partition,
                                 struct query_phrase *phrase, struct index_block **blocks_out,
                                 size_t *count_out, struct err *err);

/* --- rank.c, continued --- */

/* Reads the chunk, adds nearness to the score; what was found outside of the transaction gets the
 * score of its words first. */
MUST_USE enum status rank_again(const struct search *search, struct candidate *candidate,
                                struct err *err);
/* Sets near_share: of the few that the confidence looks at, because it is slow. */
void rank_stretch(const struct search *search, struct candidate *candidate);

/* --- nearest.c --- */

/* Finds the nearest passages of the groups when vectors can take part; sets search->nearest. */
MUST_USE enum status nearest_find(struct search *search, struct err *err);
/* candidates: those of both legs, each once. */
void candidates_join(struct search *search);
/* Scores of words and cosines into one, when vectors take part. */
void candidates_fuse(struct search *search);

/* --- confidence.c --- */

/* Passages that may hold the answer; a model sees more, but what comes later rarely does. */
#define CONFIDENCE_BEST 3
/* Of candidates in order, best first; by words alone the first CONFIDENCE_BEST have their
 * near_share. */
double index_confidence(const struct search *search, bool is_own_case, double *signals);

#endif
