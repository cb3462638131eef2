/*
 * http_upload.c - bodies that go to files
 *
 * The epoll thread only copies bytes into a block; when it is full, the connection is suspended and
 * a worker parses the block and writes to disk. So a slow disk slows the upload and nothing else.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "net/http_server_private.h"

#define BLOCK_BYTES ((size_t)64 * 1024)
#define MAX_PARTS 64
#define MAX_FIELD_BYTES ((size_t)64 * 1024)
#define MAX_NAME_BYTES ((size_t)1024)

struct http_upload {
    struct http_exchange *exchange;
    struct MHD_PostProcessor *form; /* NULL until the first step, and for bodies that are no form */
    bool is_begun;
    char *block;
    size_t block_len;
    size_t total_bytes;
    unsigned part_count;
    struct http_part *part; /* being read */
    struct http_part **last;
    int fd;          /* of part's file, or -1 */
    struct buf text; /* of a plain field */
};

static struct http_upload *
upload_create(struct http_exchange *x)
{
    struct http_upload *upload = calloc(1, sizeof(*upload));

    if (upload == NULL)
        abort();
    upload->block = malloc(BLOCK_BYTES);
    if (upload->block == NULL)
        abort();
    upload->exchange = x;
    upload->last = &x->req.parts;
    upload->fd = -1;
    buf_init(&upload->text, MAX_FIELD_BYTES);
    return upload;
}

bool
http_upload_collect(struct http_exchange *x, struct str bytes)
{
    struct http_upload *upload = x->upload;

    if (upload == NULL)
        upload = x->upload = upload_create(x);
    if (bytes.len > x->max_body_bytes - upload->total_bytes) {
        http_exchange_refuse(x, 413, "The body is larger than this address accepts.");
        return true;
    }
    if (bytes.len > BLOCK_BYTES - upload->block_len)
        return false;
    memcpy(upload->block + upload->block_len, bytes.ptr, bytes.len);
    upload->block_len += bytes.len;
    upload->total_bytes += bytes.len;
    return true;
}

static void
refuse_disk(struct http_upload *upload, const char *what)
{
    bool is_full = errno == ENOSPC || errno == EDQUOT;

    LOG(LOG_ERROR, "http.upload_failed", log_cstr("step", what),
        log_cstr("reason", strerrordesc_np(errno)));
    if (is_full)
        http_exchange_refuse(upload->exchange, 507, "The server's disk is full.");
    else
        http_exchange_refuse(upload->exchange, 503, "The server cannot keep uploads now.");
}

static bool
part_end(struct http_upload *upload)
{
    struct http_part *part = upload->part;
    struct err err;

    upload->part = NULL;
    if (upload->fd >= 0) {
        int failed = close(upload->fd);

        upload->fd = -1;
        if (failed != 0) {
            refuse_disk(upload, "close");
            return false;
        }
    }
    if (part == NULL || part->file_path != NULL)
        return true;
    if (arena_try_str(upload->exchange->arena, buf_str(&upload->text), &part->text, &err) !=
        ST_OK) {
        http_exchange_refuse(upload->exchange, 413, "The form is too large.");
        return false;
    }
    buf_clear(&upload->text);
    return true;
}

static bool
copy_name(struct http_upload *upload, const char *text, struct str *copy_out)
{
    struct str name = str_from_c(text);
    struct err err;

    if (name.len <= MAX_NAME_BYTES &&
        arena_try_str(upload->exchange->arena, name, copy_out, &err) == ST_OK)
        return true;
    http_exchange_refuse(upload->exchange, 413, "A name in the form is too long.");
    return false;
}

static bool
part_begin(struct http_upload *upload, const char *name, const char *file_name,
           const char *content_type, bool is_file)
{
    struct arena *arena = upload->exchange->arena;
    struct http_part *part;
    char *path;

    if (!part_end(upload))
        return false;
    if (upload->part_count++ == MAX_PARTS) {
        http_exchange_refuse(upload->exchange, 413, "The form has too many parts.");
        return false;
    }
    part = ARENA_NEW(arena, struct http_part);
    if (!copy_name(upload, name, &part->name) || !copy_name(upload, file_name, &part->file_name) ||
        !copy_name(upload, content_type, &part->content_type))
        return false;
    if (is_file) {
        path = arena_cstr(arena, arena_printf(arena, "%s/upload-XXXXXX",
                                              upload->exchange->server->upload_folder));
        upload->fd = mkostemp(path, O_CLOEXEC);
        if (upload->fd < 0) {
            refuse_disk(upload, "create");
            return false;
        }
        part->file_path = path;
    }
    *upload->last = part;
    upload->last = &part->next;
    upload->part = part;
    return true;
}

static bool
part_write(struct http_upload *upload, const char *data, size_t size)
{
    assert(upload->part != NULL);
    upload->part->size_bytes += size;
    if (upload->fd < 0) {
        struct err err;

        buf_append(&upload->text, str_of(data, size));
        if (buf_check(&upload->text, &err) == ST_OK)
            return true;
        http_exchange_refuse(upload->exchange, 413, "A field of the form is too long.");
        return false;
    }
    while (size > 0) {
        ssize_t written = write(upload->fd, data, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            refuse_disk(upload, "write");
            return false;
        }
        data += written;
        size -= (size_t)written;
    }
    return true;
}

static enum MHD_Result
on_form_data(void *cls, enum MHD_ValueKind kind, const char *name, const char *file_name,
             const char *content_type, const char *encoding, const char *data, uint64_t offset,
             size_t size)
{
    struct http_upload *upload = cls;

    (void)kind;
    (void)encoding;
    if ((offset == 0 || upload->part == NULL) &&
        !part_begin(upload, name, file_name, content_type, file_name != NULL))
        return MHD_NO;
    return size == 0 || part_write(upload, data, size) ? MHD_YES : MHD_NO;
}

static void
begin(struct http_upload *upload)
{
    struct http_exchange *x = upload->exchange;
    struct str type = http_request_header(&x->req, "content-type");
    struct str form = STR("multipart/form-data");

    upload->is_begun = true;
    if (str_eq_nocase(str_sub(type, 0, form.len), form)) {
        upload->form = MHD_create_post_processor(x->connection, BLOCK_BYTES, on_form_data, upload);
        if (upload->form == NULL)
            http_exchange_refuse(x, 400, "The form has no boundary.");
        return;
    }
    (void)part_begin(upload, "", "", arena_cstr(x->arena, type), true);
}

void
http_upload_step(struct http_exchange *x, bool is_last)
{
    struct http_upload *upload = x->upload;

    if (!upload->is_begun && x->refusal == 0)
        begin(upload);
    if (x->refusal == 0 && upload->form != NULL) {
        if (MHD_post_process(upload->form, upload->block, upload->block_len) == MHD_NO)
            http_exchange_refuse(x, 400, "The form is malformed.");
    } else if (x->refusal == 0) {
        (void)part_write(upload, upload->block, upload->block_len);
    }
    upload->block_len = 0;
    if (!is_last)
        return;
    if (upload->form != NULL) {
        enum MHD_Result is_complete = MHD_destroy_post_processor(upload->form);

        upload->form = NULL;
        if (is_complete == MHD_NO)
            http_exchange_refuse(x, 400, "The form is cut off.");
    }
    (void)part_end(upload);
}

void
http_upload_destroy(struct http_upload **upload_in)
{
    struct http_upload *upload = *upload_in;

    if (upload == NULL)
        return;
    if (upload->form != NULL)
        (void)MHD_destroy_post_processor(upload->form);
    if (upload->fd >= 0)
        (void)close(upload->fd);
    for (const struct http_part *part = upload->exchange->req.parts; part != NULL;
         part = part->next)
        if (part->file_path != NULL)
            (void)unlink(part->file_path);
    buf_deinit(&upload->text);
    free(upload->block);
    free(upload);
    *upload_in = NULL;
}
