/*
 * wordpiece_test_support.h - a vocabulary of a few pieces, for tests and the fuzzer
 */
#ifndef PARLEY_EMBED_DRIVERS_WORDPIECE_TEST_SUPPORT_H
#define PARLEY_EMBED_DRIVERS_WORDPIECE_TEST_SUPPORT_H

#include <string.h>

#include "embed/drivers/wordpiece.h"

#define SMALL_MAX_BYTES 1024
#define SMALL_MAX_SLOTS 256

/* One a line; the numbers that the tests name are the lines'. */
#define SMALL_VOCABULARY                                                                           \
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\nshop\n##s\n##ping\nopen\n##ed\ncafe\n,\n?\n!\n'\n"           \
    "a\n##a\nb\n##b\nc\n##c\n2\n##4\n\xe6\x97\xa5\n\xe6\x9c\xac\n\xd0\xb8\n##\xd0\xb8\n\xcf\x83\n" \
    "##\xcf\x83\nstra\xc3\x9f"                                                                     \
    "e\n[\n]\nse\n##p\n$\n\xe2\x82\xac\ngru\xc3\x9f"                                               \
    "e\ni\n##i\n"

struct small_vocabulary {
    struct wordpiece wordpiece;
    char bytes[SMALL_MAX_BYTES];
    uint32_t offsets[SMALL_MAX_SLOTS + 1];
    uint32_t slots[SMALL_MAX_SLOTS];
};

static inline enum status
small_vocabulary_init(struct small_vocabulary *small, struct str text, struct err *err)
{
    struct str piece;
    uint32_t count = 0, at = 0;

    memset(small, 0, sizeof(*small));
    while (text.len > 0 && str_split(&text, '\n', &piece)) {
        memcpy(small->bytes + at, piece.ptr, piece.len);
        small->offsets[count++] = at;
        at += (uint32_t)piece.len;
    }
    small->offsets[count] = at;
    small->wordpiece = (struct wordpiece){.bytes = small->bytes,
                                          .offsets = small->offsets,
                                          .count = count,
                                          .slot_count = wordpiece_slot_count(count)};
    return wordpiece_index(&small->wordpiece, small->slots, err);
}

#endif
