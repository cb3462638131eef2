/*
 * xml_reader.c - expat, with namespaces taken off and definitions refused
 */
#include "extract/xml_reader.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 512
#define SEPARATOR '\n' /* between namespace and local name: stands in neither */
#define MAX_PIECE_BYTES ((size_t)1 << 24)

struct reading {
    XML_Parser parser;
    const struct xml_handler *handler;
    void *arg;
    unsigned depth;
    bool has_definition, too_deep;
};

static struct str
local_name(const char *name)
{
    const char *separator = strrchr(name, SEPARATOR);

    return str_from_c(separator == NULL ? name : separator + 1);
}

static void XMLCALL
on_start(void *user, const XML_Char *name, const XML_Char **attributes)
{
    struct reading *reading = user;

    if (++reading->depth > MAX_DEPTH) {
        reading->too_deep = true;
        (void)XML_StopParser(reading->parser, XML_FALSE);
        return;
    }
    if (reading->handler->start != NULL)
        reading->handler->start(reading->arg, local_name(name), attributes);
}

static void XMLCALL
on_end(void *user, const XML_Char *name)
{
    struct reading *reading = user;

    reading->depth--;
    if (reading->handler->end != NULL)
        reading->handler->end(reading->arg, local_name(name));
}

static void XMLCALL
on_text(void *user, const XML_Char *text, int len)
{
    struct reading *reading = user;

    if (reading->handler->text != NULL)
        reading->handler->text(reading->arg, str_of(text, (size_t)len));
}

static void XMLCALL
on_definition(void *user, const XML_Char *name, const XML_Char *system, const XML_Char *public,
              int has_internal)
{
    struct reading *reading = user;

    (void)name;
    (void)system;
    (void)public;
    (void)has_internal;
    reading->has_definition = true;
    (void)XML_StopParser(reading->parser, XML_FALSE);
}

static XML_Parser
make_parser(struct reading *reading)
{
    XML_Parser parser = XML_ParserCreateNS(NULL, SEPARATOR);

    if (parser == NULL)
        abort();
    XML_SetUserData(parser, reading);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    XML_SetStartDoctypeDeclHandler(parser, on_definition);
    (void)XML_SetParamEntityParsing(parser, XML_PARAM_ENTITY_PARSING_NEVER);
    return parser;
}

enum status
xml_read(struct str bytes, const struct xml_handler *handler, void *arg, struct err *err)
{
    struct reading reading = {.handler = handler, .arg = arg};
    enum XML_Status status = XML_STATUS_OK;

    reading.parser = make_parser(&reading);
    do {
        struct str piece = str_sub(bytes, 0, MAX_PIECE_BYTES);

        bytes = str_sub(bytes, piece.len, bytes.len);
        status = XML_Parse(reading.parser, piece.ptr, (int)piece.len, bytes.len == 0);
    } while (status == XML_STATUS_OK && bytes.len > 0);
    XML_ParserFree(reading.parser);
    if (reading.has_definition)
        return err_set(err, ST_INVALID, "It defines entities of its own, which is not safe.");
    if (reading.too_deep)
        return err_set(err, ST_TOO_LARGE, "Its structure is too deep to be read.");
    if (status != XML_STATUS_OK)
        return err_set(err, ST_INVALID, "It is damaged: a part of it is no proper XML.");
    return ST_OK;
}

struct str
xml_attribute_of(const char **attributes, const char *namespace_end, const char *name)
{
    for (size_t i = 0; attributes[i] != NULL; i += 2) {
        struct str whole = str_from_c(attributes[i]), local = local_name(attributes[i]);
        struct str space = str_sub(whole, 0, whole.len - local.len);

        if (!str_eq_c(local, name))
            continue;
        if (space.len > 0)
            space.len--; /* the separator */
        if (str_ends_with(space, str_from_c(namespace_end)))
            return str_from_c(attributes[i + 1]);
    }
    return STR_EMPTY;
}

struct str
xml_attribute(const char **attributes, const char *name)
{
    return xml_attribute_of(attributes, "", name);
}
