/*
 * pdf.h - PDF, read by Poppler; a program of its own, parley-extract-pdf
 *
 * Poppler is under the GNU GPL (2 or 3), so it is linked into that program and nothing else; a
 * server without the program reads every other format. Threads: one. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_PDF_H
#define PARLEY_EXTRACT_PDF_H

#include "extract/format.h"

/* Before the sandbox closes: Poppler reads its tables from files when the first document is opened,
 * and forgets them with the last. Keeps one open for the process's life. */
void pdf_prepare(void);
enum status format_read_pdf(const struct format_input *input, struct document *document,
                            struct err *err);

#endif
