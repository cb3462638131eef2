/*
 * members.h - the documents within a document: an archive's files, a mail's attachments
 *
 * Names are labels: nothing is ever written to a file. What holds others is opened in turn, so that
 * one budget of bytes, entries and depth counts for all that a document holds, however it is
 * nested. A member that cannot be read fails alone, with a sentence; one of a type that is never
 * read, a hidden one and a folder are left out. Threads: one. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_MEMBERS_H
#define PARLEY_EXTRACT_MEMBERS_H

#include "extract/document.h"
#include "extract/format.h"

struct members {
    struct document *document;
    size_t left_bytes;   /* that may still be unpacked, of all members together */
    size_t left_entries; /* that may still be looked at */
    size_t member_max_bytes, max_memory_bytes;
    unsigned depth;    /* 1: of the document itself */
    struct str prefix; /* of paths: "" or "inner.zip/" */
    size_t read_count; /* members that gave bytes */
    struct buf first_failure;
};

void members_init(struct members *members, const struct format_input *input,
                  struct document *document);
void members_deinit(struct members *members);
/* Whether the path is one that is to be read at all; one that cannot be fails here. */
bool members_wants(struct members *members, struct str path);
void members_fail(struct members *members, struct str path, struct str sentence);
/* ST_TOO_LARGE: the budget of the whole is used up, which ends it. */
MUST_USE enum status members_add(struct members *members, struct str path, struct str bytes,
                                 struct err *err);
/* When all are handed over. ST_INVALID: there were some, and not one could be read. */
MUST_USE enum status members_check(const struct members *members, struct err *err);

/* Into what is there; ST_INVALID: no such archive, or a damaged one. */
MUST_USE enum status archive_read_members(struct members *members, struct str bytes,
                                          struct err *err);
/* Only the attachments. */
MUST_USE enum status mail_read_members(struct members *members, struct str bytes, struct err *err);

enum status format_read_archive(const struct format_input *input, struct document *document,
                                struct err *err);
enum status format_read_mail(const struct format_input *input, struct document *document,
                             struct err *err);
/* For the process: libarchive reads names as its locale says. */
void members_use_utf8(void);
/* What GMime and libarchive would load later: before the sandbox. */
void mail_prepare(void);
/* As format_find, of archives and mail. */
const struct format *container_find(struct str content_type);

#endif
