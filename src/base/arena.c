/*
 * arena.c - blocks that are cut from the front and freed together
 *
 * The first block is part of the arena's own allocation and serves most requests alone. Under
 * AddressSanitizer what was not handed out is poisoned, with a gap after each allocation, so that
 * running over an arena string is found like running over a heap string.
 */
#include "base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#endif

#if defined(WITH_ASAN)
#include <sanitizer/asan_interface.h>
#define POISON(ptr, size) ASAN_POISON_MEMORY_REGION((ptr), (size))
#define UNPOISON(ptr, size) ASAN_UNPOISON_MEMORY_REGION((ptr), (size))
#define GAP 16
#else
#define POISON(ptr, size) ((void)(ptr), (void)(size))
#define UNPOISON(ptr, size) ((void)(ptr), (void)(size))
#define GAP 0
#endif

#define ALIGN 16
#define FIRST_BLOCK_BYTES ((size_t)16 * 1024)
#define LAST_BLOCK_BYTES ((size_t)256 * 1024)

struct block {
    struct block *next; /* older block, or NULL */
    size_t capacity;
    size_t used;
    _Alignas(ALIGN) char bytes[];
};

struct arena {
    struct block *current;
    size_t max_bytes;
    size_t used_bytes;
    size_t next_block_bytes;
    struct block first; /* its bytes follow; last member */
};

static void
block_init(struct block *block, size_t capacity)
{
    block->next = NULL;
    block->capacity = capacity;
    block->used = 0;
    POISON(block->bytes, capacity);
}

struct arena *
arena_create(size_t max_bytes)
{
    struct arena *arena = malloc(FIRST_BLOCK_BYTES);

    if (arena == NULL)
        abort();
    arena->max_bytes = max_bytes;
    arena->used_bytes = 0;
    arena->next_block_bytes = 2 * FIRST_BLOCK_BYTES;
    arena->current = &arena->first;
    block_init(&arena->first, FIRST_BLOCK_BYTES - sizeof(struct arena));
    return arena;
}

static void
free_later_blocks(struct arena *arena)
{
    while (arena->current != &arena->first) {
        struct block *block = arena->current;

        arena->current = block->next;
        UNPOISON(block->bytes, block->capacity);
        free(block);
    }
}

void
arena_destroy(struct arena **arena)
{
    if (*arena == NULL)
        return;
    free_later_blocks(*arena);
    UNPOISON((*arena)->first.bytes, (*arena)->first.capacity);
    free(*arena);
    *arena = NULL;
}

void
arena_reset(struct arena *arena)
{
    free_later_blocks(arena);
    arena->used_bytes = 0;
    arena->next_block_bytes = 2 * FIRST_BLOCK_BYTES;
    block_init(&arena->first, arena->first.capacity);
}

size_t
arena_used_bytes(const struct arena *arena)
{
    return arena->used_bytes;
}

static bool
add_block(struct arena *arena, size_t needed)
{
    size_t capacity = arena->next_block_bytes - sizeof(struct block);
    struct block *block;

    if (capacity < needed)
        capacity = needed;
    block = malloc(sizeof(*block) + capacity);
    if (block == NULL)
        return false;
    block_init(block, capacity);
    block->next = arena->current;
    arena->current = block;
    if (arena->next_block_bytes < LAST_BLOCK_BYTES)
        arena->next_block_bytes *= 2;
    return true;
}

/* Not cleared. */
static void *
take(struct arena *arena, size_t size)
{
    struct block *block = arena->current;
    size_t rounded;
    void *ptr;

    if (size > SIZE_MAX / 2)
        return NULL;
    rounded = size == 0 ? ALIGN : (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (rounded > arena->max_bytes - arena->used_bytes)
        return NULL;
    if (rounded + GAP > block->capacity - block->used) {
        if (!add_block(arena, rounded + GAP))
            return NULL;
        block = arena->current;
    }
    ptr = block->bytes + block->used;
    UNPOISON(ptr, size);
    block->used += rounded + GAP;
    arena->used_bytes += rounded;
    return ptr;
}

static void *
take_or_abort(struct arena *arena, size_t size)
{
    void *ptr = take(arena, size);

    if (ptr == NULL) {
        (void)fprintf(stderr, "arena: no %zu bytes beyond %zu of %zu\n", size, arena->used_bytes,
                      arena->max_bytes);
        abort();
    }
    return ptr;
}

void *
arena_try_alloc(struct arena *arena, size_t size)
{
    void *ptr = take(arena, size);

    return ptr == NULL ? NULL : memset(ptr, 0, size);
}

void *
arena_alloc(struct arena *arena, size_t size)
{
    return memset(take_or_abort(arena, size), 0, size);
}

void *
arena_alloc_n(struct arena *arena, size_t size, size_t count)
{
    size_t total;

    if (__builtin_mul_overflow(size, count, &total))
        abort();
    return arena_alloc(arena, total);
}

static struct str
fill(char *copy, struct str s)
{
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return (struct str){copy, s.len};
}

struct str
arena_str(struct arena *arena, struct str s)
{
    return fill(take_or_abort(arena, s.len + 1), s);
}

char *
arena_cstr(struct arena *arena, struct str s)
{
    char *copy = take_or_abort(arena, s.len + 1);

    assert(str_find_byte(s, '\0') < 0);
    (void)fill(copy, s);
    return copy;
}

enum status
arena_try_str(struct arena *arena, struct str s, struct str *copy_out, struct err *err)
{
    char *copy = s.len == SIZE_MAX ? NULL : take(arena, s.len + 1);

    if (copy == NULL)
        return err_set(err, ST_TOO_LARGE, "text of %zu bytes is too large", s.len);
    *copy_out = fill(copy, s);
    return ST_OK;
}

/* Most texts are short: those are formatted once and copied, the others formatted twice. */
struct str
arena_vprintf(struct arena *arena, const char *fmt, va_list args)
{
    char shorter[256];
    va_list again;
    int len;
    char *text;

    va_copy(again, args);
    len = vsnprintf(shorter, sizeof(shorter), fmt, again);
    va_end(again);
    assert(len >= 0);
    if ((size_t)len < sizeof(shorter))
        return arena_str(arena, (struct str){shorter, (size_t)len});
    text = take_or_abort(arena, (size_t)len + 1);
    (void)vsnprintf(text, (size_t)len + 1, fmt, args);
    return (struct str){text, (size_t)len};
}

struct str
arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    struct str text;

    va_start(args, fmt);
    text = arena_vprintf(arena, fmt, args);
    va_end(args);
    return text;
}
