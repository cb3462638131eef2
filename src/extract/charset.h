/*
 * charset.h - bytes of a text document become UTF-8
 *
 * In this order: a byte order mark (UTF-8, UTF-16 both ways) decides; then, if the bytes are valid
 * UTF-8, they are UTF-8 whatever is declared; then what whoever sent it declared, or what the
 * document itself does; without one what the
 * bytes look like, windows-1252 where nothing speaks for another set (charset_legacy.h); and the
 * document is marked so that a person can see what it was read as. Bytes that are not text at all
 * are refused by what they look like. Threads: any. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_CHARSET_H
#define PARLEY_EXTRACT_CHARSET_H

#include "base/buf.h"

/* declared: what the document names, or empty. text_out borrows from bytes or from scratch, which
 * the caller gives initialised with the maximum. name_out is a literal: "utf-8" or what was read
 * instead. ST_INVALID: not text, damaged UTF-16, or a character set we do not know. ST_TOO_LARGE:
 * passes scratch's maximum. */
MUST_USE enum status charset_to_utf8(struct str bytes, struct str declared, struct buf *scratch,
                                     struct str *text_out, const char **name_out, struct err *err);

#endif
