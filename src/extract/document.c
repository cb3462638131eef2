/*
 * document.c - frames in one bounded buffer
 */
#include "extract/document.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* Room kept for the last frame, so that a full document can still say that it failed. */
#define LAST_FRAME_MAX_LEN (EXTRACT_MAGIC_LEN + EXTRACT_FRAME_HEAD_LEN + EXTRACT_FAILED_MAX_LEN)
#define TITLE_MAX_LEN 300
#define DAY_LEN 10 /* 2026-05-01 */

void
document_init(struct document *document, size_t max_output_bytes)
{
    *document = (struct document){.block_count = 0};
    buf_init(&document->out, max_output_bytes + LAST_FRAME_MAX_LEN);
    buf_append_c(&document->out, EXTRACT_MAGIC);
}

void
document_deinit(struct document *document)
{
    buf_deinit(&document->out);
}

static void
append_head(struct buf *out, enum extract_frame_kind kind, unsigned level, size_t len)
{
    char head[EXTRACT_FRAME_HEAD_LEN] = {(char)kind,       (char)level,       (char)len,
                                         (char)(len >> 8), (char)(len >> 16), (char)(len >> 24)};

    buf_append(out, str_of(head, sizeof(head)));
}

static void
append_frame(struct document *document, enum extract_frame_kind kind, unsigned level,
             struct str text)
{
    struct buf *out = &document->out;

    if (text.len > UINT32_MAX ||
        out->len + EXTRACT_FRAME_HEAD_LEN + text.len + LAST_FRAME_MAX_LEN > out->max_bytes) {
        out->failed = true;
        return;
    }
    append_head(out, kind, level, text.len);
    buf_append(out, text);
}

/* NUL is legal in UTF-8 but not in a frame; and a library that decodes character references can be
 * talked into bytes that are no character at all. */
static void
append_clean(struct document *document, enum extract_frame_kind kind, unsigned level,
             struct str text)
{
    struct buf clean;

    if (str_is_utf8(text) && (text.len == 0 || memchr(text.ptr, '\0', text.len) == NULL)) {
        append_frame(document, kind, level, text);
        return;
    }
    buf_init(&clean, 3 * text.len);
    while (text.len > 0) {
        size_t valid = str_utf8_valid_prefix(text);

        for (size_t i = 0; i < valid; i++) {
            if (text.ptr[i] != '\0')
                buf_append_byte(&clean, text.ptr[i]);
        }
        if (valid < text.len)
            buf_append_c(&clean, "\xef\xbf\xbd");
        text = str_sub(text, valid + 1, text.len);
    }
    append_frame(document, kind, level, buf_str(&clean));
    buf_deinit(&clean);
}

static struct str
trim_lines(struct str text)
{
    while (text.len > 0 && (text.ptr[0] == '\n' || text.ptr[0] == '\r')) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && strchr(" \t\r\n\f", text.ptr[text.len - 1]) != NULL)
        text.len--;
    return text;
}

void
document_title(struct document *document, struct str title)
{
    title = str_trim(title);
    if (document->has_title || title.len == 0)
        return;
    document->has_title = true;
    append_clean(document, EXTRACT_TITLE, 0,
                 str_sub(title, 0, str_utf8_floor(title, TITLE_MAX_LEN)));
}

void
document_language(struct document *document, struct str tag)
{
    tag = str_trim(tag);
    if (document->has_language || tag.len < 2 || tag.len > 35)
        return;
    for (size_t i = 0; i < tag.len; i++) {
        char c = tag.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && (i < 2 || !((c >= '0' && c <= '9') || c == '-')))
            return;
    }
    document->has_language = true;
    append_frame(document, EXTRACT_LANGUAGE, 0, tag);
}

/* The part of text that is a date; empty: none is. */
static struct str
date_of(struct str text)
{
    char midnight[DAY_LEN + 10];
    int64_t at_us;
    struct err ignored;

    if (time_parse_rfc3339(text, &at_us, &ignored) == ST_OK)
        return text;
    if (text.len < DAY_LEN)
        return STR_EMPTY;
    if (text.len > DAY_LEN &&
        (text.len < DAY_LEN + 2 || (text.ptr[DAY_LEN] != 'T' && text.ptr[DAY_LEN] != ' ') ||
         text.ptr[DAY_LEN + 1] < '0' || text.ptr[DAY_LEN + 1] > '9'))
        return STR_EMPTY;
    text = str_sub(text, 0, DAY_LEN);
    memcpy(midnight, text.ptr, DAY_LEN);
    memcpy(midnight + DAY_LEN, "T00:00:00Z", 10);
    return time_parse_rfc3339(str_of(midnight, sizeof(midnight)), &at_us, &ignored) == ST_OK
               ? text
               : STR_EMPTY;
}

static bool
is_label(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return false;
    }
    return text.len > 0 && text.len <= EXTRACT_LABEL_MAX_LEN && str_is_utf8(text);
}

void
document_label(struct document *document, enum extract_frame_kind kind, struct str text)
{
    bool *has = kind == EXTRACT_CATEGORY ? &document->has_category
                : kind == EXTRACT_TONE   ? &document->has_tone
                                         : &document->has_date;

    text = str_trim(text);
    if (kind == EXTRACT_DATE)
        text = date_of(text);
    if (*has || !is_label(text))
        return;
    *has = true;
    append_frame(document, kind, 0, text);
}

void
document_charset(struct document *document, struct str name)
{
    append_frame(document, EXTRACT_CHARSET, 0, name);
}

void
document_pictures(struct document *document, struct str pages)
{
    document->has_pictures = true;
    append_frame(document, EXTRACT_PICTURES, 0, pages);
}

void
document_page(struct document *document, unsigned number)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", number);
    append_frame(document, EXTRACT_PAGE, 0, str_from_c(text));
}

void
document_block(struct document *document, enum extract_frame_kind kind, unsigned level,
               struct str text)
{
    if (kind == EXTRACT_CODE)
        text = trim_lines(text);
    else if (kind != EXTRACT_TABLE_ROW) /* a TAB at its end is an empty cell */
        text = str_trim(text);
    if (str_trim(text).len == 0)
        return;
    document->block_count++;
    append_clean(document, kind, level, text);
}

static void
append_path(struct document *document, struct str path)
{
    document->member_count++;
    append_clean(document, EXTRACT_MEMBER, 0,
                 str_sub(path, 0, str_utf8_floor(path, EXTRACT_PATH_MAX_LEN)));
}

void
document_member(struct document *document, struct str path, struct str bytes)
{
    append_path(document, path);
    append_frame(document, EXTRACT_MEMBER_BYTES, 0, bytes);
}

void
document_member_failed(struct document *document, struct str path, struct str sentence)
{
    append_path(document, path);
    append_frame(document, EXTRACT_MEMBER_FAILED, 0,
                 str_sub(sentence, 0, str_utf8_floor(sentence, EXTRACT_FAILED_MAX_LEN)));
}

enum status
document_check(const struct document *document, struct err *err)
{
    if (document->out.failed)
        return err_set(err, ST_TOO_LARGE, "The document holds more text than is allowed.");
    return ST_OK;
}

struct str
document_finish(struct document *document, enum status status, const struct err *err)
{
    struct buf *out = &document->out;
    char count[24];
    struct str sentence;
    enum extract_failure failure = EXTRACT_FAILED_INTERNAL;

    if (status == ST_OK) {
        snprintf(count, sizeof(count), "%zu", document->block_count);
        sentence = str_from_c(count);
        append_head(out, EXTRACT_END, 0, sentence.len);
        buf_append(out, sentence);
        return buf_str(out);
    }
    if (status == ST_INVALID)
        failure = EXTRACT_FAILED_UNREADABLE;
    else if (status == ST_TOO_LARGE)
        failure = EXTRACT_FAILED_TOO_LARGE;
    buf_clear(out);
    buf_append_c(out, EXTRACT_MAGIC);
    sentence = str_from_c(err->public_text);
    sentence = str_sub(sentence, 0, str_utf8_floor(sentence, EXTRACT_FAILED_MAX_LEN));
    append_head(out, EXTRACT_FAILED, failure, sentence.len);
    buf_append(out, sentence);
    return buf_str(out);
}
