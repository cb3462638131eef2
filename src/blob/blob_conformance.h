/*
 * blob_conformance.h - what every driver of objects passes
 *
 * A driver's test opens an empty store with a manual clock, min_part_bytes BLOB_TEST_MIN_PART and
 * max_object_bytes BLOB_TEST_MAX_OBJECT, gives two scopes, and runs the list.
 */
#ifndef PARLEY_BLOB_BLOB_CONFORMANCE_H
#define PARLEY_BLOB_BLOB_CONFORMANCE_H

#include "blob/blob.h"

#define BLOB_TEST_MIN_PART 1000
#define BLOB_TEST_MAX_OBJECT 600000

struct blob_conformance {
    struct blob_store *store;
    struct clock *clock;
    const struct tenant_scope *one, *other;
};

/* Aborts in the manner of cmocka's assertions. Leaves nothing in the store. */
void blob_conformance_run(const struct blob_conformance *suite);

#endif
