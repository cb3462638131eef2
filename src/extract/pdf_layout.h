/*
 * pdf_layout.h - from where the letters of a page stand to rows of cells in reading order
 *
 *   glyphs -> words (letters that touch) -> columns (a gutter with prose on both sides)
 *          -> rows (words at one height) -> cells (parted by more than a word space)
 *
 * A PDF says where each letter is drawn and no more: lines, columns and tables are guessed here by
 * distances, in units of the type size. Coordinates are points from the page's top left corner.
 * Threads: one. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_PDF_LAYOUT_H
#define PARLEY_EXTRACT_PDF_LAYOUT_H

#include "base/arena.h"
#include "base/str.h"

struct pdf_glyph {
    float x1, y1, x2, y2;
    float size;
    unsigned at, len; /* bytes of the page's text */
    bool is_bold, is_space;
};

struct pdf_page {
    unsigned number; /* from 1 */
    float width, height;
    struct str text;
    const struct pdf_glyph *glyphs; /* in the order the file draws or tags them */
    size_t glyph_count;
};

struct pdf_cell {
    struct str text; /* words parted by one space */
    float x1, x2;
};

struct pdf_row {
    struct pdf_cell *cells;
    size_t cell_count; /* at least 1 */
    float x1, y1, x2, y2;
    float size;
    unsigned page;
    bool is_bold;   /* all of it */
    bool is_seen;   /* by reading a picture: its size is a guess */
    bool in_margin; /* in the page's uppermost or lowest eighth */
};

/* Rows in reading order, in the arena. ST_TOO_LARGE: the arena is full. */
MUST_USE enum status pdf_layout(const struct pdf_page *page, struct arena *arena,
                                struct pdf_row **rows_out, size_t *count_out, struct err *err);

#endif
