/*
 * uploads.c - see the header
 */
#include "app/uploads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/id.h"

#define TRIES 8

/* Of a folder whose lock we have. */
static void
remove_folder(int parent_fd, const char *name, int fd)
{
    DIR *folder = fdopendir(dup(fd));
    struct dirent *entry;

    if (folder == NULL)
        return;
    while ((entry = readdir(folder)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(fd, entry->d_name, 0);
    (void)closedir(folder);
    (void)unlinkat(parent_fd, name, AT_REMOVEDIR);
}

/* What lies there was being uploaded when its process ended: nobody was told that we have it. */
static void
remove_left_over(int parent_fd)
{
    DIR *parent = fdopendir(dup(parent_fd));
    struct dirent *entry;

    if (parent == NULL)
        return;
    while ((entry = readdir(parent)) != NULL) {
        int fd;

        if (entry->d_name[0] == '.')
            continue;
        fd = openat(parent_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOTDIR) /* an earlier version had its files here */
            (void)unlinkat(parent_fd, entry->d_name, 0);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            remove_folder(parent_fd, entry->d_name, fd);
        if (fd >= 0)
            (void)close(fd);
    }
    (void)closedir(parent);
}

/* Between making and locking it somebody may have taken it for left over. */
static bool
make_own(int parent_fd, const char *name, int *fd_out)
{
    struct stat opened, named;
    int fd;

    if (mkdirat(parent_fd, name, 0700) != 0 && errno != EEXIST)
        return false;
    fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &opened) == 0 &&
        fstatat(parent_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        opened.st_ino == named.st_ino && opened.st_dev == named.st_dev) {
        *fd_out = fd;
        return true;
    }
    if (fd >= 0)
        (void)close(fd);
    return false;
}

enum status
uploads_open(struct str data_folder, struct uploads *uploads_out, struct err *err)
{
    struct id_text id = id_new();
    char parent[UPLOADS_PATH_BYTES];
    int parent_fd = -1, tries = 0;

    uploads_out->lock_fd = -1;
    (void)snprintf(parent, sizeof(parent), "%.*s/uploads", STR_ARG(data_folder));
    if (mkdir(parent, 0700) == 0 || errno == EEXIST)
        parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent_fd < 0)
        return err_set_detail(err, ST_UNAVAILABLE, "cannot make %.200s: %s", parent,
                              strerrordesc_np(errno));
    remove_left_over(parent_fd);
    while (tries++ < TRIES && uploads_out->lock_fd < 0)
        (void)make_own(parent_fd, id.text, &uploads_out->lock_fd);
    if (uploads_out->lock_fd < 0) {
        (void)close(parent_fd);
        return err_set_detail(err, ST_UNAVAILABLE, "cannot make a folder in %.200s: %s", parent,
                              strerrordesc_np(errno));
    }
    (void)close(parent_fd);
    if (snprintf(uploads_out->path, sizeof(uploads_out->path), "%s/%s", parent, id.text) >=
        (int)sizeof(uploads_out->path))
        return err_set_detail(err, ST_INVALID, "the data folder's path is too long");
    return ST_OK;
}

void
uploads_close(struct uploads *uploads)
{
    if (uploads->lock_fd < 0)
        return;
    remove_folder(AT_FDCWD, uploads->path, uploads->lock_fd);
    (void)close(uploads->lock_fd);
    uploads->lock_fd = -1;
}
