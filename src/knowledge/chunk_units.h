/*
 * chunk_units.h - the units that a passage is packed from, and which are not cut
 *
 * Threads: one. Blocks: nothing.
 */
#ifndef PARLEY_KNOWLEDGE_CHUNK_UNITS_H
#define PARLEY_KNOWLEDGE_CHUNK_UNITS_H

#include "knowledge/plain_document.h"

struct plain_range {
    size_t start, end; /* bytes of the document's text; equal for none */
};

struct unit {
    enum extract_frame_kind kind;
    size_t start, end;
    size_t words;
    bool ends_block;         /* a passage may well end here */
    struct plain_range lead; /* what to say first when a passage begins here */
};

struct unit_reader {
    const struct plain_document *document;
    size_t words; /* wanted of a passage */
    struct arena *arena;
    struct arena *scratch; /* for one piece at a time */
    struct unit *units;    /* in the arena */
    size_t count, capacity;
    const struct plain_piece *previous; /* in the same section, or NULL */
    struct plain_range lead;            /* of the list or table being read */
};

/* Appends the units of a piece that is no heading. */
void unit_reader_add(struct unit_reader *reader, const struct plain_piece *piece);

#endif
