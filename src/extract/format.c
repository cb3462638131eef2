/*
 * format.c - the table of formats
 */
#include "extract/format.h"

static const struct format formats[] = {
    {"text/markdown", "Markdown", format_read_markdown},
    {"text/html", "HTML", format_read_html},
    {"application/xhtml+xml", "HTML", format_read_html},
    {"text/plain", "plain text", format_read_text},
};

const struct format *
format_find(struct str content_type)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (str_eq_nocase(content_type, str_from_c(formats[i].content_type)))
            return &formats[i];
    }
    return NULL;
}
