/*
 * markup.c - light markup to spans, spans to a provider's own, and parts under its limit
 *
 * One walk over the text makes flat spans, each with all that holds for it. Rendering keeps a stack
 * of open marks and changes it where neighbours differ, so that what it makes is balanced.
 */
#include "channel/markup.h"

#include <assert.h>
#include <string.h>

#include "text/text.h"

#define RENDERED_MAX_BYTES (256 * 1024)
/* Marks put back where a part's end fell into a run: "**", "_" and "`" at both ends. */
#define MARKS_MAX_UNITS 8
#define NESTING_MAX 8

struct reader {
    struct str text;
    struct arena *arena;
    struct markup_span *spans;
    size_t count, room;
};

/* One marked run. */
struct run {
    unsigned flag; /* 0 with a url: a link; 0 without: no run */
    struct str url;
    size_t inner, inner_end, end; /* offsets into the text */
};

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* A letter or digit; bytes over 127 are taken for letters. */
static bool
is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 128;
}

/* [from, to) without marks of its own. */
static void
add_span(struct reader *reader, size_t from, size_t to, unsigned flags, struct str url)
{
    if (from == to)
        return;
    if (reader->count == reader->room) {
        size_t room = reader->room == 0 ? 16 : reader->room * 2;
        struct markup_span *spans = ARENA_NEW_N(reader->arena, struct markup_span, room);

        if (reader->count > 0)
            memcpy(spans, reader->spans, reader->count * sizeof *spans);
        reader->spans = spans;
        reader->room = room;
    }
    reader->spans[reader->count++] =
        (struct markup_span){flags, str_sub(reader->text, from, to - from), url};
}

/* Where sign stands again in [from, to) and ends what it began at from; to when nowhere. */
static size_t
find_close(struct str text, size_t from, size_t to, struct str sign)
{
    bool is_italic = sign.len == 1 && sign.ptr[0] != '`';

    for (size_t at = from; at + sign.len <= to && text.ptr[at] != '\n'; at++) {
        if (!str_starts_with(str_sub(text, at, sign.len), sign))
            continue;
        if (!is_italic)
            return at > from && !is_space(text.ptr[at - 1]) ? at : to;
        if (at + 1 < to && text.ptr[at] == '*' && text.ptr[at + 1] == '*') {
            at++; /* a pair is bold's */
            continue;
        }
        if (at > from && !is_space(text.ptr[at - 1]) &&
            (at + 1 == text.len || !is_word(text.ptr[at + 1])))
            return at;
    }
    return to;
}

static struct run
read_marked(struct str text, size_t at, size_t to, struct str sign, unsigned flag)
{
    struct run none = {.flag = 0};
    size_t inner = at + sign.len;

    if (inner >= to || is_space(text.ptr[inner]))
        return none;
    size_t close = find_close(text, inner, to, sign);
    if (close == to)
        return none;
    return (struct run){flag, STR_EMPTY, inner, close, close + sign.len};
}

static bool
is_link(struct str url)
{
    static const char *const schemes[] = {"https://", "http://", "mailto:", "tel:"};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (str_starts_with(url, str_from_c(schemes[i])))
            return url.len > strlen(schemes[i]);
    return false;
}

/* [label](url); brackets within the address come in pairs. */
static struct run
read_link(struct str text, size_t at, size_t to)
{
    struct run none = {.flag = 0};
    size_t close = at + 1, end, depth = 0;

    while (close < to && text.ptr[close] != ']' && text.ptr[close] != '[' &&
           text.ptr[close] != '\n')
        close++;
    if (close == at + 1 || close + 1 >= to || text.ptr[close] != ']' || text.ptr[close + 1] != '(')
        return none;
    for (end = close + 2;
         end < to && (unsigned char)text.ptr[end] > ' ' && (text.ptr[end] != ')' || depth > 0);
         end++) {
        if (text.ptr[end] == '(')
            depth++;
        else if (text.ptr[end] == ')')
            depth--;
    }
    struct str url = str_sub(text, close + 2, end - (close + 2));
    if (end >= to || text.ptr[end] != ')' || !is_link(url))
        return none;
    return (struct run){0, url, at + 1, close, end + 1};
}

static struct run
read_run(struct str text, size_t at, size_t to)
{
    struct run none = {.flag = 0};
    struct str left = str_sub(text, at, to - at);
    bool after_word = at > 0 && is_word(text.ptr[at - 1]);

    if (str_starts_with(left, STR("**")))
        return read_marked(text, at, to, STR("**"), MARKUP_BOLD);
    if (left.ptr[0] == '`')
        return read_marked(text, at, to, STR("`"), MARKUP_CODE);
    if (left.ptr[0] == '*' && !after_word)
        return read_marked(text, at, to, STR("*"), MARKUP_ITALIC);
    if (left.ptr[0] == '_' && !after_word)
        return read_marked(text, at, to, STR("_"), MARKUP_ITALIC);
    return left.ptr[0] == '[' ? read_link(text, at, to) : none;
}

/* Length of an item's sign at the beginning of a line, after blanks; 0: no item. */
static size_t
item_sign(struct str text, size_t at, size_t to)
{
    size_t start = at;

    while (start > 0 && text.ptr[start - 1] == ' ')
        start--;
    if (start > 0 && text.ptr[start - 1] != '\n')
        return 0;
    return at + 2 < to && (text.ptr[at] == '-' || text.ptr[at] == '*') && text.ptr[at + 1] == ' '
               ? 2
               : 0;
}

/* Where reading goes on after what is no run: the second star of a lonely pair begins no other. */
static size_t
after_plain(struct str text, size_t at)
{
    return at + (str_starts_with(str_sub(text, at, 2), STR("**")) ? 2 : 1);
}

/* NOLINTNEXTLINE(misc-no-recursion): no deeper than NESTING_MAX. */
static void
read_range(struct reader *reader, size_t from, size_t to, unsigned flags, struct str url, int depth)
{
    struct str text = reader->text;
    size_t start = from;

    for (size_t at = from; at < to;) {
        struct run run = {.flag = 0};
        size_t sign = depth == 0 ? item_sign(text, at, to) : 0;

        if (sign > 0) {
            add_span(reader, start, at, flags, url);
            add_span(reader, at, at + sign, flags | MARKUP_BULLET, url);
            at = start = at + sign;
            continue;
        }
        if (strchr("*`_[", text.ptr[at]) != NULL && text.ptr[at] != '\0' && depth < NESTING_MAX)
            run = read_run(text, at, to);
        if (run.end == 0 || (run.url.len > 0 && url.len > 0)) {
            size_t next = after_plain(text, at);
            at = next < to ? next : to;
            continue;
        }
        add_span(reader, start, at, flags, url);
        /* An address as its own label needs no second mention. */
        bool is_own_label =
            run.url.len > 0 && str_eq(str_sub(text, run.inner, run.inner_end - run.inner), run.url);
        struct str inner_url = run.url.len > 0 && !is_own_label ? run.url : url;
        if (run.flag == MARKUP_CODE || is_own_label)
            add_span(reader, run.inner, run.inner_end, flags | run.flag, inner_url);
        else
            read_range(reader, run.inner, run.inner_end, flags | run.flag, inner_url, depth + 1);
        at = start = run.end;
    }
    add_span(reader, start, to, flags, url);
}

size_t
markup_parse(struct str text, struct arena *arena, struct markup_span **spans_out)
{
    struct reader reader = {.text = text, .arena = arena};

    read_range(&reader, 0, text.len, 0, STR_EMPTY, 0);
    *spans_out = reader.spans;
    return reader.count;
}

/* --- rendering --- */

void
markup_escape_html(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '&')
            buf_append_c(out, "&amp;");
        else if (text.ptr[i] == '<')
            buf_append_c(out, "&lt;");
        else if (text.ptr[i] == '>')
            buf_append_c(out, "&gt;");
        else if (text.ptr[i] == '"')
            buf_append_c(out, "&quot;");
        else
            buf_append_byte(out, text.ptr[i]);
    }
}

static void
html_link_open(struct buf *out, struct str url)
{
    buf_append_c(out, "<a href=\"");
    markup_escape_html(out, url);
    buf_append_c(out, "\">");
}

static void
html_link_close(struct buf *out, struct str url)
{
    (void)url;
    buf_append_c(out, "</a>");
}

static void
plain_link_close(struct buf *out, struct str url)
{
    buf_append_c(out, " (");
    buf_append(out, url);
    buf_append_c(out, ")");
}

const struct markup_style markup_html = {
    .bold = {"<b>", "</b>"},
    .italic = {"<i>", "</i>"},
    .code = {"<code>", "</code>"},
    .text = markup_escape_html,
    .link_open = html_link_open,
    .link_close = html_link_close,
};

const struct markup_style markup_plain = {.link_close = plain_link_close};

const struct markup_style markup_whatsapp = {
    .bold = {"*", "*"},
    .italic = {"_", "_"},
    .code = {"`", "`"},
    .link_close = plain_link_close,
};

static void
append_mark(struct buf *out, const char *mark)
{
    if (mark != NULL)
        buf_append_c(out, mark);
}

/* What can hold for a span: the flags by their numbers, and a link. */
enum { BOLD, ITALIC, CODE, LINK, KIND_COUNT };

struct renderer {
    struct buf out;
    const struct markup_style *style;
    const struct markup_span *spans;
    size_t count;
    int open[KIND_COUNT]; /* kinds, the outermost first */
    int depth;
    struct str url; /* of the open link */
};

static bool
holds(const struct markup_span *span, int kind, struct str url)
{
    if (kind == LINK)
        return span->url.len > 0 && span->url.ptr == url.ptr;
    return (span->flags & (1u << kind)) != 0;
}

static void
write_mark(struct renderer *r, int kind, bool opens)
{
    const struct markup_style *style = r->style;
    const struct markup_mark marks[] = {style->bold, style->italic, style->code};
    void (*link)(struct buf * out, struct str url) = opens ? style->link_open : style->link_close;

    if (kind == LINK && link != NULL)
        link(&r->out, r->url);
    else if (kind != LINK)
        append_mark(&r->out, opens ? marks[kind].open : marks[kind].close);
}

/* The closed kind that begins at span and lasts longest; KIND_COUNT when there is none. */
static int
next_to_open(const struct renderer *r, size_t at)
{
    size_t longest = 0;
    int best = KIND_COUNT;

    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct str url = r->spans[at].url;
        size_t lasts = 0;
        bool is_open = false;

        for (int i = 0; i < r->depth; i++)
            is_open = is_open || r->open[i] == kind;
        while (!is_open && at + lasts < r->count && holds(&r->spans[at + lasts], kind, url))
            lasts++;
        if (lasts > longest) {
            longest = lasts;
            best = kind;
        }
    }
    return best;
}

/* What does not hold for the span closes, with all that stands within it; what begins opens. */
static void
change_marks(struct renderer *r, size_t at)
{
    int keep = 0, kind;

    while (at < r->count && keep < r->depth && holds(&r->spans[at], r->open[keep], r->url))
        keep++;
    while (r->depth > keep)
        write_mark(r, r->open[--r->depth], false);
    while (at < r->count && (kind = next_to_open(r, at)) != KIND_COUNT) {
        if (kind == LINK)
            r->url = r->spans[at].url;
        r->open[r->depth++] = kind;
        write_mark(r, kind, true);
    }
}

static void
append_text(struct buf *out, const struct markup_style *style, struct str text)
{
    struct str rest = text, line;
    bool is_first = true;

    if (style->line_break == NULL) {
        if (style->text == NULL)
            buf_append(out, text);
        else
            style->text(out, text);
        return;
    }
    while (str_split(&rest, '\n', &line)) {
        if (!is_first)
            buf_append_c(out, style->line_break);
        is_first = false;
        if (style->text == NULL)
            buf_append(out, line);
        else
            style->text(out, line);
    }
}

struct str
markup_render(struct str text, const struct markup_style *style, struct arena *arena,
              bool *has_marks_out)
{
    struct renderer r = {.style = style};
    struct markup_span *spans;
    struct err ignored;
    bool has_marks = false;

    r.count = markup_parse(text, arena, &spans);
    r.spans = spans;
    buf_init(&r.out, RENDERED_MAX_BYTES);
    for (size_t i = 0; i < r.count; i++) {
        bool is_bullet = (spans[i].flags & MARKUP_BULLET) != 0;
        unsigned marks = spans[i].flags & ~(unsigned)MARKUP_BULLET;

        change_marks(&r, i);
        if (is_bullet && style->bullet != NULL)
            buf_append_c(&r.out, style->bullet);
        else
            append_text(&r.out, style, spans[i].text);
        has_marks =
            has_marks || marks != 0 || spans[i].url.len > 0 || (is_bullet && style->bullet != NULL);
    }
    change_marks(&r, r.count);
    bool is_whole = buf_check(&r.out, &ignored) == ST_OK;
    struct str rendered = is_whole ? arena_str(arena, buf_str(&r.out)) : text;
    buf_deinit(&r.out);
    if (has_marks_out != NULL)
        *has_marks_out = has_marks && is_whole;
    return rendered;
}

/* --- parts --- */

/* What holds on both sides of a cut. */
static unsigned
flags_at(struct str text, const struct markup_span *spans, size_t count, size_t cut)
{
    unsigned before = 0;

    for (size_t i = 0; i < count; i++) {
        size_t start = (size_t)(spans[i].text.ptr - text.ptr), end = start + spans[i].text.len;

        if (cut <= start)
            return before & spans[i].flags & ~(unsigned)MARKUP_BULLET;
        if (cut < end)
            return spans[i].flags & ~(unsigned)MARKUP_BULLET;
        before = spans[i].flags;
    }
    return 0;
}

static struct str
signs(unsigned flags, bool closing, struct arena *arena)
{
    const char *bold = (flags & MARKUP_BOLD) != 0 ? "**" : "";
    const char *italic = (flags & MARKUP_ITALIC) != 0 ? "_" : "";
    const char *code = (flags & MARKUP_CODE) != 0 ? "`" : "";

    return closing ? arena_printf(arena, "%s%s%s", code, italic, bold)
                   : arena_printf(arena, "%s%s%s", bold, italic, code);
}

size_t
markup_split(struct str text, size_t max_units, struct arena *arena, struct str **parts_out)
{
    struct markup_span *spans;
    struct str *parts;

    assert(max_units > MARKS_MAX_UNITS);
    if (text_utf16_len(text) <= max_units)
        return text_split_utf16(text, max_units, arena, parts_out);
    size_t span_count = markup_parse(text, arena, &spans);
    size_t count = text_split_utf16(text, max_units - MARKS_MAX_UNITS, arena, &parts);
    struct str *whole = ARENA_NEW_N(arena, struct str, count);

    for (size_t i = 0; i < count; i++) {
        size_t start = (size_t)(parts[i].ptr - text.ptr), end = start + parts[i].len;
        unsigned before = flags_at(text, spans, span_count, start);
        unsigned after = flags_at(text, spans, span_count, end);

        /* The piece's own white space was trimmed: a mark that stood at its edge is outside. */
        whole[i] = parts[i];
        if (before != 0 || after != 0) {
            struct buf marked;

            buf_init(&marked, parts[i].len + 2 * MARKS_MAX_UNITS);
            buf_append(&marked, signs(before, false, arena));
            buf_append(&marked, parts[i]); /* it may hold a NUL, at which "%s" would end */
            buf_append(&marked, signs(after, true, arena));
            whole[i] = arena_str(arena, buf_str(&marked));
            buf_deinit(&marked);
        }
    }
    *parts_out = whole;
    return count;
}
