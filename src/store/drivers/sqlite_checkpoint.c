/*
 * sqlite_checkpoint.c - keeps the log short without making a commit wait for it
 *
 *   commit: log >= 1000 pages --> queue --> this thread: copies pages into the file, syncs the
 * file, again until few are left --> the writer copies those between two transactions --> the log
 * begins anew
 *
 * SQLite begins a log anew only when all of it was copied and nobody reads in it, which under
 * steady writing never happens by itself: hence the writer's last step, kept short by what this
 * thread did before. A long read delays it; the log grows meanwhile and is cut back afterwards.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/thread.h"
#include "store/drivers/sqlite_private.h"

#define ROUNDS_MAX 4

struct sqlite_checkpointer {
    pthread_mutex_t lock; /* guards the fields down to stopping */
    pthread_cond_t changed;
    struct store_database *first, *last;
    bool stopping;
    pthread_t thread;
};

static enum status
sync_file(sqlite3 *db, struct err *err)
{
    sqlite3_file *file = NULL;
    int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);

    if (code == SQLITE_OK && file != NULL && file->pMethods != NULL)
        code = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    return code == SQLITE_OK ? ST_OK : sqlite_failed(NULL, code, "sync file", err);
}

/* This connection's checkpoints must be synced ones, too. */
static enum status
open_connection(struct store_database *database, struct err *err)
{
    enum status st =
        sqlite_open_file(database->path, SQLITE_OPEN_READWRITE, &database->checkpoint_db, err);

    if (st != ST_OK)
        return st;
    if (sqlite3_exec(database->checkpoint_db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL) !=
        SQLITE_OK) {
        st = sqlite_failed(database->checkpoint_db, SQLITE_ERROR, "checkpointer", err);
        (void)sqlite3_close(database->checkpoint_db);
        database->checkpoint_db = NULL;
    }
    return st;
}

/* Rounds end when little is left, or when a reader holds the rest back. */
static enum status
checkpoint(struct store_database *database, struct err *err)
{
    int before = -1;
    enum status st = ST_OK;

    if (database->checkpoint_db == NULL)
        st = open_connection(database, err);
    for (int round = 0; st == ST_OK && round < ROUNDS_MAX; round++) {
        int pages = 0;
        int copied = 0;
        int code = sqlite3_wal_checkpoint_v2(database->checkpoint_db, NULL,
                                             SQLITE_CHECKPOINT_PASSIVE, &pages, &copied);

        if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY)
            return sqlite_failed(database->checkpoint_db, code, "checkpoint", err);
        st = sync_file(database->checkpoint_db, err);
        if (st == ST_OK && pages > 0 && pages - copied <= SQLITE_TAIL_PAGES) {
            atomic_store(&database->tail_ready, true);
            break;
        }
        if (copied == before)
            break;
        before = copied;
    }
    return st;
}

static void *
run(void *arg)
{
    struct sqlite_checkpointer *checkpointer = arg;

    pthread_mutex_lock(&checkpointer->lock);
    for (;;) {
        struct store_database *database = checkpointer->first;
        struct err err;

        if (database == NULL && checkpointer->stopping)
            break;
        if (database == NULL) {
            pthread_cond_wait(&checkpointer->changed, &checkpointer->lock);
            continue;
        }
        checkpointer->first = database->next_checkpoint;
        if (checkpointer->first == NULL)
            checkpointer->last = NULL;
        database->checkpoint_queued = false;
        database->checkpoint_running = true;
        pthread_mutex_unlock(&checkpointer->lock);
        if (checkpoint(database, &err) != ST_OK)
            LOG_ERR(LOG_ERROR, "store.checkpoint_failed", &err, log_cstr("file", database->path));
        pthread_mutex_lock(&checkpointer->lock);
        database->checkpoint_running = false;
        pthread_cond_broadcast(&checkpointer->changed);
    }
    pthread_mutex_unlock(&checkpointer->lock);
    return NULL;
}

enum status
sqlite_checkpointer_create(struct sqlite_checkpointer **checkpointer_out, struct err *err)
{
    struct sqlite_checkpointer *checkpointer = calloc(1, sizeof(*checkpointer));
    enum status st;

    if (checkpointer == NULL)
        abort();
    pthread_mutex_init(&checkpointer->lock, NULL);
    cond_init(&checkpointer->changed);
    st = thread_start("checkpoint", run, checkpointer, &checkpointer->thread, err);
    if (st != ST_OK) {
        pthread_cond_destroy(&checkpointer->changed);
        pthread_mutex_destroy(&checkpointer->lock);
        free(checkpointer);
        checkpointer = NULL;
    }
    *checkpointer_out = checkpointer;
    return st;
}

void
sqlite_checkpointer_destroy(struct sqlite_checkpointer **checkpointer_ref)
{
    struct sqlite_checkpointer *checkpointer = *checkpointer_ref;

    if (checkpointer == NULL)
        return;
    *checkpointer_ref = NULL;
    pthread_mutex_lock(&checkpointer->lock);
    checkpointer->stopping = true;
    pthread_mutex_unlock(&checkpointer->lock);
    pthread_cond_broadcast(&checkpointer->changed);
    (void)pthread_join(checkpointer->thread, NULL);
    assert(checkpointer->first == NULL);
    pthread_cond_destroy(&checkpointer->changed);
    pthread_mutex_destroy(&checkpointer->lock);
    free(checkpointer);
}

static void
enqueue(struct store_database *database)
{
    struct sqlite_checkpointer *checkpointer = database->backend->checkpointer;

    pthread_mutex_lock(&checkpointer->lock);
    if (!database->checkpoint_queued && !database->checkpoint_running) {
        database->checkpoint_queued = true;
        database->next_checkpoint = NULL;
        if (checkpointer->last == NULL)
            checkpointer->first = database;
        else
            checkpointer->last->next_checkpoint = database;
        checkpointer->last = database;
        pthread_cond_broadcast(&checkpointer->changed);
    }
    pthread_mutex_unlock(&checkpointer->lock);
}

void
sqlite_checkpoint_after(struct sqlite_connection *writer)
{
    struct store_database *database = writer->database;
    int pages = writer->log_pages;

    if (pages < SQLITE_CHECKPOINT_PAGES) {
        database->checkpoint_at = SQLITE_CHECKPOINT_PAGES; /* it began anew */
        return;
    }
    if (atomic_exchange_explicit(&database->tail_ready, false, memory_order_relaxed)) {
        /* What fails here is tried again by the thread, which reports it. */
        (void)sqlite3_wal_checkpoint_v2(writer->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    } else if (pages >= database->checkpoint_at) {
        database->checkpoint_at = pages + SQLITE_CHECKPOINT_PAGES;
        enqueue(database);
    }
}

void
sqlite_checkpoint_leave(struct store_database *database)
{
    struct sqlite_checkpointer *checkpointer = database->backend->checkpointer;
    struct store_database *previous = NULL;

    pthread_mutex_lock(&checkpointer->lock);
    for (struct store_database *at = checkpointer->first; at != NULL; at = at->next_checkpoint) {
        if (at == database) {
            if (previous == NULL)
                checkpointer->first = at->next_checkpoint;
            else
                previous->next_checkpoint = at->next_checkpoint;
            if (checkpointer->last == at)
                checkpointer->last = previous;
            break;
        }
        previous = at;
    }
    database->checkpoint_queued = false;
    while (database->checkpoint_running)
        pthread_cond_wait(&checkpointer->changed, &checkpointer->lock);
    pthread_mutex_unlock(&checkpointer->lock);
}
