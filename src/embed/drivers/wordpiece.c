/*
 * wordpiece.c - words one after the other, each in a small buffer, looked up by its beginnings
 */
#include "embed/drivers/wordpiece.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#define MAX_WORD_CHARS 100
#define MAX_DECOMPOSED 32

/* FNV-1a, so that a longer beginning's hash goes on from a shorter one's. */
#define HASH_START 2166136261U

static uint32_t
hash_on(uint32_t hash, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)bytes[i]) * 16777619U;
    return hash;
}

static struct str
piece_of(const struct wordpiece *wordpiece, uint32_t piece)
{
    uint32_t start = wordpiece->offsets[piece];

    return str_of(wordpiece->bytes + start, wordpiece->offsets[piece + 1] - start);
}

/* The piece that is prefix and rest, or -1. */
static int64_t
find_piece(const struct wordpiece *wordpiece, uint32_t hash, struct str prefix, struct str rest)
{
    uint32_t mask = wordpiece->slot_count - 1;

    for (uint32_t at = hash & mask; wordpiece->slots[at] != 0; at = (at + 1) & mask) {
        uint32_t piece = wordpiece->slots[at] - 1;
        struct str found = piece_of(wordpiece, piece);

        if (found.len == prefix.len + rest.len && str_starts_with(found, prefix) &&
            str_ends_with(found, rest))
            return piece;
    }
    return -1;
}

static int64_t
find_whole(const struct wordpiece *wordpiece, struct str text)
{
    return find_piece(wordpiece, hash_on(HASH_START, text.ptr, text.len), STR_EMPTY, text);
}

/* --- the vocabulary --- */

uint32_t
wordpiece_slot_count(uint32_t count)
{
    uint32_t slots = 16;

    while (slots < count * 2)
        slots *= 2;
    return slots;
}

static enum status
find_mark(const struct wordpiece *wordpiece, struct str name, uint32_t *mark_out, struct err *err)
{
    int64_t found = find_whole(wordpiece, name);

    if (found < 0)
        return err_set(err, ST_INVALID, "the vocabulary has no %.*s", STR_ARG(name));
    *mark_out = (uint32_t)found;
    return ST_OK;
}

enum status
wordpiece_index(struct wordpiece *wordpiece, uint32_t *slots, struct err *err)
{
    uint32_t mask = wordpiece->slot_count - 1;
    enum status st;

    wordpiece->slots = slots;
    for (uint32_t piece = 0; piece < wordpiece->count; piece++) {
        struct str text = piece_of(wordpiece, piece);
        uint32_t at = hash_on(HASH_START, text.ptr, text.len) & mask;

        if (text.len == 0 || find_whole(wordpiece, text) >= 0)
            return err_set(err, ST_INVALID, "piece %u of the vocabulary is empty or comes twice",
                           piece);
        while (slots[at] != 0)
            at = (at + 1) & mask;
        slots[at] = piece + 1;
    }
    st = find_mark(wordpiece, STR("[UNK]"), &wordpiece->unknown, err);
    if (st == ST_OK)
        st = find_mark(wordpiece, STR("[CLS]"), &wordpiece->begin, err);
    if (st == ST_OK)
        st = find_mark(wordpiece, STR("[SEP]"), &wordpiece->end, err);
    return st;
}

enum status
wordpiece_check(const struct wordpiece *wordpiece, size_t bytes, struct err *err)
{
    uint32_t used = 0;

    if (wordpiece->count == 0 || wordpiece->count > WORDPIECE_MAX_PIECES ||
        wordpiece->slot_count != wordpiece_slot_count(wordpiece->count))
        return err_set(err, ST_INVALID, "the vocabulary's size is not possible");
    if (wordpiece->offsets[0] != 0 || wordpiece->offsets[wordpiece->count] > bytes)
        return err_set(err, ST_INVALID, "the vocabulary goes beyond its bytes");
    for (uint32_t i = 0; i < wordpiece->count; i++) {
        if (wordpiece->offsets[i] > wordpiece->offsets[i + 1])
            return err_set(err, ST_INVALID, "the vocabulary's pieces overlap");
    }
    for (uint32_t i = 0; i < wordpiece->slot_count; i++) {
        if (wordpiece->slots[i] > wordpiece->count)
            return err_set(err, ST_INVALID, "the vocabulary's index points outside");
        used += wordpiece->slots[i] != 0;
    }
    if (used != wordpiece->count || wordpiece->unknown >= wordpiece->count ||
        wordpiece->begin >= wordpiece->count || wordpiece->end >= wordpiece->count)
        return err_set(err, ST_INVALID, "the vocabulary's index is not whole");
    return ST_OK;
}

/* --- words --- */

struct writer {
    const struct wordpiece *wordpiece;
    uint32_t *tokens;
    size_t count, max; /* max leaves room for [SEP] */
    char word[MAX_WORD_CHARS * U8_MAX_LENGTH];
    size_t word_bytes, word_chars;
    bool word_is_long;
};

static void
put_token(struct writer *writer, uint32_t token)
{
    if (writer->count < writer->max)
        writer->tokens[writer->count++] = token;
}

/* The longest piece at the beginning of rest, or -1. Pieces end between characters. */
static int64_t
longest_piece(const struct wordpiece *wordpiece, struct str rest, bool goes_on, size_t *bytes_out)
{
    struct str prefix = goes_on ? STR("##") : STR_EMPTY;
    uint32_t hash = hash_on(HASH_START, prefix.ptr, prefix.len);
    int64_t longest = -1;

    for (size_t end = 0; end < rest.len;) {
        size_t start = end;
        int64_t found;

        U8_FWD_1((const uint8_t *)rest.ptr, end, rest.len);
        hash = hash_on(hash, rest.ptr + start, end - start);
        found = find_piece(wordpiece, hash, prefix, str_sub(rest, 0, end));
        if (found >= 0) {
            longest = found;
            *bytes_out = end;
        }
    }
    return longest;
}

static void
end_word(struct writer *writer)
{
    uint32_t pieces[MAX_WORD_CHARS];
    size_t count = 0, at = 0;
    bool is_known = !writer->word_is_long;

    if (writer->word_chars == 0)
        return;
    while (is_known && at < writer->word_bytes) {
        struct str rest = str_of(writer->word + at, writer->word_bytes - at);
        size_t bytes = 0;
        int64_t piece = longest_piece(writer->wordpiece, rest, at > 0, &bytes);

        is_known = piece >= 0;
        if (is_known)
            pieces[count++] = (uint32_t)piece;
        at += bytes;
    }
    if (!is_known) {
        put_token(writer, writer->wordpiece->unknown);
    } else {
        for (size_t i = 0; i < count; i++)
            put_token(writer, pieces[i]);
    }
    writer->word_bytes = 0;
    writer->word_chars = 0;
    writer->word_is_long = false;
}

static bool
is_ideograph(UChar32 c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
           (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static bool
is_mark_of_punctuation(UChar32 c)
{
    if (c < 0x80)
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
               (c >= '{' && c <= '~');
    return u_ispunct(c);
}

static void
add_char(struct writer *writer, UChar32 c)
{
    bool is_error = false;

    if (writer->word_chars >= MAX_WORD_CHARS) {
        writer->word_is_long = true;
        return;
    }
    U8_APPEND((uint8_t *)writer->word, writer->word_bytes, sizeof(writer->word), c, is_error);
    writer->word_chars += !is_error;
}

/* A character that was taken apart: it ends the word, is one, or goes into one. */
static void
put_char(struct writer *writer, UChar32 c)
{
    if (c >= 0x80 && u_charType(c) == U_NON_SPACING_MARK)
        return;
    c = c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c < 0x80 ? c : u_tolower(c);
    if (is_mark_of_punctuation(c)) {
        end_word(writer);
        add_char(writer, c);
        end_word(writer);
    } else {
        add_char(writer, c);
    }
}

static bool
is_dropped(UChar32 c)
{
    int8_t type;

    if (c < 0x80)
        return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
    type = u_charType(c);
    return c == 0xfffd || type == U_CONTROL_CHAR || type == U_FORMAT_CHAR ||
           type == U_PRIVATE_USE_CHAR || type == U_UNASSIGNED;
}

static void
put_whole_char(struct writer *writer, const UNormalizer2 *nfd, UChar32 c)
{
    UChar parts[MAX_DECOMPOSED];
    UErrorCode code = U_ZERO_ERROR;
    int32_t units, i = 0;
    bool stands_alone = is_ideograph(c);

    if (is_dropped(c))
        return;
    if (c < 0x80 ? c == ' ' || (c >= '\t' && c <= '\r') : u_isUWhiteSpace(c)) {
        end_word(writer);
        return;
    }
    if (stands_alone)
        end_word(writer);
    units = c < 0xc0 ? -1 : unorm2_getDecomposition(nfd, c, parts, MAX_DECOMPOSED, &code);
    if (units < 0 || U_FAILURE(code))
        put_char(writer, c);
    while (i < units && U_SUCCESS(code)) {
        UChar32 part;

        U16_NEXT(parts, i, units, part);
        put_char(writer, part);
    }
    if (stands_alone)
        end_word(writer);
}

size_t
wordpiece_tokens(const struct wordpiece *wordpiece, struct str text, uint32_t *tokens_out,
                 size_t max)
{
    struct writer writer = {.wordpiece = wordpiece, .tokens = tokens_out, .max = max - 1};
    UErrorCode code = U_ZERO_ERROR;
    const UNormalizer2 *nfd = unorm2_getNFDInstance(&code);

    put_token(&writer, wordpiece->begin);
    for (size_t i = 0; i < text.len && writer.count < writer.max && U_SUCCESS(code);) {
        UChar32 c;

        U8_NEXT((const uint8_t *)text.ptr, i, text.len, c);
        put_whole_char(&writer, nfd, c < 0 ? 0xfffd : c);
    }
    end_word(&writer);
    tokens_out[writer.count] = wordpiece->end;
    return writer.count + 1;
}
