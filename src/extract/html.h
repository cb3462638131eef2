/*
 * html.h - the blocks of HTML that is already UTF-8; also what Markdown is rendered to
 *
 * Threads: one. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_HTML_H
#define PARLEY_EXTRACT_HTML_H

#include "extract/document.h"

/* Scripts, styles, navigation, form fields and what is hidden are left out; links and pictures
 * become their text; a table's rows become rows unless it only lays out the page. max_memory_bytes
 * bounds the tree. ST_TOO_LARGE: the tree passes it, or the nesting is deeper than any page needs.
 */
MUST_USE enum status html_read(struct str utf8, size_t max_memory_bytes, struct document *document,
                               struct err *err);

#endif
