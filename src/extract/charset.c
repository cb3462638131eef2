/*
 * charset.c - see the header
 */
#include "extract/charset.h"
#include "extract/charset_legacy.h"

#include <string.h>

enum mark { MARK_NONE, MARK_UTF8, MARK_UTF16LE, MARK_UTF16BE };

/* What begins like this is no text, however it is named. */
static const struct {
    struct str magic;
    const char *what;
} magics[] = {
    {STR_INIT("%PDF-"), "a PDF document"},
    {STR_INIT("PK\x03\x04"), "a ZIP archive or an Office document"},
    {STR_INIT("\xd0\xcf\x11\xe0"), "an old Office document"},
    {STR_INIT("\x89PNG"), "a PNG image"},
    {STR_INIT("\xff\xd8\xff"), "a JPEG image"},
    {STR_INIT("GIF8"), "a GIF image"},
    {STR_INIT("\x1f\x8b"), "a gzip archive"},
    {STR_INIT("\x7f"
              "ELF"),
     "a program"},
    {STR_INIT("SQLite format 3"), "a database"},
    {STR_INIT("{\\rtf"), "an RTF document"},
};

static void
append_code_point(struct buf *out, uint32_t c)
{
    char bytes[4];
    size_t len;

    if (c < 0x80) {
        buf_append_byte(out, (char)c);
        return;
    }
    if (c < 0x800) {
        bytes[0] = (char)(0xc0 | (c >> 6));
        len = 2;
    } else if (c < 0x10000) {
        bytes[0] = (char)(0xe0 | (c >> 12));
        bytes[1] = (char)(0x80 | ((c >> 6) & 0x3f));
        len = 3;
    } else {
        bytes[0] = (char)(0xf0 | (c >> 18));
        bytes[1] = (char)(0x80 | ((c >> 12) & 0x3f));
        bytes[2] = (char)(0x80 | ((c >> 6) & 0x3f));
        len = 4;
    }
    bytes[len - 1] = (char)(0x80 | (c & 0x3f));
    buf_append(out, str_of(bytes, len));
}

static enum status
utf16_to_utf8(struct str bytes, bool big_endian, struct buf *out, struct err *err)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    uint32_t high = 0;

    if (bytes.len % 2 != 0)
        return err_set(err, ST_INVALID, "The UTF-16 text ends in the middle of a character.");
    for (size_t i = 0; i < bytes.len; i += 2) {
        uint32_t unit =
            big_endian ? (uint32_t)p[i] << 8 | p[i + 1] : (uint32_t)p[i + 1] << 8 | p[i];
        bool is_high = unit >= 0xd800 && unit < 0xdc00;
        bool is_low = unit >= 0xdc00 && unit < 0xe000;

        if (unit == 0 || is_low != (high != 0))
            return err_set(err, ST_INVALID, "The UTF-16 text is damaged near byte %zu.", i);
        if (is_low)
            append_code_point(out, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
        else if (!is_high)
            append_code_point(out, unit);
        high = is_high ? unit : 0;
    }
    if (high != 0)
        return err_set(err, ST_INVALID, "The UTF-16 text ends in the middle of a character.");
    return ST_OK;
}

/* Text has next to no control characters; a few strays (form feeds, escapes) are forgiven. */
static enum status
check_is_text(struct str bytes, struct err *err)
{
    size_t controls = 0;

    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        if (str_starts_with(bytes, magics[i].magic))
            return err_set(err, ST_INVALID, "This is %s, not a text file.", magics[i].what);
    }
    if (bytes.len > 0 && memchr(bytes.ptr, '\0', bytes.len) != NULL)
        return err_set(err, ST_INVALID, "This is not a text file: it holds binary data.");
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];

        controls += c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f';
    }
    if (controls > 8 && controls > bytes.len / 100)
        return err_set(err, ST_INVALID, "This is not a text file: it holds binary data.");
    return ST_OK;
}

static enum mark
take_mark(struct str *bytes)
{
    enum mark mark = MARK_NONE;
    size_t len = 2;

    if (str_starts_with(*bytes, STR("\xef\xbb\xbf"))) {
        mark = MARK_UTF8;
        len = 3;
    } else if (str_starts_with(*bytes, STR("\xff\xfe"))) {
        mark = MARK_UTF16LE;
    } else if (str_starts_with(*bytes, STR("\xfe\xff"))) {
        mark = MARK_UTF16BE;
    } else {
        return mark;
    }
    *bytes = str_sub(*bytes, len, bytes->len);
    return mark;
}

/* Of unmarked text that is not UTF-8. */
static enum status
choose_legacy(struct str bytes, struct str declared, const struct charset_legacy **charset_out,
              struct err *err)
{
    char label[24] = "";
    size_t len = 0;

    *charset_out = declared.len > 0 ? charset_legacy_find(declared) : charset_legacy_guess(bytes);
    if (*charset_out != NULL)
        return ST_OK;
    if (str_eq_nocase(declared, STR("utf-8")) || str_eq_nocase(declared, STR("utf8")))
        return err_set(err, ST_INVALID, "The file says it is UTF-8 but is not, near byte %zu.",
                       str_utf8_valid_prefix(bytes));
    for (size_t i = 0; i < declared.len && len + 1 < sizeof(label); i++) {
        if (declared.ptr[i] > ' ' && declared.ptr[i] < 0x7f)
            label[len++] = declared.ptr[i];
    }
    return err_set(err, ST_INVALID,
                   "The file uses the character set %s, which cannot be read: save it as UTF-8.",
                   label);
}

static enum status
eight_bit_to_utf8(struct str bytes, struct str declared, struct buf *scratch, const char **name_out,
                  struct err *err)
{
    const struct charset_legacy *charset;
    enum status st = choose_legacy(bytes, declared, &charset, err);

    if (st != ST_OK)
        return st;
    *name_out = charset_legacy_name(charset);
    return charset_legacy_to_utf8(charset, bytes, scratch, err);
}

enum status
charset_to_utf8(struct str bytes, struct str declared, struct buf *scratch, struct str *text_out,
                const char **name_out, struct err *err)
{
    enum mark mark = take_mark(&bytes);
    enum status st = ST_OK;

    *name_out = "utf-8";
    *text_out = bytes;
    if (mark == MARK_UTF16LE || mark == MARK_UTF16BE) {
        *name_out = mark == MARK_UTF16BE ? "utf-16be" : "utf-16le";
        st = utf16_to_utf8(bytes, mark == MARK_UTF16BE, scratch, err);
    } else {
        st = check_is_text(bytes, err);
        if (st != ST_OK || str_is_utf8(bytes))
            return st;
        st = eight_bit_to_utf8(bytes, mark == MARK_UTF8 ? STR("utf-8") : declared, scratch,
                               name_out, err);
    }
    if (st == ST_OK && scratch->failed)
        st = err_set(err, ST_TOO_LARGE, "The document holds more text than is allowed.");
    *text_out = buf_str(scratch);
    return st;
}
