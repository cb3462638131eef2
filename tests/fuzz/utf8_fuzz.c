/*
 * utf8_fuzz.c - any bytes through the UTF-8 check, cutting and JSON escaping
 */
#include <assert.h>

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = str_of((const char *)data, size);
    size_t valid = str_utf8_valid_prefix(input);
    struct buf escaped;

    assert(valid <= size && str_is_utf8(str_sub(input, 0, valid)));
    assert(str_is_utf8(input) == (valid == size));
    if (size > 0) {
        struct str text = str_sub(input, 0, valid);
        size_t max = data[0];
        size_t cut = str_utf8_floor(text, max);

        assert(cut <= text.len && (cut <= max || text.len <= max));
        assert(str_is_utf8(str_sub(text, 0, cut)));
        /* No more than one character is given up. */
        assert(text.len <= max || cut + 4 > max);
    }
    buf_init(&escaped, 6 * size + 1);
    buf_append_json_escaped(&escaped, input);
    assert(!escaped.failed && str_is_utf8(buf_str(&escaped)));
    for (size_t i = 0; i < escaped.len; i++)
        assert((unsigned char)escaped.ptr[i] >= 0x20);
    buf_deinit(&escaped);
    return 0;
}
