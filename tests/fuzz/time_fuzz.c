/*
 * time_fuzz.c - any bytes as an RFC 3339 time, as numbers and as an id
 *
 * What is accepted must come back the same after formatting.
 */
#include <assert.h>

#include "base/clock.h"
#include "base/id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = str_of((const char *)data, size);
    struct id_text id;
    struct err err;
    int64_t us;
    int64_t again;
    int64_t whole;
    double real;
    char out[32];

    if (time_parse_rfc3339(input, &us, &err) == ST_OK) {
        if (time_parse_rfc3339(time_format_rfc3339(us, out), &again, &err) != ST_OK)
            __builtin_trap();
        assert(us == again);
    }
    /* Every whole number is a real one too. */
    if (str_to_i64(input, &whole)) {
        bool is_real = str_to_double(input, &real);

        assert(is_real || size > 400);
        assert(size > 15 || (int64_t)real == whole);
    }
    if (id_parse(input, &id, &err) == ST_OK)
        assert(str_eq(id_str(&id), input) && id_time_ms(&id) >= 0);
    return 0;
}
