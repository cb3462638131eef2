/*
 * extractive_clean.c - a line of document text as a person would read it aloud
 *
 * Documents come normalised, but markup written into them stays: links, emphasis, code ticks, tags,
 * template braces, and note numbers in brackets, which would pass for citations in an answer.
 */
#include "model/drivers/extractive.h"

#include <string.h>

/* Index of the byte that closes what text[start] opens, or text.len. */
static size_t
closing(struct str text, size_t start, char open, char close)
{
    size_t depth = 0;

    for (size_t i = start; i < text.len; i++) {
        if (text.ptr[i] == open)
            depth++;
        else if (text.ptr[i] == close && --depth == 0)
            return i;
    }
    return text.len;
}

static bool
all_digits_or_commas(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (!((c >= '0' && c <= '9') || c == ',' || c == ' ' || c == '^'))
            return false;
    }
    return text.len > 0 && text.len <= 12;
}

/* "[text](target)", "[text][ref]", "[12]", "[^note]": what is left of it goes out. Returns the
 * bytes used. */
static size_t
clean_bracket(struct str text, size_t at, bool image, struct buf *out)
{
    size_t end = closing(text, at, '[', ']');
    struct str inner;
    size_t next = end + 1;

    if (end >= text.len) {
        buf_append_byte(out, '[');
        return 1;
    }
    inner = str_sub(text, at + 1, end - at - 1);
    if (next < text.len && text.ptr[next] == '(') {
        size_t target_end = closing(text, next, '(', ')');

        if (target_end < text.len) {
            if (!image)
                ex_clean_inline(inner, out);
            return target_end + 1 - at;
        }
    }
    if (next < text.len && text.ptr[next] == '[') {
        size_t ref_end = closing(text, next, '[', ']');

        if (ref_end < text.len && !all_digits_or_commas(inner)) {
            if (!image)
                ex_clean_inline(inner, out);
            return ref_end + 1 - at;
        }
    }
    /* A note's number would read as a citation of ours; words right behind a word or a full stop
     * ("modern[vague]") are an editor's note, not the author's. */
    if (all_digits_or_commas(inner) || str_starts_with(inner, STR("^")) ||
        (at > 0 && text.ptr[at - 1] != ' ' && text.ptr[at - 1] != '(' && inner.len <= 40 &&
         inner.len > 1))
        return next - at;
    buf_append_byte(out, '[');
    ex_clean_inline(inner, out);
    buf_append_byte(out, ']');
    return next - at;
}

/* "<br>", "</a>", "<https://...>": tags vanish, addresses stay. Returns the bytes used. */
static size_t
clean_angle(struct str text, size_t at, struct buf *out)
{
    size_t end = at + 1;
    struct str inner;
    char first = end < text.len ? text.ptr[end] : ' ';

    if (!((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '/' ||
          first == '!')) {
        buf_append_byte(out, '<');
        return 1;
    }
    while (end < text.len && text.ptr[end] != '>')
        end++;
    if (end >= text.len) {
        buf_append_byte(out, '<');
        return 1;
    }
    inner = str_sub(text, at + 1, end - at - 1);
    if (str_starts_with(inner, STR("http")) || str_find_byte(inner, '@') > 0)
        buf_append(out, inner);
    else
        buf_append_byte(out, ' ');
    return end + 1 - at;
}

/* "{% ... %}", "{{ ... }}", "{: ... }" of page templates. 0: none here. */
static size_t
template_len(struct str text, size_t at)
{
    struct str rest = str_sub(text, at, text.len - at);
    const char *close = NULL;
    ptrdiff_t end;

    if (str_starts_with(rest, STR("{%")))
        close = "%}";
    else if (str_starts_with(rest, STR("{{")))
        close = "}}";
    else if (str_starts_with(rest, STR("{:")) || str_starts_with(rest, STR("{#")))
        close = "}";
    if (close == NULL)
        return 0;
    end = str_find(rest, str_from_c(close));
    return end < 0 ? 0 : (size_t)end + strlen(close);
}

static bool
is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (unsigned char)c >= 0x80;
}

/* Emphasis: markers at a word's edge; a lone '*' or '_' inside a word or between spaces stays. */
static size_t
emphasis_len(struct str text, size_t at)
{
    char mark = text.ptr[at];
    size_t len = 1;
    bool space_before, space_after, word_before, word_after;

    while (at + len < text.len && text.ptr[at + len] == mark && len < 3)
        len++;
    space_before = at == 0 || text.ptr[at - 1] == ' ';
    space_after = at + len >= text.len || text.ptr[at + len] == ' ';
    word_before = at > 0 && is_word_byte(text.ptr[at - 1]);
    word_after = at + len < text.len && is_word_byte(text.ptr[at + len]);
    if (space_before && space_after && at > 0 && at + len < text.len)
        return 0;
    if (mark == '_' && word_before && word_after)
        return 0;
    if (mark == '*' && len == 1 && word_before && word_after)
        return 0;
    return len;
}

void
ex_clean_inline(struct str text, struct buf *out)
{
    size_t i = 0;

    while (i < text.len) {
        char c = text.ptr[i];
        size_t used = 0;

        if (c == '!' && i + 1 < text.len && text.ptr[i + 1] == '[')
            used = 1 + clean_bracket(text, i + 1, true, out);
        else if (c == '[')
            used = clean_bracket(text, i, false, out);
        else if (c == '<')
            used = clean_angle(text, i, out);
        else if (c == '{')
            used = template_len(text, i);
        else if (c == '`')
            used = 1;
        else if (c == '*' || c == '_')
            used = emphasis_len(text, i);
        else if (c == '~' && i + 1 < text.len && text.ptr[i + 1] == '~')
            used = 2;
        else if (c == '\\' && i + 1 < text.len && strchr("\\`*_{}[]()#+-.!|>~", text.ptr[i + 1])) {
            if (text.ptr[i + 1] != '*') /* a footnote's star: there is no foot here */
                buf_append_byte(out, text.ptr[i + 1]);
            used = 2;
        }
        if (used == 0) {
            buf_append_byte(out, c);
            used = 1;
        }
        i += used;
    }
}

/* White space to single spaces, none at the ends or before a full stop or comma. In place. */
struct str
ex_clean_spaces(char *text, size_t len)
{
    size_t kept = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            if (kept > 0 && text[kept - 1] != ' ')
                text[kept++] = ' ';
            continue;
        }
        if ((c == '.' || c == ',') && kept > 0 && text[kept - 1] == ' ' &&
            (i + 1 >= len || text[i + 1] == ' '))
            kept--;
        text[kept++] = c;
    }
    while (kept > 0 && text[kept - 1] == ' ')
        kept--;
    return str_of(text, kept);
}
