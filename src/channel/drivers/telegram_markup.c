/*
 * telegram_markup.c - the product's light markup as Telegram's HTML, and parts under its limit
 *
 * The markup: **bold** and `code`, within one line, everything else is plain text ("[1]" too). A
 * mark without its partner is plain text. HTML made here is balanced, because tags come in pairs
 * only. Telegram counts UTF-16 units after it took the tags out, so marks and escapes cost nothing.
 */
#include "channel/drivers/telegram.h"

#include <string.h>

#include "base/buf.h"
#include "text/text.h"

#define HTML_MAX_BYTES (256 * 1024)
/* Marks put back where a part's end fell into bold or code: "**" at both ends. */
#define MARKS_MAX_UNITS 4

enum mark { MARK_NONE, MARK_BOLD, MARK_CODE };

struct run {
    enum mark mark;
    struct str whole; /* with its marks */
    struct str inner;
};

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t
line_end(struct str text, size_t at)
{
    while (at < text.len && text.ptr[at] != '\n')
        at++;
    return at;
}

/* The run that begins at `at`, or one with MARK_NONE. */
static struct run
read_run(struct str text, size_t at)
{
    struct run none = {.mark = MARK_NONE};
    struct str left = str_sub(text, at, line_end(text, at) - at);
    struct str sign;
    enum mark mark;

    if (str_starts_with(left, STR("**"))) {
        sign = STR("**");
        mark = MARK_BOLD;
    } else if (str_starts_with(left, STR("`"))) {
        sign = STR("`");
        mark = MARK_CODE;
    } else {
        return none;
    }
    struct str after = str_sub(left, sign.len, left.len);
    ptrdiff_t length = str_find(after, sign);
    if (length <= 0 || is_space(after.ptr[0]) || is_space(after.ptr[length - 1]))
        return none;
    return (struct run){.mark = mark,
                        .whole = str_sub(left, 0, (size_t)length + 2 * sign.len),
                        .inner = str_sub(after, 0, (size_t)length)};
}

static void
append_escaped(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '&')
            buf_append_c(out, "&amp;");
        else if (text.ptr[i] == '<')
            buf_append_c(out, "&lt;");
        else if (text.ptr[i] == '>')
            buf_append_c(out, "&gt;");
        else
            buf_append_byte(out, text.ptr[i]);
    }
}

/* Appends text with its runs as tags (or, plain, without their marks); says how many there were. */
static size_t
render(struct buf *out, struct str text, bool plain)
{
    size_t runs = 0, from = 0;

    for (size_t at = 0; at < text.len;) {
        struct run run = read_run(text, at);

        if (run.mark == MARK_NONE) {
            /* The second star of a lonely pair must not begin another pair. */
            at += str_starts_with(str_sub(text, at, 2), STR("**")) ? 2 : 1;
            continue;
        }
        struct str before = str_sub(text, from, at - from);
        if (plain) {
            buf_append(out, before);
            if (run.mark == MARK_BOLD)
                (void)render(out, run.inner, true);
            else
                buf_append(out, run.inner);
        } else {
            append_escaped(out, before);
            buf_append_c(out, run.mark == MARK_BOLD ? "<b>" : "<code>");
            if (run.mark == MARK_BOLD)
                (void)render(out, run.inner, false);
            else
                append_escaped(out, run.inner);
            buf_append_c(out, run.mark == MARK_BOLD ? "</b>" : "</code>");
        }
        runs++;
        at += run.whole.len;
        from = at;
    }
    if (plain)
        buf_append(out, str_sub(text, from, text.len));
    else
        append_escaped(out, str_sub(text, from, text.len));
    return runs;
}

bool
telegram_markup_html(struct str text, struct arena *arena, struct str *html_out)
{
    struct buf html;
    struct err ignored;

    *html_out = STR_EMPTY;
    buf_init(&html, HTML_MAX_BYTES);
    size_t runs = render(&html, text, false);
    bool is_useful = runs > 0 && buf_check(&html, &ignored) == ST_OK;
    if (is_useful)
        *html_out = arena_str(arena, buf_str(&html));
    buf_deinit(&html);
    return is_useful;
}

struct str
telegram_markup_plain(struct str text, struct arena *arena)
{
    struct buf plain;
    struct err ignored;

    buf_init(&plain, HTML_MAX_BYTES);
    (void)render(&plain, text, true);
    struct str out =
        buf_check(&plain, &ignored) == ST_OK ? arena_str(arena, buf_str(&plain)) : text;
    buf_deinit(&plain);
    return out;
}

/* --- parts --- */

/* The mark of the run that the cut at `cut` falls into; a cut between runs gives "". Runs do not
 * pass the end of a line, so looking begins at the line's start. */
static struct str
mark_at(struct str text, size_t cut)
{
    size_t at = cut;

    while (at > 0 && text.ptr[at - 1] != '\n')
        at--;
    while (at < cut) {
        struct run run = read_run(text, at);
        size_t sign = run.mark == MARK_BOLD ? 2 : 1;

        if (run.mark == MARK_NONE) {
            at += str_starts_with(str_sub(text, at, 2), STR("**")) ? 2 : 1;
        } else if (at + run.whole.len > cut) {
            /* Only a cut within the inner text leaves something on both sides to be marked. */
            bool inside = cut > at + sign && cut < at + run.whole.len - sign;
            if (!inside)
                return STR_EMPTY;
            return run.mark == MARK_BOLD ? STR("**") : STR("`");
        } else {
            at += run.whole.len;
        }
    }
    return STR_EMPTY;
}

size_t
telegram_split(struct channel *channel, struct str text, struct arena *arena,
               struct str **parts_out)
{
    struct str *parts;

    (void)channel;
    if (text_utf16_len(text) <= TELEGRAM_TEXT_MAX_UNITS)
        return text_split_utf16(text, TELEGRAM_TEXT_MAX_UNITS, arena, parts_out);
    size_t count = text_split_utf16(text, TELEGRAM_TEXT_MAX_UNITS - MARKS_MAX_UNITS, arena, &parts);
    struct str *whole = ARENA_NEW_N(arena, struct str, count);

    for (size_t i = 0; i < count; i++) {
        size_t start = (size_t)(parts[i].ptr - text.ptr), end = start + parts[i].len;
        struct str before = mark_at(text, start), after = mark_at(text, end);

        /* The piece's own white space was trimmed: a mark that stood at its edge is outside. */
        whole[i] = parts[i];
        if (before.len > 0 || after.len > 0)
            whole[i] = arena_printf(arena, "%.*s%.*s%.*s", STR_ARG(before), STR_ARG(parts[i]),
                                    STR_ARG(after));
    }
    *parts_out = whole;
    return count;
}
