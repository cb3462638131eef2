/*
 * words.c - word borders (UAX 29)
 *
 * Text that is wholly ASCII, the bulk of what is indexed, goes through the same rules written out
 * by hand, ten times as fast as ICU's machine; words_test.c holds both against each other.
 */
#include "text/text_private.h"

/* To ICU "@" is a letter, so that addresses stay whole. */
static bool
is_letter_like(char c)
{
    return text_is_letter(c) || c == '@';
}

static bool
is_word_byte(char c)
{
    return is_letter_like(c) || text_is_digit(c) || c == '_';
}

/* ICU's words may also be "@" or "__". */
static bool
has_sign(struct str word)
{
    for (size_t i = 0; i < word.len; i++)
        if (text_is_letter(word.ptr[i]) || text_is_digit(word.ptr[i]) ||
            (unsigned char)word.ptr[i] >= 0x80)
            return true;
    return false;
}

/* A mark between two letters or two digits that does not end a word: WB6, WB7, WB11, WB12. */
static bool
joins_words(struct str text, size_t at)
{
    char mark = text.ptr[at], before, after;

    if (at == 0 || at + 1 >= text.len)
        return false;
    before = text.ptr[at - 1];
    after = text.ptr[at + 1];
    if (mark == '.' || mark == '\'')
        return (is_letter_like(before) && is_letter_like(after)) ||
               (text_is_digit(before) && text_is_digit(after));
    if (mark == ',' || mark == ';')
        return text_is_digit(before) && text_is_digit(after);
    return false;
}

static void
words_of_ascii(struct str text, struct text_span_list *list)
{
    size_t i = 0;

    while (i < text.len) {
        size_t start = i;

        while (i < text.len && (is_word_byte(text.ptr[i]) || joins_words(text, i)))
            i++;
        if (i == start)
            i++;
        else if (has_sign(str_sub(text, start, i - start)))
            text_span_add(list, start, i);
    }
}

static void
words_of_any(struct str text, struct text_span_list *list)
{
    struct text_tools *tools = text_tools_get();
    int32_t start, end;

    text_tools_start(tools, tools->words, text);
    start = ubrk_first(tools->words);
    while ((end = ubrk_next(tools->words)) != UBRK_DONE) {
        if (ubrk_getRuleStatus(tools->words) >= UBRK_WORD_NUMBER &&
            has_sign(str_sub(text, (size_t)start, (size_t)(end - start))))
            text_span_add(list, (size_t)start, (size_t)end);
        start = end;
    }
}

size_t
text_words(struct str text, struct arena *arena, struct text_span **spans_out)
{
    struct text_span_list list = {.arena = arena};

    if (text_is_ascii(text))
        words_of_ascii(text, &list);
    else
        words_of_any(text, &list);
    *spans_out = list.spans;
    return list.count;
}
