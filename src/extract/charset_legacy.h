/*
 * charset_legacy.h - text in one of the character sets from before Unicode, read with ICU
 *
 * Names and what they stand for are those of the WHATWG encoding standard: "iso-8859-1" is
 * windows-1252, "gb2312" is GBK. Left out are sets that hide text in ASCII bytes (ISO-2022-JP).
 * Behind the sandbox's lock ICU opens nothing: its tables are in its library. Threads: any. Blocks:
 * nothing.
 */
#ifndef PARLEY_EXTRACT_CHARSET_LEGACY_H
#define PARLEY_EXTRACT_CHARSET_LEGACY_H

#include "base/buf.h"

struct charset_legacy;

/* By a name that a document or a server gives; NULL: we know none of that name. */
const struct charset_legacy *charset_legacy_find(struct str label);
/* By the bytes, which are text of one byte or more a character and not UTF-8; windows-1252 where
 * nothing speaks for another. */
const struct charset_legacy *charset_legacy_guess(struct str bytes);
const char *charset_legacy_name(const struct charset_legacy *charset); /* a literal */
/* Appends; what is no character of the set becomes U+FFFD. ST_UNAVAILABLE: no memory. */
MUST_USE enum status charset_legacy_to_utf8(const struct charset_legacy *charset, struct str bytes,
                                            struct buf *out, struct err *err);

#endif
