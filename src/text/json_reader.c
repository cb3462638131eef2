/*
 * json_reader.c - common JSON to jansson's values, a few times faster than jansson reads it
 *
 * Every webhook is read while its provider waits, and jansson's reader, which goes byte by byte
 * through a growing buffer, was the largest share of accepting one (docs/decisions/0005). This one
 * copies strings whole. It is not a second judge of JSON: whatever it does not know (fractions,
 * large numbers, any mistake) it leaves to jansson, from the start. What it takes, jansson takes,
 * with an equal value: tests/fuzz/json_fuzz.c.
 */
#include "text/json_private.h"

#include <stdlib.h>
#include <string.h>

/* 10^18 - 1 is less than 2^63. */
#define INTEGER_MAX_DIGITS 18
/* Longer strings with escapes are taken apart on the heap. */
#define UNESCAPED_ON_STACK 1024

struct reader {
    const char *at, *end;
    unsigned levels; /* that may still be opened */
};

static json_t *read_value(struct reader *reader);

static void
skip_space(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' ||
                                        *reader->at == '\r' || *reader->at == '\t'))
        reader->at++;
}

/* After white space; the byte is passed when it is the one. */
static bool
take(struct reader *reader, char wanted)
{
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != wanted)
        return false;
    reader->at++;
    return true;
}

static bool
take_word(struct reader *reader, struct str word)
{
    if ((size_t)(reader->end - reader->at) < word.len ||
        memcmp(reader->at, word.ptr, word.len) != 0)
        return false;
    reader->at += word.len;
    return true;
}

/* --- strings --- */

/* The bytes up to the closing quote, which is passed. */
static bool
take_quoted(struct reader *reader, struct str *inside_out, bool *escaped_out)
{
    const char *at = reader->at;

    *escaped_out = false;
    for (; at < reader->end && *at != '"'; at++) {
        if ((unsigned char)*at < 0x20)
            return false;
        if (*at == '\\') {
            *escaped_out = true;
            if (++at == reader->end)
                return false;
        }
    }
    if (at >= reader->end)
        return false;
    *inside_out = str_of(reader->at, (size_t)(at - reader->at));
    reader->at = at + 1;
    return true;
}

/* Four hexadecimal digits; -1: not. */
static int32_t
hex4(const char *at, const char *end)
{
    int32_t value = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit;

        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (c >= 'a' && c <= 'f')
            digit = c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            digit = c - 'A' + 10;
        else
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static char *
put_utf8(char *to, int32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    if (code < 0x800) {
        *to++ = (char)(0xC0 | (code >> 6));
    } else {
        if (code < 0x10000) {
            *to++ = (char)(0xE0 | (code >> 12));
        } else {
            *to++ = (char)(0xF0 | (code >> 18));
            *to++ = (char)(0x80 | ((code >> 12) & 0x3F));
        }
        *to++ = (char)(0x80 | ((code >> 6) & 0x3F));
    }
    *to++ = (char)(0x80 | (code & 0x3F));
    return to;
}

/* at: after "\u"; where the text goes on, NULL when it is nothing that may be written so. */
static const char *
take_code(const char *at, const char *end, char **to)
{
    int32_t code = hex4(at, end), low;

    at += 4;
    if (code <= 0 || (code >= 0xDC00 && code <= 0xDFFF))
        return NULL;
    if (code >= 0xD800 && code <= 0xDBFF) {
        low = end - at >= 2 && at[0] == '\\' && at[1] == 'u' ? hex4(at + 2, end) : -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return NULL;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        at += 6;
    }
    *to = put_utf8(*to, code);
    return at;
}

/* room: as many bytes as inside has, which escapes only shorten. */
static bool
unescape(struct str inside, char *room, size_t *len_out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *at = inside.ptr, *end = inside.ptr + inside.len;
    char *to = room;

    while (at != NULL && at < end) {
        const char *next = memchr(at, '\\', (size_t)(end - at));
        const char *name;
        size_t plain = (size_t)((next == NULL ? end : next) - at);

        memcpy(to, at, plain);
        to += plain;
        if (next == NULL)
            break;
        if (next[1] == 'u') { /* take_quoted saw a byte after the stroke */
            at = take_code(next + 2, end, &to);
            if (at == NULL)
                return false;
            continue;
        }
        name = memchr(names, next[1], sizeof(names) - 1);
        if (name == NULL)
            return false;
        *to++ = values[name - names];
        at = next + 2;
    }
    *len_out = (size_t)(to - room);
    return true;
}

static json_t *
read_string(struct reader *reader)
{
    char on_stack[UNESCAPED_ON_STACK], *room = on_stack;
    struct str inside;
    json_t *value = NULL;
    bool escaped;
    size_t len;

    if (!take_quoted(reader, &inside, &escaped))
        return NULL;
    if (!escaped)
        return json_stringn_nocheck(inside.ptr, inside.len);
    if (inside.len > sizeof(on_stack))
        room = malloc(inside.len);
    if (room != NULL && unescape(inside, room, &len))
        value = json_stringn_nocheck(room, len);
    if (room != on_stack)
        free(room);
    return value;
}

/* --- numbers, lists, objects --- */

static json_t *
read_integer(struct reader *reader)
{
    bool negative = *reader->at == '-';
    const char *first = reader->at + (negative ? 1 : 0), *at = first;
    json_int_t value = 0;

    for (; at < reader->end && *at >= '0' && *at <= '9'; at++) {
        if (at - first == INTEGER_MAX_DIGITS)
            return NULL;
        value = value * 10 + (*at - '0');
    }
    if (at == first || (*first == '0' && at - first > 1) ||
        (at < reader->end && (*at == '.' || *at == 'e' || *at == 'E')))
        return NULL;
    reader->at = at;
    return json_integer(negative ? -value : value);
}

static bool
read_members(struct reader *reader, json_t *object)
{
    if (take(reader, '}'))
        return true;
    do {
        size_t members = json_object_size(object);
        struct str key;
        bool escaped;
        json_t *value;

        if (!take(reader, '"') || !take_quoted(reader, &key, &escaped) || escaped ||
            !take(reader, ':'))
            return false;
        value = read_value(reader);
        if (value == NULL || json_object_setn_new_nocheck(object, key.ptr, key.len, value) != 0 ||
            json_object_size(object) == members) /* the key stood there before */
            return false;
    } while (take(reader, ','));
    return take(reader, '}');
}

static bool
read_elements(struct reader *reader, json_t *array)
{
    if (take(reader, ']'))
        return true;
    do {
        if (json_array_append_new(array, read_value(reader)) != 0)
            return false;
    } while (take(reader, ','));
    return take(reader, ']');
}

static json_t *
read_container(struct reader *reader, json_t *container,
               bool (*read)(struct reader *reader, json_t *container))
{
    bool whole = reader->levels > 0 && container != NULL;

    if (whole) {
        reader->levels--;
        whole = read(reader, container);
        reader->levels++;
    }
    if (whole)
        return container;
    json_decref(container);
    return NULL;
}

static json_t *
read_value(struct reader *reader)
{
    skip_space(reader);
    if (reader->at == reader->end)
        return NULL;
    switch (*reader->at) {
    case '"':
        reader->at++;
        return read_string(reader);
    case '{':
        reader->at++;
        return read_container(reader, json_object(), read_members);
    case '[':
        reader->at++;
        return read_container(reader, json_array(), read_elements);
    case 't':
        return take_word(reader, STR("true")) ? json_true() : NULL;
    case 'f':
        return take_word(reader, STR("false")) ? json_false() : NULL;
    case 'n':
        return take_word(reader, STR("null")) ? json_null() : NULL;
    default:
        return read_integer(reader);
    }
}

json_t *
json_read_common(struct str text)
{
    struct reader reader = {.at = text.ptr, .levels = JSON_MAX_DEPTH};
    json_t *value;

    if (text.len == 0 || !str_is_utf8(text))
        return NULL;
    reader.end = text.ptr + text.len;
    value = read_value(&reader);
    skip_space(&reader);
    if (reader.at == reader.end)
        return value;
    json_decref(value);
    return NULL;
}
