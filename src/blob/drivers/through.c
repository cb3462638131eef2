/*
 * through.c - two drivers for tests that pass calls on: one fails on command, one keeps what it was
 * asked
 *
 * Both ask their hook before each call of the inner store; only the hook differs.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob/blob_driver.h"

#define MAX_CALLS 256
#define CALL_BYTES 160

struct through_store {
    struct blob_store base;
    struct blob_store *inner;
    bool records;
    pthread_mutex_t lock; /* guards what follows */
    enum status status;   /* of failing; ST_OK: it does not */
    unsigned skip, times;
    size_t count; /* of recording */
    char calls[MAX_CALLS][CALL_BYTES];
};

struct through_put {
    struct blob_put base;
    struct blob_put *inner;
};

struct through_reader {
    struct blob_reader base;
    struct blob_reader *inner;
};

static enum status
before(struct blob_store *store, const char *what, struct str key, struct err *err)
{
    struct through_store *through = (struct through_store *)store;
    enum status st = ST_OK;

    pthread_mutex_lock(&through->lock);
    if (through->records && through->count < MAX_CALLS)
        (void)snprintf(through->calls[through->count++], CALL_BYTES, "%s %.*s", what, STR_ARG(key));
    if (through->status != ST_OK && through->skip > 0) {
        through->skip--;
    } else if (through->status != ST_OK) {
        st = err_set(err, through->status, "told to fail (%s)", what);
        if (through->times > 0 && --through->times == 0)
            through->status = ST_OK;
    }
    pthread_mutex_unlock(&through->lock);
    return st;
}

static struct blob_store *
inner_of(struct blob_store *store)
{
    return ((struct through_store *)store)->inner;
}

static enum status
through_open(struct blob_store *store, struct err *err)
{
    struct through_store *through = (struct through_store *)store;

    pthread_mutex_init(&through->lock, NULL);
    through->inner = store->config.inner;
    through->records = store->driver == &blob_driver_recording;
    return through->inner != NULL ? ST_OK : err_set(err, ST_INVALID, "no inner store");
}

static void
through_close(struct blob_store *store)
{
    pthread_mutex_destroy(&((struct through_store *)store)->lock);
}

static enum status
through_check(struct blob_store *store, struct err *err)
{
    enum status st = before(store, "check", STR(""), err);

    return st == ST_OK ? blob_check(inner_of(store), err) : st;
}

static enum status
through_put_begin(struct blob_put *put, struct err *err)
{
    struct through_put *mine = (struct through_put *)put;
    struct blob_store *inner = inner_of(put->store);
    enum status st = before(put->store, "put", str_from_c(put->key), err);

    if (st != ST_OK)
        return st;
    mine->inner = calloc(1, inner->driver->put_size);
    if (mine->inner == NULL)
        abort();
    *mine->inner = *put;
    mine->inner->store = inner;
    return inner->driver->put_begin(mine->inner, err);
}

static enum status
through_put_write(struct blob_put *put, struct str bytes, struct err *err)
{
    struct blob_put *inner = ((struct through_put *)put)->inner;
    enum status st = before(put->store, "write", str_from_c(put->key), err);

    return st == ST_OK ? inner->store->driver->put_write(inner, bytes, err) : st;
}

static enum status
through_put_commit(struct blob_put *put, struct blob_info *info, struct err *err)
{
    struct blob_put *inner = ((struct through_put *)put)->inner;
    enum status st = before(put->store, "commit", str_from_c(put->key), err);

    return st == ST_OK ? inner->store->driver->put_commit(inner, info, err) : st;
}

static void
through_put_end(struct blob_put *put)
{
    struct blob_put *inner = ((struct through_put *)put)->inner;

    if (inner != NULL)
        inner->store->driver->put_end(inner);
    free(inner);
}

static enum status
through_reader_open(struct blob_reader *reader, struct organization_id id, struct str key,
                    struct err *err)
{
    struct through_reader *mine = (struct through_reader *)reader;
    struct blob_store *inner = inner_of(reader->store);
    enum status st = before(reader->store, "get", key, err);

    if (st != ST_OK)
        return st;
    mine->inner = calloc(1, inner->driver->reader_size);
    if (mine->inner == NULL)
        abort();
    mine->inner->store = inner;
    st = inner->driver->reader_open(mine->inner, id, key, err);
    reader->info = mine->inner->info;
    return st;
}

static enum status
through_reader_read(struct blob_reader *reader, uint64_t offset, void *bytes, size_t len,
                    size_t *got_out, struct err *err)
{
    struct blob_reader *inner = ((struct through_reader *)reader)->inner;
    enum status st = before(reader->store, "read", STR(""), err);

    return st == ST_OK ? inner->store->driver->reader_read(inner, offset, bytes, len, got_out, err)
                       : st;
}

static enum status
through_reader_file(struct blob_reader *reader, int *fd_out, struct err *err)
{
    struct blob_reader *inner = ((struct through_reader *)reader)->inner;
    enum status st = before(reader->store, "file", STR(""), err);

    return st == ST_OK ? inner->store->driver->reader_file(inner, fd_out, err) : st;
}

static void
through_reader_close(struct blob_reader *reader)
{
    struct blob_reader *inner = ((struct through_reader *)reader)->inner;

    if (inner != NULL)
        inner->store->driver->reader_close(inner);
    free(inner);
}

static enum status
through_list(struct blob_store *store, struct organization_id id, struct blob_list_query *query,
             struct err *err)
{
    enum status st = before(store, "list", query->prefix, err);

    return st == ST_OK ? inner_of(store)->driver->list(inner_of(store), id, query, err) : st;
}

static enum status
through_remove(struct blob_store *store, struct organization_id id, struct str key, struct err *err)
{
    enum status st = before(store, "remove", key, err);

    return st == ST_OK ? inner_of(store)->driver->remove(inner_of(store), id, key, err) : st;
}

static enum status
through_remove_all(struct blob_store *store, struct organization_id id, struct err *err)
{
    enum status st = before(store, "remove_all", STR(""), err);

    return st == ST_OK ? inner_of(store)->driver->remove_all(inner_of(store), id, err) : st;
}

static enum status
through_organization_next(struct blob_store *store, struct organization_id after,
                          struct organization_id *next_out, struct err *err)
{
    enum status st = before(store, "organization_next", STR(""), err);

    return st == ST_OK
               ? inner_of(store)->driver->organization_next(inner_of(store), after, next_out, err)
               : st;
}

static enum status
through_upload_begin(struct blob_store *store, struct organization_id id, struct str key,
                     struct str content_type, int64_t expires_at_us, struct blob_upload_id *id_out,
                     struct err *err)
{
    enum status st = before(store, "upload_begin", key, err);

    return st == ST_OK ? inner_of(store)->driver->upload_begin(
                             inner_of(store), id, key, content_type, expires_at_us, id_out, err)
                       : st;
}

static enum status
through_upload_part(struct blob_store *store, struct organization_id id,
                    const struct blob_upload_id *upload, unsigned number, struct str bytes,
                    struct blob_part *part_out, struct err *err)
{
    enum status st = before(store, "upload_part", str_from_c(upload->text), err);

    return st == ST_OK ? inner_of(store)->driver->upload_part(inner_of(store), id, upload, number,
                                                              bytes, part_out, err)
                       : st;
}

static enum status
through_upload_complete(struct blob_store *store, struct organization_id id,
                        const struct blob_upload_id *upload, const struct blob_part *parts,
                        size_t part_count, struct blob_info *info_out, struct err *err)
{
    enum status st = before(store, "upload_complete", str_from_c(upload->text), err);

    return st == ST_OK ? inner_of(store)->driver->upload_complete(inner_of(store), id, upload,
                                                                  parts, part_count, info_out, err)
                       : st;
}

static enum status
through_upload_abort(struct blob_store *store, struct organization_id id,
                     const struct blob_upload_id *upload, struct err *err)
{
    enum status st = before(store, "upload_abort", str_from_c(upload->text), err);

    return st == ST_OK ? inner_of(store)->driver->upload_abort(inner_of(store), id, upload, err)
                       : st;
}

static enum status
through_upkeep(struct blob_store *store, int64_t age_us, unsigned *removed_out, struct err *err)
{
    enum status st = before(store, "upkeep", STR(""), err);

    return st == ST_OK ? inner_of(store)->driver->upkeep(inner_of(store), age_us, removed_out, err)
                       : st;
}

void
blob_failing_set(struct blob_store *failing, enum status status, unsigned skip, unsigned times)
{
    struct through_store *through = (struct through_store *)failing;

    pthread_mutex_lock(&through->lock);
    through->status = status;
    through->skip = skip;
    through->times = times;
    pthread_mutex_unlock(&through->lock);
}

bool
blob_recording_get(struct blob_store *recording, size_t index, const char **call_out)
{
    struct through_store *through = (struct through_store *)recording;
    bool found;

    pthread_mutex_lock(&through->lock);
    found = index < through->count;
    *call_out = found ? through->calls[index] : NULL;
    pthread_mutex_unlock(&through->lock);
    return found;
}

#define THROUGH_FUNCTIONS                                                                          \
    .store_size = sizeof(struct through_store), .put_size = sizeof(struct through_put),            \
    .reader_size = sizeof(struct through_reader), .open = through_open, .close = through_close,    \
    .check = through_check, .put_begin = through_put_begin, .put_write = through_put_write,        \
    .put_commit = through_put_commit, .put_end = through_put_end,                                  \
    .reader_open = through_reader_open, .reader_read = through_reader_read,                        \
    .reader_file = through_reader_file, .reader_close = through_reader_close,                      \
    .list = through_list, .remove = through_remove, .remove_all = through_remove_all,              \
    .organization_next = through_organization_next, .upload_begin = through_upload_begin,          \
    .upload_part = through_upload_part, .upload_complete = through_upload_complete,                \
    .upload_abort = through_upload_abort, .upkeep = through_upkeep

const struct blob_driver blob_driver_failing = {.name = "failing", THROUGH_FUNCTIONS};
const struct blob_driver blob_driver_recording = {.name = "recording", THROUGH_FUNCTIONS};
