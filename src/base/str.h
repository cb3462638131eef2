/*
 * str.h - a view of bytes: pointer and length, owned by someone else
 *
 * A struct str never ends in a promised NUL and may hold any byte. Bytes from outside are not
 * UTF-8 until str_is_utf8 has said so. Two views compare by content. The empty view may have a NULL
 * pointer. Threads: any.
 */
#ifndef PARLEY_BASE_STR_H
#define PARLEY_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr;
    size_t len;
};

/* A view of a string literal, usable in initialisers. */
#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_INIT(literal)                                                                          \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
#define STR_EMPTY ((struct str){NULL, 0})
/* For printf: "%.*s", STR_ARG(s) */
#define STR_ARG(s) (int)(s).len, ((s).ptr == NULL ? "" : (s).ptr)

/* Words are compared by the thousand for one answer: these two are inline. */
static inline struct str
str_of(const char *ptr, size_t len)
{
    return (struct str){ptr, len};
}

static inline bool
str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

struct str str_from_c(const char *text); /* NULL gives the empty view */
/* A terminated copy, the caller's to free; NULL: no memory. */
char *str_dup(struct str s);
bool str_eq_c(struct str a, const char *text);
bool str_starts_with(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);
/* The part from start (clamped) with at most len bytes. */
struct str str_sub(struct str s, size_t start, size_t len);
bool str_eq_nocase(struct str a, struct str b); /* ASCII letters only */
/* Whether the list, ended by NULL, has the word; ASCII letters of either case. */
bool str_is_one_of(struct str word, const char *const *list);
int str_cmp(struct str a, struct str b); /* bytewise, shorter first */
/* Index of the first occurrence, or -1. */
ptrdiff_t str_find(struct str s, struct str needle);
ptrdiff_t str_find_byte(struct str s, char byte);
struct str str_trim(struct str s); /* ASCII white space at both ends */
/* Cuts at the first separator: head is what stands before it, s what is left. False at the end:
 * "a," gives "a", then "", then false. A NULL view is at its end. */
bool str_split(struct str *s, char separator, struct str *head);
/* Whole view is one decimal number within the type ('-' allowed, '+' not), nothing around it. */
bool str_to_i64(struct str s, int64_t *value_out);
bool str_to_double(struct str s, double *value_out); /* locale-free, finite */
/* Valid UTF-8 (no overlong forms, surrogates, or code points above U+10FFFF). */
bool str_is_utf8(struct str s);
/* Length of the longest valid UTF-8 beginning; s.len when all of it is valid. */
size_t str_utf8_valid_prefix(struct str s);
/* Largest length <= max_bytes that does not cut a UTF-8 sequence of the valid text s. */
size_t str_utf8_floor(struct str s, size_t max_bytes);
/* Constant time in the content; lengths may leak. For secrets. */
bool str_eq_secret(struct str a, struct str b);
uint64_t str_hash(struct str s); /* seeded per process: not stable across runs */

#endif
