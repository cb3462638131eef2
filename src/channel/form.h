/*
 * form.h - application/x-www-form-urlencoded: what some providers post and take
 *
 * Read as the URL Standard (WHATWG, section 5.1) says: pairs between '&', '+' is a space, "%XX" a
 * byte, and a '%' without two hex digits stands for itself, so every body is a form. Values are
 * bytes, not yet text: whoever shows them checks that they are UTF-8. Threads: any; does not block.
 */
#ifndef PARLEY_CHANNEL_FORM_H
#define PARLEY_CHANNEL_FORM_H

#include "base/arena.h"
#include "base/buf.h"

#define FORM_MAX_FIELDS 512

struct form_field {
    struct str name, value; /* decoded; in the arena or the body */
};
struct form {
    struct form_field *fields; /* in the order in which they came */
    size_t count;
};

/* ST_TOO_LARGE: more than FORM_MAX_FIELDS, or no room for the copies. */
MUST_USE enum status form_parse(struct str body, struct arena *arena, struct form *form_out,
                                struct err *err);
/* The first of that name; the empty view with NULL ptr when there is none. */
struct str form_get(const struct form *form, const char *name);
/* True when all names and values are UTF-8 without NUL. */
bool form_is_text(const struct form *form);

/* Appends "name=value", with '&' before it unless the buffer is empty. */
void form_append(struct buf *out, const char *name, struct str value);
/* As form_append writes a value: letters, digits and "-._*" as they are, a space as '+'. */
void form_append_encoded(struct buf *out, struct str value);

#endif
