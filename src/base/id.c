/*
 * id.c - UUIDv7 and randomness
 *
 * Ids are made tens of thousands of times a second: randomness is fetched from the system 2 kB at a
 * time for each thread, and each byte is wiped as it is handed out.
 */
#include "base/id.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

#define POOL_BYTES 2048
#define COUNTER_BITS 12

struct random_pool {
    size_t left; /* unused bytes, at the end of bytes */
    unsigned char bytes[POOL_BYTES];
};

/* Process-wide: one pool for each thread, so that no lock is needed. */
static _Thread_local struct random_pool pool;
/* Process-wide: the last id's milliseconds and counter; ids only ever count up from it. */
static _Atomic uint64_t last_stamp;

static void
fetch_random(void *out, size_t len)
{
    unsigned char *at = out;

    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);

        if (got < 0 && errno != EINTR)
            abort();
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
}

void
random_bytes(void *out, size_t len)
{
    unsigned char *source;

    if (len > POOL_BYTES / 8) {
        fetch_random(out, len);
        return;
    }
    if (pool.left < len) {
        fetch_random(pool.bytes, POOL_BYTES);
        pool.left = POOL_BYTES;
    }
    source = pool.bytes + POOL_BYTES - pool.left;
    memcpy(out, source, len);
    memset(source, 0, len);
    pool.left -= len;
}

uint32_t
random_below(uint32_t bound)
{
    /* Values under this are one short of a full round of remainders: drawn again. */
    uint32_t reject = bound == 0 ? 0 : (0U - bound) % bound;
    uint32_t drawn;

    assert(bound > 0);
    do {
        random_bytes(&drawn, sizeof(drawn));
    } while (drawn < reject);
    return drawn % bound;
}

/* RFC 9562 section 6.2, method 1: a counter below the milliseconds. When it runs over it carries
 * into them, so that ids stay in order even above 4 million a second. It starts in the lower half
 * of its range, at random. */
static uint64_t
next_stamp(uint64_t random)
{
    uint64_t now_ms = (uint64_t)(clock_wall_us(clock_system()) / US_PER_MS);
    uint64_t fresh = (now_ms << COUNTER_BITS) | (random & 0x7ff);
    uint64_t last = atomic_load_explicit(&last_stamp, memory_order_relaxed);
    uint64_t next;

    do {
        next = fresh > last ? fresh : last + 1;
    } while (!atomic_compare_exchange_weak_explicit(&last_stamp, &last, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return next;
}

static const char hex_digits[] = "0123456789abcdef";

static char *
put_hex(char *out, uint64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        out[i] = hex_digits[value & 15];
        value >>= 4;
    }
    return out + digits;
}

struct id_text
id_new(void)
{
    struct id_text id = {""};
    char *at = id.text;
    uint64_t random[2];
    uint64_t stamp;
    uint64_t ms;

    random_bytes(random, sizeof(random));
    stamp = next_stamp(random[1]);
    ms = stamp >> COUNTER_BITS;
    at = put_hex(at, ms >> 16, 8);
    *at++ = '-';
    at = put_hex(at, ms, 4);
    *at++ = '-';
    at = put_hex(at, 0x7000 | (stamp & 0xfff), 4);
    *at++ = '-';
    at = put_hex(at, 0x8000 | ((random[0] >> 48) & 0x3fff), 4);
    *at++ = '-';
    at = put_hex(at, random[0], 12);
    *at = '\0';
    return id;
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int64_t
id_time_ms(const struct id_text *id)
{
    int64_t ms = 0;

    for (int i = 0; i < 13; i++) {
        if (i != 8)
            ms = ms * 16 + hex_value(id->text[i]);
    }
    return ms;
}

enum status
id_parse(struct str s, struct id_text *id_out, struct err *err)
{
    bool good = s.len == ID_TEXT_LEN;

    for (size_t i = 0; good && i < ID_TEXT_LEN; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23)
            good = s.ptr[i] == '-';
        else
            good = hex_value(s.ptr[i]) >= 0;
    }
    if (!good)
        return err_set(err, ST_INVALID, "not an id: a lower-case UUID is wanted");
    memcpy(id_out->text, s.ptr, ID_TEXT_LEN);
    id_out->text[ID_TEXT_LEN] = '\0';
    return ST_OK;
}

struct str
id_str(const struct id_text *id)
{
    return str_from_c(id->text);
}

bool
id_eq(const struct id_text *a, const struct id_text *b)
{
    return strcmp(a->text, b->text) == 0;
}

bool
id_is_none(const struct id_text *id)
{
    return id->text[0] == '\0';
}

void
id_span(char out[17])
{
    uint64_t random;

    /* W3C trace context: all zeros means "none". */
    do {
        random_bytes(&random, sizeof(random));
    } while (random == 0);
    *put_hex(out, random, 16) = '\0';
}

void
id_trace(char out[33])
{
    id_span(out);
    id_span(out + 16);
}
