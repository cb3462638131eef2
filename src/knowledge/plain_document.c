/*
 * plain_document.c - blocks joined into one normalised text
 */
#include "knowledge/plain_document.h"

#include <string.h>

#include "base/buf.h"
#include "text/text.h"

#define TEXT_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define SCRATCH_MAX_BYTES ((size_t)1024 * 1024 * 1024)
#define MAX_INDENT 8

static enum status
normalised(struct str raw, struct arena *arena, struct str *text_out, struct err *err)
{
    enum status st = text_normalise(raw, arena, text_out, err);

    /* The extractor's answer was checked: bytes that are not UTF-8 here are our own doing. */
    if (st == ST_INVALID)
        return err_set_detail(err, ST_INTERNAL, "extracted text is not UTF-8");
    return st;
}

static bool
in_one_run(enum extract_frame_kind before, enum extract_frame_kind kind)
{
    return before == kind && (kind == EXTRACT_LIST_ITEM || kind == EXTRACT_TABLE_ROW);
}

static void
append_row(struct buf *text, struct str row)
{
    struct str cell;
    bool first = true;

    while (str_split(&row, '\t', &cell)) {
        cell = str_trim(cell);
        if (!first)
            buf_append_c(text, text->len == 0 || text->ptr[text->len - 1] == '\n' ? "| " : " | ");
        first = false;
        buf_append(text, cell);
    }
}

static void
append_piece(struct buf *text, const struct extract_block *block, struct str words,
             struct plain_document *document)
{
    struct plain_piece *piece = &document->pieces[document->piece_count];

    if (text->len > 0) {
        bool run = document->piece_count > 0 && in_one_run(piece[-1].kind, block->kind);

        buf_append_c(text, run ? "\n" : "\n\n");
    }
    for (unsigned i = 1; block->kind == EXTRACT_LIST_ITEM && i < block->level && i < MAX_INDENT;
         i++)
        buf_append_c(text, "  ");
    *piece = (struct plain_piece){
        .kind = block->kind, .level = block->level, .page = block->page, .start = text->len};
    if (block->kind == EXTRACT_TABLE_ROW)
        append_row(text, words);
    else
        buf_append(text, words);
    piece->end = text->len;
    document->piece_count++;
}

/* scratch holds one block at a time: normalising takes several times a block's size. */
static enum status
append_blocks(const struct extracted *extracted, struct buf *text, struct arena *scratch,
              struct plain_document *document, struct err *err)
{
    for (size_t i = 0; i < extracted->block_count; i++) {
        const struct extract_block *block = &extracted->blocks[i];
        struct str words;
        enum status st;

        arena_reset(scratch);
        st = normalised(block->text, scratch, &words, err);
        if (st != ST_OK)
            return st;
        if (block->kind != EXTRACT_CODE && block->kind != EXTRACT_TABLE_ROW)
            words = str_trim(words);
        if (str_trim(words).len == 0)
            continue;
        if (i == 0 && block->kind == EXTRACT_HEADING && str_eq(words, document->title))
            continue; /* the title's line is there already */
        append_piece(text, block, words, document);
    }
    return ST_OK;
}

enum status
plain_document_make(const struct extracted *extracted, struct arena *arena,
                    struct plain_document *document_out, struct err *err)
{
    struct plain_document document = {.piece_count = 0};
    struct arena *scratch;
    struct buf text;
    enum status st = normalised(extracted->title, arena, &document.title, err);

    if (st != ST_OK)
        return st;
    scratch = arena_create(SCRATCH_MAX_BYTES);
    document.title = str_trim(document.title);
    document.pieces = ARENA_NEW_N(arena, struct plain_piece, extracted->block_count + 1);
    buf_init(&text, TEXT_MAX_BYTES);
    buf_append(&text, document.title);
    st = append_blocks(extracted, &text, scratch, &document, err);
    arena_destroy(&scratch);
    if (st == ST_OK && text.failed)
        st = err_set(err, ST_TOO_LARGE, "The document holds more text than is allowed.");
    if (st == ST_OK)
        st = arena_try_str(arena, buf_str(&text), &document.text, err);
    buf_deinit(&text);
    *document_out = document;
    return st;
}
