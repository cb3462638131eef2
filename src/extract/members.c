/*
 * members.c - which members are taken, and how much of them
 */
#include "extract/members.h"

#include <locale.h>
#include <string.h>

#include "knowledge/content_type.h"

#define MAX_DEPTH 4
#define MAX_ENTRIES 10000

void
members_init(struct members *members, const struct format_input *input, struct document *document)
{
    *members = (struct members){
        .document = document,
        .left_bytes = document->out.max_bytes,
        .left_entries = MAX_ENTRIES,
        .member_max_bytes = input->max_member_bytes,
        .max_memory_bytes = input->max_memory_bytes,
        .depth = 1,
        .prefix = STR(""),
    };
    buf_init(&members->first_failure, EXTRACT_FAILED_MAX_LEN);
}

void
members_deinit(struct members *members)
{
    buf_deinit(&members->first_failure);
}

void
members_use_utf8(void)
{
    /* lint-allow(banned): libarchive asks the process's locale, and the process is ours alone. */
    (void)!setlocale(LC_ALL, "C.UTF-8");
}

/* --- paths --- */

static bool
is_separator(char c)
{
    return c == '/' || c == '\\';
}

/* The next component; false at the end. */
static bool
next_component(struct str *path, struct str *component_out)
{
    size_t start = 0, end;

    while (start < path->len && is_separator(path->ptr[start]))
        start++;
    for (end = start; end < path->len && !is_separator(path->ptr[end]); end++)
        continue;
    *component_out = str_sub(*path, start, end - start);
    *path = str_sub(*path, end, path->len);
    return component_out->len > 0;
}

static bool
leads_out(struct str path)
{
    struct str component;

    if (path.len > 0 && is_separator(path.ptr[0]))
        return true;
    if (path.len > 1 && path.ptr[1] == ':')
        return true;
    while (next_component(&path, &component)) {
        if (str_eq(component, STR("..")))
            return true;
    }
    return false;
}

static bool
is_hidden(struct str path)
{
    struct str component;

    while (next_component(&path, &component)) {
        if ((component.ptr[0] == '.' && !str_eq(component, STR("."))) ||
            str_eq(component, STR("__MACOSX")))
            return true;
    }
    return false;
}

static bool
has_control(struct str path)
{
    for (size_t i = 0; i < path.len; i++) {
        if ((unsigned char)path.ptr[i] < 0x20 || path.ptr[i] == 0x7f)
            return true;
    }
    return false;
}

/* Without "./" and doubled separators, behind the prefix; bytes that are no UTF-8 are shown. */
static void
whole_path(const struct members *members, struct str path, struct buf *out)
{
    struct str component;

    buf_init(out, 4096);
    buf_append(out, members->prefix);
    while (next_component(&path, &component)) {
        if (str_eq(component, STR(".")))
            continue;
        if (out->len > members->prefix.len)
            buf_append_byte(out, '/');
        buf_append(out, component);
    }
    if (out->len == members->prefix.len) /* only "." */
        buf_append_byte(out, '?');
    for (size_t i = 0; i < out->len; i++) {
        if ((unsigned char)out->ptr[i] < 0x20 || out->ptr[i] == 0x7f)
            out->ptr[i] = '?';
    }
}

/* --- taking --- */

void
members_fail(struct members *members, struct str path, struct str sentence)
{
    struct buf whole;

    whole_path(members, path, &whole);
    document_member_failed(members->document, buf_str(&whole), sentence);
    if (members->first_failure.len == 0)
        buf_append(&members->first_failure,
                   str_sub(sentence, 0, str_utf8_floor(sentence, EXTRACT_FAILED_MAX_LEN)));
    buf_deinit(&whole);
}

bool
members_wants(struct members *members, struct str path)
{
    if (leads_out(path)) {
        members_fail(members, path, STR("Its path leads out of the archive."));
        return false;
    }
    if (is_hidden(path) || !content_type_of_name_is_read(path))
        return false;
    if (has_control(path)) {
        members_fail(members, path, STR("Its name holds control characters."));
        return false;
    }
    if (members->prefix.len + path.len > EXTRACT_PATH_MAX_LEN) {
        members_fail(members, path, STR("Its path in the archive is too long."));
        return false;
    }
    return true;
}

/* A container within: its members come under its name. */
static enum status
add_nested(struct members *members, struct str whole, struct str bytes,
           bool is_mail, // NOLINT(misc-no-recursion)
           struct err *err)
{
    struct str outer = members->prefix;
    char path[EXTRACT_PATH_MAX_LEN + 2];
    enum status st;

    if (members->depth >= MAX_DEPTH || whole.len > EXTRACT_PATH_MAX_LEN)
        return err_set(err, ST_INVALID, "It lies within too many archives.");
    memcpy(path, whole.ptr, whole.len);
    path[whole.len] = '/';
    members->prefix = str_of(path, whole.len + 1);
    members->depth++;
    st = is_mail ? mail_read_members(members, bytes, err)
                 : archive_read_members(members, bytes, err);
    members->depth--;
    members->prefix = outer;
    return st;
}

enum status
members_add(struct members *members, struct str path, struct str bytes,
            struct err *err) // NOLINT(misc-no-recursion)
{
    struct str type = str_from_c(content_type_guess(path, bytes));
    bool is_mail = str_eq(type, STR("message/rfc822"));
    enum status st = ST_OK;
    struct buf whole;

    if (str_eq(type, STR("application/octet-stream")))
        return ST_OK;
    if (bytes.len == 0) {
        members_fail(members, path, STR("The document is empty."));
        return ST_OK;
    }
    whole_path(members, path, &whole);
    if (!content_type_is_container(type) || is_mail) {
        members->read_count++;
        document_member(members->document, buf_str(&whole), bytes);
        st = document_check(members->document, err);
    }
    if (st == ST_OK && content_type_is_container(type))
        st = add_nested(members, buf_str(&whole), bytes, is_mail, err);
    buf_deinit(&whole);
    /* A mail whose attachments cannot be told is a document still, and says so when it is read. */
    if (st != ST_INVALID)
        return st;
    if (!is_mail)
        members_fail(members, path, str_from_c(err->public_text));
    return ST_OK;
}

enum status
members_check(const struct members *members, struct err *err)
{
    if (members->read_count > 0 || members->first_failure.len == 0)
        return document_check(members->document, err);
    return err_set(err, ST_INVALID, "%.*s", STR_ARG(buf_str(&members->first_failure)));
}

/* --- formats --- */

const struct format *
container_find(struct str content_type)
{
    static const struct format formats[] = {
        {"message/rfc822", "a mail", format_read_mail},
        {"application/zip", "an archive", format_read_archive},
        {"application/x-zip-compressed", "an archive", format_read_archive},
        {"application/x-tar", "an archive", format_read_archive},
        {"application/x-gtar", "an archive", format_read_archive},
        {"application/gzip", "an archive", format_read_archive},
        {"application/x-gzip", "an archive", format_read_archive},
    };

    return format_find_in(formats, sizeof(formats) / sizeof(formats[0]), content_type);
}
