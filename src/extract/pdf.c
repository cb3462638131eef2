/*
 * pdf.c - a document's pages from Poppler, as glyphs with their places
 */
#include "extract/pdf.h"

#include <poppler.h>
#include <stdlib.h>
#include <string.h>

#include "extract/pdf_blocks.h"

#define MAX_PAGES 20000

static const char smallest_document[] =
    "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]"
    "/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R"
    "/Resources<</Font<</F 5 0 R>>>>>>endobj\n4 0 obj<</Length 31>>stream\n"
    "BT /F 9 Tf 9 9 Td (Words) Tj ET\nendstream endobj\n5 0 obj<</Type/Font/Subtype/Type1"
    "/BaseFont/Helvetica>>endobj\ntrailer<</Root 1 0 R>>\n";

struct pages {
    struct arena *arena;
    struct pdf_row *rows; /* of all pages, heap */
    size_t count, capacity;
};

static void
add_page_rows(struct pages *pages, const struct pdf_row *rows, size_t count)
{
    if (count == 0)
        return;
    if (pages->count + count > pages->capacity) {
        pages->capacity = 2 * (pages->count + count);
        pages->rows = reallocarray(pages->rows, pages->capacity, sizeof(*rows));
        if (pages->rows == NULL)
            abort();
    }
    memcpy(pages->rows + pages->count, rows, count * sizeof(*rows));
    pages->count += count;
}

static bool
is_bold(const char *font_name)
{
    struct str name = str_from_c(font_name);

    return str_find(name, STR("Bold")) >= 0 || str_find(name, STR("bold")) >= 0 ||
           str_find(name, STR("Black")) >= 0 || str_find(name, STR("Heavy")) >= 0 ||
           str_find(name, STR("-Bd")) >= 0 || str_find(name, STR("CMBX")) >= 0;
}

static bool
is_space(struct str letter)
{
    unsigned char first = (unsigned char)letter.ptr[0];

    return first <= ' ' || str_eq(letter, STR("\xc2\xa0")) ||
           (letter.len == 3 && str_starts_with(letter, STR("\xe2\x80")) &&
            (unsigned char)letter.ptr[2] <= 0x8a); /* U+2000 to U+200A */
}

/* One glyph for each character of the text; both come from Poppler in the same order. */
static size_t
make_glyphs(const char *text, const PopplerRectangle *places, guint place_count, GList *attributes,
            struct pdf_glyph *glyphs)
{
    GList *run = attributes;
    size_t count = 0;

    for (const char *at = text; *at != '\0' && count < place_count; count++) {
        const char *next = at + g_utf8_skip[(unsigned char)*at];
        const PopplerRectangle *place = &places[count];
        const PopplerTextAttributes *style;

        while (run != NULL && run->next != NULL &&
               ((PopplerTextAttributes *)run->data)->end_index < (gint)count)
            run = run->next;
        style = run == NULL ? NULL : run->data;
        glyphs[count] = (struct pdf_glyph){
            .x1 = (float)place->x1,
            .y1 = (float)place->y1,
            .x2 = (float)place->x2,
            .y2 = (float)place->y2,
            .size = style == NULL ? (float)(place->y2 - place->y1) : (float)style->font_size,
            .at = (unsigned)(at - text),
            .len = (unsigned)(next - at),
            .is_bold = style != NULL && is_bold(style->font_name),
            .is_space = is_space(str_of(at, (size_t)(next - at))),
        };
        at = next;
    }
    return count;
}

static enum status
read_page(PopplerPage *source, unsigned number, struct pages *pages, struct err *err)
{
    struct pdf_page page = {.number = number};
    PopplerRectangle *places = NULL;
    guint place_count = 0;
    struct pdf_glyph *glyphs;
    struct pdf_row *rows = NULL;
    double width, height;
    size_t count = 0;
    GList *attributes;
    enum status st;
    char *text = poppler_page_get_text(source);

    if (text == NULL || !poppler_page_get_text_layout(source, &places, &place_count)) {
        g_free(text);
        return ST_OK;
    }
    attributes = poppler_page_get_text_attributes(source);
    poppler_page_get_size(source, &width, &height);
    glyphs = calloc((size_t)place_count + 1, sizeof(*glyphs));
    if (glyphs == NULL)
        abort();
    page.width = (float)width;
    page.height = (float)height;
    page.text = str_from_c(text);
    page.glyphs = glyphs;
    page.glyph_count = make_glyphs(text, places, place_count, attributes, glyphs);
    st = pdf_layout(&page, pages->arena, &rows, &count, err);
    if (st == ST_OK)
        add_page_rows(pages, rows, count);
    free(glyphs);
    poppler_page_free_text_attributes(attributes);
    g_free(places);
    g_free(text);
    return st;
}

/* Programs put a file's name where a title belongs. */
static bool
is_real_title(struct str title)
{
    static const char *const signs[] = {".doc", ".indd",      ".pdf",     ".qxd",    ".xls",
                                        ".tex", "Microsoft ", "untitled", "Untitled"};

    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (str_find(title, str_from_c(signs[i])) >= 0)
            return false;
    }
    for (size_t i = 0; i < title.len; i++) {
        if ((title.ptr[i] < '0' || title.ptr[i] > '9') && title.ptr[i] != '-')
            return true;
    }
    return false;
}

static enum status
read_pages(PopplerDocument *source, struct document *document, struct pages *pages, struct err *err)
{
    int count = poppler_document_get_n_pages(source);
    char *title = poppler_document_get_title(source);
    enum status st = ST_OK;

    if (count > MAX_PAGES)
        st = err_set(err, ST_TOO_LARGE, "It has more than %d pages.", MAX_PAGES);
    for (int i = 0; st == ST_OK && i < count; i++) {
        PopplerPage *page = poppler_document_get_page(source, i);

        if (page == NULL)
            continue;
        st = read_page(page, (unsigned)i + 1, pages, err);
        g_object_unref(page);
    }
    if (st == ST_OK) {
        if (is_real_title(str_from_c(title)))
            document_title(document, str_from_c(title));
        pdf_blocks(pages->rows, pages->count, document);
        if (count > 0 && document->block_count == 0)
            st = err_set(err, ST_INVALID,
                         "Its pages are pictures without text: a scan cannot be read yet.");
    }
    g_free(title);
    return st == ST_OK ? document_check(document, err) : st;
}

static enum status
refuse(const GError *error, struct err *err)
{
    if (error != NULL && error->domain == POPPLER_ERROR && error->code == POPPLER_ERROR_ENCRYPTED)
        return err_set(err, ST_INVALID, "It is protected by a password.");
    return err_set(err, ST_INVALID, "It is damaged, or no PDF.");
}

void
pdf_prepare(void)
{
    GBytes *bytes = g_bytes_new_static(smallest_document, sizeof(smallest_document) - 1);
    PopplerDocument *kept = poppler_document_new_from_bytes(bytes, NULL, NULL);
    PopplerPage *page = kept == NULL ? NULL : poppler_document_get_page(kept, 0);

    if (page != NULL) {
        g_free(poppler_page_get_text(page));
        g_object_unref(page);
    }
    g_bytes_unref(bytes);
}

enum status
format_read_pdf(const struct format_input *input, struct document *document, struct err *err)
{
    struct pages pages = {.rows = NULL};
    GBytes *bytes = g_bytes_new_static(input->bytes.ptr, input->bytes.len);
    GError *error = NULL;
    PopplerDocument *source = poppler_document_new_from_bytes(bytes, NULL, &error);
    enum status st;

    if (source == NULL) {
        st = refuse(error, err);
    } else {
        pages.arena = arena_create(input->max_memory_bytes);
        st = read_pages(source, document, &pages, err);
        free(pages.rows);
        arena_destroy(&pages.arena);
        g_object_unref(source);
    }
    g_clear_error(&error);
    g_bytes_unref(bytes);
    return st;
}
