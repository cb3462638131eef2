/*
 * arena.h - memory of one request or one job, freed at once
 *
 * Allocations are aligned to 16 bytes and zeroed. arena_alloc aborts when the system has no memory
 * or the arena's maximum is passed: use it for sizes that the code chooses. Sizes that an outsider
 * chooses go through arena_try_alloc. Threads: one at a time (domain: worker).
 */
#ifndef PARLEY_BASE_ARENA_H
#define PARLEY_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct arena;

/* Heap; never NULL. max_bytes bounds the sum of all that is allocated from it. */
struct arena *arena_create(size_t max_bytes);
void arena_destroy(struct arena **arena);
/* Frees what was allocated, keeps the first block for the next use. */
void arena_reset(struct arena *arena);
size_t arena_used_bytes(const struct arena *arena);

void *arena_alloc(struct arena *arena, size_t size);
/* NULL when the maximum would be passed or the system has none. */
void *arena_try_alloc(struct arena *arena, size_t size);
#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_NEW_N(arena, type, n) ((type *)arena_alloc_n((arena), sizeof(type), (size_t)(n)))
/* count elements of size bytes; aborts when the product overflows. */
void *arena_alloc_n(struct arena *arena, size_t size, size_t count);

/* Copies; the copy is followed by a NUL that its length does not count. */
struct str arena_str(struct arena *arena, struct str s);
char *arena_cstr(struct arena *arena, struct str s); /* aborts on an embedded NUL: check first */
MUST_USE enum status arena_try_str(struct arena *arena, struct str s, struct str *copy_out,
                                   struct err *err); /* ST_TOO_LARGE */
struct str arena_printf(struct arena *arena, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct str arena_vprintf(struct arena *arena, const char *fmt, va_list args) PRINTF_LIKE(2, 0);

#endif
