/*
 * content_type.h - what a document is, from its name and its first bytes; server and helper agree
 *
 * Threads: any. Blocks: nothing.
 */
#ifndef PARLEY_KNOWLEDGE_CONTENT_TYPE_H
#define PARLEY_KNOWLEDGE_CONTENT_TYPE_H

#include "base/str.h"

/* The type that a name or the first bytes tell, a literal; "application/octet-stream" for none. */
const char *content_type_guess(struct str name, struct str content);
/* The type without its parameters; and its charset, when it names one other than UTF-8, else empty:
 * a name of letters, digits and marks. Both borrow. */
struct str content_type_essence(struct str content_type);
struct str content_type_charset(struct str content_type);
/* An archive, or a mail with its attachments: it holds documents. */
bool content_type_is_container(struct str content_type);
/* A document of one of the types that names tell; what only holds documents is none. */
bool content_type_is_document(struct str content_type);
/* False when the name's ending alone says that we cannot read it. */
bool content_type_of_name_is_read(struct str name);

#endif
