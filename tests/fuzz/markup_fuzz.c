/*
 * markup_fuzz.c - any text as an answer's light markup: parsed, rendered in each style, split
 *
 * Spans hold the text in order and nothing else; plain rendering loses no word; HTML is whole
 * (tags close in order, nothing bare); parts are within their limit and say all that the text says.
 */
#include <assert.h>
#include <string.h>

#include "channel/markup.h"
#include "text/text.h"

#define ARENA_BYTES ((size_t)128 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each span is a piece of the text behind the one before it. */
static void
check_spans(struct str text, struct arena *arena)
{
    struct markup_span *spans;
    size_t count = markup_parse(text, arena, &spans);
    const char *at = text.ptr;

    for (size_t i = 0; i < count; i++) {
        assert(spans[i].text.len > 0);
        assert(spans[i].text.ptr >= at);
        at = spans[i].text.ptr + spans[i].text.len;
        assert(at <= text.ptr + text.len);
        assert(str_is_utf8(spans[i].text) && str_is_utf8(spans[i].url));
    }
}

/* <b>, <i>, <code>, <a href="...">: each closed by its own, in order, and no bare sign between. */
static void
check_html(struct str html)
{
    struct str open[8];
    size_t depth = 0;

    for (size_t i = 0; i < html.len; i++) {
        assert(html.ptr[i] != '>');
        if (html.ptr[i] != '<')
            continue;
        size_t end = i + 1;

        while (end < html.len && html.ptr[end] != '>')
            end++;
        assert(end < html.len);
        struct str tag = str_sub(html, i + 1, end - i - 1), name = tag;

        assert(str_find_byte(tag, '<') < 0);
        if (str_starts_with(tag, STR("/"))) {
            assert(depth > 0 && str_eq(open[depth - 1], str_sub(tag, 1, tag.len)));
            depth--;
        } else {
            struct str rest = tag;

            (void)str_split(&rest, ' ', &name);
            assert(str_eq_c(name, "b") || str_eq_c(name, "i") || str_eq_c(name, "code") ||
                   str_eq_c(name, "a"));
            assert(depth < sizeof open / sizeof open[0]);
            open[depth++] = name;
        }
        i = end;
    }
    assert(depth == 0);
}

static bool
is_word_byte(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 0x80;
}

/* Letters and digits of the text without marks are those of the rendered one, in order; addresses
 * may stand between them. */
static bool
holds_words(struct str whole, struct str words)
{
    size_t at = 0;

    for (size_t i = 0; i < words.len; i++) {
        if (!is_word_byte((unsigned char)words.ptr[i]))
            continue;
        while (at < whole.len && whole.ptr[at] != words.ptr[i])
            at++;
        if (at++ == whole.len)
            return false;
    }
    return true;
}

static void
check_styles(struct str text, struct arena *arena)
{
    static const struct markup_style *const styles[] = {&markup_plain, &markup_whatsapp,
                                                        &markup_html};
    struct markup_span *spans;
    size_t count = markup_parse(text, arena, &spans);

    for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++) {
        bool has_marks = false;
        struct str rendered = markup_render(text, styles[i], arena, &has_marks);

        assert(str_is_utf8(rendered));
        if (rendered.ptr == text.ptr) /* over the limit, or nothing to render */
            continue;
        for (size_t k = 0; k < count; k++)
            assert(holds_words(rendered, spans[k].text));
        if (styles[i] == &markup_html)
            check_html(rendered);
    }
}

static void
check_parts(struct str text, size_t max_units, struct arena *arena)
{
    struct str *parts;
    size_t count = markup_split(text, max_units, arena, &parts);
    struct buf joined;

    buf_init(&joined, ARENA_BYTES);
    for (size_t i = 0; i < count; i++) {
        assert(parts[i].len > 0 && str_is_utf8(parts[i]));
        assert(count == 1 || text_utf16_len(parts[i]) <= max_units);
        buf_append(&joined, parts[i]);
    }
    assert(count > 0 || str_trim(text).len == 0);
    assert(holds_words(buf_str(&joined), text));
    buf_deinit(&joined);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena;
    struct str text;

    if (size < 2)
        return 0;
    arena = arena_create(ARENA_BYTES);
    text = arena_str(arena, str_of((const char *)data + 1, size - 1));
    if (str_is_utf8(text)) {
        check_spans(text, arena);
        check_styles(text, arena);
        check_parts(text, 16 + data[0], arena);
    }
    arena_destroy(&arena);
    return 0;
}
