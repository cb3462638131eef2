/*
 * chunker.h - a document's text is cut into the passages that are searched
 *
 * A passage is about so many words of one section as are wanted, ends at a sentence, list item,
 * table row or line of code, and begins with the last sentences of the passage before, as many as
 * the overlap allows, when it goes on in the middle of a section. A passage from inside a list or
 * table begins with the sentence that leads in, or the column heads, though they stand outside its
 * range. Sections too small to stand alone share a passage with their neighbours under the same
 * top-level heading, never across one. Threads: any. Blocks: nothing.
 */
#ifndef PARLEY_KNOWLEDGE_CHUNKER_H
#define PARLEY_KNOWLEDGE_CHUNKER_H

#include "knowledge/plain_document.h"

#define CHUNK_DEFAULT_WORDS 180
#define CHUNK_LEAST_WORDS 80
#define CHUNK_MOST_WORDS 400
#define CHUNK_DEFAULT_OVERLAP 40
#define CHUNK_MOST_OVERLAP 100
/* What a passage of about so many words has at most. */
static inline size_t
chunk_max_words(size_t wanted)
{
    return wanted + wanted * 4 / 9;
}

struct chunk {
    struct str heading_path; /* "Travel > Expenses", without the title; may be empty */
    struct str text;         /* lead-in, if any, a line end, then the range */
    size_t start, end;       /* bytes of the document's text */
    struct str language;     /* ISO 639-1, or empty */
    unsigned page;           /* on which it begins; 0: the document has none */
    struct str page_starts;  /* "120:2 340:3": later pages, and where in the range they begin */
};

struct chunk_settings {
    size_t words; /* wanted of a passage, CHUNK_LEAST_WORDS to CHUNK_MOST_WORDS */
    /* Words that a passage may repeat of the one before: whole sentences, one for every 20 of these
     * words. Never more than half of words; 0: none; at most CHUNK_MOST_OVERLAP. */
    size_t overlap;
};

/* language: declared for the document, or empty: then each passage's is told from its words. */
MUST_USE enum status chunk_document(const struct plain_document *document, struct str language,
                                    const struct chunk_settings *settings, struct arena *arena,
                                    struct chunk **chunks_out, size_t *count_out, struct err *err);

/* How many words a text counts as; scripts without spaces are counted by their letters. */
size_t chunk_word_count(struct str text);

#endif
