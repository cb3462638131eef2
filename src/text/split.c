/*
 * split.c - lengths and cuts that do not hurt: UTF-16 units, pieces, ellipsis, direction
 */
#include "text/text_private.h"

#include <assert.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

/* Text looked at beyond a piece's end, so that its last sentence is known to be whole. */
#define SPLIT_LOOK_AHEAD 512
/* More than a user-perceived character has that means anything: a family of four in a skin tone
 * each has 41. */
#define ELLIPSIS_CHAR_BYTES 64

size_t
text_utf16_len(struct str s)
{
    size_t units = 0;

    for (size_t i = 0; i < s.len; i++) {
        unsigned char byte = (unsigned char)s.ptr[i];

        if ((byte & 0xc0) != 0x80)
            units += byte >= 0xf0 ? 2 : 1;
    }
    return units;
}

/* The longest prefix of at most max_units, in bytes. */
static size_t
prefix_of_units(struct str s, size_t max_units)
{
    size_t units = 0, i = 0;

    while (i < s.len) {
        unsigned char byte = (unsigned char)s.ptr[i];
        size_t more = byte >= 0xf0 ? 2 : 1;
        size_t bytes = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;

        if (units + more > max_units)
            break;
        units += more;
        i += bytes;
    }
    return i;
}

/* Last place b in (0, limit] where mark begins, or 0. */
static size_t
last_mark(struct str s, size_t limit, struct str mark)
{
    for (size_t b = limit; b > 0; b--)
        if (b + mark.len <= s.len && memcmp(s.ptr + b, mark.ptr, mark.len) == 0)
            return b;
    return 0;
}

static size_t
last_sentence_end(struct str s, size_t limit, struct arena *arena)
{
    struct text_span *spans;
    size_t look = str_utf8_floor(s, limit + SPLIT_LOOK_AHEAD);
    size_t count = text_sentences(str_sub(s, 0, look), arena, &spans);

    /* The last one may go on behind what was looked at. */
    if (look < s.len && count > 0)
        count--;
    while (count > 0 && spans[count - 1].end > limit)
        count--;
    return count == 0 ? 0 : spans[count - 1].end;
}

static size_t
last_break(struct str s, size_t limit, bool words)
{
    struct text_tools *tools = text_tools_get();
    UBreakIterator *iterator = words ? tools->words : tools->characters;
    struct str window = str_sub(s, 0, str_utf8_floor(s, limit + SPLIT_LOOK_AHEAD));
    int32_t at;

    text_tools_start(tools, iterator, window);
    if (ubrk_isBoundary(iterator, (int32_t)limit))
        return limit;
    at = ubrk_preceding(iterator, (int32_t)limit);
    return at == UBRK_DONE ? 0 : (size_t)at;
}

/* Where to cut s, which is longer than limit bytes. Never 0. */
static size_t
find_cut(struct str s, size_t limit, struct arena *arena)
{
    size_t cut = last_mark(s, limit, STR("\n\n"));

    if (cut == 0)
        cut = last_mark(s, limit, STR("\n"));
    if (cut == 0)
        cut = last_sentence_end(s, limit, arena);
    for (size_t b = limit; cut == 0 && b > 0; b--)
        if (text_is_space(s.ptr[b]))
            cut = b;
    if (cut == 0)
        cut = last_break(s, limit, true);
    if (cut == 0)
        cut = last_break(s, limit, false);
    return cut == 0 ? limit : cut;
}

size_t
text_split_utf16(struct str text, size_t max_units, struct arena *arena, struct str **pieces_out)
{
    struct str *pieces = NULL;
    size_t count = 0, capacity = 0;

    assert(max_units >= 2);
    for (struct str rest = str_trim(text); rest.len > 0;) {
        size_t limit = prefix_of_units(rest, max_units);
        size_t cut = limit == rest.len ? limit : find_cut(rest, limit, arena);

        if (count == capacity) {
            struct str *grown = ARENA_NEW_N(arena, struct str, capacity = capacity * 2 + 4);

            if (count > 0)
                memcpy(grown, pieces, count * sizeof(*grown));
            pieces = grown;
        }
        pieces[count++] = str_trim(str_sub(rest, 0, cut));
        rest = str_trim(str_sub(rest, cut, rest.len - cut));
    }
    *pieces_out = pieces;
    return count;
}

/* White space runs become one space, at the ends none. What comes after max_bytes is left out:
 * *whole_out is false then. */
static struct str
one_line(struct str text, size_t max_bytes, struct arena *arena, bool *whole_out)
{
    char *line = ARENA_NEW_N(arena, char, (text.len < max_bytes ? text.len : max_bytes) + 1);
    size_t length = 0;
    bool after_space = false;

    *whole_out = true;
    for (int32_t i = 0, begin = 0; (size_t)i < text.len; begin = i) {
        size_t room = max_bytes - length, bytes;
        UChar32 c;

        U8_NEXT(text.ptr, i, (int32_t)text.len, c);
        bytes = (size_t)(i - begin);
        if (c >= 0 && u_isUWhiteSpace(c)) {
            after_space = length > 0;
            continue;
        }
        if (bytes + after_space > room) {
            *whole_out = false;
            break;
        }
        if (after_space)
            line[length++] = ' ';
        after_space = false;
        memcpy(line + length, text.ptr + begin, bytes);
        length += bytes;
    }
    return str_of(line, length);
}

/* Where words end, when that leaves at least half of the room; else between characters: one word
 * that fills it all, or a script that parts its words by nothing. */
static size_t
end_of_words(struct str line, size_t room)
{
    size_t cut = room;

    while (cut > 0 && line.ptr[cut] != ' ')
        cut--;
    if (cut < room / 2)
        cut = last_break(line, room, true);
    return cut < room / 2 ? room : cut;
}

struct str
text_ellipsis(struct str text, size_t max_chars, struct arena *arena)
{
    struct text_tools *tools = text_tools_get();
    bool is_whole;
    struct str line =
        one_line(text, max_chars * ELLIPSIS_CHAR_BYTES + SPLIT_LOOK_AHEAD, arena, &is_whole);
    size_t room = 0, chars = 0;
    int32_t at;

    assert(max_chars >= 1);
    text_tools_start(tools, tools->characters, line);
    (void)ubrk_first(tools->characters);
    while (chars <= max_chars && (at = ubrk_next(tools->characters)) != UBRK_DONE) {
        chars++;
        /* The ellipsis itself is the last character; what the line ends in may not be whole. */
        if (chars < max_chars && (size_t)at < line.len)
            room = (size_t)at;
    }
    if (chars <= max_chars && is_whole)
        return line;
    line = str_trim(str_sub(line, 0, room > 0 ? end_of_words(line, room) : 0));
    while (line.len > 0 && memchr(",;:-", line.ptr[line.len - 1], 4) != NULL)
        line.len--;
    return arena_printf(arena, "%.*s…", STR_ARG(line));
}

bool
text_is_rtl(struct str text)
{
    for (int32_t i = 0; (size_t)i < text.len;) {
        UChar32 c;
        UCharDirection direction;

        U8_NEXT(text.ptr, i, (int32_t)text.len, c);
        if (c < 0)
            continue;
        direction = u_charDirection(c);
        if (direction == U_LEFT_TO_RIGHT)
            return false;
        if (direction == U_RIGHT_TO_LEFT || direction == U_RIGHT_TO_LEFT_ARABIC)
            return true;
    }
    return false;
}
