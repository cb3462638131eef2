/*
 * api_reader.h - whom a key may read for: documents and sites
 */
#ifndef PARLEY_API_API_READER_H
#define PARLEY_API_API_READER_H

#include "api/api_private.h"

struct knowledge_reader api_reader_of(const struct api_call *call);
bool api_may_read(const struct api_call *call, struct str audience);
/* Nobody gives a document to readers that they are not of: 403. Empty is fine. ST_INVALID. */
MUST_USE enum status api_check_audience(struct api_call *call, struct str text, struct err *err);

#endif
