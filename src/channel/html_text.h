/*
 * html_text.h - the words of an HTML message as plain text, for drivers
 *
 * A scanner, not a parser: it never builds a tree, takes linear time and constant space beside its
 * result, and knows no error. Scripts, styles, heads and comments are dropped; blocks, rows and
 * breaks become lines, items "- ", a link its words and its address, quotations lines with "> ".
 * Documents go another way: through the sandboxed extractor. Threads: any; does not block.
 */
#ifndef PARLEY_CHANNEL_HTML_TEXT_H
#define PARLEY_CHANNEL_HTML_TEXT_H

#include "base/arena.h"
#include "base/buf.h"

/* html: valid UTF-8. At most max_bytes of text; is_cut_out (may be NULL) becomes true when that was
 * too little, and is else left alone. */
struct str html_text(struct str html, size_t max_bytes, struct arena *arena, bool *is_cut_out);

#endif
