/*
 * pdf_layout.c - words, columns, rows, cells
 */
#include "extract/pdf_layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* In type sizes: how far letters of a word stand apart at most, cells of a row at least. */
#define WORD_GAP 0.22F
#define CELL_GAP 1.15F
/* A gutter: this wide in points, crossed by at most this part of the rows beside it. */
#define GUTTER_MIN_POINTS 9
#define GUTTER_MAX_CROSSED 0.12F
/* Prose in a column: words in a row, and how much of the column's width it fills. */
#define PROSE_MIN_WORDS 4.0F
#define PROSE_MIN_FILL 0.55F
#define COLUMN_MIN_ROWS 6
#define MARGIN_PART 8
#define MAX_WIDTH_POINTS 4096
#define PAGE_MAX_BYTES ((size_t)256 << 20) /* of what is worked with and left behind */

struct word {
    float x1, y1, x2, y2, size;
    unsigned first, count; /* glyphs */
    bool is_bold, is_rtl;
};

struct layout {
    const struct pdf_page *page;
    struct arena *arena;
    struct word *words;
    size_t word_count;
    struct pdf_row *rows;
    size_t row_count;
    bool is_full;
};

static void *
take(struct layout *layout, size_t size)
{
    void *memory = arena_try_alloc(layout->arena, size == 0 ? 1 : size);

    layout->is_full |= memory == NULL;
    return memory;
}

/* --- words --- */

/* Hebrew, Arabic and their neighbours, by the lead bytes of UTF-8. */
static bool
is_rtl(struct str letter)
{
    unsigned char lead = letter.len > 1 ? (unsigned char)letter.ptr[0] : 0;

    return (lead >= 0xd6 && lead <= 0xdf) ||
           (lead == 0xef && letter.len > 2 && (unsigned char)letter.ptr[1] >= 0xac &&
            (unsigned char)letter.ptr[1] <= 0xbb);
}

/* Within any page; a file may claim to draw anywhere, and nowhere. */
static bool
is_placed(const struct pdf_glyph *glyph)
{
    return glyph->x1 > -MAX_WIDTH_POINTS && glyph->x2 < 2 * MAX_WIDTH_POINTS &&
           glyph->y1 > -MAX_WIDTH_POINTS && glyph->y2 < 2 * MAX_WIDTH_POINTS &&
           glyph->x1 <= glyph->x2 && glyph->y1 <= glyph->y2 && glyph->size > 0 &&
           glyph->size < MAX_WIDTH_POINTS;
}

static bool
continues_word(const struct word *word, const struct pdf_glyph *last, const struct pdf_glyph *next)
{
    float gap = WORD_GAP * word->size;
    float middle = (next->y1 + next->y2) / 2;
    bool touches = (next->x1 >= last->x1 && next->x1 - last->x2 < gap) ||
                   (next->x2 <= last->x2 && last->x1 - next->x2 < gap);

    return !last->is_space && is_placed(last) && touches &&
           fabsf(next->x1 - last->x2) < 4 * word->size + gap && middle > word->y1 &&
           middle < word->y2;
}

static void
find_words(struct layout *layout)
{
    const struct pdf_page *page = layout->page;

    layout->words = take(layout, page->glyph_count * sizeof(*layout->words));
    for (size_t i = 0; !layout->is_full && i < page->glyph_count; i++) {
        const struct pdf_glyph *glyph = &page->glyphs[i];
        struct word *word = layout->word_count == 0 ? NULL : &layout->words[layout->word_count - 1];

        if (glyph->is_space || !is_placed(glyph))
            continue;
        if (word == NULL || i == 0 || !continues_word(word, &page->glyphs[i - 1], glyph)) {
            word = &layout->words[layout->word_count++];
            *word = (struct word){glyph->x1,   glyph->y1, glyph->x2, glyph->y2, glyph->size,
                                  (unsigned)i, 0,         true,      false};
        }
        word->x1 = fminf(word->x1, glyph->x1);
        word->x2 = fmaxf(word->x2, glyph->x2);
        word->y1 = fminf(word->y1, glyph->y1);
        word->y2 = fmaxf(word->y2, glyph->y2);
        word->is_bold &= glyph->is_bold;
        word->is_rtl |= is_rtl(str_sub(page->text, glyph->at, glyph->len));
        word->count = (unsigned)i + 1 - word->first;
    }
}

/* --- rows of a set of words --- */

static float
middle_of(const struct word *word)
{
    return (word->y1 + word->y2) / 2;
}

static int
by_height(const void *a, const void *b)
{
    float left = middle_of(a), right = middle_of(b);

    if (left != right)
        return left < right ? -1 : 1;
    return ((const struct word *)a)->x1 < ((const struct word *)b)->x1 ? -1 : 1;
}

static int
left_first(const void *a, const void *b)
{
    float left = ((const struct word *)a)->x1, right = ((const struct word *)b)->x1;

    return left < right ? -1 : left > right;
}

static int
right_first(const void *a, const void *b)
{
    return left_first(b, a);
}

/* How many of the words, sorted by height, stand in the first one's row. */
static size_t
row_length(const struct word *words, size_t count)
{
    float middle = middle_of(&words[0]);
    size_t n = 1;

    while (n < count) {
        float smaller = fminf(words[n].y2 - words[n].y1, words[0].y2 - words[0].y1);

        if (middle_of(&words[n]) - middle > 0.5F * smaller)
            break;
        n++;
    }
    return n;
}

static void
put_word(struct layout *layout, const struct word *word, char *out, size_t *len)
{
    for (unsigned i = word->first; i < word->first + word->count; i++) {
        const struct pdf_glyph *glyph = &layout->page->glyphs[i];

        memcpy(out + *len, layout->page->text.ptr + glyph->at, glyph->len);
        *len += glyph->len;
    }
}

/* A sign that stands apart from its number belongs to it. */
static bool
is_lone_sign(const struct layout *layout, const struct word *word, const char *signs)
{
    const struct pdf_glyph *glyph = &layout->page->glyphs[word->first];

    return word->count == 1 && glyph->len == 1 &&
           strchr(signs, layout->page->text.ptr[glyph->at]) != NULL;
}

static bool
begins_cell(const struct layout *layout, const struct word *previous, const struct word *word)
{
    float gap = fmaxf(word->x1 - previous->x2, previous->x1 - word->x2);

    return gap > CELL_GAP * fmaxf(word->size, previous->size) &&
           !is_lone_sign(layout, previous, "$") && !is_lone_sign(layout, word, "%)");
}

static size_t
text_bytes(const struct layout *layout, const struct word *words, size_t count)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        for (unsigned g = 0; g < words[i].count; g++)
            bytes += layout->page->glyphs[words[i].first + g].len;
        bytes++;
    }
    return bytes;
}

static void
make_row(struct layout *layout, struct word *words, size_t count)
{
    struct pdf_row *row = &layout->rows[layout->row_count];
    const struct pdf_page *page = layout->page;
    size_t rtl = 0, len = 0, letters = 0;
    char *text;

    *row = (struct pdf_row){.x1 = words[0].x1,
                            .y1 = words[0].y1,
                            .x2 = words[0].x2,
                            .y2 = words[0].y2,
                            .page = page->number,
                            .is_bold = true};
    for (size_t i = 0; i < count; i++)
        rtl += words[i].is_rtl;
    qsort(words, count, sizeof(*words), 2 * rtl > count ? right_first : left_first);
    row->cells = take(layout, count * sizeof(*row->cells));
    text = take(layout, text_bytes(layout, words, count));
    if (row->cells == NULL || text == NULL)
        return; /* it is full, and its caller finds that */
    for (size_t i = 0; i < count; i++) {
        struct pdf_cell *cell = row->cell_count == 0 ? NULL : &row->cells[row->cell_count - 1];
        size_t before;

        if (cell == NULL || begins_cell(layout, &words[i - 1], &words[i])) {
            cell = &row->cells[row->cell_count++];
            *cell = (struct pdf_cell){str_of(text + len, 0), words[i].x1, words[i].x2};
        } else {
            text[len++] = ' ';
        }
        before = len;
        put_word(layout, &words[i], text, &len);
        cell->text.len = (size_t)(text + len - cell->text.ptr);
        cell->x1 = fminf(cell->x1, words[i].x1);
        cell->x2 = fmaxf(cell->x2, words[i].x2);
        row->x1 = fminf(row->x1, words[i].x1);
        row->x2 = fmaxf(row->x2, words[i].x2);
        row->y1 = fminf(row->y1, words[i].y1);
        row->y2 = fmaxf(row->y2, words[i].y2);
        if (len - before > letters) { /* the longest word's size: a footnote's number is small */
            letters = len - before;
            row->size = words[i].size;
        }
        row->is_bold &= words[i].is_bold;
    }
    row->in_margin =
        row->y2 < page->height / MARGIN_PART || row->y1 > page->height - page->height / MARGIN_PART;
    layout->row_count++;
}

/* Sorts the words. */
static void
add_rows(struct layout *layout, struct word *words, size_t count)
{
    qsort(words, count, sizeof(*words), by_height);
    while (count > 0 && !layout->is_full) {
        size_t n = row_length(words, count);

        make_row(layout, words, n);
        words += n;
        count -= n;
    }
}

/* --- columns --- */

struct gutter {
    float x1, x2;
};

/* The widest stretch, in the middle half of the text, that few rows cross. */
static bool
find_gap(const struct layout *layout, size_t rows, struct gutter *gutter_out)
{
    unsigned crossed[MAX_WIDTH_POINTS] = {0};
    float x1 = INFINITY, x2 = 0;
    int best = 0, best_len = 0, len = 0;

    for (size_t i = 0; i < layout->word_count; i++) {
        const struct word *word = &layout->words[i];
        int from = (int)fmaxf(word->x1, 0), to = (int)ceilf(word->x2);

        x1 = fminf(x1, word->x1);
        x2 = fmaxf(x2, word->x2);
        for (int x = from; x < to && x < MAX_WIDTH_POINTS; x++)
            crossed[x]++;
    }
    if (!(x2 > x1) || x2 >= MAX_WIDTH_POINTS || x1 < 0)
        return false;
    for (int x = (int)(x1 + (x2 - x1) / 4); x < (int)(x2 - (x2 - x1) / 4); x++) {
        len = (float)crossed[x] <= GUTTER_MAX_CROSSED * (float)rows ? len + 1 : 0;
        if (len > best_len) {
            best_len = len;
            best = x;
        }
    }
    *gutter_out = (struct gutter){(float)(best + 1 - best_len), (float)(best + 1)};
    return best_len >= GUTTER_MIN_POINTS;
}

static int
side_of(const struct word *word, const struct gutter *gutter)
{
    if (word->x2 <= gutter->x1 + 1)
        return -1;
    return word->x1 >= gutter->x2 - 1 ? 1 : 0;
}

/* Whether the words of a side read like a column of prose: a table's cells are short. */
static bool
is_prose(const struct layout *layout, const struct gutter *gutter, int side)
{
    float filled = 0, x1 = INFINITY, x2 = 0, last_y = -INFINITY;
    size_t rows = 0, words = 0;

    for (size_t i = 0; i < layout->word_count; i++) { /* sorted by height */
        const struct word *word = &layout->words[i];

        if (side_of(word, gutter) != side)
            continue;
        if (middle_of(word) - last_y > 0.5F * (word->y2 - word->y1)) {
            rows++;
            last_y = middle_of(word);
        }
        words++;
        filled += word->x2 - word->x1;
        x1 = fminf(x1, word->x1);
        x2 = fmaxf(x2, word->x2);
    }
    return rows >= COLUMN_MIN_ROWS && (float)words / (float)rows >= PROSE_MIN_WORDS &&
           filled / (float)rows >= PROSE_MIN_FILL * (x2 - x1);
}

static size_t
count_rows(const struct layout *layout)
{
    size_t rows = 0;

    for (size_t i = 0; i < layout->word_count; rows++)
        i += row_length(&layout->words[i], layout->word_count - i);
    return rows;
}

/* What stands between two full-width rows: its left column, then its right one. */
static void
add_band(struct layout *layout, struct word *words, size_t count, const struct gutter *gutter,
         struct word *scratch)
{
    size_t left = 0, right = 0;

    for (size_t i = 0; i < count; i++) {
        if (side_of(&words[i], gutter) < 0)
            scratch[left++] = words[i];
    }
    for (size_t i = 0; i < count; i++) {
        if (side_of(&words[i], gutter) >= 0)
            scratch[left + right++] = words[i];
    }
    add_rows(layout, scratch, left);
    add_rows(layout, scratch + left, right);
}

static void
add_columns(struct layout *layout, const struct gutter *gutter)
{
    struct word *scratch = take(layout, layout->word_count * sizeof(*scratch));
    size_t band = 0, i = 0;

    if (layout->is_full)
        return;
    while (i < layout->word_count) {
        size_t n = row_length(&layout->words[i], layout->word_count - i);
        bool crosses = false;

        for (size_t w = i; w < i + n; w++)
            crosses |= side_of(&layout->words[w], gutter) == 0;
        if (crosses) {
            add_band(layout, layout->words + band, i - band, gutter, scratch);
            add_rows(layout, layout->words + i, n);
            band = i + n;
        }
        i += n;
    }
    add_band(layout, layout->words + band, layout->word_count - band, gutter, scratch);
}

static void
lay_out(struct layout *layout)
{
    struct gutter gutter;

    find_words(layout);
    layout->rows = take(layout, layout->word_count * sizeof(*layout->rows));
    if (layout->is_full)
        return;
    qsort(layout->words, layout->word_count, sizeof(*layout->words), by_height);
    if (find_gap(layout, count_rows(layout), &gutter) && is_prose(layout, &gutter, -1) &&
        is_prose(layout, &gutter, 1))
        add_columns(layout, &gutter);
    else
        add_rows(layout, layout->words, layout->word_count);
}

/* What was found, without what it took: a page leaves its text, not ten times as much. */
static void
keep_rows(struct layout *layout, struct arena *arena)
{
    const struct pdf_row *found = layout->rows;
    struct err ignored;

    layout->arena = arena;
    layout->rows = take(layout, layout->row_count * sizeof(*found));
    for (size_t r = 0; r < layout->row_count && !layout->is_full; r++) {
        struct pdf_row *row = &layout->rows[r];

        *row = found[r];
        row->cells = take(layout, row->cell_count * sizeof(*row->cells));
        for (size_t c = 0; c < row->cell_count && !layout->is_full; c++) {
            row->cells[c] = found[r].cells[c];
            layout->is_full |= arena_try_str(arena, found[r].cells[c].text, &row->cells[c].text,
                                             &ignored) != ST_OK;
        }
    }
}

enum status
pdf_layout(const struct pdf_page *page, struct arena *arena, struct pdf_row **rows_out,
           size_t *count_out, struct err *err)
{
    struct arena *scratch = arena_create(PAGE_MAX_BYTES);
    struct layout layout = {.page = page, .arena = scratch};

    lay_out(&layout);
    if (!layout.is_full)
        keep_rows(&layout, arena);
    arena_destroy(&scratch);
    if (layout.is_full)
        return err_set(err, ST_TOO_LARGE, "It holds more text than is allowed.");
    *rows_out = layout.rows;
    *count_out = layout.row_count;
    return ST_OK;
}
