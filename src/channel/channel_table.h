/*
 * channel_table.h - what each provider can do and what not, with the reason:
 * docs/channels/README.md
 */
#ifndef PARLEY_CHANNEL_CHANNEL_TABLE_H
#define PARLEY_CHANNEL_CHANNEL_TABLE_H

#include "base/buf.h"

/* Markdown, from the drivers' capabilities: `parley config --channels`. */
void channel_table_write(struct buf *out);

#endif
