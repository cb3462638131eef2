/*
 * sqlite_log_file.h - the write-ahead log's file, with a commit's frames gathered into few writes
 *
 * SQLite writes each page of a commit with two system calls. This layer between SQLite and its own
 * file system layer gathers what is written in sequence and hands it on when SQLite asks for the
 * commit's sync, which comes before the commit becomes visible and whose failure fails the commit.
 * While commits are left unsynced (see settle) that sync does no more; a log's new header is always
 * synced, as SQLite needs it. All other files pass through untouched.
 * Threads: one connection's at a time, as all of it.
 */
#ifndef PARLEY_STORE_DRIVERS_SQLITE_LOG_FILE_H
#define PARLEY_STORE_DRIVERS_SQLITE_LOG_FILE_H

#include <sqlite3.h>
#include <stdbool.h>

#define SQLITE_LOG_FILE_SYSTEM "parley-log"

struct log_file;

/* Once in a process, after sqlite3_initialize. A code of SQLite's. */
int sqlite_log_file_register(void);

/* The log of a connection opened through SQLITE_LOG_FILE_SYSTEM, which gathers from now on. NULL:
 * the connection has no log open, or not through this layer. */
struct log_file *sqlite_log_file_gather(sqlite3 *db);
/* Between the two, the sync of a commit only hands on what was gathered. */
void sqlite_log_file_leave_unsynced(struct log_file *file, bool leave);

#endif
