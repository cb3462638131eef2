/*
 * extract_container_fuzz.c - any bytes as an archive or a mail, from reading to its members
 *
 * The first byte chooses.
 */
#include <gmime/gmime.h>

#include "extract/members.h"
#include "extract_fuzz_support.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"message/rfc822", "application/zip"};

    g_mime_init(); /* counts how often; all but the first are nothing */
    members_use_utf8();
    if (size > 0)
        fuzz_reader(container_find(str_from_c(types[data[0] % 2])), data + 1, size - 1);
    return 0;
}
