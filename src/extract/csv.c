/*
 * csv.c - tables in plain text: rows, the first one the column heads
 *
 * RFC 4180, with what spreadsheets do besides: a semicolon, TAB or bar between fields, and line
 * ends of any system.
 */
#include <string.h>

#include "extract/charset.h"
#include "extract/flow.h"
#include "extract/format.h"

/* Where two are equal the first is taken: a comma is often part of a number. */
static const char candidates[] = "\t;|,";
#define CANDIDATES (sizeof(candidates) - 1)

#define SAMPLE_RECORDS 5

/* Counts outside of quotes, up to the end of the record; the place after it. */
static size_t
count_candidates(struct str text, size_t at, size_t *counts)
{
    bool quoted = false;

    memset(counts, 0, CANDIDATES * sizeof(*counts));
    for (; at < text.len; at++) {
        const char *found = text.ptr[at] == '\0' ? NULL : strchr(candidates, text.ptr[at]);

        if (text.ptr[at] == '"')
            quoted = !quoted;
        else if (!quoted && (text.ptr[at] == '\n' || text.ptr[at] == '\r'))
            return at + 1;
        else if (!quoted && found != NULL)
            counts[found - candidates]++;
    }
    return at;
}

/* The one that each of the first records has most of. */
static char
find_separator(struct str text)
{
    size_t least[CANDIDATES], counts[CANDIDATES], at = 0, best = 0;

    memset(least, 0xff, sizeof(least));
    for (int records = 0; at < text.len && records < SAMPLE_RECORDS;) {
        size_t end = count_candidates(text, at, counts);

        if (str_trim(str_sub(text, at, end - at)).len > 0) {
            records++;
            for (size_t i = 0; i < CANDIDATES; i++)
                least[i] = counts[i] < least[i] ? counts[i] : least[i];
        }
        at = end;
    }
    for (size_t i = 1; i < CANDIDATES; i++) {
        if (least[i] > least[best])
            best = i;
    }
    return candidates[best];
}

/* Appends one field to the open cell; the place after it. */
static size_t
read_field(struct str text, size_t at, char separator, struct flow *flow)
{
    size_t start = at;

    if (at >= text.len || text.ptr[at] != '"') {
        while (at < text.len && text.ptr[at] != separator && text.ptr[at] != '\n' &&
               text.ptr[at] != '\r')
            at++;
        flow_text(flow, str_sub(text, start, at - start));
        return at;
    }
    for (start = ++at; at < text.len; at++) {
        if (text.ptr[at] != '"')
            continue;
        flow_text(flow, str_sub(text, start, at - start));
        start = at + 1;
        if (start >= text.len || text.ptr[start] != '"')
            break;
        at++; /* two of them are one: it is taken with what follows */
    }
    if (at >= text.len) /* the quote is never closed */
        flow_text(flow, str_sub(text, start, text.len));
    for (at = at < text.len ? at + 1 : at; at < text.len && text.ptr[at] != separator &&
                                           text.ptr[at] != '\n' && text.ptr[at] != '\r';)
        at++;
    return at;
}

static void
read_rows(struct str text, struct flow *flow)
{
    char separator = find_separator(text);
    size_t at = 0, rows = 0;

    flow_begin_table(flow);
    while (at < text.len) {
        size_t before = flow->document->block_count;

        for (;;) {
            at = read_field(text, at, separator, flow);
            flow_end_cell(flow, 1);
            if (at >= text.len || text.ptr[at] != separator)
                break;
            at++;
        }
        if (at + 1 < text.len && text.ptr[at] == '\r' && text.ptr[at + 1] == '\n')
            at++;
        at++;
        flow_end_row(flow, rows == 0);
        rows += flow->document->block_count > before;
    }
    flow_end_table(flow);
}

enum status
format_read_csv(const struct format_input *input, struct document *document, struct err *err)
{
    const char *charset = "utf-8";
    struct buf scratch;
    struct flow flow;
    struct str text;
    enum status st;

    buf_init(&scratch, 3 * input->bytes.len + 16);
    flow_init(&flow, document, input->max_memory_bytes);
    st = charset_to_utf8(input->bytes, input->charset, &scratch, &text, &charset, err);
    if (st == ST_OK) {
        if (strcmp(charset, "utf-8") != 0)
            document_charset(document, str_from_c(charset));
        read_rows(text, &flow);
        st = flow_check(&flow, err);
    }
    flow_deinit(&flow);
    buf_deinit(&scratch);
    return st;
}
