/*
 * mail.c - a mail (RFC 5322, RFC 2045): who wrote what to whom, and its attachments as members
 *
 * Parsed by GMime, as the mail channel does; here the whole text counts, quotes and all. What is
 * read is the mail's plain text, or its HTML where there is no plain text. Everything with a name
 * or a disposition "attachment", and a mail within the mail, is a member.
 */
#include <gmime/gmime.h>
#include <iconv.h>
#include <string.h>

#include "extract/charset.h"
#include "extract/html.h"
#include "extract/members.h"

#define MAX_LEVELS 20
#define MAX_PARTS 1000
#define MAX_BOUNDARIES 1000 /* GMime walks nested parts with recursion */
#define TEXT_MAX_BYTES ((size_t)8 * 1024 * 1024)
#define HEADER_LINE_MAX_BYTES 2000

struct mail {
    struct members *members; /* NULL: the body is looked for, else the attachments */
    struct buf text, html, names;
    struct buf html_charset;
    unsigned parts;
    enum status st;
    struct err *err;
};

/* --- before the sandbox --- */

void
mail_prepare(void)
{
    /* The C library loads a file for each of them, at its first use. They stay open. */
    static const char *const charsets[] = {
        "ISO-8859-1",   "ISO-8859-2", "ISO-8859-9", "ISO-8859-15", "WINDOWS-1250", "WINDOWS-1251",
        "WINDOWS-1252", "KOI8-R",     "UTF-16",     "ISO-2022-JP", "SHIFT_JIS",    "EUC-JP",
        "GB18030",      "GBK",        "BIG5",       "EUC-KR"};

    members_use_utf8();
    for (size_t i = 0; i < sizeof(charsets) / sizeof(charsets[0]); i++)
        (void)!iconv_open("UTF-8", charsets[i]);
    g_mime_init();
}

/* --- parts --- */

static void
append_text(struct buf *out, struct str text)
{
    if (out->len > 0)
        buf_append_c(out, "\n\n");
    buf_append(out, str_sub(text, 0, str_utf8_floor(text, TEXT_MAX_BYTES)));
}

static GByteArray *
bytes_of(GMimeStream *stream, GMimePart *part)
{
    GMimeDataWrapper *content = g_mime_part_get_content(part);

    if (content != NULL)
        (void)g_mime_data_wrapper_write_to_stream(content, stream);
    return g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream));
}

static void
take_html(struct mail *mail, GMimeObject *object)
{
    GMimeStream *stream = g_mime_stream_mem_new();
    const GByteArray *bytes = bytes_of(stream, GMIME_PART(object));
    const char *charset = g_mime_object_get_content_type_parameter(object, "charset");

    if (mail->html.len == 0 && charset != NULL)
        buf_append_c(&mail->html_charset, charset);
    if (mail->html.len == 0)
        buf_append(&mail->html, str_of((const char *)bytes->data, bytes->len));
    g_object_unref(stream);
}

/* Attachments are told apart by a number where two have one name. */
static void
take_member(struct mail *mail, struct str name, struct str bytes)
{
    struct buf whole;

    buf_init(&whole, 2000);
    buf_append_byte(&whole, '\n');
    buf_append(&whole, name);
    buf_append_byte(&whole, '\n');
    if (name.len == 0)
        buf_printf(&whole, "attachment-%u\n", mail->parts);
    else if (str_find(buf_str(&mail->names), buf_str(&whole)) >= 0)
        buf_printf(&whole, "%u-%.*s\n", mail->parts, STR_ARG(name));
    else
        buf_append(&mail->names, buf_str(&whole));
    name = str_trim(buf_str(&whole));
    if (str_find_byte(name, '\n') >= 0)
        name = str_sub(name, (size_t)str_find_byte(name, '\n') + 1, name.len);
    if (members_wants(mail->members, name)) {
        if (bytes.len > mail->members->left_bytes) {
            mail->st = err_set(mail->err, ST_TOO_LARGE, "Unpacked it is larger than is allowed.");
        } else {
            mail->members->left_bytes -= bytes.len;
            mail->st = members_add(mail->members, name, bytes, mail->err);
        }
    }
    buf_deinit(&whole);
}

static void
read_leaf(struct mail *mail, GMimeObject *object)
{
    GMimeContentType *type = g_mime_object_get_content_type(object);
    const char *disposition = g_mime_object_get_disposition(object);
    const char *name = g_mime_part_get_filename(GMIME_PART(object));
    bool is_file = name != NULL || (disposition != NULL && strcmp(disposition, "attachment") == 0);
    bool is_body = !is_file && GMIME_IS_TEXT_PART(object) &&
                   (g_mime_content_type_is_type(type, "text", "plain") ||
                    g_mime_content_type_is_type(type, "text", "html"));

    if (is_body && mail->members == NULL) {
        if (g_mime_content_type_is_type(type, "text", "html")) {
            take_html(mail, object);
        } else {
            char *text = g_mime_text_part_get_text(GMIME_TEXT_PART(object));

            append_text(&mail->text, str_from_c(text));
            g_free(text);
        }
    } else if (!is_body && mail->members != NULL) {
        GMimeStream *stream = g_mime_stream_mem_new();
        const GByteArray *bytes = bytes_of(stream, GMIME_PART(object));

        take_member(mail, str_from_c(name), str_of((const char *)bytes->data, bytes->len));
        g_object_unref(stream);
    }
}

static void
read_message(struct mail *mail, GMimeObject *object)
{
    GMimeMessage *message = g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));
    char *bytes;

    if (message == NULL || mail->members == NULL)
        return;
    bytes = g_mime_object_to_string(GMIME_OBJECT(message), NULL);
    take_member(mail, STR("message.eml"), str_from_c(bytes));
    g_free(bytes);
}

/* By hand and not by g_mime_multipart_foreach, which has no bound. */
static void
read_part(struct mail *mail, GMimeObject *object, int level) // NOLINT(misc-no-recursion)
{
    int count;

    if (object == NULL || mail->st != ST_OK || ++mail->parts > MAX_PARTS || level > MAX_LEVELS)
        return;
    if (GMIME_IS_MESSAGE_PART(object)) {
        read_message(mail, object);
        return;
    }
    if (GMIME_IS_PART(object)) {
        read_leaf(mail, object);
        return;
    }
    count = GMIME_IS_MULTIPART(object) ? g_mime_multipart_get_count(GMIME_MULTIPART(object)) : 0;
    for (int i = 0; i < count; i++)
        read_part(mail, g_mime_multipart_get_part(GMIME_MULTIPART(object), i), level + 1);
}

static enum status
walk(struct mail *mail, GMimeMessage *message)
{
    mail->parts = 0;
    mail->st = ST_OK;
    read_part(mail, g_mime_message_get_mime_part(message), 0);
    return mail->st;
}

/* --- the mail itself --- */

static void
append_header(struct buf *out, const char *name, const char *value)
{
    struct str text = str_trim(str_from_c(value));

    if (text.len == 0)
        return;
    if (out->len > 0)
        buf_append_byte(out, '\n');
    buf_append_c(out, name);
    buf_append_c(out, ": ");
    buf_append(out, str_sub(text, 0, str_utf8_floor(text, HEADER_LINE_MAX_BYTES)));
}

static void
write_addresses(struct buf *out, const char *name, InternetAddressList *list)
{
    char *text = list == NULL ? NULL : internet_address_list_to_string(list, NULL, FALSE);

    append_header(out, name, text);
    g_free(text);
}

static void
write_headers(GMimeMessage *message, struct document *document)
{
    GDateTime *date = g_mime_message_get_date(message);
    char *date_text = date == NULL ? NULL : g_date_time_format(date, "%Y-%m-%d %H:%M %z");
    char *rfc3339 = date == NULL ? NULL : g_date_time_format(date, "%Y-%m-%dT%H:%M:%S%:z");
    struct buf lines;

    buf_init(&lines, (size_t)8 * HEADER_LINE_MAX_BYTES);
    document_title(document, str_from_c(g_mime_message_get_subject(message)));
    write_addresses(&lines, "From", g_mime_message_get_from(message));
    write_addresses(&lines, "To", g_mime_message_get_addresses(message, GMIME_ADDRESS_TYPE_TO));
    write_addresses(&lines, "Cc", g_mime_message_get_addresses(message, GMIME_ADDRESS_TYPE_CC));
    append_header(&lines, "Date", date_text);
    document_block(document, EXTRACT_PARAGRAPH, 0, buf_str(&lines));
    if (rfc3339 != NULL)
        document_label(document, EXTRACT_DATE, str_from_c(rfc3339));
    buf_deinit(&lines);
    g_free(date_text);
    g_free(rfc3339);
}

static enum status
write_html(const struct mail *mail, const struct format_input *input, struct document *document,
           struct err *err)
{
    struct buf scratch;
    struct str text;
    const char *charset;
    enum status st;

    buf_init(&scratch, 3 * mail->html.len + 16);
    st = charset_to_utf8(buf_str(&mail->html), buf_str(&mail->html_charset), &scratch, &text,
                         &charset, err);
    if (st == ST_OK)
        st = html_read(text, input->max_memory_bytes, document, err);
    buf_deinit(&scratch);
    return st;
}

static enum status
write_body(struct mail *mail, const struct format_input *input, struct document *document,
           struct err *err)
{
    struct format_input text = *input;

    text.bytes = buf_str(&mail->text);
    if (str_trim(text.bytes).len > 0)
        return format_read_text(&text, document, err);
    return mail->html.len > 0 ? write_html(mail, input, document, err) : ST_OK;
}

/* --- bytes --- */

static bool
has_too_many_parts(struct str bytes)
{
    static const struct str word = STR_INIT("boundary");
    size_t count = 0;

    for (size_t at = 0; at + word.len <= bytes.len; at++)
        count += (bytes.ptr[at] | 0x20) == 'b' && str_eq_nocase(str_sub(bytes, at, word.len), word);
    return count > MAX_BOUNDARIES;
}

static enum status
parse(struct str bytes, GMimeMessage **message_out, struct err *err)
{
    GMimeStream *stream;
    GMimeParser *parser;

    *message_out = NULL;
    if (has_too_many_parts(bytes))
        return err_set(err, ST_TOO_LARGE, "The mail has too many parts.");
    stream = g_mime_stream_mem_new_with_buffer(bytes.ptr, bytes.len);
    parser = g_mime_parser_new_with_stream(stream);
    *message_out = g_mime_parser_construct_message(parser, NULL);
    g_object_unref(stream);
    g_object_unref(parser);
    if (*message_out == NULL || g_mime_header_list_get_count(g_mime_object_get_header_list(
                                    GMIME_OBJECT(*message_out))) == 0) {
        if (*message_out != NULL)
            g_object_unref(*message_out);
        return err_set(err, ST_INVALID, "It is no mail: it begins with no header.");
    }
    return ST_OK;
}

static void
mail_init(struct mail *mail, struct members *members, struct err *err)
{
    *mail = (struct mail){.members = members, .err = err};
    buf_init(&mail->text, 2 * TEXT_MAX_BYTES);
    buf_init(&mail->html, 2 * TEXT_MAX_BYTES);
    buf_init(&mail->names, TEXT_MAX_BYTES);
    buf_init(&mail->html_charset, 100);
}

static void
mail_deinit(struct mail *mail)
{
    buf_deinit(&mail->text);
    buf_deinit(&mail->html);
    buf_deinit(&mail->names);
    buf_deinit(&mail->html_charset);
}

enum status
mail_read_members(struct members *members, struct str bytes,
                  struct err *err) // NOLINT(misc-no-recursion)
{
    GMimeMessage *message;
    struct mail mail;
    enum status st = parse(bytes, &message, err);

    if (st != ST_OK)
        return st;
    mail_init(&mail, members, err);
    st = walk(&mail, message);
    mail_deinit(&mail);
    g_object_unref(message);
    return st;
}

enum status
format_read_mail(const struct format_input *input, struct document *document, struct err *err)
{
    struct members members;
    GMimeMessage *message;
    struct mail mail;
    enum status st = parse(input->bytes, &message, err);

    if (st != ST_OK)
        return st;
    mail_init(&mail, NULL, err);
    members_init(&members, input, document);
    st = walk(&mail, message);
    if (st == ST_OK)
        write_headers(message, document);
    if (st == ST_OK)
        st = write_body(&mail, input, document, err);
    mail.members = &members;
    if (st == ST_OK)
        st = walk(&mail, message);
    members_deinit(&members);
    mail_deinit(&mail);
    g_object_unref(message);
    return st == ST_OK ? document_check(document, err) : st;
}
