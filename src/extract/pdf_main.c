/*
 * pdf_main.c - parley-extract-pdf
 */
#include "extract/pdf.h"
#include "extract/program.h"

static const struct format pdf = {"application/pdf", "PDF", format_read_pdf};

static const struct format *
find_pdf(struct str content_type)
{
    return format_find_in(&pdf, 1, content_type);
}

int
main(int argc, char **argv)
{
    pdf_prepare();
    return extract_program(argc, argv, find_pdf, &(struct program_options){.files_fail = true});
}
