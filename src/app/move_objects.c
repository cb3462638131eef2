/*
 * move_objects.c - lists one store of objects and puts into the other what it lacks
 */
#include "app/move_objects.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 200
#define COPY_BYTES ((size_t)256 * 1024)
#define ARENA_BYTES ((size_t)16 * 1024 * 1024)

static enum status
copy(struct blob_store *from, struct blob_store *to, const struct tenant_scope *scope,
     struct str key, char *bytes, struct err *err)
{
    struct blob_reader *reader = NULL;
    struct blob_put *put = NULL;
    struct blob_info info = {0};
    uint64_t at = 0;
    enum status st = blob_reader_open(from, scope, key, &reader, &info, err);
    const struct blob_put_spec spec = {.key = key,
                                       .content_type = str_from_c(info.content_type),
                                       .sha256 = str_from_c(info.sha256)};

    if (st == ST_OK)
        st = blob_put_begin(to, scope, &spec, &put, err);
    while (st == ST_OK && at < info.size_bytes) {
        size_t got = 0;

        st = blob_reader_read(reader, at, bytes, COPY_BYTES, &got, err);
        if (st == ST_OK && got == 0)
            st = err_set_detail(err, ST_INTERNAL, "the object ends early");
        if (st == ST_OK)
            st = blob_put_write(put, str_of(bytes, got), err);
        at += got;
    }
    if (st == ST_OK)
        st = blob_put_commit(&put, NULL, err);
    blob_put_rollback(&put);
    blob_reader_close(&reader);
    return st;
}

static enum status
move_one(struct blob_store *from, struct blob_store *to, const struct tenant_scope *scope,
         struct str key, char *bytes, struct moved_objects *moved, struct err *err)
{
    struct blob_info source, target;
    enum status st = blob_stat(from, scope, key, &source, err);

    if (st != ST_OK)
        return st;
    st = blob_stat(to, scope, key, &target, err);
    if (st == ST_NOT_FOUND || (st == ST_OK && (source.size_bytes != target.size_bytes ||
                                               strcmp(source.sha256, target.sha256) != 0)))
        st = copy(from, to, scope, key, bytes, err);
    if (st == ST_OK)
        st = blob_verify(to, scope, key, err); /* reads it all again */
    if (st == ST_OK) {
        moved->count++;
        moved->bytes += (int64_t)source.size_bytes;
    }
    return st;
}

enum status
move_objects(struct blob_store *from, struct blob_store *to, const struct tenant_scope *scope,
             struct moved_objects *moved, struct err *err)
{
    struct arena *arenas[2] = {arena_create(ARENA_BYTES), arena_create(ARENA_BYTES)};
    char *bytes = malloc(COPY_BYTES);
    struct str after = STR_EMPTY;
    bool more = true;
    enum status st = ST_OK;

    if (bytes == NULL)
        abort();
    for (unsigned page = 0; st == ST_OK && more; page++) {
        struct arena *arena = arenas[page % 2]; /* the other one holds the last key */
        struct blob_entry *entries = NULL;
        size_t count = 0;

        arena_reset(arena);
        st = blob_list(from, scope, STR_EMPTY, after, PAGE, arena, &entries, &count, &more, err);
        for (size_t i = 0; st == ST_OK && i < count; i++) {
            st = move_one(from, to, scope, entries[i].key, bytes, moved, err);
            if (st != ST_OK)
                (void)err_wrap(err, "object %.*s", STR_ARG(entries[i].key));
            after = entries[i].key;
        }
    }
    arena_destroy(&arenas[0]);
    arena_destroy(&arenas[1]);
    free(bytes);
    return st;
}
