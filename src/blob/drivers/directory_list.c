/*
 * directory_list.c - a page of keys in byte order, folder by folder
 *
 * A folder's names are read and sorted with '/' behind those of folders: then walking them in turn
 * gives the order of the whole keys ("a-b" before "a/b"), as S3 has it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob/drivers/directory_private.h"

#define NAMES_MAX_BYTES ((size_t)256 * 1024 * 1024)

struct walk {
    struct blob_list_query *query;
    struct arena *arena; /* names of the folders on the way */
};

struct names {
    struct str *list; /* keys from the organization on; folders end in '/' */
    size_t count, capacity;
};

static bool
wants_folder(const struct blob_list_query *query, struct str folder)
{
    if (!str_starts_with(folder, query->prefix) && !str_starts_with(query->prefix, folder))
        return false;
    return query->after.len == 0 || str_cmp(folder, query->after) > 0 ||
           str_starts_with(query->after, folder);
}

static bool
wants_key(const struct blob_list_query *query, struct str key)
{
    return str_starts_with(key, query->prefix) &&
           (query->after.len == 0 || str_cmp(key, query->after) > 0);
}

static enum status
add_name(struct walk *walk, struct names *names, struct str name, struct err *err)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity == 0 ? 64 : 2 * names->capacity;
        struct str *grown = arena_try_alloc(walk->arena, capacity * sizeof(*grown));

        if (grown == NULL)
            return err_set(err, ST_TOO_LARGE, "A folder has too many objects to be listed.");
        if (names->count > 0)
            memcpy(grown, names->list, names->count * sizeof(*grown));
        names->list = grown;
        names->capacity = capacity;
    }
    names->list[names->count++] = name;
    return ST_OK;
}

static enum status
read_names(struct walk *walk, DIR *dir, struct str base, struct names *names, struct err *err)
{
    struct dirent *entry;
    enum status st = ST_OK;

    while (st == ST_OK && (entry = readdir(dir)) != NULL) {
        bool is_folder = entry->d_name[0] == '+';
        char key[BLOB_KEY_MAX_BYTES + 2];
        size_t len = strlen(entry->d_name + 1);
        struct str name;

        if ((!is_folder && entry->d_name[0] != '=') || base.len + len > BLOB_KEY_MAX_BYTES)
            continue;
        if (base.len > 0)
            memcpy(key, base.ptr, base.len);
        memcpy(key + base.len, entry->d_name + 1, len);
        if (is_folder)
            key[base.len + len] = '/';
        name = str_of(key, base.len + len + is_folder);
        if (is_folder ? !wants_folder(walk->query, name) : !wants_key(walk->query, name))
            continue;
        st = arena_try_str(walk->arena, name, &name, err);
        if (st == ST_OK)
            st = add_name(walk, names, name, err);
    }
    return st;
}

static int
compare(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* One that went meanwhile is left out. */
static void
add_entry(struct walk *walk, DIR *dir, struct str base, struct str key)
{
    struct blob_list_query *query = walk->query;
    char name[NAME_MAX + 1] = "=";
    struct str last = str_sub(key, base.len, key.len);
    struct stat stat;

    memcpy(name + 1, last.ptr, last.len);
    name[1 + last.len] = '\0';
    if (fstatat(dirfd(dir), name, &stat, AT_SYMLINK_NOFOLLOW) != 0 || stat.st_size < TRAILER_BYTES)
        return;
    if (query->count == query->limit) {
        query->more = true;
        return;
    }
    query->entries[query->count++] = (struct blob_entry){
        .key = arena_str(query->arena, key),
        .size_bytes = (uint64_t)stat.st_size - TRAILER_BYTES,
        .modified_at_us = stat.st_mtim.tv_sec * US_PER_S + stat.st_mtim.tv_nsec / 1000,
    };
}

/* Takes fd. Depth is bounded by the length of a key. */
static enum status
walk_folder(struct walk *walk, int fd, struct str base, struct err *err)
{
    DIR *dir = fdopendir(fd);
    struct names names = {.list = NULL};
    enum status st;

    if (dir == NULL) {
        (void)close(fd);
        return directory_failed(err, "read a folder");
    }
    st = read_names(walk, dir, base, &names, err);
    if (st == ST_OK && names.count > 0)
        qsort(names.list, names.count, sizeof(*names.list), compare);
    for (size_t i = 0; st == ST_OK && i < names.count && !walk->query->more; i++) {
        struct str key = names.list[i];
        char name[NAME_MAX + 1] = "+";
        size_t len = key.len - base.len - 1;
        int inner;

        if (key.ptr[key.len - 1] != '/') {
            add_entry(walk, dir, base, key);
            continue;
        }
        memcpy(name + 1, key.ptr + base.len, len);
        name[1 + len] = '\0';
        inner = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner >= 0)
            st = walk_folder(walk, inner, key, err);
        else if (errno != ENOENT)
            st = directory_failed(err, "open a folder");
    }
    (void)closedir(dir);
    return st;
}

enum status
directory_list(struct blob_store *store, struct organization_id id, struct blob_list_query *query,
               struct err *err)
{
    struct walk walk = {.query = query, .arena = arena_create(NAMES_MAX_BYTES)};
    int organization = -1;
    enum status st = directory_organization(store, id, false, &organization, err);

    if (st == ST_OK) {
        int fd = openat(organization, OBJECTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0)
            st = walk_folder(&walk, fd, STR(""), err);
        else if (errno != ENOENT)
            st = directory_failed(err, "open a folder");
        (void)close(organization);
    } else if (st == ST_NOT_FOUND) {
        st = ST_OK;
    }
    arena_destroy(&walk.arena);
    return st;
}
