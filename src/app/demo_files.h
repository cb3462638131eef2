/*
 * demo_files.h - the demo's files, and a folder of documents read as the demo's is
 */
#ifndef PARLEY_APP_DEMO_FILES_H
#define PARLEY_APP_DEMO_FILES_H

#include "app/app.h"

/* demo/<name> here, or beside the program when it was installed: <prefix>/bin/parley and
 * <prefix>/share/parley/demo. False: it is at neither place, and out is the first. */
bool demo_path_find(const char *name, char *out, size_t size);

/* The folder's parts customers/ and staff/ for those who may read them; without such parts all of
 * it is for customers. Returns when all is read; shows how far it is. Workers for it must be
 * running. ST_INVALID: a document could not be read. */
MUST_USE enum status demo_read_documents(struct app *app, const struct tenant_scope *scope,
                                         const char *folder, struct err *err);

#endif
