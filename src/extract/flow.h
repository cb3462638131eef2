/*
 * flow.h - paragraphs, list items and tables as office formats nest them, written as blocks
 *
 * Text is gathered into the open paragraph. A paragraph that ends outside of tables becomes a
 * block; inside of one it goes into the open cell, and the row that ends becomes a block. A table
 * in a cell is text of that cell. Threads: one. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_FLOW_H
#define PARLEY_EXTRACT_FLOW_H

#include "extract/document.h"

struct flow {
    struct document *document;
    struct buf paragraph;
    struct buf cell, row;
    unsigned table_depth;
    unsigned cell_count; /* of the open row */
};

/* max_bytes: of one paragraph, cell or row. */
void flow_init(struct flow *flow, struct document *document, size_t max_bytes);
void flow_deinit(struct flow *flow);
void flow_text(struct flow *flow, struct str text);
/* kind: heading, paragraph, list item, code; the text of an item has its marker already. */
void flow_end_paragraph(struct flow *flow, enum extract_frame_kind kind, unsigned level);
/* A list item: marker ("- ", "3. ") comes before its text. An empty one is nothing. */
void flow_end_item(struct flow *flow, struct str marker, unsigned level);
void flow_begin_table(struct flow *flow);
void flow_end_table(struct flow *flow);
/* times: how many columns show this text (0 counts as 1). */
void flow_end_cell(struct flow *flow, unsigned times);
void flow_end_row(struct flow *flow, bool is_head);
/* ST_TOO_LARGE: something passed the maximum. */
MUST_USE enum status flow_check(const struct flow *flow, struct err *err);

#endif
