/*
 * robots_fuzz.c - any bytes as robots.txt, and as what X-Robots-Tag says
 */
#include <assert.h>
#include <stdint.h>

#include "knowledge/robots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    struct arena *arena = arena_create((size_t)256 * 1024 * 1024);
    struct robots_wish wish = {.no_index = false};
    struct robots robots;

    robots_parse(text, STR("Parley"), arena, &robots);
    assert(robots.delay_ms >= -1);
    assert(robots_allow(&robots, STR("/robots.txt"), arena));
    (void)robots_allow(&robots, STR("/aaaa/bbbb?c=d"), arena);
    (void)robots_allow(&robots, str_sub(text, size / 2, 2000), arena);
    robots_header_read(text, STR("Parley"), &wish);
    arena_destroy(&arena);
    return 0;
}
