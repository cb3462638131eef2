/*
 * ocr_main.c - parley-extract-ocr: PDF whose pages are pictures
 *
 * Run after parley-extract-pdf said that there are such pages, with the languages as one more
 * argument. Lower in priority than the server: reading a scan takes a second a page.
 */
#include <sys/resource.h>

#include "extract/pdf_picture.h"
#include "extract/program.h"

#define NICENESS 10
#define EXIT_USAGE 64
/* Of its time, what reading pictures may take: the rest is for what comes after. */
#define PICTURES_MS_OF_SECOND 800

static const struct format pdf = {"application/pdf", "PDF", format_read_pdf};

static const struct format *
find_pdf(struct str content_type)
{
    return format_find_in(&pdf, 1, content_type);
}

int
main(int argc, char **argv)
{
    struct picture_reader *reader;
    int64_t cpu_seconds;

    if (argc != 7 || !str_to_i64(str_from_c(argv[5]), &cpu_seconds) || cpu_seconds < 1 ||
        cpu_seconds > INT32_MAX)
        return EXIT_USAGE;
    (void)setpriority(PRIO_PROCESS, 0, NICENESS);
    pdf_prepare();
    reader = picture_reader_open(argv[6], cpu_seconds * PICTURES_MS_OF_SECOND);
    return extract_program(
        argc - 1, argv, find_pdf,
        &(struct program_options){.files_fail = true, .eye = picture_reader_eye(reader)});
}
