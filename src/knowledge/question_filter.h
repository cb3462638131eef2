/*
 * question_filter.h - which documents a question is about, in the words of whoever asks
 *
 * Names and values are those by which documents are uploaded and listed: brand_id, audience,
 * language, source_id, kind, category, tone, content_type, dated_from, dated_to (docs/api.md). They
 * narrow; what the asker may not read stays unread. Threads: any. Blocks: no.
 */
#ifndef PARLEY_KNOWLEDGE_QUESTION_FILTER_H
#define PARLEY_KNOWLEDGE_QUESTION_FILTER_H

#include <jansson.h>

#include "index/index.h"

/* Another value of a name; several of one name: any of them. ST_INVALID: no such name, or not a
 * value of it. Texts are in the arena. */
MUST_USE enum status question_filter_add(struct index_filter *filter, struct str name,
                                         struct str value, struct arena *arena, struct err *err);
/* {"category": "prices", "language": ["de", "en"]} into an empty filter. ST_INVALID: as above, or
 * too many values. */
MUST_USE enum status question_filter_read(const json_t *json, struct arena *arena,
                                          struct index_filter *filter_out, struct err *err);

#endif
