/*
 * zip_archive.h - the parts of an office document, read out of its ZIP archive in memory
 *
 * Over libzip. Names are labels: nothing is ever written to a file. All parts together may give at
 * most max_bytes, counted as they are inflated and not as the archive claims, so that a small file
 * cannot become a large one. Threads: one. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_ZIP_ARCHIVE_H
#define PARLEY_EXTRACT_ZIP_ARCHIVE_H

#include "base/buf.h"

struct zip_archive;

/* Borrows bytes until it is closed. ST_INVALID: no archive, or a damaged one. */
MUST_USE enum status zip_archive_open(struct str bytes, size_t max_bytes,
                                      struct zip_archive **archive_out, struct err *err);
void zip_archive_close(struct zip_archive **archive);
/* Appends the part. ST_NOT_FOUND: there is none of that name. ST_INVALID: damaged, or behind a
 * password. ST_TOO_LARGE: the maximum of all parts is passed. */
MUST_USE enum status zip_archive_read(struct zip_archive *archive, struct str name,
                                      struct buf *part, struct err *err);

#endif
