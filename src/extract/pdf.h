/*
 * pdf.h - PDF, read by Poppler; programs of their own, parley-extract-pdf and -ocr
 *
 * Poppler is under the GNU GPL (2 or 3), so it is linked into those programs and nothing else; a
 * server without them reads every other format. Threads: one. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_PDF_H
#define PARLEY_EXTRACT_PDF_H

#include "extract/format.h"
#include "extract/pdf_layout.h"

/* Reads pages that are pictures. */
struct pdf_eye {
    /* Fills text and glyphs, which stay until the next call; page: a PopplerPage. ST_BUSY: there
     * was no time; ST_INVALID: it cannot read at all, and says why. */
    enum status (*read)(struct pdf_eye *eye, void *page, struct pdf_page *page_out,
                        struct err *err);
};

/* Before the sandbox closes: Poppler reads its tables from files when the first document is opened,
 * and forgets them with the last. Keeps one open for the process's life. */
void pdf_prepare(void);
enum status format_read_pdf(const struct format_input *input, struct document *document,
                            struct err *err);

#endif
