/*
 * extract_links_fuzz.c - any bytes as a sitemap, and as a page with links
 */
#include "extract_fuzz_support.h"
#include "knowledge/extract_links.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_format(LINKS_OF_SITEMAP, data, size);
    fuzz_format(LINKS_OF_HTML, data, size);
    return 0;
}
