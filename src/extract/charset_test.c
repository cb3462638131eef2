/*
 * charset_test.c - text in the character sets from before Unicode: named, guessed, damaged
 */
#include <iconv.h>
#include <string.h>

#include "base/testing.h"
#include "extract/charset.h"
#include "extract/charset_legacy.h"
#include "knowledge/content_type.h"

#define OUTPUT_BYTES 16384

/* Encoded by somebody else's tables, those of the C library. */
static struct str
encoded(const char *text, const char *charset, char *bytes, size_t room)
{
    iconv_t to = iconv_open(charset, "UTF-8");
    char *in = (char *)(uintptr_t)text, *out = bytes;
    size_t in_left = strlen(text), out_left = room;

    if (to == (iconv_t)-1)
        fail_msg("iconv knows no %s", charset);
    if (iconv(to, &in, &in_left, &out, &out_left) == (size_t)-1)
        fail_msg("%s has no \"%s\"", charset, in);
    (void)iconv_close(to);
    return str_of(bytes, room - out_left);
}

static void
check_read(struct str bytes, const char *declared, const char *want_text, const char *want_name)
{
    struct buf scratch;
    struct str text;
    const char *name;
    struct err err;

    buf_init(&scratch, OUTPUT_BYTES);
    ASSERT_OK(charset_to_utf8(bytes, str_from_c(declared), &scratch, &text, &name, &err), &err);
    if (!str_eq_c(text, want_text) || strcmp(name, want_name) != 0)
        fail_msg("as %s: \"%.*s\", of %s, not \"%s\", of %s", declared, STR_ARG(text), name,
                 want_text, want_name);
    buf_deinit(&scratch);
}

static void
named(void **state)
{
    static const struct {
        const char *label, *by_iconv, *text, *name;
    } rows[] = {
        {"ISO-8859-1", "CP1252", "Größe: 5 € – “gut”", "windows-1252"},
        {" latin1 ", "CP1252", "café", "windows-1252"},
        {"windows-1250", "CP1250", "Žluťoučký kůň", "windows-1250"},
        {"windows-1251", "CP1251", "Гарантия на раму", "windows-1251"},
        {"x-cp1251", "CP1251", "Ціна її", "windows-1251"},
        {"windows-1253", "CP1253", "Εγγύηση δέκα χρόνια", "windows-1253"},
        {"iso-8859-9", "CP1254", "Güneş, ışık", "windows-1254"},
        {"windows-1255", "CP1255", "אחריות", "windows-1255"},
        {"windows-1256", "CP1256", "ضمان الإطار", "windows-1256"},
        {"windows-1257", "CP1257", "Šiauliai, ąžuolas", "windows-1257"},
        {"tis-620", "CP874", "รับประกัน", "windows-874"},
        {"latin2", "ISO-8859-2", "Łódź, żółw", "iso-8859-2"},
        {"iso-8859-3", "ISO-8859-3", "ĉapelo ŝuo", "iso-8859-3"},
        {"iso-8859-4", "ISO-8859-4", "Āģis ķēde", "iso-8859-4"},
        {"iso-8859-5", "ISO-8859-5", "Гарантия", "iso-8859-5"},
        {"iso-8859-6", "ISO-8859-6", "ضمان", "iso-8859-6"},
        {"greek", "ISO-8859-7", "Εγγύηση", "iso-8859-7"},
        {"iso-8859-8-i", "ISO-8859-8", "אחריות", "iso-8859-8"},
        {"iso-8859-10", "ISO-8859-10", "Ŋŧ đ", "iso-8859-10"},
        {"iso-8859-13", "ISO-8859-13", "Žąsis", "iso-8859-13"},
        {"iso-8859-14", "ISO-8859-14", "Ŵŷ ḃ", "iso-8859-14"},
        {"iso-8859-15", "ISO-8859-15", "5 € œuvre", "iso-8859-15"},
        {"KOI8-R", "KOI8-R", "Гарантия", "koi8-r"},
        {"koi8-u", "KOI8-U", "Ціна її", "koi8-u"},
        {"cp866", "CP866", "Гарантия", "ibm866"},
        {"macintosh", "MACINTOSH", "Größe", "macintosh"},
        {"x-mac-cyrillic", "MAC-CYRILLIC", "Гарантия", "x-mac-cyrillic"},
        {"gb2312", "GBK", "车架保修十年", "gb18030"},
        {"gb18030", "GB18030", "车架𠀀", "gb18030"},
        {"big5", "BIG5", "車架保固十年", "big5"},
        {"Shift_JIS", "CP932", "フレームの保証は十年です。", "shift_jis"},
        {"euc-jp", "EUC-JP", "フレームの保証", "euc-jp"},
        {"ks_c_5601-1987", "CP949", "프레임 보증 똠", "euc-kr"},
    };
    char bytes[400];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_read(encoded(rows[i].text, rows[i].by_iconv, bytes, sizeof(bytes)), rows[i].label,
                   rows[i].text, rows[i].name);
    check_read(STR("caf\xc3\xa9"), "windows-1251", "café", "utf-8"); /* whatever is declared */
    assert_null(charset_legacy_find(STR("utf-7")));
    assert_null(charset_legacy_find(STR("iso-2022-jp")));
    assert_null(charset_legacy_find(STR("")));
    assert_null(charset_legacy_find(STR("cp1252 x-cp1252")));
}

static void
guessed(void **state)
{
    static const struct {
        const char *by_iconv, *text, *name;
    } rows[] = {
        {"CP1252", "Tube 9 €", "windows-1252"},
        {"CP1252", "20 °C – 30 °C", "windows-1252"},
        {"CP1252", "Müller, Jörg", "windows-1252"},
        {"CP1252", "Artikel;Preis\nReifen groß;29,00 €\nSchlüssel;3,50 €\n", "windows-1252"},
        {"CP1252", "L'été prochain, nous réparerons votre vélo à l'atelier.", "windows-1252"},
        {"CP1252", "La garantía del cuadro es de diez años.", "windows-1252"},
        {"CP1252", "Garantin på ramen är tio år. Öppet från nio till sex.", "windows-1252"},
        {"CP1250", "Godziny otwarcia: od poniedziałku do piątku. Ścisła naprawa koła, świetnie.",
         "windows-1250"},
        {"CP1251", "Товар;Цена\nКамера;500\nПокрышка;1200\n", "windows-1251"},
        {"CP1251", "Гарантія на раму становить десять років, майстерня відкрита.", "windows-1251"},
        {"KOI8-R", "Гарантия на раму составляет десять лет.", "koi8-r"},
        {"CP932", "フレームの保証は十年です。修理は店で受け付けています。", "shift_jis"},
        {"EUC-JP", "フレームの保証は十年です。修理は店で受け付けています。", "euc-jp"},
        {"GBK", "车架保修十年。周一至周五九点到六点营业。", "gb18030"},
        {"BIG5", "車架保固十年。週一至週五九點到六點營業。", "big5"},
        {"CP949", "프레임 보증 기간은 십 년입니다. 수리점은 아홉 시부터.", "euc-kr"},
        {"CP1253", "Η εγγύηση του πλαισίου είναι δέκα χρόνια.", "iso-8859-7"},
        {"CP1255", "האחריות על השלדה היא עשר שנים.", "iso-8859-8"},
        {"CP1256", "ضمان الإطار عشر سنوات. المحل مفتوح من التاسعة.", "windows-1256"},
    };
    const char late[] = "Гарантия на раму составляет десять лет.";
    char bytes[12000], long_text[12000];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_read(encoded(rows[i].text, rows[i].by_iconv, bytes, sizeof(bytes)), "", rows[i].text,
                   rows[i].name);
    /* What tells something comes late. */
    for (size_t i = 0; i < 10000; i += 20)
        memcpy(long_text + i, "Words that are read ", 20);
    memcpy(long_text + 10000, late, sizeof(late));
    check_read(encoded(long_text, "CP1251", bytes, sizeof(bytes)), "", long_text, "windows-1251");
}

/* Whatever comes, UTF-8 comes out of it. */
static void
damaged(void **state)
{
    static const char *const labels[] = {"windows-1252", "windows-1253", "gb18030", "big5",
                                         "shift_jis",    "euc-jp",       "euc-kr",  "iso-8859-8"};
    unsigned char bytes[512];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 167 + i / 256); /* every byte, twice, in another order */
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        struct buf out;
        struct err err;

        buf_init(&out, OUTPUT_BYTES);
        ASSERT_OK(charset_legacy_to_utf8(charset_legacy_find(str_from_c(labels[i])),
                                         str_of((const char *)bytes, sizeof(bytes)), &out, &err),
                  &err);
        assert_true(str_is_utf8(buf_str(&out)));
        assert_true(out.len >= sizeof(bytes) / 2);
        buf_deinit(&out);
        buf_init(&out, 100);
        ASSERT_OK(charset_legacy_to_utf8(charset_legacy_find(str_from_c(labels[i])),
                                         str_of((const char *)bytes, sizeof(bytes)), &out, &err),
                  &err);
        assert_true(out.failed); /* the caller says that it is too much */
        buf_deinit(&out);
    }
    check_read(STR("\x83\x41\x83"), "shift_jis", "ア\xef\xbf\xbd", "shift_jis");
    assert_non_null(charset_legacy_guess(STR("")));
    assert_non_null(charset_legacy_guess(str_of((const char *)bytes, sizeof(bytes))));
}

static void
beside_the_type(void **state)
{
    static const struct {
        const char *type, *essence, *charset;
    } rows[] = {
        {"text/html", "text/html", ""},
        {" text/html ; charset=KOI8-R", "text/html", "KOI8-R"},
        {"text/html;a=b; Charset=\"windows-1251\" ", "text/html", "windows-1251"},
        {"text/html; charset=utf-8", "text/html", ""},
        {"text/html; charset=UTF8", "text/html", ""},
        {"text/html; charset=", "text/html", ""},
        {"text/html; charset=\"", "text/html", ""},
        {"text/html; charset=a b", "text/html", ""},
        {"text/html; charset=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "text/html", ""},
        {";", "", ""},
        {"", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ASSERT_STR(content_type_essence(str_from_c(rows[i].type)), rows[i].essence);
        ASSERT_STR(content_type_charset(str_from_c(rows[i].type)), rows[i].charset);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(named),
        cmocka_unit_test(guessed),
        cmocka_unit_test(damaged),
        cmocka_unit_test(beside_the_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
