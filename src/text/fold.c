/*
 * fold.c - one spelling for words that differ in case, width or accents only
 */
#include "text/text_private.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>

/* UTF-16 units of a word that are looked at; longer "words" are data, not language. */
#define FOLD_UNITS 80
#define FOLD_ROOM (FOLD_UNITS * 4)

/* Letters that ICU does not take apart. */
static const struct {
    UChar letter;
    UChar plain[2];
} plain_letters[] = {
    {0x00e6, {'a', 'e'}}, {0x0153, {'o', 'e'}}, {0x00f8, {'o', 0}}, {0x0142, {'l', 0}},
    {0x0111, {'d', 0}},   {0x00f0, {'d', 0}},   {0x0131, {'i', 0}}, {0x0649, {0x064a, 0}},
};

static bool
strips_marks(UChar32 base)
{
    UErrorCode code = U_ZERO_ERROR;
    UScriptCode script = uscript_getScript(base, &code);

    return script == USCRIPT_LATIN || script == USCRIPT_GREEK || script == USCRIPT_ARABIC ||
           script == USCRIPT_HEBREW || script == USCRIPT_COMMON || script == USCRIPT_INHERITED;
}

/* Takes the marks off Latin, Greek, Arabic and Hebrew letters; in other scripts they make letters.
 */
static int32_t
strip_marks(const UChar *from, int32_t units, UChar *to)
{
    int32_t length = 0;
    bool strips = true;

    for (int32_t i = 0; i < units;) {
        UChar32 c;
        size_t at;

        U16_NEXT(from, i, units, c);
        if (u_charType(c) == U_NON_SPACING_MARK) {
            bool is_yo = c == 0x0308 && length > 0 && to[length - 1] == 0x0435;

            if (!strips && !is_yo) /* Russian writes ё as е more often than not */
                U16_APPEND_UNSAFE(to, length, c);
            continue;
        }
        if (c == 0x0640) /* tatweel only stretches */
            continue;
        strips = strips_marks(c);
        for (at = 0; at < sizeof(plain_letters) / sizeof(plain_letters[0]); at++)
            if (plain_letters[at].letter == c)
                break;
        if (at == sizeof(plain_letters) / sizeof(plain_letters[0])) {
            U16_APPEND_UNSAFE(to, length, c);
            continue;
        }
        to[length++] = plain_letters[at].plain[0];
        if (plain_letters[at].plain[1] != 0)
            to[length++] = plain_letters[at].plain[1];
    }
    return length;
}

static struct str
to_utf8(const UChar *units, int32_t count, char *out)
{
    UErrorCode code = U_ZERO_ERROR;
    int32_t bytes = 0;

    while (true) {
        code = U_ZERO_ERROR;
        u_strToUTF8(out, TEXT_FOLD_MAX, &bytes, units, count, &code);
        if (code != U_BUFFER_OVERFLOW_ERROR)
            break;
        count--;
        if (count > 0 && U16_IS_LEAD(units[count - 1]))
            count--;
    }
    return str_of(out, U_FAILURE(code) ? 0 : (size_t)bytes);
}

struct str
text_fold_case(struct str word, enum text_language_id language, char *out)
{
    UErrorCode code = U_ZERO_ERROR;
    UChar wide[FOLD_UNITS], folded[FOLD_ROOM];
    int32_t units = 0, count;

    word = str_sub(word, 0, str_utf8_floor(word, FOLD_UNITS));
    if (text_is_ascii(word) && language != LANG_TR) {
        for (size_t i = 0; i < word.len; i++)
            out[i] =
                (char)(word.ptr[i] >= 'A' && word.ptr[i] <= 'Z' ? word.ptr[i] | 0x20 : word.ptr[i]);
        return str_of(out, word.len);
    }
    u_strFromUTF8(wide, FOLD_UNITS, &units, word.ptr, (int32_t)word.len, &code);
    for (int32_t i = 0; i < units; i++) {
        if (wide[i] == 0x2019 || wide[i] == 0x02bc)
            wide[i] = '\'';
        else if (language == LANG_TR && (wide[i] == 'I' || wide[i] == 0x0130))
            wide[i] = wide[i] == 'I' ? 0x0131 : 'i';
    }
    count =
        unorm2_normalize(text_tools_get()->nfkc_casefold, wide, units, folded, FOLD_ROOM, &code);
    if (U_FAILURE(code)) /* one letter that expands beyond all room: leave it as it is */
        return to_utf8(wide, units, out);
    return to_utf8(folded, count, out);
}

struct str
text_fold_accents(struct str word, enum text_language_id language, char *out)
{
    bool keeps = language != LANG_NONE && text_language_row(language)->keeps_accents;
    UErrorCode code = U_ZERO_ERROR;
    UChar wide[TEXT_FOLD_MAX], apart[FOLD_ROOM * 2], plain[FOLD_ROOM * 4];
    int32_t units = 0, count;
    size_t length = 0;

    if (!keeps && !text_is_ascii(word)) {
        struct text_tools *tools = text_tools_get();

        u_strFromUTF8(wide, TEXT_FOLD_MAX, &units, word.ptr, (int32_t)word.len, &code);
        count = unorm2_normalize(tools->nfd, wide, units, apart, FOLD_ROOM * 2, &code);
        if (U_SUCCESS(code)) {
            count = strip_marks(apart, count, plain);
            /* Scripts that keep their marks are put together again. */
            count = unorm2_normalize(tools->nfc, plain, count, apart, FOLD_ROOM * 2, &code);
        }
        if (U_SUCCESS(code))
            word = to_utf8(apart, count, out);
    }
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] != '\'')
            out[length++] = word.ptr[i];
    return str_of(out, length);
}

struct str
text_fold(struct str word, enum text_language_id language, char *out)
{
    char folded[TEXT_FOLD_MAX];

    return text_fold_accents(text_fold_case(word, language, folded), language, out);
}
