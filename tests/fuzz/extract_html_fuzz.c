/*
 * extract_html_fuzz.c - any bytes as HTML, from reading to passages
 */
#include "extract_fuzz_support.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_format("text/html", data, size);
    return 0;
}
