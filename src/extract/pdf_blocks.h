/*
 * pdf_blocks.h - rows of all pages become headings, paragraphs, list items and table rows
 *
 * What repeats in the margins of many pages is left out; the type size that most letters have is
 * the body's, larger ones are headings, by size; rows of several cells that follow each other are a
 * table. Threads: one. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_PDF_BLOCKS_H
#define PARLEY_EXTRACT_PDF_BLOCKS_H

#include "extract/document.h"
#include "extract/pdf_layout.h"

/* Rows in reading order, page after page. Errors are found by document_check. */
void pdf_blocks(const struct pdf_row *rows, size_t count, struct document *document);

#endif
