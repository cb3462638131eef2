/*
 * document.h - what a format's reader fills: a title, a language, labels and blocks, as frames of
 * protocol.h
 *
 * Text given to it is trimmed; NULs are dropped, bytes that are not UTF-8 become U+FFFD, and an
 * empty block is not written. The first title, language and label of a kind win. Passing the
 * maximum size is remembered and found by document_check, so that a reader appends freely. Threads:
 * one. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_DOCUMENT_H
#define PARLEY_EXTRACT_DOCUMENT_H

#include "base/buf.h"
#include "knowledge/extract_protocol.h"

struct document {
    struct buf out;
    size_t block_count, member_count;
    bool has_title, has_language, has_pictures;
    bool has_category, has_tone, has_date;
};

void document_init(struct document *document, size_t max_output_bytes);
void document_deinit(struct document *document);
void document_title(struct document *document, struct str title);
/* Ignored unless it looks like a language tag. */
void document_language(struct document *document, struct str tag);
/* What the document says of itself: EXTRACT_CATEGORY, EXTRACT_TONE or EXTRACT_DATE. Ignored when it
 * is empty, too long or of several lines; a date also when it is none. A time without its zone, as
 * OpenDocument and site generators write it, counts as its day. */
void document_label(struct document *document, enum extract_frame_kind kind, struct str text);
void document_charset(struct document *document, struct str name);
/* Pages that are pictures which nobody read: "3-7, 9". */
void document_pictures(struct document *document, struct str pages);
/* Blocks from here on begin on that page, counted from 1. */
void document_page(struct document *document, unsigned number);
void document_block(struct document *document, enum extract_frame_kind kind, unsigned level,
                    struct str text);
/* A document within this one. A path that is no name is written as document_block would. */
void document_member(struct document *document, struct str path, struct str bytes);
/* The same of one that cannot be read; sentence: why. */
void document_member_failed(struct document *document, struct str path, struct str sentence);
/* ST_TOO_LARGE: more text than the maximum. */
MUST_USE enum status document_check(const struct document *document, struct err *err);
/* Writes the last frame: the end for ST_OK, else the failure and nothing of the document. The bytes
 * to send are borrowed from the document. */
struct str document_finish(struct document *document, enum status status, const struct err *err);

#endif
