/*
 * map.c - open addressing with linear probing; removal shifts back, so there are no tombstones
 */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 16

void
map_init(struct map *map, size_t max_count)
{
    *map = (struct map){.max_count = max_count};
}

/* A used slot has a key pointer, also for the empty key: keys are copied with a NUL behind. */
static bool
is_used(const struct map_entry *entry)
{
    return entry->key.ptr != NULL;
}

static void
free_key(struct map_entry *entry)
{
    /* Through uintptr_t: the map owns the bytes that it shows as const. */
    free((void *)(uintptr_t)entry->key.ptr);
}

void
map_deinit(struct map *map)
{
    for (size_t i = 0; i < map->slot_count; i++) {
        if (is_used(&map->slots[i]))
            free_key(&map->slots[i]);
    }
    free(map->slots);
    *map = (struct map){.max_count = map->max_count};
}

/* The slot that holds key, or the free one where it would go. Needs a free slot. */
static struct map_entry *
find_slot(struct map_entry *slots, size_t slot_count, struct str key, uint64_t hash)
{
    size_t at = (size_t)hash & (slot_count - 1);

    while (is_used(&slots[at]) && !(slots[at].hash == hash && str_eq(slots[at].key, key)))
        at = (at + 1) & (slot_count - 1);
    return &slots[at];
}

void *
map_find(const struct map *map, struct str key)
{
    if (map->count == 0)
        return NULL;
    return find_slot(map->slots, map->slot_count, key, str_hash(key))->value;
}

static bool
grow(struct map *map)
{
    size_t slot_count = map->slot_count == 0 ? FIRST_SLOTS : map->slot_count * 2;
    struct map_entry *slots = calloc(slot_count, sizeof(*slots));

    if (slots == NULL)
        return false;
    for (size_t i = 0; i < map->slot_count; i++) {
        if (is_used(&map->slots[i]))
            *find_slot(slots, slot_count, map->slots[i].key, map->slots[i].hash) = map->slots[i];
    }
    free(map->slots);
    map->slots = slots;
    map->slot_count = slot_count;
    return true;
}

enum status
map_put(struct map *map, struct str key, void *value, void **replaced_out, struct err *err)
{
    uint64_t hash = str_hash(key);
    struct map_entry *slot;
    char *copy;

    if (replaced_out != NULL)
        *replaced_out = NULL;
    if (map->count > 0) {
        slot = find_slot(map->slots, map->slot_count, key, hash);
        if (is_used(slot)) {
            if (replaced_out != NULL)
                *replaced_out = slot->value;
            slot->value = value;
            return ST_OK;
        }
    }
    if (map->count >= map->max_count)
        return err_set(err, ST_TOO_LARGE, "more than %zu entries", map->max_count);
    if ((map->count + 1) * 4 > map->slot_count * 3 && !grow(map))
        return err_set(err, ST_TOO_LARGE, "no memory for more than %zu entries", map->count);
    copy = key.len == SIZE_MAX ? NULL : malloc(key.len + 1);
    if (copy == NULL)
        return err_set(err, ST_TOO_LARGE, "no memory for a key of %zu bytes", key.len);
    if (key.len > 0)
        memcpy(copy, key.ptr, key.len);
    copy[key.len] = '\0';
    slot = find_slot(map->slots, map->slot_count, key, hash);
    *slot = (struct map_entry){.key = {copy, key.len}, .value = value, .hash = hash};
    map->count++;
    return ST_OK;
}

void *
map_remove(struct map *map, struct str key)
{
    size_t mask = map->slot_count - 1;
    struct map_entry *slot;
    void *value;
    size_t hole;

    if (map->count == 0)
        return NULL;
    slot = find_slot(map->slots, map->slot_count, key, str_hash(key));
    if (!is_used(slot))
        return NULL;
    value = slot->value;
    free_key(slot);
    map->count--;
    /* Entries after the hole move into it unless that would put them before their own place. */
    hole = (size_t)(slot - map->slots);
    for (size_t at = (hole + 1) & mask; is_used(&map->slots[at]); at = (at + 1) & mask) {
        size_t home = (size_t)map->slots[at].hash & mask;

        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct map_entry){.value = NULL};
    return value;
}

struct map_entry *
map_next(const struct map *map, size_t *position)
{
    while (*position < map->slot_count) {
        struct map_entry *entry = &map->slots[(*position)++];

        if (is_used(entry))
            return entry;
    }
    return NULL;
}
