/*
 * charset_legacy.c - see the header
 */
#include "extract/charset_legacy.h"

#include <unicode/ucnv.h>
#include <unicode/ucnv_cb.h>
#include <unicode/ucsdet.h>

/* Of what the detector says of itself: text of a line or two has 35 to 60, words without a letter
 * beyond ASCII, or a few bytes, 10 to 25. */
#define MIN_CONFIDENCE 30
#define GUESSED_FROM_BYTES 8000 /* the detector looks at no more */

struct charset_legacy {
    const char *name;
    const char *converter; /* ICU's; NULL: the name */
    const char *labels;    /* further ones, spaces around each */
};

static const struct charset_legacy charsets[] = {
    {"windows-1252", "ibm-5348_P100-1997",
     " ascii us-ascii ansi_x3.4-1968 iso-8859-1 iso8859-1 iso_8859-1 iso88591 latin1 latin-1 l1 "
     "cp1252 "
     "x-cp1252 cp819 utf-16 utf-16le utf-16be "}, /* UTF-16 is known by its mark, or is none */
    {"windows-1250", NULL, " cp1250 x-cp1250 "},
    {"windows-1251", NULL, " cp1251 x-cp1251 "},
    {"windows-1253", NULL, " cp1253 x-cp1253 "},
    {"windows-1254", NULL, " cp1254 x-cp1254 iso-8859-9 iso8859-9 iso_8859-9 iso88599 latin5 l5 "},
    {"windows-1255", NULL, " cp1255 x-cp1255 "},
    {"windows-1256", NULL, " cp1256 x-cp1256 "},
    {"windows-1257", NULL, " cp1257 x-cp1257 "},
    {"windows-1258", NULL, " cp1258 x-cp1258 "},
    {"windows-874", "windows-874-2000", " dos-874 iso-8859-11 iso8859-11 tis-620 "},
    {"iso-8859-2", NULL, " iso8859-2 iso_8859-2 iso88592 latin2 l2 "},
    {"iso-8859-3", NULL, " iso8859-3 iso_8859-3 iso88593 latin3 l3 "},
    {"iso-8859-4", NULL, " iso8859-4 iso_8859-4 iso88594 latin4 l4 "},
    {"iso-8859-5", NULL, " iso8859-5 iso_8859-5 iso88595 cyrillic "},
    {"iso-8859-6", NULL, " iso8859-6 iso_8859-6 iso88596 arabic asmo-708 "},
    {"iso-8859-7", NULL, " iso8859-7 iso_8859-7 iso88597 greek "},
    {"iso-8859-8", NULL,
     " iso8859-8 iso_8859-8 iso88598 iso-8859-8-i iso-8859-8-e hebrew logical visual "},
    {"iso-8859-10", "iso-8859_10-1998", " iso8859-10 iso885910 latin6 l6 "},
    {"iso-8859-13", NULL, " iso8859-13 iso885913 "},
    {"iso-8859-14", "iso-8859_14-1998", " iso8859-14 iso885914 "},
    {"iso-8859-15", NULL, " iso8859-15 iso_8859-15 iso885915 l9 "},
    {"koi8-r", NULL, " koi koi8 koi8_r cskoi8r "},
    {"koi8-u", NULL, " koi8-ru "},
    {"ibm866", NULL, " 866 cp866 csibm866 "},
    {"macintosh", NULL, " mac x-mac-roman csmacintosh "},
    {"x-mac-cyrillic", NULL, " x-mac-ukrainian "},
    {"gb18030", NULL, " gbk gb2312 gb_2312 gb_2312-80 x-gbk chinese csgb2312 iso-ir-58 cp936 "},
    {"big5", "Big5-HKSCS", " big5-hkscs cn-big5 x-x-big5 csbig5 "},
    {"shift_jis", "ibm-943_P15A-2003",
     " sjis shift-jis ms_kanji x-sjis windows-31j csshiftjis ms932 cp932 "},
    {"euc-jp", NULL, " x-euc-jp cseucpkdfmtjapanese "},
    {"euc-kr", "windows-949",
     " korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 ks_c_5601 windows-949 euckr cp949 "},
};

static bool
has_label(const struct charset_legacy *charset, struct str label)
{
    struct str labels = str_from_c(charset->labels), one;

    if (str_eq_nocase(label, str_from_c(charset->name)))
        return true;
    while (str_split(&labels, ' ', &one))
        if (one.len > 0 && str_eq_nocase(label, one))
            return true;
    return false;
}

const struct charset_legacy *
charset_legacy_find(struct str label)
{
    label = str_trim(label);
    for (size_t i = 0; i < sizeof(charsets) / sizeof(charsets[0]); i++)
        if (has_label(&charsets[i], label))
            return &charsets[i];
    return NULL;
}

const char *
charset_legacy_name(const struct charset_legacy *charset)
{
    return charset->name;
}

/* --- guessing --- */

/* Words with a letter beyond ASCII, with spaces between: the others are the same in every set, and
 * would speak for English. Bytes of a letter of several are 0x40 and above, but for GB 18030's rare
 * ones of four. */
static void
telling_words(struct str bytes, struct buf *out)
{
    size_t start = 0;
    bool tells = false;

    for (size_t i = 0; i <= bytes.len && out->len < GUESSED_FROM_BYTES; i++) {
        unsigned char c = i < bytes.len ? (unsigned char)bytes.ptr[i] : ' ';

        tells = tells || c >= 0x80;
        if (c >= 0x40)
            continue;
        if (tells) {
            buf_append(out, str_sub(bytes, start, i - start));
            buf_append_byte(out, ' ');
        }
        start = i + 1;
        tells = false;
    }
}

const struct charset_legacy *
charset_legacy_guess(struct str bytes)
{
    const struct charset_legacy *guess = NULL;
    UErrorCode code = U_ZERO_ERROR;
    UCharsetDetector *detector = ucsdet_open(&code);
    const UCharsetMatch *match;
    struct buf words;

    buf_init(&words, bytes.len + 2);
    telling_words(bytes, &words);
    ucsdet_setText(detector, buf_str(&words).ptr, (int32_t)words.len, &code);
    match = ucsdet_detect(detector, &code);
    if (U_SUCCESS(code) && match != NULL && ucsdet_getConfidence(match, &code) >= MIN_CONFIDENCE)
        guess = charset_legacy_find(str_from_c(ucsdet_getName(match, &code)));
    ucsdet_close(detector);
    buf_deinit(&words);
    return guess != NULL ? guess : &charsets[0];
}

/* --- reading --- */

/* ICU's own writes U+001A for some. */
static void
replace(const void *context, UConverterToUnicodeArgs *args, const char *bytes, int32_t length,
        UConverterCallbackReason reason, UErrorCode *code)
{
    static const UChar replacement = 0xfffd;

    (void)context;
    (void)bytes;
    (void)length;
    if (reason > UCNV_IRREGULAR) /* reset, close, clone */
        return;
    *code = U_ZERO_ERROR;
    ucnv_cbToUWriteUChars(args, &replacement, 1, 0, code);
}

enum status
charset_legacy_to_utf8(const struct charset_legacy *charset, struct str bytes, struct buf *out,
                       struct err *err)
{
    UErrorCode code = U_ZERO_ERROR;
    UConverter *from =
        ucnv_open(charset->converter != NULL ? charset->converter : charset->name, &code);
    UConverter *to = ucnv_open("UTF-8", &code);
    const char *source = bytes.ptr, *end = bytes.ptr + bytes.len;
    UChar pivot[1024], *pivot_source = pivot, *pivot_target = pivot;
    bool is_first = true;

    ucnv_setToUCallBack(from, replace, NULL, NULL, NULL, &code);
    while (U_SUCCESS(code)) {
        char piece[4096], *target = piece;

        ucnv_convertEx(to, from, &target, piece + sizeof(piece), &source, end, pivot, &pivot_source,
                       &pivot_target, pivot + sizeof(pivot) / sizeof(pivot[0]), is_first, 1, &code);
        is_first = false;
        buf_append(out, str_of(piece, (size_t)(target - piece)));
        if (code != U_BUFFER_OVERFLOW_ERROR || out->failed)
            break;
        code = U_ZERO_ERROR;
    }
    ucnv_close(to);
    ucnv_close(from);
    return U_SUCCESS(code) || out->failed
               ? ST_OK
               : err_set(err, ST_UNAVAILABLE, "The text's characters could not be read.");
}
