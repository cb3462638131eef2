/*
 * res_blobs.c - objects behind expiring links: GET /v1/blobs/{token}, whole or in part, and a
 * document's text as a page: GET /v1/blobs/{token}/text
 *
 * The token is the permission: nothing else is asked, no cookie is set. A document that somebody
 * uploaded is never shown as a page of ours: it is an attachment, of the type that it has. A PDF of
 * the knowledge is shown by the browser's own reader, so that it opens at the page that a citation
 * names. Of a document's text every character is escaped, and the page may load and run nothing.
 */
#include <string.h>
#include <unistd.h>

#include "api/api_documents.h"
#include "base/buf.h"
#include "blob/blob.h"

#define NAME_HEADER_BYTES 1024

struct range {
    uint64_t start, length;
    bool is_part;
};

/* --- which bytes --- */

/* "" is none. False: not a number. */
static bool
read_number(struct str text, int64_t *out)
{
    *out = -1;
    return text.len == 0 || (text.ptr[0] != '-' && str_to_i64(text, out));
}

/* One range of bytes; a header that is none, or names several, is as if it were not there (RFC
 * 9110, 14.2). ST_INVALID: beyond the end. */
static enum status
read_range(struct str header, uint64_t size, struct range *out, struct err *err)
{
    struct str first;
    int64_t from, to;

    *out = (struct range){.start = 0, .length = size};
    if (!str_starts_with(header, STR("bytes=")))
        return ST_OK;
    header = str_sub(header, 6, header.len);
    if (!str_split(&header, '-', &first) || header.ptr == NULL || !read_number(first, &from) ||
        !read_number(header, &to) || (from < 0 && to < 0) || (from >= 0 && to >= 0 && to < from))
        return ST_OK;
    if (from < 0) { /* the last so many */
        from = (uint64_t)to < size ? (int64_t)(size - (uint64_t)to) : 0;
        if (to == 0)
            from = (int64_t)size;
        to = -1;
    }
    if ((uint64_t)from >= size)
        return err_set(err, ST_INVALID, "the object has %llu bytes", (unsigned long long)size);
    out->start = (uint64_t)from;
    out->length =
        to >= 0 && (uint64_t)to < size ? (uint64_t)to - out->start + 1 : size - out->start;
    out->is_part = true;
    return ST_OK;
}

/* --- what it is called --- */

static bool
is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

/* RFC 6266: a plain name for old readers, the true one beside it. */
static struct str
disposition(struct api_call *call, const struct blob_link *link, const char *kind)
{
    struct str name = str_from_c(link->file_name);
    struct str text;
    struct buf out;

    for (size_t i = name.len; i > 0; i--)
        if (name.ptr[i - 1] == '/') {
            name = str_sub(name, i, name.len);
            break;
        }
    buf_init(&out, NAME_HEADER_BYTES);
    buf_append_c(&out, kind);
    buf_append_c(&out, "; filename=\"");
    for (size_t i = 0; i < name.len; i++)
        buf_append_byte(&out, is_plain(name.ptr[i]) ? name.ptr[i] : '_');
    buf_append_c(&out, "\"; filename*=UTF-8''");
    for (size_t i = 0; i < name.len; i++) {
        if (is_plain(name.ptr[i]))
            buf_append_byte(&out, name.ptr[i]);
        else
            buf_printf(&out, "%%%02X", (unsigned char)name.ptr[i]);
    }
    text = out.failed || name.len == 0 ? str_from_c(kind) : arena_str(call->arena, buf_str(&out));
    buf_deinit(&out);
    return text;
}

/* --- answering --- */

struct checking {
    struct blob_store *blobs;
    struct str token;
    struct blob_link *link;
};

static enum status
check_link(void *arg, struct organization_id *organization_out, struct err *err)
{
    struct checking *checking = arg;
    enum status st = blob_link_check(checking->blobs, checking->token, checking->link, err);

    if (st == ST_OK)
        *organization_out = checking->link->organization_id;
    return st;
}

static void
describe(struct api_call *call, const struct blob_link *link, bool is_document,
         const struct blob_info *info, const struct range *range)
{
    struct http_response *resp = call->resp;
    bool is_pdf = is_document && strcmp(link->content_type, "application/pdf") == 0;

    http_respond_header(resp, "Content-Disposition",
                        disposition(call, link, is_pdf ? "inline" : "attachment"));
    /* Browsers' readers of PDF do not work in a sandbox; what runs there is not ours. */
    http_respond_header(resp, "Content-Security-Policy",
                        is_pdf ? STR("default-src 'none'; object-src 'self'; style-src "
                                     "'unsafe-inline'; frame-ancestors 'none'")
                               : STR("sandbox; default-src 'none'"));
    http_respond_header(resp, "Cache-Control", STR("private, no-store"));
    http_respond_header(resp, "Referrer-Policy", STR("no-referrer"));
    http_respond_header(resp, "Accept-Ranges", STR("bytes"));
    http_respond_header(resp, "ETag", arena_printf(call->arena, "\"%s\"", info->etag));
    if (range->is_part)
        http_respond_header(resp, "Content-Range",
                            arena_printf(call->arena, "bytes %llu-%llu/%llu",
                                         (unsigned long long)range->start,
                                         (unsigned long long)(range->start + range->length - 1),
                                         (unsigned long long)info->size_bytes));
}

static enum status
send_object(struct api_call *call, const struct blob_link *link, bool is_document,
            struct blob_reader *reader, const struct blob_info *info, struct err *err)
{
    struct str wanted = http_request_header(call->req, "Range");
    struct str only_if = http_request_header(call->req, "If-Range");
    struct str etag = arena_printf(call->arena, "\"%s\"", info->etag);
    const char *type = link->content_type[0] != '\0' ? link->content_type : info->content_type;
    struct range range;
    int fd = -1;
    enum status st;

    if (only_if.len > 0 && !str_eq(only_if, etag))
        wanted = STR_EMPTY; /* another object meanwhile: all of it */
    st = read_range(wanted, info->size_bytes, &range, err);
    if (st != ST_OK) {
        http_respond_header(
            call->resp, "Content-Range",
            arena_printf(call->arena, "bytes */%llu", (unsigned long long)info->size_bytes));
        http_respond_err_status(call->req, call->resp, 416, err);
        call->answered = true;
        return ST_OK;
    }
    st = blob_reader_file(reader, &fd, err);
    if (st != ST_OK)
        return st;
    st = http_respond_fd(call->resp, range.is_part ? 206 : 200,
                         arena_cstr(call->arena, str_from_c(type)), fd, range.start, range.length,
                         err);
    if (st != ST_OK)
        return st;
    describe(call, link, is_document, info, &range);
    call->answered = true;
    return ST_OK;
}

/* place_out: the document's, or none. ST_OK with call->answered: the link has expired. */
static enum status
redeem(struct api_call *call, struct blob_link *link, struct document_place *place_out,
       struct err *err)
{
    struct checking checking = {.blobs = call->config->blobs,
                                .token = http_request_param(call->req, "token"),
                                .link = link};
    enum status st = tenant_admit_link(call->config->tenants, check_link, &checking, call->arena,
                                       &call->scope, err);

    *place_out = (struct document_place){.version = 0};
    if (st == ST_DENIED) { /* not 401: no credential would help */
        http_respond_err_status(call->req, call->resp, 403, err);
        call->answered = true;
        return ST_OK;
    }
    return st == ST_OK ? source_link_redeem(call->config->knowledge, call->scope, link,
                                            &place_out->source_id, &place_out->version, err)
                       : st;
}

static enum status
get_blob_text(struct api_call *call, struct err *err)
{
    struct blob_link link = {.expires_at_us = 0};
    struct document_place place;
    struct str html;
    enum status st = redeem(call, &link, &place, err);

    if (st != ST_OK || call->answered)
        return st;
    if (id_is_none(&place.source_id.id))
        return err_set(err, ST_NOT_FOUND, "There is no text of this file.");
    st = api_query_number(call, "start", 0, &place.start, err);
    if (st == ST_OK)
        st = api_query_number(call, "end", place.start, &place.end, err);
    if (st == ST_OK)
        st = api_document_page(call, &place, str_from_c(link.file_name),
                               http_request_param(call->req, "token"), &html, err);
    if (st != ST_OK)
        return st;
    http_respond(call->resp, 200, "text/html; charset=utf-8", html);
    http_respond_header(
        call->resp, "Content-Security-Policy",
        STR("sandbox allow-downloads; default-src 'none'; style-src 'unsafe-inline'"));
    http_respond_header(call->resp, "Cache-Control", STR("private, no-store"));
    http_respond_header(call->resp, "Referrer-Policy", STR("no-referrer"));
    call->answered = true;
    return ST_OK;
}

static enum status
get_blob(struct api_call *call, struct err *err)
{
    struct blob_link link = {.expires_at_us = 0};
    struct document_place place;
    struct blob_reader *reader = NULL;
    struct blob_info info;
    enum status st = redeem(call, &link, &place, err);

    if (call->answered)
        return st;
    if (st == ST_OK)
        st = blob_reader_open(call->config->blobs, call->scope, str_from_c(link.key), &reader,
                              &info, err);
    if (st == ST_OK)
        st = send_object(call, &link, !id_is_none(&place.source_id.id), reader, &info, err);
    blob_reader_close(&reader);
    return st;
}

const struct api_operation api_blob_operations[] = {
    {HTTP_GET, "/v1/blobs/{token}", "blobs.get", "Knowledge",
     "A file behind an expiring link, whole or with Range in part; the link is the permission",
     ACCESS_PUBLIC, 0, get_blob, 0, 0, NULL, NULL, NULL, 200},
    {HTTP_GET, "/v1/blobs/{token}/text", "blobs.text", "Knowledge",
     "The text of a document behind such a link as a page, with a passage marked", ACCESS_PUBLIC, 0,
     get_blob_text, 0, 0, NULL, NULL,
     "start:integer:Mark from this byte of the text;end:integer:to this", 200},
    {.path = NULL},
};
