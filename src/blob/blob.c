/*
 * blob.c - the front: what every driver's objects have in common is checked, hashed and counted
 * here
 */
#include "blob/blob_driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_MAX_OBJECT_BYTES (UINT64_C(5) * 1024 * 1024 * 1024)
#define DEFAULT_MIN_PART_BYTES (UINT64_C(5) * 1024 * 1024)
#define COPY_BYTES ((size_t)128 * 1024)
#define DEFAULT_CONTENT_TYPE "application/octet-stream"

/* --- opening --- */

enum status
blob_driver_check(const struct blob_driver *d, struct err *err)
{
    bool complete =
        d->name != NULL && d->store_size >= sizeof(struct blob_store) &&
        d->put_size >= sizeof(struct blob_put) && d->reader_size >= sizeof(struct blob_reader) &&
        d->open != NULL && d->close != NULL && d->check != NULL && d->put_begin != NULL &&
        d->put_write != NULL && d->put_commit != NULL && d->put_end != NULL &&
        d->reader_open != NULL && d->reader_read != NULL && d->reader_file != NULL &&
        d->reader_close != NULL && d->list != NULL && d->remove != NULL && d->remove_all != NULL &&
        d->organization_next != NULL && d->upload_begin != NULL && d->upload_part != NULL &&
        d->upload_complete != NULL && d->upload_abort != NULL && d->upkeep != NULL;

    return complete ? ST_OK
                    : err_set_detail(err, ST_INTERNAL, "the table of a blob driver has a hole");
}

enum status
blob_open(const struct blob_config *config, struct blob_store **store_out, struct err *err)
{
    const struct blob_driver *driver =
        config->driver == NULL ? &blob_driver_directory : config->driver;
    size_t key_bytes = config->link_key_count * BLOB_LINK_KEY_BYTES;
    struct blob_store *store;
    enum status st = blob_driver_check(driver, err);

    *store_out = NULL;
    if (st == ST_OK && sodium_init() < 0)
        st = err_set_detail(err, ST_INTERNAL, "libsodium cannot be used");
    if (st != ST_OK)
        return st;
    store = calloc(1, driver->store_size);
    if (store == NULL || (store->link_keys = malloc(key_bytes + 1)) == NULL)
        abort();
    store->driver = driver;
    store->config = *config;
    if (store->config.max_object_bytes == 0)
        store->config.max_object_bytes = DEFAULT_MAX_OBJECT_BYTES;
    if (store->config.min_part_bytes == 0)
        store->config.min_part_bytes = DEFAULT_MIN_PART_BYTES;
    if (key_bytes > 0)
        memcpy(store->link_keys, config->link_keys, key_bytes);
    store->config.link_keys = NULL;
    st = driver->open(store, err);
    if (st != ST_OK) {
        blob_close(&store);
        return err_wrap(err, "open the objects' store");
    }
    *store_out = store;
    return ST_OK;
}

void
blob_close(struct blob_store **store_ref)
{
    struct blob_store *store = *store_ref;

    if (store == NULL)
        return;
    *store_ref = NULL;
    store->driver->close(store);
    sodium_memzero(store->link_keys, store->config.link_key_count * BLOB_LINK_KEY_BYTES);
    free(store->link_keys);
    free(store);
}

enum status
blob_check(struct blob_store *store, struct err *err)
{
    return store->driver->check(store, err);
}

/* --- checking --- */

static bool
is_plain_text(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return false;
    return str_is_utf8(text);
}

enum status
blob_key_check(struct str key, struct err *err)
{
    struct str rest = key;
    struct str segment;

    if (key.len == 0 || key.len > BLOB_KEY_MAX_BYTES)
        return err_set(err, ST_INVALID, "An object's key has 1 to %d bytes.", BLOB_KEY_MAX_BYTES);
    if (!is_plain_text(key))
        return err_set(err, ST_INVALID, "An object's key is UTF-8 without control characters.");
    while (str_split(&rest, '/', &segment)) {
        if (segment.len == 0 || segment.len > BLOB_SEGMENT_MAX_BYTES)
            return err_set(err, ST_INVALID, "A part of an object's key has 1 to %d bytes.",
                           BLOB_SEGMENT_MAX_BYTES);
        if (str_eq_c(segment, ".") || str_eq_c(segment, ".."))
            return err_set(err, ST_INVALID, "An object's key has no part \".\" or \"..\".");
    }
    return ST_OK;
}

/* Fills out, which holds BLOB_CONTENT_TYPE_MAX_BYTES + 1. */
static enum status
take_content_type(struct str type, char *out, struct err *err)
{
    if (type.len == 0)
        type = STR(DEFAULT_CONTENT_TYPE);
    if (type.len > BLOB_CONTENT_TYPE_MAX_BYTES || !is_plain_text(type))
        return err_set(err, ST_INVALID, "The content type cannot be one.");
    memcpy(out, type.ptr, type.len);
    out[type.len] = '\0';
    return ST_OK;
}

static bool
is_hex(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr("0123456789abcdef", text.ptr[i]) == NULL || text.ptr[i] == '\0')
            return false;
    return true;
}

static enum status
check_upload_id(const struct blob_upload_id *id, struct err *err)
{
    struct str text = str_of(id->text, strnlen(id->text, sizeof(id->text)));

    if (text.len != sizeof(id->text) - 1 || !is_hex(text))
        return err_set(err, ST_NOT_FOUND, "There is no such upload.");
    return ST_OK;
}

void
blob_hash_text(crypto_hash_sha256_state *hash, char text_out[BLOB_SHA256_LEN + 1])
{
    unsigned char digest[crypto_hash_sha256_BYTES];

    (void)crypto_hash_sha256_final(hash, digest);
    (void)sodium_bin2hex(text_out, BLOB_SHA256_LEN + 1, digest, sizeof(digest));
}

/* Asks the system each time: a process and its fork must not get the same. */
void
blob_random_name(char text_out[33])
{
    unsigned char bytes[16];

    randombytes_buf(bytes, sizeof(bytes));
    (void)sodium_bin2hex(text_out, 33, bytes, sizeof(bytes));
}

/* --- writing --- */

enum status
blob_put_begin(struct blob_store *store, const struct tenant_scope *scope,
               const struct blob_put_spec *spec, struct blob_put **put_out, struct err *err)
{
    struct blob_put *put = calloc(1, store->driver->put_size);
    enum status st = blob_key_check(spec->key, err);

    *put_out = NULL;
    if (put == NULL)
        abort();
    put->store = store;
    put->organization_id = tenant_scope_organization(scope);
    put->if_absent = spec->if_absent;
    if (st == ST_OK)
        st = take_content_type(spec->content_type, put->content_type, err);
    if (st == ST_OK && spec->sha256.len > 0 &&
        (spec->sha256.len != BLOB_SHA256_LEN || !is_hex(spec->sha256)))
        st = err_set(err, ST_INVALID, "The checksum is not a SHA-256 in lower-case hexadecimal.");
    if (st != ST_OK) {
        free(put);
        return st;
    }
    memcpy(put->key, spec->key.ptr, spec->key.len);
    if (spec->sha256.len > 0)
        memcpy(put->want_sha256, spec->sha256.ptr, BLOB_SHA256_LEN);
    (void)crypto_hash_sha256_init(&put->hash);
    st = store->driver->put_begin(put, err);
    if (st != ST_OK) {
        blob_put_rollback(&put);
        (void)err_wrap(err, "begin to put an object");
        return st;
    }
    *put_out = put;
    return ST_OK;
}

enum status
blob_put_write(struct blob_put *put, struct str bytes, struct err *err)
{
    uint64_t max = put->store->config.max_object_bytes;

    if (bytes.len > max || put->size_bytes > max - bytes.len)
        return err_set(err, ST_TOO_LARGE, "The object is larger than %llu bytes.",
                       (unsigned long long)max);
    if (bytes.len == 0)
        return ST_OK;
    put->size_bytes += bytes.len;
    (void)crypto_hash_sha256_update(&put->hash, (const unsigned char *)bytes.ptr, bytes.len);
    return put->store->driver->put_write(put, bytes, err);
}

enum status
blob_put_commit(struct blob_put **put_ref, struct blob_info *info_out, struct err *err)
{
    struct blob_put *put = *put_ref;
    struct blob_info info = {.size_bytes = put->size_bytes};
    enum status st = ST_OK;

    memcpy(info.content_type, put->content_type, sizeof(info.content_type));
    blob_hash_text(&put->hash, info.sha256);
    if (put->want_sha256[0] != '\0' && strcmp(put->want_sha256, info.sha256) != 0)
        st = err_set(err, ST_INVALID, "These are not the bytes that the checksum names.");
    if (st == ST_OK)
        st = put->store->driver->put_commit(put, &info, err);
    blob_put_rollback(put_ref);
    if (st == ST_OK && info_out != NULL)
        *info_out = info;
    return st;
}

void
blob_put_rollback(struct blob_put **put_ref)
{
    struct blob_put *put = *put_ref;

    if (put == NULL)
        return;
    *put_ref = NULL;
    put->store->driver->put_end(put);
    free(put);
}

enum status
blob_put_bytes(struct blob_store *store, const struct tenant_scope *scope,
               const struct blob_put_spec *spec, struct str bytes, struct blob_info *info_out,
               struct err *err)
{
    struct blob_put *put = NULL;
    enum status st = blob_put_begin(store, scope, spec, &put, err);

    if (st == ST_OK)
        st = blob_put_write(put, bytes, err);
    if (st == ST_OK)
        st = blob_put_commit(&put, info_out, err);
    blob_put_rollback(&put);
    return st;
}

static enum status
write_file(struct blob_put *put, int fd, struct err *err)
{
    char *bytes = malloc(COPY_BYTES);
    enum status st = ST_OK;
    ssize_t got = 1;

    if (bytes == NULL)
        abort();
    while (st == ST_OK && got != 0) {
        got = read(fd, bytes, COPY_BYTES);
        if (got < 0 && errno != EINTR)
            st = err_set_detail(err, ST_UNAVAILABLE, "read the file: %s", strerrordesc_np(errno));
        else if (got > 0)
            st = blob_put_write(put, str_of(bytes, (size_t)got), err);
    }
    free(bytes);
    return st;
}

enum status
blob_put_file(struct blob_store *store, const struct tenant_scope *scope,
              const struct blob_put_spec *spec, int fd, struct blob_info *info_out, struct err *err)
{
    struct blob_put *put = NULL;
    enum status st = blob_put_begin(store, scope, spec, &put, err);

    if (st == ST_OK)
        st = write_file(put, fd, err);
    if (st == ST_OK)
        st = blob_put_commit(&put, info_out, err);
    blob_put_rollback(&put);
    return st;
}

/* --- reading --- */

enum status
blob_reader_open(struct blob_store *store, const struct tenant_scope *scope, struct str key,
                 struct blob_reader **reader_out, struct blob_info *info_out, struct err *err)
{
    struct blob_reader *reader;
    enum status st;

    *reader_out = NULL;
    /* What cannot be a key names no object. */
    if (blob_key_check(key, err) != ST_OK)
        return err_set(err, ST_NOT_FOUND, "There is no such object.");
    reader = calloc(1, store->driver->reader_size);
    if (reader == NULL)
        abort();
    reader->store = store;
    st = store->driver->reader_open(reader, tenant_scope_organization(scope), key, err);
    if (st != ST_OK) {
        blob_reader_close(&reader);
        return st;
    }
    if (info_out != NULL)
        *info_out = reader->info;
    *reader_out = reader;
    return ST_OK;
}

enum status
blob_reader_read(struct blob_reader *reader, uint64_t offset, void *bytes, size_t len,
                 size_t *got_out, struct err *err)
{
    uint64_t size = reader->info.size_bytes;

    *got_out = 0;
    if (offset >= size)
        return ST_OK;
    if (len > size - offset)
        len = (size_t)(size - offset);
    return reader->store->driver->reader_read(reader, offset, bytes, len, got_out, err);
}

enum status
blob_reader_file(struct blob_reader *reader, int *fd_out, struct err *err)
{
    return reader->store->driver->reader_file(reader, fd_out, err);
}

void
blob_reader_close(struct blob_reader **reader_ref)
{
    struct blob_reader *reader = *reader_ref;

    if (reader == NULL)
        return;
    *reader_ref = NULL;
    reader->store->driver->reader_close(reader);
    free(reader);
}

enum status
blob_stat(struct blob_store *store, const struct tenant_scope *scope, struct str key,
          struct blob_info *info_out, struct err *err)
{
    struct blob_reader *reader = NULL;
    enum status st = blob_reader_open(store, scope, key, &reader, info_out, err);

    blob_reader_close(&reader);
    return st;
}

/* Hashes all of it, into bytes unless that is NULL. */
static enum status
read_and_verify(struct blob_reader *reader, char *bytes, struct err *err)
{
    char *piece = malloc(COPY_BYTES);
    crypto_hash_sha256_state hash;
    char found[BLOB_SHA256_LEN + 1];
    uint64_t at = 0;
    enum status st = ST_OK;

    if (piece == NULL)
        abort();
    (void)crypto_hash_sha256_init(&hash);
    while (st == ST_OK && at < reader->info.size_bytes) {
        size_t got = 0;

        st = blob_reader_read(reader, at, piece, COPY_BYTES, &got, err);
        if (st == ST_OK && got == 0)
            st = err_set_detail(err, ST_INTERNAL, "an object is shorter than it was");
        (void)crypto_hash_sha256_update(&hash, (const unsigned char *)piece, got);
        if (bytes != NULL)
            memcpy(bytes + at, piece, got);
        at += got;
    }
    free(piece);
    blob_hash_text(&hash, found);
    if (st == ST_OK && reader->info.sha256[0] != '\0' && strcmp(found, reader->info.sha256) != 0)
        st = err_set_detail(err, ST_INTERNAL, "an object is damaged: its checksum differs");
    return st;
}

enum status
blob_get(struct blob_store *store, const struct tenant_scope *scope, struct str key,
         size_t max_bytes, struct arena *arena, struct str *bytes_out, struct err *err)
{
    struct blob_reader *reader = NULL;
    struct blob_info info;
    char *bytes = NULL;
    enum status st = blob_reader_open(store, scope, key, &reader, &info, err);

    if (st == ST_OK && info.size_bytes > max_bytes)
        st = err_set(err, ST_TOO_LARGE, "The object is larger than %zu bytes.", max_bytes);
    if (st == ST_OK) {
        bytes = arena_try_alloc(arena, (size_t)info.size_bytes + 1);
        if (bytes == NULL)
            st = err_set(err, ST_TOO_LARGE, "The object is too large to be read at once.");
    }
    if (st == ST_OK)
        st = read_and_verify(reader, bytes, err);
    if (st == ST_OK)
        *bytes_out = str_of(bytes, (size_t)info.size_bytes);
    blob_reader_close(&reader);
    return st;
}

enum status
blob_verify(struct blob_store *store, const struct tenant_scope *scope, struct str key,
            struct err *err)
{
    struct blob_reader *reader = NULL;
    enum status st = blob_reader_open(store, scope, key, &reader, NULL, err);

    if (st == ST_OK)
        st = read_and_verify(reader, NULL, err);
    blob_reader_close(&reader);
    return st;
}

/* --- listing and deleting --- */

enum status
blob_list(struct blob_store *store, const struct tenant_scope *scope, struct str prefix,
          struct str after, size_t limit, struct arena *arena, struct blob_entry **entries_out,
          size_t *count_out, bool *more_out, struct err *err)
{
    struct blob_list_query query = {.prefix = prefix, .after = after, .arena = arena};
    enum status st;

    query.limit = limit == 0 || limit > BLOB_LIST_MAX ? BLOB_LIST_MAX : limit;
    query.entries = ARENA_NEW_N(arena, struct blob_entry, query.limit);
    st = store->driver->list(store, tenant_scope_organization(scope), &query, err);
    *entries_out = query.entries;
    *count_out = st == ST_OK ? query.count : 0;
    *more_out = st == ST_OK && query.more;
    return st;
}

enum status
blob_delete(struct blob_store *store, const struct tenant_scope *scope, struct str key,
            struct err *err)
{
    if (blob_key_check(key, err) != ST_OK)
        return ST_OK; /* there is none */
    return store->driver->remove(store, tenant_scope_organization(scope), key, err);
}

enum status
blob_delete_all(struct blob_store *store, const struct tenant_scope *scope, struct err *err)
{
    return store->driver->remove_all(store, tenant_scope_organization(scope), err);
}

enum status
blob_organization_next(struct blob_store *store, struct organization_id after,
                       struct organization_id *next_out, struct err *err)
{
    memset(next_out, 0, sizeof(*next_out));
    return store->driver->organization_next(store, after, next_out, err);
}

/* --- in parts --- */

enum status
blob_upload_begin(struct blob_store *store, const struct tenant_scope *scope, struct str key,
                  struct str content_type, int64_t expires_at_us, struct blob_upload_id *id_out,
                  struct err *err)
{
    char type[BLOB_CONTENT_TYPE_MAX_BYTES + 1];
    enum status st = blob_key_check(key, err);

    if (st == ST_OK)
        st = take_content_type(content_type, type, err);
    if (st == ST_OK && expires_at_us <= clock_wall_us(store->config.clock))
        st = err_set(err, ST_INVALID, "An upload's expiry lies ahead.");
    if (st != ST_OK)
        return st;
    return store->driver->upload_begin(store, tenant_scope_organization(scope), key,
                                       str_from_c(type), expires_at_us, id_out, err);
}

enum status
blob_upload_part(struct blob_store *store, const struct tenant_scope *scope,
                 const struct blob_upload_id *id, unsigned number, struct str bytes,
                 struct blob_part *part_out, struct err *err)
{
    enum status st = check_upload_id(id, err);

    if (st == ST_OK && (number < 1 || number > BLOB_PART_MAX_NUMBER))
        st = err_set(err, ST_INVALID, "A part's number is 1 to %d.", BLOB_PART_MAX_NUMBER);
    if (st == ST_OK && bytes.len > store->config.max_object_bytes)
        st = err_set(err, ST_TOO_LARGE, "The part is larger than an object may be.");
    if (st != ST_OK)
        return st;
    return store->driver->upload_part(store, tenant_scope_organization(scope), id, number, bytes,
                                      part_out, err);
}

enum status
blob_upload_complete(struct blob_store *store, const struct tenant_scope *scope,
                     const struct blob_upload_id *id, const struct blob_part *parts,
                     size_t part_count, struct blob_info *info_out, struct err *err)
{
    struct blob_info info = {.size_bytes = 0};
    enum status st = check_upload_id(id, err);

    if (st == ST_OK && (part_count == 0 || part_count > BLOB_PART_MAX_NUMBER))
        st = err_set(err, ST_INVALID, "An object has 1 to %d parts.", BLOB_PART_MAX_NUMBER);
    for (size_t i = 0; st == ST_OK && i < part_count; i++)
        if (parts[i].number < 1 || parts[i].number > BLOB_PART_MAX_NUMBER ||
            (i > 0 && parts[i].number <= parts[i - 1].number))
            st = err_set(err, ST_INVALID, "The parts' numbers must ascend.");
    if (st == ST_OK)
        st = store->driver->upload_complete(store, tenant_scope_organization(scope), id, parts,
                                            part_count, &info, err);
    if (st == ST_OK && info_out != NULL)
        *info_out = info;
    return st;
}

enum status
blob_upload_abort(struct blob_store *store, const struct tenant_scope *scope,
                  const struct blob_upload_id *id, struct err *err)
{
    if (check_upload_id(id, err) != ST_OK)
        return ST_OK; /* there is none */
    return store->driver->upload_abort(store, tenant_scope_organization(scope), id, err);
}

enum status
blob_upkeep(struct blob_store *store, int64_t age_us, unsigned *removed_out, struct err *err)
{
    *removed_out = 0;
    return store->driver->upkeep(store, age_us, removed_out, err);
}
