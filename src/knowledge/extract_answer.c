/*
 * extract_answer.c - from frames to blocks
 */
#include "knowledge/extract_answer.h"

#include <string.h>

struct frame {
    unsigned char kind, level;
    struct str text;
};

/* While it is read. */
struct answer {
    struct extracted extracted;
    unsigned page;  /* of the blocks that come */
    bool in_member; /* its path was said, what it holds not yet */
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

/* Why a document may have no blocks: shown to a person as it is. */
static enum status
read_pictures(struct str text, struct str *pictures, struct err *err)
{
    if (text.len == 0 || text.len > EXTRACT_PICTURES_MAX_LEN)
        return broken(err, "pictures without pages");
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("0123456789-, .", text.ptr[i]) == NULL)
            return broken(err, "pictures that are no pages");
    }
    *pictures = text;
    return ST_OK;
}

static enum status
read_label(struct str text, struct str *label, struct err *err)
{
    if (text.len == 0 || text.len > EXTRACT_LABEL_MAX_LEN)
        return broken(err, "a label of a wrong length");
    *label = text;
    return ST_OK;
}

/* A path that a person can be shown; where it would lead as a path is nobody's question here. */
static bool
is_path(struct str path)
{
    if (path.len == 0 || path.len > EXTRACT_PATH_MAX_LEN)
        return false;
    for (size_t i = 0; i < path.len; i++) {
        if ((unsigned char)path.ptr[i] < 0x20 || path.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

/* After its path: exactly one frame says what is in it. */
static enum status
read_member(const struct frame *frame, struct str text, struct answer *answer, struct err *err)
{
    struct extracted *extracted = &answer->extracted;
    struct extract_member *member;

    if (frame->kind == EXTRACT_MEMBER) {
        if (answer->in_member || !is_path(text))
            return broken(err, "a member without path");
        answer->in_member = true;
        extracted->members[extracted->member_count++] = (struct extract_member){.path = text};
        return ST_OK;
    }
    if (!answer->in_member || text.len == 0)
        return broken(err, "nothing of a member");
    answer->in_member = false;
    member = &extracted->members[extracted->member_count - 1];
    if (frame->kind == EXTRACT_MEMBER_BYTES)
        member->bytes = text;
    else
        member->failure = text;
    return ST_OK;
}

static enum status
copy_text(const struct frame *frame, struct arena *arena, struct str *text_out, struct err *err)
{
    bool is_bytes = frame->kind == EXTRACT_MEMBER_BYTES;

    if (!is_bytes &&
        (!str_is_utf8(frame->text) ||
         (frame->text.len > 0 && memchr(frame->text.ptr, '\0', frame->text.len) != NULL)))
        return broken(err, "text that is not UTF-8");
    if (arena_try_str(arena, frame->text, text_out, err) != ST_OK)
        return err_set(err, ST_TOO_LARGE, "The document holds more text than is allowed.");
    return ST_OK;
}

static enum status
read_frame(const struct frame *frame, struct arena *arena, struct answer *answer, struct err *err)
{
    struct extracted *extracted = &answer->extracted;
    struct str text;
    enum status st = copy_text(frame, arena, &text, err);

    if (st != ST_OK)
        return st;
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
    case EXTRACT_CATEGORY:
        return read_label(text, &extracted->category, err);
    case EXTRACT_TONE:
        return read_label(text, &extracted->tone, err);
    case EXTRACT_DATE:
        return read_label(text, &extracted->date, err);
    case EXTRACT_PICTURES:
        return read_pictures(text, &extracted->pictures, err);
    case EXTRACT_PAGE:
        return read_page(text, &answer->page, err);
    case EXTRACT_MEMBER:
    case EXTRACT_MEMBER_BYTES:
    case EXTRACT_MEMBER_FAILED:
        return read_member(frame, text, answer, err);
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
    extracted->blocks[extracted->block_count++] = (struct extract_block){
        (enum extract_frame_kind)frame->kind, frame->level, answer->page, text};
    return ST_OK;
}

/* At most as many blocks, and as many members, as there are frames. */
static void
count_frames(struct str rest, size_t *blocks_out, size_t *members_out)
{
    struct frame frame;

    *blocks_out = *members_out = 0;
    while (next_frame(&rest, &frame)) {
        if (frame.kind == EXTRACT_MEMBER)
            ++*members_out;
        else
            ++*blocks_out;
    }
}

static enum status
make_room(struct str frames, struct arena *arena, struct extracted *extracted, struct err *err)
{
    size_t blocks, members;

    count_frames(frames, &blocks, &members);
    extracted->blocks = arena_try_alloc(arena, (blocks + 1) * sizeof(*extracted->blocks));
    extracted->members = arena_try_alloc(arena, (members + 1) * sizeof(*extracted->members));
    if (extracted->blocks == NULL || extracted->members == NULL)
        return err_set(err, ST_TOO_LARGE, "The document holds more text than is allowed.");
    return ST_OK;
}

enum status
extract_answer_read(struct str bytes, struct arena *arena, struct extracted *extracted_out,
                    struct err *err)
{
    struct answer answer = {.page = 0};
    struct frame frame = {.kind = 0};
    int64_t blocks_said = -1;
    enum status st;

    if (!begin(&bytes))
        return broken(err, "no beginning");
    st = make_room(bytes, arena, &answer.extracted, err);
    while (st == ST_OK && next_frame(&bytes, &frame)) {
        if (frame.kind == EXTRACT_END || frame.kind == EXTRACT_FAILED)
            break;
        st = read_frame(&frame, arena, &answer, err);
    }
    if (st != ST_OK)
        return st;
    if (bytes.len > 0)
        return broken(err, "more after its end");
    if (frame.kind == EXTRACT_FAILED)
        return failure(&frame, err);
    if (frame.kind != EXTRACT_END || !str_to_i64(frame.text, &blocks_said) ||
        blocks_said != (int64_t)answer.extracted.block_count || answer.in_member ||
        (answer.extracted.block_count + answer.extracted.member_count == 0 &&
         answer.extracted.pictures.len == 0))
        return broken(err, "a wrong count");
    *extracted_out = answer.extracted;
    return ST_OK;
}
