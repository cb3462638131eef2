/*
 * extractor_test.c - the real helper, and one that misbehaves in every way we know
 */
#include "base/testing.h"

#include "base/clock.h"
#include "base/buf.h"
#include "knowledge/extractor.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MB ((size_t)1024 * 1024)

static const char *real_path;
static const char *double_path;
static const char *released_path; /* without sanitizers: keeps to its limit of memory */
static bool has_pdf;              /* Parley was built with what reads it */

static enum status
run(const struct extractor_config *config, struct str type, struct str content, struct arena *arena,
    struct extracted *extracted, struct err *err)
{
    struct extractor *extractor = NULL;
    enum status st;

    ASSERT_OK(extractor_open(config, &extractor, err), err);
    st = extractor_run(extractor, type, content, arena, extracted, err);
    extractor_close(&extractor);
    return st;
}

static void
reads_markdown(void **state)
{
    const struct extractor_config config = {.path = real_path};
    struct arena *arena = arena_create(16 * MB);
    struct extracted extracted;
    struct err err;

    (void)state;
    ASSERT_OK(run(&config, STR("text/markdown"), STR("# Hire\n\nBy the *day*.\n\n- a\n"), arena,
                  &extracted, &err),
              &err);
    ASSERT_STR(extracted.title, "Hire");
    assert_int_equal(extracted.block_count, 3);
    assert_int_equal(extracted.blocks[0].kind, EXTRACT_HEADING);
    ASSERT_STR(extracted.blocks[1].text, "By the day.");
    ASSERT_STR(extracted.blocks[2].text, "- a");
    arena_destroy(&arena);
}

/* More than a socket or pipe holds, both ways at once. */
static void
large_documents_flow(void **state)
{
    const struct extractor_config config = {.path = real_path};
    struct arena *arena = arena_create(256 * MB);
    struct extracted extracted;
    struct buf text;
    struct err err;

    (void)state;
    buf_init(&text, 16 * MB);
    for (unsigned i = 0; i < 100000; i++)
        buf_printf(&text, "Paragraph number %u says something about bicycles.\n\n", i);
    ASSERT_OK(run(&config, STR("text/plain"), buf_str(&text), arena, &extracted, &err), &err);
    assert_int_equal(extracted.block_count, 100000);
    ASSERT_STR(extracted.blocks[99999].text,
               "Paragraph number 99999 says something about bicycles.");
    buf_deinit(&text);
    arena_destroy(&arena);
}

static void
refuses_what_it_cannot_read(void **state)
{
    static const struct {
        struct str type, content;
        enum status want;
        const char *text;
    } table[] = {
        {STR_INIT("application/x-7z-compressed"), STR_INIT("x"), ST_INVALID,
         "Files of this type cannot be read yet."},
        {STR_INIT("text/html"), STR_INIT("\x89PNG\r\n"), ST_INVALID,
         "This is a PNG image, not a text file."},
        {STR_INIT("text/plain"), STR_INIT(" \n\n "), ST_INVALID, "No text was found in it."},
        {STR_INIT("text/markdown"), STR_INIT(""), ST_INVALID, "No text was found in it."},
    };
    const struct extractor_config config = {.path = real_path};

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct arena *arena = arena_create(MB);
        struct extracted extracted;
        struct err err;

        assert_int_equal(run(&config, table[i].type, table[i].content, arena, &extracted, &err),
                         table[i].want);
        assert_string_equal(err.public_text, table[i].text);
        arena_destroy(&arena);
    }
}

static void
limits_hold(void **state)
{
    const struct extractor_config small_in = {.path = real_path, .max_input_bytes = 10};
    const struct extractor_config small_out = {.path = real_path, .max_output_bytes = 100};
    struct arena *arena = arena_create(4 * MB);
    struct extracted extracted;
    struct buf text;
    struct err err;

    (void)state;
    buf_init(&text, MB);
    for (unsigned i = 0; i < 1000; i++)
        buf_append_c(&text, "word ");
    assert_int_equal(run(&small_in, STR("text/plain"), buf_str(&text), arena, &extracted, &err),
                     ST_TOO_LARGE);
    assert_int_equal(run(&small_out, STR("text/plain"), buf_str(&text), arena, &extracted, &err),
                     ST_TOO_LARGE);
    buf_deinit(&text);
    arena_destroy(&arena);
}

static void
misbehaviour_has_a_name(void **state)
{
    static const struct {
        struct str wish;
        enum status want;
        const char *detail; /* begins so */
    } table[] = {
        {STR_INIT("crash"), ST_INVALID, "parley-extract died of signal 11"},
        {STR_INIT("slow"), ST_INVALID, "The document takes too long to read"},
        {STR_INIT("killed"), ST_UNAVAILABLE, "parley-extract was killed by the system"},
        {STR_INIT("flood"), ST_TOO_LARGE, "The document holds more text than is allowed."},
        {STR_INIT("status"), ST_UNAVAILABLE, "parley-extract ended with status 5"},
        {STR_INIT("half"), ST_UNAVAILABLE, "parley-extract ended with status 0"},
        {STR_INIT("silent"), ST_UNAVAILABLE, "parley-extract ended with status 0"},
        {STR_INIT("more"), ST_INTERNAL, "parley-extract broke its protocol: more after its end"},
        {STR_INIT("count"), ST_INTERNAL, "parley-extract broke its protocol: a wrong count"},
        {STR_INIT("nothing"), ST_INTERNAL, "parley-extract broke its protocol: a wrong count"},
        {STR_INIT("kind"), ST_INTERNAL, "parley-extract broke its protocol: an unknown frame"},
        {STR_INIT("level"), ST_INTERNAL, "parley-extract broke its protocol: a heading"},
        {STR_INIT("page"), ST_INTERNAL, "parley-extract broke its protocol: a page without number"},
        {STR_INIT("label"), ST_INTERNAL,
         "parley-extract broke its protocol: a label of a wrong length"},
        {STR_INIT("pictures"), ST_INTERNAL, "parley-extract broke its protocol: pictures that"},
        {STR_INIT("utf-8"), ST_INTERNAL, "parley-extract broke its protocol: text that is not"},
        {STR_INIT("nul"), ST_INTERNAL, "parley-extract broke its protocol: text that is not"},
        {STR_INIT("blame"), ST_UNAVAILABLE, "parley-extract failed: oops"},
        {STR_INIT("refuse"), ST_INVALID, "Not so!"},
    };
    const struct extractor_config config = {.path = double_path, .max_output_bytes = MB};

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct arena *arena = arena_create(4 * MB);
        struct extracted extracted;
        struct err err;
        enum status st = run(&config, STR("text/plain"), table[i].wish, arena, &extracted, &err);

        if (st != table[i].want ||
            !str_starts_with(str_from_c(err.detail), str_from_c(table[i].detail)))
            fail_msg("%.*s: %s: %s", STR_ARG(table[i].wish), status_name(st), err.detail);
        arena_destroy(&arena);
    }
}

/* It answers without reading all of a large document: neither side waits for the other. */
static void
the_deaf_are_heard(void **state)
{
    const struct extractor_config config = {.path = double_path};
    struct arena *arena = arena_create(MB);
    struct extracted extracted;
    struct buf text;
    struct err err;

    (void)state;
    buf_init(&text, 8 * MB);
    buf_append_c(&text, "deaf");
    for (unsigned i = 0; i < 1000000; i++)
        buf_append_c(&text, "word ");
    assert_int_equal(run(&config, STR("text/plain"), buf_str(&text), arena, &extracted, &err),
                     ST_INVALID);
    assert_string_equal(err.public_text, "deaf");
    buf_deinit(&text);
    arena_destroy(&arena);
}

static void
the_deadline_kills(void **state)
{
    const struct extractor_config config = {.path = double_path, .deadline_ms = 200};
    struct arena *arena = arena_create(MB);
    int64_t start_us = clock_mono_us(clock_system());
    struct extracted extracted;
    struct err err;

    (void)state;
    assert_int_equal(run(&config, STR("text/plain"), STR("hang"), arena, &extracted, &err),
                     ST_INVALID);
    assert_true(str_starts_with(str_from_c(err.public_text), STR("The document takes too long")));
    assert_true(clock_mono_us(clock_system()) - start_us >= 200 * US_PER_MS);
    assert_true(clock_mono_us(clock_system()) - start_us < 20 * US_PER_S);
    arena_destroy(&arena);
}

/* A PDF of one page: its content, decoded as asked. To it belong a font F and a drawing X, which
 * is object 6. */
static struct str
pdf_with(struct str content, const char *decoding, const char *objects, struct buf *pdf)
{
    buf_append_c(pdf, "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
                      "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
                      "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
                      "/Resources<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>>>endobj\n"
                      "5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n");
    buf_printf(pdf, "4 0 obj<</Length %zu%s>>stream\n", content.len, decoding);
    buf_append(pdf, content);
    buf_printf(pdf, "\nendstream endobj\n%strailer<</Root 1 0 R>>\n", objects);
    assert_false(pdf->failed);
    return buf_str(pdf);
}

static struct str
pdf_of(struct str content, const char *decoding, struct buf *pdf)
{
    return pdf_with(content, decoding, "", pdf);
}

#define PDF_TEXT "BT /F 9 Tf 9 700 Td (A puncture costs 19 euros.) Tj ET\n"

/* That reader of PDF as it is released. */
static void
read_pdf(const struct extractor_config *config, struct str pdf, enum status want, const char *text)
{
    struct arena *arena = arena_create(4 * MB);
    struct extracted extracted;
    struct err err;
    enum status st = run(config, STR("application/pdf"), pdf, arena, &extracted, &err);

    if (st != want)
        fail_msg("%s: %s", status_name(st), err.detail);
    if (st == ST_OK)
        ASSERT_STR(extracted.blocks[0].text, text);
    else
        assert_string_equal(err.public_text, text);
    arena_destroy(&arena);
}

static void
memory_has_an_end(void **state)
{
    /* Each predictor takes a line of the picture that it pretends to be, 200 MB. */
#define FILTERS "/FlateDecode/FlateDecode/FlateDecode/FlateDecode"
#define PREDICTOR "<</Predictor 12/Columns 200000000>>"
    static const char greedy[] = "/Filter[" FILTERS FILTERS "]/DecodeParms[" PREDICTOR PREDICTOR
        PREDICTOR PREDICTOR PREDICTOR PREDICTOR PREDICTOR PREDICTOR "]";
    const struct extractor_config config = {.path = released_path};
    struct buf pdf;

    (void)state;
    if (!has_pdf)
        skip(); /* a build without what reads PDF */
    buf_init(&pdf, MB);
    read_pdf(&config, pdf_of(STR("x"), greedy, &pdf), ST_INVALID,
             "The document could not be read safely: it is damaged, or takes too much memory.");
    buf_clear(&pdf);
    read_pdf(&config, pdf_of(STR(PDF_TEXT), "", &pdf), ST_OK, "A puncture costs 19 euros.");
    buf_deinit(&pdf);
}

/* Drawings each of which is the next one ten times. */
static struct str
drawings(struct buf *objects)
{
    for (int i = 6; i < 20; i++)
        buf_printf(
            objects,
            "%d 0 obj<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X %d 0 "
            "R>>>>/Length 60>>stream\n/X Do /X Do /X Do /X Do /X Do /X Do /X Do /X Do /X Do "
            "/X Do \nendstream endobj\n",
            i, i + 1);
    buf_append_byte(objects, '\0');
    assert_false(objects->failed);
    return buf_str(objects);
}

static void
processor_time_has_an_end(void **state)
{
    const struct extractor_config config = {
        .path = released_path, .cpu_seconds = 1, .deadline_ms = 120000};
    struct buf objects, pdf;

    (void)state;
    if (!has_pdf)
        skip(); /* a build without what reads PDF */
    buf_init(&objects, MB);
    buf_init(&pdf, MB);
    read_pdf(&config, pdf_with(STR("/X Do"), "", drawings(&objects).ptr, &pdf), ST_INVALID,
             "The document takes too long to read: it is too large or too tangled.");
    buf_clear(&pdf);
    read_pdf(&config, pdf_of(STR(PDF_TEXT), "", &pdf), ST_OK, "A puncture costs 19 euros.");
    buf_deinit(&objects);
    buf_deinit(&pdf);
}

static void
a_missing_program_is_told(void **state)
{
    const struct extractor_config config = {.path = "/nowhere/parley-extract"};
    struct extractor *extractor = NULL;
    struct err err;

    (void)state;
    assert_int_equal(extractor_open(&config, &extractor, &err), ST_NOT_FOUND);
    assert_null(extractor);
    extractor_close(&extractor);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_markdown),
        cmocka_unit_test(large_documents_flow),
        cmocka_unit_test(refuses_what_it_cannot_read),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(misbehaviour_has_a_name),
        cmocka_unit_test(the_deaf_are_heard),
        cmocka_unit_test(the_deadline_kills),
        cmocka_unit_test(memory_has_an_end),
        cmocka_unit_test(processor_time_has_an_end),
        cmocka_unit_test(a_missing_program_is_told),
    };

    if (argc != 5)
        return 2;
    real_path = argv[1];
    double_path = argv[2];
    released_path = argv[3];
    has_pdf = strcmp(argv[4], "with-pdf") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
