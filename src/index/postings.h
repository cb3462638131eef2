/*
 * postings.h - the bytes of the index: a word's chunks, and a chunk's words
 *
 *   postings of a block:  { delta of chunk id, frequency, chunk's length } ...
 *   terms of a chunk:     { length of term, term, frequency, number of places, delta of place ... }
 * ...
 *
 * All numbers are variable-length, seven bits a byte, low bits first. Chunk ids and places ascend;
 * the first chunk id counts from the block's first. Reading stops at damaged bytes and says so.
 * Threads: any; no state.
 */
#ifndef PARLEY_INDEX_POSTINGS_H
#define PARLEY_INDEX_POSTINGS_H

#include "base/arena.h"
#include "base/buf.h"

#define POSTINGS_BLOCK_CHUNKS 4096

static inline int64_t
postings_block_of(int64_t chunk_id)
{
    return chunk_id / POSTINGS_BLOCK_CHUNKS;
}

struct posting {
    uint32_t offset; /* of the chunk id within its block */
    uint32_t frequency;
    uint32_t length;
};

struct postings_reader {
    const unsigned char *at, *end;
    uint32_t next_offset; /* the least that may come */
    bool damaged;
};

void postings_reader_init(struct postings_reader *reader, struct str bytes);
/* False at the end or at damage. */
bool postings_next(struct postings_reader *reader, struct posting *posting_out);

/* The bytes with what is in `change` put in, or, when removing, with those chunks taken out. change
 * ascends by offset. count_out: chunks in the result. ST_CONFLICT: one to be put is there already.
 * ST_INTERNAL: damaged bytes, or one to be removed is not there. */
MUST_USE enum status postings_change(struct str bytes, const struct posting *change, size_t count,
                                     bool removing, struct arena *arena, struct str *bytes_out,
                                     size_t *count_out, struct err *err);

struct chunk_term {
    struct str term;
    uint32_t frequency; /* places in text count once, in title and headings more */
    uint32_t place_count;
    struct str places; /* undecoded */
};

void chunk_terms_append(struct buf *bytes, const struct chunk_term *term, const uint32_t *places);
/* Takes the first term off bytes. False at the end or at damage; then bytes tell: empty or not. */
bool chunk_terms_next(struct str *bytes, struct chunk_term *term_out);
/* Fills at most max places; gives their number. */
size_t chunk_term_places(const struct chunk_term *term, uint32_t *places, size_t max);

#endif
