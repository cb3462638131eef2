/*
 * text_private.h - what the files of src/text share: a thread's ICU objects, stop words, languages
 *
 * Opening a break iterator takes milliseconds, so every thread keeps its own until it ends.
 * Threads: text_tools_get gives the calling thread's tools; never pass them on.
 */
#ifndef PARLEY_TEXT_TEXT_PRIVATE_H
#define PARLEY_TEXT_TEXT_PRIVATE_H

#include <libstemmer.h>
#include <unicode/ubrk.h>
#include <unicode/unorm2.h>
#include <unicode/utext.h>

#include "text/text.h"

/* Order is that of the table in language_table.c, which a test checks. */
enum text_language_id {
    LANG_NONE = -1,
    LANG_EN,
    LANG_DE,
    LANG_FR,
    LANG_ES,
    LANG_IT,
    LANG_PT,
    LANG_NL,
    LANG_SV,
    LANG_DA,
    LANG_NO,
    LANG_FI,
    LANG_PL,
    LANG_CS,
    LANG_RO,
    LANG_HU,
    LANG_TR,
    LANG_ID,
    LANG_CA,
    LANG_RU,
    LANG_UK,
    LANG_EL,
    LANG_AR,
    LANG_COUNT
};

struct text_language_row {
    const char *code;
    const char *stemmer;    /* Snowball's name, or NULL */
    const char *stop_words; /* lower case, without apostrophes, separated by spaces */
    /* Accented letters are letters of their own and stay when terms are folded. */
    bool keeps_accents;
    const char *elisions; /* forms that stand before an apostrophe, separated by spaces, or NULL */
};

const struct text_language_row *text_language_row(enum text_language_id id);
enum text_language_id text_language_find(struct str code);

/* The word as terms are before stemming: NFKC, case folded, accents folded unless the language
 * keeps them, no apostrophes, at most TEXT_FOLD_MAX bytes, which out must hold. */
#define TEXT_FOLD_MAX 256
struct str text_fold(struct str word, enum text_language_id language, char *out);
/* Its two halves: between them stands the stemmer, which needs accents and apostrophes. */
struct str text_fold_case(struct str word, enum text_language_id language, char *out);
struct str text_fold_accents(struct str word, enum text_language_id language, char *out);

/* The languages in which the folded word is a stop word, bit 1 << enum text_language_id. */
uint32_t text_stop_word_languages(struct str folded);

/* What a word was made into: the passages of an answer are read several times, by search, model and
 * guard, and the words of a language are few. */
#define TEXT_KNOWN_WORDS 1024
#define TEXT_KNOWN_BYTES 22
struct text_known_word {
    uint8_t word_len, term_len; /* word_len 0: nothing is kept here */
    int8_t language;            /* enum text_language_id */
    bool is_stop_word;
    char word[TEXT_KNOWN_BYTES], term[TEXT_KNOWN_BYTES];
};

struct text_tools {
    UBreakIterator *words, *sentences, *characters;
    UText text;
    const UNormalizer2 *nfkc_casefold, *nfc, *nfd;
    struct sb_stemmer *stemmers[LANG_COUNT];
    struct text_known_word known[TEXT_KNOWN_WORDS];
};

/* Readings of texts that came before, as bytes. kind: enum text_language_id for terms in that
 * language, or one of these. Threads: any. */
#define TEXT_READ_SENTENCES (-2)
#define TEXT_READ_LANGUAGE (-3)
/* A copy in the arena, or false. */
bool text_known_get(int kind, struct str text, struct arena *arena, void **reading_out,
                    size_t *len_out);
/* Whether the text came before, so that its reading is worth keeping; notes that it came. */
bool text_known_wants(int kind, struct str text);
/* Not kept when it is very long. */
void text_known_put(int kind, struct str text, const void *reading, size_t len);

/* Never NULL: aborts when ICU's data is not installed. */
struct text_tools *text_tools_get(void);
/* Puts the iterator on the text; offsets are bytes. */
void text_tools_start(struct text_tools *tools, UBreakIterator *iterator, struct str text);
/* NULL when there is none for the language. */
struct sb_stemmer *text_tools_stemmer(struct text_tools *tools, enum text_language_id id);

bool text_is_ascii(struct str text);
/* White space of ASCII. */
static inline bool
text_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static inline bool
text_is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static inline bool
text_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A list of spans that grows in an arena. */
struct text_span_list {
    struct arena *arena;
    struct text_span *spans;
    size_t count, capacity;
};
void text_span_add(struct text_span_list *list, size_t start, size_t end);

#endif
