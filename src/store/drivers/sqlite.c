/*
 * sqlite.c - the SQLite driver: control.db and a file per organization under tenants/
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/thread.h"
#include "store/drivers/sqlite_private.h"

#define MARK_FILE "UNFINISHED-MOVE"

/* Process-wide: SQLite's own set-up is of the whole process and must precede the first open. */
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

/* Memory statistics take a global lock on every allocation. A start with twenty pages per cache
 * would cost every open organization 90 kB that most never use. Undo notes of a work stay in
 * memory: a work that changes many pages must not make a temporary file. */
static void
configure_library(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
    (void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, 256 * 1024);
    (void)sqlite3_initialize();
    (void)sqlite_log_file_register();
}

static char *
join(const char *folder, const char *name, const char *suffix)
{
    char *path = NULL;

    if (asprintf(&path, "%s/%s%s", folder, name, suffix) < 0)
        abort();
    return path;
}

static char *
path_of(const struct store_backend *backend, const struct store_place *place)
{
    if (id_is_none(&place->organization_id))
        return join(backend->folder, "control", ".db");
    return join(backend->tenants_folder, place->organization_id.text, ".db");
}

static enum status
sync_folder(const char *folder, struct err *err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0 ? errno : 0;

    if (fd >= 0)
        (void)close(fd);
    if (failed != 0)
        return err_set_detail(err, ST_UNAVAILABLE, "sync folder %s: %s", folder,
                              strerrordesc_np(failed));
    return ST_OK;
}

static enum status
alone_check(struct store_backend *backend, struct err *err)
{
    (void)backend; /* the front's lock on the folder sees to it */
    (void)err;
    return ST_OK;
}

static enum status
mark_get(struct store_backend *backend, char mark_out[STORE_MARK_SIZE], struct err *err)
{
    char *path = join(backend->folder, MARK_FILE, "");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, mark_out, STORE_MARK_SIZE - 1);
    enum status st = ST_OK;

    if (got < 0 || (fd < 0 && errno != ENOENT))
        st = err_set_detail(err, ST_UNAVAILABLE, "read %s: %s", path, strerrordesc_np(errno));
    else if (fd >= 0 && got == 0) /* a file, so a mark, whatever became of its bytes */
        (void)snprintf(mark_out, STORE_MARK_SIZE, "unreadable");
    else
        mark_out[got] = '\0';
    if (fd >= 0)
        (void)close(fd);
    free(path);
    return st;
}

static enum status
write_mark(const char *path, const char *mark, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t len = strlen(mark);
    bool written = fd >= 0 && write(fd, mark, len) == (ssize_t)len && fsync(fd) == 0;
    int failed = written ? 0 : errno;

    if (fd >= 0)
        (void)close(fd);
    return written
               ? ST_OK
               : err_set_detail(err, ST_UNAVAILABLE, "write %s: %s", path, strerrordesc_np(failed));
}

static enum status
mark_set(struct store_backend *backend, const char *mark, struct err *err)
{
    char *path = join(backend->folder, MARK_FILE, "");
    enum status st = ST_OK;

    if (mark[0] != '\0')
        st = write_mark(path, mark, err);
    else if (unlink(path) != 0 && errno != ENOENT)
        st = err_set_detail(err, ST_UNAVAILABLE, "remove %s: %s", path, strerrordesc_np(errno));
    free(path);
    return st == ST_OK ? sync_folder(backend->folder, err) : st;
}

static struct clock *
backend_clock(struct store_backend *backend)
{
    (void)backend; /* one process alone */
    return clock_system();
}

static void
backend_close(struct store_backend **backend_ref)
{
    struct store_backend *backend = *backend_ref;

    if (backend == NULL)
        return;
    *backend_ref = NULL;
    sqlite_checkpointer_destroy(&backend->checkpointer);
    free(backend->folder);
    free(backend->tenants_folder);
    free(backend);
}

static enum status
backend_open(const struct store_config *config, struct store_backend **backend_out, struct err *err)
{
    struct store_backend *backend = calloc(1, sizeof(*backend));
    char mark[STORE_MARK_SIZE] = "";
    enum status st = ST_OK;

    pthread_once(&library_once, configure_library);
    if (backend == NULL || (backend->folder = strdup(config->data_folder)) == NULL)
        abort();
    backend->tenants_folder = join(config->data_folder, "tenants", "");
    backend->readers_per_database = config->readers_per_tenant;
    if (mkdir(backend->tenants_folder, 0700) != 0 && errno != EEXIST)
        st = err_set_detail(err, ST_UNAVAILABLE, "make folder %s: %s", backend->tenants_folder,
                            strerrordesc_np(errno));
    if (st == ST_OK)
        st = sync_folder(backend->folder, err);
    if (st == ST_OK)
        st = mark_get(backend, mark, err);
    if (st == ST_OK && mark[0] != '\0' && !config->allow_unfinished_move)
        st = err_set(err, ST_CONFLICT, STORE_UNFINISHED_MOVE);
    if (st == ST_OK)
        st = sqlite_checkpointer_create(&backend->checkpointer, err);
    if (st != ST_OK)
        backend_close(&backend);
    *backend_out = backend;
    return st;
}

static int64_t
folder_bytes(const char *folder)
{
    DIR *dir = opendir(folder);
    int64_t bytes = 0;
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        struct stat info;

        if (fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode))
            bytes += info.st_size;
    }
    if (dir != NULL)
        (void)closedir(dir);
    return bytes;
}

static void
backend_measure(struct store_backend *backend, int64_t *free_bytes_out, int64_t *data_bytes_out)
{
    struct statvfs info;

    *free_bytes_out = -1;
    if (statvfs(backend->folder, &info) == 0)
        *free_bytes_out = (int64_t)info.f_bavail * (int64_t)info.f_frsize;
    *data_bytes_out = folder_bytes(backend->folder) + folder_bytes(backend->tenants_folder);
}

static void
close_readers(struct store_database *database)
{
    while (database->idle_readers != NULL) {
        struct sqlite_connection *reader = database->idle_readers;

        database->idle_readers = reader->next_idle;
        database->reader_count--;
        sqlite_disconnect(&reader);
    }
    assert(database->reader_count == 0);
}

/* Page caches, prepared statements and readers; the schema stays parsed. */
static void
database_trim(struct store_database *database)
{
    close_readers(database);
    statement_cache_clear(&database->writer->common);
    (void)sqlite3_db_release_memory(database->writer->db);
}

static void
database_close(struct store_database **database_ref)
{
    struct store_database *database = *database_ref;

    if (database == NULL)
        return;
    *database_ref = NULL;
    sqlite_checkpoint_leave(database);
    if (database->checkpoint_db != NULL)
        (void)sqlite3_close(database->checkpoint_db);
    close_readers(database);
    /* Last, so that it is the one that empties the log. */
    sqlite_disconnect(&database->writer);
    if (database->log_fd >= 0)
        (void)close(database->log_fd);
    pthread_mutex_destroy(&database->readers_lock);
    pthread_cond_destroy(&database->reader_given);
    pthread_mutex_destroy(&database->sync_lock);
    pthread_cond_destroy(&database->synced_more);
    free(database->path);
    free(database);
}

static enum status
make_file(struct store_backend *backend, const struct store_database *database, struct err *err)
{
    int fd = open(database->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_set_detail(err, ST_UNAVAILABLE, "make %s: %s", database->path,
                              strerrordesc_np(errno));
    /* Before SQLite has it open: closing a descriptor drops all locks the process has on the file.
     */
    (void)close(fd);
    return sync_folder(database->is_control ? backend->folder : backend->tenants_folder, err);
}

/* A process that was killed may have left commits in it that never reached the disk. */
static bool
has_log(const struct store_database *database)
{
    char *path = NULL;
    struct stat info;
    bool found;

    if (asprintf(&path, "%s-wal", database->path) < 0)
        abort();
    found = stat(path, &info) == 0 && info.st_size > 0;
    free(path);
    return found;
}

static enum status
database_open(struct store_backend *backend, const struct store_place *place, bool create,
              struct store_database **database_out, struct err *err)
{
    struct store_database *database = calloc(1, sizeof(*database));
    enum status st = ST_OK;

    if (database == NULL)
        abort();
    *database_out = NULL;
    database->backend = backend;
    database->path = path_of(backend, place);
    database->is_control = id_is_none(&place->organization_id);
    database->checkpoint_at = SQLITE_CHECKPOINT_PAGES;
    database->log_fd = -1;
    pthread_mutex_init(&database->readers_lock, NULL);
    cond_init(&database->reader_given);
    pthread_mutex_init(&database->sync_lock, NULL);
    cond_init(&database->synced_more);
    if (access(database->path, F_OK) != 0) {
        if (create)
            st = make_file(backend, database, err);
        else
            st = err_set(err, ST_NOT_FOUND, "no such organization");
    }
    atomic_init(&database->committed, has_log(database) ? 1 : 0);
    if (st == ST_OK)
        st = sqlite_connect(database, STORE_WRITE, &database->writer, err);
    if (st != ST_OK)
        database_close(&database);
    *database_out = database;
    return st;
}

/* The file first: a log without its file is never read. */
static enum status
database_delete(struct store_backend *backend, const struct store_place *place, struct err *err)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char *path = path_of(backend, place);
    enum status st = ST_OK;

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]) && st == ST_OK; i++) {
        char *file = NULL;

        if (asprintf(&file, "%s%s", path, suffixes[i]) < 0)
            abort();
        if (unlink(file) != 0 && errno != ENOENT)
            st = err_set_detail(err, ST_UNAVAILABLE, "delete %s: %s", file, strerrordesc_np(errno));
        free(file);
    }
    free(path);
    return st == ST_OK ? sync_folder(backend->tenants_folder, err) : st;
}

static enum status
database_copy(struct store_backend *backend, const struct store_place *place, const char *path,
              void (*on_pages)(unsigned done, unsigned total, void *arg), void *arg,
              struct err *err)
{
    char *from = path_of(backend, place);
    enum status st = access(from, F_OK) == 0
                         ? sqlite_copy_file(from, path, on_pages, arg, err)
                         : err_set_detail(err, ST_NOT_FOUND, "there is no %s", from);

    free(from);
    return st;
}

static enum status
database_list(struct store_backend *backend, store_place_visit visit, void *arg, struct err *err)
{
    DIR *dir = opendir(backend->tenants_folder);
    enum status st = ST_OK;
    struct dirent *entry;

    if (dir == NULL)
        return err_set_detail(err, ST_UNAVAILABLE, "read folder %s: %s", backend->tenants_folder,
                              strerrordesc_np(errno));
    while (st == ST_OK && (entry = readdir(dir)) != NULL) {
        struct str name = str_from_c(entry->d_name);
        struct store_place place;
        struct err ignored;

        if (str_ends_with(name, STR(".db")) &&
            id_parse(str_sub(name, 0, name.len - 3), &place.organization_id, &ignored) == ST_OK)
            st = visit(&place, arg, err);
    }
    (void)closedir(dir);
    return st;
}

const struct store_driver store_driver_sqlite = {
    .name = "sqlite",
    .open = backend_open,
    .close = backend_close,
    .alone_check = alone_check,
    .mark_get = mark_get,
    .mark_set = mark_set,
    .measure = backend_measure,
    .clock = backend_clock,
    .database_open = database_open,
    .database_close = database_close,
    .database_trim = database_trim,
    .database_delete = database_delete,
    .database_list = database_list,
    .database_copy = database_copy,
    .take = sqlite_take,
    .give = sqlite_give,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .seen = sqlite_seen,
    .in_transaction = sqlite_in_transaction,
    .rows_changed = sqlite_rows_changed,
    .savepoint_set = sqlite_savepoint_set,
    .savepoint_keep = sqlite_savepoint_keep,
    .savepoint_undo = sqlite_savepoint_undo,
    .settle = sqlite_settle,
    .version_get = sqlite_version_get,
    .version_set = sqlite_version_set,
    .script = sqlite_script,
    .prepare = sqlite_prepare,
    .finalize = sqlite_finalize,
    .bind = sqlite_bind,
    .step = sqlite_step,
    .exec = sqlite_exec,
    .changes = sqlite_changes,
    .reset = sqlite_reset,
    .column_int = sqlite_column_int,
    .column_real = sqlite_column_real,
    .column_text = sqlite_column_text,
    .column_blob = sqlite_column_blob,
    .column_is_null = sqlite_column_is_null,
};
