/*
 * format.h - the formats that can be read: one function each, one table
 *
 * A reader takes the document's bytes, any bytes, and fills a struct document. It never trusts
 * them: its memory comes from an arena or a bounded buffer, its recursion is bounded, and what it
 * cannot read is ST_INVALID with a sentence for whoever uploaded the file. It runs inside the
 * sandbox: it opens nothing. Threads: one. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_FORMAT_H
#define PARLEY_EXTRACT_FORMAT_H

#include "base/arena.h"
#include "extract/document.h"

struct pdf_eye; /* pdf.h */

struct format_input {
    struct str bytes;
    struct str charset;      /* that whoever sent them names; empty: nobody did */
    struct pdf_eye *eye;     /* reads pages that are pictures; NULL: they are told of */
    size_t max_memory_bytes; /* of what the reader builds beside its output */
    size_t max_member_bytes; /* of one document within this one */
};

struct format {
    const char *content_type;
    const char *name; /* for sentences: "not readable as HTML" */
    /* ST_INVALID: not this format. ST_TOO_LARGE: a limit was passed. */
    enum status (*read)(const struct format_input *input, struct document *document,
                        struct err *err);
};

/* A reader's table: for programs that read other formats than this one. */
const struct format *format_find_in(const struct format *formats, size_t count,
                                    struct str content_type);
/* By content type without parameters; NULL when there is none. */
const struct format *format_find(struct str content_type);

enum status format_read_markdown(const struct format_input *input, struct document *document,
                                 struct err *err);
enum status format_read_html(const struct format_input *input, struct document *document,
                             struct err *err);
enum status format_read_text(const struct format_input *input, struct document *document,
                             struct err *err);
enum status format_read_docx(const struct format_input *input, struct document *document,
                             struct err *err);
enum status format_read_pptx(const struct format_input *input, struct document *document,
                             struct err *err);
enum status format_read_xlsx(const struct format_input *input, struct document *document,
                             struct err *err);
enum status format_read_odt(const struct format_input *input, struct document *document,
                            struct err *err);
enum status format_read_csv(const struct format_input *input, struct document *document,
                            struct err *err);
/* What it names: knowledge/extract_links.h. */
enum status format_read_html_links(const struct format_input *input, struct document *document,
                                   struct err *err);
enum status format_read_sitemap(const struct format_input *input, struct document *document,
                                struct err *err);
enum status format_read_json(const struct format_input *input, struct document *document,
                             struct err *err);

#endif
