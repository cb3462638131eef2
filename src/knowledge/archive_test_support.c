/*
 * archive_test_support.c - archives made in memory, by libarchive
 */
#include "knowledge/archive_test_support.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#define PACKED_MAX ((size_t)4 * 1024 * 1024)

static void
choose_format(struct archive *archive, enum pack_kind kind)
{
    if (kind == PACK_TAR || kind == PACK_TAR_GZ) {
        archive_write_set_format_pax_restricted(archive);
        if (kind == PACK_TAR_GZ)
            archive_write_add_filter_gzip(archive);
        return;
    }
    archive_write_set_format_zip(archive);
    if (kind == PACK_ZIP_LOCKED) {
        archive_write_set_options(archive, "zip:encryption=traditional");
        archive_write_set_passphrase(archive, "secret");
    }
}

static void
add(struct archive *archive, const struct packed_file *file)
{
    struct archive_entry *entry = archive_entry_new();
    bool is_link = file->bytes == NULL && file->size == 0;
    size_t size = file->size > 0 || is_link ? file->size : strlen(file->bytes);
    char *zeros = file->bytes == NULL && !is_link ? calloc(1, file->size) : NULL;

    archive_entry_set_pathname_utf8(entry, file->path);
    archive_entry_set_size(entry, (la_int64_t)size);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_filetype(entry, is_link ? AE_IFLNK : AE_IFREG);
    if (is_link)
        archive_entry_set_symlink(entry, "/etc/passwd");
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    if (size > 0)
        assert_int_equal(archive_write_data(archive, zeros != NULL ? zeros : file->bytes, size),
                         size);
    archive_entry_free(entry);
    free(zeros);
}

struct str
pack(enum pack_kind kind, const struct packed_file *files, size_t count)
{
    struct archive *archive = archive_write_new();
    char *bytes = malloc(PACKED_MAX);
    size_t used = 0;

    assert_non_null(bytes);
    choose_format(archive, kind);
    assert_int_equal(archive_write_open_memory(archive, bytes, PACKED_MAX, &used), ARCHIVE_OK);
    for (size_t i = 0; i < count; i++)
        add(archive, &files[i]);
    assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
    archive_write_free(archive);
    return str_of(bytes, used);
}
