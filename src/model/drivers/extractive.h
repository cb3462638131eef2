/*
 * extractive.h - the parts of the answerer that needs no model; for extractive*.c alone
 *
 *   question --words--> what is asked for, weighted terms
 *   passages --units--> sentences and list items, with their headings and lead-ins
 *           --score---> evidence of each unit that it answers
 *           --select--> a few units, with what they need to be understood
 *           --compose-> text with citations
 * Everything lives in one arena of the call. Threads: one per call.
 */
#ifndef PARLEY_MODEL_DRIVERS_EXTRACTIVE_H
#define PARLEY_MODEL_DRIVERS_EXTRACTIVE_H

#include "model/model_driver.h"
#include "text/text.h"

#define EX_MAX_PASSAGES 16
#define EX_MAX_PASSAGE_BYTES ((size_t)12 * 1024)
#define EX_MAX_QUESTION_BYTES ((size_t)2 * 1024)
#define EX_MAX_TERMS 24
#define EX_MAX_UNITS 512
#define EX_NONE ((size_t)-1)

/* What kind of thing the question asks for. */
enum ex_want {
    EX_WANT_ANY,
    EX_WANT_PERSON,
    EX_WANT_DATE,
    EX_WANT_PLACE,
    EX_WANT_NUMBER,
    EX_WANT_REASON,
    EX_WANT_STEPS,
    EX_WANT_DEFINITION
};

/* How the organization is reached, when that is asked. */
enum ex_contact { EX_CONTACT_NONE, EX_CONTACT_ADDRESS, EX_CONTACT_MAIL, EX_CONTACT_PHONE };

struct ex_question_term {
    struct str stem; /* "" of a side that a phrase asks for */
    uint64_t hash;
    const struct str *related; /* stems that mean about the same */
    uint64_t related_hashes[TEXT_MAX_RELATED];
    size_t related_count;
    double weight; /* rarity among the units, by ex_score */
    double share;  /* of its weight that counts: words of the question's form count less */
    bool is_aspect;
    bool is_own; /* a side of the organization */
    bool has_digit;
    size_t position; /* among the question's words */
};

struct ex_question {
    struct str language; /* of the passages: stems are made with it */
    struct ex_question_term terms[EX_MAX_TERMS];
    size_t term_count;
    double total_weight; /* sum of weight * share */
    enum ex_want want;
    enum ex_contact contact;
};

enum ex_kind { EX_SENTENCE, EX_ITEM, EX_HEADING };

struct ex_unit {
    struct str text; /* cleaned of markup */
    enum ex_kind kind;
    size_t passage;         /* index into the request's passages */
    size_t paragraph;       /* counts within the passage */
    size_t heading;         /* the EX_HEADING unit above it in its passage, or EX_NONE */
    size_t lead_in;         /* of an item: the unit that introduces its list, or EX_NONE */
    bool is_lead_in;        /* ends in a colon */
    bool is_marked_heading; /* by markup, not by its looks */
    size_t parent;          /* of a nested item: the item above it, or EX_NONE */
    bool goes_on;           /* a sentence of the list item above */
    bool is_nested;         /* an item of a list within a list */
    bool is_row;            /* of a table */
    size_t marker;          /* of an item: its number, or 0 */
    struct text_term *terms;
    uint64_t *hashes; /* of the terms */
    size_t term_count;
    /* By ex_score: */
    double matched;  /* weight share of the question found in the unit itself, 0..1 */
    double headed;   /* weight share found in its headings and lead-in */
    double specific; /* weight share of subjects that few rows of its table have */
    double evidence; /* with what headings and neighbours say, 0..1 */
    double score;
    bool has_wanted; /* holds something new of the wanted kind */
    bool duplicate;  /* says what an earlier unit says */
};

/* The unit's word that the term came from, as it is written. */
static inline struct str
ex_unit_word(const struct ex_unit *unit, size_t term)
{
    struct text_span span = unit->terms[term].span;

    return str_sub(unit->text, span.start, span.end - span.start);
}

struct ex_text {
    const struct model_request *request;
    struct ex_question question;
    struct ex_unit *units;
    size_t unit_count;
    size_t passage_count;
    double passage_cover[EX_MAX_PASSAGES]; /* weight share found anywhere in it */
    struct arena *arena;
};

/* Chosen units in reading order. */
struct ex_choice {
    bool list_was_cut; /* the last list goes on in the document */
    size_t units[EX_MAX_UNITS];
    size_t count;
};

/* Reads the question; the language of stems must be set. */
void ex_question_read(struct ex_question *question, struct str text, struct arena *arena);
/* Cuts the passages into units. */
void ex_units_cut(struct ex_text *text);
void ex_score(struct ex_text *text);
/* Chosen units in reading order; none when nothing carries evidence. */
void ex_select(struct ex_text *text, struct ex_choice *choice);
struct str ex_compose(struct ex_text *text, const struct ex_choice *choice);

/* Markup removed; notes in brackets too, for "[3]" means a passage in an answer. */
void ex_clean_inline(struct str text, struct buf *out);
/* White space to single spaces, in place. */
struct str ex_clean_spaces(char *text, size_t len);

/* --- contact (extractive_contact.c) --- */

/* By folded question words; of questions about a side of the organization. */
enum ex_contact ex_contact_asked(const struct str *folded_words, size_t count);
/* The term of the unit at which one stands, or EX_NONE. */
size_t ex_contact_at(const struct ex_unit *unit, enum ex_contact contact);

/* --- words (extractive_words.c) --- */

/* The kind of thing asked for by folded question words; how many words say so in *used_out,
 * beginning at *at_out. */
enum ex_want ex_words_want(struct str language, const struct str *words, size_t count,
                           size_t *at_out, size_t *used_out);
/* A word that only gives a question its form ("name", "called", "quel"). */
bool ex_words_is_form(struct str folded_word);
bool ex_words_begins_with_capital(struct str word);
bool ex_words_is_date(struct str folded_word);
bool ex_words_is_number(struct str folded_word);
bool ex_words_is_reason(struct str folded_word);
/* A first word that points back to the sentence before ("he", "this", "dies"). */
bool ex_words_points_back(struct str folded_word);
/* "this", "these", "such" anywhere in a sentence. */
bool ex_words_is_demonstrative(struct str folded_word);
/* A first word that only joins sentences and is followed by a comma ("however"). */
bool ex_words_is_connective(struct str folded_word);
/* "The documents do not say", in the language, else in English. */
struct str ex_words_no_answer(struct str language);

#endif
