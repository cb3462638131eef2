/*
 * archive_test_support.h - archives made in memory
 */
#ifndef PARLEY_KNOWLEDGE_ARCHIVE_TEST_SUPPORT_H
#define PARLEY_KNOWLEDGE_ARCHIVE_TEST_SUPPORT_H

#include "base/testing.h"

#include "base/str.h"

struct packed_file {
    const char *path;
    const char *bytes; /* NULL: zeros, or with size 0 a symbolic link */
    size_t size;       /* 0: up to the NUL */
};

enum pack_kind { PACK_ZIP, PACK_ZIP_LOCKED, PACK_TAR, PACK_TAR_GZ };

/* To be freed. */
struct str pack(enum pack_kind kind, const struct packed_file *files, size_t count);

#endif
