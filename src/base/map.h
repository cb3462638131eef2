/*
 * map.h - bounded hash map from bytes to a pointer
 *
 * Keys are copied; values belong to the caller. The maximum is given at init, because an outsider
 * often chooses the keys. Threads: one at a time; put your lock around it.
 */
#ifndef PARLEY_BASE_MAP_H
#define PARLEY_BASE_MAP_H

#include "base/err.h"
#include "base/str.h"

struct map_entry {
    struct str key; /* owned by the map */
    void *value;
    uint64_t hash;
};

struct map {
    struct map_entry *slots; /* open addressing, power of two */
    size_t slot_count;
    size_t count;
    size_t max_count;
};

void map_init(struct map *map, size_t max_count);
void map_deinit(struct map *map);
/* Borrowed, or NULL. */
void *map_find(const struct map *map, struct str key);
/* Adds or replaces; the replaced value (or NULL) comes back. ST_TOO_LARGE at the maximum. */
MUST_USE enum status map_put(struct map *map, struct str key, void *value, void **replaced_out,
                             struct err *err);
/* Gives the value back, or NULL. */
void *map_remove(struct map *map, struct str key);
/* Next used slot at or after *position, or NULL at the end. Do not change the map meanwhile. */
struct map_entry *map_next(const struct map *map, size_t *position);
#define MAP_FOREACH(map, entry)                                                                    \
    for (size_t map_pos_ = 0; ((entry) = map_next((map), &map_pos_)) != NULL;)

#endif
