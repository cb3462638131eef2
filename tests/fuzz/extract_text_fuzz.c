/*
 * extract_text_fuzz.c - any bytes as plain text, from reading to passages
 */
#include "extract_fuzz_support.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_format("text/plain", data, size);
    return 0;
}
