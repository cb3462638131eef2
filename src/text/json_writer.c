/*
 * json_writer.c - jansson's values to compact text, straight into a buffer
 */
#include "base/buf.h"
#include "text/json_private.h"

#define REAL_MAX_BYTES 64

static void
write_string(struct buf *out, const char *text, size_t len)
{
    buf_append_byte(out, '"');
    buf_append_json_escaped(out, str_of(text, len));
    buf_append_byte(out, '"');
}

static void
write_object(struct buf *out, json_t *object)
{
    bool first = true;

    buf_append_byte(out, '{');
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        if (!first)
            buf_append_byte(out, ',');
        first = false;
        write_string(out, json_object_iter_key(at), json_object_iter_key_len(at));
        buf_append_byte(out, ':');
        json_write(out, json_object_iter_value(at));
    }
    buf_append_byte(out, '}');
}

static void
write_array(struct buf *out, const json_t *array)
{
    buf_append_byte(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            buf_append_byte(out, ',');
        json_write(out, json_array_get(array, i));
    }
    buf_append_byte(out, ']');
}

static void
write_real(struct buf *out, const json_t *real)
{
    char text[REAL_MAX_BYTES];
    size_t len = json_dumpb(real, text, sizeof(text), JSON_ENCODE_ANY);

    buf_append(out, str_of(text, len));
}

void
json_write(struct buf *out, const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        write_object(out, (json_t *)(uintptr_t)json);
        break;
    case JSON_ARRAY:
        write_array(out, json);
        break;
    case JSON_STRING:
        write_string(out, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
        buf_printf(out, "%lld", (long long)json_integer_value(json));
        break;
    case JSON_REAL:
        write_real(out, json);
        break;
    case JSON_TRUE:
        buf_append_c(out, "true");
        break;
    case JSON_FALSE:
        buf_append_c(out, "false");
        break;
    case JSON_NULL:
        buf_append_c(out, "null");
        break;
    }
}
