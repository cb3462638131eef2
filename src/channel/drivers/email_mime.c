/*
 * email_mime.c - a mail's bytes to struct email, by GMime
 *
 * Text to read is the first text/plain of each alternative, else its HTML made text; everything
 * with a name or a disposition "attachment", and everything that is no text, is a file. A mail
 * within the mail is a file, too: what it says was said by another. GMime walks deep nesting with
 * recursion, so the number of levels is bounded before it sees them.
 */
#include "channel/drivers/email.h"

#include <gmime/gmime.h>
#include <string.h>

#define MAX_LEVELS 20
#define MAX_PARTS 500
#define MAX_NESTING_WORDS 100 /* a thread of ours has 512 kB of stack */
#define MAX_HEADERS 500
#define MAX_FIELDS 500
#define HEADER_MAX_BYTES ((size_t)64 * 1024)
#define REPORT_MAX_BYTES ((size_t)64 * 1024)
#define TEXT_RAW_MAX_BYTES ((size_t)2 * 1024 * 1024)

struct reading {
    struct arena *arena;
    struct email *email;
    struct buf text, html;
    size_t parts;
    enum status st;
};

/* --- GMime over memory --- */

static GMimeParser *
parser_of(struct str bytes)
{
    GMimeStream *stream = g_mime_stream_mem_new_with_buffer(bytes.ptr, bytes.len);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);

    g_object_unref(stream);
    return parser;
}

/* The decoded bytes of a part, at most what the arena has room for. */
static enum status
content_of(GMimePart *part, struct arena *arena, struct str *bytes_out)
{
    GMimeDataWrapper *content = g_mime_part_get_content(part);
    GMimeStream *stream;
    struct err ignored;
    enum status st;

    *bytes_out = STR_EMPTY;
    if (content == NULL)
        return ST_OK;
    stream = g_mime_stream_mem_new();
    (void)g_mime_data_wrapper_write_to_stream(content, stream);
    GByteArray *array = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream));
    st = arena_try_str(arena, str_of((const char *)array->data, array->len), bytes_out, &ignored);
    g_object_unref(stream);
    return st;
}

static void
copy_headers(GMimeHeaderList *list, struct arena *arena, struct email *email)
{
    int count = g_mime_header_list_get_count(list);

    if (count > MAX_HEADERS)
        count = MAX_HEADERS;
    if (email->headers == NULL)
        email->headers = ARENA_NEW_N(arena, struct email_header, 2 * MAX_HEADERS);
    for (int i = 0; i < count && email->header_count < (size_t)2 * MAX_HEADERS; i++) {
        GMimeHeader *header = g_mime_header_list_get_header_at(list, i);
        const char *value = g_mime_header_get_raw_value(header);

        email->headers[email->header_count++] = (struct email_header){
            .name = arena_str(arena, str_from_c(g_mime_header_get_name(header))),
            .value = arena_str(arena, str_trim(str_sub(str_from_c(value == NULL ? "" : value), 0,
                                                       HEADER_MAX_BYTES)))};
    }
}

/* --- parts --- */

static void
take_file(struct reading *r, GMimeObject *object, struct str name, struct str bytes)
{
    struct email *email = r->email;
    GMimeContentType *type = g_mime_object_get_content_type(object);
    char *mime_type = type == NULL ? NULL : g_mime_content_type_get_mime_type(type);
    const char *disposition = g_mime_object_get_disposition(object);

    if (email->files == NULL)
        email->files = ARENA_NEW_N(r->arena, struct email_file, EMAIL_MAX_FILES);
    if (email->file_count < EMAIL_MAX_FILES)
        email->files[email->file_count++] = (struct email_file){
            .name = email_clean(name, 255, r->arena, NULL),
            .mime_type = email_clean(str_from_c(mime_type), 100, r->arena, NULL),
            .bytes = bytes,
            .is_inline = g_mime_object_get_content_id(object) != NULL &&
                         (disposition == NULL || strcmp(disposition, "attachment") != 0),
        };
    g_free(mime_type);
}

static void
append_text(struct buf *out, GMimeTextPart *part)
{
    char *text = g_mime_text_part_get_text(part);

    if (text == NULL)
        return;
    if (out->len > 0)
        buf_append_c(out, "\n\n");
    buf_append(out, str_sub(str_from_c(text), 0, TEXT_RAW_MAX_BYTES));
    g_free(text);
}

static void
read_report(struct reading *r, GMimePart *part)
{
    struct str bytes;

    if (content_of(part, r->arena, &bytes) == ST_OK)
        r->email->report = email_clean(bytes, REPORT_MAX_BYTES, r->arena, NULL);
}

static void
read_leaf(struct reading *r, GMimeObject *object)
{
    GMimeContentType *type = g_mime_object_get_content_type(object);
    const char *disposition = g_mime_object_get_disposition(object);
    bool is_attachment = disposition != NULL && strcmp(disposition, "attachment") == 0;
    const char *name = GMIME_IS_PART(object) ? g_mime_part_get_filename(GMIME_PART(object)) : NULL;
    struct str bytes = STR_EMPTY;

    if (GMIME_IS_PART(object) &&
        (g_mime_content_type_is_type(type, "message", "delivery-status") ||
         g_mime_content_type_is_type(type, "message", "feedback-report"))) {
        read_report(r, GMIME_PART(object));
        return;
    }
    if (GMIME_IS_TEXT_PART(object) && !is_attachment && name == NULL) {
        if (g_mime_content_type_is_type(type, "text", "plain")) {
            append_text(&r->text, GMIME_TEXT_PART(object));
            return;
        }
        if (g_mime_content_type_is_type(type, "text", "html")) {
            append_text(&r->html, GMIME_TEXT_PART(object));
            return;
        }
    }
    if (GMIME_IS_PART(object))
        r->st = content_of(GMIME_PART(object), r->arena, &bytes);
    take_file(r, object, str_from_c(name), bytes);
}

/* A mail within the mail: its bytes are a file. */
static void
read_message(struct reading *r, GMimeObject *object)
{
    GMimeMessage *message = g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));
    struct err ignored;
    struct str bytes = STR_EMPTY;
    char *text;

    if (message == NULL)
        return;
    text = g_mime_object_to_string(GMIME_OBJECT(message), NULL);
    r->st = arena_try_str(r->arena, str_from_c(text), &bytes, &ignored);
    g_free(text);
    take_file(r, object, STR("message.eml"), bytes);
}

/* By hand and not by g_mime_multipart_foreach, which has no bound. */
static void
read_part(struct reading *r, GMimeObject *object, int level) // NOLINT(misc-no-recursion)
{
    int count;

    if (object == NULL || r->st != ST_OK || ++r->parts > MAX_PARTS || level > MAX_LEVELS)
        return;
    if (GMIME_IS_MESSAGE_PART(object)) {
        read_message(r, object);
        return;
    }
    if (!GMIME_IS_MULTIPART(object)) {
        read_leaf(r, object);
        return;
    }
    count = g_mime_multipart_get_count(GMIME_MULTIPART(object));
    for (int i = 0; i < count; i++)
        read_part(r, g_mime_multipart_get_part(GMIME_MULTIPART(object), i), level + 1);
}

/* How often types that hold others are named bounds how deep GMime can go. */
static bool
nests_too_deep(struct str bytes)
{
    static const struct str words[] = {STR_INIT("multipart"), STR_INIT("rfc822"),
                                       STR_INIT("message/")};
    size_t found = 0;

    for (size_t at = 0; at < bytes.len; at++) {
        char c = bytes.ptr[at];

        if (c == 'm' || c == 'M' || c == 'r' || c == 'R')
            for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
                found += str_eq_nocase(str_sub(bytes, at, words[i].len), words[i]);
    }
    return found > MAX_NESTING_WORDS;
}

enum status
email_mime_read(struct str bytes, struct arena *arena, struct email *email_out, struct err *err)
{
    struct reading r = {.arena = arena, .email = email_out};
    GMimeParser *parser;
    GMimeMessage *message;

    *email_out = (struct email){.date_us = 0};
    if (nests_too_deep(bytes))
        return err_set(err, ST_INVALID, "the mail has too many parts");
    parser = parser_of(bytes);
    message = g_mime_parser_construct_message(parser, NULL);
    g_object_unref(parser);
    if (message == NULL)
        return err_set(err, ST_INVALID, "this is no mail");
    buf_init(&r.text, TEXT_RAW_MAX_BYTES);
    buf_init(&r.html, TEXT_RAW_MAX_BYTES);
    copy_headers(g_mime_object_get_header_list(GMIME_OBJECT(message)), arena, email_out);
    GMimeObject *root = g_mime_message_get_mime_part(message);
    if (root != NULL)
        copy_headers(g_mime_object_get_header_list(root), arena, email_out);
    read_part(&r, root, 0);
    email_body_set(email_out, buf_str(&r.text), buf_str(&r.html), arena);
    buf_deinit(&r.text);
    buf_deinit(&r.html);
    g_object_unref(message);
    if (r.st != ST_OK)
        return err_set(err, ST_TOO_LARGE, "the mail's attachments are too large");
    email_header_read(email_out, arena);
    if (email_out->from.len == 0)
        return err_set(err, ST_INVALID, "the mail has no sender");
    return ST_OK;
}

void
email_mime_read_headers(struct str bytes, struct arena *arena, struct email *email)
{
    GMimeParser *parser = parser_of(arena_printf(
        arena, "%.*s\r\n\r\n", STR_ARG(str_sub(str_trim(bytes), 0, 4 * HEADER_MAX_BYTES))));
    GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);

    g_object_unref(parser);
    if (message == NULL)
        return;
    copy_headers(g_mime_object_get_header_list(GMIME_OBJECT(message)), arena, email);
    GMimeObject *root = g_mime_message_get_mime_part(message);
    if (root != NULL)
        copy_headers(g_mime_object_get_header_list(root), arena, email);
    g_object_unref(message);
}

/* --- forms --- */

static enum status
read_field(GMimeObject *object, struct arena *arena, struct email_form *form)
{
    GMimeContentDisposition *disposition = g_mime_object_get_content_disposition(object);
    const char *name, *file_name;
    struct email_field *field = &form->fields[form->count];

    if (disposition == NULL || !GMIME_IS_PART(object) || form->count == MAX_FIELDS)
        return ST_OK;
    name = g_mime_content_disposition_get_parameter(disposition, "name");
    file_name = g_mime_content_disposition_get_parameter(disposition, "filename");
    if (name == NULL)
        return ST_OK;
    field->name = arena_str(arena, str_from_c(name));
    field->is_file = file_name != NULL;
    field->file_name = email_clean(str_from_c(file_name), 255, arena, NULL);
    if (field->is_file) {
        char *mime_type = g_mime_content_type_get_mime_type(g_mime_object_get_content_type(object));

        field->mime_type = email_clean(str_from_c(mime_type), 100, arena, NULL);
        g_free(mime_type);
    }
    form->count++;
    return content_of(GMIME_PART(object), arena, &field->value);
}

enum status
email_mime_read_form(struct str content_type, struct str body, struct arena *arena,
                     struct email_form *form_out, struct err *err)
{
    struct buf whole;
    GMimeParser *parser;
    GMimeObject *object;
    enum status st = ST_OK;

    *form_out = (struct email_form){.fields = ARENA_NEW_N(arena, struct email_field, MAX_FIELDS)};
    if (str_find_byte(content_type, '\n') >= 0 || nests_too_deep(body))
        return err_set(err, ST_INVALID, "the form cannot be read");
    buf_init(&whole, body.len + content_type.len + 64);
    buf_append_c(&whole, "Content-Type: ");
    buf_append(&whole, content_type);
    buf_append_c(&whole, "\r\n\r\n");
    buf_append(&whole, body);
    parser = parser_of(buf_str(&whole));
    buf_deinit(&whole);
    object = g_mime_parser_construct_part(parser, NULL);
    g_object_unref(parser);
    if (object == NULL || !GMIME_IS_MULTIPART(object))
        st = err_set(err, ST_INVALID, "the form cannot be read");
    for (int i = 0; st == ST_OK && i < g_mime_multipart_get_count(GMIME_MULTIPART(object)); i++)
        if (read_field(g_mime_multipart_get_part(GMIME_MULTIPART(object), i), arena, form_out) !=
            ST_OK)
            st = err_set(err, ST_TOO_LARGE, "the form is too large");
    if (object != NULL)
        g_object_unref(object);
    return st;
}
