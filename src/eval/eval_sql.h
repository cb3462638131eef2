/*
 * eval_sql.h - statements of src/eval/; $1 is always the organization
 */
#ifndef PARLEY_EVAL_EVAL_SQL_H
#define PARLEY_EVAL_EVAL_SQL_H

#include "store/store.h"

/* --- a labelled set's corpus: passages without documents --- */

static const struct store_sql SQL_EVAL_CHUNK_INSERT = {
    .name = "eval_chunk_insert",
    .text = "INSERT INTO chunk (organization_id, id, source_id, version, ordinal, heading_path, "
            "text, start_char, end_char, language) VALUES ($1, $2, $3, 1, $4, '', $5, 0, $6, $7)"};

#endif
