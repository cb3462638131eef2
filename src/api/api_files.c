/*
 * api_files.c - files that staff sends with a message, kept as objects before it; links to files
 */
#include "api/api_files.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/log.h"
#include "blob/blob.h"
#include "net/virus_scan.h"

#define CONTENT_MAX_LEN (2 * API_FILES_BODY_MAX_BYTES)
#define SCAN_DEADLINE_MS 30000
#define DEFAULT_TYPE "application/octet-stream"
#define FETCHED_FROM "files need http.public_url: they are fetched from there"

struct given_file {
    struct str name, mime_type, content;
};

/* --- one file --- */

static bool
is_type(struct str type)
{
    if (type.len > BLOB_CONTENT_TYPE_MAX_BYTES || str_find_byte(type, '/') <= 0)
        return false;
    for (size_t i = 0; i < type.len; i++)
        if (type.ptr[i] <= ' ' || type.ptr[i] > '~' || type.ptr[i] == '"')
            return false;
    return true;
}

static enum status
read_file(const json_t *given, size_t number, struct given_file *file_out, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "name",
         .kind = JSON_FIELD_STR,
         .required = true,
         .offset = offsetof(struct given_file, name),
         .max_len = BLOB_LINK_NAME_MAX_BYTES},
        {.key = "mime_type",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct given_file, mime_type)},
        {.key = "content",
         .kind = JSON_FIELD_STR,
         .required = true,
         .offset = offsetof(struct given_file, content),
         .max_len = CONTENT_MAX_LEN},
        {.key = NULL},
    };
    struct err ignored;
    enum status st = ST_OK;

    *file_out = (struct given_file){.mime_type = STR(DEFAULT_TYPE)};
    if (!json_is_object(given))
        return err_set(err, ST_INVALID, "attachments[%zu] is no object", number);
    st = json_read(given, fields, file_out, err);
    if (st != ST_OK)
        return err_wrap(err, "attachments[%zu]", number);
    if (str_find_byte(file_out->name, '/') >= 0 ||
        blob_key_check(file_out->name, &ignored) != ST_OK)
        return err_set(err, ST_INVALID, "attachments[%zu]: a file cannot have this name", number);
    if (!is_type(file_out->mime_type))
        return err_set(err, ST_INVALID, "attachments[%zu]: mime_type must be like \"image/png\"",
                       number);
    return ST_OK;
}

/* ST_OK: nothing was found, or nobody looks. */
static enum status
scan_file(struct api_call *call, struct str bytes, size_t number, struct err *err)
{
    struct virus_verdict verdict = {.is_infected = false};
    enum status st;

    if (call->config->scanner.len == 0)
        return ST_OK;
    st = virus_scan_bytes(call->config->scanner, SCAN_DEADLINE_MS, bytes, &verdict, err);
    if (st == ST_TOO_LARGE)
        return err_set(err, ST_TOO_LARGE, "attachments[%zu] is larger than the virus scanner takes",
                       number);
    if (st != ST_OK) {
        const struct err said = *err;

        err_set(err, st, "attachments[%zu]: no verdict from the virus scanner, nothing is sent",
                number);
        return err_wrap(err, "%s", said.detail);
    }
    if (!verdict.is_infected)
        return ST_OK;
    LOG(LOG_WARN, "media.infected", log_str("user_id", ID_STR(call->principal.user_id)),
        log_int("attachment", (int64_t)number), log_cstr("signature", verdict.name));
    return err_set(err, ST_INVALID, "attachments[%zu] is infected: %.60s", number, verdict.name);
}

static enum status
put_file(struct api_call *call, struct str key, const struct given_file *file, size_t number,
         struct blob_info *info_out, struct err *err)
{
    const struct blob_put_spec spec = {.key = key, .content_type = file->mime_type};
    unsigned char *bytes = malloc(file->content.len + 1);
    size_t length = 0;
    enum status st = ST_OK;

    if (bytes == NULL)
        abort();
    if (sodium_base642bin(bytes, file->content.len + 1, file->content.ptr, file->content.len,
                          "\r\n", &length, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        length == 0)
        st = err_set(err, ST_INVALID,
                     "attachments[%zu]: content must be the file's bytes in base64", number);
    else if (length > call->config->max_file_bytes)
        st = err_set(err, ST_TOO_LARGE, "attachments[%zu] is larger than media.max_size", number);
    if (st == ST_OK)
        st = scan_file(call, str_of((const char *)bytes, length), number, err);
    if (st == ST_OK)
        st = blob_put_bytes(call->config->blobs, call->scope, &spec,
                            str_of((const char *)bytes, length), info_out, err);
    free(bytes);
    return st;
}

static enum status
keep_file(struct api_call *call, struct api_files *files, const json_t *given, struct err *err)
{
    size_t number = json_array_size(files->attachments);
    struct str key = gateway_media_key(files->words.id, number, call->arena);
    struct given_file file;
    struct blob_info info;
    json_t *attachment;
    enum status st = read_file(given, number, &file, err);

    if (st == ST_OK)
        st = put_file(call, key, &file, number, &info, err);
    if (st != ST_OK)
        return st;
    attachment = json_object();
    json_set_str(attachment, "kind", str_from_c(channel_attachment_kind(file.mime_type)));
    json_set_str(attachment, "object", key);
    json_set_str(attachment, "file_name", file.name);
    json_set_str(attachment, "mime_type", file.mime_type);
    json_set_int(attachment, "size_bytes", (int64_t)info.size_bytes);
    json_set_str(attachment, "sha256", str_from_c(info.sha256));
    json_array_append_new(files->attachments, attachment);
    return ST_OK;
}

/* --- all of a message --- */

struct place {
    struct conversation_id id;
    struct arena *arena;
    struct conversation conversation;
};

static enum status
read_place(struct store_tx *tx, void *arg, struct err *err)
{
    struct place *place = arg;

    return conversation_get(tx, place->id, place->arena, &place->conversation, err);
}

/* How many bytes of files the conversation's channel takes. Most providers fetch files, or are
 * given an address for the person to follow; the web chat asks this server itself, a mail has them
 * in it. */
static enum status
find_reach(struct api_call *call, struct conversation_id id, uint64_t *max_bytes_out,
           struct err *err)
{
    struct place place = {.id = id, .arena = call->arena};
    const struct channel_driver *driver = NULL;
    enum status st = api_read(call, "conversation_get", read_place, &place, err);
    unsigned caps;

    if (st != ST_OK)
        return st;
    driver = channel_driver_find(call->config->channels, place.conversation.source);
    caps = driver == NULL ? 0 : channel_driver_caps(driver);
    *max_bytes_out = (caps & CHANNEL_ENCLOSES) != 0 ? CHANNEL_ENCLOSED_MAX_BYTES : 0;
    if (call->config->public_url.len > 0 || (caps & CHANNEL_LOCAL) != 0)
        *max_bytes_out = UINT64_MAX;
    return ST_OK;
}

static uint64_t
size_of(const json_t *attachments)
{
    uint64_t size = 0;
    json_t *attachment;
    size_t i;

    json_array_foreach (attachments, i, attachment) {
        size += (uint64_t)json_get_int(attachment, "size_bytes", 0);
    }
    return size;
}

static struct str
names_of(const json_t *attachments, struct arena *arena)
{
    struct str names = STR("");
    json_t *attachment;
    size_t i;

    json_array_foreach (attachments, i, attachment) {
        names = arena_printf(arena, "%.*s%s%.*s", STR_ARG(names), i > 0 ? ", " : "",
                             STR_ARG(json_get_str(attachment, "file_name")));
    }
    return names;
}

enum status
api_files_keep(struct api_call *call, struct conversation_id id, struct str text,
               const json_t *given, struct api_files *files_out, struct err *err)
{
    enum status st = ST_OK;
    uint64_t max_bytes = 0;
    json_t *one;
    size_t i;

    *files_out = (struct api_files){.words = {.id = ID_NEW(message_id), .text = text}};
    if (json_array_size(given) == 0)
        return ST_OK;
    if (json_array_size(given) > API_FILES_MAX)
        return err_set(err, ST_INVALID, "attachments: at most %d", API_FILES_MAX);
    st = find_reach(call, id, &max_bytes, err);
    if (st == ST_OK && max_bytes == 0)
        st = err_set(err, ST_INVALID, FETCHED_FROM);
    files_out->attachments = json_array();
    json_array_foreach (given, i, one)
        if (st == ST_OK)
            st = keep_file(call, files_out, one, err);
    if (st == ST_OK && size_of(files_out->attachments) > max_bytes)
        st = err_set(err, ST_INVALID, "over %d MB " FETCHED_FROM,
                     (int)(CHANNEL_ENCLOSED_MAX_BYTES / 1000000));
    files_out->words.attachments = files_out->attachments;
    if (str_trim(text).len == 0)
        files_out->words.text = names_of(files_out->attachments, call->arena);
    return st;
}

void
api_files_end(struct api_call *call, struct api_files *files, enum status st)
{
    struct err ignored; /* upkeep removes what stays */
    json_t *one;
    size_t i;

    if (st != ST_OK && st != ST_UNCERTAIN)
        json_array_foreach (files->attachments, i, one)
            (void)!blob_delete(call->config->blobs, call->scope, json_get_str(one, "object"),
                               &ignored);
    json_decref(files->attachments);
    files->attachments = NULL;
}

/* --- links --- */

enum status
api_file_link(struct api_call *call, const struct message *message, struct str number,
              struct err *err)
{
    json_auto_t *metadata = NULL;
    struct blob_link_spec link = {.expires_at_us = 0};
    struct str token;
    json_t *attachment;
    int64_t index = -1;
    enum status st = json_parse(message->metadata, &metadata, err);

    if (st != ST_OK)
        return st;
    attachment = str_to_i64(number, &index) && index >= 0
                     ? json_array_get(json_get_array(metadata, "attachments"), (size_t)index)
                     : NULL;
    link.key = json_get_str(attachment, "object");
    if (attachment == NULL)
        return err_set(err, ST_NOT_FOUND, "the message has no such attachment");
    if (link.key.len == 0 && json_get_str(attachment, "refused").len > 0)
        return err_set(err, ST_NOT_FOUND, "this attachment was not kept: %.*s",
                       STR_ARG(json_get_str(attachment, "refused")));
    if (link.key.len == 0)
        return err_set(err, ST_NOT_FOUND, "this attachment has not been fetched");
    link.content_type = json_get_str(attachment, "mime_type");
    link.file_name = json_get_str(attachment, "file_name");
    st = api_link_expiry(call, &link.expires_at_us, err);
    if (st != ST_OK)
        return st;
    if (link.file_name.len == 0 || blob_link_make(call->config->blobs, call->scope, &link,
                                                  call->arena, &token, err) != ST_OK) {
        /* A name that a file cannot have is the sender's whim, no reason to keep it from staff. */
        link.file_name = arena_printf(call->arena, "attachment-%lld", (long long)index);
        st = blob_link_make(call->config->blobs, call->scope, &link, call->arena, &token, err);
    }
    return st == ST_OK ? api_reply_link(call, token, link.expires_at_us) : st;
}
