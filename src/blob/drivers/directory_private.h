/*
 * directory_private.h - what the files of the directory driver share
 *
 *   <folder>/.hold                          locked shared by deletions, alone by backups
 *   <folder>/<organization>/objects/...     an object by its key; below
 *   <folder>/<organization>/parts/<upload>/ "about" and a file for each part
 *   <folder>/<organization>/new/            what is being written; locked by its writer
 *   <folder>/.gone-...                      an organization that is being removed
 *
 * The key "a/b" is the file "=b" in the folder "+a": so "a" and "a/b" can both be objects, and no
 * key can name a file of ours. A file is the bytes, then a trailer of fixed length with checksum
 * and type: one rename publishes both. Files never change once they have their name.
 */
#ifndef PARLEY_BLOB_DIRECTORY_PRIVATE_H
#define PARLEY_BLOB_DIRECTORY_PRIVATE_H

#include <limits.h>

#include "blob/blob_driver.h"

#define TRAILER_BYTES 256
#define OBJECTS "objects"
#define PARTS "parts"
#define NEW "new"
#define HOLD ".hold"

struct directory_store {
    struct blob_store base;
    int root; /* of the folder */
};

/* A file that has no name yet that anybody looks for. */
struct new_file {
    int organization; /* its folder; -1 when not open */
    int fd;
    char name[64]; /* below new/; "" when it has none any more */
};

struct object_path {
    char text[BLOB_KEY_MAX_BYTES * 2 + 32]; /* below the organization's folder */
};

enum status directory_failed(struct err *err, const char *what);
enum status directory_not_found(struct err *err);

/* Opens the organization's folder, making it first when `make`. ST_NOT_FOUND. */
enum status directory_organization(struct blob_store *store, struct organization_id id, bool make,
                                   int *fd_out, struct err *err);
void directory_object_path(struct str key, struct object_path *out);

enum status new_file_begin(struct blob_store *store, struct organization_id id,
                           struct new_file *file, struct err *err);
enum status new_file_write(struct new_file *file, struct str bytes, struct err *err);
/* Trailer, fsync, the name, fsync of every folder above. info: size, checksum, type are read; etag
 * and time filled. ST_CONFLICT: if_absent and the name is taken. make_folders: else ST_NOT_FOUND
 * when the folder is gone. */
enum status new_file_publish(struct new_file *file, const char *path, bool make_folders,
                             bool if_absent, struct blob_info *info, struct err *err);
void new_file_end(struct new_file *file);
/* Of an open file: what its trailer and the file system say. ST_INTERNAL: damaged. */
enum status trailer_read(int fd, struct blob_info *info_out, struct err *err);
enum status read_fully(int fd, uint64_t offset, void *bytes, size_t len, size_t *got_out,
                       struct err *err);
/* A folder with all that is in it, or a file; nothing there is fine. */
enum status remove_tree(int folder, const char *name, struct err *err);
/* ST_BUSY: a backup has it. Close *fd_out. */
enum status hold_shared(struct blob_store *store, int *fd_out, struct err *err);

enum status directory_list(struct blob_store *store, struct organization_id id,
                           struct blob_list_query *query, struct err *err);

enum status directory_upload_begin(struct blob_store *store, struct organization_id id,
                                   struct str key, struct str content_type, int64_t expires_at_us,
                                   struct blob_upload_id *id_out, struct err *err);
enum status directory_upload_part(struct blob_store *store, struct organization_id id,
                                  const struct blob_upload_id *upload, unsigned number,
                                  struct str bytes, struct blob_part *part_out, struct err *err);
enum status directory_upload_complete(struct blob_store *store, struct organization_id id,
                                      const struct blob_upload_id *upload,
                                      const struct blob_part *parts, size_t part_count,
                                      struct blob_info *info_out, struct err *err);
enum status directory_upload_abort(struct blob_store *store, struct organization_id id,
                                   const struct blob_upload_id *upload, struct err *err);
/* Expired ones of an organization, given its folder. */
enum status directory_uploads_expire(struct blob_store *store, int organization, unsigned *removed,
                                     struct err *err);

#endif
