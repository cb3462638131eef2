/*
 * move_objects.h - an organization's objects from one store of objects to another
 */
#ifndef PARLEY_APP_MOVE_OBJECTS_H
#define PARLEY_APP_MOVE_OBJECTS_H

#include "blob/blob.h"

struct moved_objects {
    int64_t count, bytes;
};

/* Copies what the target has not got with the same bytes, each checked by its SHA-256, and adds to
 * *moved what is there then. May be done again. */
MUST_USE enum status move_objects(struct blob_store *from, struct blob_store *to,
                                  const struct tenant_scope *scope, struct moved_objects *moved,
                                  struct err *err);

#endif
