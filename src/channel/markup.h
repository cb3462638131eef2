/*
 * markup.h - the light markup that answers are written in, and how drivers render it
 *
 *   **bold**   *italic* or _italic_   `code`   [label](https://...)   "- " at a line's start: an
 * item
 *
 * Marks come in pairs within one line, with no white space on their inner side; bold, italic and
 * labels nest, code does not. Italic marks stand at the border of a word, so that names_like_this
 * and 2*3*4 stay what they are. Links are http, https, mailto and tel. Everything else, a mark
 * without its partner too, is plain text: rendering loses nothing that was meant to be read.
 * Threads: any; does not block.
 */
#ifndef PARLEY_CHANNEL_MARKUP_H
#define PARLEY_CHANNEL_MARKUP_H

#include "base/arena.h"
#include "base/buf.h"

enum markup_flags {
    MARKUP_BOLD = 1,
    MARKUP_ITALIC = 2,
    MARKUP_CODE = 4,
    MARKUP_BULLET = 8 /* text is the item's sign as it was written, "- " */
};

struct markup_span {
    unsigned flags;
    struct str text; /* a part of what was parsed, without marks; never empty */
    struct str url;  /* of a link, else empty; spans of one label have the same pointer */
};

/* The text as spans in order, in the arena. */
size_t markup_parse(struct str text, struct arena *arena, struct markup_span **spans_out);

/* How one provider writes it. Strings may be NULL where the provider has no such thing. */
struct markup_mark {
    const char *open, *close;
};
struct markup_style {
    struct markup_mark bold, italic, code;
    const char *bullet;     /* in place of an item's sign; NULL: as it was written */
    const char *line_break; /* in place of "\n"; NULL: as it is */
    /* Writes text, escaped as the provider needs it. NULL: as it is. */
    void (*text)(struct buf *out, struct str text);
    /* Around a link's label. NULL: nothing. */
    void (*link_open)(struct buf *out, struct str url);
    void (*link_close)(struct buf *out, struct str url);
};

/* <b>, <i>, <code>, <a href>, and escapes: what Telegram takes, and a base for mail. */
extern const struct markup_style markup_html;
/* No marks; the address follows a link's label in brackets. */
extern const struct markup_style markup_plain;
/* WhatsApp's own: *bold*, _italic_, `code`. */
extern const struct markup_style markup_whatsapp;

void markup_escape_html(struct buf *out, struct str text);

/* The rendered text in the arena, or the text itself when that would be over 256 kB. has_marks_out
 * (may be NULL): whether anything but plain text was in it. */
struct str markup_render(struct str text, const struct markup_style *style, struct arena *arena,
                         bool *has_marks_out);

/* Parts of at most max_units UTF-16 units (marks count, though providers may not count them), cut
 * as text_split_utf16 does. Bold, italic or code that a cut falls into goes on in the next part. */
size_t markup_split(struct str text, size_t max_units, struct arena *arena, struct str **parts_out);

#endif
