/*
 * pdf.c - a document's pages from Poppler, as glyphs with their places
 */
#include "extract/pdf.h"

#include <math.h>
#include <poppler.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "extract/pdf_blocks.h"

#define MAX_PAGES 20000
/* A page is a picture when it has no more letters than a stamp, and images on this part of it. */
#define STAMP_MAX_LETTERS 40
#define PICTURE_MIN_PART 0.2
/* Type sizes told by looking differ from line to line: so much larger than the page's usual one
 * makes a heading, and each level is taken as this many times the usual one. */
static const float seen_sizes[] = {1.0F, 1.4F, 1.8F, 2.6F};
#define USUAL_SIZE 10.0F
#define MAX_SIZE 200

static const char smallest_document[] =
    "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]"
    "/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R"
    "/Resources<</Font<</F 5 0 R>>>>>>endobj\n4 0 obj<</Length 31>>stream\n"
    "BT /F 9 Tf 9 9 Td (Words) Tj ET\nendstream endobj\n5 0 obj<</Type/Font/Subtype/Type1"
    "/BaseFont/Helvetica>>endobj\ntrailer<</Root 1 0 R>>\n";

struct pages {
    struct arena *arena;
    struct pdf_eye *eye;  /* may be NULL */
    struct pdf_row *rows; /* of all pages, heap */
    size_t count, capacity;

    /* Pictures that nobody read. */
    unsigned from, to; /* the last pages of them; 0: none yet */
    char unread[EXTRACT_PICTURES_MAX_LEN + 1];
};

/* --- pictures --- */

/* Puts the last pages among the others; a list that grows too long ends in "...". */
static void
end_range(struct pages *pages)
{
    size_t len = strlen(pages->unread);
    const char *comma = len > 0 ? ", " : "";
    char range[32];

    if (pages->from == 0 || (len > 3 && strcmp(pages->unread + len - 3, "...") == 0))
        return;
    if (pages->from == pages->to)
        snprintf(range, sizeof(range), "%s%u", comma, pages->from);
    else
        snprintf(range, sizeof(range), "%s%u-%u", comma, pages->from, pages->to);
    if (len + strlen(range) + 5 > EXTRACT_PICTURES_MAX_LEN)
        snprintf(range, sizeof(range), "%s...", comma);
    snprintf(pages->unread + len, sizeof(pages->unread) - len, "%s", range);
}

static void
note_unread(struct pages *pages, unsigned number)
{
    if (pages->from > 0 && number == pages->to + 1) {
        pages->to = number;
        return;
    }
    end_range(pages);
    pages->from = pages->to = number;
}

static bool
is_picture(PopplerPage *source, const struct pdf_page *page)
{
    double images = 0;
    size_t letters = 0;
    GList *mapping;

    for (size_t i = 0; i < page->glyph_count; i++)
        letters += !page->glyphs[i].is_space;
    if (letters > STAMP_MAX_LETTERS)
        return false;
    mapping = poppler_page_get_image_mapping(source);
    for (const GList *at = mapping; at != NULL; at = at->next) {
        const PopplerRectangle *area = &((const PopplerImageMapping *)at->data)->area;

        images += fabs((area->x2 - area->x1) * (area->y2 - area->y1));
    }
    poppler_page_free_image_mapping(mapping);
    return images >= PICTURE_MIN_PART * page->width * page->height;
}

static int
by_size(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;

    return left < right ? -1 : left > right;
}

/* Each row's size becomes one of seen_sizes. */
static void
relate_sizes(struct pdf_row *rows, size_t count)
{
    float *sizes = calloc(count + 1, sizeof(*sizes));
    float usual;

    if (sizes == NULL)
        abort();
    for (size_t i = 0; i < count; i++)
        sizes[i] = rows[i].size;
    qsort(sizes, count, sizeof(*sizes), by_size);
    usual = sizes[count / 2];
    free(sizes);
    for (size_t i = 0; i < count; i++) {
        float ratio = rows[i].size / usual;

        rows[i].is_seen = true;
        rows[i].size = seen_sizes[0];
        for (size_t s = 1; s < sizeof(seen_sizes) / sizeof(seen_sizes[0]); s++) {
            if (ratio >= seen_sizes[s])
                rows[i].size = seen_sizes[s];
        }
    }
}

/* In points again, by the size that most of the text has that the file holds as text. */
static void
settle_sizes(struct pages *pages)
{
    size_t rows_of[MAX_SIZE] = {0}, most = 0;
    float usual = USUAL_SIZE;

    for (size_t i = 0; i < pages->count; i++) {
        const struct pdf_row *row = &pages->rows[i];
        size_t slot = row->size >= 1 && row->size < MAX_SIZE ? (size_t)row->size : 0;

        if (!row->is_seen && slot > 0 && ++rows_of[slot] > most) {
            most = rows_of[slot];
            usual = row->size;
        }
    }
    for (size_t i = 0; i < pages->count; i++) {
        if (pages->rows[i].is_seen)
            pages->rows[i].size *= usual;
    }
}

/* --- text --- */

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

/* What the eye reads takes the place of a stamp; what it finds nothing in keeps it. */
static enum status
look_at(PopplerPage *source, struct pdf_page *page, struct pages *pages, bool *seen_out,
        struct err *err)
{
    struct pdf_page seen = *page;
    enum status st = ST_BUSY;

    if (pages->eye != NULL)
        st = pages->eye->read(pages->eye, source, &seen, err);
    if (st == ST_BUSY) {
        note_unread(pages, page->number);
        return ST_OK;
    }
    *seen_out = st == ST_OK && seen.glyph_count > 0;
    if (*seen_out)
        *page = seen;
    return st;
}

static enum status
lay_out(PopplerPage *source, struct pdf_page *page, struct pages *pages, struct err *err)
{
    struct pdf_row *rows = NULL;
    size_t count = 0;
    bool is_seen = false;
    enum status st = ST_OK;

    if (is_picture(source, page))
        st = look_at(source, page, pages, &is_seen, err);
    if (st == ST_OK)
        st = pdf_layout(page, pages->arena, &rows, &count, err);
    if (st != ST_OK)
        return st;
    if (is_seen && count > 0)
        relate_sizes(rows, count);
    add_page_rows(pages, rows, count);
    return ST_OK;
}

static enum status
read_page(PopplerPage *source, unsigned number, struct pages *pages, struct err *err)
{
    struct pdf_page page = {.number = number, .text = STR("")};
    PopplerRectangle *places = NULL;
    guint place_count = 0;
    struct pdf_glyph *glyphs;
    double width, height;
    GList *attributes = NULL;
    enum status st;
    char *text = poppler_page_get_text(source);

    if (text != NULL && poppler_page_get_text_layout(source, &places, &place_count))
        attributes = poppler_page_get_text_attributes(source);
    poppler_page_get_size(source, &width, &height);
    glyphs = calloc((size_t)place_count + 1, sizeof(*glyphs));
    if (glyphs == NULL)
        abort();
    page.width = (float)width;
    page.height = (float)height;
    page.glyphs = glyphs;
    if (text != NULL) {
        page.text = str_from_c(text);
        page.glyph_count = make_glyphs(text, places, place_count, attributes, glyphs);
    }
    st = lay_out(source, &page, pages, err);
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
        end_range(pages);
        if (pages->unread[0] != '\0')
            document_pictures(document, str_from_c(pages->unread));
        settle_sizes(pages);
        pdf_blocks(pages->rows, pages->count, document);
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
    struct pages pages = {.eye = input->eye};
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
