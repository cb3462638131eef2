/*
 * qdrant_fuzz.c - any bytes as what a Qdrant server answers
 *
 * Each reader takes them or says that they are not understood; hits are never more than were asked
 * for, each names a passage and has a score that can be compared.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "index/drivers/qdrant_wire.h"

#define SEARCHES 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_hits(struct str body, struct arena *arena)
{
    const struct engine_search searches[SEARCHES] = {{.limit = 3}, {.limit = 50}};
    struct engine_hits hits[SEARCHES];
    struct err err;

    if (qdrant_read_hits(body, searches, SEARCHES, arena, hits, &err) != ST_OK) {
        assert(err.code == ST_UNAVAILABLE);
        return;
    }
    for (size_t s = 0; s < SEARCHES; s++) {
        assert(hits[s].count <= searches[s].limit);
        for (size_t i = 0; i < hits[s].count; i++)
            assert(hits[s].hits[i].chunk_id >= 1 && isfinite(hits[s].hits[i].score));
    }
}

static void
read_collection(struct str body)
{
    const struct qdrant_shape shape = {STR("parley-test"), 4, true};
    bool has[QDRANT_FIELDS];
    struct err err;
    enum status st = qdrant_read_collection(body, &shape, has, &err);

    assert(st == ST_OK || st == ST_CONFLICT || st == ST_UNAVAILABLE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str body = str_of((const char *)data, size), said;
    struct arena *arena = arena_create((size_t)16 << 20);
    unsigned version = 0;
    int64_t count = 0;
    struct err err;

    read_hits(body, arena);
    read_collection(body);
    if (qdrant_read_count(body, &count, &err) == ST_OK)
        assert(count >= 0);
    if (qdrant_read_version(body, &version, &err) == ST_OK)
        assert(version % 1000 <= 999);
    if (qdrant_read_write(body, &err) != ST_OK)
        assert(err.code == ST_UNAVAILABLE);
    said = qdrant_read_error(body, arena);
    assert(said.len <= 200 && str_is_utf8(said));
    arena_destroy(&arena);
    return 0;
}
