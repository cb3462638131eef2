/*
 * wordpiece_fuzz.c - any text to the numbers of pieces
 *
 * The numbers are within the vocabulary and between the two marks; a shorter limit gives the same
 * beginning; capitals of ASCII and white space around make no difference.
 */
#include <assert.h>
#include <stdlib.h>

#include "embed/drivers/wordpiece_test_support.h"

#define MAX_TOKENS 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_marks(const struct wordpiece *wordpiece, const uint32_t *tokens, size_t count, size_t max)
{
    assert(count >= 2 && count <= max);
    assert(tokens[0] == wordpiece->begin && tokens[count - 1] == wordpiece->end);
    for (size_t i = 0; i < count; i++)
        assert(tokens[i] < wordpiece->count);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct small_vocabulary small;
    uint32_t tokens[MAX_TOKENS], others[MAX_TOKENS];
    struct str text = str_of((const char *)data, size);
    struct err err;
    size_t count, other, max;
    char *changed;

    if (size == 0 || !str_is_utf8(text))
        return 0;
    if (small_vocabulary_init(&small, STR(SMALL_VOCABULARY), &err) != ST_OK)
        abort();
    count = wordpiece_tokens(&small.wordpiece, text, tokens, MAX_TOKENS);
    check_marks(&small.wordpiece, tokens, count, MAX_TOKENS);

    max = 2 + data[0] % 64;
    other = wordpiece_tokens(&small.wordpiece, text, others, max);
    check_marks(&small.wordpiece, others, other, max);
    assert(other == (count < max ? count : max));
    assert(memcmp(tokens, others, (other - 1) * sizeof(tokens[0])) == 0);

    changed = malloc(size + 2);
    if (changed == NULL)
        abort();
    changed[0] = ' ';
    changed[size + 1] = '\n';
    for (size_t i = 0; i < size; i++)
        changed[i + 1] = (char)(data[i] >= 'a' && data[i] <= 'z' ? data[i] - 0x20 : data[i]);
    other = wordpiece_tokens(&small.wordpiece, str_of(changed, size + 2), others, MAX_TOKENS);
    assert(other == count && memcmp(tokens, others, count * sizeof(tokens[0])) == 0);
    free(changed);
    return 0;
}
