/*
 * pdf_test.c - pages drawn by the test, and what they become: headings, columns, tables, margins
 */
#include "extract/format_test_support.h"

#include <stdlib.h>
#include <string.h>

#include "extract/pdf.h"

struct drawn {
    int x, y; /* points from the upper left corner of a page of 600 by 800 */
    int size;
    const char *text; /* "*..." is bold; NULL ends the page */
};

/* A document of the pages; a second NULL text ends it. Without a table of references: Poppler makes
 * one, and the test need not count bytes. */
static struct str
draw(const struct drawn *lines)
{
    struct buf out, kids;
    int object = 10, pages = 0;

    buf_init(&out, MB);
    buf_init(&kids, MB);
    buf_append_c(&out, "%PDF-1.4\n3 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n"
                       "4 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold>>endobj\n");
    for (; lines->text != NULL; lines++) {
        buf_printf(&kids, "%d 0 R ", object);
        pages++;
        buf_printf(&out,
                   "%d 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents %d 0 R"
                   "/Resources<</Font<</R 3 0 R/B 4 0 R>>>>>>endobj\n%d 0 obj<<>>stream\n",
                   object, object + 1, object + 1);
        for (; lines->text != NULL; lines++) {
            bool bold = lines->text[0] == '*';

            buf_printf(&out, "BT /%c %d Tf %d %d Td (%s) Tj ET\n", bold ? 'B' : 'R', lines->size,
                       lines->x, 800 - lines->y, lines->text + bold);
        }
        buf_append_c(&out, "endstream endobj\n");
        object += 2;
    }
    buf_printf(&out,
               "1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
               "2 0 obj<</Type/Pages/Kids[%.*s]/Count %d>>endobj\ntrailer<</Root 1 0 R>>\n",
               STR_ARG(buf_str(&kids)), pages);
    buf_deinit(&kids);
    return buf_str(&out);
}

static void
check_bytes(const char *name, struct str bytes, const char *want)
{
    struct format_input input = {.bytes = bytes, .max_memory_bytes = 64 * MB};
    struct document document;
    struct buf printed;
    struct err err;
    enum status st;

    buf_init(&printed, MB);
    document_init(&document, MB);
    st = format_read_pdf(&input, &document, &err);
    print_frames(document_finish(&document, st, &err), &printed);
    buf_append_byte(&printed, '\0');
    if (strcmp(printed.ptr, want) != 0)
        fail_msg("%s: got\n%swant\n%s", name, printed.ptr, want);
    document_deinit(&document);
    buf_deinit(&printed);
}

static void
check_pages(const char *name, const struct drawn *lines, const char *want)
{
    struct str bytes = draw(lines);

    check_bytes(name, bytes, want);
    free((char *)(uintptr_t)bytes.ptr);
}

static void
headings_lists_and_parted_words(void **state)
{
    static const struct drawn lines[] = {
        {50, 120, 22, "Bicycle guide"},
        {50, 160, 14, "Returns"},
        {50, 180, 10, "Goods may be returned within thirty days, and the re-"},
        {50, 192, 10, "ceipt must be shown at the desk of the shop."},
        {50, 214, 10, "Another paragraph begins after a gap."},
        {50, 240, 10, "*Opening hours"},
        {50, 256, 10, "- Monday to Friday"},
        {58, 268, 10, "from nine to five"},
        {50, 280, 10, "2. Saturday"},
        {0, 0, 0, NULL},
        {0, 0, 0, NULL},
    };

    (void)state;
    check_pages("headings", lines,
                "N 1\nT Bicycle guide\nH1 Bicycle guide\nH2 Returns\n"
                "P Goods may be returned within thirty days, and the receipt must be shown at the "
                "desk of the shop.\nP Another paragraph begins after a gap.\nH3 Opening hours\n"
                "I1 - Monday to Friday from nine to five\nI1 2. Saturday\n");
}

static void
tables_are_rows(void **state)
{
    static const struct drawn lines[] = {
        {50, 200, 10, "Prices of this year:"},
        {50, 230, 10, "Item"},
        {250, 230, 10, "2025"},
        {350, 230, 10, "2026"},
        {50, 242, 10, "Bike"},
        {244, 242, 10, "$"},
        {262, 242, 10, "1,900"},
        {350, 242, 10, "2,000"},
        {50, 254, 10, "Lock"},
        {350, 254, 10, "39"},
        {50, 280, 10, "The end."},
        {0, 0, 0, NULL},
        {0, 0, 0, NULL},
    };

    (void)state;
    check_pages("table", lines,
                "N 1\nP Prices of this year:\nR1 Item|2025|2026\nR Bike|$ 1,900|2,000\nR Lock||39\n"
                "P The end.\n");
}

static void
columns_are_read_one_after_the_other(void **state)
{
    struct drawn lines[40];
    size_t count = 0;

    (void)state;
    lines[count++] = (struct drawn){50, 150, 10,
                                    "An abstract that is as wide as the page stands above both of "
                                    "the columns and belongs to none."};
    for (int i = 0; i < 8; i++) {
        lines[count++] =
            (struct drawn){50, 180 + 12 * i, 10, "left words of a column of prose it is"};
        lines[count++] =
            (struct drawn){320, 186 + 12 * i, 10, "right words of a column of prose it is"};
    }
    lines[count++] = (struct drawn){0, 0, 0, NULL};
    lines[count++] = (struct drawn){0, 0, 0, NULL};
    check_pages(
        "columns", lines,
        "N 1\nP An abstract that is as wide as the page stands above both of the columns and "
        "belongs to none.\n"
        "P left words of a column of prose it is left words of a column of prose it is left "
        "words of a column of prose it is left words of a column of prose it is left words "
        "of a column of prose it is left words of a column of prose it is left words of a "
        "column of prose it is left words of a column of prose it is right words of a "
        "column of prose it is right words of a column of prose it is right words of a "
        "column of prose it is right words of a column of prose it is right words of a "
        "column of prose it is right words of a column of prose it is right words of a "
        "column of prose it is right words of a column of prose it is\n");
}

static void
running_heads_and_page_numbers_are_left_out(void **state)
{
    static const struct drawn lines[] = {
        {50, 40, 9, "Handbook, page 1"},
        {50, 300, 10, "One sentence goes on"},
        {300, 780, 9, "1"},
        {0, 0, 0, NULL},
        {50, 40, 9, "Handbook, page 2"},
        {50, 300, 10, "over the page. First of two."},
        {300, 780, 9, "2"},
        {0, 0, 0, NULL},
        {50, 40, 9, "Handbook, page 3"},
        {50, 300, 10, "Second of two."},
        {50, 780, 9, "Only here"},
        {0, 0, 0, NULL},
        {0, 0, 0, NULL},
    };

    (void)state;
    check_pages("margins", lines,
                "N 1\nP One sentence goes on over the page. First of two.\nN 3\nP Second of two.\n"
                "P Only here\n");
}

static void
what_cannot_be_read_says_why(void **state)
{
    (void)state;
    check_bytes("no PDF", STR("just text"), "X1 It is damaged, or no PDF.\n");
    check_bytes("cut off", STR("%PDF-1.4\n1 0 obj<</Type/Cata"), "X1 It is damaged, or no PDF.\n");
}

/* Flipped bytes of a good document: an answer, never a crash. */
static void
damage_is_survived(void **state)
{
    static const struct drawn lines[] = {
        {50, 120, 12, "Words (of a page"}, {0, 0, 0, NULL}, {0, 0, 0, NULL}};
    struct str bytes = draw(lines);
    char *copy = malloc(bytes.len);

    (void)state;
    for (size_t i = 0; i < bytes.len; i++) {
        struct format_input input = {.bytes = str_of(copy, bytes.len), .max_memory_bytes = MB};
        struct document document;
        struct err err = {.code = ST_OK};

        memcpy(copy, bytes.ptr, bytes.len);
        copy[i] ^= 0x15;
        document_init(&document, MB);
        if (format_read_pdf(&input, &document, &err) != ST_OK)
            assert_true(err.public_text[0] != '\0');
        document_deinit(&document);
    }
    free(copy);
    free((char *)(uintptr_t)bytes.ptr);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headings_lists_and_parted_words),
        cmocka_unit_test(tables_are_rows),
        cmocka_unit_test(columns_are_read_one_after_the_other),
        cmocka_unit_test(running_heads_and_page_numbers_are_left_out),
        cmocka_unit_test(what_cannot_be_read_says_why),
        cmocka_unit_test(damage_is_survived),
    };

    pdf_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
