/*
 * api_files.h - files of messages: those that staff sends, and addresses of all that are kept
 *
 * A request carries each file as {"name", "mime_type", "content"}, base64. They are kept as objects
 * before the message is: what fails in between is removed at once, or by upkeep.
 * Threads: workers. Blocks: on the object store.
 */
#ifndef PARLEY_API_API_FILES_H
#define PARLEY_API_API_FILES_H

#include "api/api_private.h"

#define API_FILES_MAX 10
#define API_FILES_BODY_MAX_BYTES ((size_t)32 * 1024 * 1024)
#define API_FILES_SCHEMA                                                                           \
    "{\"type\":\"array\",\"maxItems\":10,\"items\":{\"type\":\"object\","                          \
    "\"additionalProperties\":false,\"required\":[\"name\",\"content\"],\"properties\":{"          \
    "\"name\":{\"type\":\"string\",\"maxLength\":200},\"mime_type\":{\"type\":\"string\"},"        \
    "\"content\":{\"type\":\"string\",\"contentEncoding\":\"base64\"}}}}"

struct api_files {
    struct staff_words words;
    json_t *attachments; /* words.attachments; owned; NULL: none */
};

/* Keeps the files of the request's body for a message to that conversation; without text their
 * names become it. ST_INVALID: one cannot be read, the virus scanner found something in it, or the
 * channel's provider could not fetch it. ST_TOO_LARGE. ST_UNAVAILABLE: the scanner does not answer.
 * ST_NOT_FOUND: no such conversation. The caller ends files_out in any case. */
MUST_USE enum status api_files_keep(struct api_call *call, struct conversation_id id,
                                    struct str text, const json_t *given,
                                    struct api_files *files_out, struct err *err);
/* st: what became of the message: without it the objects go. */
void api_files_end(struct api_call *call, struct api_files *files, enum status st);

/* An expiring address of one file of the message: answers. number: from 0. ST_NOT_FOUND, saying why
 * it is not there. */
enum status api_file_link(struct api_call *call, const struct message *message, struct str number,
                          struct err *err);

#endif
