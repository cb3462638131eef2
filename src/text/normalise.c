/*
 * normalise.c - document text that reads as it looks
 *
 * Characters that nobody sees can carry instructions to a model or break words for the index; what
 * scripts need (joiners in Arabic, Indic and emoji, direction marks) stays.
 */
#include "text/text_private.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

static bool
is_hiding(UChar32 c, UChar32 before)
{
    if (c == 0x200c || c == 0x200d) /* joiners mean nothing between ASCII letters */
        return before < 0x80;
    if (c == 0xfe0e || c == 0xfe0f || c == 0x200e || c == 0x200f || c == 0x061c)
        return false;
    if (c == 0x115f || c == 0x1160 || c == 0x3164 || c == 0xffa0 || c == 0x2800) /* blank letters */
        return true;
    if (u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT))
        return true;
    return (c >= 0xfff9 && c <= 0xfffb) || (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef);
}

/* Copies s into out, which has room for s.len bytes, without what is_hiding names. */
static size_t
clean_copy(struct str s, char *out)
{
    size_t length = 0;
    UChar32 before = 0;

    for (int32_t i = 0; (size_t)i < s.len;) {
        UChar32 c;
        int32_t start = i;

        U8_NEXT(s.ptr, i, (int32_t)s.len, c);
        if (c == '\r') {
            if ((size_t)i < s.len && s.ptr[i] == '\n')
                continue;
            c = '\n';
        } else if (c == 0x0b || c == 0x0c || c == 0x85 || c == 0x2028 || c == 0x2029) {
            c = '\n';
        }
        if (c == '\n') {
            out[length++] = '\n';
        } else if (c == '\t' || (c >= 0x20 && c < 0x7f)) {
            out[length++] = (char)c;
        } else if (c >= 0xa0 && !is_hiding(c, before)) {
            memcpy(out + length, s.ptr + start, (size_t)(i - start));
            length += (size_t)(i - start);
        } else {
            continue;
        }
        before = c;
    }
    return length;
}

/* NFC by way of UTF-16, which is what ICU's C interface takes. */
static enum status
compose(struct str s, struct arena *arena, struct str *out, struct err *err)
{
    const UNormalizer2 *nfc = text_tools_get()->nfc;
    UErrorCode code = U_ZERO_ERROR;
    int32_t units = 0, composed_units, bytes = 0;
    UChar *wide = malloc((s.len + 1) * sizeof(UChar));
    UChar *composed = malloc((s.len * 3 + 1) * sizeof(UChar));
    char *target;
    enum status st = ST_OK;

    if (wide == NULL || composed == NULL) {
        st = err_set(err, ST_TOO_LARGE, "the text is too long");
    } else {
        u_strFromUTF8(wide, (int32_t)s.len + 1, &units, s.ptr, (int32_t)s.len, &code);
        composed_units =
            unorm2_normalize(nfc, wide, units, composed, (int32_t)s.len * 3 + 1, &code);
        u_strToUTF8(NULL, 0, &bytes, composed, composed_units, &code);
        if (code == U_BUFFER_OVERFLOW_ERROR || code == U_STRING_NOT_TERMINATED_WARNING)
            code = U_ZERO_ERROR;
        target = arena_try_alloc(arena, (size_t)bytes + 1);
        if (target == NULL) {
            st = err_set(err, ST_TOO_LARGE, "the text is too long");
        } else {
            u_strToUTF8(target, bytes + 1, &bytes, composed, composed_units, &code);
            *out = str_of(target, (size_t)bytes);
        }
        if (U_FAILURE(code))
            st = err_set_detail(err, ST_INTERNAL, "normalise text: %s", u_errorName(code));
    }
    free(wide);
    free(composed);
    return st;
}

enum status
text_normalise(struct str s, struct arena *arena, struct str *out, struct err *err)
{
    char *clean;
    struct str view;

    if (!str_is_utf8(s))
        return err_set(err, ST_INVALID, "the text is not valid UTF-8");
    if (s.len >= INT32_MAX / 4)
        return err_set(err, ST_TOO_LARGE, "the text is too long");
    clean = arena_try_alloc(arena, s.len + 1);
    if (clean == NULL)
        return err_set(err, ST_TOO_LARGE, "the text is too long");
    view = str_of(clean, clean_copy(s, clean));
    if (!text_is_ascii(view))
        return compose(view, arena, out, err);
    *out = view;
    return ST_OK;
}
