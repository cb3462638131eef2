/*
 * extract_markdown_fuzz.c - any bytes as Markdown, from reading to passages
 */
#include "extract_fuzz_support.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_format("text/markdown", data, size);
    return 0;
}
