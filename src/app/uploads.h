/*
 * uploads.h - a folder of this process alone for uploads on their way, beside those of others
 *
 *   <data folder>/uploads/<id>/   locked as long as its process lives
 *
 * Crash: the next process to start here removes what nobody holds a lock on.
 */
#ifndef PARLEY_APP_UPLOADS_H
#define PARLEY_APP_UPLOADS_H

#include "base/err.h"
#include "base/str.h"

#define UPLOADS_PATH_BYTES 4096

struct uploads {
    char path[UPLOADS_PATH_BYTES]; /* of this process's own folder */
    int lock_fd;
};

MUST_USE enum status uploads_open(struct str data_folder, struct uploads *uploads_out,
                                  struct err *err);
/* Removes the folder. Only of one that was opened. */
void uploads_close(struct uploads *uploads);

#endif
