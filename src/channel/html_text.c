/*
 * html_text.c - the scanner: tags to line breaks, entities to characters, white space to one space
 */
#include "channel/html_text.h"

#include <string.h>

#define MAX_QUOTE_DEPTH 8
#define LINK_MAX_BYTES 1000
#define TAG_NAME_MAX 16

struct writing {
    struct buf *out;
    unsigned breaks;      /* line ends that are due before the next word */
    bool space;           /* a space is due */
    unsigned quote_depth; /* of blockquotes */
    unsigned pre_depth;
    struct str link; /* address of the open link; "" */
    size_t link_at;  /* where its words begin in out */
};

/* --- writing --- */

static void
ask_breaks(struct writing *w, unsigned count)
{
    if (w->breaks < count)
        w->breaks = count;
    w->space = false;
}

static void
write_due(struct writing *w)
{
    if (w->out->len > 0)
        for (unsigned i = 0; i < w->breaks; i++) {
            buf_append_byte(w->out, '\n');
            if (i + 1 < w->breaks)
                for (unsigned q = 0; q < w->quote_depth; q++)
                    buf_append_byte(w->out, '>');
        }
    if (w->breaks > 0 || w->out->len == 0) {
        for (unsigned q = 0; q < w->quote_depth; q++)
            buf_append_byte(w->out, '>');
        if (w->quote_depth > 0)
            buf_append_byte(w->out, ' ');
    } else if (w->space) {
        buf_append_byte(w->out, ' ');
    }
    w->breaks = 0;
    w->space = false;
}

static void
write_text(struct writing *w, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (w->pre_depth > 0 && c == '\n') {
            w->breaks = w->breaks < 3 ? w->breaks + 1 : 3;
        } else if (c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f') {
            w->space = true;
        } else {
            write_due(w);
            buf_append_byte(w->out, c);
        }
    }
}

/* --- entities --- */

static const struct entity {
    const char *name, *text;
} entities[] = {
    {"amp", "&"},    {"lt", "<"},     {"gt", ">"},     {"quot", "\""},  {"apos", "'"},
    {"nbsp", " "},   {"ensp", " "},   {"emsp", " "},   {"thinsp", " "}, {"shy", ""},
    {"zwnj", ""},    {"hellip", "…"}, {"mdash", "—"},  {"ndash", "–"},  {"lsquo", "‘"},
    {"rsquo", "’"},  {"sbquo", "‚"},  {"ldquo", "“"},  {"rdquo", "”"},  {"bdquo", "„"},
    {"laquo", "«"},  {"raquo", "»"},  {"bull", "•"},   {"middot", "·"}, {"copy", "©"},
    {"reg", "®"},    {"trade", "™"},  {"deg", "°"},    {"euro", "€"},   {"pound", "£"},
    {"cent", "¢"},   {"yen", "¥"},    {"sect", "§"},   {"times", "×"},  {"frac12", "½"},
    {"auml", "ä"},   {"ouml", "ö"},   {"uuml", "ü"},   {"Auml", "Ä"},   {"Ouml", "Ö"},
    {"Uuml", "Ü"},   {"szlig", "ß"},  {"agrave", "à"}, {"aacute", "á"}, {"acirc", "â"},
    {"atilde", "ã"}, {"aring", "å"},  {"aelig", "æ"},  {"ccedil", "ç"}, {"egrave", "è"},
    {"eacute", "é"}, {"ecirc", "ê"},  {"euml", "ë"},   {"igrave", "ì"}, {"iacute", "í"},
    {"icirc", "î"},  {"iuml", "ï"},   {"ntilde", "ñ"}, {"ograve", "ò"}, {"oacute", "ó"},
    {"ocirc", "ô"},  {"otilde", "õ"}, {"oslash", "ø"}, {"ugrave", "ù"}, {"uacute", "ú"},
    {"ucirc", "û"},  {"Eacute", "É"}, {"Egrave", "È"}, {"Agrave", "À"}, {"Aring", "Å"},
    {"Oslash", "Ø"}, {"Ccedil", "Ç"}, {"Ntilde", "Ñ"}, {"iexcl", "¡"},  {"iquest", "¿"},
};

static size_t
put_utf8(char out[4], unsigned long code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | (code >> 6));
        out[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | (code >> 12));
        out[1] = (char)(0x80 | ((code >> 6) & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | (code >> 18));
    out[1] = (char)(0x80 | ((code >> 12) & 63));
    out[2] = (char)(0x80 | ((code >> 6) & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

/* "#228" or "#xe4" to its character; 0 for what is none or is not shown. */
static size_t
read_number(struct str digits, char out[4])
{
    bool is_hex = digits.len > 0 && (digits.ptr[0] == 'x' || digits.ptr[0] == 'X');
    unsigned long code = 0;
    size_t at = is_hex ? 1 : 0;

    if (at == digits.len)
        return 0;
    for (; at < digits.len; at++) {
        char c = digits.ptr[at];
        unsigned value = c >= '0' && c <= '9'             ? (unsigned)(c - '0')
                         : is_hex && c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : is_hex && c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                          : 99;

        if (value == 99 || code > 0x10ffff)
            return 0;
        code = code * (is_hex ? 16 : 10) + value;
    }
    if (code == 160)
        code = ' ';
    if ((code < ' ' && code != '\n' && code != '\t') || (code >= 127 && code < 160) ||
        (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
        return 0;
    return put_utf8(out, code);
}

/* text begins with '&'. Writes what stands for it and says how many bytes it was. */
static size_t
write_entity(struct writing *w, struct str text)
{
    ptrdiff_t end = str_find_byte(str_sub(text, 0, 12), ';');
    struct str name = end < 1 ? STR_EMPTY : str_sub(text, 1, (size_t)end - 1);
    char character[4];

    if (name.len > 1 && name.ptr[0] == '#') {
        size_t length = read_number(str_sub(name, 1, name.len), character);

        write_text(w, str_of(character, length));
        return (size_t)end + 1;
    }
    for (size_t i = 0; name.len > 0 && i < sizeof entities / sizeof entities[0]; i++)
        if (str_eq_c(name, entities[i].name)) {
            write_text(w, str_from_c(entities[i].text));
            return (size_t)end + 1;
        }
    write_text(w, STR("&"));
    return 1;
}

/* --- tags --- */

enum tag_effect {
    TAG_NOTHING,
    TAG_BREAK,
    TAG_BLOCK,
    TAG_PARAGRAPH,
    TAG_CELL,
    TAG_ITEM,
    TAG_SKIP,
    TAG_QUOTE,
    TAG_PRE,
    TAG_LINK
};

static enum tag_effect
effect_of(struct str name)
{
    static const struct {
        const char *name;
        enum tag_effect effect;
    } tags[] = {
        {"br", TAG_BREAK},      {"p", TAG_PARAGRAPH},      {"div", TAG_BLOCK},
        {"tr", TAG_BLOCK},      {"table", TAG_BLOCK},      {"td", TAG_CELL},
        {"th", TAG_CELL},       {"li", TAG_ITEM},          {"ul", TAG_BLOCK},
        {"ol", TAG_BLOCK},      {"h1", TAG_PARAGRAPH},     {"h2", TAG_PARAGRAPH},
        {"h3", TAG_PARAGRAPH},  {"h4", TAG_PARAGRAPH},     {"h5", TAG_PARAGRAPH},
        {"h6", TAG_PARAGRAPH},  {"hr", TAG_PARAGRAPH},     {"section", TAG_BLOCK},
        {"article", TAG_BLOCK}, {"header", TAG_BLOCK},     {"footer", TAG_BLOCK},
        {"center", TAG_BLOCK},  {"blockquote", TAG_QUOTE}, {"pre", TAG_PRE},
        {"script", TAG_SKIP},   {"style", TAG_SKIP},       {"head", TAG_SKIP},
        {"title", TAG_SKIP},    {"template", TAG_SKIP},    {"svg", TAG_SKIP},
        {"a", TAG_LINK},
    };

    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
        if (str_eq_nocase(name, str_from_c(tags[i].name)))
            return tags[i].effect;
    return TAG_NOTHING;
}

/* Length of the tag that text begins with, '>' included; quotes may hide a '>'. */
static size_t
tag_length(struct str text)
{
    char quote = 0;

    for (size_t i = 1; i < text.len; i++) {
        char c = text.ptr[i];

        if (quote != 0) {
            if (c == quote)
                quote = 0;
        } else if ((c == '"' || c == '\'') && text.ptr[i - 1] == '=') {
            quote = c;
        } else if (c == '>') {
            return i + 1;
        }
    }
    return text.len;
}

/* The address of <a href="...">, when a person could follow it. */
static struct str
link_address(struct str tag)
{
    ptrdiff_t at = str_find(tag, STR("href=\""));
    struct str value = at < 0 ? STR_EMPTY : str_sub(tag, (size_t)at + 6, LINK_MAX_BYTES);
    ptrdiff_t end = str_find_byte(value, '"');

    value = end < 0 ? STR_EMPTY : str_sub(value, 0, (size_t)end);
    return str_starts_with(value, STR("https://")) || str_starts_with(value, STR("http://"))
               ? value
               : STR_EMPTY;
}

static void
end_link(struct writing *w)
{
    struct str words = str_trim(str_sub(buf_str(w->out), w->link_at, w->out->len));

    /* "shop.test/tyres" says its address already. */
    bool is_address = str_find(words, w->link) >= 0 ||
                      (str_find_byte(words, '.') >= 0 && str_find(w->link, words) >= 0);

    if (w->link.len > 0 && words.len > 0 && !is_address) {
        buf_append_c(w->out, " (");
        buf_append(w->out, w->link);
        buf_append_byte(w->out, ')');
    }
    w->link = STR_EMPTY;
}

/* Up to the end of the element whose contents say nothing. Its end tag is looked for by name. */
static size_t
skip_element(struct str html, size_t at, struct str name)
{
    for (; at + 2 + name.len <= html.len; at++)
        if (html.ptr[at] == '<' && html.ptr[at + 1] == '/' &&
            str_eq_nocase(str_sub(html, at + 2, name.len), name))
            return at + tag_length(str_sub(html, at, html.len));
    return html.len;
}

static void
count_depth(unsigned *depth, bool is_end)
{
    if (is_end && *depth > 0)
        (*depth)--;
    else if (!is_end && *depth < MAX_QUOTE_DEPTH)
        (*depth)++;
}

/* html[at] is '<' of a tag. Gives where it goes on. */
static size_t
take_tag(struct writing *w, struct str html, size_t at)
{
    size_t length = tag_length(str_sub(html, at, html.len));
    struct str tag = str_sub(html, at, length), name;
    bool is_end = tag.len > 1 && tag.ptr[1] == '/';
    size_t start = is_end ? 2 : 1, end = start;

    while (end < tag.len && end - start < TAG_NAME_MAX &&
           ((tag.ptr[end] >= 'a' && tag.ptr[end] <= 'z') ||
            (tag.ptr[end] >= 'A' && tag.ptr[end] <= 'Z') ||
            (tag.ptr[end] >= '0' && tag.ptr[end] <= '9')))
        end++;
    name = str_sub(tag, start, end - start);
    switch (effect_of(name)) {
    case TAG_BREAK:
        w->breaks = w->breaks < 3 ? w->breaks + 1 : 3;
        w->space = false;
        break;
    case TAG_BLOCK:
        ask_breaks(w, 1);
        break;
    case TAG_PARAGRAPH:
        ask_breaks(w, 2);
        break;
    case TAG_CELL:
        w->space = true;
        break;
    case TAG_ITEM:
        ask_breaks(w, 1);
        if (!is_end) {
            write_due(w);
            buf_append_c(w->out, "- ");
        }
        break;
    case TAG_SKIP:
        return is_end ? at + length : skip_element(html, at + length, name);
    case TAG_QUOTE:
        ask_breaks(w, 2);
        count_depth(&w->quote_depth, is_end);
        break;
    case TAG_PRE:
        ask_breaks(w, 1);
        count_depth(&w->pre_depth, is_end);
        break;
    case TAG_LINK:
        end_link(w);
        if (!is_end) {
            w->link = link_address(tag);
            w->link_at = w->out->len;
        }
        break;
    case TAG_NOTHING:
        break;
    }
    return at + length;
}

static size_t
skip_comment(struct str html, size_t at)
{
    ptrdiff_t end = str_find(str_sub(html, at, html.len), STR("-->"));

    return end < 0 ? html.len : at + (size_t)end + 3;
}

static bool
begins_tag(struct str html, size_t at)
{
    char next = at + 1 < html.len ? html.ptr[at + 1] : ' ';

    return (next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z') || next == '/' ||
           next == '!' || next == '?';
}

struct str
html_text(struct str html, size_t max_bytes, struct arena *arena, bool *is_cut_out)
{
    struct buf out;
    struct writing w = {.out = &out};
    size_t at = 0;

    buf_init(&out, max_bytes);
    while (at < html.len && !out.failed) {
        if (html.ptr[at] == '&') {
            at += write_entity(&w, str_sub(html, at, html.len));
        } else if (html.ptr[at] == '<' && str_starts_with(str_sub(html, at, 4), STR("<!--"))) {
            at = skip_comment(html, at);
        } else if (html.ptr[at] == '<' && begins_tag(html, at)) {
            at = take_tag(&w, html, at);
        } else {
            write_text(&w, str_sub(html, at, 1));
            at++;
        }
    }
    end_link(&w);
    if (out.failed && is_cut_out != NULL)
        *is_cut_out = true;
    struct str text = str_of(out.ptr, out.len);
    struct str result = arena_str(arena, str_sub(text, 0, str_utf8_valid_prefix(text)));
    buf_deinit(&out);
    return result;
}
