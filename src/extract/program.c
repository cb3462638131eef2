/*
 * program.c - one document from standard input, its text as frames to standard output
 *
 * Everything is read, then everything is written: a document that fails half-way gives no half
 * answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "extract/program.h"
#include "extract/charset_legacy.h"
#include "extract/sandbox.h"
#include "knowledge/content_type.h"

#define EXIT_USAGE 64
/* What the program itself takes besides the document: code, libraries with ICU's
 * tables, stack, allocator. */
#define OWN_MEMORY_BYTES ((uint64_t)112 * 1024 * 1024)

struct arguments {
    struct str content_type;
    int64_t max_input_bytes, max_output_bytes, max_memory_bytes, cpu_seconds;
};

static bool
parse_arguments(int argc, char **argv, struct arguments *arguments_out)
{
    struct arguments *a = arguments_out;

    if (argc != 6)
        return false;
    a->content_type = str_from_c(argv[1]);
    return str_to_i64(str_from_c(argv[2]), &a->max_input_bytes) && a->max_input_bytes > 0 &&
           str_to_i64(str_from_c(argv[3]), &a->max_output_bytes) && a->max_output_bytes > 0 &&
           str_to_i64(str_from_c(argv[4]), &a->max_memory_bytes) && a->max_memory_bytes > 0 &&
           str_to_i64(str_from_c(argv[5]), &a->cpu_seconds) && a->cpu_seconds > 0 &&
           a->max_input_bytes < ((int64_t)1 << 31) && a->max_output_bytes < ((int64_t)1 << 31);
}

static enum status
read_input(size_t max_bytes, struct buf *input, struct err *err)
{
    char piece[65536];

    for (;;) {
        ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, ST_UNAVAILABLE, "The document could not be received.");
        if (n == 0)
            break;
        if (input->len + (size_t)n > max_bytes)
            return err_set(err, ST_TOO_LARGE, "The document is larger than %zu MB.",
                           max_bytes >> 20);
        buf_append(input, str_of(piece, (size_t)n));
        if (input->failed)
            return err_set(err, ST_TOO_LARGE, "The document is too large for the memory allowed.");
    }
    return ST_OK;
}

static enum status
extract(const struct arguments *arguments, format_finder find, struct pdf_eye *eye,
        struct document *document, struct err *err)
{
    const struct format *format = find(content_type_essence(arguments->content_type));
    struct format_input input = {.charset = content_type_charset(arguments->content_type),
                                 .max_memory_bytes = (size_t)arguments->max_memory_bytes,
                                 .eye = eye,
                                 .max_member_bytes = (size_t)arguments->max_input_bytes};
    struct buf bytes;
    enum status st;

    if (charset_legacy_find(input.charset) == NULL)
        input.charset = STR_EMPTY; /* a slip: the document may say better */
    if (format == NULL)
        return err_set(err, ST_INVALID, "Files of this type cannot be read yet.");
    buf_init(&bytes, (size_t)arguments->max_input_bytes);
    st = read_input((size_t)arguments->max_input_bytes, &bytes, err);
    input.bytes = buf_str(&bytes);
    if (st == ST_OK)
        st = format->read(&input, document, err);
    if (st == ST_OK && document->block_count == 0 && document->member_count == 0 &&
        !document->has_pictures)
        st = err_set(err, ST_INVALID, "No text was found in it.");
    buf_deinit(&bytes);
    return st;
}

static int
write_all(struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes.ptr, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return EXIT_FAILURE;
        bytes = str_sub(bytes, (size_t)n, bytes.len);
    }
    return EXIT_SUCCESS;
}

int
extract_program(int argc, char **argv, format_finder find, const struct program_options *options)
{
    struct arguments arguments;
    struct sandbox_limits limits = {.files_fail = options->files_fail};
    struct document document;
    struct err err = {.code = ST_OK};
    enum status st;

    if (!parse_arguments(argc, argv, &arguments))
        return EXIT_USAGE;
    /* The tree, and beside it input, decoded and rendered text, and output. */
    limits.memory_bytes = OWN_MEMORY_BYTES + (uint64_t)arguments.max_memory_bytes +
                          20 * (uint64_t)arguments.max_input_bytes +
                          2 * (uint64_t)arguments.max_output_bytes;
    limits.cpu_seconds = (uint64_t)arguments.cpu_seconds;
    if (setenv("TZ", "UTC0", 1) != 0)
        return EXIT_FAILURE;
    /* lint-allow(banned): libzip asks for the local time; behind the lock no file can say it. */
    tzset();
    st = sandbox_enter(&limits, &err);
    document_init(&document, (size_t)arguments.max_output_bytes);
    if (st == ST_OK)
        st = extract(&arguments, find, options->eye, &document, &err);
    /* exit would run what libraries registered, behind the lock. */
    _exit(write_all(document_finish(&document, st, &err)));
}
