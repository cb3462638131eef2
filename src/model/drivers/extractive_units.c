/*
 * extractive_units.c - passages cut into sentences, list items and headings
 *
 * A passage is read line by line. Lines that follow each other make a paragraph, which is cut into
 * sentences; a list item is one unit with its continuation lines; a heading, and a question that
 * stands alone as in lists of frequent questions, is context for what follows and never an answer.
 */
#include "model/drivers/extractive.h"

#include <string.h>

#define LONG_ITEM_BYTES ((size_t)240)

enum line_kind { LINE_BLANK, LINE_TEXT, LINE_ITEM, LINE_HEADING, LINE_SKIP };

struct line {
    enum line_kind kind;
    struct str text; /* without its marker */
    size_t number;   /* of a numbered item */
    bool is_indented;
};

struct cutter {
    struct ex_text *text;
    size_t passage, paragraph, heading, lead_in;
    struct buf pending; /* of the paragraph or item being read */
    enum ex_kind pending_kind;
    size_t pending_number;
    bool pending_nested, pending_row;
    size_t outer_item;                 /* the last item that is not nested, or EX_NONE */
    struct str last_row, table_header; /* of the table being read; "" outside */
    bool in_code, list_open;
};

static bool
is_rule(struct str line)
{
    if (line.len < 3)
        return false;
    for (size_t i = 0; i < line.len; i++) {
        if (strchr("-=*_|: +", line.ptr[i]) == NULL)
            return false;
    }
    return true;
}

/* Length of a list marker with its space ("- ", "* ", "\u2022 ", "12. ", "3) "); 0 when none. */
static size_t
item_marker(struct str line, size_t *number_out)
{
    size_t i = 0, number = 0;

    *number_out = 0;
    if (str_starts_with(line, STR("- ")) || str_starts_with(line, STR("* ")) ||
        str_starts_with(line, STR("+ ")))
        return 2;
    if (str_starts_with(line, STR("\xe2\x80\xa2")) || str_starts_with(line, STR("\xe2\x97\xa6")) ||
        str_starts_with(line, STR("\xe2\x96\xaa")) || str_starts_with(line, STR("\xe2\x80\x93 ")))
        return 3;
    while (i < line.len && i < 3 && line.ptr[i] >= '0' && line.ptr[i] <= '9')
        number = number * 10 + (size_t)(line.ptr[i++] - '0');
    if (i == 0 || i + 1 >= line.len || (line.ptr[i] != '.' && line.ptr[i] != ')') ||
        line.ptr[i + 1] != ' ')
        return 0;
    *number_out = number;
    return i + 2;
}

static struct line
read_line(struct str raw, bool in_code)
{
    struct line line = {.kind = LINE_TEXT};
    size_t marker;

    line.is_indented = raw.len > 0 && (raw.ptr[0] == ' ' || raw.ptr[0] == '\t');
    line.text = str_trim(raw);
    while (str_starts_with(line.text, STR(">")))
        line.text = str_trim(str_sub(line.text, 1, line.text.len));
    if (line.text.len == 0) {
        line.kind = LINE_BLANK;
    } else if (in_code) {
        line.kind = LINE_TEXT;
    } else if (line.text.ptr[0] == '#') {
        size_t hashes = 0;

        while (hashes < line.text.len && line.text.ptr[hashes] == '#')
            hashes++;
        if (hashes < line.text.len && line.text.ptr[hashes] == ' ') {
            line.kind = LINE_HEADING;
            line.text = str_trim(str_sub(line.text, hashes, line.text.len));
        }
    } else if (is_rule(line.text)) {
        line.kind = LINE_SKIP;
    } else {
        marker = item_marker(line.text, &line.number);
        if (marker > 0) {
            line.kind = LINE_ITEM;
            line.text = str_trim(str_sub(line.text, marker, line.text.len));
        }
    }
    return line;
}

static struct ex_unit *
add_unit(struct cutter *cutter, struct str cleaned, enum ex_kind kind)
{
    struct ex_text *text = cutter->text;
    struct ex_unit *unit;

    if (text->unit_count >= EX_MAX_UNITS || cleaned.len == 0)
        return NULL;
    unit = &text->units[text->unit_count++];
    *unit = (struct ex_unit){.text = cleaned,
                             .kind = kind,
                             .passage = cutter->passage,
                             .paragraph = cutter->paragraph,
                             .heading = cutter->heading,
                             .lead_in = EX_NONE,
                             .parent = EX_NONE};
    return unit;
}

static bool
ends_with_byte(struct str text, char byte)
{
    return text.len > 0 && text.ptr[text.len - 1] == byte;
}

/* A short line of its own without a full stop is a heading that lost its mark. */
static bool
looks_like_heading(struct str text)
{
    size_t spaces = 0;

    if (text.len > 80 || strchr(".!:;,", text.ptr[text.len - 1]) != NULL)
        return false;
    for (size_t i = 0; i < text.len; i++)
        spaces += text.ptr[i] == ' ';
    return spaces < 9;
}

/* An item, and the sentences of a long one as units of their own that go on after it. */
static void
add_item(struct cutter *cutter, struct str cleaned)
{
    struct ex_text *text = cutter->text;
    struct text_span *spans = NULL;
    size_t count = cleaned.len > LONG_ITEM_BYTES ? text_sentences(cleaned, text->arena, &spans) : 0;
    struct ex_unit *unit;

    unit = add_unit(cutter,
                    count > 1 ? str_sub(cleaned, spans[0].start, spans[0].end - spans[0].start)
                              : cleaned,
                    EX_ITEM);
    if (unit == NULL)
        return;
    unit->lead_in = cutter->lead_in;
    unit->marker = cutter->pending_number;
    unit->is_nested = cutter->pending_nested;
    unit->is_row = cutter->pending_row;
    if (!unit->is_nested)
        cutter->outer_item = text->unit_count - 1;
    else
        unit->parent = cutter->outer_item;
    for (size_t i = 1; i < count; i++) {
        unit = add_unit(cutter, str_sub(cleaned, spans[i].start, spans[i].end - spans[i].start),
                        EX_SENTENCE);
        if (unit == NULL)
            return;
        unit->goes_on = true;
        unit->lead_in = cutter->lead_in;
    }
}

static void
flush(struct cutter *cutter)
{
    struct ex_text *text = cutter->text;
    struct text_span *spans;
    struct str cleaned;
    struct buf out;
    size_t count;

    if (cutter->pending.len == 0)
        return;
    buf_init(&out, EX_MAX_PASSAGE_BYTES * 2);
    ex_clean_inline(buf_str(&cutter->pending), &out);
    buf_clear(&cutter->pending);
    cleaned = arena_str(text->arena, buf_str(&out));
    buf_deinit(&out);
    /* The arena's copy is ours: cleaning spaces in place is allowed. */
    cleaned = ex_clean_spaces((char *)(uintptr_t)cleaned.ptr, cleaned.len);
    if (cleaned.len == 0)
        return;

    if (cutter->pending_kind == EX_ITEM) {
        add_item(cutter, cleaned);
        return;
    }
    if (cutter->pending_kind == EX_HEADING || looks_like_heading(cleaned)) {
        struct ex_unit *unit = add_unit(cutter, cleaned, EX_HEADING);

        if (unit != NULL) {
            unit->is_marked_heading = cutter->pending_kind == EX_HEADING;
            cutter->heading = text->unit_count - 1;
        }
        cutter->lead_in = EX_NONE;
        return;
    }
    count = text_sentences(cleaned, text->arena, &spans);
    for (size_t i = 0; i < count; i++) {
        struct str one = str_sub(cleaned, spans[i].start, spans[i].end - spans[i].start);
        bool question = ends_with_byte(one, '?');

        /* A question is asked to be answered by what follows it. */
        if (add_unit(cutter, one, question ? EX_HEADING : EX_SENTENCE) == NULL)
            break;
        if (question)
            cutter->heading = text->unit_count - 1;
    }
    /* What stands right before a list introduces it, the more so with a colon. */
    cutter->lead_in = EX_NONE;
    if (count > 0 && text->units[text->unit_count - 1].kind == EX_SENTENCE)
        cutter->lead_in = text->unit_count - 1;
}

static void
push_pending(struct cutter *cutter, struct str line)
{
    if (cutter->pending.len > 0)
        buf_append_byte(&cutter->pending, ' ');
    buf_append(&cutter->pending, line);
}

/* The next cell that is not the empty edge of the row. */
static bool
next_cell(struct str *row, struct str *cell)
{
    *row = str_trim(*row);
    if (str_starts_with(*row, STR("|")))
        *row = str_sub(*row, 1, row->len);
    if (str_trim(*row).len == 0)
        return false;
    (void)str_split(row, '|', cell);
    if (row->ptr != NULL) { /* the separator belongs to the next cell */
        row->ptr--;
        row->len++;
    }
    *cell = str_trim(*cell);
    return true;
}

static bool
is_table_row(struct str line)
{
    return str_starts_with(line, STR("|")) || str_find(line, STR(" | ")) >= 0;
}

static size_t
count_cells(struct str row)
{
    struct str cell;
    size_t count = 0;

    while (next_cell(&row, &cell))
        count++;
    return count;
}

/* The name of a column within a sentence: "Half a day" is "half a day", "PIN" stays. German keeps
 * its capitals. */
static void
push_column_name(struct cutter *cutter, struct str name)
{
    bool lower = name.len > 1 && name.ptr[0] >= 'A' && name.ptr[0] <= 'Z' &&
                 !(name.ptr[1] >= 'A' && name.ptr[1] <= 'Z') &&
                 !str_eq_c(cutter->text->question.language, "de");
    char first = lower ? (char)(name.ptr[0] | 0x20) : '\0';

    if (!lower) {
        push_pending(cutter, name);
        return;
    }
    push_pending(cutter, str_of(&first, 1));
    buf_append(&cutter->pending, str_sub(name, 1, name.len - 1));
}

/* "a | b | c" under "X | Y | Z" reads as "a: y b, z c". */
static void
push_table_row(struct cutter *cutter, struct str row)
{
    struct str header = cutter->table_header, cell, name;
    size_t cells = 0, filled = 0, columns = count_cells(row);
    bool has_commas = false;

    flush(cutter);
    cutter->lead_in = EX_NONE;
    if (columns == count_cells(header))
        for (struct str rest = row; next_cell(&rest, &cell);)
            has_commas = has_commas || (cell.ptr != row.ptr && str_find_byte(cell, ',') >= 0);
    cutter->last_row = row;
    cutter->pending_kind = EX_ITEM;
    cutter->pending_number = 0;
    cutter->pending_nested = false;
    cutter->pending_row = true;
    while (next_cell(&row, &cell)) {
        bool named = header.len > 0 && next_cell(&header, &name);

        cells++;
        if (cell.len == 0)
            continue;
        if (filled > 0)
            buf_append_byte(&cutter->pending, filled == 1 ? ':' : has_commas ? ';' : ',');
        if (named && cells > 1 && columns > 2)
            push_column_name(cutter, name);
        push_pending(cutter, cell);
        filled++;
    }
    flush(cutter);
    cutter->pending_row = false;
    cutter->pending_kind = EX_SENTENCE;
}

/* The first row of a table that goes on has the names of the columns, which is no answer. */
static void
take_table_header(struct cutter *cutter)
{
    struct ex_text *text = cutter->text;

    if (cutter->last_row.len == 0 || cutter->table_header.len > 0 || text->unit_count == 0 ||
        !text->units[text->unit_count - 1].is_row)
        return;
    cutter->table_header = cutter->last_row;
    text->unit_count--;
    cutter->outer_item = EX_NONE;
}

static void
take_line(struct cutter *cutter, const struct line *line)
{
    switch (line->kind) {
    case LINE_BLANK:
        flush(cutter);
        /* A blank line between items does not end their list; text after it does. */
        if (cutter->pending_kind == EX_SENTENCE && !cutter->list_open)
            cutter->paragraph++;
        cutter->pending_kind = EX_SENTENCE;
        break;
    case LINE_SKIP:
        flush(cutter);
        break;
    case LINE_HEADING:
        flush(cutter);
        cutter->list_open = false;
        cutter->paragraph++;
        cutter->pending_kind = EX_HEADING;
        push_pending(cutter, line->text);
        flush(cutter);
        cutter->pending_kind = EX_SENTENCE;
        break;
    case LINE_ITEM:
        flush(cutter);
        cutter->pending_kind = EX_ITEM;
        cutter->pending_number = line->number;
        cutter->pending_nested = line->is_indented && cutter->list_open;
        cutter->list_open = true;
        push_pending(cutter, line->text);
        break;
    case LINE_TEXT:
        if (cutter->pending_kind != EX_ITEM && cutter->list_open && !line->is_indented) {
            cutter->list_open = false;
            cutter->paragraph++;
        }
        push_pending(cutter, line->text);
        break;
    }
}

static void
cut_passage(struct ex_text *text, size_t passage)
{
    struct cutter cutter = {.text = text,
                            .passage = passage,
                            .heading = EX_NONE,
                            .lead_in = EX_NONE,
                            .outer_item = EX_NONE};
    struct str rest = text->request->passages[passage].text, raw;

    rest.len = str_utf8_floor(rest, EX_MAX_PASSAGE_BYTES);
    buf_init(&cutter.pending, EX_MAX_PASSAGE_BYTES * 2);
    while (str_split(&rest, '\n', &raw)) {
        struct line line = read_line(raw, cutter.in_code);

        if (str_starts_with(line.text, STR("```")) || str_starts_with(line.text, STR("~~~"))) {
            cutter.in_code = !cutter.in_code;
            line.kind = LINE_SKIP;
        }
        if (line.kind == LINE_TEXT && !cutter.in_code && is_table_row(line.text)) {
            if (cutter.last_row.len > 0 && count_cells(cutter.last_row) == count_cells(line.text))
                take_table_header(&cutter);
            push_table_row(&cutter, line.text);
        } else if (line.kind == LINE_SKIP && cutter.last_row.len > 0) {
            take_table_header(&cutter);
        } else {
            cutter.last_row = STR_EMPTY;
            cutter.table_header = STR_EMPTY;
            take_line(&cutter, &line);
        }
    }
    flush(&cutter);
    buf_deinit(&cutter.pending);
}

/* What can be seen only with the units that follow. */
static void
settle_kinds(struct ex_text *text)
{
    for (size_t i = 0; i < text->unit_count; i++) {
        struct ex_unit *unit = &text->units[i];
        bool followed = i + 1 < text->unit_count && unit[1].passage == unit->passage;

        if (unit->kind == EX_SENTENCE && ends_with_byte(unit->text, ':'))
            unit->is_lead_in = true;
        /* A short line over nothing, such as "Open daily from 9 to 5", is a statement. */
        if (unit->kind == EX_HEADING && !ends_with_byte(unit->text, '?') &&
            (!followed || unit[1].kind == EX_HEADING) && !unit->is_marked_heading)
            unit->kind = EX_SENTENCE;
    }
}

void
ex_units_cut(struct ex_text *text)
{
    text->units = ARENA_NEW_N(text->arena, struct ex_unit, EX_MAX_UNITS);
    for (size_t i = 0; i < text->passage_count; i++)
        cut_passage(text, i);
    settle_kinds(text);
    for (size_t i = 0; i < text->unit_count; i++) {
        struct ex_unit *unit = &text->units[i];

        unit->term_count =
            text_terms(unit->text, text->question.language, text->arena, &unit->terms);
        unit->hashes = ARENA_NEW_N(text->arena, uint64_t, unit->term_count + 1);
        for (size_t t = 0; t < unit->term_count; t++)
            unit->hashes[t] = str_hash(unit->terms[t].term);
    }
}
