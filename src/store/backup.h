/*
 * backup.h - the file names of a backup, shared with its tests
 *
 *   <folder>/control.db, <folder>/tenants/<organization>.db, <folder>/MANIFEST,
 *   <folder>/blobs/<organization>/objects/...
 *
 * MANIFEST has a line for each file as sha256sum writes them ("<hex>  <path>"), so that an operator
 * can check a copy without Parley, and is written last: without it there is no backup.
 */
#ifndef PARLEY_STORE_BACKUP_H
#define PARLEY_STORE_BACKUP_H

#define BACKUP_MANIFEST "MANIFEST"

#endif
