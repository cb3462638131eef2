/*
 * archive.c - the files of a ZIP, tar or tar.gz archive, by libarchive from memory
 *
 * What a member inflates to is counted as it comes, not as the archive claims. libarchive gives up
 * a ZIP at its first member that cannot be inflated; it is opened again behind that one, because
 * the others are whole.
 */
#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#include "extract/members.h"

/* A ZIP with more broken members than this is broken. */
#define MAX_REOPENINGS 64
#define PIECE_BYTES 65536

struct reading {
    struct members *members;
    struct archive *archive;
    size_t index;  /* of the member after the current one */
    bool is_again; /* it gave up within a member: open it again behind it */
};

static enum status
too_large(struct err *err)
{
    return err_set(err, ST_TOO_LARGE, "Unpacked it is larger than is allowed.");
}

static struct archive *
open_archive(struct str bytes)
{
    struct archive *archive = archive_read_new();

    if (archive == NULL)
        abort();
    (void)archive_read_support_filter_gzip(archive);
    (void)archive_read_support_format_zip(archive);
    (void)archive_read_support_format_tar(archive);
    if (archive_read_open_memory(archive, bytes.ptr, bytes.len) == ARCHIVE_OK)
        return archive;
    (void)archive_read_free(archive);
    return NULL;
}

/* Why the member is not read, or empty when it was; ST_TOO_LARGE ends all. */
static enum status
read_bytes(struct reading *reading, struct buf *bytes, struct str *failure_out, struct err *err)
{
    struct members *members = reading->members;
    char piece[PIECE_BYTES];

    for (;;) {
        la_ssize_t n = archive_read_data(reading->archive, piece, sizeof(piece));

        if (n == 0)
            return ST_OK;
        if (n < 0) {
            reading->is_again = n == ARCHIVE_FATAL;
            *failure_out = STR("It is damaged: it cannot be unpacked.");
            return ST_OK;
        }
        if ((size_t)n > members->left_bytes)
            return too_large(err);
        members->left_bytes -= (size_t)n;
        buf_append(bytes, str_of(piece, (size_t)n));
        if (bytes->failed) {
            *failure_out = STR("Unpacked it is larger than a document may be.");
            return ST_OK;
        }
    }
}

static enum status
read_member(struct reading *reading, struct archive_entry *entry,
            struct err *err) // NOLINT(misc-no-recursion)
{
    struct members *members = reading->members;
    const char *name = archive_entry_pathname_utf8(entry);
    struct str path = str_from_c(name != NULL ? name : archive_entry_pathname(entry));
    struct str failure = STR("");
    struct buf bytes;
    enum status st;

    if (archive_entry_filetype(entry) == AE_IFDIR || !members_wants(members, path))
        return ST_OK;
    if (archive_entry_filetype(entry) == AE_IFLNK || archive_entry_hardlink(entry) != NULL)
        failure = STR("It is a link, not a document.");
    else if (archive_entry_filetype(entry) != AE_IFREG)
        failure = STR("It is no file.");
    else if (archive_entry_is_encrypted(entry) != 0)
        failure = STR("It is protected by a password.");
    if (failure.len > 0) {
        members_fail(members, path, failure);
        return ST_OK;
    }
    buf_init(&bytes, members->member_max_bytes);
    st = read_bytes(reading, &bytes, &failure, err);
    if (st == ST_OK && failure.len > 0)
        members_fail(members, path, failure);
    else if (st == ST_OK)
        st = members_add(members, path, buf_str(&bytes), err);
    buf_deinit(&bytes);
    return st;
}

static enum status
damaged(const struct reading *reading, struct err *err)
{
    if (archive_format(reading->archive) == 0)
        return err_set(err, ST_INVALID, "It is damaged, or no ZIP, tar or tar.gz archive.");
    return err_set(err, ST_INVALID, "The archive is damaged: its members cannot be listed.");
}

/* From member number skip on. */
static enum status
read_from(struct reading *reading, size_t skip, struct err *err) // NOLINT(misc-no-recursion)
{
    struct archive_entry *entry;
    enum status st = ST_OK;

    reading->index = 0;
    reading->is_again = false;
    while (st == ST_OK && !reading->is_again) {
        int found = archive_read_next_header(reading->archive, &entry);

        if (found == ARCHIVE_EOF)
            return ST_OK;
        if (found != ARCHIVE_OK && found != ARCHIVE_WARN)
            return damaged(reading, err);
        if (reading->index++ < skip)
            continue;
        if (reading->members->left_entries-- == 0)
            return err_set(err, ST_TOO_LARGE, "It has more members than is allowed.");
        st = read_member(reading, entry, err);
    }
    return st;
}

enum status
archive_read_members(struct members *members, struct str bytes,
                     struct err *err) // NOLINT(misc-no-recursion)
{
    struct reading reading = {.members = members, .is_again = true};
    enum status st = ST_OK;

    for (unsigned i = 0; st == ST_OK && reading.is_again; i++) {
        reading.archive = open_archive(bytes);
        if (reading.archive == NULL)
            return err_set(err, ST_INVALID, "It is damaged, or no ZIP, tar or tar.gz archive.");
        st = read_from(&reading, reading.index, err);
        if (reading.is_again &&
            ((archive_format(reading.archive) & ARCHIVE_FORMAT_BASE_MASK) != ARCHIVE_FORMAT_ZIP ||
             i == MAX_REOPENINGS))
            st = err_set(err, ST_INVALID, "The archive is damaged: not all of it can be unpacked.");
        (void)archive_read_free(reading.archive);
    }
    return st;
}

enum status
format_read_archive(const struct format_input *input, struct document *document, struct err *err)
{
    struct members members;
    enum status st;

    members_init(&members, input, document);
    st = archive_read_members(&members, input->bytes, err);
    if (st == ST_OK && document->member_count == 0)
        st = err_set(err, ST_INVALID, "It holds no document of a type that can be read.");
    if (st == ST_OK)
        st = members_check(&members, err);
    members_deinit(&members);
    return st;
}
