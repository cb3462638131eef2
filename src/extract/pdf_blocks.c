/*
 * pdf_blocks.c - margins, sizes, tables, paragraphs
 */
#include "extract/pdf_blocks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sizes are counted in halves of a point. */
#define SIZE_SLOTS 400
#define HEADING_LEVELS 6
#define HEADING_MIN_RATIO 1.1F
#define HEADING_MAX_BYTES 200
#define BOLD_HEADING_MAX_BYTES 90
/* A margin's text on this many pages is a running head. */
#define RUNNING_MIN_PAGES 3
#define PAGE_NUMBER_MAX_BYTES 9
/* Between lines of one paragraph there is at most this, in type sizes. */
#define LINE_GAP 0.75F
#define INDENT 1.0F
/* How far apart rows of one table stand at most, and how many rows without cells lie between. */
#define TABLE_GAP 2.5F
#define TABLE_MAX_COLUMNS 64
#define MAX_ROW_BYTES ((size_t)1 << 20)

struct blocks {
    const struct pdf_row *rows;
    size_t count;
    struct document *document;
    bool *is_left_out;
    unsigned body;                          /* size slot */
    unsigned heading_sizes[HEADING_LEVELS]; /* slots, largest first */
    unsigned heading_count;
    struct buf text; /* the paragraph that is open */
    unsigned page;   /* that was told last */
};

static unsigned
slot_of(float size)
{
    long slot = lroundf(size * 2);

    return slot < 0 ? 0 : slot >= SIZE_SLOTS ? SIZE_SLOTS - 1 : (unsigned)slot;
}

static size_t
row_bytes(const struct pdf_row *row)
{
    size_t bytes = 0;

    for (size_t i = 0; i < row->cell_count; i++)
        bytes += row->cells[i].text.len;
    return bytes;
}

/* --- running heads and page numbers --- */

struct margin_line {
    uint64_t hash; /* of its text without digits */
    unsigned page;
    size_t row;
};

static int
by_hash(const void *a, const void *b)
{
    const struct margin_line *left = a, *right = b;

    if (left->hash != right->hash)
        return left->hash < right->hash ? -1 : 1;
    return left->page < right->page ? -1 : left->page > right->page;
}

static struct margin_line
margin_line_of(const struct pdf_row *row, size_t at)
{
    struct margin_line line = {.hash = 0, .page = row->page, .row = at};

    for (size_t i = 0; i < row->cell_count; i++) {
        struct str text = row->cells[i].text;

        for (size_t c = 0; c < text.len; c++) {
            if (text.ptr[c] >= '0' && text.ptr[c] <= '9')
                continue;
            line.hash = line.hash * 1099511628211ULL + (unsigned char)text.ptr[c] + 1;
        }
    }
    return line;
}

static bool
is_page_number(const struct pdf_row *row)
{
    struct str text = row->cells[0].text;

    for (size_t i = 0; i < text.len; i++) {
        if (strchr("0123456789-/ ", text.ptr[i]) == NULL)
            return false;
    }
    return row->cell_count == 1 && text.len <= PAGE_NUMBER_MAX_BYTES;
}

static void
leave_out_margins(struct blocks *blocks)
{
    struct margin_line *lines = calloc(blocks->count + 1, sizeof(*lines));
    size_t count = 0, start = 0;

    if (lines == NULL)
        abort();
    for (size_t i = 0; i < blocks->count; i++) {
        if (blocks->rows[i].in_margin)
            lines[count++] = margin_line_of(&blocks->rows[i], i);
    }
    qsort(lines, count, sizeof(*lines), by_hash);
    while (start < count) {
        size_t end = start, pages = 0;

        for (; end < count && lines[end].hash == lines[start].hash; end++)
            pages += end == start || lines[end].page != lines[end - 1].page;
        for (size_t i = start; i < end; i++) {
            if (pages >= RUNNING_MIN_PAGES || is_page_number(&blocks->rows[lines[i].row]))
                blocks->is_left_out[lines[i].row] = true;
        }
        start = end;
    }
    free(lines);
}

/* --- sizes --- */

static void
find_sizes(struct blocks *blocks)
{
    size_t bytes[SIZE_SLOTS] = {0}, most = 0;
    unsigned smallest;

    for (size_t i = 0; i < blocks->count; i++) {
        if (!blocks->is_left_out[i])
            bytes[slot_of(blocks->rows[i].size)] += row_bytes(&blocks->rows[i]);
    }
    for (unsigned slot = 0; slot < SIZE_SLOTS; slot++) {
        if (bytes[slot] > most) {
            most = bytes[slot];
            blocks->body = slot;
        }
    }
    smallest = (unsigned)ceilf((float)blocks->body * HEADING_MIN_RATIO);
    for (unsigned slot = SIZE_SLOTS - 1; slot >= smallest && slot > 0; slot--) {
        if (bytes[slot] > 0 && blocks->heading_count < HEADING_LEVELS - 1)
            blocks->heading_sizes[blocks->heading_count++] = slot;
    }
}

static unsigned
level_of_size(const struct blocks *blocks, float size)
{
    unsigned slot = slot_of(size);

    if ((float)slot < (float)blocks->body * HEADING_MIN_RATIO)
        return 0;
    for (unsigned i = 0; i < blocks->heading_count; i++) {
        if (slot >= blocks->heading_sizes[i])
            return i + 1;
    }
    return blocks->heading_count + 1; /* only the largest have a level each */
}

/* --- tables --- */

struct column {
    float x1, x2;
};

/* The row after at that is not left out; count when there is none. */
static size_t
next_row(const struct blocks *blocks, size_t at)
{
    for (at++; at < blocks->count && blocks->is_left_out[at]; at++)
        continue;
    return at;
}

static bool
is_close_below(const struct pdf_row *above, const struct pdf_row *below)
{
    return below->page == above->page && below->y1 >= above->y1 &&
           below->y1 - above->y2 < TABLE_GAP * fmaxf(above->size, below->size);
}

/* Where the table that begins here ends: a row of one cell may stand between two of more, as a
 * label or a cell's second line. at itself when there is none. */
static size_t
table_end(const struct blocks *blocks, size_t at)
{
    size_t end = at, rows = 0, row = at, before = at;

    while (row < blocks->count &&
           (row == at || is_close_below(&blocks->rows[before], &blocks->rows[row]))) {
        bool alone = blocks->rows[row].cell_count == 1;

        if (!alone) {
            rows++;
            end = next_row(blocks, row);
        } else if (row == at || blocks->rows[before].cell_count == 1 ||
                   level_of_size(blocks, blocks->rows[row].size) > 0) {
            break;
        }
        before = row;
        row = next_row(blocks, row);
    }
    return rows >= 2 ? end : at;
}

static int
by_left(const void *a, const void *b)
{
    float left = ((const struct column *)a)->x1, right = ((const struct column *)b)->x1;

    return left < right ? -1 : left > right;
}

/* Stretches that cells cover, of the rows that have most: heads that span columns would join them.
 */
static size_t
find_columns(const struct blocks *blocks, size_t at, size_t end, struct column *columns)
{
    struct column cells[TABLE_MAX_COLUMNS * 16] = {{0, 0}};
    size_t most = 0, cell_count = 0, count = 0;

    for (size_t row = at; row < end; row = next_row(blocks, row)) {
        if (blocks->rows[row].cell_count > most)
            most = blocks->rows[row].cell_count;
    }
    for (size_t row = at; row < end; row = next_row(blocks, row)) {
        const struct pdf_row *r = &blocks->rows[row];

        for (size_t c = 0; 4 * r->cell_count >= 3 * most && c < r->cell_count; c++) {
            if (cell_count < sizeof(cells) / sizeof(cells[0]))
                cells[cell_count++] = (struct column){r->cells[c].x1, r->cells[c].x2};
        }
    }
    qsort(cells, cell_count, sizeof(cells[0]), by_left);
    for (size_t i = 0; i < cell_count; i++) {
        if (count > 0 && cells[i].x1 <= columns[count - 1].x2)
            columns[count - 1].x2 = fmaxf(columns[count - 1].x2, cells[i].x2);
        else if (count < TABLE_MAX_COLUMNS)
            columns[count++] = cells[i];
    }
    return count;
}

static size_t
column_of(const struct column *columns, size_t count, const struct pdf_cell *cell)
{
    float middle = (cell->x1 + cell->x2) / 2, nearest = INFINITY;
    size_t best = 0;

    for (size_t i = 0; i < count; i++) {
        float away = fabsf((columns[i].x1 + columns[i].x2) / 2 - middle);

        if (cell->x1 < columns[i].x2 && cell->x2 > columns[i].x1)
            away = 0; /* the first that it stands in */
        if (away < nearest) {
            nearest = away;
            best = i;
        }
    }
    return best;
}

static bool
is_head(const struct pdf_row *row)
{
    for (size_t i = 0; i < row->cell_count; i++) {
        struct str text = row->cells[i].text;

        if (text.len > 0 && (strchr("$(-.", text.ptr[0]) != NULL || str_find_byte(text, '%') >= 0 ||
                             str_find_byte(text, '.') >= 0))
            return false;
    }
    return true;
}

static void
put_table(struct blocks *blocks, size_t at, size_t end)
{
    struct column columns[TABLE_MAX_COLUMNS];
    size_t count = find_columns(blocks, at, end, columns);
    struct buf line;

    buf_init(&line, MAX_ROW_BYTES);
    for (size_t row = at; row < end; row = next_row(blocks, row)) {
        const struct pdf_row *r = &blocks->rows[row];
        size_t column = 0, cells = 0;

        buf_clear(&line);
        for (size_t c = 0; c < r->cell_count; c++) {
            size_t wanted = column_of(columns, count, &r->cells[c]);

            for (; column < wanted; column++)
                buf_append_byte(&line, '\t');
            if (cells > 0 && column >= wanted && line.len > 0 && line.ptr[line.len - 1] != '\t')
                buf_append_byte(&line, ' ');
            buf_append(&line, r->cells[c].text);
            cells++;
        }
        for (; column + 1 < count; column++)
            buf_append_byte(&line, '\t');
        document_block(blocks->document, EXTRACT_TABLE_ROW, row == at && is_head(r),
                       buf_str(&line));
    }
    buf_deinit(&line);
}

/* --- paragraphs --- */

static size_t
marker_len(struct str text)
{
    static const char *const bullets[] = {"\xe2\x80\xa2", "\xe2\x96\xaa", "\xe2\x97\x8f",
                                          "\xe2\x97\xa6", "\xef\x82\xb7", "\xe2\x80\x93 ",
                                          "- ",           "* ",           "\xc2\xb7"};
    size_t digits = 0;

    for (size_t i = 0; i < sizeof(bullets) / sizeof(bullets[0]); i++) {
        if (str_starts_with(text, str_from_c(bullets[i])))
            return strlen(bullets[i]);
    }
    while (digits < 3 && digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    if (digits > 0 && digits + 2 < text.len &&
        (text.ptr[digits] == '.' || text.ptr[digits] == ')') && text.ptr[digits + 1] == ' ')
        return digits + 2;
    return 0;
}

static void
append_row(struct buf *out, const struct pdf_row *row)
{
    struct str first = row->cells[0].text;
    size_t len = out->len;

    /* A word that was parted at the line's end is one again. */
    if (len > 1 && out->ptr[len - 1] == '-' && (out->ptr[len - 2] | 0x20) >= 'a' &&
        (out->ptr[len - 2] | 0x20) <= 'z' && first.len > 0 && first.ptr[0] >= 'a' &&
        first.ptr[0] <= 'z')
        out->len--;
    else if (len > 0)
        buf_append_byte(out, ' ');
    for (size_t i = 0; i < row->cell_count; i++) {
        if (i > 0)
            buf_append_c(out, "   ");
        buf_append(out, row->cells[i].text);
    }
}

static bool
ends_sentence(struct str text)
{
    return text.len == 0 || strchr(".!?:", text.ptr[text.len - 1]) != NULL;
}

/* On the next page, or in the next column. */
static bool
is_elsewhere(const struct pdf_row *before, const struct pdf_row *row)
{
    return row->page != before->page || row->y1 < before->y1;
}

/* Whether the row goes on with the paragraph whose last row is the one before. left: where the
 * paragraph's lines begin. */
static bool
continues(const struct blocks *blocks, const struct pdf_row *before, const struct pdf_row *row,
          float left)
{
    struct str text = buf_str(&blocks->text);

    if (slot_of(row->size) + 1 < slot_of(before->size) ||
        slot_of(row->size) > slot_of(before->size) + 1 || row->is_bold != before->is_bold ||
        marker_len(row->cells[0].text) > 0)
        return false;
    if (is_elsewhere(before, row))
        return !ends_sentence(text) && level_of_size(blocks, row->size) == 0;
    return row->y1 - before->y2 < LINE_GAP * row->size && row->x1 - left < INDENT * row->size;
}

static void
put_paragraph(struct blocks *blocks, const struct pdf_row *first)
{
    struct str text = str_trim(buf_str(&blocks->text));
    unsigned level = level_of_size(blocks, first->size);
    size_t marker = marker_len(text);
    struct buf item;

    if (level == 0 && first->is_bold && text.len <= BOLD_HEADING_MAX_BYTES && marker == 0 &&
        !ends_sentence(text))
        level = blocks->heading_count + 1;
    if (level > 0 && text.len <= HEADING_MAX_BYTES) {
        document_title(blocks->document, level == 1 && first->page == 1 ? text : STR_EMPTY);
        document_block(blocks->document, EXTRACT_HEADING, level, text);
        return;
    }
    if (marker == 0) {
        document_block(blocks->document, EXTRACT_PARAGRAPH, 0, text);
        return;
    }
    buf_init(&item, text.len + 16);
    if (text.ptr[0] >= '0' && text.ptr[0] <= '9')
        buf_append(&item, text);
    else {
        buf_append_c(&item, "- ");
        buf_append(&item, str_trim(str_sub(text, marker, text.len)));
    }
    document_block(blocks->document, EXTRACT_LIST_ITEM, 1, buf_str(&item));
    buf_deinit(&item);
}

/* One paragraph, the row after it. */
static size_t
take_paragraph(struct blocks *blocks, size_t at)
{
    const struct pdf_row *first = &blocks->rows[at], *before = first;
    float left = first->x1;
    size_t row = next_row(blocks, at);
    bool is_second = true;

    buf_clear(&blocks->text);
    append_row(&blocks->text, first);
    while (row < blocks->count) {
        const struct pdf_row *r = &blocks->rows[row];

        /* A first line may be indented, and an item's text hangs behind its marker. */
        if (is_second && (marker_len(first->cells[0].text) > 0 || r->x1 < left))
            left = r->x1;
        if (table_end(blocks, row) != row || !continues(blocks, before, r, left))
            break;
        append_row(&blocks->text, r);
        if (is_elsewhere(before, r))
            left = r->x1;
        before = r;
        is_second = false;
        row = next_row(blocks, row);
    }
    put_paragraph(blocks, first);
    return row;
}

void
pdf_blocks(const struct pdf_row *rows, size_t count, struct document *document)
{
    struct blocks blocks = {.rows = rows, .count = count, .document = document};
    size_t row = 0;

    blocks.is_left_out = calloc(count + 1, sizeof(*blocks.is_left_out));
    if (blocks.is_left_out == NULL)
        abort();
    buf_init(&blocks.text, MAX_ROW_BYTES);
    leave_out_margins(&blocks);
    find_sizes(&blocks);
    if (count > 0 && blocks.is_left_out[0])
        row = next_row(&blocks, 0);
    while (row < count && !document->out.failed) {
        size_t end = table_end(&blocks, row);

        if (rows[row].page != blocks.page) {
            blocks.page = rows[row].page;
            document_page(document, blocks.page);
        }
        if (end > row) {
            put_table(&blocks, row, end);
            row = end;
        } else {
            row = take_paragraph(&blocks, row);
        }
    }
    buf_deinit(&blocks.text);
    free(blocks.is_left_out);
}
