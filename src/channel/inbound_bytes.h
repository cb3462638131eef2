/*
 * inbound_bytes.h - a normalised message or event as bytes, for where it waits to be recorded
 *
 *   version byte | kind, flags, delivery state, time | each text: its length + 1 (0: none), bytes |
 *   metadata, as a text
 *
 * Numbers are little-endian, 8 bytes the time, 4 a length. The bytes stay in our own database; yet
 * damage in them is an error, never a wrong read. Threads: any. Blocks: nothing.
 */
#ifndef PARLEY_CHANNEL_INBOUND_BYTES_H
#define PARLEY_CHANNEL_INBOUND_BYTES_H

#include "channel/channel.h"

/* In the arena. */
struct str inbound_pack(const struct inbound *item, struct arena *arena);
/* Texts borrow from bytes; item_out->metadata is the caller's, to be given to json_decref, also on
 * failure. ST_INVALID: no such bytes, or of a version that this build does not know. */
MUST_USE enum status inbound_unpack(struct str bytes, struct inbound *item_out, struct err *err);

#endif
