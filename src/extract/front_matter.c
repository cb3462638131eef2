/*
 * front_matter.c - Jekyll, Eleventy and their like
 */
#include "extract/front_matter.h"

#include <string.h>

/* A head longer than this is no head. */
#define HEAD_MAX_BYTES 65536
/* A tag spans at most this much, or it is text that looks like one. */
#define TAG_MAX_BYTES 2000

static struct str
next_line(struct str *rest)
{
    struct str line;

    if (!str_split(rest, '\n', &line))
        return STR_EMPTY;
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

static struct str
unquoted(struct str value)
{
    value = str_trim(value);
    if (value.len >= 2 && (value.ptr[0] == '"' || value.ptr[0] == '\'') &&
        value.ptr[value.len - 1] == value.ptr[0])
        return str_sub(value, 1, value.len - 2);
    return value;
}

/* A label's value, of several the first: plain, quoted, or the first of a list in brackets. */
static struct str
first_value(struct str value)
{
    bool is_list;
    size_t len = 0;
    ptrdiff_t end;

    value = str_trim(value);
    is_list = str_starts_with(value, STR("["));
    if (is_list)
        value = str_trim(str_sub(value, 1, value.len));
    if (value.len > 0 && (value.ptr[0] == '"' || value.ptr[0] == '\'')) {
        end = str_find_byte(str_sub(value, 1, value.len), value.ptr[0]);
        return end < 0 ? STR_EMPTY : str_sub(value, 1, (size_t)end);
    }
    while (len < value.len && !(is_list && (value.ptr[len] == ',' || value.ptr[len] == ']')) &&
           !(value.ptr[len] == '#' && (len == 0 || strchr(" \t", value.ptr[len - 1]) != NULL)))
        len++;
    value = str_trim(str_sub(value, 0, len));
    if (value.len == 0 || strchr("|>[{&*!", value.ptr[0]) != NULL || str_eq(value, STR("~")) ||
        str_eq(value, STR("null")))
        return STR_EMPTY;
    return value;
}

static struct str *
label_of(struct front_matter *head, struct str key)
{
    if (str_eq(key, STR("category")) || str_eq(key, STR("categories")))
        return &head->category;
    if (str_eq(key, STR("tone")))
        return &head->tone;
    return str_eq(key, STR("date")) ? &head->date : NULL;
}

/* True: the line is the first item of a list that a label's key has begun, or lies between. */
static bool
read_item(struct str line, struct str **begun)
{
    line = str_trim(line);
    if (*begun == NULL || line.len == 0 || line.ptr[0] == '#')
        return *begun != NULL;
    if (str_starts_with(line, STR("- ")))
        **begun = first_value(str_sub(line, 2, line.len));
    *begun = NULL;
    return str_starts_with(line, STR("- "));
}

/* begun_out: the label whose list comes in the lines that follow. */
static void
read_key(struct str line, struct front_matter *head, struct str **begun_out)
{
    struct str value = line;
    struct str key, *label;

    if (str_find_byte(line, ':') < 0 || !str_split(&value, ':', &key))
        return;
    label = label_of(head, key);
    if (label != NULL && label->len == 0) {
        value = str_trim(value);
        *label = first_value(value);
        if (value.len == 0 || value.ptr[0] == '#')
            *begun_out = label;
    }
    if (label != NULL)
        return;
    value = unquoted(value);
    if (value.len == 0 || strchr("|>[{&*", value.ptr[0]) != NULL)
        return;
    if (str_eq(key, STR("title")) && head->title.len == 0)
        head->title = value;
    else if ((str_eq(key, STR("lang")) || str_eq(key, STR("language"))) && head->language.len == 0)
        head->language = value;
}

void
front_matter_read(struct str text, struct front_matter *head_out)
{
    struct front_matter head = {.present = true, .rest = text};
    struct str line = next_line(&head.rest);
    struct str *begun = NULL;
    size_t read = 0;

    *head_out = (struct front_matter){.rest = text};
    if (line.ptr == NULL || !str_eq(str_trim(line), STR("---")) || line.ptr[0] != '-')
        return;
    while (head.rest.len > 0 && read < HEAD_MAX_BYTES) {
        line = next_line(&head.rest);
        read += line.len + 1;
        if (str_eq(str_trim(line), STR("---")) || str_eq(str_trim(line), STR("..."))) {
            *head_out = head;
            return;
        }
        if (!read_item(line, &begun))
            read_key(line, &head, &begun);
    }
}

/* Length of the tag that begins s, 0 when none does. */
static size_t
tag_len(struct str s)
{
    static const struct {
        struct str open, close;
    } forms[] = {
        {STR_INIT("{%"), STR_INIT("%}")},
        {STR_INIT("{{"), STR_INIT("}}")},
        {STR_INIT("{#"), STR_INIT("}")}, /* a comment, or the name of a heading */
        {STR_INIT("{:"), STR_INIT("}")},
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        ptrdiff_t at;

        if (!str_starts_with(s, forms[i].open))
            continue;
        at = str_find(str_sub(s, 2, TAG_MAX_BYTES), forms[i].close);
        if (at < 0 || memchr(s.ptr, '\n', 2 + (size_t)at) != NULL)
            return 0;
        return 2 + (size_t)at + forms[i].close.len;
    }
    return 0;
}

/* The tag's first quoted argument when it is words and not a path. */
static struct str
tag_words(struct str tag)
{
    ptrdiff_t start = str_find_byte(tag, '"');
    ptrdiff_t end;
    struct str words;

    if (!str_starts_with(tag, STR("{%")) || start < 0)
        return STR_EMPTY;
    words = str_sub(tag, (size_t)start + 1, tag.len);
    end = str_find_byte(words, '"');
    if (end <= 0)
        return STR_EMPTY;
    words = str_sub(words, 0, (size_t)end);
    if (memchr(words.ptr, '/', words.len) != NULL || memchr(words.ptr, '.', words.len) != NULL ||
        memchr(words.ptr, '\\', words.len) != NULL)
        return STR_EMPTY;
    return words;
}

static bool
tag_is(struct str tag, struct str name)
{
    struct str inner;

    if (!str_starts_with(tag, STR("{%")) || tag.len < 4)
        return false;
    inner = str_sub(tag, 2, tag.len - 4);
    while (inner.len > 0 && (inner.ptr[0] == '-' || inner.ptr[0] == ' '))
        inner = str_sub(inner, 1, inner.len);
    while (inner.len > 0 && (inner.ptr[inner.len - 1] == '-' || inner.ptr[inner.len - 1] == ' '))
        inner.len--;
    return str_eq(inner, name);
}

/* A tag that fills its line is a command ("alert", "include"); one within a line may stand for
 * words. */
static void
strip_line(struct str line, bool *in_comment, struct buf *out)
{
    struct str trimmed = str_trim(line);
    bool alone = tag_len(trimmed) == trimmed.len && trimmed.len > 0;
    size_t start = out->len;

    for (size_t i = 0; i < line.len;) {
        size_t len = line.ptr[i] == '{' ? tag_len(str_sub(line, i, line.len)) : 0;
        struct str tag = str_sub(line, i, len);

        if (len == 0) {
            if (!*in_comment)
                buf_append_byte(out, line.ptr[i]);
            i++;
            continue;
        }
        if (tag_is(tag, STR("comment")))
            *in_comment = true;
        else if (tag_is(tag, STR("endcomment")))
            *in_comment = false;
        else if (!*in_comment && !alone && (i == 0 || line.ptr[i - 1] != '('))
            buf_append(out, tag_words(tag));
        i += len;
    }
    /* A line of which nothing is left must not become a paragraph border. */
    if (out->len > start || trimmed.len == 0)
        buf_append_byte(out, '\n');
}

void
template_tags_strip(struct str text, struct buf *out)
{
    bool in_comment = false;
    char fence = 0;

    while (text.len > 0) {
        struct str line = next_line(&text);
        struct str trimmed = str_trim(line);
        bool is_fence =
            str_starts_with(trimmed, STR("```")) || str_starts_with(trimmed, STR("~~~"));

        if (is_fence && (fence == 0 || fence == trimmed.ptr[0]))
            fence = fence == 0 ? trimmed.ptr[0] : 0;
        if (fence != 0 || is_fence) {
            buf_append(out, line);
            buf_append_byte(out, '\n');
        } else {
            strip_line(line, &in_comment, out);
        }
    }
}
