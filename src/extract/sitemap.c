/*
 * sitemap.c - the addresses that a sitemap names: XML as of sitemaps.org, an index of such, or
 * lines of text; each may be packed with gzip
 *
 * What it inflates to is counted as it comes. Of XML only <loc> within <url> or <sitemap> is read.
 */
#include <string.h>
#include <zlib.h>

#include "extract/format.h"
#include "extract/xml_reader.h"
#include "knowledge/extract_links.h"

/* sitemaps.org: 50 MB unpacked, 2,048 characters an address. */
#define MAX_BYTES ((size_t)50 * 1024 * 1024)
#define ADDRESS_MAX_BYTES ((size_t)2048)
#define PIECE_BYTES 65536

struct reading {
    struct document *document;
    struct buf address;
    bool is_sitemap, in_entry, in_address;
    size_t count;
};

/* --- gzip --- */

static enum status
unpack(struct str bytes, struct buf *out, struct err *err)
{
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)bytes.ptr,
                       .avail_in = (unsigned)bytes.len};
    unsigned char piece[PIECE_BYTES];
    int code = inflateInit2(&stream, 15 + 16);

    if (code != Z_OK)
        return err_set(err, ST_TOO_LARGE, "It is too large to be unpacked.");
    while (code == Z_OK && !out->failed) {
        stream.next_out = piece;
        stream.avail_out = sizeof(piece);
        code = inflate(&stream, Z_NO_FLUSH);
        buf_append(out, str_of((const char *)piece, sizeof(piece) - stream.avail_out));
        if (code == Z_OK && stream.avail_in == 0 && stream.avail_out > 0)
            code = Z_BUF_ERROR; /* cut off */
    }
    (void)inflateEnd(&stream);
    if (out->failed)
        return err_set(err, ST_TOO_LARGE, "Unpacked it is larger than a sitemap may be.");
    if (code != Z_STREAM_END)
        return err_set(err, ST_INVALID, "It is damaged: it cannot be unpacked.");
    return ST_OK;
}

/* --- what it names --- */

static void
add_address(struct reading *reading, struct str address, bool is_sitemap)
{
    if (address.len == 0 || address.len > ADDRESS_MAX_BYTES || reading->count >= LINKS_MAX)
        return;
    reading->count++;
    if (is_sitemap)
        document_block(reading->document, EXTRACT_HEADING, LINKS_LEVEL_SITEMAP, address);
    else
        document_block(reading->document, EXTRACT_PARAGRAPH, 0, address);
}

static void
on_start(void *arg, struct str name, const char **attributes)
{
    struct reading *reading = arg;

    (void)attributes;
    if (str_eq_c(name, "url") || str_eq_c(name, "sitemap")) {
        reading->in_entry = true;
        reading->is_sitemap = str_eq_c(name, "sitemap");
    } else if (str_eq_c(name, "loc") && reading->in_entry) {
        reading->in_address = true;
        buf_clear(&reading->address);
    }
}

static void
on_end(void *arg, struct str name)
{
    struct reading *reading = arg;

    if (str_eq_c(name, "loc") && reading->in_address) {
        reading->in_address = false;
        if (!reading->address.failed)
            add_address(reading, str_trim(buf_str(&reading->address)), reading->is_sitemap);
        reading->in_entry = false; /* an image's <loc> behind it is another thing's */
    } else if (str_eq_c(name, "url") || str_eq_c(name, "sitemap")) {
        reading->in_entry = false;
    }
}

static void
on_text(void *arg, struct str text)
{
    struct reading *reading = arg;

    if (reading->in_address)
        buf_append(&reading->address, text);
}

static enum status
read_names(struct str bytes, struct document *document, struct err *err)
{
    static const struct xml_handler handler = {on_start, on_end, on_text};
    struct reading reading = {.document = document};
    struct str line, start = bytes;
    enum status st = ST_OK;

    document_block(document, EXTRACT_HEADING, LINKS_LEVEL_FIRST, STR("sitemap"));
    if (str_starts_with(start, STR("\xef\xbb\xbf")))
        start = str_sub(start, 3, start.len);
    if (str_starts_with(str_trim(start), STR("<"))) {
        buf_init(&reading.address, 2 * ADDRESS_MAX_BYTES);
        st = xml_read(bytes, &handler, &reading, err);
        buf_deinit(&reading.address);
    } else if (start.len > 0 &&
               (!str_is_utf8(start) || memchr(start.ptr, '\0', start.len) != NULL)) {
        st = err_set(err, ST_INVALID, "It is neither XML nor lines of text.");
    } else {
        while (str_split(&start, '\n', &line))
            add_address(&reading, str_trim(line), false);
    }
    return st == ST_OK ? document_check(document, err) : st;
}

enum status
format_read_sitemap(const struct format_input *input, struct document *document, struct err *err)
{
    size_t max_bytes = input->max_memory_bytes < MAX_BYTES ? input->max_memory_bytes : MAX_BYTES;
    struct buf unpacked;
    enum status st;

    if (!str_starts_with(input->bytes, STR("\x1f\x8b")))
        return read_names(input->bytes, document, err);
    buf_init(&unpacked, max_bytes);
    st = unpack(input->bytes, &unpacked, err);
    if (st == ST_OK)
        st = read_names(buf_str(&unpacked), document, err);
    buf_deinit(&unpacked);
    return st;
}
