/*
 * extract_answer.h - checks and reads the frames of parley-extract
 *
 * The helper read a stranger's document: its answer is treated as the stranger's too.
 * Threads: any. Blocks: nothing.
 */
#ifndef PARLEY_KNOWLEDGE_EXTRACT_ANSWER_H
#define PARLEY_KNOWLEDGE_EXTRACT_ANSWER_H

#include "knowledge/extractor.h"

/* True when the frames run, whole, to a last one that ends the answer. */
bool extract_answer_is_complete(struct str answer);
/* answer must be complete. Copies into the arena. ST_INVALID, ST_TOO_LARGE: the helper says that of
 * the document. ST_UNAVAILABLE: the helper blames itself. ST_INTERNAL: it broke the protocol. */
MUST_USE enum status extract_answer_read(struct str answer, struct arena *arena,
                                         struct extracted *extracted_out, struct err *err);

#endif
