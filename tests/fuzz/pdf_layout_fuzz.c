/*
 * pdf_layout_fuzz.c - letters anywhere on some pages: every one that is drawn comes out, once
 *
 * Poppler itself is not tried here: it runs in the sandbox. Eight bytes a letter: place, size and
 * style, with values that no page should have among them.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "extract/pdf_blocks.h"

#define MB ((size_t)1024 * 1024)
#define GLYPHS_A_PAGE 300

static float
value_of(uint8_t byte, float scale)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, -1e30F, 1e30F, 0};

    return byte < 250 ? (float)byte * scale : odd[byte - 250];
}

static void
read_glyph(const uint8_t *bytes, unsigned at, struct pdf_glyph *out)
{
    float size = value_of(bytes[4], 0.25F);

    out->x1 = value_of(bytes[0], 2.4F) + (float)bytes[1] / 100;
    out->y1 = value_of(bytes[2], 3.2F) + (float)bytes[3] / 100;
    out->x2 = out->x1 + size * 0.6F;
    out->y2 = out->y1 + size;
    out->size = size;
    out->is_bold = bytes[5] & 1;
    out->is_space = (bytes[5] & 6) == 6;
    out->at = at;
    out->len = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(256 * MB);
    struct pdf_row *all = calloc(size / 8 + 1, sizeof(*all));
    struct document document;
    size_t count = 0, rest = size / 8;
    struct err err;

    assert(all != NULL);
    for (unsigned page_number = 1; rest > 0; page_number++) {
        size_t n = rest < GLYPHS_A_PAGE ? rest : GLYPHS_A_PAGE, row_count = 0;
        struct pdf_glyph *glyphs = calloc(n, sizeof(*glyphs));
        char *text = malloc(n);
        struct pdf_page page = {page_number, 600, 800, str_of(text, n), glyphs, n};
        struct pdf_row *rows;

        assert(glyphs != NULL && text != NULL);
        for (size_t i = 0; i < n; i++, data += 8) {
            read_glyph(data, (unsigned)i, &glyphs[i]);
            text[i] = (char)('!' + data[6] % 94);
        }
        assert(pdf_layout(&page, arena, &rows, &row_count, &err) == ST_OK && row_count <= n);
        for (size_t i = 0; i < row_count; i++) {
            assert(rows[i].cell_count > 0 && rows[i].cells[0].text.len > 0);
            all[count++] = rows[i];
        }
        free(glyphs);
        free(text);
        rest -= n;
    }
    document_init(&document, 64 * MB);
    pdf_blocks(all, count, &document);
    document_deinit(&document);
    free(all);
    arena_destroy(&arena);
    return 0;
}
