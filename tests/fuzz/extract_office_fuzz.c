/*
 * extract_office_fuzz.c - any bytes as an office document, a table or JSON, from reading to
 * passages
 *
 * The first byte chooses. Archives are made here around the bytes as their XML parts: a mutated
 * archive would hardly ever unpack; archives as they come are tried too.
 */
#include <stdlib.h>
#include <zip.h>

#include "extract_fuzz_support.h"

#define OFFICE "application/vnd.openxmlformats-officedocument."

static const char *const types[] = {OFFICE "wordprocessingml.document",
                                    OFFICE "presentationml.presentation",
                                    OFFICE "spreadsheetml.sheet",
                                    "application/vnd.oasis.opendocument.text",
                                    "text/csv",
                                    "application/json"};
#define ARCHIVE_TYPES 4

/* Every part that some reader looks for; all hold the same. */
static const char *const parts[] = {"word/document.xml",
                                    "word/styles.xml",
                                    "word/numbering.xml",
                                    "ppt/presentation.xml",
                                    "ppt/_rels/presentation.xml.rels",
                                    "ppt/slides/slide1.xml",
                                    "xl/workbook.xml",
                                    "xl/_rels/workbook.xml.rels",
                                    "xl/styles.xml",
                                    "xl/sharedStrings.xml",
                                    "xl/worksheets/sheet1.xml",
                                    "content.xml",
                                    "meta.xml",
                                    "docProps/core.xml"};

static uint8_t *
pack(const uint8_t *data, size_t size, size_t *packed_size_out)
{
    zip_error_t error;
    zip_source_t *source;
    zip_stat_t stat;
    uint8_t *bytes;
    zip_t *zip;

    zip_error_init(&error);
    source = zip_source_buffer_create(NULL, 0, 0, &error);
    assert(source != NULL);
    zip_source_keep(source);
    zip = zip_open_from_source(source, ZIP_TRUNCATE, &error);
    assert(zip != NULL);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        zip_int64_t at =
            zip_file_add(zip, parts[i], zip_source_buffer(zip, data, size, 0), ZIP_FL_ENC_UTF_8);

        assert(at >= 0);
        (void)!zip_set_file_compression(zip, (zip_uint64_t)at, ZIP_CM_STORE, 0);
    }
    if (zip_close(zip) != 0 || zip_source_stat(source, &stat) != 0 || zip_source_open(source) != 0)
        abort();
    bytes = malloc(stat.size);
    assert(bytes != NULL && zip_source_read(source, bytes, stat.size) == (zip_int64_t)stat.size);
    zip_source_close(source);
    zip_source_free(source);
    *packed_size_out = stat.size;
    return bytes;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t kind, packed_size;
    uint8_t *packed;

    if (size == 0)
        return 0;
    kind = data[0] % (sizeof(types) / sizeof(types[0]) + ARCHIVE_TYPES);
    data++;
    size--;
    if (kind >= ARCHIVE_TYPES) { /* csv, json, then archives as they come */
        kind = kind < sizeof(types) / sizeof(types[0]) ? kind
                                                       : kind - sizeof(types) / sizeof(types[0]);
        fuzz_format(types[kind], data, size);
        return 0;
    }
    packed = pack(data, size, &packed_size);
    fuzz_format(types[kind], packed, packed_size);
    free(packed);
    return 0;
}
