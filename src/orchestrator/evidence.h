/*
 * evidence.h - do the passages bear a sentence? For src/orchestrator/ alone
 *
 *   sentence -> content words (stems), facts: numbers, names, addresses
 *   passages -> the same, but for what speaks to a model instead of a reader
 *
 * A sentence is borne by some passages together when they hold at least half of its content words
 * and every one of its facts, and do not say the contrary in nearly the same words. Where words
 * alone come to less, and there is a sentence encoder, nearness of meaning may make up for words,
 * never for facts. In a passage of another language only numbers and addresses can be looked up.
 * Passages are read when first asked about. Threads: one. Blocks: on the encoder, if at all.
 */
#ifndef PARLEY_ORCHESTRATOR_EVIDENCE_H
#define PARLEY_ORCHESTRATOR_EVIDENCE_H

#include "orchestrator/orchestrator_private.h"
#include "text/text.h"

/* A set of passages, bit by place: more are not given to a model. */
typedef uint64_t passage_set;
#define EVIDENCE_MAX_PASSAGES 64
#define PASSAGE_BIT(passage) ((passage_set)1 << (passage))

enum fact_kind { FACT_NUMBER, FACT_NAME, FACT_ADDRESS };

struct fact {
    enum fact_kind kind;
    struct str text; /* a number as digits: "1200", "9.5"; else as written */
    struct str term; /* of a name */
};

/* Numbers in figures and words, names by their capital letters, addresses of sites and mail. */
size_t facts_of(struct str sentence, struct str language, const struct text_term *terms,
                size_t term_count, struct arena *arena, struct fact **facts_out);
/* Every number of a sentence; its terms' places count in whole. */
size_t numbers_of(struct str sentence, struct str whole, struct str language,
                  const struct text_term *terms, size_t term_count, struct arena *arena,
                  struct fact **numbers_out);

struct claim {
    struct str text;
    struct str *words; /* stems of content words, each once */
    size_t word_count;
    struct fact *facts;
    size_t fact_count;
    bool denies;  /* "not", "never", ... */
    bool is_mute; /* neither letters nor digits */
};

struct evidence;

/* known: names that need no passage, as the organization's own. embedder may be NULL. */
struct evidence *evidence_create(const struct retrieved *retrieved, struct str language,
                                 struct str known, struct embedder *embedder, struct arena *arena);
struct claim evidence_claim(struct evidence *evidence, struct str sentence);
/* 0..1: how many of the claim's words the passages hold together; 1 of a claim without words. */
double evidence_share(struct evidence *evidence, const struct claim *claim, passage_set passages);
/* Every fact stands in one of them: a number in a sentence that has a word of the claim as well,
 * or, when the claim names its passages, stands right after one that has. */
bool evidence_has_facts(struct evidence *evidence, const struct claim *claim, passage_set passages,
                        bool are_named);
/* By words and facts. are_named: by the claim itself; one in another language may bear it then. */
bool evidence_bears(struct evidence *evidence, const struct claim *claim, passage_set passages,
                    bool are_named);
/* By facts, fewer words and meaning: the claim beside the passage's sentence most like it. An
 * encoder that fails, or none: false. */
bool evidence_is_near(struct evidence *evidence, const struct claim *claim, size_t passage,
                      bool is_named);

#endif
