/*
 * master_keys.c - the key file and libsodium's secretbox
 */
#include "tenant/master_keys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/id.h"

#define KEYS_MAX 64
#define FILE_MAX_BYTES 8192
#define BASE64_BYTES                                                                               \
    sodium_base64_ENCODED_LEN(crypto_secretbox_KEYBYTES, sodium_base64_VARIANT_ORIGINAL)

struct key {
    char id[MASTER_KEY_ID_LEN + 1];
    unsigned char bytes[crypto_secretbox_KEYBYTES];
};

struct master_keys {
    char *path;
    pthread_mutex_t adding; /* one at a time writes the file */
    pthread_rwlock_t lock;  /* guards the fields below */
    size_t count;
    struct key list[KEYS_MAX]; /* newest first */
};

static enum status
failed(struct err *err, const char *what, const char *path)
{
    return err_set_detail(err, ST_UNAVAILABLE, "%s %s: %s", what, path, strerrordesc_np(errno));
}

static void
make_key(struct key *key)
{
    id_span(key->id);
    crypto_secretbox_keygen(key->bytes);
}

static enum status
parse_line(struct str line, struct key *key, struct err *err)
{
    struct str id;
    size_t len = 0;

    line = str_trim(line);
    if (!str_split(&line, ' ', &id) || id.len != MASTER_KEY_ID_LEN ||
        sodium_base642bin(key->bytes, sizeof(key->bytes), line.ptr, line.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        len != sizeof(key->bytes))
        return err_set(err, ST_INVALID, "the key file has a line that is not \"key_id base64\"");
    memcpy(key->id, id.ptr, id.len);
    key->id[id.len] = '\0';
    return ST_OK;
}

static enum status
parse_file(struct master_keys *keys, struct str text, struct err *err)
{
    struct str line;
    enum status st = ST_OK;

    while (st == ST_OK && str_split(&text, '\n', &line)) {
        if (str_trim(line).len == 0)
            continue;
        if (keys->count == KEYS_MAX)
            return err_set(err, ST_INVALID, "the key file has more than %d keys", KEYS_MAX);
        st = parse_line(line, &keys->list[keys->count], err);
        if (st == ST_OK)
            keys->count++;
    }
    if (st == ST_OK && keys->count == 0)
        st = err_set(err, ST_INVALID, "the key file has no key");
    return st;
}

static enum status
read_file(struct master_keys *keys, int fd, struct err *err)
{
    char text[FILE_MAX_BYTES];
    size_t len = 0;
    ssize_t got = 1;
    struct stat info;
    enum status st;

    if (fstat(fd, &info) != 0)
        return failed(err, "look at", keys->path);
    if ((info.st_mode & 077) != 0)
        return err_set(err, ST_DENIED,
                       "the key file may be read by others than its owner: chmod 600 it");
    while (got > 0 && len < sizeof(text)) {
        got = read(fd, text + len, sizeof(text) - len);
        if (got > 0)
            len += (size_t)got;
    }
    if (got < 0)
        st = failed(err, "read", keys->path);
    else if (len == sizeof(text))
        st = err_set(err, ST_INVALID, "the key file is too long");
    else
        st = parse_file(keys, str_of(text, len), err);
    sodium_memzero(text, sizeof(text));
    return st;
}

static enum status
sync_folder_of(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : str_dup(str_of(path, (size_t)(slash - path) + 1));
    enum status st = ST_OK;
    int fd;

    if (folder == NULL)
        abort();
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        st = failed(err, "sync", folder);
    if (fd >= 0)
        (void)close(fd);
    free(folder);
    return st;
}

static size_t
format_keys(const struct key *list, size_t count, char text[FILE_MAX_BYTES])
{
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        char base64[BASE64_BYTES];

        (void)sodium_bin2base64(base64, sizeof(base64), list[i].bytes, sizeof(list[i].bytes),
                                sodium_base64_VARIANT_ORIGINAL);
        len += (size_t)snprintf(text + len, FILE_MAX_BYTES - len, "%s %s\n", list[i].id, base64);
        sodium_memzero(base64, sizeof(base64));
    }
    assert(len < FILE_MAX_BYTES);
    return len;
}

/* The old file or the new one, whole, whatever happens. */
static enum status
write_file(const struct master_keys *keys, const struct key *list, size_t count, struct err *err)
{
    char text[FILE_MAX_BYTES];
    size_t len = format_keys(list, count, text);
    char *part = NULL;
    enum status st = ST_OK;
    int fd;

    if (asprintf(&part, "%s.new", keys->path) < 0)
        abort();
    (void)unlink(part); /* of an attempt that was cut short */
    fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        st = failed(err, "make", part);
    if (st == ST_OK && write(fd, text, len) != (ssize_t)len)
        st = failed(err, "write", part);
    if (st == ST_OK && fsync(fd) != 0)
        st = failed(err, "sync", part);
    if (fd >= 0)
        (void)close(fd);
    if (st == ST_OK && rename(part, keys->path) != 0)
        st = failed(err, "name", keys->path);
    if (st == ST_OK)
        st = sync_folder_of(keys->path, err);
    sodium_memzero(text, sizeof(text));
    free(part);
    return st;
}

enum status
master_keys_open(const char *path, struct master_keys **keys_out, struct err *err)
{
    struct master_keys *keys;
    enum status st;
    int fd;

    *keys_out = NULL;
    if (sodium_init() < 0)
        return err_set_detail(err, ST_INTERNAL, "libsodium cannot be used");
    keys = calloc(1, sizeof(*keys));
    if (keys == NULL || (keys->path = strdup(path)) == NULL)
        abort();
    pthread_mutex_init(&keys->adding, NULL);
    pthread_rwlock_init(&keys->lock, NULL);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        st = read_file(keys, fd, err);
        (void)close(fd);
    } else if (errno == ENOENT) {
        make_key(&keys->list[0]);
        keys->count = 1;
        st = write_file(keys, keys->list, 1, err);
    } else {
        st = failed(err, "open", path);
    }
    if (st != ST_OK) {
        master_keys_close(&keys);
        return err_wrap(err, "key file %s", path);
    }
    *keys_out = keys;
    return ST_OK;
}

void
master_keys_close(struct master_keys **keys_ref)
{
    struct master_keys *keys = *keys_ref;

    if (keys == NULL)
        return;
    *keys_ref = NULL;
    pthread_rwlock_destroy(&keys->lock);
    pthread_mutex_destroy(&keys->adding);
    free(keys->path);
    sodium_memzero(keys, sizeof(*keys));
    free(keys);
}

/* The file is written under a lock of its own: sealing and opening go on meanwhile. */
enum status
master_keys_add(struct master_keys *keys, struct err *err)
{
    struct key *list = calloc(KEYS_MAX, sizeof(*list));
    size_t count;
    enum status st;

    if (list == NULL)
        abort();
    pthread_mutex_lock(&keys->adding);
    pthread_rwlock_rdlock(&keys->lock);
    count = keys->count;
    memcpy(list + 1, keys->list, sizeof(*list) * (KEYS_MAX - 1));
    pthread_rwlock_unlock(&keys->lock);
    if (count == KEYS_MAX) {
        st = err_set(err, ST_TOO_LARGE, "the key file has %d keys: remove those no longer used",
                     KEYS_MAX);
    } else {
        make_key(&list[0]);
        st = write_file(keys, list, count + 1, err);
    }
    if (st == ST_OK) {
        pthread_rwlock_wrlock(&keys->lock);
        memcpy(keys->list, list, sizeof(keys->list));
        keys->count = count + 1;
        pthread_rwlock_unlock(&keys->lock);
    }
    pthread_mutex_unlock(&keys->adding);
    sodium_memzero(list, KEYS_MAX * sizeof(*list));
    free(list);
    return st;
}

void
master_keys_newest(struct master_keys *keys, char key_id_out[MASTER_KEY_ID_LEN + 1])
{
    pthread_rwlock_rdlock(&keys->lock);
    memcpy(key_id_out, keys->list[0].id, MASTER_KEY_ID_LEN + 1);
    pthread_rwlock_unlock(&keys->lock);
}

struct sealed
master_keys_seal(struct master_keys *keys, struct str owner, struct str secret, struct arena *arena)
{
    size_t plain_len = owner.len + 1 + secret.len;
    unsigned char *plain = malloc(plain_len);
    size_t sealed_len = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + plain_len;
    unsigned char *bytes = arena_alloc(arena, sealed_len);
    struct sealed sealed = {.bytes = {(const char *)bytes, sealed_len}};

    if (plain == NULL)
        abort();
    memcpy(plain, owner.ptr, owner.len);
    plain[owner.len] = '\n';
    if (secret.len > 0)
        memcpy(plain + owner.len + 1, secret.ptr, secret.len);
    random_bytes(bytes, crypto_secretbox_NONCEBYTES);
    pthread_rwlock_rdlock(&keys->lock);
    memcpy(sealed.key_id, keys->list[0].id, sizeof(sealed.key_id));
    (void)crypto_secretbox_easy(bytes + crypto_secretbox_NONCEBYTES, plain, plain_len, bytes,
                                keys->list[0].bytes);
    pthread_rwlock_unlock(&keys->lock);
    sodium_memzero(plain, plain_len);
    free(plain);
    return sealed;
}

/* False: no key of that name opens it. */
static bool
open_box(struct master_keys *keys, struct str key_id, struct str sealed, unsigned char *plain)
{
    const unsigned char *bytes = (const unsigned char *)sealed.ptr;
    bool opened = false;

    pthread_rwlock_rdlock(&keys->lock);
    for (size_t i = 0; i < keys->count && !opened; i++) {
        opened = str_eq_c(key_id, keys->list[i].id) &&
                 crypto_secretbox_open_easy(plain, bytes + crypto_secretbox_NONCEBYTES,
                                            sealed.len - crypto_secretbox_NONCEBYTES, bytes,
                                            keys->list[i].bytes) == 0;
    }
    pthread_rwlock_unlock(&keys->lock);
    return opened;
}

enum status
master_keys_unseal(struct master_keys *keys, struct str owner, struct str key_id, struct str sealed,
                   struct str *secret_out, struct err *err)
{
    size_t overhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
    unsigned char *plain;
    size_t plain_len;
    size_t secret_len;
    bool ours;
    char *secret;

    *secret_out = STR_EMPTY;
    if (sealed.len < overhead + owner.len + 1)
        return err_set_detail(err, ST_INTERNAL, "a sealed secret is too short");
    plain_len = sealed.len - overhead;
    plain = malloc(plain_len);
    if (plain == NULL)
        abort();
    if (!open_box(keys, key_id, sealed, plain)) {
        free(plain);
        return err_set_detail(err, ST_INTERNAL,
                              "a secret sealed under key %.*s does not open with the key file",
                              STR_ARG(key_id));
    }
    ours = plain[owner.len] == '\n' && memcmp(plain, owner.ptr, owner.len) == 0;
    secret_len = plain_len - owner.len - 1;
    secret = malloc(secret_len + 1);
    if (secret == NULL)
        abort();
    memcpy(secret, plain + owner.len + 1, secret_len);
    sodium_memzero(plain, plain_len);
    free(plain);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the caller's */
    *secret_out = str_of(secret, secret_len);
    if (!ours) {
        secret_wipe(secret_out);
        return err_set_detail(err, ST_INTERNAL, "a sealed secret belongs to another owner");
    }
    return ST_OK;
}

void
secret_wipe(struct str *secret)
{
    char *bytes = (char *)(uintptr_t)secret->ptr;

    if (bytes != NULL)
        sodium_memzero(bytes, secret->len);
    free(bytes);
    *secret = STR_EMPTY;
}

size_t
master_keys_derive(struct master_keys *keys, struct str purpose, unsigned char (*out)[32],
                   size_t max)
{
    size_t count;

    pthread_rwlock_rdlock(&keys->lock);
    count = keys->count < max ? keys->count : max;
    for (size_t i = 0; i < count; i++)
        (void)crypto_auth_hmacsha256(out[i], (const unsigned char *)purpose.ptr, purpose.len,
                                     keys->list[i].bytes);
    pthread_rwlock_unlock(&keys->lock);
    return count;
}
