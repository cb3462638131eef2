/*
 * qdrant_test_support.h - a Qdrant server for tests: the double, or a real one
 */
#ifndef PARLEY_INDEX_QDRANT_TEST_SUPPORT_H
#define PARLEY_INDEX_QDRANT_TEST_SUPPORT_H

#include <sys/types.h>

#include "index/engine.h"

#define QDRANT_SKIPPED 77 /* what meson takes for a skipped test */

struct test_qdrant {
    pid_t pid;   /* 0: the server at QDRANT_URL */
    int in, out; /* it ends with its input */
    char url[256];
    struct http_client *http;
};

/* version NULL: the newest that the double knows. api_key may be NULL. False: node is not there. */
bool test_qdrant_start(struct test_qdrant *qdrant, const char *version, const char *api_key);
/* The server at QDRANT_URL, else Qdrant's own engine (tests/doubles/qdrant/engine.py). False:
 * neither is there. */
bool test_qdrant_real(struct test_qdrant *qdrant);
void test_qdrant_stop(struct test_qdrant *qdrant);
/* The double answers nobody until thaw. */
void test_qdrant_freeze(struct test_qdrant *qdrant);
void test_qdrant_thaw(struct test_qdrant *qdrant);
/* To the double's /test/ paths (tests/doubles/qdrant/cli.mjs); its answer, in the arena. */
struct str test_qdrant_tell(struct test_qdrant *qdrant, const char *path, struct str body,
                            struct arena *arena);
/* A collection that no other test has, in that store; encoder NULL: words alone. */
struct index_engine *test_qdrant_engine(struct test_qdrant *qdrant, struct store *store,
                                        const char *encoder, unsigned dimension);

#endif
