/*
 * markdown.c - Markdown by md4c, rendered to plain HTML and read as such
 *
 * So raw HTML inside Markdown, entities, lists and tables have one reader, and a table that is half
 * Markdown and half HTML still is one. Addresses of links are not rendered: they would be the way
 * to make a small file grow without end (a long reference used many times).
 */
#include <md4c.h>
#include <string.h>

#include "extract/charset.h"
#include "extract/format.h"
#include "extract/front_matter.h"
#include "extract/html.h"

/* md4c counts in 32 bits. */
#define MAX_MARKDOWN_BYTES ((size_t)1 << 30)

static const char *const heading_open[] = {"<h1>", "<h2>", "<h3>", "<h4>", "<h5>", "<h6>"};
static const char *const heading_close[] = {"</h1>", "</h2>", "</h3>", "</h4>", "</h5>", "</h6>"};

static const char *
block_tag(MD_BLOCKTYPE type, const void *detail, bool open)
{
    unsigned level;

    switch (type) {
    case MD_BLOCK_QUOTE:
        return open ? "<blockquote>" : "</blockquote>";
    case MD_BLOCK_UL:
        return open ? "<ul>" : "</ul>";
    case MD_BLOCK_OL:
        return open ? NULL : "</ol>";
    case MD_BLOCK_LI:
        return open ? "<li>" : "</li>";
    case MD_BLOCK_HR:
        return open ? "<hr>" : NULL;
    case MD_BLOCK_H:
        level = ((const MD_BLOCK_H_DETAIL *)detail)->level;
        return open ? heading_open[(level - 1) % 6] : heading_close[(level - 1) % 6];
    case MD_BLOCK_CODE:
        return open ? "<pre>\n" : "</pre>";
    case MD_BLOCK_P:
        return open ? "<p>" : "</p>";
    case MD_BLOCK_TABLE:
        return open ? "<table>" : "</table>";
    case MD_BLOCK_THEAD:
        return open ? "<thead>" : "</thead>";
    case MD_BLOCK_TBODY:
        return open ? "<tbody>" : "</tbody>";
    case MD_BLOCK_TR:
        return open ? "<tr>" : "</tr>";
    case MD_BLOCK_TH:
        return open ? "<th>" : "</th>";
    case MD_BLOCK_TD:
        return open ? "<td>" : "</td>";
    case MD_BLOCK_DOC:
    case MD_BLOCK_HTML:
        return NULL;
    }
    return NULL;
}

static int
on_block(MD_BLOCKTYPE type, const void *detail, bool open, struct buf *out)
{
    const char *tag = block_tag(type, detail, open);

    if (tag != NULL)
        buf_append_c(out, tag);
    else if (type == MD_BLOCK_OL && open)
        buf_printf(out, "<ol start=\"%u\">", ((const MD_BLOCK_OL_DETAIL *)detail)->start);
    return out->failed;
}

static int
on_block_open(MD_BLOCKTYPE type, void *detail, void *userdata)
{
    return on_block(type, detail, true, userdata);
}

static int
on_block_close(MD_BLOCKTYPE type, void *detail, void *userdata)
{
    return on_block(type, detail, false, userdata);
}

/* Emphasis and links are their text; an image's text is its description. */
static int
on_span(MD_SPANTYPE type, void *detail, void *userdata)
{
    (void)type;
    (void)detail;
    (void)userdata;
    return 0;
}

static void
append_escaped(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '<')
            buf_append_c(out, "&lt;");
        else if (c == '>')
            buf_append_c(out, "&gt;");
        else if (c == '&')
            buf_append_c(out, "&amp;");
        else
            buf_append_byte(out, c);
    }
}

static int
on_text(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE size, void *userdata)
{
    struct buf *out = userdata;

    switch (type) {
    case MD_TEXT_BR:
        buf_append_c(out, "<br>");
        break;
    case MD_TEXT_SOFTBR:
        buf_append_byte(out, '\n');
        break;
    case MD_TEXT_HTML:
    case MD_TEXT_ENTITY:
        buf_append(out, str_of(text, size));
        break;
    case MD_TEXT_NULLCHAR:
        break;
    case MD_TEXT_NORMAL:
    case MD_TEXT_CODE:
    case MD_TEXT_LATEXMATH:
        append_escaped(out, str_of(text, size));
        break;
    }
    return out->failed;
}

/* Indented code is off: in the documents people write, four spaces are far more often a list's
 * second paragraph or a table's indentation than a program. */
static enum status
render(struct str markdown, struct buf *html, struct err *err)
{
    const MD_PARSER parser = {
        .flags = MD_DIALECT_GITHUB | MD_FLAG_NOINDENTEDCODEBLOCKS,
        .enter_block = on_block_open,
        .leave_block = on_block_close,
        .enter_span = on_span,
        .leave_span = on_span,
        .text = on_text,
    };

    if (markdown.len > MAX_MARKDOWN_BYTES || md_parse(markdown.ptr == NULL ? "" : markdown.ptr,
                                                      (MD_SIZE)markdown.len, &parser, html) != 0)
        return err_set(err, ST_TOO_LARGE, "Its structure is too large to be read.");
    return ST_OK;
}

/* md4c wants three dashes where GitHub's tables take one: "|-|--|" becomes "|---|---|". */
static bool
is_table_rule(struct str line)
{
    bool bar = false, dash = false;

    for (size_t i = 0; i < line.len; i++) {
        if (strchr("|-: \t\r", line.ptr[i]) == NULL || line.ptr[i] == '\0')
            return false;
        bar |= line.ptr[i] == '|';
        dash |= line.ptr[i] == '-';
    }
    return bar && dash;
}

static void
widen_table_rules(struct str text, struct buf *out)
{
    struct str line;

    while (str_split(&text, '\n', &line)) {
        if (!is_table_rule(line)) {
            buf_append(out, line);
        } else {
            for (size_t i = 0; i < line.len; i++) {
                bool alone = line.ptr[i] == '-' && (i == 0 || line.ptr[i - 1] != '-');

                buf_append_c(out, alone ? "--" : "");
                buf_append_byte(out, line.ptr[i]);
            }
        }
        buf_append_byte(out, '\n');
    }
}

/* The entities that a title in YAML may well hold, because it is pasted into HTML. */
static void
append_title(struct str title, struct buf *out)
{
    static const struct {
        struct str entity;
        char letter;
    } known[] = {
        {STR_INIT("&amp;"), '&'},  {STR_INIT("&lt;"), '<'},   {STR_INIT("&gt;"), '>'},
        {STR_INIT("&quot;"), '"'}, {STR_INIT("&#39;"), '\''},
    };

    while (title.len > 0) {
        size_t len = 1;
        char letter = title.ptr[0];

        for (size_t i = 0; letter == '&' && len == 1 && i < sizeof(known) / sizeof(known[0]); i++) {
            if (str_starts_with(title, known[i].entity)) {
                letter = known[i].letter;
                len = known[i].entity.len;
                break;
            }
        }
        buf_append_byte(out, letter);
        title = str_sub(title, len, title.len);
    }
}

static enum status
read_utf8(struct str text, size_t max_memory_bytes, struct document *document, struct err *err)
{
    struct front_matter head;
    struct buf title, plain, ruled, html;
    enum status st;

    front_matter_read(text, &head);
    buf_init(&title, head.title.len + 1);
    buf_init(&plain, text.len + 16);
    buf_init(&ruled, 3 * text.len + 16);
    buf_init(&html, 6 * text.len + 4096);
    append_title(head.title, &title);
    document_title(document, buf_str(&title));
    document_language(document, head.language);
    document_label(document, EXTRACT_CATEGORY, head.category);
    document_label(document, EXTRACT_TONE, head.tone);
    document_label(document, EXTRACT_DATE, head.date);
    if (head.present) {
        template_tags_strip(head.rest, &plain);
        head.rest = buf_str(&plain);
    }
    widen_table_rules(head.rest, &ruled);
    buf_append_byte(&ruled, '\0'); /* md4c scans with strcspn, past the length it is given */
    st = render(str_sub(buf_str(&ruled), 0, ruled.len - 1), &html, err);
    if (st == ST_OK)
        st = html_read(buf_str(&html), max_memory_bytes, document, err);
    buf_deinit(&html);
    buf_deinit(&ruled);
    buf_deinit(&plain);
    buf_deinit(&title);
    return st;
}

enum status
format_read_markdown(const struct format_input *input, struct document *document, struct err *err)
{
    struct buf scratch;
    struct str text;
    const char *charset = "utf-8";
    enum status st;

    buf_init(&scratch, 3 * input->bytes.len + 16);
    st = charset_to_utf8(input->bytes, input->charset, &scratch, &text, &charset, err);
    if (st == ST_OK && strcmp(charset, "utf-8") != 0)
        document_charset(document, str_from_c(charset));
    if (st == ST_OK)
        st = read_utf8(text, input->max_memory_bytes, document, err);
    buf_deinit(&scratch);
    return st;
}
