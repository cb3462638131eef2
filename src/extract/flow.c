/*
 * flow.c - one open paragraph, one open cell, one open row
 */
#include "extract/flow.h"

/* A row of a sheet may claim to repeat an empty cell 16,384 times. */
#define MAX_COLUMNS 256

void
flow_init(struct flow *flow, struct document *document, size_t max_bytes)
{
    *flow = (struct flow){.document = document};
    buf_init(&flow->paragraph, max_bytes);
    buf_init(&flow->cell, max_bytes);
    buf_init(&flow->row, max_bytes);
}

void
flow_deinit(struct flow *flow)
{
    buf_deinit(&flow->paragraph);
    buf_deinit(&flow->cell);
    buf_deinit(&flow->row);
}

void
flow_text(struct flow *flow, struct str text)
{
    buf_append(&flow->paragraph, text);
}

/* One line: what parts cells and rows in a frame cannot stand inside of a cell. */
static void
append_to_cell(struct buf *cell, struct str text)
{
    text = str_trim(text);
    if (text.len > 0 && cell->len > 0)
        buf_append_byte(cell, ' ');
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        buf_append_byte(cell, c == '\t' || c == '\n' || c == '\r' ? ' ' : c);
    }
}

void
flow_end_paragraph(struct flow *flow, enum extract_frame_kind kind, unsigned level)
{
    if (flow->paragraph.failed)
        return; /* flow_check says it */
    if (flow->table_depth > 0)
        append_to_cell(&flow->cell, buf_str(&flow->paragraph));
    else
        document_block(flow->document, kind, level, buf_str(&flow->paragraph));
    buf_clear(&flow->paragraph);
}

void
flow_end_item(struct flow *flow, struct str marker, unsigned level)
{
    struct str text = str_trim(buf_str(&flow->paragraph));
    struct buf item;

    if (text.len > 0) {
        buf_init(&item, text.len + marker.len);
        buf_append(&item, marker);
        buf_append(&item, text);
        buf_clear(&flow->paragraph);
        flow_text(flow, buf_str(&item));
        buf_deinit(&item);
    }
    flow_end_paragraph(flow, EXTRACT_LIST_ITEM, level);
}

void
flow_begin_table(struct flow *flow)
{
    if (flow->table_depth == 0)
        flow_end_paragraph(flow, EXTRACT_PARAGRAPH, 0);
    flow->table_depth++;
}

void
flow_end_table(struct flow *flow)
{
    if (flow->table_depth > 0)
        flow->table_depth--;
}

void
flow_end_cell(struct flow *flow, unsigned times)
{
    if (flow->table_depth != 1)
        return;
    flow_end_paragraph(flow, EXTRACT_PARAGRAPH, 0);
    if (flow->paragraph.failed || flow->cell.failed || flow->row.failed)
        return;
    for (unsigned i = 0; i < (times == 0 ? 1 : times); i++) {
        if (flow->cell_count >= MAX_COLUMNS)
            break;
        if (flow->cell_count > 0)
            buf_append_byte(&flow->row, '\t');
        buf_append(&flow->row, buf_str(&flow->cell));
        flow->cell_count++;
    }
    buf_clear(&flow->cell);
}

void
flow_end_row(struct flow *flow, bool is_head)
{
    struct str row = buf_str(&flow->row);

    if (flow->table_depth != 1 || flow->row.failed)
        return;
    /* A sheet repeats empty cells up to its edge. */
    if (flow->cell_count > 2) {
        while (str_ends_with(row, STR("\t\t")))
            row.len--;
    }
    document_block(flow->document, EXTRACT_TABLE_ROW, is_head ? 1 : 0, row);
    buf_clear(&flow->row);
    flow->cell_count = 0;
}

enum status
flow_check(const struct flow *flow, struct err *err)
{
    if (flow->paragraph.failed || flow->cell.failed || flow->row.failed)
        return err_set(err, ST_TOO_LARGE, "A paragraph or row of it is too long.");
    return document_check(flow->document, err);
}
