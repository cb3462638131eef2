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

/* --- question sets --- */

#define SET_COLUMNS "id, name, question_count, created_at, updated_at"

static const struct store_sql SQL_EVAL_SET_PUT = {
    .name = "evaluation_set_put",
    .text = "INSERT INTO evaluation_set (organization_id, id, name, questions, question_count, "
            "created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6)"};

static const struct store_sql SQL_EVAL_SET_REPLACE = {
    .name = "evaluation_set_replace",
    .text = "UPDATE evaluation_set SET questions = $3, question_count = $4, updated_at = $5 "
            "WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_EVAL_SET_FIND = {
    .name = "evaluation_set_find",
    .text = "SELECT id FROM evaluation_set WHERE organization_id = $1 AND name = $2"};

static const struct store_sql SQL_EVAL_SET_COUNT = {
    .name = "evaluation_set_count",
    .text = "SELECT count(*) FROM evaluation_set WHERE organization_id = $1"};

static const struct store_sql SQL_EVAL_SET_GET = {.name = "evaluation_set_get",
                                                  .text = "SELECT " SET_COLUMNS
                                                          ", questions FROM evaluation_set "
                                                          "WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_EVAL_SET_LIST = {
    .name = "evaluation_set_list",
    .text = "SELECT " SET_COLUMNS " FROM evaluation_set WHERE organization_id = $1 ORDER BY name"};

static const struct store_sql SQL_EVAL_SET_DELETE = {
    .name = "evaluation_set_delete",
    .text = "DELETE FROM evaluation_set WHERE organization_id = $1 AND id = $2"};

/* --- runs --- */

#define EVALUATION_COLUMNS                                                                         \
    "id, set_id, name, CASE WHEN persona IS NULL THEN 0 ELSE 1 END, question_count, done_count, "  \
    "status, figures, error, "                                                                     \
    "created_at, finished_at, with_drafts "

static const struct store_sql SQL_EVALUATION_INSERT = {
    .name = "evaluation_insert",
    .text = "INSERT INTO evaluation (organization_id, id, set_id, name, persona, questions, "
            "question_count, status, created_at, with_drafts) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', $8, $9)"};

static const struct store_sql SQL_EVALUATION_GET = {
    .name = "evaluation_get",
    .text = "SELECT " EVALUATION_COLUMNS "FROM evaluation WHERE organization_id = $1 AND id = $2"};

/* Newest first. */
static const struct store_sql SQL_EVALUATION_LIST = {
    .name = "evaluation_list",
    .text = "SELECT " EVALUATION_COLUMNS "FROM evaluation WHERE organization_id = $1 "
            "AND ($2 = '' OR set_id = $2) AND ($3 = '' OR id < $3) ORDER BY id DESC LIMIT $4"};

static const struct store_sql SQL_EVALUATION_WORK = {
    .name = "evaluation_work",
    .text = "SELECT name, persona, questions, done_count, status, with_drafts FROM evaluation "
            "WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_EVALUATION_RUNNING = {
    .name = "evaluation_running",
    .text = "UPDATE evaluation SET status = 'running', error = NULL, done_count = $3 "
            "WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_EVALUATION_DONE = {
    .name = "evaluation_done",
    .text = "UPDATE evaluation SET status = 'done', figures = $3, finished_at = $4 "
            "WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_EVALUATION_FAILED = {
    .name = "evaluation_failed",
    .text = "UPDATE evaluation SET status = 'failed', error = $3, finished_at = $4 "
            "WHERE organization_id = $1 AND id = $2 AND status <> 'done'"};

static const struct store_sql SQL_EVALUATION_DELETE = {
    .name = "evaluation_delete",
    .text = "DELETE FROM evaluation WHERE organization_id = $1 AND id = $2"};

static const struct store_sql SQL_EVALUATION_DELETE_OF_SET = {
    .name = "evaluation_delete_of_set",
    .text = "DELETE FROM evaluation WHERE organization_id = $1 AND set_id = $2"};

/* The newest so many of a set stay. */
#define OLD_EVALUATIONS                                                                            \
    "(SELECT id FROM evaluation WHERE organization_id = $1 AND set_id = $2 AND id NOT IN "         \
    "(SELECT id FROM evaluation WHERE organization_id = $1 AND set_id = $2 "                       \
    "ORDER BY id DESC LIMIT $3))"

static const struct store_sql SQL_EVALUATION_DELETE_OLD = {
    .name = "evaluation_delete_old",
    .text = "DELETE FROM evaluation WHERE organization_id = $1 AND id IN " OLD_EVALUATIONS};

static const struct store_sql SQL_EVALUATION_ROWS_DELETE_OLD = {
    .name = "evaluation_rows_delete_old",
    .text = "DELETE FROM evaluation_row WHERE organization_id = $1 "
            "AND evaluation_id IN " OLD_EVALUATIONS};

/* --- rows --- */

static const struct store_sql SQL_EVALUATION_ROW_INSERT = {
    .name = "evaluation_row_insert",
    .text = "INSERT INTO evaluation_row (organization_id, evaluation_id, ordinal, body) "
            "VALUES ($1, $2, $3, $4)"};

static const struct store_sql SQL_EVALUATION_ROWS = {
    .name = "evaluation_rows",
    .text = "SELECT body FROM evaluation_row WHERE organization_id = $1 AND evaluation_id = $2 "
            "ORDER BY ordinal"};

static const struct store_sql SQL_EVALUATION_ROWS_DELETE = {
    .name = "evaluation_rows_delete",
    .text = "DELETE FROM evaluation_row WHERE organization_id = $1 AND evaluation_id = $2"};

static const struct store_sql SQL_EVALUATION_ROWS_DELETE_OF_SET = {
    .name = "evaluation_rows_delete_of_set",
    .text = "DELETE FROM evaluation_row WHERE organization_id = $1 AND evaluation_id IN "
            "(SELECT id FROM evaluation WHERE organization_id = $1 AND set_id = $2)"};

#endif
