/*
 * email_form.c - what Mailgun, SendGrid and Postmark post about a mail, to struct email
 *
 * Each can hand over the mail as it was sent ("body-mime", "email", "RawEmail"): then it goes the
 * way of a mailbox's. Else the fields are read here; the header is always the mail's own, so that
 * threads and machines are recognised alike whoever delivers.
 */
#include "channel/drivers/email.h"

#include <gmime/gmime.h>
#include <sodium.h>
#include <string.h>

#include "channel/form.h"
#include "text/json.h"

#define MAX_HEADERS 500

/* --- forms --- */

static enum status
read_urlencoded(struct str body, struct arena *arena, struct email_form *form_out, struct err *err)
{
    struct form form;
    enum status st = form_parse(body, arena, &form, err);

    if (st != ST_OK)
        return st;
    form_out->fields = ARENA_NEW_N(arena, struct email_field, form.count + 1);
    for (; form_out->count < form.count; form_out->count++)
        form_out->fields[form_out->count] = (struct email_field){
            .name = form.fields[form_out->count].name, .value = form.fields[form_out->count].value};
    return ST_OK;
}

/* The closing delimiter stands at the end: a form that was cut is none. */
static bool
is_whole_multipart(struct str content_type, struct str body, struct arena *arena)
{
    GMimeContentType *type = g_mime_content_type_parse(NULL, arena_cstr(arena, content_type));
    const char *boundary =
        type == NULL ? NULL : g_mime_content_type_get_parameter(type, "boundary");
    bool is_whole = boundary != NULL && boundary[0] != '\0' &&
                    str_ends_with(str_trim(body), arena_printf(arena, "\n--%s--", boundary));

    if (type != NULL)
        g_object_unref(type);
    return is_whole;
}

enum status
email_form_read(struct str content_type, struct str body, struct arena *arena,
                struct email_form *form_out, struct err *err)
{
    *form_out = (struct email_form){.count = 0};
    if (content_type.len > 300 || str_find_byte(content_type, '\0') >= 0 || body.len == 0)
        return err_set(err, ST_INVALID, "the form cannot be read");
    if (str_eq_nocase(str_sub(content_type, 0, 19), STR("multipart/form-data"))) {
        if (!is_whole_multipart(content_type, body, arena))
            return err_set(err, ST_INVALID, "the form is not whole");
        return email_mime_read_form(content_type, body, arena, form_out, err);
    }
    if (str_eq_nocase(str_sub(content_type, 0, 33), STR("application/x-www-form-urlencoded")))
        return read_urlencoded(body, arena, form_out, err);
    return err_set(err, ST_INVALID, "the body is no form");
}

const struct email_field *
email_form_find(const struct email_form *form, const char *name)
{
    for (size_t i = 0; i < form->count; i++)
        if (str_eq_c(form->fields[i].name, name))
            return &form->fields[i];
    return NULL;
}

struct str
email_form_get(const struct email_form *form, const char *name)
{
    const struct email_field *field = email_form_find(form, name);

    return field == NULL ? STR_EMPTY : field->value;
}

/* --- what they have in common --- */

static void
add_header(struct email *email, struct arena *arena, struct str name, struct str value)
{
    if (email->headers == NULL)
        email->headers = ARENA_NEW_N(arena, struct email_header, MAX_HEADERS);
    if (name.len > 0 && email->header_count < MAX_HEADERS)
        email->headers[email->header_count++] =
            (struct email_header){arena_str(arena, name), arena_str(arena, str_trim(value))};
}

static void
add_file(struct email *email, struct arena *arena, const struct email_file *file)
{
    if (email->files == NULL)
        email->files = ARENA_NEW_N(arena, struct email_file, EMAIL_MAX_FILES);
    if (email->file_count < EMAIL_MAX_FILES)
        email->files[email->file_count++] = *file;
}

/* Bounces arrive with their machine-readable part as a file. */
static void
take_form_files(struct email *email, const struct email_form *form, struct arena *arena)
{
    for (size_t i = 0; i < form->count; i++) {
        const struct email_field *field = &form->fields[i];
        const struct email_file file = {
            .name = field->file_name, .mime_type = field->mime_type, .bytes = field->value};

        if (!field->is_file)
            continue;
        if (str_eq_c(field->mime_type, "message/delivery-status") ||
            str_eq_c(field->mime_type, "message/feedback-report"))
            email->report = email_clean(field->value, 65536, arena, NULL);
        else
            add_file(email, arena, &file);
    }
}

static enum status
finish(struct email *email, struct str text, struct str html, struct arena *arena, struct err *err)
{
    email_header_read(email, arena);
    email_body_set(email, text, html, arena);
    if (email->from.len == 0)
        return err_set(err, ST_INVALID, "the mail has no sender");
    return ST_OK;
}

/* --- Mailgun --- */

static enum status
read_mailgun(const struct email_form *form, struct arena *arena, struct email *email,
             struct err *err)
{
    json_auto_t *headers = NULL;
    struct str raw = email_form_get(form, "body-mime");
    size_t i;
    json_t *pair;

    if (raw.len > 0)
        return email_mime_read(raw, arena, email, err);
    if (json_parse(email_form_get(form, "message-headers"), &headers, err) != ST_OK ||
        !json_is_array(headers))
        return err_set(err, ST_INVALID, "message-headers is missing or no list");
    json_array_foreach (headers, i, pair)
        if (json_is_array(pair) && json_array_size(pair) == 2) {
            const char *name = json_string_value(json_array_get(pair, 0));
            const char *value = json_string_value(json_array_get(pair, 1));

            add_header(email, arena, str_from_c(name), str_from_c(value));
        }
    if (email_header_get(email, "From").ptr == NULL)
        add_header(email, arena, STR("From"), email_form_get(form, "from"));
    take_form_files(email, form, arena);
    return finish(email, email_form_get(form, "body-plain"), email_form_get(form, "body-html"),
                  arena, err);
}

/* --- SendGrid --- */

/* The field in UTF-8: "charsets" names the one it came in. */
static struct str
in_utf8(const struct email_form *form, const json_t *charsets, const char *name,
        struct arena *arena)
{
    struct str value = email_form_get(form, name);
    struct str charset = json_get_str(charsets, name);
    char *converted;
    gsize length = 0;

    if (value.len == 0 || charset.len == 0 || charset.len > 40 ||
        str_eq_nocase(charset, STR("utf-8")))
        return value;
    converted = g_convert_with_fallback(value.ptr, (gssize)value.len, "UTF-8",
                                        arena_cstr(arena, charset), "?", NULL, &length, NULL);
    if (converted == NULL)
        return value;
    value = arena_str(arena, str_of(converted, length));
    g_free(converted);
    return value;
}

static enum status
read_sendgrid(const struct email_form *form, struct arena *arena, struct email *email,
              struct err *err)
{
    json_auto_t *charsets = NULL;
    struct str raw = email_form_get(form, "email");
    struct err ignored;

    if (raw.len > 0) {
        enum status st = email_mime_read(raw, arena, email, err);

        email->dkim_verdict = email_form_get(form, "dkim");
        return st;
    }
    email->dkim_verdict = email_form_get(form, "dkim");
    (void)!json_parse(email_form_get(form, "charsets"), &charsets, &ignored);
    email_mime_read_headers(email_form_get(form, "headers"), arena, email);
    if (email->header_count == 0)
        return err_set(err, ST_INVALID, "the form has no headers");
    take_form_files(email, form, arena);
    return finish(email, in_utf8(form, charsets, "text", arena),
                  in_utf8(form, charsets, "html", arena), arena, err);
}

/* --- Postmark --- */

static enum status
take_postmark_file(const json_t *attachment, struct arena *arena, struct email *email,
                   struct err *err)
{
    struct str content = json_get_str(attachment, "Content");
    struct email_file file = {
        .name = email_clean(json_get_str(attachment, "Name"), 255, arena, NULL),
        .mime_type = email_clean(json_get_str(attachment, "ContentType"), 100, arena, NULL),
        .is_inline = json_get_str(attachment, "ContentID").len > 0,
    };
    unsigned char *bytes = arena_try_alloc(arena, content.len + 1);
    size_t length = 0;

    if (bytes == NULL)
        return err_set(err, ST_TOO_LARGE, "the mail's attachments are too large");
    if (sodium_base642bin(bytes, content.len + 1, content.ptr == NULL ? "" : content.ptr,
                          content.len, "\r\n", &length, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return err_set(err, ST_INVALID, "an attachment is no base64");
    file.bytes = str_of((const char *)bytes, length);
    if (str_starts_with(file.mime_type, STR("message/delivery-status")))
        email->report = email_clean(file.bytes, 65536, arena, NULL);
    else
        add_file(email, arena, &file);
    return ST_OK;
}

static enum status
read_postmark(const json_t *root, struct arena *arena, struct email *email, struct err *err)
{
    const json_t *headers = json_get_array(root, "Headers");
    const json_t *attachments = json_get_array(root, "Attachments");
    struct str raw = json_get_str(root, "RawEmail");
    enum status st = ST_OK;
    size_t i;
    json_t *entry;

    if (raw.len > 0)
        return email_mime_read(raw, arena, email, err);
    if (json_get_str(root, "From").len == 0 || headers == NULL)
        return err_set(err, ST_INVALID, "From or Headers is missing");
    json_array_foreach (headers, i, entry) {
        add_header(email, arena, json_get_str(entry, "Name"), json_get_str(entry, "Value"));
    }
    /* These four stand beside the header, not in it. */
    add_header(email, arena, STR("From"), json_get_str(root, "From"));
    add_header(email, arena, STR("To"), json_get_str(root, "To"));
    add_header(email, arena, STR("Cc"), json_get_str(root, "Cc"));
    add_header(email, arena, STR("Subject"), json_get_str(root, "Subject"));
    add_header(email, arena, STR("Reply-To"), json_get_str(root, "ReplyTo"));
    add_header(email, arena, STR("Date"), json_get_str(root, "Date"));
    if (email_header_get(email, "Message-ID").ptr == NULL &&
        json_get_str(root, "MessageID").len > 0)
        add_header(email, arena, STR("Message-ID"),
                   arena_printf(arena, "<%.*s@inbound.postmarkapp.com>",
                                STR_ARG(json_get_str(root, "MessageID"))));
    json_array_foreach (attachments, i, entry)
        if (st == ST_OK)
            st = take_postmark_file(entry, arena, email, err);
    return st == ST_OK ? finish(email, json_get_str(root, "TextBody"),
                                json_get_str(root, "HtmlBody"), arena, err)
                       : st;
}

enum status
email_form_to_email(enum email_inbound inbound, struct str content_type, struct str body,
                    struct arena *arena, struct email *email_out, struct err *err)
{
    json_auto_t *root = NULL;
    struct email_form form;
    enum status st;

    *email_out = (struct email){.date_us = 0};
    if (inbound == EMAIL_POSTMARK) {
        st = json_parse(body, &root, err);
        if (st == ST_OK && !json_is_object(root))
            st = err_set(err, ST_INVALID, "the body is no object");
        return st == ST_OK ? read_postmark(root, arena, email_out, err) : st;
    }
    st = email_form_read(content_type, body, arena, &form, err);
    if (st != ST_OK)
        return st;
    return inbound == EMAIL_MAILGUN ? read_mailgun(&form, arena, email_out, err)
                                    : read_sendgrid(&form, arena, email_out, err);
}
