/*
 * plain_document.h - a document as one text: what citations count bytes of
 *
 * The text begins with the title's line, if there is a title; headings are lines of their own, list
 * items "- text" indented by depth, table rows "cell | cell". Blocks are parted by an empty line,
 * items and rows of one list or table by a line end. All of it went through text_normalise.
 * Threads: any. Blocks: nothing.
 */
#ifndef PARLEY_KNOWLEDGE_PLAIN_DOCUMENT_H
#define PARLEY_KNOWLEDGE_PLAIN_DOCUMENT_H

#include "knowledge/extractor.h"

struct plain_piece {
    enum extract_frame_kind kind;
    unsigned level;
    unsigned page;     /* on which it begins; 0: the document has none */
    size_t start, end; /* bytes of the text */
};

struct plain_document {
    struct str title, text;
    struct plain_piece *pieces; /* in order, the title's line not among them */
    size_t piece_count;
};

/* ST_TOO_LARGE. */
MUST_USE enum status plain_document_make(const struct extracted *extracted, struct arena *arena,
                                         struct plain_document *document_out, struct err *err);

#endif
