/*
 * office.h - what DOCX, PPTX and XLSX share: the package, its relationships, its properties
 *
 * A package is a ZIP archive of XML parts; parts name each other by relationship ids (ECMA-376
 * part 2). Threads: one. Blocks: nothing.
 */
#ifndef PARLEY_EXTRACT_OFFICE_H
#define PARLEY_EXTRACT_OFFICE_H

#include "extract/document.h"
#include "extract/format.h"
#include "extract/xml_reader.h"
#include "extract/zip_archive.h"

#define OFFICE_PATH_MAX 256
#define OFFICE_ID_MAX 64

struct office {
    struct zip_archive *archive;
    char main[OFFICE_PATH_MAX]; /* "word/document.xml" */
};

struct office_relation {
    char id[OFFICE_ID_MAX];
    char target[OFFICE_PATH_MAX]; /* whole name of the part */
};

struct office_relations {
    struct office_relation *items; /* heap; office_relations_deinit */
    size_t count;
};

/* main: where the document stands when the package does not say. ST_INVALID: not such a package. */
MUST_USE enum status office_open(const struct format_input *input, const char *main,
                                 struct office *office_out, struct err *err);
void office_close(struct office *office);
/* Reads one part of that name. ST_NOT_FOUND: it is not there. */
MUST_USE enum status office_read(struct office *office, struct str name,
                                 const struct xml_handler *handler, void *arg, struct err *err);
/* The same of a part that may be missing. */
MUST_USE enum status office_read_optional(struct office *office, struct str name,
                                          const struct xml_handler *handler, void *arg,
                                          struct err *err);
/* A part in the folder of the main one: "styles.xml" is "word/styles.xml". False: too long. */
bool office_beside_main(const struct office *office, const char *name, char *path_out);
/* Of the main part. */
MUST_USE enum status office_relations_read(struct office *office, struct office_relations *out,
                                           struct err *err);
void office_relations_deinit(struct office_relations *relations);
/* NULL: there is none. */
const char *office_relation_target(const struct office_relations *relations, struct str id);
/* Title, language, category and date (of its last change, else of its making), where the document
 * has given none yet. */
MUST_USE enum status office_read_properties(struct office *office, struct document *document,
                                            struct err *err);

/* Copies text that fits with its NUL; false and "" when it does not. */
bool office_keep(struct str text, char *out, size_t size);

#endif
