/*
 * sqlite_copy.c - a consistent copy of a file while others write, by the online backup interface
 *
 * The copying connection holds one snapshot from the first page to the last: without it every
 * commit of another connection would make the copy begin again.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "store/drivers/sqlite_private.h"

#define PAGES_A_STEP 1024

static enum status
copy_pages(sqlite3 *from, sqlite3 *to, void (*on_pages)(unsigned done, unsigned total, void *arg),
           void *arg, struct err *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    int code;

    if (backup == NULL)
        return sqlite_failed(to, sqlite3_errcode(to), "backup", err);
    do {
        code = sqlite3_backup_step(backup, PAGES_A_STEP);
        if (on_pages != NULL && (code == SQLITE_OK || code == SQLITE_DONE)) {
            unsigned total = (unsigned)sqlite3_backup_pagecount(backup);

            on_pages(total - (unsigned)sqlite3_backup_remaining(backup), total, arg);
        }
    } while (code == SQLITE_OK);
    (void)sqlite3_backup_finish(backup);
    return code == SQLITE_DONE ? ST_OK : sqlite_failed(to, code, "backup", err);
}

static enum status
sync_path(const char *path, struct err *err)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0 ? errno : 0;

    if (fd >= 0)
        (void)close(fd);
    if (failed != 0)
        return err_set_detail(err, ST_UNAVAILABLE, "sync %s: %s", path, strerrordesc_np(failed));
    return ST_OK;
}

enum status
sqlite_copy_file(const char *from_path, const char *path,
                 void (*on_pages)(unsigned done, unsigned total, void *arg), void *arg,
                 struct err *err)
{
    sqlite3 *from = NULL;
    sqlite3 *to = NULL;
    enum status st = sqlite_open_file(from_path, SQLITE_OPEN_READWRITE, &from, err);

    if (st == ST_OK)
        st = sqlite_open_file(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &to, err);
    if (st == ST_OK && sqlite3_exec(from, "PRAGMA query_only = ON; BEGIN; PRAGMA schema_version",
                                    NULL, NULL, NULL) != SQLITE_OK)
        st = sqlite_failed(from, sqlite3_errcode(from), "snapshot", err);
    /* Nobody reads the copy before it is whole and synced. */
    if (st == ST_OK && sqlite3_exec(to, "PRAGMA synchronous = OFF", NULL, NULL, NULL) != SQLITE_OK)
        st = sqlite_failed(to, sqlite3_errcode(to), "copy", err);
    if (st == ST_OK)
        st = copy_pages(from, to, on_pages, arg, err);
    if (to != NULL)
        (void)sqlite3_close(to);
    if (from != NULL)
        (void)sqlite3_close(from);
    return st == ST_OK ? sync_path(path, err) : st;
}
