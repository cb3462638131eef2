/*
 * json.h - jansson with our error style and limits
 *
 * Bytes from outside: valid UTF-8, one value, nothing after it, nesting at most 64, no duplicate
 * keys, no NUL in strings. Strings read are borrowed from the json_t. Threads: one per json_t.
 */
#ifndef PARLEY_TEXT_JSON_H
#define PARLEY_TEXT_JSON_H

#include <jansson.h>

#include "base/arena.h"

/* ST_INVALID with line and column; the caller owns *json_out (json_auto_t). */
MUST_USE enum status json_parse(struct str text, json_t **json_out, struct err *err);
/* Compact text in the arena. */
struct str json_text(const json_t *json, struct arena *arena);

/* Borrowed value of a key: the empty view (NULL ptr) when absent or of another type. */
struct str json_get_str(const json_t *object, const char *key);
/* fallback when absent or not an integer. */
int64_t json_get_int(const json_t *object, const char *key, int64_t fallback);
bool json_get_bool(const json_t *object, const char *key, bool fallback);
/* NULL when absent or of another type. */
json_t *json_get_object(const json_t *object, const char *key);
json_t *json_get_array(const json_t *object, const char *key);

/* New string value from a view; never NULL for valid UTF-8. */
json_t *json_from_str(struct str s);
/* Sets key to the string; skips it when s.ptr is NULL. */
void json_set_str(json_t *object, const char *key, struct str s);
void json_set_int(json_t *object, const char *key, int64_t value);
void json_set_bool(json_t *object, const char *key, bool value);
void json_set_double(json_t *object, const char *key, double value);
/* Takes value. */
void json_set(json_t *object, const char *key, json_t *value);

/*
 * Table-driven reading of request bodies: every key of the object must be in the table, every
 * required key present, every type right. ST_INVALID names the key in words for the client.
 */
enum json_field_kind {
    JSON_FIELD_STR,
    JSON_FIELD_INT,
    JSON_FIELD_BOOL,
    JSON_FIELD_DOUBLE,
    JSON_FIELD_OBJECT,
    JSON_FIELD_ARRAY
};
struct json_field {
    const char *key; /* NULL ends the table */
    enum json_field_kind kind;
    bool required;
    size_t offset;  /* into the struct that is filled: struct str, int64_t, bool, double, json_t* */
    size_t max_len; /* of strings, in bytes; 0: 65536 */
    int64_t min, max; /* of integers; both 0: no bound */
};
/* Fields absent from the object are left as the caller set them. Strings and values are borrowed.
 */
MUST_USE enum status json_read(const json_t *object, const struct json_field *fields, void *target,
                               struct err *err);

#endif
