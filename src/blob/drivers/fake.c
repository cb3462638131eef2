/*
 * fake.c - objects in memory, for tests: each a file without a name, so that readers keep theirs
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "blob/blob_driver.h"

/* An object, or a part of an upload: then key is the upload's and number its own. */
struct item {
    struct item *next;
    struct organization_id organization_id;
    char key[BLOB_KEY_MAX_BYTES + 1];
    unsigned number; /* 0: an object */
    struct blob_info info;
    int fd;
};

struct upload {
    struct upload *next;
    struct organization_id organization_id;
    struct blob_upload_id id;
    char key[BLOB_KEY_MAX_BYTES + 1];
    char content_type[BLOB_CONTENT_TYPE_MAX_BYTES + 1];
    int64_t expires_at_us;
};

struct fake_store {
    struct blob_store base;
    pthread_mutex_t lock; /* guards what follows */
    struct item *items;   /* in the order of organization, key, number */
    struct upload *uploads;
};

struct fake_put {
    struct blob_put base;
    int fd;
};

struct fake_reader {
    struct blob_reader base;
    int fd;
};

static enum status
fake_failed(struct err *err)
{
    return err_set_detail(err, ST_UNAVAILABLE, "memory file: %s", strerrordesc_np(errno));
}

static enum status
fake_open(struct blob_store *store, struct err *err)
{
    (void)err;
    pthread_mutex_init(&((struct fake_store *)store)->lock, NULL);
    return ST_OK;
}

static void
free_item(struct item *item)
{
    (void)close(item->fd);
    free(item);
}

static void
fake_close(struct blob_store *store)
{
    struct fake_store *fake = (struct fake_store *)store;

    while (fake->items != NULL) {
        struct item *item = fake->items;

        fake->items = item->next;
        free_item(item);
    }
    while (fake->uploads != NULL) {
        struct upload *upload = fake->uploads;

        fake->uploads = upload->next;
        free(upload);
    }
    pthread_mutex_destroy(&fake->lock);
}

static enum status
fake_check(struct blob_store *store, struct err *err)
{
    (void)store;
    (void)err;
    return ST_OK;
}

/* --- items; the lock is held --- */

static int
compare(const struct item *item, struct organization_id id, const char *key, unsigned number)
{
    int order = strcmp(item->organization_id.id.text, id.id.text);

    if (order == 0)
        order = strcmp(item->key, key);
    return order != 0 ? order : (item->number > number) - (item->number < number);
}

/* Where it stands or belongs. */
static struct item **
place_of(struct fake_store *fake, struct organization_id id, const char *key, unsigned number)
{
    struct item **at = &fake->items;

    while (*at != NULL && compare(*at, id, key, number) < 0)
        at = &(*at)->next;
    return at;
}

static struct item *
find_item(struct fake_store *fake, struct organization_id id, const char *key, unsigned number)
{
    struct item *item = *place_of(fake, id, key, number);

    return item != NULL && compare(item, id, key, number) == 0 ? item : NULL;
}

static void
remove_item(struct item **at)
{
    struct item *item = *at;

    *at = item->next;
    free_item(item);
}

/* Takes fd. */
static void
put_item(struct fake_store *fake, struct organization_id id, const char *key, unsigned number,
         struct blob_info *info, int fd)
{
    struct item **at = place_of(fake, id, key, number);
    struct item *item = calloc(1, sizeof(*item));

    if (item == NULL)
        abort();
    if (*at != NULL && compare(*at, id, key, number) == 0)
        remove_item(at);
    (void)snprintf(info->etag, sizeof(info->etag), "%s", info->sha256);
    info->modified_at_us = clock_wall_us(clock_system());
    *item = (struct item){
        .next = *at, .organization_id = id, .number = number, .info = *info, .fd = fd};
    (void)snprintf(item->key, sizeof(item->key), "%s", key);
    *at = item;
}

/* --- writing --- */

static enum status
write_all(int fd, struct str bytes, struct err *err)
{
    while (bytes.len > 0) {
        ssize_t done = write(fd, bytes.ptr, bytes.len);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fake_failed(err);
        bytes = str_sub(bytes, (size_t)done, bytes.len);
    }
    return ST_OK;
}

static enum status
fake_put_begin(struct blob_put *put, struct err *err)
{
    struct fake_put *mine = (struct fake_put *)put;

    mine->fd = memfd_create("object", MFD_CLOEXEC);
    return mine->fd < 0 ? fake_failed(err) : ST_OK;
}

static enum status
fake_put_write(struct blob_put *put, struct str bytes, struct err *err)
{
    return write_all(((struct fake_put *)put)->fd, bytes, err);
}

static enum status
fake_put_commit(struct blob_put *put, struct blob_info *info, struct err *err)
{
    struct fake_store *fake = (struct fake_store *)put->store;
    struct fake_put *mine = (struct fake_put *)put;
    enum status st = ST_OK;

    pthread_mutex_lock(&fake->lock);
    if (put->if_absent && find_item(fake, put->organization_id, put->key, 0) != NULL) {
        st = err_set(err, ST_CONFLICT, "There is an object of that key already.");
    } else {
        put_item(fake, put->organization_id, put->key, 0, info, mine->fd);
        mine->fd = -1;
    }
    pthread_mutex_unlock(&fake->lock);
    return st;
}

static void
fake_put_end(struct blob_put *put)
{
    struct fake_put *mine = (struct fake_put *)put;

    if (mine->fd >= 0)
        (void)close(mine->fd);
}

/* --- reading --- */

static void
copy_key(struct str key, char out[BLOB_KEY_MAX_BYTES + 1])
{
    memcpy(out, key.ptr, key.len);
    out[key.len] = '\0';
}

static enum status
fake_reader_open(struct blob_reader *reader, struct organization_id id, struct str key,
                 struct err *err)
{
    struct fake_store *fake = (struct fake_store *)reader->store;
    struct fake_reader *mine = (struct fake_reader *)reader;
    char text[BLOB_KEY_MAX_BYTES + 1];
    const struct item *item;
    enum status st = ST_OK;

    mine->fd = -1;
    copy_key(key, text);
    pthread_mutex_lock(&fake->lock);
    item = find_item(fake, id, text, 0);
    if (item == NULL) {
        st = err_set(err, ST_NOT_FOUND, "There is no such object.");
    } else {
        reader->info = item->info;
        mine->fd = fcntl(item->fd, F_DUPFD_CLOEXEC, 0);
        st = mine->fd < 0 ? fake_failed(err) : ST_OK;
    }
    pthread_mutex_unlock(&fake->lock);
    return st;
}

static enum status
fake_reader_read(struct blob_reader *reader, uint64_t offset, void *bytes, size_t len,
                 size_t *got_out, struct err *err)
{
    ssize_t got = pread(((struct fake_reader *)reader)->fd, bytes, len, (off_t)offset);

    if (got < 0)
        return fake_failed(err);
    *got_out = (size_t)got;
    return ST_OK;
}

static enum status
fake_reader_file(struct blob_reader *reader, int *fd_out, struct err *err)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", ((struct fake_reader *)reader)->fd);
    *fd_out = open(path, O_RDONLY | O_CLOEXEC);
    return *fd_out < 0 ? fake_failed(err) : ST_OK;
}

static void
fake_reader_close(struct blob_reader *reader)
{
    int fd = ((struct fake_reader *)reader)->fd;

    if (fd >= 0)
        (void)close(fd);
}

/* --- listing and deleting --- */

static enum status
fake_list(struct blob_store *store, struct organization_id id, struct blob_list_query *query,
          struct err *err)
{
    struct fake_store *fake = (struct fake_store *)store;

    (void)err;
    pthread_mutex_lock(&fake->lock);
    for (const struct item *item = fake->items; item != NULL && !query->more; item = item->next) {
        struct str key = str_from_c(item->key);

        if (!id_eq(&item->organization_id.id, &id.id) || item->number != 0 ||
            !str_starts_with(key, query->prefix) ||
            (query->after.len > 0 && str_cmp(key, query->after) <= 0))
            continue;
        query->more = query->count == query->limit;
        if (!query->more)
            query->entries[query->count++] =
                (struct blob_entry){.key = arena_str(query->arena, key),
                                    .size_bytes = item->info.size_bytes,
                                    .modified_at_us = item->info.modified_at_us};
    }
    pthread_mutex_unlock(&fake->lock);
    return ST_OK;
}

static enum status
fake_remove(struct blob_store *store, struct organization_id id, struct str key, struct err *err)
{
    struct fake_store *fake = (struct fake_store *)store;
    char text[BLOB_KEY_MAX_BYTES + 1];

    (void)err;
    copy_key(key, text);
    pthread_mutex_lock(&fake->lock);
    if (find_item(fake, id, text, 0) != NULL)
        remove_item(place_of(fake, id, text, 0));
    pthread_mutex_unlock(&fake->lock);
    return ST_OK;
}

static enum status
fake_remove_all(struct blob_store *store, struct organization_id id, struct err *err)
{
    struct fake_store *fake = (struct fake_store *)store;
    struct item **at = &fake->items;
    struct upload **upload = &fake->uploads;

    (void)err;
    pthread_mutex_lock(&fake->lock);
    while (*at != NULL) {
        if (id_eq(&(*at)->organization_id.id, &id.id))
            remove_item(at);
        else
            at = &(*at)->next;
    }
    while (*upload != NULL) {
        struct upload *found = *upload;

        if (id_eq(&found->organization_id.id, &id.id)) {
            *upload = found->next;
            free(found);
        } else {
            upload = &found->next;
        }
    }
    pthread_mutex_unlock(&fake->lock);
    return ST_OK;
}

static enum status
fake_organization_next(struct blob_store *store, struct organization_id after,
                       struct organization_id *next_out, struct err *err)
{
    struct fake_store *fake = (struct fake_store *)store;
    const struct item *item;

    pthread_mutex_lock(&fake->lock);
    for (item = fake->items; item != NULL; item = item->next)
        if (strcmp(item->organization_id.id.text, after.id.text) > 0)
            break;
    if (item != NULL)
        *next_out = item->organization_id;
    pthread_mutex_unlock(&fake->lock);
    return item != NULL
               ? ST_OK
               : err_set(err, ST_NOT_FOUND, "There are no more organizations with objects.");
}

/* --- in parts; an upload's parts are items whose key is its id --- */

static struct upload **
find_upload(struct fake_store *fake, struct organization_id id, const struct blob_upload_id *upload)
{
    struct upload **at = &fake->uploads;

    while (*at != NULL && (strcmp((*at)->id.text, upload->text) != 0 ||
                           !id_eq(&(*at)->organization_id.id, &id.id)))
        at = &(*at)->next;
    return at;
}

static void
end_upload(struct fake_store *fake, struct upload **at)
{
    struct upload *upload = *at;
    struct item **item = place_of(fake, upload->organization_id, upload->id.text, 1);

    while (*item != NULL && (*item)->number > 0 && strcmp((*item)->key, upload->id.text) == 0)
        remove_item(item);
    *at = upload->next;
    free(upload);
}

static enum status
fake_upload_begin(struct blob_store *store, struct organization_id id, struct str key,
                  struct str content_type, int64_t expires_at_us, struct blob_upload_id *id_out,
                  struct err *err)
{
    struct fake_store *fake = (struct fake_store *)store;
    struct upload *upload = calloc(1, sizeof(*upload));

    (void)err;
    if (upload == NULL)
        abort();
    blob_random_name(id_out->text);
    upload->id = *id_out;
    upload->organization_id = id;
    upload->expires_at_us = expires_at_us;
    copy_key(key, upload->key);
    memcpy(upload->content_type, content_type.ptr, content_type.len);
    pthread_mutex_lock(&fake->lock);
    upload->next = fake->uploads;
    fake->uploads = upload;
    pthread_mutex_unlock(&fake->lock);
    return ST_OK;
}

static bool
is_open(struct fake_store *fake, const struct upload *upload)
{
    return upload != NULL && upload->expires_at_us > clock_wall_us(fake->base.config.clock);
}

static enum status
fake_upload_part(struct blob_store *store, struct organization_id id,
                 const struct blob_upload_id *upload, unsigned number, struct str bytes,
                 struct blob_part *part_out, struct err *err)
{
    struct fake_store *fake = (struct fake_store *)store;
    struct blob_info info = {.size_bytes = bytes.len, .content_type = "part"};
    crypto_hash_sha256_state hash;
    int fd = memfd_create("part", MFD_CLOEXEC);
    enum status st = fd < 0 ? fake_failed(err) : write_all(fd, bytes, err);

    (void)crypto_hash_sha256_init(&hash);
    (void)crypto_hash_sha256_update(&hash, (const unsigned char *)bytes.ptr, bytes.len);
    blob_hash_text(&hash, info.sha256);
    pthread_mutex_lock(&fake->lock);
    if (st == ST_OK && !is_open(fake, *find_upload(fake, id, upload)))
        st = err_set(err, ST_NOT_FOUND, "There is no such upload.");
    if (st == ST_OK) {
        put_item(fake, id, upload->text, number, &info, fd);
        fd = -1;
        part_out->number = number;
        memcpy(part_out->etag, info.etag, sizeof(part_out->etag));
    }
    pthread_mutex_unlock(&fake->lock);
    if (fd >= 0)
        (void)close(fd);
    return st;
}

static enum status
append_part(struct fake_store *fake, const struct item *item, int fd, struct blob_info *info,
            crypto_hash_sha256_state *hash, struct err *err)
{
    char *bytes = malloc((size_t)item->info.size_bytes + 1);
    size_t len = (size_t)item->info.size_bytes;
    enum status st = ST_OK;

    (void)fake;
    if (bytes == NULL)
        abort();
    if (pread(item->fd, bytes, len, 0) != (ssize_t)len)
        st = fake_failed(err);
    if (st == ST_OK)
        st = write_all(fd, str_of(bytes, len), err);
    (void)crypto_hash_sha256_update(hash, (const unsigned char *)bytes, len);
    info->size_bytes += len;
    free(bytes);
    return st;
}

static enum status
join_parts(struct fake_store *fake, struct organization_id id, const struct upload *upload,
           const struct blob_part *parts, size_t count, int fd, struct blob_info *info,
           struct err *err)
{
    const struct blob_config *config = &fake->base.config;
    crypto_hash_sha256_state hash;
    enum status st = ST_OK;

    (void)crypto_hash_sha256_init(&hash);
    for (size_t i = 0; st == ST_OK && i < count; i++) {
        const struct item *item = find_item(fake, id, upload->id.text, parts[i].number);

        if (item == NULL || strncmp(item->info.etag, parts[i].etag, sizeof(parts[i].etag)) != 0)
            st = err_set(err, ST_INVALID, "Part %u was not uploaded.", parts[i].number);
        else if (i + 1 < count && item->info.size_bytes < config->min_part_bytes)
            st = err_set(err, ST_INVALID, "Part %u is too small.", parts[i].number);
        else if (info->size_bytes + item->info.size_bytes > config->max_object_bytes)
            st = err_set(err, ST_TOO_LARGE, "The object is too large.");
        else
            st = append_part(fake, item, fd, info, &hash, err);
    }
    blob_hash_text(&hash, info->sha256);
    memcpy(info->content_type, upload->content_type, sizeof(info->content_type));
    return st;
}

static enum status
fake_upload_complete(struct blob_store *store, struct organization_id id,
                     const struct blob_upload_id *upload_id, const struct blob_part *parts,
                     size_t part_count, struct blob_info *info_out, struct err *err)
{
    struct fake_store *fake = (struct fake_store *)store;
    struct blob_info info = {.size_bytes = 0};
    int fd = memfd_create("object", MFD_CLOEXEC);
    enum status st = fd < 0 ? fake_failed(err) : ST_OK;
    struct upload **at;

    pthread_mutex_lock(&fake->lock);
    at = find_upload(fake, id, upload_id);
    if (st == ST_OK && !is_open(fake, *at))
        st = err_set(err, ST_NOT_FOUND, "There is no such upload.");
    if (st == ST_OK)
        st = join_parts(fake, id, *at, parts, part_count, fd, &info, err);
    if (st == ST_OK) {
        put_item(fake, id, (*at)->key, 0, &info, fd);
        fd = -1;
        end_upload(fake, at);
        *info_out = info;
    }
    pthread_mutex_unlock(&fake->lock);
    if (fd >= 0)
        (void)close(fd);
    return st;
}

static enum status
fake_upload_abort(struct blob_store *store, struct organization_id id,
                  const struct blob_upload_id *upload, struct err *err)
{
    struct fake_store *fake = (struct fake_store *)store;
    struct upload **at;

    (void)err;
    pthread_mutex_lock(&fake->lock);
    at = find_upload(fake, id, upload);
    if (*at != NULL)
        end_upload(fake, at);
    pthread_mutex_unlock(&fake->lock);
    return ST_OK;
}

static enum status
fake_upkeep(struct blob_store *store, int64_t age_us, unsigned *removed_out, struct err *err)
{
    struct fake_store *fake = (struct fake_store *)store;
    struct upload **at = &fake->uploads;

    (void)age_us;
    (void)err;
    pthread_mutex_lock(&fake->lock);
    while (*at != NULL) {
        if (is_open(fake, *at)) {
            at = &(*at)->next;
        } else {
            end_upload(fake, at);
            ++*removed_out;
        }
    }
    pthread_mutex_unlock(&fake->lock);
    return ST_OK;
}

const struct blob_driver blob_driver_fake = {
    .name = "fake",
    .store_size = sizeof(struct fake_store),
    .put_size = sizeof(struct fake_put),
    .reader_size = sizeof(struct fake_reader),
    .open = fake_open,
    .close = fake_close,
    .check = fake_check,
    .put_begin = fake_put_begin,
    .put_write = fake_put_write,
    .put_commit = fake_put_commit,
    .put_end = fake_put_end,
    .reader_open = fake_reader_open,
    .reader_read = fake_reader_read,
    .reader_file = fake_reader_file,
    .reader_close = fake_reader_close,
    .list = fake_list,
    .remove = fake_remove,
    .remove_all = fake_remove_all,
    .organization_next = fake_organization_next,
    .upload_begin = fake_upload_begin,
    .upload_part = fake_upload_part,
    .upload_complete = fake_upload_complete,
    .upload_abort = fake_upload_abort,
    .upkeep = fake_upkeep,
};
