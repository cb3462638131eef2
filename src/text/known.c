/*
 * known.c - what texts were read as before, for the whole process
 *
 * The passages of an answer are read by search, model and guard, and the passages that answer one
 * question answer many. A reading is kept when its text comes for the second time: what is read
 * once, as by ingestion, drives nothing out. A longer question is read several times, and stays in
 * memory until others take its place.
 */
#include "text/text_private.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Bytes: shorter texts are read about as fast, longer ones would drive out too many. */
#define TEXT_MIN ((size_t)32)
#define TEXT_MAX ((size_t)16 * 1024)
/* By parts of their own, so that threads seldom wait for each other: 16 MB together at most. */
#define PARTS 16
#define PART_BYTES ((size_t)1024 * 1024)
#define READING_MAX (PART_BYTES / 4)
#define PLACES 512 /* of a part */
#define SEEN 1024

struct known_text {
    uint64_t hash;
    int kind;
    size_t text_len, reading_len;
    char bytes[]; /* the reading, then the text */
};

struct part {
    pthread_mutex_t lock; /* guards what follows */
    struct known_text *places[PLACES];
    uint32_t seen[SEEN]; /* hashes of texts that came once */
    size_t bytes;
    size_t next; /* place to be emptied */
};

/* Process-wide: made once, by who asks first. */
static pthread_once_t parts_once = PTHREAD_ONCE_INIT;
/* Process-wide: reading takes no object that it could belong to. Each has its lock.
 * lint-allow(globals): what a text is read as is the same for everybody */
static struct part parts[PARTS];

static void
make_parts(void)
{
    for (size_t i = 0; i < PARTS; i++)
        pthread_mutex_init(&parts[i].lock, NULL);
}

static struct part *
part_of(uint64_t hash)
{
    pthread_once(&parts_once, make_parts);
    return &parts[hash % PARTS];
}

static uint64_t
hash_of(int kind, struct str text)
{
    return str_hash(text) +
           (uint64_t)(unsigned)(kind - TEXT_READ_LANGUAGE) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct known_text **
place_of(struct part *part, uint64_t hash)
{
    return &part->places[(hash >> 8) % PLACES];
}

static size_t
size_of(const struct known_text *known)
{
    return sizeof(*known) + known->reading_len + known->text_len;
}

static void
empty(struct part *part, struct known_text **place)
{
    if (*place == NULL)
        return;
    part->bytes -= size_of(*place);
    free(*place);
    *place = NULL;
}

bool
text_known_get(int kind, struct str text, struct arena *arena, void **reading_out, size_t *len_out)
{
    bool found = false;
    const struct known_text *known;
    struct part *part;
    uint64_t hash;

    if (text.len < TEXT_MIN || text.len > TEXT_MAX)
        return false;
    hash = hash_of(kind, text);
    part = part_of(hash);
    pthread_mutex_lock(&part->lock);
    known = *place_of(part, hash);
    if (known != NULL && known->hash == hash && known->kind == kind &&
        str_eq(str_of(known->bytes + known->reading_len, known->text_len), text)) {
        *reading_out = arena_alloc(arena, known->reading_len + 1);
        memcpy(*reading_out, known->bytes, known->reading_len);
        *len_out = known->reading_len;
        found = true;
    }
    pthread_mutex_unlock(&part->lock);
    return found;
}

bool
text_known_wants(int kind, struct str text)
{
    uint64_t hash;
    uint32_t *seen, mark;
    struct part *part;
    bool again;

    if (text.len < TEXT_MIN || text.len > TEXT_MAX)
        return false;
    hash = hash_of(kind, text);
    mark = (uint32_t)(hash >> 32);
    part = part_of(hash);
    pthread_mutex_lock(&part->lock);
    seen = &part->seen[(hash >> 8) % SEEN];
    again = *seen == mark;
    *seen = mark;
    pthread_mutex_unlock(&part->lock);
    return again;
}

void
text_known_put(int kind, struct str text, const void *reading, size_t len)
{
    struct known_text *known, **place;
    struct part *part;

    if (len > READING_MAX)
        return;
    known = malloc(sizeof(*known) + len + text.len);
    if (known == NULL)
        abort();
    *known = (struct known_text){
        .hash = hash_of(kind, text), .kind = kind, .text_len = text.len, .reading_len = len};
    if (len > 0)
        memcpy(known->bytes, reading, len);
    memcpy(known->bytes + len, text.ptr, text.len);
    part = part_of(known->hash);
    place = place_of(part, known->hash);
    pthread_mutex_lock(&part->lock);
    empty(part, place);
    while (part->bytes + size_of(known) > PART_BYTES)
        empty(part, &part->places[part->next++ % PLACES]);
    *place = known;
    part->bytes += size_of(known);
    pthread_mutex_unlock(&part->lock);
}
