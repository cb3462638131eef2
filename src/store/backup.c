/*
 * backup.c - copies of all databases while running, with checksums; and putting them back
 */
#include "store/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/store_private.h"

#define COPY_BYTES ((size_t)256 * 1024)
#define MANIFEST_MAX_BYTES ((size_t)1024 * 1024 * 1024)
#define HEX_LEN (crypto_hash_sha256_BYTES * 2)

struct backup {
    const struct store_driver *driver;
    struct store_backend *backend;
    const char *folder;
    const char *objects_folder; /* NULL: none */
    struct buf manifest;
    struct store_progress progress;
    store_on_progress on_progress;
    void *context;
    /* Organizations that existed when control.db was copied. */
    struct store_place *places;
    size_t place_count, place_capacity;
};

/* --- files --- */

static enum status
file_failed(struct err *err, const char *what, const char *path)
{
    return err_set_detail(err, errno == EEXIST ? ST_CONFLICT : ST_UNAVAILABLE, "%s %s: %s", what,
                          path, strerrordesc_np(errno));
}

static char *
join(const char *folder, const char *name)
{
    char *path = NULL;

    if (asprintf(&path, "%s/%s", folder, name) < 0)
        abort();
    return path;
}

static enum status
sync_folder(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status st = fd < 0 || fsync(fd) != 0 ? file_failed(err, "sync", path) : ST_OK;

    if (fd >= 0)
        (void)close(fd);
    return st;
}

static enum status
make_folder(const char *path, bool may_exist, struct err *err)
{
    if (mkdir(path, 0700) == 0 || (may_exist && errno == EEXIST))
        return ST_OK;
    return file_failed(err, "make folder", path);
}

static enum status
write_all(int fd, const char *bytes, size_t len, const char *path, struct err *err)
{
    while (len > 0) {
        ssize_t done = write(fd, bytes, len);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return file_failed(err, "write", path);
        bytes += done;
        len -= (size_t)done;
    }
    return ST_OK;
}

/* Reads a file to its end, writing what it reads to out_fd unless that is -1. */
static enum status
hash_file(const char *path, int out_fd, const char *out_path, char hex_out[HEX_LEN + 1],
          struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes = malloc(COPY_BYTES);
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    enum status st = ST_OK;
    ssize_t got = 1;

    if (bytes == NULL)
        abort();
    (void)crypto_hash_sha256_init(&state);
    if (fd < 0)
        st = file_failed(err, "open", path);
    while (st == ST_OK && got != 0) {
        got = read(fd, bytes, COPY_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            st = file_failed(err, "read", path);
        else
            (void)crypto_hash_sha256_update(&state, (const unsigned char *)bytes, (size_t)got);
        if (st == ST_OK && out_fd >= 0)
            st = write_all(out_fd, bytes, (size_t)got, out_path, err);
    }
    (void)crypto_hash_sha256_final(&state, digest);
    (void)sodium_bin2hex(hex_out, HEX_LEN + 1, digest, sizeof(digest));
    free(bytes);
    if (fd >= 0)
        (void)close(fd);
    return st;
}

/* Complete and synced, or under its temporary name. */
static enum status
write_manifest(struct backup *backup, struct err *err)
{
    char *path = join(backup->folder, BACKUP_MANIFEST);
    char *part = join(backup->folder, BACKUP_MANIFEST ".part");
    struct str text = buf_str(&backup->manifest);
    enum status st = buf_check(&backup->manifest, err);
    int fd = -1;

    if (st == ST_OK) {
        fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        st = fd < 0 ? file_failed(err, "make", part) : write_all(fd, text.ptr, text.len, part, err);
    }
    if (st == ST_OK && fsync(fd) != 0)
        st = file_failed(err, "sync", part);
    if (fd >= 0)
        (void)close(fd);
    if (st == ST_OK && rename(part, path) != 0)
        st = file_failed(err, "name", path);
    if (st == ST_OK)
        st = sync_folder(backup->folder, err);
    free(part);
    free(path);
    return st;
}

/* --- backup --- */

static void
on_pages(unsigned done, unsigned total, void *arg)
{
    struct backup *backup = arg;

    backup->progress.done = done;
    backup->progress.total = total;
    if (backup->on_progress != NULL)
        backup->on_progress(&backup->progress, backup->context);
}

static enum status
copy_database(struct backup *backup, const struct store_place *place, const char *name,
              struct err *err)
{
    char hex[HEX_LEN + 1];
    char *path = join(backup->folder, name);
    enum status st;

    backup->progress.what =
        id_is_none(&place->organization_id) ? "control.db" : place->organization_id.text;
    st = backup->driver->database_copy(backup->backend, place, path, on_pages, backup, err);
    if (st == ST_OK)
        st = hash_file(path, -1, NULL, hex, err);
    if (st == ST_OK)
        buf_printf(&backup->manifest, "%s  %s\n", hex, name);
    free(path);
    return st;
}

static enum status
note_place(const struct store_place *place, void *arg, struct err *err)
{
    struct backup *backup = arg;

    (void)err;
    if (backup->place_count == backup->place_capacity) {
        backup->place_capacity = backup->place_capacity == 0 ? 64 : backup->place_capacity * 2;
        backup->places =
            reallocarray(backup->places, backup->place_capacity, sizeof(*backup->places));
        if (backup->places == NULL)
            abort();
    }
    backup->places[backup->place_count++] = *place;
    return ST_OK;
}

/* control.db first: an organization's file is there before its row is, and none is deleted now, so
 * every row in the copy has its file. */
static enum status
copy_all(struct backup *backup, struct err *err)
{
    const struct store_place control = {{""}};
    char *tenants = join(backup->folder, "tenants");
    enum status st = make_folder(backup->folder, false, err);

    if (st == ST_OK)
        st = make_folder(tenants, false, err);
    if (st == ST_OK)
        st = copy_database(backup, &control, "control.db", err);
    if (st == ST_OK)
        st = backup->driver->database_list(backup->backend, note_place, backup, err);
    for (size_t i = 0; i < backup->place_count && st == ST_OK; i++) {
        char name[sizeof("tenants/.db") + ID_TEXT_LEN];

        (void)snprintf(name, sizeof(name), "tenants/%s.db", backup->places[i].organization_id.text);
        st = copy_database(backup, &backup->places[i], name, err);
    }
    if (st == ST_OK)
        st = sync_folder(tenants, err);
    if (st == ST_OK)
        st = sync_folder(backup->folder, err);
    free(tenants);
    return st;
}

/* --- objects: the files that have their name, below <organization>/objects/ --- */

static enum status
copy_object(struct backup *backup, const char *from, const char *name, struct err *err)
{
    char *to = join(backup->folder, name);
    char hex[HEX_LEN + 1];
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    enum status st = fd < 0 ? file_failed(err, "make", to) : hash_file(from, fd, to, hex, err);

    if (st == ST_OK && fsync(fd) != 0)
        st = file_failed(err, "sync", to);
    if (fd >= 0)
        (void)close(fd);
    if (st == ST_OK)
        buf_printf(&backup->manifest, "%s  %s\n", hex, name);
    free(to);
    return st;
}

/* Takes folders, and files below objects/; what is being written has no name yet that counts. */
static bool
belongs(const char *name, const struct stat *info, unsigned depth)
{
    struct id_text id;
    struct err ignored;

    if (strchr(name, '\n') != NULL)
        return false;
    if (depth == 0)
        return S_ISDIR(info->st_mode) && id_parse(str_from_c(name), &id, &ignored) == ST_OK;
    if (depth == 1)
        return S_ISDIR(info->st_mode) && strcmp(name, "objects") == 0;
    return S_ISDIR(info->st_mode) || S_ISREG(info->st_mode);
}

static enum status
copy_tree(struct backup *backup, const char *from, const char *name, unsigned depth,
          struct err *err)
{
    char *to = join(backup->folder, name);
    DIR *dir = opendir(from);
    struct dirent *entry;
    enum status st = dir == NULL && errno != ENOENT ? file_failed(err, "open", from) : ST_OK;

    if (st == ST_OK)
        st = make_folder(to, false, err);
    while (st == ST_OK && dir != NULL && (entry = readdir(dir)) != NULL) {
        char *inner_from = join(from, entry->d_name), *inner_name = join(name, entry->d_name);
        struct stat info;

        if (entry->d_name[0] != '.' && lstat(inner_from, &info) == 0 &&
            belongs(entry->d_name, &info, depth))
            st = S_ISDIR(info.st_mode) ? copy_tree(backup, inner_from, inner_name, depth + 1, err)
                                       : copy_object(backup, inner_from, inner_name, err);
        free(inner_name);
        free(inner_from);
    }
    if (dir != NULL)
        (void)closedir(dir);
    if (st == ST_OK)
        st = sync_folder(to, err);
    free(to);
    return st;
}

/* Waits for a deletion that runs; none begins until *fd_out is closed. */
static enum status
hold_objects(const struct backup *backup, int *fd_out, struct err *err)
{
    char *path;
    enum status st = ST_OK;

    *fd_out = -1;
    if (backup->objects_folder == NULL || access(backup->objects_folder, F_OK) != 0)
        return ST_OK;
    path = join(backup->objects_folder, ".hold");
    *fd_out = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd_out < 0 || flock(*fd_out, LOCK_EX) != 0)
        st = file_failed(err, "lock", path);
    free(path);
    return st;
}

static enum status
copy_objects(struct backup *backup, struct err *err)
{
    if (backup->objects_folder == NULL)
        return ST_OK;
    backup->progress = (struct store_progress){.what = "documents", .total = 1};
    if (backup->on_progress != NULL)
        backup->on_progress(&backup->progress, backup->context);
    return copy_tree(backup, backup->objects_folder, "blobs", 0, err);
}

static enum status
make_backup(struct backup *backup, const char *data_folder, struct err *err)
{
    int held = -1, objects_held = -1;
    enum status st = store_hold_folder(data_folder, true, &held, err);

    buf_init(&backup->manifest, MANIFEST_MAX_BYTES);
    if (st == ST_OK)
        st = hold_objects(backup, &objects_held, err);
    if (st == ST_OK)
        st = copy_all(backup, err);
    if (st == ST_OK)
        st = copy_objects(backup, err);
    if (st == ST_OK)
        st = write_manifest(backup, err);
    if (objects_held >= 0)
        (void)close(objects_held);
    if (held >= 0)
        (void)close(held);
    buf_deinit(&backup->manifest);
    free(backup->places);
    return st == ST_OK ? ST_OK : err_wrap(err, "backup to %s", backup->folder);
}

enum status
store_backup(struct store *store, const char *folder, store_on_progress on_progress, void *context,
             struct err *err)
{
    struct backup backup = {.driver = store->driver,
                            .backend = store->backend,
                            .folder = folder,
                            .on_progress = on_progress,
                            .context = context};

    return make_backup(&backup, store->data_folder, err);
}

enum status
store_backup_folder(const char *data_folder, const char *objects_folder, const char *folder,
                    store_on_progress on_progress, void *context, struct err *err)
{
    const struct store_config config = {.data_folder = data_folder};
    struct backup backup = {.driver = &store_driver_sqlite,
                            .folder = folder,
                            .objects_folder = objects_folder,
                            .on_progress = on_progress,
                            .context = context};
    char *control = join(data_folder, "control.db");
    enum status st = ST_OK;

    /* Before anything is made: a wrong name must not become a data folder. */
    if (access(control, F_OK) != 0)
        st = err_set_detail(err, ST_NOT_FOUND, "%s is no data folder", data_folder);
    if (st == ST_OK)
        st = backup.driver->open(&config, &backup.backend, err);
    if (st == ST_OK)
        st = make_backup(&backup, data_folder, err);
    backup.driver->close(&backup.backend);
    free(control);
    return st;
}

/* --- restore --- */

static enum status
read_manifest(const char *folder, struct buf *text, struct err *err)
{
    char *path = join(folder, BACKUP_MANIFEST);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum status st = ST_OK;
    char bytes[4096];
    ssize_t got = 1;

    if (fd < 0)
        st = err_set(err, ST_NOT_FOUND,
                     "this folder has no " BACKUP_MANIFEST
                     ": it is no backup, or one that was not finished");
    while (st == ST_OK && got != 0) {
        got = read(fd, bytes, sizeof(bytes));
        if (got < 0 && errno != EINTR)
            st = file_failed(err, "read", path);
        else if (got > 0)
            buf_append(text, str_of(bytes, (size_t)got));
    }
    if (fd >= 0)
        (void)close(fd);
    free(path);
    return st == ST_OK ? buf_check(text, err) : st;
}

/* "blobs/<id>/objects/..." without any part that leads elsewhere. */
static bool
is_object(struct str name)
{
    struct str part;
    struct id_text id;
    struct err ignored;
    unsigned depth = 0;

    while (str_split(&name, '/', &part)) {
        bool good = part.len > 0 && part.ptr[0] != '.';

        if (depth == 0)
            good = str_eq_c(part, "blobs");
        else if (depth == 1)
            good = id_parse(part, &id, &ignored) == ST_OK;
        else if (depth == 2)
            good = str_eq_c(part, "objects");
        if (!good)
            return false;
        depth++;
    }
    return depth > 3;
}

/* "control.db", "tenants/<id>.db" or an object: a manifest must not name other places. */
static bool
is_ours(struct str name)
{
    struct id_text id;
    struct err ignored;

    if (str_eq_c(name, "control.db") || is_object(name))
        return true;
    return str_starts_with(name, STR("tenants/")) && str_ends_with(name, STR(".db")) &&
           id_parse(str_sub(name, 8, name.len - 11), &id, &ignored) == ST_OK;
}

/* Those of an object; they are synced when all files are there. */
static enum status
make_folders_of(const char *path, size_t base_len, struct err *err)
{
    char *part = strdup(path);
    enum status st = ST_OK;

    if (part == NULL)
        abort();
    for (size_t i = base_len + 1; st == ST_OK && part[i] != '\0'; i++) {
        if (part[i] != '/')
            continue;
        part[i] = '\0';
        st = make_folder(part, true, err);
        part[i] = '/';
    }
    free(part);
    return st;
}

static enum status
restore_file(const char *from_folder, const char *to_folder, struct str hex, struct str name,
             struct err *err)
{
    char *from = NULL;
    char *to = NULL;
    char found[HEX_LEN + 1];
    enum status st;
    int fd = -1;

    if (asprintf(&from, "%s/%.*s", from_folder, STR_ARG(name)) < 0 ||
        asprintf(&to, "%s/%.*s", to_folder, STR_ARG(name)) < 0)
        abort();
    st = make_folders_of(to, strlen(to_folder), err);
    if (st == ST_OK) {
        fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        st = fd < 0 ? file_failed(err, "make", to) : hash_file(from, fd, to, found, err);
    }
    if (st == ST_OK && !str_eq_c(hex, found))
        st = err_set(err, ST_INVALID, "%.*s is not the file that was backed up", STR_ARG(name));
    if (st == ST_OK && fsync(fd) != 0)
        st = file_failed(err, "sync", to);
    if (fd >= 0)
        (void)close(fd);
    free(from);
    free(to);
    return st;
}

static enum status
check_empty(const char *folder, struct err *err)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    enum status st = ST_OK;

    if (dir == NULL)
        return errno == ENOENT ? ST_OK : file_failed(err, "open", folder);
    while (st == ST_OK && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            st = err_set(err, ST_CONFLICT, "the data folder is not empty");
    }
    (void)closedir(dir);
    return st;
}

static enum status
restore_files(const char *folder, const char *part, struct str text, store_on_progress on_progress,
              void *context, struct err *err)
{
    struct store_progress progress = {.what = "files"};
    struct str line;
    bool control = false;
    enum status st = ST_OK;

    for (size_t i = 0; i < text.len; i++)
        progress.total += text.ptr[i] == '\n';
    while (st == ST_OK && str_split(&text, '\n', &line)) {
        struct str hex = str_sub(line, 0, HEX_LEN);
        struct str name = str_sub(line, HEX_LEN + 2, line.len);

        if (line.len == 0)
            continue;
        if (!is_ours(name))
            return err_set(err, ST_INVALID, "the " BACKUP_MANIFEST " cannot be read");
        control = control || str_eq_c(name, "control.db");
        st = restore_file(folder, part, hex, name, err);
        progress.done++;
        if (st == ST_OK && on_progress != NULL)
            on_progress(&progress, context);
    }
    if (st == ST_OK && !control)
        st = err_set(err, ST_INVALID, "the " BACKUP_MANIFEST " names no control.db");
    return st;
}

/* Every folder below, then itself; none there is fine. */
static enum status
sync_tree(const char *path, struct err *err)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    enum status st = ST_OK;

    if (dir == NULL)
        return errno == ENOENT ? ST_OK : file_failed(err, "open", path);
    while (st == ST_OK && (entry = readdir(dir)) != NULL) {
        char *inner = join(path, entry->d_name);
        struct stat info;

        if (entry->d_name[0] != '.' && lstat(inner, &info) == 0 && S_ISDIR(info.st_mode))
            st = sync_tree(inner, err);
        free(inner);
    }
    (void)closedir(dir);
    return st == ST_OK ? sync_folder(path, err) : st;
}

static enum status
publish(const char *part, const char *data_folder, struct err *err)
{
    char *tenants = join(part, "tenants");
    char *blobs = join(part, "blobs");
    char *parent = join(data_folder, "..");
    enum status st = sync_folder(tenants, err);

    if (st == ST_OK)
        st = sync_tree(blobs, err);
    if (st == ST_OK)
        st = sync_folder(part, err);
    /* Over an empty folder, or a name that is free. */
    if (st == ST_OK && rename(part, data_folder) != 0)
        st = file_failed(err, "name", data_folder);
    if (st == ST_OK)
        st = sync_folder(parent, err);
    free(parent);
    free(blobs);
    free(tenants);
    return st;
}

/* The data folder appears whole, under its name, or not at all. */
enum status
store_restore(const char *folder, const char *data_folder, store_on_progress on_progress,
              void *context, struct err *err)
{
    struct buf manifest;
    char *part = NULL;
    char *tenants;
    enum status st;

    if (asprintf(&part, "%s.restoring", data_folder) < 0)
        abort();
    tenants = join(part, "tenants");
    buf_init(&manifest, MANIFEST_MAX_BYTES);
    st = read_manifest(folder, &manifest, err);
    if (st == ST_OK)
        st = check_empty(data_folder, err);
    if (st == ST_OK && mkdir(part, 0700) != 0)
        st = errno == EEXIST ? err_set(err, ST_CONFLICT,
                                       "remove %s, which an earlier restore left unfinished", part)
                             : file_failed(err, "make folder", part);
    if (st == ST_OK)
        st = make_folder(tenants, false, err);
    if (st == ST_OK)
        st = restore_files(folder, part, buf_str(&manifest), on_progress, context, err);
    if (st == ST_OK)
        st = publish(part, data_folder, err);
    buf_deinit(&manifest);
    free(tenants);
    free(part);
    return st == ST_OK ? ST_OK : err_wrap(err, "restore from %s", folder);
}
