/*
 * form.c - reading and writing application/x-www-form-urlencoded
 */
#include "channel/form.h"

#include <string.h>

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A view of s where nothing is encoded, else a copy. */
static enum status
decode(struct str s, struct arena *arena, struct str *out, struct err *err)
{
    size_t length = 0;

    *out = s;
    if (s.len == 0 || (memchr(s.ptr, '%', s.len) == NULL && memchr(s.ptr, '+', s.len) == NULL))
        return ST_OK;
    char *copy = arena_try_alloc(arena, s.len);
    if (copy == NULL)
        return err_set(err, ST_TOO_LARGE, "the form is too large");
    for (size_t i = 0; i < s.len; i++) {
        int high = s.ptr[i] == '%' && i + 2 < s.len ? hex_value(s.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_value(s.ptr[i + 2]) : -1;

        if (low >= 0) {
            copy[length++] = (char)(high * 16 + low);
            i += 2;
        } else {
            copy[length++] = s.ptr[i];
            if (s.ptr[i] == '+')
                copy[length - 1] = ' ';
        }
    }
    *out = str_of(copy, length);
    return ST_OK;
}

static size_t
count_fields(struct str body)
{
    size_t count = body.len > 0 ? 1 : 0;

    for (size_t i = 0; i < body.len; i++)
        count += body.ptr[i] == '&';
    return count;
}

enum status
form_parse(struct str body, struct arena *arena, struct form *form_out, struct err *err)
{
    size_t max = count_fields(body);
    struct str rest = body, pair;
    enum status st = ST_OK;

    *form_out = (struct form){.count = 0};
    if (max > FORM_MAX_FIELDS)
        return err_set(err, ST_TOO_LARGE, "the form has more than %d fields", FORM_MAX_FIELDS);
    if (max > 0)
        form_out->fields = ARENA_NEW_N(arena, struct form_field, max);
    while (st == ST_OK && max > 0 && str_split(&rest, '&', &pair)) {
        struct form_field *field = &form_out->fields[form_out->count];
        ptrdiff_t equals = str_find_byte(pair, '=');
        size_t name_len = equals < 0 ? pair.len : (size_t)equals;

        if (pair.len == 0)
            continue;
        st = decode(str_sub(pair, 0, name_len), arena, &field->name, err);
        if (st == ST_OK)
            st = decode(equals < 0 ? STR("") : str_sub(pair, name_len + 1, pair.len), arena,
                        &field->value, err);
        if (st == ST_OK)
            form_out->count++;
    }
    return st;
}

struct str
form_get(const struct form *form, const char *name)
{
    for (size_t i = 0; i < form->count; i++)
        if (str_eq_c(form->fields[i].name, name)) {
            struct str value = form->fields[i].value;

            return value.ptr == NULL ? STR("") : value;
        }
    return STR_EMPTY;
}

static bool
is_text(struct str s)
{
    return str_find_byte(s, '\0') < 0 && str_is_utf8(s);
}

bool
form_is_text(const struct form *form)
{
    for (size_t i = 0; i < form->count; i++)
        if (!is_text(form->fields[i].name) || !is_text(form->fields[i].value))
            return false;
    return true;
}

void
form_append_encoded(struct buf *out, struct str value)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < value.len; i++) {
        unsigned char byte = (unsigned char)value.ptr[i];
        bool is_plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= 'a' && byte <= 'z') || (byte != 0 && strchr("-._*", byte) != NULL);

        if (is_plain) {
            buf_append_byte(out, (char)byte);
        } else if (byte == ' ') {
            buf_append_byte(out, '+');
        } else {
            buf_append_byte(out, '%');
            buf_append_byte(out, digits[byte >> 4]);
            buf_append_byte(out, digits[byte & 15]);
        }
    }
}

void
form_append(struct buf *out, const char *name, struct str value)
{
    if (out->len > 0)
        buf_append_byte(out, '&');
    form_append_encoded(out, str_from_c(name));
    buf_append_byte(out, '=');
    form_append_encoded(out, value);
}
