/*
 * extract_answer.c - from frames to blocks
 */
#include "knowledge/extract_answer.h"

#include <string.h>

struct frame {
    unsigned char kind, level;
    struct str text;
};

/* False when the rest is no whole frame. */
static bool
next_frame(struct str *rest, struct frame *frame_out)
{
    const unsigned char *head = (const unsigned char *)rest->ptr;
    size_t len;

    if (rest->len < EXTRACT_FRAME_HEAD_LEN)
        return false;
    len = head[2] | (size_t)head[3] << 8 | (size_t)head[4] << 16 | (size_t)head[5] << 24;
    if (rest->len - EXTRACT_FRAME_HEAD_LEN < len)
        return false;
    frame_out->kind = head[0];
    frame_out->level = head[1];
    frame_out->text = str_sub(*rest, EXTRACT_FRAME_HEAD_LEN, len);
    *rest = str_sub(*rest, EXTRACT_FRAME_HEAD_LEN + len, rest->len);
    return true;
}

static bool
begin(struct str *answer)
{
    if (!str_starts_with(*answer, STR(EXTRACT_MAGIC)))
        return false;
    *answer = str_sub(*answer, EXTRACT_MAGIC_LEN, answer->len);
    return true;
}

bool
extract_answer_is_complete(struct str answer)
{
    struct frame frame;

    if (!begin(&answer))
        return false;
    while (next_frame(&answer, &frame)) {
        if (frame.kind == EXTRACT_END || frame.kind == EXTRACT_FAILED)
            return true; /* what follows is found when it is read */
    }
    return false;
}

static enum status
broken(struct err *err, const char *what)
{
    return err_set_detail(err, ST_INTERNAL, "parley-extract broke its protocol: %s", what);
}

static enum status
failure(const struct frame *frame, struct err *err)
{
    if (frame->text.len > EXTRACT_FAILED_MAX_LEN)
        return broken(err, "a long reason");
    if (frame->level == EXTRACT_FAILED_INTERNAL)
        return err_set_detail(err, ST_UNAVAILABLE, "parley-extract failed: %.*s",
                              STR_ARG(frame->text));
    return err_set(err, frame->level == EXTRACT_FAILED_TOO_LARGE ? ST_TOO_LARGE : ST_INVALID,
                   "%.*s", STR_ARG(frame->text));
}

static enum status
read_page(struct str text, unsigned *page, struct err *err)
{
    int64_t number;

    if (!str_to_i64(text, &number) || number < 1 || number > INT32_MAX)
        return broken(err, "a page without number");
    *page = (unsigned)number;
    return ST_OK;
}

static enum status
read_frame(const struct frame *frame, struct arena *arena, struct extracted *extracted,
           unsigned *page, struct err *err)
{
    struct str text;
    enum status st;

    if (!str_is_utf8(frame->text) ||
        (frame->text.len > 0 && memchr(frame->text.ptr, '\0', frame->text.len) != NULL))
        return broken(err, "text that is not UTF-8");
    st = arena_try_str(arena, frame->text, &text, err);
    if (st != ST_OK)
        return err_set(err, ST_TOO_LARGE, "The document holds more text than is allowed.");
    switch (frame->kind) {
    case EXTRACT_TITLE:
        extracted->title = text;
        return ST_OK;
    case EXTRACT_LANGUAGE:
        extracted->language = text;
        return ST_OK;
    case EXTRACT_CHARSET:
        extracted->charset = text;
        return ST_OK;
    case EXTRACT_PAGE:
        return read_page(text, page, err);
    case EXTRACT_HEADING:
        if (frame->level < 1 || frame->level > 6)
            return broken(err, "a heading without level");
        break;
    case EXTRACT_PARAGRAPH:
    case EXTRACT_LIST_ITEM:
    case EXTRACT_TABLE_ROW:
    case EXTRACT_CODE:
        break;
    default:
        return broken(err, "an unknown frame");
    }
    extracted->blocks[extracted->block_count++] =
        (struct extract_block){(enum extract_frame_kind)frame->kind, frame->level, *page, text};
    return ST_OK;
}

/* At most as many blocks as there are frames. */
static size_t
count_frames(struct str answer)
{
    struct frame frame;
    size_t count = 0;

    while (next_frame(&answer, &frame))
        count++;
    return count;
}

enum status
extract_answer_read(struct str answer, struct arena *arena, struct extracted *extracted_out,
                    struct err *err)
{
    struct extracted extracted = {.block_count = 0};
    struct frame frame = {.kind = 0};
    int64_t blocks_said = -1;
    unsigned page = 0;
    enum status st = ST_OK;

    if (!begin(&answer))
        return broken(err, "no beginning");
    extracted.blocks =
        arena_try_alloc(arena, (count_frames(answer) + 1) * sizeof(struct extract_block));
    if (extracted.blocks == NULL)
        return err_set(err, ST_TOO_LARGE, "The document holds more text than is allowed.");
    while (st == ST_OK && next_frame(&answer, &frame)) {
        if (frame.kind == EXTRACT_END || frame.kind == EXTRACT_FAILED)
            break;
        st = read_frame(&frame, arena, &extracted, &page, err);
    }
    if (st != ST_OK)
        return st;
    if (answer.len > 0)
        return broken(err, "more after its end");
    if (frame.kind == EXTRACT_FAILED)
        return failure(&frame, err);
    if (frame.kind != EXTRACT_END || !str_to_i64(frame.text, &blocks_said) ||
        blocks_said != (int64_t)extracted.block_count || blocks_said == 0)
        return broken(err, "a wrong count");
    *extracted_out = extracted;
    return ST_OK;
}
