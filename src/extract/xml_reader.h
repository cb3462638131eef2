/*
 * xml_reader.h - the events of an XML part: elements and text, in order
 *
 * Over expat. Names come without their prefix or namespace: office formats use each local name for
 * one thing. A document type definition is refused, and with it every entity of the document's own;
 * nesting is bounded. Threads: one. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_XML_READER_H
#define PARLEY_EXTRACT_XML_READER_H

#include "base/err.h"
#include "base/str.h"

struct xml_handler {
    /* attributes: for xml_attribute; all three are valid during the call. Any may be NULL. */
    void (*start)(void *arg, struct str name, const char **attributes);
    void (*end)(void *arg, struct str name);
    void (*text)(void *arg, struct str text); /* in pieces, as they come */
};

/* ST_INVALID: not well formed, or with a document type definition. ST_TOO_LARGE: too deep. */
MUST_USE enum status xml_read(struct str bytes, const struct xml_handler *handler, void *arg,
                              struct err *err);
/* By local name; the empty view without a pointer when it is not there. */
struct str xml_attribute(const char **attributes, const char *name);
/* The same of a namespace whose address ends so: two attributes may share a local name. */
struct str xml_attribute_of(const char **attributes, const char *namespace_end, const char *name);

#endif
