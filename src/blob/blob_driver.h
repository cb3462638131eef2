/*
 * blob_driver.h - what a driver of objects offers; for src/blob/ alone
 *
 * The front (blob.c) checks keys, sizes, types and part numbers, hashes what is put and compares;
 * drivers store. Their tables are constant and complete: blob_open says so. Threads: as blob.h.
 */
#ifndef PARLEY_BLOB_BLOB_DRIVER_H
#define PARLEY_BLOB_BLOB_DRIVER_H

#include <sodium.h>

#include "blob/blob.h"

struct blob_store {
    const struct blob_driver *driver;
    struct blob_config config; /* complete: defaults filled in; frozen */
    unsigned char (*link_keys)[BLOB_LINK_KEY_BYTES];
};

/* Begins the driver's own; the front fills this part. */
struct blob_put {
    struct blob_store *store;
    struct organization_id organization_id;
    char key[BLOB_KEY_MAX_BYTES + 1];
    char content_type[BLOB_CONTENT_TYPE_MAX_BYTES + 1];
    char want_sha256[BLOB_SHA256_LEN + 1]; /* "" when any will do */
    bool if_absent;
    uint64_t size_bytes;
    crypto_hash_sha256_state hash;
};

struct blob_reader {
    struct blob_store *store;
    struct blob_info info;
};

struct blob_list_query {
    struct str prefix, after;
    size_t limit;
    struct arena *arena;
    struct blob_entry *entries; /* room for limit */
    size_t count;
    bool more;
};

struct blob_driver {
    const char *name;
    size_t store_size, put_size, reader_size; /* of the structs that begin with the ones above */

    /* All always set; close, put_abort and reader_close accept what failed to open. */
    enum status (*open)(struct blob_store *store, struct err *err);
    void (*close)(struct blob_store *store);
    enum status (*check)(struct blob_store *store, struct err *err);

    enum status (*put_begin)(struct blob_put *put, struct err *err);
    enum status (*put_write)(struct blob_put *put, struct str bytes, struct err *err);
    /* info: size, checksum and type are filled; etag and time are to be. */
    enum status (*put_commit)(struct blob_put *put, struct blob_info *info, struct err *err);
    void (*put_end)(struct blob_put *put); /* after commit or instead of it */

    enum status (*reader_open)(struct blob_reader *reader, struct organization_id organization_id,
                               struct str key, struct err *err);
    enum status (*reader_read)(struct blob_reader *reader, uint64_t offset, void *bytes, size_t len,
                               size_t *got_out, struct err *err);
    enum status (*reader_file)(struct blob_reader *reader, int *fd_out, struct err *err);
    void (*reader_close)(struct blob_reader *reader);

    enum status (*list)(struct blob_store *store, struct organization_id organization_id,
                        struct blob_list_query *query, struct err *err);
    enum status (*remove)(struct blob_store *store, struct organization_id organization_id,
                          struct str key, struct err *err);
    enum status (*remove_all)(struct blob_store *store, struct organization_id organization_id,
                              struct err *err);
    enum status (*organization_next)(struct blob_store *store, struct organization_id after,
                                     struct organization_id *next_out, struct err *err);

    enum status (*upload_begin)(struct blob_store *store, struct organization_id organization_id,
                                struct str key, struct str content_type, int64_t expires_at_us,
                                struct blob_upload_id *id_out, struct err *err);
    enum status (*upload_part)(struct blob_store *store, struct organization_id organization_id,
                               const struct blob_upload_id *id, unsigned number, struct str bytes,
                               struct blob_part *part_out, struct err *err);
    enum status (*upload_complete)(struct blob_store *store, struct organization_id organization_id,
                                   const struct blob_upload_id *id, const struct blob_part *parts,
                                   size_t part_count, struct blob_info *info_out, struct err *err);
    enum status (*upload_abort)(struct blob_store *store, struct organization_id organization_id,
                                const struct blob_upload_id *id, struct err *err);
    enum status (*upkeep)(struct blob_store *store, int64_t age_us, unsigned *removed_out,
                          struct err *err);
};

extern const struct blob_driver blob_driver_directory;
/* For tests: in memory; failing on command; keeping what it was asked. */
extern const struct blob_driver blob_driver_fake;
extern const struct blob_driver blob_driver_failing;
extern const struct blob_driver blob_driver_recording;

/* ST_INTERNAL when the table has a hole: a programming error that a start must show. */
MUST_USE enum status blob_driver_check(const struct blob_driver *driver, struct err *err);
/* 32 hexadecimal digits that nobody else has, in no process. */
void blob_random_name(char text_out[33]);
/* The bytes of a finished hash as text. */
void blob_hash_text(crypto_hash_sha256_state *hash, char text_out[BLOB_SHA256_LEN + 1]);

/* The next `times` calls (0: all) fail with status, after `skip` that do not. */
void blob_failing_set(struct blob_store *failing, enum status status, unsigned skip,
                      unsigned times);
/* "put a/b", "get a/b", "remove a/b" ...: the calls so far, oldest first; false beyond the first
 * 256. Borrowed until the store is closed. */
bool blob_recording_get(struct blob_store *recording, size_t index, const char **call_out);

#endif
