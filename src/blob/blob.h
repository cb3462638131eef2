/*
 * blob.h - objects of an organization: bytes under a key, written once, read by any process
 *
 *   blob_put_begin -> write ... -> commit --> the object is there, whole and durable
 *                              '-> rollback, or a process that dies --> nothing is there
 *   blob_upload_begin -> parts, in any order, from any process -> complete --> the object is there
 *                                                              '-> abort, or expiry --> nothing
 *
 * A key is relative to the organization of the scope: another organization's object is
 * ST_NOT_FOUND. Keys are UTF-8 of 1 to BLOB_KEY_MAX_BYTES bytes without control characters; the
 * parts between slashes are 1 to BLOB_SEGMENT_MAX_BYTES long and neither "." nor "..". Rules that
 * only S3 has (part sizes, ascending parts, lists in byte order) hold for every driver, so that
 * nothing above changes with the driver.
 *
 * Threads: the store is shared; a put and a reader belong to one thread at a time. Several
 * processes may use one store at once. Blocks: every function, on disk or network.
 * Crash: committed objects stay; what was begun is removed by blob_upkeep.
 */
#ifndef PARLEY_BLOB_BLOB_H
#define PARLEY_BLOB_BLOB_H

#include "base/clock.h"
#include "store/tenant_scope.h"

#define BLOB_KEY_MAX_BYTES 512
#define BLOB_SEGMENT_MAX_BYTES 200
#define BLOB_CONTENT_TYPE_MAX_BYTES 100
#define BLOB_SHA256_LEN 64
#define BLOB_LIST_MAX 1000
#define BLOB_PART_MAX_NUMBER 10000
#define BLOB_LINK_KEY_BYTES 32
#define BLOB_LINK_MAX_S (7 * 24 * 3600)
#define BLOB_LINK_NAME_MAX_BYTES 200
#define BLOB_LINK_MAX_BYTES 1280

struct blob_store;
struct blob_driver;

struct blob_config {
    const struct blob_driver *driver; /* NULL: the directory driver */
    struct clock *clock;
    const char *folder;        /* of the directory driver; made when missing, mode 0700 */
    struct blob_store *inner;  /* of failing and recording, which do not close it */
    uint64_t max_object_bytes; /* 0: 5 GB */
    uint64_t min_part_bytes;   /* of every part but the last; 0: 5 MB, as S3 wants it */
    const unsigned char (*link_keys)[BLOB_LINK_KEY_BYTES]; /* the first signs, each verifies */
    size_t link_key_count;
};

/* ST_UNAVAILABLE: the folder cannot be made or written. */
MUST_USE enum status blob_open(const struct blob_config *config, struct blob_store **store_out,
                               struct err *err);
void blob_close(struct blob_store **store);
/* Writes, reads and removes a file: for `doctor`. */
MUST_USE enum status blob_check(struct blob_store *store, struct err *err);

/* ST_INVALID, saying why. */
MUST_USE enum status blob_key_check(struct str key, struct err *err);

struct blob_info {
    uint64_t size_bytes;
    int64_t modified_at_us;
    char etag[72];                    /* of these bytes, without quotes; never empty */
    char sha256[BLOB_SHA256_LEN + 1]; /* lower-case hexadecimal; "" when the driver cannot tell */
    char content_type[BLOB_CONTENT_TYPE_MAX_BYTES + 1];
};

/* --- writing --- */

struct blob_put;

struct blob_put_spec {
    struct str key;
    struct str content_type; /* empty: application/octet-stream */
    struct str sha256;       /* what the bytes must have, hexadecimal; empty: not checked */
    bool if_absent;          /* ST_CONFLICT at commit when the key exists; else it is replaced */
};

MUST_USE enum status blob_put_begin(struct blob_store *store, const struct tenant_scope *scope,
                                    const struct blob_put_spec *spec, struct blob_put **put_out,
                                    struct err *err);
/* ST_TOO_LARGE: over the maximum. ST_UNAVAILABLE: the disk is full. Roll back after a failure. */
MUST_USE enum status blob_put_write(struct blob_put *put, struct str bytes, struct err *err);
/* Ends the put in any case; info_out may be NULL. ST_INVALID: not the bytes that sha256 named.
 * After a failure nothing is there; ST_UNCERTAIN: look. */
MUST_USE enum status blob_put_commit(struct blob_put **put, struct blob_info *info_out,
                                     struct err *err);
void blob_put_rollback(struct blob_put **put); /* accepts NULL */

/* The whole of it at once. */
MUST_USE enum status blob_put_bytes(struct blob_store *store, const struct tenant_scope *scope,
                                    const struct blob_put_spec *spec, struct str bytes,
                                    struct blob_info *info_out, struct err *err);
/* From where fd stands to its end. */
MUST_USE enum status blob_put_file(struct blob_store *store, const struct tenant_scope *scope,
                                   const struct blob_put_spec *spec, int fd,
                                   struct blob_info *info_out, struct err *err);

/* --- reading --- */

struct blob_reader;

/* ST_NOT_FOUND. The directory's reader goes on when the object is deleted or replaced. */
MUST_USE enum status blob_reader_open(struct blob_store *store, const struct tenant_scope *scope,
                                      struct str key, struct blob_reader **reader_out,
                                      struct blob_info *info_out, struct err *err);
/* Up to len bytes from offset; *got_out is less only at the end. */
MUST_USE enum status blob_reader_read(struct blob_reader *reader, uint64_t offset, void *bytes,
                                      size_t len, size_t *got_out, struct err *err);
/* A new descriptor, the caller's, on a file whose first size_bytes are the object.
 * ST_UNAVAILABLE: this driver has no files; read then. */
MUST_USE enum status blob_reader_file(struct blob_reader *reader, int *fd_out, struct err *err);
void blob_reader_close(struct blob_reader **reader);

MUST_USE enum status blob_stat(struct blob_store *store, const struct tenant_scope *scope,
                               struct str key, struct blob_info *info_out, struct err *err);
/* The whole object in the arena, its checksum verified. ST_TOO_LARGE: more than max_bytes.
 * ST_INTERNAL: damaged. */
MUST_USE enum status blob_get(struct blob_store *store, const struct tenant_scope *scope,
                              struct str key, size_t max_bytes, struct arena *arena,
                              struct str *bytes_out, struct err *err);
/* Reads all of it. ST_INTERNAL: these are not the bytes that were put. */
MUST_USE enum status blob_verify(struct blob_store *store, const struct tenant_scope *scope,
                                 struct str key, struct err *err);

/* --- listing and deleting --- */

struct blob_entry {
    struct str key;
    uint64_t size_bytes;
    int64_t modified_at_us;
};
/* Keys that begin with prefix and come after `after` (empty: all), in byte order, in the arena.
 * *more_out: there are others. limit: 1..BLOB_LIST_MAX. */
MUST_USE enum status blob_list(struct blob_store *store, const struct tenant_scope *scope,
                               struct str prefix, struct str after, size_t limit,
                               struct arena *arena, struct blob_entry **entries_out,
                               size_t *count_out, bool *more_out, struct err *err);
/* ST_OK also when there is none. ST_BUSY: a backup runs; later. */
MUST_USE enum status blob_delete(struct blob_store *store, const struct tenant_scope *scope,
                                 struct str key, struct err *err);
/* All objects and uploads of the organization. */
MUST_USE enum status blob_delete_all(struct blob_store *store, const struct tenant_scope *scope,
                                     struct err *err);
/* Organizations that have objects, in order: pass the last seen, or none. */
MUST_USE enum status blob_organization_next(struct blob_store *store, struct organization_id after,
                                            struct organization_id *next_out, struct err *err);

/* --- in parts --- */

struct blob_upload_id {
    char text[33];
};
struct blob_part {
    unsigned number; /* 1..BLOB_PART_MAX_NUMBER */
    char etag[72];   /* as blob_upload_part gave it */
};

MUST_USE enum status blob_upload_begin(struct blob_store *store, const struct tenant_scope *scope,
                                       struct str key, struct str content_type,
                                       int64_t expires_at_us, struct blob_upload_id *id_out,
                                       struct err *err);
/* Replaces a part of that number. ST_NOT_FOUND: no such upload, or it has ended. */
MUST_USE enum status blob_upload_part(struct blob_store *store, const struct tenant_scope *scope,
                                      const struct blob_upload_id *id, unsigned number,
                                      struct str bytes, struct blob_part *part_out,
                                      struct err *err);
/* The object is the parts in this order; numbers ascend. Parts that are not named are dropped.
 * ST_INVALID: a part is missing, is another, is too small or out of order. */
MUST_USE enum status blob_upload_complete(struct blob_store *store,
                                          const struct tenant_scope *scope,
                                          const struct blob_upload_id *id,
                                          const struct blob_part *parts, size_t part_count,
                                          struct blob_info *info_out, struct err *err);
/* ST_OK also when there is none. */
MUST_USE enum status blob_upload_abort(struct blob_store *store, const struct tenant_scope *scope,
                                       const struct blob_upload_id *id, struct err *err);

/* Removes what dead processes left that is older than age_us and in nobody's use, and expired
 * uploads. Any process may call it at any time. */
MUST_USE enum status blob_upkeep(struct blob_store *store, int64_t age_us, unsigned *removed_out,
                                 struct err *err);

/* --- expiring links --- */

struct blob_link_spec {
    struct str key;
    struct str content_type, file_name; /* what whoever follows it is told */
    int64_t expires_at_us;
    bool for_customers; /* whoever redeems it asks whether the object is still theirs to see */
};

struct blob_link {
    struct organization_id organization_id;
    char key[BLOB_KEY_MAX_BYTES + 1];
    char file_name[BLOB_LINK_NAME_MAX_BYTES + 1];
    char content_type[BLOB_CONTENT_TYPE_MAX_BYTES + 1];
    int64_t expires_at_us;
    bool for_customers;
};
/* A token of at most BLOB_LINK_MAX_BYTES URL-safe characters for GET /v1/blobs/{token}.
 * ST_INVALID: expiry in the past or more than BLOB_LINK_MAX_S ahead, a key or name that cannot be.
 */
MUST_USE enum status blob_link_make(struct blob_store *store, const struct tenant_scope *scope,
                                    const struct blob_link_spec *spec, struct arena *arena,
                                    struct str *token_out, struct err *err);
/* ST_NOT_FOUND: not one of ours (constant time in the signature). ST_DENIED: it has expired. */
MUST_USE enum status blob_link_check(struct blob_store *store, struct str token,
                                     struct blob_link *link_out, struct err *err);

#endif
