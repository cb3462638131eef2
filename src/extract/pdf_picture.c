/*
 * pdf_picture.c - a page as grey pixels, then as glyphs with their places
 */
#include "extract/pdf_picture.h"

#include <math.h>
#include <poppler.h>
#include <stdlib.h>
#include <string.h>
#include <tesseract/capi.h>
#include <time.h>

#include "base/buf.h"

/* Type of ten points needs some 300 pixels an inch; a poster gets fewer. */
#define WANTED_DPI 300.0
#define LEAST_DPI 70.0
#define MAX_PIXELS 12.0e6
#define POINTS_PER_INCH 72.0
#define PAGE_MAX_MS 60000
/* Of a hundred: what it is less sure of is taken for the grain of a photograph. */
#define LEAST_CONFIDENCE 50.0F
#define MAX_TEXT_BYTES ((size_t)4 * 1024 * 1024)
#define MAX_SIDE_PIXELS 30000.0

struct picture_reader {
    struct pdf_eye eye;
    TessBaseAPI *tesseract; /* NULL: a language is missing */
    char languages[64];
    int64_t until_ms; /* of the process's own time */
    struct buf text;  /* of the page that was read last */
    struct pdf_glyph *glyphs;
    size_t glyph_count, glyph_capacity;
};

static int64_t
used_ms(void)
{
    struct timespec now = {0, 0};

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- drawing --- */

struct picture {
    unsigned char *grey;
    int width, height;
    double dpi;
};

static double
dpi_for(double width, double height)
{
    double inches = width * height / (POINTS_PER_INCH * POINTS_PER_INCH);
    double longer = fmax(width, height) / POINTS_PER_INCH;

    return fmin(fmin(WANTED_DPI, sqrt(MAX_PIXELS / inches)), MAX_SIDE_PIXELS / longer);
}

static void
to_grey(const unsigned char *pixels, int stride, struct picture *picture)
{
    for (int y = 0; y < picture->height; y++) {
        const unsigned char *line = pixels + (size_t)y * (size_t)stride;
        unsigned char *out = picture->grey + (size_t)y * (size_t)picture->width;

        /* Blue, green, red, nothing: as eyes weigh them. */
        for (int x = 0; x < picture->width; x++, line += 4)
            out[x] = (unsigned char)((line[0] * 29 + line[1] * 150 + line[2] * 77) >> 8);
    }
}

/* False when the page has no size that can be drawn. */
static bool
draw(PopplerPage *page, struct picture *picture)
{
    double width = 0, height = 0;
    cairo_surface_t *surface;
    cairo_t *cairo;
    bool drawn;

    poppler_page_get_size(page, &width, &height);
    if (!(width >= 1 && height >= 1))
        return false;
    picture->dpi = dpi_for(width, height);
    if (!(picture->dpi >= LEAST_DPI))
        return false;
    picture->width = (int)ceil(width * picture->dpi / POINTS_PER_INCH);
    picture->height = (int)ceil(height * picture->dpi / POINTS_PER_INCH);
    surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, picture->width, picture->height);
    cairo = cairo_create(surface);
    cairo_set_source_rgb(cairo, 1, 1, 1);
    cairo_paint(cairo);
    cairo_scale(cairo, picture->dpi / POINTS_PER_INCH, picture->dpi / POINTS_PER_INCH);
    poppler_page_render(page, cairo);
    drawn = cairo_status(cairo) == CAIRO_STATUS_SUCCESS;
    cairo_destroy(cairo);
    cairo_surface_flush(surface);
    if (drawn) {
        picture->grey = malloc((size_t)picture->width * (size_t)picture->height);
        if (picture->grey == NULL)
            abort();
        to_grey(cairo_image_surface_get_data(surface), cairo_image_surface_get_stride(surface),
                picture);
    }
    cairo_surface_destroy(surface);
    return drawn;
}

/* --- words --- */

static void
add_glyph(struct picture_reader *reader, struct pdf_glyph glyph, struct str letter)
{
    if (reader->glyph_count == reader->glyph_capacity) {
        reader->glyph_capacity = 2 * reader->glyph_capacity + 1024;
        reader->glyphs =
            reallocarray(reader->glyphs, reader->glyph_capacity, sizeof(*reader->glyphs));
        if (reader->glyphs == NULL)
            abort();
    }
    glyph.at = (unsigned)reader->text.len;
    glyph.len = (unsigned)letter.len;
    buf_append(&reader->text, letter);
    if (!reader->text.failed)
        reader->glyphs[reader->glyph_count++] = glyph;
}

static size_t
letter_len(struct str text)
{
    size_t len = 1;

    while (len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len++;
    return len;
}

/* Where each letter stands within its word does not matter: they get equal parts of it. A space
 * ends the word. place: of the word, but as high as its line. */
static void
add_word(struct picture_reader *reader, struct str word, struct pdf_glyph place)
{
    struct str rest = word;
    size_t letters = 0;
    float x = place.x1, step;

    for (; rest.len > 0; letters++)
        rest = str_sub(rest, letter_len(rest), rest.len);
    if (letters == 0)
        return;
    step = (place.x2 - place.x1) / (float)letters;
    rest = word;
    for (size_t i = 0; i < letters; i++) {
        size_t len = letter_len(rest);

        place.x1 = x + step * (float)i;
        place.x2 = x + step * (float)(i + 1);
        add_glyph(reader, place, str_sub(rest, 0, len));
        rest = str_sub(rest, len, rest.len);
    }
    place.x1 = place.x2;
    place.is_space = true;
    add_glyph(reader, place, STR(" "));
}

static float
type_size(const TessResultIterator *words, const struct pdf_glyph *place)
{
    BOOL bold, italic, underlined, monospace, serif, small_caps;
    int points = 0, font;

    (void)TessResultIteratorWordFontAttributes(words, &bold, &italic, &underlined, &monospace,
                                               &serif, &small_caps, &points, &font);
    return points > 0 ? (float)points : place->y2 - place->y1;
}

static void
add_words(struct picture_reader *reader, const struct picture *picture)
{
    const float scale = (float)(POINTS_PER_INCH / picture->dpi);
    TessResultIterator *words = TessBaseAPIGetIterator(reader->tesseract);
    const TessPageIterator *places;

    if (words == NULL)
        return;
    places = TessResultIteratorGetPageIteratorConst(words);
    do {
        int left = 0, top = 0, right = 0, bottom = 0, ignored;
        char *text = TessResultIteratorGetUTF8Text(words, RIL_WORD);
        struct pdf_glyph place = {.size = 0};

        if (text != NULL && str_is_utf8(str_from_c(text)) &&
            TessResultIteratorConfidence(words, RIL_WORD) >= LEAST_CONFIDENCE &&
            TessPageIteratorBoundingBox(places, RIL_WORD, &left, &ignored, &right, &ignored) &&
            TessPageIteratorBoundingBox(places, RIL_TEXTLINE, &ignored, &top, &ignored, &bottom)) {
            place.x1 = (float)left * scale;
            place.x2 = (float)right * scale;
            place.y1 = (float)top * scale;
            place.y2 = (float)bottom * scale;
            place.size = type_size(words, &place);
            add_word(reader, str_from_c(text), place);
        }
        TessDeleteText(text);
    } while (TessResultIteratorNext(words, RIL_WORD));
    TessResultIteratorDelete(words);
}

/* False: there was no time. */
static bool
recognize(struct picture_reader *reader, const struct picture *picture)
{
    int64_t left_ms = reader->until_ms - used_ms();
    ETEXT_DESC *monitor = TessMonitorCreate();
    bool done;

    TessBaseAPISetImage(reader->tesseract, picture->grey, picture->width, picture->height, 1,
                        picture->width);
    TessBaseAPISetSourceResolution(reader->tesseract, (int)picture->dpi);
    TessMonitorSetDeadlineMSecs(monitor, (int)(left_ms < PAGE_MAX_MS ? left_ms : PAGE_MAX_MS));
    done = TessBaseAPIRecognize(reader->tesseract, monitor) == 0;
    if (done)
        add_words(reader, picture);
    TessMonitorDelete(monitor);
    TessBaseAPIClear(reader->tesseract);
    return done;
}

static enum status
read_picture(struct pdf_eye *eye, void *page, struct pdf_page *page_out, struct err *err)
{
    struct picture_reader *reader = (struct picture_reader *)eye;
    struct picture picture = {.grey = NULL};
    bool done = true;

    if (reader->tesseract == NULL)
        return err_set(err, ST_INVALID, "Tesseract lacks the data of a language of \"%s\".",
                       reader->languages);
    if (used_ms() >= reader->until_ms)
        return err_set(err, ST_BUSY, "There was no time.");
    buf_clear(&reader->text);
    reader->glyph_count = 0;
    if (draw(page, &picture))
        done = recognize(reader, &picture);
    free(picture.grey);
    if (!done)
        return err_set(err, ST_BUSY, "There was no time.");
    page_out->text = buf_str(&reader->text);
    page_out->glyphs = reader->glyphs;
    page_out->glyph_count = reader->glyph_count;
    return ST_OK;
}

/* --- opening --- */

/* Tesseract is content with those it finds. */
static bool
has_all(TessBaseAPI *tesseract, const char *languages)
{
    char **loaded = TessBaseAPIGetLoadedLanguagesAsVector(tesseract);
    struct str rest = str_from_c(languages), wanted;
    bool all = loaded != NULL;

    while (all && str_split(&rest, '+', &wanted)) {
        bool found = wanted.len == 0;

        for (size_t i = 0; loaded[i] != NULL && !found; i++)
            found = str_eq_c(wanted, loaded[i]);
        all = found;
    }
    TessDeleteTextArray(loaded);
    return all;
}

struct picture_reader *
picture_reader_open(const char *languages, int64_t cpu_ms)
{
    struct picture_reader *reader = calloc(1, sizeof(*reader));

    if (reader == NULL)
        abort();
    reader->eye.read = read_picture;
    reader->until_ms = cpu_ms;
    buf_init(&reader->text, MAX_TEXT_BYTES);
    for (size_t i = 0; i + 1 < sizeof(reader->languages) && languages[i] != '\0'; i++)
        reader->languages[i] = languages[i];
    reader->tesseract = TessBaseAPICreate();
    if (TessBaseAPIInit3(reader->tesseract, NULL, languages) != 0 ||
        !has_all(reader->tesseract, languages)) {
        TessBaseAPIDelete(reader->tesseract);
        reader->tesseract = NULL;
        return reader;
    }
    TessBaseAPISetPageSegMode(reader->tesseract, PSM_AUTO);
    return reader;
}

struct pdf_eye *
picture_reader_eye(struct picture_reader *reader)
{
    return &reader->eye;
}

void
picture_reader_close(struct picture_reader **reader)
{
    if (*reader == NULL)
        return;
    if ((*reader)->tesseract != NULL)
        TessBaseAPIDelete((*reader)->tesseract);
    buf_deinit(&(*reader)->text);
    free((*reader)->glyphs);
    free(*reader);
    *reader = NULL;
}
