/*
 * sqlite_log_file.c - a file system layer for SQLite that gathers the log's writes
 */
#include "store/drivers/sqlite_log_file.h"

#include <stdlib.h>
#include <string.h>

#define GATHER_BYTES ((size_t)256 * 1024)
/* SQLite's layer takes less than 128 kB in one call. */
#define PIECE_BYTES ((size_t)64 * 1024)

struct log_file {
    sqlite3_file base; /* first: SQLite's */
    char *gathered;    /* NULL: this connection's log does not gather */
    size_t len;
    sqlite3_int64 at; /* where the gathered bytes belong */
    bool leave_unsynced;
    bool header_written;     /* not synced since */
    _Alignas(8) char real[]; /* a sqlite3_file of the layer below; SQLite aligns to 8 */
};

static sqlite3_file *
below(sqlite3_file *file)
{
    return (sqlite3_file *)((struct log_file *)file)->real;
}

/* On failure the bytes are gone: SQLite fails the commit they belonged to. */
static int
hand_on(struct log_file *log)
{
    sqlite3_file *real = below(&log->base);
    size_t len = log->len;
    int code = SQLITE_OK;

    log->len = 0;
    for (size_t done = 0; done < len && code == SQLITE_OK; done += PIECE_BYTES) {
        size_t piece = len - done < PIECE_BYTES ? len - done : PIECE_BYTES;

        code = real->pMethods->xWrite(real, log->gathered + done, (int)piece,
                                      log->at + (sqlite3_int64)done);
    }
    return code;
}

static int
log_close(sqlite3_file *file)
{
    struct log_file *log = (struct log_file *)file;
    int handed = hand_on(log);
    int closed = below(file)->pMethods->xClose(below(file));

    free(log->gathered);
    log->gathered = NULL;
    return handed != SQLITE_OK ? handed : closed;
}

static int
log_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 at)
{
    int code = hand_on((struct log_file *)file);

    return code == SQLITE_OK ? below(file)->pMethods->xRead(below(file), bytes, len, at) : code;
}

static int
log_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    struct log_file *log = (struct log_file *)file;
    size_t size = (size_t)len;
    int code = SQLITE_OK;

    if (at == 0)
        log->header_written = true;
    if (log->len > 0 && (at != log->at + (sqlite3_int64)log->len || log->len + size > GATHER_BYTES))
        code = hand_on(log);
    if (code != SQLITE_OK)
        return code;
    if (log->gathered == NULL || size > GATHER_BYTES)
        return below(file)->pMethods->xWrite(below(file), bytes, len, at);
    if (log->len == 0)
        log->at = at;
    memcpy(log->gathered + log->len, bytes, size);
    log->len += size;
    return SQLITE_OK;
}

static int
log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int code = hand_on((struct log_file *)file);

    return code == SQLITE_OK ? below(file)->pMethods->xTruncate(below(file), size) : code;
}

static int
log_sync(sqlite3_file *file, int flags)
{
    struct log_file *log = (struct log_file *)file;
    int code = hand_on(log);

    if (code != SQLITE_OK || (log->leave_unsynced && !log->header_written))
        return code;
    code = below(file)->pMethods->xSync(below(file), flags);
    if (code == SQLITE_OK)
        log->header_written = false;
    return code;
}

static int
log_size(sqlite3_file *file, sqlite3_int64 *size_out)
{
    int code = hand_on((struct log_file *)file);

    return code == SQLITE_OK ? below(file)->pMethods->xFileSize(below(file), size_out) : code;
}

static int
log_lock(sqlite3_file *file, int level)
{
    return below(file)->pMethods->xLock(below(file), level);
}

static int
log_unlock(sqlite3_file *file, int level)
{
    return below(file)->pMethods->xUnlock(below(file), level);
}

static int
log_check_lock(sqlite3_file *file, int *reserved_out)
{
    return below(file)->pMethods->xCheckReservedLock(below(file), reserved_out);
}

static int
log_control(sqlite3_file *file, int what, void *arg)
{
    return below(file)->pMethods->xFileControl(below(file), what, arg);
}

static int
log_sector_size(sqlite3_file *file)
{
    return below(file)->pMethods->xSectorSize(below(file));
}

static int
log_characteristics(sqlite3_file *file)
{
    return below(file)->pMethods->xDeviceCharacteristics(below(file));
}

/* Version 1: a log's file is neither mapped nor shared memory. */
static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_check_lock,
    .xFileControl = log_control,
    .xSectorSize = log_sector_size,
    .xDeviceCharacteristics = log_characteristics,
};

static int
open_file(sqlite3_vfs *layer, const char *name, sqlite3_file *file, int flags, int *flags_out)
{
    sqlite3_vfs *real = layer->pAppData;
    struct log_file *log = (struct log_file *)file;
    int code;

    if ((flags & SQLITE_OPEN_WAL) == 0)
        return real->xOpen(real, name, file, flags, flags_out);
    memset(log, 0, sizeof(*log) + (size_t)real->szOsFile);
    code = real->xOpen(real, name, below(file), flags, flags_out);
    if (code == SQLITE_OK)
        log->base.pMethods = &methods;
    return code;
}

/* SQLite keeps the layer in a list of its own for as long as the process lives. */
int
sqlite_log_file_register(void)
{
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    sqlite3_vfs *layer = malloc(sizeof(*layer));

    if (layer == NULL)
        abort();
    *layer = *real;
    layer->zName = SQLITE_LOG_FILE_SYSTEM;
    layer->pNext = NULL;
    layer->pAppData = real;
    layer->szOsFile = (int)sizeof(struct log_file) + real->szOsFile;
    layer->xOpen = open_file;
    return sqlite3_vfs_register(layer, 0);
}

struct log_file *
sqlite_log_file_gather(sqlite3 *db)
{
    sqlite3_file *file = NULL;
    struct log_file *log;

    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) != SQLITE_OK ||
        file == NULL || file->pMethods != &methods)
        return NULL;
    log = (struct log_file *)file;
    if (log->gathered == NULL)
        log->gathered = malloc(GATHER_BYTES);
    return log;
}

void
sqlite_log_file_leave_unsynced(struct log_file *file, bool leave)
{
    file->leave_unsynced = leave;
}
