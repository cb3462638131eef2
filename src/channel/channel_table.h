/*
 * channel_table.h - what each provider can do and what not, with the reason:
 * docs/channels/README.md
 */
#ifndef PARLEY_CHANNEL_CHANNEL_TABLE_H
#define PARLEY_CHANNEL_CHANNEL_TABLE_H

#include <jansson.h>

#include "base/buf.h"

/* Markdown, from the drivers' capabilities: `parley config --channels`. */
void channel_table_write(struct buf *out);
/* The same for programs: [{"source", "capabilities": {title: bool}, "refused": {title: why}}]; the
 * caller's. */
json_t *channel_table_as_json(void);

#endif
