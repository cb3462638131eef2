/*
 * plain_text.c - structure guessed from how plain text is laid out
 *
 * Blank lines part paragraphs. A short line that stands alone, or is underlined, or is numbered
 * like a section, is a heading; lines that begin with a bullet or number are list items; lines that
 * were wrapped are joined, lines that were set (addresses, opening hours, columns) are kept.
 */
#include <string.h>

#include "extract/charset.h"
#include "extract/format.h"

#define HEADING_MAX_BYTES 80
#define WRAPPED_MIN_BYTES 45

/* One line of the text; indent in columns is all that its left margin tells. */
struct line {
    struct str text; /* trimmed; empty for a blank line */
    size_t indent;
};

struct reader {
    struct document *document;
    struct str rest;
    struct line ahead; /* the line after the current one */
    bool at_end;       /* ahead is not there */
    struct buf block;
    enum extract_frame_kind kind;
    bool has_heading;
};

static void
read_ahead(struct reader *reader)
{
    struct str line;

    reader->ahead = (struct line){STR_EMPTY, 0};
    reader->at_end = !str_split(&reader->rest, '\n', &line);
    if (reader->at_end)
        return;
    for (size_t i = 0; i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '\t'); i++)
        reader->ahead.indent += line.ptr[i] == '\t' ? 8 : 1;
    reader->ahead.text = str_trim(line);
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Bytes of a list marker and the space after it: "- ", "* ", "• ", "3. ", "3) ", "(a) "; 0 when
 * none. */
static size_t
marker_len(struct str text)
{
    size_t i = 0;

    if (str_starts_with(text, STR("- ")) || str_starts_with(text, STR("* ")) ||
        str_starts_with(text, STR("+ ")))
        return 2;
    if (str_starts_with(text, STR("\xe2\x80\xa2")) || str_starts_with(text, STR("\xe2\x80\x93 ")))
        return 3;
    if (text.len > 4 && text.ptr[0] == '(' && text.ptr[2] == ')' && text.ptr[3] == ' ')
        return 4;
    while (i < text.len && i < 3 && is_digit(text.ptr[i]))
        i++;
    if (i > 0 && i + 1 < text.len && (text.ptr[i] == '.' || text.ptr[i] == ')') &&
        text.ptr[i + 1] == ' ')
        return i + 2;
    return 0;
}

/* "===" or "---" under a heading: its level, else 0. */
static unsigned
underline_level(struct str text)
{
    if (text.len < 3 || (text.ptr[0] != '=' && text.ptr[0] != '-'))
        return 0;
    for (size_t i = 1; i < text.len; i++) {
        if (text.ptr[i] != text.ptr[0])
            return 0;
    }
    return text.ptr[0] == '=' ? 1 : 2;
}

/* "2.1 Deposits": as deep as its number; 0 when not numbered so. "2. Pay" is more often a list. */
static unsigned
numbered_level(struct str text)
{
    unsigned level = 0;
    size_t i = 0;

    while (i < text.len && is_digit(text.ptr[i])) {
        while (i < text.len && is_digit(text.ptr[i]))
            i++;
        level++;
        if (i < text.len && text.ptr[i] == '.')
            i++;
        else
            break;
    }
    if (level < 2 || i >= text.len || text.ptr[i] != ' ')
        return 0;
    return level > 5 ? 6 : level + 1;
}

static bool
has_columns(struct str text)
{
    return str_find(text, STR("   ")) >= 0 || str_find_byte(text, '\t') >= 0;
}

/* A line alone between blank lines that reads like a heading: its level, else 0. */
static unsigned
lone_heading_level(struct str text)
{
    size_t upper = 0, lower = 0;
    unsigned level = numbered_level(text);
    char last;

    if (text.len == 0 || text.len > HEADING_MAX_BYTES || has_columns(text))
        return 0;
    last = text.ptr[text.len - 1];
    if (strchr(".,;!", last) != NULL || marker_len(text) > 0)
        return 0;
    if (level > 0)
        return level;
    for (size_t i = 0; i < text.len; i++) {
        upper += text.ptr[i] >= 'A' && text.ptr[i] <= 'Z';
        lower += text.ptr[i] >= 'a' && text.ptr[i] <= 'z';
    }
    if (lower == 0 && upper > 2)
        return 2;
    if (text.ptr[0] >= 'a' && text.ptr[0] <= 'z')
        return 0;
    return upper + lower > 2 && str_find(text, STR("://")) < 0 && str_find_byte(text, '@') < 0 ? 3
                                                                                               : 0;
}

static void
flush(struct reader *reader)
{
    document_block(reader->document, reader->kind, reader->kind == EXTRACT_LIST_ITEM,
                   buf_str(&reader->block));
    if (reader->block.failed)
        reader->document->out.failed = true;
    buf_clear(&reader->block);
    reader->kind = EXTRACT_PARAGRAPH;
}

static void
add_heading(struct reader *reader, struct str text, unsigned level)
{
    flush(reader);
    if (!reader->has_heading && reader->document->block_count == 0) {
        document_title(reader->document, text);
        level = 1;
    }
    reader->has_heading = true;
    document_block(reader->document, EXTRACT_HEADING, level, text);
}

/* Joined with a space when the line before it was wrapped by an editor, else kept as a line. */
static void
add_line(struct reader *reader, const struct line *line, size_t previous_len)
{
    size_t marker = marker_len(line->text);

    if (marker > 0) {
        flush(reader);
        reader->kind = EXTRACT_LIST_ITEM;
        if (line->text.ptr[0] == '*' || line->text.ptr[0] == '+' ||
            (line->text.ptr[0] & 0x80) != 0) {
            buf_append_c(&reader->block, "- ");
            buf_append(&reader->block, str_trim(str_sub(line->text, marker, line->text.len)));
            return;
        }
    } else if (reader->block.len > 0) {
        bool keep = previous_len < WRAPPED_MIN_BYTES || has_columns(line->text);

        buf_append_byte(&reader->block, keep && reader->kind == EXTRACT_PARAGRAPH ? '\n' : ' ');
    }
    buf_append(&reader->block, line->text);
}

static void
read_lines(struct reader *reader)
{
    struct line previous = {STR_EMPTY, 0};

    read_ahead(reader);
    while (!reader->at_end) {
        struct line line = reader->ahead;
        unsigned level = 0;

        read_ahead(reader);
        if (line.text.len == 0) {
            flush(reader);
        } else if (previous.text.len == 0 && (level = underline_level(reader->ahead.text)) != 0 &&
                   line.text.len <= 2 * (size_t)HEADING_MAX_BYTES &&
                   underline_level(line.text) == 0) {
            add_heading(reader, line.text, level);
            read_ahead(reader);
            line = (struct line){STR_EMPTY, 0};
        } else if (previous.text.len == 0 && reader->ahead.text.len == 0 && !reader->at_end &&
                   (level = lone_heading_level(line.text)) != 0) {
            add_heading(reader, line.text, level);
        } else if (underline_level(line.text) == 0) { /* rules between parts say nothing */
            add_line(reader, &line, previous.text.len);
        }
        previous = line;
    }
    flush(reader);
}

enum status
format_read_text(const struct format_input *input, struct document *document, struct err *err)
{
    struct reader reader = {.document = document, .kind = EXTRACT_PARAGRAPH};
    struct buf scratch, lines;
    struct str text;
    const char *charset = "utf-8";
    enum status st;

    buf_init(&scratch, 3 * input->bytes.len + 16);
    st = charset_to_utf8(input->bytes, input->charset, &scratch, &text, &charset, err);
    buf_init(&lines, text.len + 1);
    buf_init(&reader.block, text.len + 1024);
    if (st == ST_OK) {
        if (strcmp(charset, "utf-8") != 0)
            document_charset(document, str_from_c(charset));
        /* Old Macs end lines with CR, form feeds part pages: both are line ends here. */
        for (size_t i = 0; i < text.len; i++) {
            char c = text.ptr[i];

            if (c != '\r')
                buf_append_byte(&lines, c == '\f' ? '\n' : c);
            else if (i + 1 == text.len || text.ptr[i + 1] != '\n')
                buf_append_byte(&lines, '\n');
        }
        reader.rest = buf_str(&lines);
        read_lines(&reader);
        st = document_check(document, err);
    }
    buf_deinit(&reader.block);
    buf_deinit(&lines);
    buf_deinit(&scratch);
    return st;
}
