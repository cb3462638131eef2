/*
 * zip_archive.c - libzip over bytes in memory, with one budget for all that it inflates
 */
#include "extract/zip_archive.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>

/* Office documents have some thousand parts at most; the directory of more is an attack. */
#define MAX_ENTRIES 65536
#define MAX_NAME_BYTES 512

struct zip_archive {
    zip_t *zip;
    size_t left_bytes;
};

static enum status
damaged(struct err *err)
{
    return err_set(err, ST_INVALID, "It is damaged: its parts cannot be unpacked.");
}

enum status
zip_archive_open(struct str bytes, size_t max_bytes, struct zip_archive **archive_out,
                 struct err *err)
{
    struct zip_archive *archive;
    zip_source_t *source;
    zip_error_t ignored;

    *archive_out = NULL;
    zip_error_init(&ignored);
    source = zip_source_buffer_create(bytes.ptr, bytes.len, 0, &ignored);
    archive = calloc(1, sizeof(*archive));
    if (source == NULL || archive == NULL)
        abort();
    archive->left_bytes = max_bytes;
    archive->zip = zip_open_from_source(source, ZIP_RDONLY, &ignored);
    zip_error_fini(&ignored);
    if (archive->zip == NULL) {
        zip_source_free(source);
        free(archive);
        return damaged(err);
    }
    if (zip_get_num_entries(archive->zip, 0) > MAX_ENTRIES) {
        zip_archive_close(&archive);
        return err_set(err, ST_TOO_LARGE, "It has more parts than a document needs.");
    }
    *archive_out = archive;
    return ST_OK;
}

void
zip_archive_close(struct zip_archive **archive)
{
    if (*archive == NULL)
        return;
    zip_discard((*archive)->zip);
    free(*archive);
    *archive = NULL;
}

static enum status
read_all(struct zip_archive *archive, zip_file_t *file, struct buf *part, struct err *err)
{
    char piece[32768];

    for (;;) {
        zip_int64_t n = zip_fread(file, piece, sizeof(piece));

        if (n < 0)
            return damaged(err);
        if (n == 0)
            return ST_OK;
        if ((size_t)n <= archive->left_bytes)
            buf_append(part, str_of(piece, (size_t)n));
        if ((size_t)n > archive->left_bytes || part->failed)
            return err_set(err, ST_TOO_LARGE, "Unpacked it is larger than is allowed.");
        archive->left_bytes -= (size_t)n;
    }
}

enum status
zip_archive_read(struct zip_archive *archive, struct str name, struct buf *part, struct err *err)
{
    char path[MAX_NAME_BYTES];
    zip_int64_t index;
    zip_stat_t stat;
    zip_file_t *file;
    enum status st;

    if (name.len == 0 || name.len >= sizeof(path) || memchr(name.ptr, '\0', name.len) != NULL)
        return err_set(err, ST_NOT_FOUND, "It refers to a part without a proper name.");
    memcpy(path, name.ptr, name.len);
    path[name.len] = '\0';
    index = zip_name_locate(archive->zip, path, 0);
    if (index < 0)
        return err_set(err, ST_NOT_FOUND, "A part of it is missing.");
    if (zip_stat_index(archive->zip, (zip_uint64_t)index, 0, &stat) != 0)
        return damaged(err);
    if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) && stat.encryption_method != ZIP_EM_NONE)
        return err_set(err, ST_INVALID, "It is protected by a password.");
    file = zip_fopen_index(archive->zip, (zip_uint64_t)index, 0);
    if (file == NULL)
        return damaged(err);
    st = read_all(archive, file, part, err);
    (void)zip_fclose(file);
    return st;
}
