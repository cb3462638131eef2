/*
 * directory_files.c - files of the directory driver: written apart, named when whole
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "blob/drivers/directory_private.h"

#define MAGIC "\nparley-blob 1 "
#define PUBLISH_TRIES 16 /* a folder may be removed as empty just when it was made */

enum status
directory_failed(struct err *err, const char *what)
{
    return err_set_detail(err, ST_UNAVAILABLE, "objects: %s: %s", what, strerrordesc_np(errno));
}

enum status
directory_not_found(struct err *err)
{
    return err_set(err, ST_NOT_FOUND, "There is no such object.");
}

enum status
hold_shared(struct blob_store *store, int *fd_out, struct err *err)
{
    struct directory_store *directory = (struct directory_store *)store;
    int fd = openat(directory->root, HOLD, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    *fd_out = -1;
    if (fd < 0)
        return directory_failed(err, "open " HOLD);
    if (flock(fd, LOCK_SH | LOCK_NB) != 0) {
        (void)close(fd);
        return err_set(err, ST_BUSY, "A backup copies the objects: nothing is deleted meanwhile.");
    }
    *fd_out = fd;
    return ST_OK;
}

/* --- folders --- */

enum status
directory_organization(struct blob_store *store, struct organization_id id, bool make, int *fd_out,
                       struct err *err)
{
    static const char *const inside[] = {OBJECTS, PARTS, NEW};
    struct directory_store *directory = (struct directory_store *)store;
    int fd;

    *fd_out = -1;
    if (make && mkdirat(directory->root, id.id.text, 0700) != 0 && errno != EEXIST)
        return directory_failed(err, "make an organization's folder");
    fd = openat(directory->root, id.id.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? directory_not_found(err)
                               : directory_failed(err, "open an organization's folder");
    for (size_t i = 0; make && i < sizeof(inside) / sizeof(inside[0]); i++)
        if (mkdirat(fd, inside[i], 0700) != 0 && errno != EEXIST) {
            (void)directory_failed(err, "make an organization's folder");
            (void)close(fd);
            return err->code;
        }
    *fd_out = fd;
    return ST_OK;
}

void
directory_object_path(struct str key, struct object_path *out)
{
    size_t len = sizeof(OBJECTS) - 1;
    struct str segment;

    memcpy(out->text, OBJECTS, len);
    while (str_split(&key, '/', &segment)) {
        out->text[len++] = '/';
        out->text[len++] = key.ptr == NULL ? '=' : '+';
        memcpy(out->text + len, segment.ptr, segment.len);
        len += segment.len;
    }
    out->text[len] = '\0';
}

/* Every folder on the way to a path. */
static enum status
make_folders(int organization, const char *path, struct err *err)
{
    char part[sizeof(struct object_path)];

    for (size_t i = 0; path[i] != '\0'; i++) {
        if (path[i] == '/') {
            part[i] = '\0';
            if (mkdirat(organization, part, 0700) != 0 && errno != EEXIST && errno != ENOENT)
                return directory_failed(err, "make a folder");
        }
        part[i] = path[i];
    }
    return ST_OK;
}

/* The folder of path and all above it to the root: another process may have made one of them and
 * not be done with syncing. */
static enum status
sync_folders(int organization, const char *path, struct err *err)
{
    char part[sizeof(struct object_path) + 8];
    size_t len = strlen(path);

    memcpy(part, path, len + 1);
    while (len > 0 && part[len - 1] != '/')
        len--;
    for (;;) {
        int fd;
        bool synced;

        part[len] = '\0';
        fd = openat(organization, len == 0 ? "." : part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        /* Gone: the name went as well, by a deletion that came after us. */
        if (fd < 0 && errno != ENOENT)
            return directory_failed(err, "open a folder");
        synced = fd < 0 || fsync(fd) == 0;
        if (fd >= 0)
            (void)close(fd);
        if (!synced)
            return directory_failed(err, "sync a folder");
        if (len == 0)
            break;
        for (len--; len > 0 && part[len - 1] != '/'; len--)
            continue;
    }
    {
        int root = openat(organization, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        enum status st =
            root < 0 || fsync(root) != 0 ? directory_failed(err, "sync the folder") : ST_OK;

        if (root >= 0)
            (void)close(root);
        return st;
    }
}

enum status
remove_tree(int folder, const char *name, struct err *err)
{
    struct dirent *entry;
    DIR *dir;
    int fd;

    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
        return ST_OK;
    fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ST_OK : directory_failed(err, "open a folder");
    dir = fdopendir(fd);
    if (dir == NULL) {
        (void)close(fd);
        return directory_failed(err, "read a folder");
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        /* Depth is bounded by the length of a key. */
        if (remove_tree(dirfd(dir), entry->d_name, err) != ST_OK) {
            (void)closedir(dir);
            return err->code;
        }
    }
    (void)closedir(dir);
    if (unlinkat(folder, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return directory_failed(err, "remove a folder");
    return ST_OK;
}

/* --- a file --- */

enum status
new_file_begin(struct blob_store *store, struct organization_id id, struct new_file *file,
               struct err *err)
{
    char path[sizeof(file->name) + sizeof(NEW "/")];
    struct err fault;
    enum status st = FAILPOINT_ERROR("blob.disk_full", &fault);

    file->fd = file->organization = -1;
    if (st != ST_OK)
        return err_set_detail(err, st, "objects: no space is left, as a failpoint says");
    st = directory_organization(store, id, true, &file->organization, err);
    if (st != ST_OK)
        return st;
    blob_random_name(file->name);
    (void)snprintf(path, sizeof(path), NEW "/%s", file->name);
    file->fd = openat(file->organization, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        file->name[0] = '\0';
        return directory_failed(err, "make a file");
    }
    /* Whoever keeps house leaves locked files alone. */
    if (flock(file->fd, LOCK_EX | LOCK_NB) != 0)
        return directory_failed(err, "lock a file");
    FAILPOINT("blob.begun");
    return ST_OK;
}

enum status
new_file_write(struct new_file *file, struct str bytes, struct err *err)
{
    while (bytes.len > 0) {
        ssize_t done = write(file->fd, bytes.ptr, bytes.len);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return directory_failed(err, "write");
        bytes = str_sub(bytes, (size_t)done, bytes.len);
    }
    return ST_OK;
}

static void
etag_of(struct blob_info *info)
{
    (void)snprintf(info->etag, sizeof(info->etag), "%s", info->sha256);
}

static enum status
write_trailer(struct new_file *file, const struct blob_info *info, struct err *err)
{
    char trailer[TRAILER_BYTES + 1];

    memset(trailer, ' ', sizeof(trailer));
    (void)snprintf(trailer, sizeof(trailer), MAGIC "%s %llu %s", info->sha256,
                   (unsigned long long)info->size_bytes, info->content_type);
    trailer[strlen(trailer)] = '\n';
    trailer[TRAILER_BYTES - 1] = '\n';
    return new_file_write(file, str_of(trailer, TRAILER_BYTES), err);
}

/* Gives the file its name, or ENOENT in errno when a folder on the way is missing. */
static bool
name_it(struct new_file *file, const char *path, bool if_absent)
{
    char from[sizeof(file->name) + sizeof(NEW "/")];

    (void)snprintf(from, sizeof(from), NEW "/%s", file->name);
    if (!if_absent) {
        if (renameat(file->organization, from, file->organization, path) != 0)
            return false;
        file->name[0] = '\0';
        return true;
    }
    return linkat(file->organization, from, file->organization, path, 0) == 0;
}

enum status
new_file_publish(struct new_file *file, const char *path, bool make, bool if_absent,
                 struct blob_info *info, struct err *err)
{
    struct stat stat;
    bool named = false;
    enum status st = write_trailer(file, info, err);

    if (st != ST_OK)
        return st;
    if (fsync(file->fd) != 0 || fstat(file->fd, &stat) != 0)
        return directory_failed(err, "sync a file");
    FAILPOINT("blob.written");
    for (int i = 0; st == ST_OK && !named && i < PUBLISH_TRIES; i++) {
        if (make)
            st = make_folders(file->organization, path, err);
        errno = 0;
        named = st == ST_OK && name_it(file, path, if_absent);
        if (st == ST_OK && !named && (errno != ENOENT || !make))
            break;
    }
    if (st != ST_OK)
        return st;
    if (!named && errno == EEXIST)
        return err_set(err, ST_CONFLICT, "There is an object of that key already.");
    if (!named)
        return errno == ENOENT && !make ? directory_not_found(err)
                                        : directory_failed(err, "name a file");
    FAILPOINT("blob.named");
    st = sync_folders(file->organization, path, err);
    if (st != ST_OK) {
        /* It is there, and may or may not be after a power cut. */
        err->code = ST_UNCERTAIN;
        return ST_UNCERTAIN;
    }
    etag_of(info);
    info->modified_at_us = stat.st_mtim.tv_sec * US_PER_S + stat.st_mtim.tv_nsec / 1000;
    return ST_OK;
}

void
new_file_end(struct new_file *file)
{
    char path[sizeof(file->name) + sizeof(NEW "/")];

    if (file->name[0] != '\0' && file->organization >= 0) {
        (void)snprintf(path, sizeof(path), NEW "/%s", file->name);
        (void)unlinkat(file->organization, path, 0);
    }
    if (file->fd >= 0)
        (void)close(file->fd);
    if (file->organization >= 0)
        (void)close(file->organization);
    *file = (struct new_file){.organization = -1, .fd = -1};
}

/* --- reading --- */

enum status
read_fully(int fd, uint64_t offset, void *bytes, size_t len, size_t *got_out, struct err *err)
{
    size_t done = 0;

    while (done < len) {
        ssize_t got = pread(fd, (char *)bytes + done, len - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return directory_failed(err, "read");
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *got_out = done;
    return ST_OK;
}

static bool
parse_trailer(struct str text, struct blob_info *info)
{
    struct str hash, size, type;
    int64_t bytes;

    if (!str_starts_with(text, STR(MAGIC)))
        return false;
    text = str_sub(text, sizeof(MAGIC) - 1, text.len);
    if (!str_split(&text, ' ', &hash) || !str_split(&text, ' ', &size) ||
        !str_split(&text, '\n', &type) || hash.len != BLOB_SHA256_LEN ||
        !str_to_i64(size, &bytes) || (uint64_t)bytes != info->size_bytes ||
        type.len > BLOB_CONTENT_TYPE_MAX_BYTES)
        return false;
    memcpy(info->sha256, hash.ptr, hash.len);
    memcpy(info->content_type, type.ptr, type.len);
    return true;
}

enum status
trailer_read(int fd, struct blob_info *info_out, struct err *err)
{
    char trailer[TRAILER_BYTES];
    struct stat stat;
    size_t got = 0;
    enum status st;

    memset(info_out, 0, sizeof(*info_out));
    if (fstat(fd, &stat) != 0)
        return directory_failed(err, "look at a file");
    if (stat.st_size < TRAILER_BYTES)
        return err_set_detail(err, ST_INTERNAL, "an object's file is damaged: too short");
    info_out->size_bytes = (uint64_t)stat.st_size - TRAILER_BYTES;
    info_out->modified_at_us = stat.st_mtim.tv_sec * US_PER_S + stat.st_mtim.tv_nsec / 1000;
    st = read_fully(fd, info_out->size_bytes, trailer, sizeof(trailer), &got, err);
    if (st != ST_OK)
        return st;
    if (got != sizeof(trailer) || !parse_trailer(str_of(trailer, got), info_out))
        return err_set_detail(err, ST_INTERNAL, "an object's file is damaged: no trailer");
    etag_of(info_out);
    return ST_OK;
}
