/*
 * format.c - the table of formats
 */
#include "extract/format.h"

#include "knowledge/extract_links.h"

static const struct format formats[] = {
    {"text/markdown", "Markdown", format_read_markdown},
    {"text/html", "HTML", format_read_html},
    {"application/xhtml+xml", "HTML", format_read_html},
    {"text/plain", "plain text", format_read_text},
    {"text/csv", "a table", format_read_csv},
    {"text/tab-separated-values", "a table", format_read_csv},
    {"application/json", "JSON", format_read_json},
    {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "a Word document",
     format_read_docx},
    {LINKS_OF_HTML, "HTML", format_read_html_links},
    {LINKS_OF_SITEMAP, "a sitemap", format_read_sitemap},
    {"application/vnd.openxmlformats-officedocument.presentationml.presentation", "a presentation",
     format_read_pptx},
    {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "a workbook",
     format_read_xlsx},
    {"application/vnd.oasis.opendocument.text", "an OpenDocument text", format_read_odt},
};

const struct format *
format_find_in(const struct format *table, size_t count, struct str content_type)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq_nocase(content_type, str_from_c(table[i].content_type)))
            return &table[i];
    }
    return NULL;
}

const struct format *
format_find(struct str content_type)
{
    return format_find_in(formats, sizeof(formats) / sizeof(formats[0]), content_type);
}
