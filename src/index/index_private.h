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
#define RANK_NEAR_WEIGHT 0.3
#define RANK_NEAR_K 1.2
#define RANK_NEAR_WINDOW 8
/* Places between title, headings and text, so that their words are not near each other. */
#define RANK_FIELD_GAP 10
#define RANK_MAX_PLACES 64

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

/* --- query.c: the question as the passages of one language see it --- */

/* One term that stands for a word: itself, what was misspelled, what means about the same. */
struct query_form {
    struct str term;
    double weight; /* 1 for the word itself */
    int64_t chunk_count;
    double idf;
};

#define QUERY_MAX_CORRECTIONS 3
#define QUERY_MAX_FORMS (1 + QUERY_MAX_CORRECTIONS + TEXT_MAX_RELATED)

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

struct query_group {
    struct str language;
    struct query_term terms[INDEX_MAX_QUERY_TERMS];
    size_t term_count;
    /* The question as a sequence of terms[], for nearness. */
    unsigned char sequence[INDEX_MAX_QUERY_TERMS * 2];
    size_t sequence_count;
    int64_t chunk_count;
    double mean_length;
    double value_sum; /* of the terms: how much the question asks */
    double rank_sum;  /* the same as scores count it */
};

/* Words that only make a question are left out; none may be left. */
void query_analyse(struct str text, struct str question_language, struct str language,
                   struct arena *arena, struct query_group *group_out);

/* --- spelling.c --- */

/* Gives a term that no passage has the forms that passages have and that look like it, and the
 * parts of a compound. */
MUST_USE enum status query_correct(struct store_tx *tx, const struct index_partition *partitions,
                                   const bool *chosen, size_t partition_count,
                                   struct query_term *term, struct arena *arena, struct err *err);

/* --- rank.c --- */

struct candidate {
    int64_t chunk_id;
    double score;
    size_t group; /* whose statistics it was scored with */
    struct index_chunk chunk;
    /* By rank_again: */
    double coverage;   /* share of the question's value found */
    double near_share; /* the same within one stretch of the passage */
    uint32_t matches[INDEX_MAX_QUERY_TERMS];
    double found[INDEX_MAX_QUERY_TERMS]; /* weight of the best form that it has */
};

/* The best RANK_CANDIDATES, a heap with the worst on top. */
struct candidate_heap {
    struct candidate items[RANK_CANDIDATES];
    size_t count;
};
void candidate_offer(struct candidate_heap *heap, int64_t chunk_id, double score, size_t group);
/* Reads the chunk and adds nearness to the score. */
MUST_USE enum status rank_again(struct store_tx *tx, const struct query_group *group,
                                struct candidate *candidate, struct arena *arena, struct err *err);

/* --- confidence.c --- */

/* Of candidates in order, best first. */
double index_confidence(struct query_group *const *groups, const struct candidate *candidates,
                        size_t count, bool is_own_case, double *signals);

#endif
