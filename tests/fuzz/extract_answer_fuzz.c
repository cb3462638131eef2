/*
 * extract_answer_fuzz.c - any bytes as an answer of parley-extract that was taken over
 */
#include "extract_fuzz_support.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str answer = str_of((const char *)data, size);
    struct arena *arena = arena_create(64 * FUZZ_MB);
    struct extracted extracted;
    struct err err;

    if (extract_answer_is_complete(answer) &&
        extract_answer_read(answer, arena, &extracted, &err) == ST_OK) {
        fuzz_labels(&extracted, false);
        assert(extracted.block_count > 0 || extracted.member_count > 0 ||
               extracted.pictures.len > 0);
        if (extracted.block_count > 0)
            fuzz_passages(&extracted, arena);
    }
    arena_destroy(&arena);
    return 0;
}
