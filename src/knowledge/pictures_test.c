/*
 * pictures_test.c - scans drawn by the test, read through the real programs in their sandbox
 */
#include "base/testing.h"

#include <cairo-pdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "knowledge/extractor.h"

#define MB ((size_t)1024 * 1024)
#define WIDTH 595.0
#define HEIGHT 842.0
#define SCAN_DPI 200.0
#define TYPE_SIZE 12.0

static const char *program;
static bool has_ocr;

/* --- drawing --- */

struct drawn {
    bool is_picture;
    const char *lines[4]; /* "#..." is a heading */
};

static cairo_status_t
keep(void *out, const unsigned char *bytes, unsigned count)
{
    buf_append(out, str_of((const char *)bytes, count));
    return CAIRO_STATUS_SUCCESS;
}

static void
write_lines(cairo_t *cairo, const struct drawn *page)
{
    double y = 200;

    cairo_select_font_face(cairo, "sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    for (size_t i = 0; i < 4 && page->lines[i] != NULL; i++) {
        bool heading = page->lines[i][0] == '#';

        cairo_set_font_size(cairo, heading ? 2 * TYPE_SIZE : TYPE_SIZE);
        cairo_move_to(cairo, 60, y);
        cairo_show_text(cairo, page->lines[i] + heading);
        y += heading ? 40 : 18;
    }
}

static void
scan(cairo_t *cairo, const struct drawn *page)
{
    const double scale = SCAN_DPI / 72;
    cairo_surface_t *image =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(WIDTH * scale), (int)(HEIGHT * scale));
    cairo_t *on_image = cairo_create(image);

    cairo_set_source_rgb(on_image, 1, 1, 1);
    cairo_paint(on_image);
    cairo_set_source_rgb(on_image, 0, 0, 0);
    cairo_scale(on_image, scale, scale);
    write_lines(on_image, page);
    cairo_destroy(on_image);
    cairo_save(cairo);
    cairo_scale(cairo, 1 / scale, 1 / scale);
    cairo_set_source_surface(cairo, image, 0, 0);
    cairo_paint(cairo);
    cairo_restore(cairo);
    cairo_surface_destroy(image);
}

static void
draw(const struct drawn *pages, size_t count, struct buf *out)
{
    cairo_surface_t *surface = cairo_pdf_surface_create_for_stream(keep, out, WIDTH, HEIGHT);
    cairo_t *cairo = cairo_create(surface);

    for (size_t i = 0; i < count; i++) {
        cairo_set_source_rgb(cairo, 0, 0, 0);
        if (pages[i].is_picture)
            scan(cairo, &pages[i]);
        else
            write_lines(cairo, &pages[i]);
        cairo_show_page(cairo);
    }
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
    assert_false(out->failed);
}

/* --- reading --- */

static enum status
read_with(const char *path, const char *languages, const struct drawn *pages, size_t count,
          struct arena *arena, struct extracted *extracted, struct err *err)
{
    const struct extractor_config config = {
        .path = path, .ocr_languages = languages, .deadline_ms = 300000};
    struct extractor *extractor = NULL;
    struct buf pdf;
    enum status st;

    buf_init(&pdf, 16 * MB);
    draw(pages, count, &pdf);
    ASSERT_OK(extractor_open(&config, &extractor, err), err);
    st = extractor_run(extractor, STR("application/pdf"), buf_str(&pdf), arena, extracted, err);
    extractor_close(&extractor);
    buf_deinit(&pdf);
    return st;
}

/* The block that holds the words, or a failure. */
static const struct extract_block *
find_block(const struct extracted *extracted, const char *words)
{
    for (size_t i = 0; i < extracted->block_count; i++) {
        if (str_find(extracted->blocks[i].text, str_from_c(words)) >= 0)
            return &extracted->blocks[i];
    }
    for (size_t i = 0; i < extracted->block_count; i++)
        print_error("%.*s\n", STR_ARG(extracted->blocks[i].text));
    fail_msg("nothing says \"%s\"", words);
    return NULL;
}

static const struct drawn mixed[] = {
    {false, {"This page of the handbook holds its words as text.", NULL}},
    {true,
     {"#Returns", "Goods may be returned within thirty days.",
      "The receipt must be shown at the desk.", NULL}},
    {false, {"The last page is text again, and long enough.", NULL}},
};

static const struct drawn pictures[] = {
    {true, {"A pannier for the rear rack costs 87 euros.", NULL}},
};

static void
scans_are_read_where_they_stand(void **state)
{
    struct arena *arena = arena_create(16 * MB);
    struct extracted extracted;
    struct err err;

    (void)state;
    if (!has_ocr)
        skip(); /* a build without Tesseract */
    ASSERT_OK(read_with(program, "eng", mixed, 3, arena, &extracted, &err), &err);
    assert_int_equal(find_block(&extracted, "holds its words as text")->page, 1);
    assert_int_equal(find_block(&extracted, "within thirty days.")->page, 2);
    assert_int_equal(find_block(&extracted, "at the desk.")->page, 2);
    assert_int_equal(find_block(&extracted, "text again")->page, 3);
    assert_int_equal(find_block(&extracted, "Returns")->kind, EXTRACT_HEADING);
    assert_int_equal(find_block(&extracted, "within thirty days.")->kind, EXTRACT_PARAGRAPH);
    ASSERT_STR(extracted.note, "");
    ASSERT_OK(read_with(program, "eng", pictures, 1, arena, &extracted, &err), &err);
    assert_int_equal(find_block(&extracted, "costs 87 euros.")->page, 1);
    arena_destroy(&arena);
}

static void
blank_pictures_hold_no_text(void **state)
{
    static const struct drawn blank[] = {{true, {NULL}}};
    struct arena *arena = arena_create(16 * MB);
    struct extracted extracted;
    struct err err;

    (void)state;
    if (!has_ocr)
        skip(); /* a build without Tesseract */
    assert_int_equal(read_with(program, "eng", blank, 1, arena, &extracted, &err), ST_INVALID);
    assert_string_equal(err.public_text, "Its pages are pictures: No text was found in it.");
    arena_destroy(&arena);
}

static void
check_unread(const char *path, const char *languages, const char *why)
{
    struct arena *arena = arena_create(16 * MB);
    struct extracted extracted;
    char sentence[200];
    struct err err;

    ASSERT_OK(read_with(path, languages, mixed, 3, arena, &extracted, &err), &err);
    assert_int_equal(find_block(&extracted, "text again")->page, 3);
    (void)snprintf(sentence, sizeof(sentence), "Pages that are pictures (2): %s", why);
    ASSERT_STR(extracted.note, sentence);
    assert_int_equal(read_with(path, languages, pictures, 1, arena, &extracted, &err), ST_INVALID);
    (void)snprintf(sentence, sizeof(sentence), "Its pages are pictures: %s", why);
    assert_string_equal(err.public_text, sentence);
    arena_destroy(&arena);
}

static void
unread_pictures_are_told(void **state)
{
    (void)state;
    check_unread(program, "", "reading them is switched off (ingest.ocr_languages).");
    if (has_ocr)
        check_unread(program, "eng+xyz", "Tesseract lacks the data of a language of \"eng+xyz\".");
}

static void
link_program(const char *folder, const char *suffix)
{
    char from[1024], to[1024];
    char *real;

    (void)snprintf(from, sizeof(from), "%s%s", program, suffix);
    (void)snprintf(to, sizeof(to), "%s/parley-extract%s", folder, suffix);
    real = realpath(from, NULL);
    assert_non_null(real);
    assert_int_equal(symlink(real, to), 0);
    free(real);
}

/* As in an installation without Tesseract. */
static void
a_missing_reader_is_told(void **state)
{
    char folder[] = "/tmp/parley-pictures-XXXXXX";
    char path[64];

    (void)state;
    assert_non_null(mkdtemp(folder));
    link_program(folder, "");
    link_program(folder, "-pdf");
    (void)snprintf(path, sizeof(path), "%s/parley-extract", folder);
    check_unread(path, "eng", "install tesseract-ocr to have them read.");
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof(path), "%s/parley-extract-pdf", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* Ranges, and an end to them. */
static void
a_long_list_of_pages_ends(void **state)
{
    struct drawn pages[80];
    struct arena *arena = arena_create(16 * MB);
    struct extracted extracted;
    struct err err;

    (void)state;
    for (size_t i = 0; i < 80; i++)
        pages[i] = (struct drawn){
            i < 3 || i % 2 == 1, {"A page with more words on it than any stamp would have.", NULL}};
    ASSERT_OK(read_with(program, "", pages, 80, arena, &extracted, &err), &err);
    assert_true(str_starts_with(extracted.pictures, STR("1-4, 6, 8, 10, ")));
    assert_true(str_find(extracted.pictures, STR(", ...")) ==
                (ptrdiff_t)extracted.pictures.len - 5);
    arena_destroy(&arena);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans_are_read_where_they_stand),
        cmocka_unit_test(blank_pictures_hold_no_text),
        cmocka_unit_test(unread_pictures_are_told),
        cmocka_unit_test(a_missing_reader_is_told),
        cmocka_unit_test(a_long_list_of_pages_ends),
    };

    if (argc != 3)
        return 2;
    program = argv[1];
    has_ocr = strcmp(argv[2], "with-ocr") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
