/*
 * str.c - views of bytes: comparing, searching, numbers, UTF-8, hashing
 */
#include "base/str.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"

/* Longest text that str_to_double reads; IEEE doubles need at most 17 digits and an exponent. */
#define MAX_DOUBLE_TEXT 400

/* Process-wide: made once, read afterwards. Keyed hashing keeps outsiders from choosing collisions.
 */
static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Process-wide: see once. */
static uint64_t hash_key[2];
/* Process-wide: see once. Number parsing must not follow the process's locale. */
static locale_t c_locale;

static void
init_once(void)
{
    random_bytes(hash_key, sizeof(hash_key));
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c_locale == (locale_t)0)
        abort();
}

struct str
str_from_c(const char *text)
{
    return text == NULL ? STR_EMPTY : str_of(text, strlen(text));
}

char *
str_dup(struct str s)
{
    char *copy = malloc(s.len + 1);

    if (copy == NULL)
        return NULL;
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

bool
str_eq_c(struct str a, const char *text)
{
    return str_eq(a, str_from_c(text));
}

bool
str_starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq(str_of(s.ptr, prefix.len), prefix);
}

bool
str_ends_with(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq(str_sub(s, s.len - suffix.len, suffix.len), suffix);
}

struct str
str_sub(struct str s, size_t start, size_t len)
{
    if (start >= s.len)
        return STR_EMPTY;
    return str_of(s.ptr + start, len > s.len - start ? s.len - start : len);
}

static unsigned char
lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool
str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return true;
}

bool
str_is_one_of(struct str word, const char *const *list)
{
    if (word.len == 0)
        return false;
    for (; *list != NULL; list++) {
        /* The first byte, whatever its case, spares measuring and comparing most of them. */
        if (((word.ptr[0] ^ (*list)[0]) & ~0x20) == 0 && str_eq_nocase(word, str_from_c(*list)))
            return true;
    }
    return false;
}

int
str_cmp(struct str a, struct str b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 ? 0 : memcmp(a.ptr, b.ptr, shorter);

    if (order != 0)
        return order;
    return a.len == b.len ? 0 : (a.len < b.len ? -1 : 1);
}

ptrdiff_t
str_find(struct str s, struct str needle)
{
    const char *found;

    if (needle.len == 0)
        return 0;
    if (s.len < needle.len)
        return -1;
    found = memmem(s.ptr, s.len, needle.ptr, needle.len);
    return found == NULL ? -1 : found - s.ptr;
}

ptrdiff_t
str_find_byte(struct str s, char byte)
{
    const char *found = s.len == 0 ? NULL : memchr(s.ptr, byte, s.len);

    return found == NULL ? -1 : found - s.ptr;
}

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str
str_trim(struct str s)
{
    while (s.len > 0 && is_space(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool
str_split(struct str *s, char separator, struct str *head)
{
    ptrdiff_t at;

    /* The NULL pointer marks the end, so that "a," yields "a" and "" and then stops. */
    if (s->ptr == NULL)
        return false;
    at = str_find_byte(*s, separator);
    if (at < 0) {
        *head = *s;
        *s = STR_EMPTY;
        return true;
    }
    *head = (struct str){s->ptr, (size_t)at};
    *s = (struct str){s->ptr + at + 1, s->len - (size_t)at - 1};
    return true;
}

bool
str_to_i64(struct str s, int64_t *value_out)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    int64_t value = 0;
    size_t i = negative ? 1 : 0;

    if (i == s.len)
        return false;
    for (; i < s.len; i++) {
        int digit = s.ptr[i] - '0';

        if (digit < 0 || digit > 9)
            return false;
        /* Downwards, because INT64_MIN has no positive counterpart. */
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value))
            return false;
    }
    if (!negative && value == INT64_MIN)
        return false;
    *value_out = negative ? value : -value;
    return true;
}

static size_t
skip_digits(struct str s, size_t at)
{
    while (at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9')
        at++;
    return at;
}

/* [-] digits [. digits] [e [+-] digits]: the forms that people and JSON write; no hex, inf, nan. */
static bool
is_decimal(struct str s)
{
    size_t at = s.len > 0 && s.ptr[0] == '-' ? 1 : 0;
    size_t end = skip_digits(s, at);

    if (end == at)
        return false;
    at = end;
    if (at < s.len && s.ptr[at] == '.') {
        end = skip_digits(s, at + 1);
        if (end == at + 1)
            return false;
        at = end;
    }
    if (at < s.len && (s.ptr[at] == 'e' || s.ptr[at] == 'E')) {
        at++;
        if (at < s.len && (s.ptr[at] == '+' || s.ptr[at] == '-'))
            at++;
        end = skip_digits(s, at);
        if (end == at)
            return false;
        at = end;
    }
    return at == s.len;
}

bool
str_to_double(struct str s, double *value_out)
{
    char text[MAX_DOUBLE_TEXT + 1];
    double value;

    if (s.len > MAX_DOUBLE_TEXT || !is_decimal(s))
        return false;
    pthread_once(&once, init_once);
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    value = strtod_l(text, NULL, c_locale);
    if (!isfinite(value))
        return false;
    *value_out = value;
    return true;
}

/* Length of the valid sequence at p, or 0. Ranges: Unicode standard, table 3-7. */
static size_t
utf8_sequence(const unsigned char *p, size_t left)
{
    unsigned char first = p[0];
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    size_t len;

    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    len = first < 0xe0 ? 2 : (first < 0xf0 ? 3 : 4);
    if (left < len)
        return 0;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

size_t
str_utf8_valid_prefix(struct str s)
{
    const unsigned char *bytes = (const unsigned char *)s.ptr;
    size_t at = 0;

    while (at < s.len) {
        uint64_t word;
        size_t len;

        while (s.len - at >= sizeof(word)) {
            memcpy(&word, bytes + at, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) != 0)
                break;
            at += sizeof(word);
        }
        if (at == s.len)
            break;
        len = utf8_sequence(bytes + at, s.len - at);
        if (len == 0)
            break;
        at += len;
    }
    return at;
}

bool
str_is_utf8(struct str s)
{
    return str_utf8_valid_prefix(s) == s.len;
}

size_t
str_utf8_floor(struct str s, size_t max_bytes)
{
    size_t at = max_bytes;

    if (s.len <= max_bytes)
        return s.len;
    while (at > 0 && ((unsigned char)s.ptr[at] & 0xc0) == 0x80)
        at--;
    return at;
}

bool
str_eq_secret(struct str a, struct str b)
{
    volatile unsigned char difference = 0;

    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        difference = (unsigned char)(difference | (a.ptr[i] ^ b.ptr[i]));
    return difference == 0;
}

#define ROTATE(x, bits) (((x) << (bits)) | ((x) >> (64 - (bits))))

static inline void
sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = ROTATE(v[1], 13) ^ v[0];
    v[0] = ROTATE(v[0], 32);
    v[2] += v[3];
    v[3] = ROTATE(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = ROTATE(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = ROTATE(v[1], 17) ^ v[2];
    v[2] = ROTATE(v[2], 32);
}

/* SipHash with one round a word and three at the end (Aumasson and Bernstein, 2012). */
uint64_t
str_hash(struct str s)
{
    uint64_t v[4];
    uint64_t word;
    size_t at = 0;

    pthread_once(&once, init_once);
    v[0] = hash_key[0] ^ UINT64_C(0x736f6d6570736575);
    v[1] = hash_key[1] ^ UINT64_C(0x646f72616e646f6d);
    v[2] = hash_key[0] ^ UINT64_C(0x6c7967656e657261);
    v[3] = hash_key[1] ^ UINT64_C(0x7465646279746573);
    for (; s.len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, s.ptr + at, sizeof(word));
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    if (at < s.len)
        memcpy(&word, s.ptr + at, s.len - at);
    word |= (uint64_t)s.len << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
