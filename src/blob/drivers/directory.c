/*
 * directory.c - objects as files in a folder that several processes share
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

#define GONE ".gone-"

struct directory_put {
    struct blob_put base;
    struct new_file file;
};

struct directory_reader {
    struct blob_reader base;
    int fd;
};

/* --- opening --- */

static enum status
make_root(const char *path, struct err *err)
{
    char part[PATH_MAX];
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(part))
        return err_set(err, ST_INVALID, "blob.folder cannot be a folder's name");
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return directory_failed(err, part);
        part[i] = path[i];
    }
    return ST_OK;
}

static enum status
directory_open(struct blob_store *store, struct err *err)
{
    struct directory_store *directory = (struct directory_store *)store;
    const char *folder = store->config.folder == NULL ? "" : store->config.folder;
    enum status st = make_root(folder, err);
    int hold = -1;

    directory->root = -1;
    if (st != ST_OK)
        return st;
    directory->root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory->root < 0)
        return directory_failed(err, folder);
    hold = openat(directory->root, HOLD, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (hold < 0)
        return directory_failed(err, "make " HOLD);
    (void)close(hold);
    store->config.folder = NULL; /* the caller's */
    return ST_OK;
}

static void
directory_close(struct blob_store *store)
{
    struct directory_store *directory = (struct directory_store *)store;

    if (directory->root >= 0)
        (void)close(directory->root);
}

static enum status
directory_check(struct blob_store *store, struct err *err)
{
    struct directory_store *directory = (struct directory_store *)store;
    char name[48] = ".check-";
    char byte = 'x';
    enum status st = ST_OK;
    int fd;

    blob_random_name(name + strlen(name));
    fd = openat(directory->root, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return directory_failed(err, "make a file");
    if (write(fd, "x", 1) != 1 || fsync(fd) != 0 || pread(fd, &byte, 1, 0) != 1)
        st = directory_failed(err, "write a file");
    (void)close(fd);
    if (unlinkat(directory->root, name, 0) != 0 && st == ST_OK)
        st = directory_failed(err, "remove a file");
    return st;
}

/* --- writing --- */

static enum status
directory_put_begin(struct blob_put *put, struct err *err)
{
    struct directory_put *mine = (struct directory_put *)put;

    return new_file_begin(put->store, put->organization_id, &mine->file, err);
}

static enum status
directory_put_write(struct blob_put *put, struct str bytes, struct err *err)
{
    return new_file_write(&((struct directory_put *)put)->file, bytes, err);
}

static enum status
directory_put_commit(struct blob_put *put, struct blob_info *info, struct err *err)
{
    struct directory_put *mine = (struct directory_put *)put;
    struct object_path path;

    directory_object_path(str_from_c(put->key), &path);
    return new_file_publish(&mine->file, path.text, true, put->if_absent, info, err);
}

static void
directory_put_end(struct blob_put *put)
{
    new_file_end(&((struct directory_put *)put)->file);
}

/* --- reading --- */

static enum status
directory_reader_open(struct blob_reader *reader, struct organization_id id, struct str key,
                      struct err *err)
{
    struct directory_reader *mine = (struct directory_reader *)reader;
    struct object_path path;
    int organization = -1;
    enum status st;

    mine->fd = -1;
    st = directory_organization(reader->store, id, false, &organization, err);
    if (st != ST_OK)
        return st;
    directory_object_path(key, &path);
    mine->fd = openat(organization, path.text, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (mine->fd < 0)
        st = errno == ENOENT || errno == ENOTDIR ? directory_not_found(err)
                                                 : directory_failed(err, "open an object");
    (void)close(organization);
    return st == ST_OK ? trailer_read(mine->fd, &reader->info, err) : st;
}

static enum status
directory_reader_read(struct blob_reader *reader, uint64_t offset, void *bytes, size_t len,
                      size_t *got_out, struct err *err)
{
    return read_fully(((struct directory_reader *)reader)->fd, offset, bytes, len, got_out, err);
}

/* Opened anew: a duplicate would share its place in the file. */
static enum status
directory_reader_file(struct blob_reader *reader, int *fd_out, struct err *err)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", ((struct directory_reader *)reader)->fd);
    *fd_out = open(path, O_RDONLY | O_CLOEXEC);
    return *fd_out >= 0 ? ST_OK : directory_failed(err, "open an object again");
}

static void
directory_reader_close(struct blob_reader *reader)
{
    struct directory_reader *mine = (struct directory_reader *)reader;

    if (mine->fd >= 0)
        (void)close(mine->fd);
}

/* --- deleting --- */

/* Folders that became empty, up to objects/. A put that needs one makes it again. */
static void
prune(int organization, char *path)
{
    for (size_t len = strlen(path); len > sizeof(OBJECTS "/"); len--) {
        if (path[len - 1] != '/')
            continue;
        path[len - 1] = '\0';
        if (unlinkat(organization, path, AT_REMOVEDIR) != 0)
            return;
    }
}

static enum status
directory_remove(struct blob_store *store, struct organization_id id, struct str key,
                 struct err *err)
{
    struct object_path path;
    int organization = -1, hold = -1;
    enum status st = hold_shared(store, &hold, err);

    if (st != ST_OK)
        return st;
    st = directory_organization(store, id, false, &organization, err);
    if (st == ST_OK) {
        directory_object_path(key, &path);
        if (unlinkat(organization, path.text, 0) == 0)
            prune(organization, path.text);
        else if (errno != ENOENT && errno != ENOTDIR)
            st = directory_failed(err, "remove an object");
        (void)close(organization);
    } else if (st == ST_NOT_FOUND) {
        st = ST_OK;
    }
    (void)close(hold);
    return st;
}

/* Out of sight at once, then bit by bit; what a crash leaves is upkeep's. */
static enum status
directory_remove_all(struct blob_store *store, struct organization_id id, struct err *err)
{
    struct directory_store *directory = (struct directory_store *)store;
    char gone[sizeof(GONE) + 33] = GONE;
    int hold = -1;
    enum status st = hold_shared(store, &hold, err);

    if (st != ST_OK)
        return st;
    blob_random_name(gone + strlen(gone));
    if (renameat(directory->root, id.id.text, directory->root, gone) != 0)
        st = errno == ENOENT ? ST_OK : directory_failed(err, "remove an organization's objects");
    else if (fsync(directory->root) != 0)
        st = directory_failed(err, "sync the folder");
    FAILPOINT("blob.organization_gone");
    if (st == ST_OK)
        st = remove_tree(directory->root, gone, err);
    (void)close(hold);
    return st;
}

static DIR *
open_folder(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && dir == NULL)
        (void)close(fd);
    return dir;
}

static enum status
directory_organization_next(struct blob_store *store, struct organization_id after,
                            struct organization_id *next_out, struct err *err)
{
    struct directory_store *directory = (struct directory_store *)store;
    DIR *dir = open_folder(directory->root, ".");
    struct organization_id best = {{""}};
    struct dirent *entry;

    if (dir == NULL)
        return directory_failed(err, "read the folder");
    while ((entry = readdir(dir)) != NULL) {
        struct organization_id found;
        struct err ignored;

        if (ID_PARSE(str_from_c(entry->d_name), &found, &ignored) == ST_OK &&
            strcmp(found.id.text, after.id.text) > 0 &&
            (id_is_none(&best.id) || strcmp(found.id.text, best.id.text) < 0))
            best = found;
    }
    (void)closedir(dir);
    if (id_is_none(&best.id))
        return err_set(err, ST_NOT_FOUND, "There are no more organizations with objects.");
    *next_out = best;
    return ST_OK;
}

/* --- upkeep --- */

/* Old, and its writer is gone: the lock goes with the writer, not with us. */
static bool
is_left_over(int folder, const char *name, int64_t before_us)
{
    int fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    struct stat stat;
    bool left;

    if (fd < 0)
        return false;
    left = fstat(fd, &stat) == 0 && stat.st_mtim.tv_sec * US_PER_S < before_us &&
           flock(fd, LOCK_EX | LOCK_NB) == 0;
    (void)close(fd);
    return left;
}

static void
remove_left_over(int organization, int64_t before_us, unsigned *removed)
{
    DIR *dir = open_folder(organization, NEW);
    struct dirent *entry;

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' && is_left_over(dirfd(dir), entry->d_name, before_us))
            *removed += unlinkat(dirfd(dir), entry->d_name, 0) == 0;
    (void)closedir(dir);
}

/* What remove_all did not finish. */
static enum status
remove_gone(struct directory_store *directory, unsigned *removed, struct err *err)
{
    DIR *dir = open_folder(directory->root, ".");
    struct dirent *entry;
    enum status st = ST_OK;

    if (dir == NULL)
        return directory_failed(err, "read the folder");
    while (st == ST_OK && (entry = readdir(dir)) != NULL) {
        if (!str_starts_with(str_from_c(entry->d_name), STR(GONE)))
            continue;
        st = remove_tree(directory->root, entry->d_name, err);
        *removed += st == ST_OK;
    }
    (void)closedir(dir);
    return st;
}

static enum status
directory_upkeep(struct blob_store *store, int64_t age_us, unsigned *removed_out, struct err *err)
{
    struct directory_store *directory = (struct directory_store *)store;
    int64_t before_us = clock_wall_us(store->config.clock) - age_us;
    struct organization_id id = {{""}};
    int hold = -1;
    enum status st = hold_shared(store, &hold, err);

    if (st != ST_OK)
        return st;
    st = remove_gone(directory, removed_out, err);
    while (st == ST_OK && directory_organization_next(store, id, &id, err) == ST_OK) {
        int organization = -1;

        if (directory_organization(store, id, false, &organization, err) != ST_OK)
            continue;
        remove_left_over(organization, before_us, removed_out);
        st = directory_uploads_expire(store, organization, removed_out, err);
        (void)close(organization);
    }
    (void)close(hold);
    return st;
}

const struct blob_driver blob_driver_directory = {
    .name = "directory",
    .store_size = sizeof(struct directory_store),
    .put_size = sizeof(struct directory_put),
    .reader_size = sizeof(struct directory_reader),
    .open = directory_open,
    .close = directory_close,
    .check = directory_check,
    .put_begin = directory_put_begin,
    .put_write = directory_put_write,
    .put_commit = directory_put_commit,
    .put_end = directory_put_end,
    .reader_open = directory_reader_open,
    .reader_read = directory_reader_read,
    .reader_file = directory_reader_file,
    .reader_close = directory_reader_close,
    .list = directory_list,
    .remove = directory_remove,
    .remove_all = directory_remove_all,
    .organization_next = directory_organization_next,
    .upload_begin = directory_upload_begin,
    .upload_part = directory_upload_part,
    .upload_complete = directory_upload_complete,
    .upload_abort = directory_upload_abort,
    .upkeep = directory_upkeep,
};
