/*
 * json.c - jansson behind our limits, errors and views
 *
 * jansson's own error text quotes the input ("near '...'"), which may be a customer's message; only
 * its code and place are passed on.
 */
#include "text/json.h"

#include <assert.h>
#include <string.h>

#include "text/json_private.h"

#define JSON_DEFAULT_MAX_LEN 65536
/* Of an outsider's key, quoted in an error. */
#define JSON_MAX_QUOTED_KEY 60

/* Depth of brackets outside strings, without a parser's stack: jansson's own limit is fixed when it
 * is built. Wrong brackets are left for the parser to refuse. */
static bool
json_is_too_deep(struct str text)
{
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > JSON_MAX_DEPTH)
                return true;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static const char *
json_problem(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_invalid_utf8:
        return "not valid UTF-8";
    case json_error_premature_end_of_input:
        return "ends too early";
    case json_error_end_of_input_expected:
        return "something stands after the value";
    case json_error_duplicate_key:
        return "a key stands twice in one object";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "a NUL character in a string";
    case json_error_numeric_overflow:
        return "a number that is too large";
    case json_error_out_of_memory:
        return "too large";
    default:
        return "wrong syntax";
    }
}

enum status
json_parse(struct str text, json_t **json_out, struct err *err)
{
    json_error_t error;

    *json_out = json_read_common(text);
    if (*json_out != NULL)
        return ST_OK;
    if (json_is_too_deep(text))
        return err_set(err, ST_INVALID, "invalid JSON: nested deeper than %d", JSON_MAX_DEPTH);
    *json_out = json_loadb(text.ptr == NULL ? "" : text.ptr, text.len,
                           JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (*json_out == NULL)
        return err_set(err, ST_INVALID, "invalid JSON at line %d, column %d: %s", error.line,
                       error.column, json_problem(&error));
    return ST_OK;
}

struct str
json_text(const json_t *json, struct arena *arena)
{
    struct buf text;
    struct str copy;

    buf_init(&text, SIZE_MAX);
    json_write(&text, json);
    assert(!text.failed);
    copy = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

static struct str
json_str_view(const json_t *value)
{
    return str_of(json_string_value(value), json_string_length(value));
}

struct str
json_get_str(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_string(value) ? json_str_view(value) : STR_EMPTY;
}

int64_t
json_get_int(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? (int64_t)json_integer_value(value) : fallback;
}

bool
json_get_bool(const json_t *object, const char *key, bool fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

json_t *
json_get_object(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    return json_is_object(value) ? value : NULL;
}

json_t *
json_get_array(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    return json_is_array(value) ? value : NULL;
}

json_t *
json_from_str(struct str s)
{
    return json_stringn(s.ptr == NULL ? "" : s.ptr, s.len);
}

void
json_set(json_t *object, const char *key, json_t *value)
{
    int failed = json_object_set_new(object, key, value);

    assert(failed == 0);
    (void)failed;
}

void
json_set_str(json_t *object, const char *key, struct str s)
{
    if (s.ptr != NULL)
        json_set(object, key, json_from_str(s));
}

void
json_set_int(json_t *object, const char *key, int64_t value)
{
    json_set(object, key, json_integer(value));
}

void
json_set_bool(json_t *object, const char *key, bool value)
{
    json_set(object, key, json_boolean(value));
}

void
json_set_double(json_t *object, const char *key, double value)
{
    json_set(object, key, json_real(value));
}

static enum status
json_read_int(const json_t *value, const struct json_field *field, void *place, struct err *err)
{
    int64_t number;

    if (!json_is_integer(value))
        return err_set(err, ST_INVALID, "\"%s\" must be a whole number", field->key);
    number = (int64_t)json_integer_value(value);
    if ((field->min != 0 || field->max != 0) && (number < field->min || number > field->max))
        return err_set(err, ST_INVALID, "\"%s\" must be from %lld to %lld", field->key,
                       (long long)field->min, (long long)field->max);
    memcpy(place, &number, sizeof(number));
    return ST_OK;
}

static enum status
json_read_str(const json_t *value, const struct json_field *field, void *place, struct err *err)
{
    size_t max_len = field->max_len == 0 ? JSON_DEFAULT_MAX_LEN : field->max_len;
    struct str view;

    if (!json_is_string(value))
        return err_set(err, ST_INVALID, "\"%s\" must be a string", field->key);
    view = json_str_view(value);
    if (view.len > max_len)
        return err_set(err, ST_INVALID, "\"%s\" is longer than %zu bytes", field->key, max_len);
    memcpy(place, &view, sizeof(view));
    return ST_OK;
}

static enum status
json_read_field(json_t *value, const struct json_field *field, void *place, struct err *err)
{
    bool flag;
    double number;

    switch (field->kind) {
    case JSON_FIELD_STR:
        return json_read_str(value, field, place, err);
    case JSON_FIELD_INT:
        return json_read_int(value, field, place, err);
    case JSON_FIELD_BOOL:
        if (!json_is_boolean(value))
            return err_set(err, ST_INVALID, "\"%s\" must be true or false", field->key);
        flag = json_is_true(value);
        memcpy(place, &flag, sizeof(flag));
        return ST_OK;
    case JSON_FIELD_DOUBLE:
        if (!json_is_number(value))
            return err_set(err, ST_INVALID, "\"%s\" must be a number", field->key);
        number = json_number_value(value);
        memcpy(place, &number, sizeof(number));
        return ST_OK;
    case JSON_FIELD_OBJECT:
        if (!json_is_object(value))
            return err_set(err, ST_INVALID, "\"%s\" must be an object", field->key);
        break;
    case JSON_FIELD_ARRAY:
        if (!json_is_array(value))
            return err_set(err, ST_INVALID, "\"%s\" must be an array", field->key);
        break;
    }
    memcpy(place, &value, sizeof(json_t *));
    return ST_OK;
}

static bool
json_field_is_known(const struct json_field *fields, const char *key)
{
    for (const struct json_field *field = fields; field->key != NULL; field++)
        if (strcmp(field->key, key) == 0)
            return true;
    return false;
}

enum status
json_read(const json_t *object, const struct json_field *fields, void *target, struct err *err)
{
    if (!json_is_object(object))
        return err_set(err, ST_INVALID, "a JSON object is expected");

    for (void *iter = json_object_iter((json_t *)(uintptr_t)object); iter != NULL;
         iter = json_object_iter_next((json_t *)(uintptr_t)object, iter)) {
        struct str key = str_from_c(json_object_iter_key(iter));

        if (!json_field_is_known(fields, key.ptr)) {
            key.len = str_utf8_floor(key, JSON_MAX_QUOTED_KEY);
            return err_set(err, ST_INVALID, "unknown key \"%.*s\"", STR_ARG(key));
        }
    }
    for (const struct json_field *field = fields; field->key != NULL; field++) {
        json_t *value = json_object_get(object, field->key);
        enum status st;

        if (value == NULL && field->required)
            return err_set(err, ST_INVALID, "\"%s\" is missing", field->key);
        if (value == NULL)
            continue;
        st = json_read_field(value, field, (char *)target + field->offset, err);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}
