/*
 * json_private.h - inside of json.c's reading and writing; for src/text/ alone
 */
#ifndef PARLEY_TEXT_JSON_PRIVATE_H
#define PARLEY_TEXT_JSON_PRIVATE_H

#include "base/buf.h"
#include "text/json.h"

#define JSON_MAX_DEPTH 64

/* json_reader.c: a new value, or NULL: jansson has to say what it is. */
json_t *json_read_common(struct str text);
/* json_writer.c: compact, at the end of out. */
void json_write(struct buf *out, const json_t *json);

#endif
