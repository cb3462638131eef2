/*
 * wordpiece.h - text to the numbers of word pieces, as BERT's uncased models were taught
 *
 * Control characters go, white space parts words, each punctuation mark and ideograph is a word;
 * letters are taken apart (NFD), non-spacing marks dropped, the rest lower case; a word becomes the
 * longest pieces that the vocabulary holds, "##" before those that go on, or [UNK] when some part
 * has none or the word has more than 100 characters. [CLS] stands first and [SEP] last. Names of
 * such marks in a text are plain text. The rules: Devlin et al., "BERT", and its published
 * tokenization. The vocabulary may lie in a mapped file: it is checked once, then only read.
 * Threads: any.
 */
#ifndef PARLEY_EMBED_DRIVERS_WORDPIECE_H
#define PARLEY_EMBED_DRIVERS_WORDPIECE_H

#include "base/err.h"
#include "base/str.h"

#define WORDPIECE_MAX_PIECES 1000000U

struct wordpiece {
    const char *bytes;       /* the pieces, one after the other */
    const uint32_t *offsets; /* count + 1 */
    const uint32_t *slots;   /* hash table: piece + 1, or 0; a power of two, at most half full */
    uint32_t count, slot_count;
    uint32_t unknown, begin, end; /* [UNK], [CLS], [SEP] */
};

/* Slots for a vocabulary of so many pieces. */
uint32_t wordpiece_slot_count(uint32_t count);
/* Fills slots (zeroed, wordpiece->slot_count of them) and finds the three marks. ST_INVALID: a mark
 * is missing, a piece comes twice or is empty. */
MUST_USE enum status wordpiece_index(struct wordpiece *wordpiece, uint32_t *slots, struct err *err);
/* Offsets, slots and marks stay within the vocabulary. ST_INVALID. */
MUST_USE enum status wordpiece_check(const struct wordpiece *wordpiece, size_t bytes,
                                     struct err *err);

/* text is valid UTF-8. Returns how many numbers stand in tokens_out: from 2 to max, which is at
 * least 2; what goes beyond is left out before [SEP]. */
size_t wordpiece_tokens(const struct wordpiece *wordpiece, struct str text, uint32_t *tokens_out,
                        size_t max);

#endif
