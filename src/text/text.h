/*
 * text.h - what text is: languages, words, sentences, stems, lengths (ICU and Snowball)
 *
 * All functions take valid UTF-8 (see str_is_utf8) and give byte offsets into it. Languages are
 * ISO 639-1 codes in lower case ("en"); "" is unknown. Threads: any; word and sentence breakers
 * are kept per thread, because opening one is dear.
 */
#ifndef PARLEY_TEXT_TEXT_H
#define PARLEY_TEXT_TEXT_H

#include "base/arena.h"
#include "base/buf.h"

struct text_span {
    size_t start, end; /* bytes; end is after the last */
};

/* Sentence borders by ICU, repaired for abbreviations ("e.g.", "Dr.", "No. 5", initials, decimal
 * numbers), and ended at paragraph breaks and list items. Spans are trimmed and never empty. */
size_t text_sentences(struct str text, struct arena *arena, struct text_span **spans_out);

/* Words by ICU breaks: letters, numbers and ideographs, no punctuation. */
size_t text_words(struct str text, struct arena *arena, struct text_span **spans_out);

/* Guess from script and frequent words; "" when the text is too short to tell. */
struct str text_language(struct str text);

/* One index term per word: NFKC, case folded, accents folded where the language does so, Snowball
 * stem of the language ("" or unsupported: as it is; stop words as they are). CJK words become
 * overlapping pairs; addresses and names_like_this become their parts. */
struct text_term {
    struct str term;       /* in the arena */
    struct text_span span; /* of the word it came from */
    bool is_stop_word;     /* of the language */
};
size_t text_terms(struct str text, struct str language, struct arena *arena,
                  struct text_term **terms_out);

/* What a question asks about, word by word: words that only make it a question are left out, words
 * that say little weigh little, and beside each stand terms of passages that mean about the same.
 * A side of a subject that a phrase asks for ("how much": its price) is a word without a term. */
#define TEXT_MAX_RELATED 14
#define TEXT_MAX_ASPECTS 4
struct text_asked {
    struct str term;       /* as text_terms makes it; "" of a side */
    struct text_span span; /* of the word */
    double share;          /* 0..1: how much of the word's rarity counts; 1: a subject */
    bool is_aspect;        /* a side: price, hours, place */
    bool is_own;           /* a side of the organization itself */
    bool is_common;        /* an everyday word: that no passage has it says little */
    struct str *related;
    size_t related_count;
};
size_t text_question(struct str text, struct str language, struct arena *arena,
                     struct text_asked **asked_out);

/* Whether it leans on what was asked before: "And on Sundays?", "How long does it take?". */
bool text_is_follow_up(struct str text, struct str language);
/* Whether it asks for a side of the organization itself and for nothing else: "Where are you?",
 * "When is your shop open?". */
bool text_is_of_organization(struct str text, struct str language);
/* Whether it asks what went wrong in the customer's own case ("Why was my payment declined?"):
 * documents tell what holds for everybody. */
bool text_is_own_case(struct str text, struct str language);

/* Letters that differ between two words, letters that changed places counting as one (optimal
 * string alignment), by bytes; more than max is max + 1, and so is a word of more than 40 bytes. */
unsigned text_distance(struct str a, struct str b, unsigned max);
/* The everyday word of questions that a word misspells, for en, de, fr and es; "" when it is one
 * itself, when none is near, or two are as near. Constant. */
struct str text_everyday(struct str word, struct str language);

/* What chats write for short ("r u open 2day?", "wheres ur shop"), in the words that it stands for;
 * for en, de, fr and es. A view of text, or in the arena. */
struct str text_spell_out(struct str text, struct str language, struct arena *arena);

/* NFC, CR LF to LF, no control characters but LF and TAB, no invisible format characters that
 * hide text; used on document text, never on messages. ST_INVALID when s is not UTF-8. */
MUST_USE enum status text_normalise(struct str s, struct arena *arena, struct str *out,
                                    struct err *err);

/* Length in UTF-16 code units: what Telegram counts. */
size_t text_utf16_len(struct str s);
/* Splits text into pieces of at most max_units UTF-16 units: at paragraph, else line, else
 * sentence, else word, else character borders. Pieces are trimmed views of text; none is empty. */
size_t text_split_utf16(struct str text, size_t max_units, struct arena *arena,
                        struct str **pieces_out);

/* The first words of text on one line, at most max_chars user-perceived characters, with "…" when
 * cut: where a word ends, unless that would leave less than half. Bounded, however many bytes a
 * character is made of. */
struct str text_ellipsis(struct str text, size_t max_chars, struct arena *arena);
/* Right-to-left when the first strong character is. */
bool text_is_rtl(struct str text);

#endif
