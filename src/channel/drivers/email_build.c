/*
 * email_build.c - an answer as a mail, by GMime
 *
 * Text and HTML of the same words, in UTF-8, encoded so that every line is short ASCII; the files
 * that it encloses behind them. The header
 * says that a machine answered, to which mail, and asks machines not to answer: RFC 3834.
 */
#include "channel/drivers/email.h"

#include <gmime/gmime.h>
#include <string.h>

#include "channel/markup.h"
#include "text/json.h"

#define MAX_REFERENCES 20
#define SUBJECT_MAX_BYTES 200
#define HTML_MAX_BYTES ((size_t)512 * 1024)

/* --- subject --- */

static struct str
without_prefixes(struct str subject)
{
    static const char *const prefixes[] = {
        "re:", "aw:", "antw:", "sv:", "rv:", "fwd:", "fw:", "wg:", "tr:", NULL};
    bool found = true;

    while (found) {
        found = false;
        subject = str_trim(subject);
        for (size_t i = 0; prefixes[i] != NULL && !found; i++) {
            struct str prefix = str_from_c(prefixes[i]);

            found = str_eq_nocase(str_sub(subject, 0, prefix.len), prefix) && subject.len > 0;
            if (found)
                subject = str_sub(subject, prefix.len, subject.len);
        }
    }
    return subject;
}

static const char *
subject_of(const struct email_channel *email, const struct outbound *outbound, struct arena *arena)
{
    const json_t *answered = json_get_object(outbound->answers_metadata, "email");
    struct str subject = without_prefixes(json_get_str(answered, "subject"));

    subject = str_sub(subject, 0, str_utf8_floor(subject, SUBJECT_MAX_BYTES));
    if (answered != NULL)
        return arena_printf(arena, "Re: %.*s", STR_ARG(subject)).ptr;
    return arena_printf(arena, "%.*s", STR_ARG(email->name.len > 0 ? email->name : email->address))
        .ptr;
}

/* --- threads --- */

/* Their references and the mail itself: the first and the last ones when there are many. */
static const char *
references_of(struct str references, struct str answered, struct arena *arena)
{
    struct str rest = references, id;
    struct buf out;
    size_t count = 0, at = 0;

    while (str_split(&rest, ' ', &id))
        count += id.len > 0;
    buf_init(&out, 65536);
    rest = references;
    while (str_split(&rest, ' ', &id)) {
        bool is_kept = at == 0 || at + MAX_REFERENCES > count;

        if (id.len == 0)
            continue;
        at++;
        if (is_kept && !str_eq(id, answered))
            buf_printf(&out, "<%.*s> ", STR_ARG(id));
    }
    buf_printf(&out, "<%.*s>", STR_ARG(answered));
    const char *text = arena_str(arena, buf_str(&out)).ptr;
    buf_deinit(&out);
    return text;
}

/* What we answer: the id without our own prefix "<address>:". */
static struct str
answered_id(const struct outbound *outbound)
{
    const json_t *answered = json_get_object(outbound->answers_metadata, "email");
    struct str id = json_get_str(answered, "message_id");

    /* One that we made up for a mail without any says nothing to others. */
    return str_starts_with(id, STR("sha256-")) ? STR_EMPTY : id;
}

static void
set_thread(GMimeObject *message, const struct outbound *outbound, struct arena *arena)
{
    const json_t *answered = json_get_object(outbound->answers_metadata, "email");
    struct str id = answered_id(outbound);

    if (id.len == 0)
        return;
    g_mime_object_set_header(message, "In-Reply-To", arena_printf(arena, "<%.*s>", STR_ARG(id)).ptr,
                             NULL);
    g_mime_object_set_header(message, "References",
                             references_of(json_get_str(answered, "references"), id, arena), NULL);
}

/* --- body --- */

/* From the message's id, not from chance: the same mail at each attempt, byte for byte. */
static const char *
boundary_of(const char *what, const struct outbound *outbound, struct arena *arena)
{
    return arena_printf(arena, "=-parley-%s-%s-%u", what, outbound->message_id.id.text,
                        outbound->part)
        .ptr;
}

static GMimeObject *
text_part(const char *subtype, struct str text, struct arena *arena)
{
    GMimeTextPart *part = g_mime_text_part_new_with_subtype(subtype);

    g_mime_text_part_set_charset(part, "utf-8");
    g_mime_text_part_set_text(part, arena_cstr(arena, text));
    g_mime_part_set_content_encoding(GMIME_PART(part), GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
    return GMIME_OBJECT(part);
}

static struct str
html_of(struct str text, struct arena *arena)
{
    struct markup_style style = markup_html;
    struct buf out;
    struct str html;

    style.line_break = "<br>\n";
    buf_init(&out, HTML_MAX_BYTES);
    buf_append_c(&out, "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body>\n");
    buf_append(&out, markup_render(text, &style, arena, NULL));
    buf_append_c(&out, "\n</body></html>\n");
    html = out.failed ? STR_EMPTY : arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return html;
}

/* Files that an answer does not enclose are named with their addresses. */
static struct str
with_attachments(struct str text, const json_t *metadata, struct arena *arena)
{
    const json_t *attachments = json_get_array(metadata, "attachments");
    size_t i;
    json_t *entry;

    json_array_foreach (attachments, i, entry) {
        struct str url = json_get_str(entry, "url"), name = json_get_str(entry, "file_name");

        if (url.len > 0)
            text = arena_printf(arena, "%.*s\n%.*s%s%.*s", STR_ARG(text), STR_ARG(name),
                                name.len > 0 ? ": " : "", STR_ARG(url));
    }
    return text;
}

/* --- files --- */

static GMimeObject *
file_part(const json_t *attachment, struct str bytes, struct arena *arena)
{
    struct str type = json_get_str(attachment, "mime_type"), subtype = type, major = STR_EMPTY;
    struct str name = json_get_str(attachment, "file_name");
    GMimePart *part;

    (void)str_split(&subtype, '/', &major);
    /* Of these a part holds other parts, and is read as such: it is no file any more. */
    if (subtype.len == 0 || str_eq_nocase(major, STR("multipart")) ||
        str_eq_nocase(major, STR("message"))) {
        major = STR("application");
        subtype = STR("octet-stream");
    }
    part = g_mime_part_new_with_type(arena_cstr(arena, major), arena_cstr(arena, subtype));
    GMimeStream *stream = g_mime_stream_mem_new_with_buffer(bytes.ptr, bytes.len);
    GMimeDataWrapper *content =
        g_mime_data_wrapper_new_with_stream(stream, GMIME_CONTENT_ENCODING_DEFAULT);

    g_mime_part_set_content(part, content);
    g_mime_part_set_content_encoding(part, GMIME_CONTENT_ENCODING_BASE64);
    g_mime_object_set_disposition(GMIME_OBJECT(part), GMIME_DISPOSITION_ATTACHMENT);
    if (name.len > 0)
        g_mime_part_set_filename(part, arena_cstr(arena, name));
    g_object_unref(content);
    g_object_unref(stream);
    return GMIME_OBJECT(part);
}

/* Takes body; gives it with the files that are enclosed, if there are any. */
static GMimeObject *
with_files(GMimeObject *body, const struct outbound *outbound, struct arena *arena)
{
    const json_t *attachments = json_get_array(outbound->metadata, "attachments");
    GMimeMultipart *all = NULL;
    json_t *attachment;
    size_t i;

    json_array_foreach (attachments, i, attachment) {
        if (outbound->files == NULL || outbound->files[i].len == 0)
            continue;
        if (all == NULL) {
            all = g_mime_multipart_new_with_subtype("mixed");
            g_mime_multipart_set_boundary(all, boundary_of("files", outbound, arena));
            g_mime_multipart_add(all, body);
            g_object_unref(body);
        }
        GMimeObject *part = file_part(attachment, outbound->files[i], arena);

        g_mime_multipart_add(all, part);
        g_object_unref(part);
    }
    return all == NULL ? body : GMIME_OBJECT(all);
}

/* --- words --- */

static GMimeObject *
words_of(const struct outbound *outbound, struct arena *arena)
{
    struct str text = with_attachments(
        channel_list_buttons(outbound->text, outbound->metadata, arena), outbound->metadata, arena);
    struct str html = html_of(text, arena);
    GMimeObject *plain = text_part("plain", markup_render(text, &markup_plain, arena, NULL), arena);
    GMimeMultipart *both;
    GMimeObject *part;

    if (html.len == 0)
        return plain;
    both = g_mime_multipart_new_with_subtype("alternative");
    part = text_part("html", html, arena);
    g_mime_multipart_add(both, plain);
    g_mime_multipart_add(both, part);
    g_object_unref(plain);
    g_object_unref(part);
    g_mime_multipart_set_boundary(both, boundary_of("words", outbound, arena));
    return GMIME_OBJECT(both);
}

/* --- all --- */

static void
set_people(GMimeMessage *message, const struct email_channel *email,
           const struct outbound *outbound, struct arena *arena)
{
    const char *name = email->name.len > 0 ? arena_cstr(arena, email->name) : NULL;

    g_mime_message_add_mailbox(message, GMIME_ADDRESS_TYPE_FROM, name,
                               arena_cstr(arena, email->address));
    g_mime_message_add_mailbox(message, GMIME_ADDRESS_TYPE_TO, NULL,
                               arena_cstr(arena, outbound->external_chat_id));
}

static void
set_headers(GMimeMessage *message, const struct email_channel *email,
            const struct outbound *outbound, int64_t now_us, struct arena *arena)
{
    GMimeObject *object = GMIME_OBJECT(message);
    GDateTime *now = g_date_time_new_from_unix_utc(now_us / US_PER_S);
    struct str id = email_own_id(email, outbound, arena);

    set_people(message, email, outbound, arena);
    g_mime_message_set_subject(message, subject_of(email, outbound, arena), "utf-8");
    if (now != NULL) {
        g_mime_message_set_date(message, now);
        g_date_time_unref(now);
    }
    g_mime_message_set_message_id(message, id.ptr);
    set_thread(object, outbound, arena);
    g_mime_object_set_header(
        object, "Auto-Submitted",
        outbound->answers_external_id.len > 0 ? "auto-replied" : "auto-generated", NULL);
    g_mime_object_set_header(object, "X-Auto-Response-Suppress", "All", NULL);
    g_mime_object_set_header(object, "X-Loop", arena_cstr(arena, email->address), NULL);
    if (email->inbound == EMAIL_POSTMARK) {
        g_mime_object_set_header(object, "X-PM-KeepID", "true", NULL);
        g_mime_object_set_header(object, "X-PM-Metadata-parley", id.ptr, NULL);
    }
    g_mime_object_set_header(object, "MIME-Version", "1.0", NULL);
}

enum status
email_build(const struct email_channel *email, const struct outbound *outbound, int64_t now_us,
            struct arena *arena, struct str *bytes_out, struct err *err)
{
    GMimeFormatOptions *format;
    GMimeMessage *message;
    GMimeObject *body;
    char *text;
    enum status st;

    *bytes_out = STR_EMPTY;
    if (!email_address_is_valid(outbound->external_chat_id))
        return err_set(err, ST_INVALID, "the chat is no mail address");
    if (str_find_byte(outbound->text, '\0') >= 0 || !str_is_utf8(outbound->text))
        return err_set(err, ST_INVALID, "the text cannot be sent by mail");
    message = g_mime_message_new(FALSE);
    set_headers(message, email, outbound, now_us, arena);
    body = with_files(words_of(outbound, arena), outbound, arena);
    g_mime_message_set_mime_part(message, body);
    g_object_unref(body);
    format = g_mime_format_options_new();
    g_mime_format_options_set_newline_format(format, GMIME_NEWLINE_FORMAT_DOS);
    text = g_mime_object_to_string(GMIME_OBJECT(message), format);
    st = arena_try_str(arena, str_from_c(text), bytes_out, err);
    g_free(text);
    g_mime_format_options_free(format);
    g_object_unref(message);
    return st;
}
