/*
 * content_type.c - the types we know, by ending and by first bytes
 */
#include "knowledge/content_type.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *extension, *content_type;
} extensions[] = {
    {".md", "text/markdown"},
    {".markdown", "text/markdown"},
    {".mdown", "text/markdown"},
    {".html", "text/html"},
    {".htm", "text/html"},
    {".xhtml", "application/xhtml+xml"},
    {".txt", "text/plain"},
    {".text", "text/plain"},
    {".csv", "text/csv"},
    {".tsv", "text/tab-separated-values"},
    {".json", "application/json"},
    {".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {".odt", "application/vnd.oasis.opendocument.text"},
    {".pdf", "application/pdf"},
    {".eml", "message/rfc822"},
    {".zip", "application/zip"},
    {".tar", "application/x-tar"},
    {".tgz", "application/gzip"},
    {".gz", "application/gzip"},
};

/* What holds other documents; some are called differently by some who send them. */
static const char *const containers[] = {
    "message/rfc822",    "application/zip",  "application/x-zip-compressed",
    "application/x-tar", "application/gzip", "application/x-gzip",
    "application/x-gtar"};

static bool
ends_with_nocase(struct str name, struct str extension)
{
    return name.len > extension.len &&
           str_eq_nocase(str_sub(name, name.len - extension.len, extension.len), extension);
}

/* Whether the name has an extension at all ("notes v1.2 final" has none worth the name). */
static bool
has_other_extension(struct str name)
{
    for (size_t i = name.len; i > 0 && name.len - i < 6; i--) {
        char c = name.ptr[i - 1];

        if (c == '.')
            return i < name.len && i > 1;
        if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9'))
            return false;
    }
    return false;
}

static bool
looks_like_html(struct str content)
{
    static const char *const beginnings[] = {"<!doctype html", "<html", "<head", "<body"};
    struct str head = str_trim(str_sub(content, 0, 1024));

    if (str_starts_with(head, STR("\xef\xbb\xbf")))
        head = str_trim(str_sub(head, 3, head.len));
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        size_t len = strlen(beginnings[i]);

        if (head.len >= len && strncasecmp(head.ptr, beginnings[i], len) == 0)
            return true;
    }
    return false;
}

const char *
content_type_guess(struct str name, struct str content)
{
    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        if (ends_with_nocase(name, str_from_c(extensions[i].extension)))
            return extensions[i].content_type;
    }
    if (looks_like_html(content))
        return "text/html";
    if (str_starts_with(content, STR("%PDF-")))
        return "application/pdf";
    if (has_other_extension(name))
        return "application/octet-stream";
    if (str_starts_with(content, STR("---\n")) || str_starts_with(content, STR("# ")) ||
        str_starts_with(content, STR("---\r\n")))
        return "text/markdown";
    if (content.len > 0 && memchr(content.ptr, '\0', content.len) == NULL)
        return "text/plain";
    if (str_starts_with(content, STR("\xff\xfe")) || str_starts_with(content, STR("\xfe\xff")))
        return "text/plain";
    return "application/octet-stream";
}

bool
content_type_is_container(struct str content_type)
{
    for (size_t i = 0; i < sizeof(containers) / sizeof(containers[0]); i++) {
        if (str_eq_nocase(content_type, str_from_c(containers[i])))
            return true;
    }
    return false;
}

bool
content_type_is_document(struct str content_type)
{
    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        if (str_eq_nocase(content_type, str_from_c(extensions[i].content_type)))
            return !content_type_is_container(content_type);
    }
    return false;
}

bool
content_type_of_name_is_read(struct str name)
{
    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        if (ends_with_nocase(name, str_from_c(extensions[i].extension)))
            return true;
    }
    return !has_other_extension(name);
}

struct str
content_type_essence(struct str content_type)
{
    struct str type = STR_EMPTY;

    (void)str_split(&content_type, ';', &type);
    return str_trim(type);
}

#define CHARSET_NAME_BYTES 40

static bool
is_charset_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.ptr[i]) && strchr("-_.:", name.ptr[i]) == NULL)
            return false;
    return name.len > 0 && name.len <= CHARSET_NAME_BYTES && !str_eq_nocase(name, STR("utf-8")) &&
           !str_eq_nocase(name, STR("utf8"));
}

struct str
content_type_charset(struct str content_type)
{
    const struct str key = STR("charset=");
    struct str parameter;

    (void)str_split(&content_type, ';', &parameter); /* the type */
    while (str_split(&content_type, ';', &parameter)) {
        struct str value;

        parameter = str_trim(parameter);
        if (!str_eq_nocase(str_sub(parameter, 0, key.len), key))
            continue;
        value = str_trim(str_sub(parameter, key.len, parameter.len));
        if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
            value = str_sub(value, 1, value.len - 2);
        return is_charset_name(value) ? value : STR_EMPTY;
    }
    return STR_EMPTY;
}
