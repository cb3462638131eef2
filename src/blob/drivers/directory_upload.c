/*
 * directory_upload.c - an upload in parts: a folder that ends with a rename, so that it ends once
 *
 * "about" and the parts are files like objects, with trailers. Completing writes the object first
 * and removes the parts then: a crash between leaves an upload that can be completed again, with
 * the same result.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "blob/drivers/directory_private.h"

#define COPY_BYTES ((size_t)128 * 1024)
#define ABOUT_MAX_BYTES (BLOB_KEY_MAX_BYTES + 64)
#define UPLOAD_PATH_BYTES 96

/* What "about" says: expiry, then the key; the type is in its trailer. */
struct about {
    char bytes[ABOUT_MAX_BYTES];
    struct str key;
    int64_t expires_at_us;
    struct blob_info info;
};

static enum status
no_upload(struct err *err)
{
    return err_set(err, ST_NOT_FOUND, "There is no such upload.");
}

static void
upload_path(const char *upload, const char *file, char out[UPLOAD_PATH_BYTES])
{
    (void)snprintf(out, UPLOAD_PATH_BYTES, PARTS "/%s%s%s", upload, file == NULL ? "" : "/",
                   file == NULL ? "" : file);
}

static enum status
open_file(int organization, const char *path, int *fd_out, struct blob_info *info_out,
          struct err *err)
{
    enum status st;

    *fd_out = openat(organization, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd_out < 0)
        return errno == ENOENT ? no_upload(err) : directory_failed(err, "open an upload");
    st = trailer_read(*fd_out, info_out, err);
    if (st != ST_OK) {
        (void)close(*fd_out);
        *fd_out = -1;
    }
    return st;
}

static enum status
read_about(int organization, const char *upload, struct about *about, struct err *err)
{
    char path[UPLOAD_PATH_BYTES];
    struct str text, expiry;
    size_t got = 0;
    int fd = -1;
    enum status st;

    memset(about, 0, sizeof(*about));
    upload_path(upload, "about", path);
    st = open_file(organization, path, &fd, &about->info, err);
    if (st == ST_OK && about->info.size_bytes > sizeof(about->bytes))
        st = err_set_detail(err, ST_INTERNAL, "an upload is damaged");
    if (st == ST_OK)
        st = read_fully(fd, 0, about->bytes, (size_t)about->info.size_bytes, &got, err);
    if (fd >= 0)
        (void)close(fd);
    if (st != ST_OK)
        return st;
    text = str_of(about->bytes, got);
    if (!str_split(&text, '\n', &expiry) || !str_to_i64(expiry, &about->expires_at_us) ||
        blob_key_check(text, err) != ST_OK)
        return err_set_detail(err, ST_INTERNAL, "an upload is damaged");
    about->key = text;
    return ST_OK;
}

/* ST_NOT_FOUND also when it has expired. */
static enum status
open_upload(struct blob_store *store, struct organization_id id, const char *upload,
            int *organization_out, struct about *about, struct err *err)
{
    enum status st = directory_organization(store, id, false, organization_out, err);

    if (st == ST_NOT_FOUND)
        return no_upload(err);
    if (st == ST_OK)
        st = read_about(*organization_out, upload, about, err);
    if (st == ST_OK && about->expires_at_us <= clock_wall_us(store->config.clock))
        st = no_upload(err);
    return st;
}

static void
hash_of(struct str bytes, char text_out[BLOB_SHA256_LEN + 1])
{
    crypto_hash_sha256_state hash;

    (void)crypto_hash_sha256_init(&hash);
    (void)crypto_hash_sha256_update(&hash, (const unsigned char *)bytes.ptr, bytes.len);
    blob_hash_text(&hash, text_out);
}

/* Bytes that are all there, as a file under path. */
static enum status
put_file(struct blob_store *store, struct organization_id id, const char *path, bool make,
         struct str bytes, struct blob_info *info, struct err *err)
{
    struct new_file file;
    enum status st = new_file_begin(store, id, &file, err);

    info->size_bytes = bytes.len;
    hash_of(bytes, info->sha256);
    if (st == ST_OK)
        st = new_file_write(&file, bytes, err);
    if (st == ST_OK)
        st = new_file_publish(&file, path, make, false, info, err);
    new_file_end(&file);
    return st;
}

enum status
directory_upload_begin(struct blob_store *store, struct organization_id id, struct str key,
                       struct str content_type, int64_t expires_at_us,
                       struct blob_upload_id *id_out, struct err *err)
{
    struct blob_info info = {.size_bytes = 0};
    char text[ABOUT_MAX_BYTES], path[UPLOAD_PATH_BYTES];
    int len = snprintf(text, sizeof(text), "%lld\n%.*s", (long long)expires_at_us, STR_ARG(key));

    blob_random_name(id_out->text);
    upload_path(id_out->text, "about", path);
    memcpy(info.content_type, content_type.ptr, content_type.len);
    return put_file(store, id, path, true, str_of(text, (size_t)len), &info, err);
}

enum status
directory_upload_part(struct blob_store *store, struct organization_id id,
                      const struct blob_upload_id *upload, unsigned number, struct str bytes,
                      struct blob_part *part_out, struct err *err)
{
    struct blob_info info = {.content_type = "part"};
    char name[16], path[UPLOAD_PATH_BYTES];
    int organization = -1;
    struct about about;
    enum status st = open_upload(store, id, upload->text, &organization, &about, err);

    if (organization >= 0)
        (void)close(organization);
    if (st != ST_OK)
        return st;
    (void)snprintf(name, sizeof(name), "%05u", number);
    upload_path(upload->text, name, path);
    st = put_file(store, id, path, false, bytes, &info, err);
    if (st == ST_NOT_FOUND)
        return no_upload(err);
    part_out->number = number;
    memcpy(part_out->etag, info.etag, sizeof(part_out->etag));
    return st;
}

/* --- completing --- */

struct joining {
    struct blob_store *store;
    int organization;
    const char *upload;
    struct new_file *file;
    crypto_hash_sha256_state hash;
    struct blob_info info;
    char *piece;
};

static enum status
copy_part(struct joining *joining, int fd, const struct blob_info *part, struct err *err)
{
    crypto_hash_sha256_state hash;
    char found[BLOB_SHA256_LEN + 1];
    enum status st = ST_OK;

    (void)crypto_hash_sha256_init(&hash);
    for (uint64_t at = 0; st == ST_OK && at < part->size_bytes;) {
        uint64_t left = part->size_bytes - at;
        size_t got = 0;

        st = read_fully(fd, at, joining->piece, left < COPY_BYTES ? (size_t)left : COPY_BYTES, &got,
                        err);
        if (st == ST_OK && got == 0)
            st = err_set_detail(err, ST_INTERNAL, "a part became shorter");
        if (st != ST_OK)
            break;
        (void)crypto_hash_sha256_update(&hash, (const unsigned char *)joining->piece, got);
        (void)crypto_hash_sha256_update(&joining->hash, (const unsigned char *)joining->piece, got);
        st = new_file_write(joining->file, str_of(joining->piece, got), err);
        at += got;
    }
    blob_hash_text(&hash, found);
    if (st == ST_OK && strcmp(found, part->sha256) != 0)
        st = err_set_detail(err, ST_INTERNAL, "a part is damaged: its checksum differs");
    return st;
}

static enum status
add_part(struct joining *joining, const struct blob_part *part, bool is_last, struct err *err)
{
    const struct blob_config *config = &joining->store->config;
    char name[16], path[UPLOAD_PATH_BYTES];
    struct blob_info info = {.size_bytes = 0};
    int fd = -1;
    enum status st;

    (void)snprintf(name, sizeof(name), "%05u", part->number);
    upload_path(joining->upload, name, path);
    st = open_file(joining->organization, path, &fd, &info, err);
    if (st == ST_NOT_FOUND)
        return err_set(err, ST_INVALID, "Part %u was not uploaded.", part->number);
    if (st == ST_OK && strncmp(info.etag, part->etag, sizeof(info.etag)) != 0)
        st = err_set(err, ST_INVALID, "Part %u is another than that checksum says.", part->number);
    if (st == ST_OK && !is_last && info.size_bytes < config->min_part_bytes)
        st = err_set(err, ST_INVALID, "Part %u is smaller than %llu bytes.", part->number,
                     (unsigned long long)config->min_part_bytes);
    if (st == ST_OK && joining->info.size_bytes + info.size_bytes > config->max_object_bytes)
        st = err_set(err, ST_TOO_LARGE, "The object is larger than %llu bytes.",
                     (unsigned long long)config->max_object_bytes);
    if (st == ST_OK)
        st = copy_part(joining, fd, &info, err);
    joining->info.size_bytes += info.size_bytes;
    if (fd >= 0)
        (void)close(fd);
    return st;
}

/* Out of sight first, so that no part comes in while it is removed. */
static enum status
end_upload(int organization, const char *upload, struct err *err)
{
    char from[UPLOAD_PATH_BYTES], to[UPLOAD_PATH_BYTES];

    upload_path(upload, NULL, from);
    (void)snprintf(to, sizeof(to), PARTS "/ended-%s", upload);
    if (renameat(organization, from, organization, to) != 0 && errno != ENOENT)
        return directory_failed(err, "end an upload");
    return remove_tree(organization, to, err);
}

static enum status
join_parts(struct joining *joining, const struct about *about, const struct blob_part *parts,
           size_t part_count, struct err *err)
{
    struct object_path path;
    enum status st = ST_OK;

    (void)crypto_hash_sha256_init(&joining->hash);
    memcpy(joining->info.content_type, about->info.content_type,
           sizeof(joining->info.content_type));
    joining->piece = malloc(COPY_BYTES);
    if (joining->piece == NULL)
        abort();
    for (size_t i = 0; st == ST_OK && i < part_count; i++)
        st = add_part(joining, &parts[i], i + 1 == part_count, err);
    free(joining->piece);
    blob_hash_text(&joining->hash, joining->info.sha256);
    FAILPOINT("blob.joined");
    directory_object_path(about->key, &path);
    if (st == ST_OK)
        st = new_file_publish(joining->file, path.text, true, false, &joining->info, err);
    FAILPOINT("blob.completed");
    return st;
}

enum status
directory_upload_complete(struct blob_store *store, struct organization_id id,
                          const struct blob_upload_id *upload, const struct blob_part *parts,
                          size_t part_count, struct blob_info *info_out, struct err *err)
{
    struct new_file file = {.organization = -1, .fd = -1};
    struct joining joining = {
        .store = store, .organization = -1, .upload = upload->text, .file = &file};
    struct about about;
    struct err ignored;
    enum status st = open_upload(store, id, upload->text, &joining.organization, &about, err);

    if (st == ST_OK)
        st = new_file_begin(store, id, &file, err);
    if (st == ST_OK)
        st = join_parts(&joining, &about, parts, part_count, err);
    /* The object is there: parts that stay are upkeep's when the upload has expired. */
    if (st == ST_OK)
        (void)!end_upload(joining.organization, upload->text, &ignored);
    new_file_end(&file);
    if (joining.organization >= 0)
        (void)close(joining.organization);
    if (st == ST_OK)
        *info_out = joining.info;
    return st;
}

/* --- ending --- */

enum status
directory_upload_abort(struct blob_store *store, struct organization_id id,
                       const struct blob_upload_id *upload, struct err *err)
{
    int organization = -1;
    enum status st = directory_organization(store, id, false, &organization, err);

    if (st == ST_NOT_FOUND)
        return ST_OK;
    if (st != ST_OK)
        return st;
    st = end_upload(organization, upload->text, err);
    (void)close(organization);
    return st;
}

/* Ended ones that were not removed whole, and expired ones. One without "about" was cut short
 * before anybody knew its name: it holds nothing and goes when it is empty. */
static enum status
look_at_upload(struct blob_store *store, int organization, const char *name, unsigned *removed,
               struct err *err)
{
    char path[UPLOAD_PATH_BYTES];
    struct about about;
    enum status st;

    upload_path(name, NULL, path);
    if (str_starts_with(str_from_c(name), STR("ended-"))) {
        *removed += 1;
        return remove_tree(organization, path, err);
    }
    st = read_about(organization, name, &about, err);
    if (st == ST_NOT_FOUND) {
        *removed += unlinkat(organization, path, AT_REMOVEDIR) == 0;
        return ST_OK;
    }
    if (st == ST_OK && about.expires_at_us > clock_wall_us(store->config.clock))
        return ST_OK;
    *removed += 1;
    return end_upload(organization, name, err);
}

enum status
directory_uploads_expire(struct blob_store *store, int organization, unsigned *removed,
                         struct err *err)
{
    int fd = openat(organization, PARTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    enum status st = ST_OK;

    if (dir == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return ST_OK;
    }
    while (st == ST_OK && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' && strlen(entry->d_name) < UPLOAD_PATH_BYTES - 16)
            st = look_at_upload(store, organization, entry->d_name, removed, err);
    (void)closedir(dir);
    return st;
}
