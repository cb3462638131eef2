/*
 * json_fuzz.c - our quick reader and writer of JSON against jansson's
 *
 * json_parse takes exactly what jansson takes within our limits, with an equal value, and what
 * json_text writes jansson reads as the same value.
 */
#include <stdlib.h>
#include <string.h>

#include "text/json.h"

#define ARENA_BYTES ((size_t)16 * 1024 * 1024)
#define FLAGS (JSON_REJECT_DUPLICATES | JSON_DECODE_ANY)

static void
require(bool holds)
{
    if (!holds)
        abort();
}

static void
check_written(const json_t *json, struct arena *arena)
{
    struct str text = json_text(json, arena);
    json_t *again = json_loadb(text.ptr, text.len, FLAGS, NULL);

    require(again != NULL && json_equal(again, json));
    json_decref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    struct arena *arena = arena_create(ARENA_BYTES);
    json_t *theirs = json_loadb(size == 0 ? "" : text.ptr, size, FLAGS, NULL), *ours = NULL;
    struct err err = {.code = ST_OK};
    enum status st = json_parse(text, &ours, &err);

    require((st == ST_OK) == (ours != NULL));
    if (st == ST_OK) {
        require(theirs != NULL && json_equal(ours, theirs));
        check_written(ours, arena);
    } else { /* only we limit the depth to 64 */
        require(theirs == NULL || strstr(err.public_text, "deeper") != NULL);
    }
    json_decref(ours);
    json_decref(theirs);
    arena_destroy(&arena);
    return 0;
}
