/*
 * res_evaluations.c - an organization's question sets: kept, run, looked at, compared
 */
#include "api/api_private.h"
#include "eval/evaluations.h"
#include "eval/report.h"
#include "eval/results.h"

/* --- sets --- */

static json_t *
set_json(const struct evaluation_set *set)
{
    json_t *row = json_object();

    json_set_str(row, "id", ID_STR(set->id));
    json_set_str(row, "name", set->name);
    json_set_int(row, "question_count", set->question_count);
    json_set(row, "created_at", api_time(set->created_at_us));
    json_set(row, "updated_at", api_time(set->updated_at_us));
    return row;
}

static enum status
list_sets(struct api_call *call, struct err *err)
{
    struct evaluation_set *sets = NULL;
    size_t count = 0;
    json_t *data;
    enum status st = evaluation_set_list(call->config->evaluations, call->scope, call->arena, &sets,
                                         &count, err);

    if (st != ST_OK)
        return st;
    data = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(data, set_json(&sets[i]));
    return api_reply_page(call, data, STR(""));
}

struct set_body {
    struct str name;
    json_t *questions;
};

static enum status
put_set(struct api_call *call, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "name",
         .kind = JSON_FIELD_STR,
         .required = true,
         .offset = offsetof(struct set_body, name),
         .max_len = EVALUATION_NAME_MAX_BYTES},
        {.key = "questions",
         .kind = JSON_FIELD_ARRAY,
         .required = true,
         .offset = offsetof(struct set_body, questions)},
        {.key = NULL},
    };
    struct set_body body = {.questions = NULL};
    struct evaluation_set set;
    enum status st = json_read(call->body, fields, &body, err);

    if (st == ST_OK)
        st = evaluation_set_put(call->config->evaluations, call->scope, body.name, body.questions,
                                call->arena, &set, err);
    return st == ST_OK ? api_reply(call, set_json(&set)) : st;
}

static enum status
get_set(struct api_call *call, struct err *err)
{
    struct evaluation_set_id id;
    struct evaluation_set set;
    json_t *body, *questions = NULL;
    enum status st = API_PATH_ID(call, "set_id", &id, err);

    if (st == ST_OK)
        st = evaluation_set_get(call->config->evaluations, call->scope, id, call->arena, &set, err);
    if (st == ST_OK)
        st = json_parse(set.questions, &questions, err);
    if (st != ST_OK)
        return st;
    body = set_json(&set);
    json_set(body, "questions", questions);
    return api_reply(call, body);
}

static enum status
delete_set(struct api_call *call, struct err *err)
{
    struct evaluation_set_id id;
    enum status st = API_PATH_ID(call, "set_id", &id, err);

    if (st == ST_OK)
        st = evaluation_set_delete(call->config->evaluations, call->scope, id, err);
    return st == ST_OK ? api_reply(call, NULL) : st;
}

/* --- runs --- */

static enum status
evaluation_json(const struct evaluation *evaluation, json_t **json_out, struct err *err)
{
    json_t *row = json_object(), *figures = NULL;
    enum status st =
        evaluation->figures.len == 0 ? ST_OK : json_parse(evaluation->figures, &figures, err);

    json_set_str(row, "id", ID_STR(evaluation->id));
    json_set_str(row, "set_id", ID_STR(evaluation->set_id));
    json_set_str(row, "name", evaluation->name);
    json_set_str(row, "status", evaluation->status);
    json_set_bool(row, "has_persona", evaluation->has_persona);
    json_set_bool(row, "drafts", evaluation->with_drafts);
    json_set_int(row, "question_count", evaluation->question_count);
    json_set_int(row, "done_count", evaluation->done_count);
    json_set(row, "figures", figures != NULL ? figures : json_null());
    json_set(row, "error",
             evaluation->error.len > 0 ? json_from_str(evaluation->error) : json_null());
    json_set(row, "created_at", api_time(evaluation->created_at_us));
    json_set(row, "finished_at", api_time(evaluation->finished_at_us));
    *json_out = row;
    if (st != ST_OK)
        json_decref(row);
    return st == ST_OK ? ST_OK : err_wrap(err, "stored figures");
}

static enum status
reply_evaluation(struct api_call *call, const struct evaluation *evaluation, struct err *err)
{
    json_t *body;
    enum status st = evaluation_json(evaluation, &body, err);

    return st == ST_OK ? api_reply(call, body) : st;
}

struct start_body {
    struct str name;
    json_t *persona;
    bool drafts;
};

static enum status
start_evaluation(struct api_call *call, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "name",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct start_body, name),
         .max_len = EVALUATION_NAME_MAX_BYTES},
        {.key = "persona",
         .kind = JSON_FIELD_OBJECT,
         .offset = offsetof(struct start_body, persona)},
        {.key = "drafts", .kind = JSON_FIELD_BOOL, .offset = offsetof(struct start_body, drafts)},
        {.key = NULL},
    };
    struct start_body body = {.persona = NULL};
    struct evaluation_spec spec = {.with_drafts = false};
    struct evaluation evaluation;
    enum status st = API_PATH_ID(call, "set_id", &spec.set_id, err);

    if (st == ST_OK)
        st = json_read(call->body, fields, &body, err);
    if (st == ST_OK && body.persona != NULL)
        st = api_check_persona(body.persona, err);
    spec.name = body.name;
    spec.persona = body.persona == NULL ? STR_EMPTY : json_text(body.persona, call->arena);
    spec.with_drafts = body.drafts;
    if (st == ST_OK)
        st = evaluation_start(call->config->evaluations, call->scope, &spec, call->arena,
                              &evaluation, err);
    return st == ST_OK ? reply_evaluation(call, &evaluation, err) : st;
}

static enum status
list_evaluations(struct api_call *call, struct err *err)
{
    struct str of = http_request_query(call->req, "set_id"), next = STR("");
    struct evaluation_id before = {{""}};
    struct evaluation_set_id set = {{""}};
    struct evaluation *list = NULL;
    struct api_page page;
    size_t count = 0, i;
    json_t *data = json_array(), *row;
    enum status st = api_page_read(call, &page, err);

    if (st == ST_OK && page.cursor.len > 0)
        st = ID_PARSE(page.cursor, &before, err);
    if (st == ST_OK && of.len > 0)
        st = ID_PARSE(of, &set, err);
    if (st == ST_OK)
        st = evaluation_list(call->config->evaluations, call->scope, set, before, page.limit + 1,
                             call->arena, &list, &count, err);
    for (i = 0; st == ST_OK && i < count && i < page.limit; i++) {
        st = evaluation_json(&list[i], &row, err);
        if (st == ST_OK)
            json_array_append_new(data, row);
    }
    if (st != ST_OK) {
        json_decref(data);
        return st;
    }
    if (count > page.limit)
        next = ID_STR(list[page.limit - 1].id);
    return api_reply_page(call, data, next);
}

static enum status
get_evaluation(struct api_call *call, struct err *err)
{
    struct evaluation evaluation;
    struct evaluation_id id;
    enum status st = API_PATH_ID(call, "evaluation_id", &id, err);

    if (st == ST_OK)
        st = evaluation_get(call->config->evaluations, call->scope, id, call->arena, &evaluation,
                            err);
    return st == ST_OK ? reply_evaluation(call, &evaluation, err) : st;
}

static enum status
delete_evaluation(struct api_call *call, struct err *err)
{
    struct evaluation_id id;
    enum status st = API_PATH_ID(call, "evaluation_id", &id, err);

    if (st == ST_OK)
        st = evaluation_delete(call->config->evaluations, call->scope, id, err);
    return st == ST_OK ? api_reply(call, NULL) : st;
}

static enum status
read_results(struct api_call *call, json_t **results_out, struct err *err)
{
    struct evaluation_id id;
    enum status st = API_PATH_ID(call, "evaluation_id", &id, err);

    *results_out = NULL;
    return st == ST_OK ? evaluation_results(call->config->evaluations, call->scope, id, call->arena,
                                            results_out, err)
                       : st;
}

static enum status
get_results(struct api_call *call, struct err *err)
{
    json_t *results;
    enum status st = read_results(call, &results, err);

    return st == ST_OK ? api_reply(call, results) : st;
}

/* ?before=: the run that it is put beside; NULL without it. */
static enum status
read_comparison(struct api_call *call, const json_t *results, json_t **comparison_out,
                struct err *err)
{
    struct str before = http_request_query(call->req, "before");
    json_auto_t *old = NULL;
    struct evaluation_id id;
    enum status st;

    *comparison_out = NULL;
    if (before.len == 0)
        return ST_OK;
    if (ID_PARSE(before, &id, err) != ST_OK)
        return err_set(err, ST_NOT_FOUND, "there is no such evaluation");
    st = evaluation_results(call->config->evaluations, call->scope, id, call->arena, &old, err);
    if (st == ST_OK)
        *comparison_out = eval_compare(old, results);
    return st;
}

static enum status
get_comparison(struct api_call *call, struct err *err)
{
    json_auto_t *results = NULL;
    json_t *comparison = NULL;
    enum status st = read_results(call, &results, err);

    if (st == ST_OK)
        st = read_comparison(call, results, &comparison, err);
    if (st == ST_OK && comparison == NULL)
        st = err_set(err, ST_INVALID, "before: the id of the evaluation to compare with");
    return st == ST_OK ? api_reply(call, comparison) : st;
}

static enum status
get_report(struct api_call *call, struct err *err)
{
    json_auto_t *results = NULL, *comparison = NULL;
    struct buf page;
    enum status st = read_results(call, &results, err);

    if (st == ST_OK)
        st = read_comparison(call, results, &comparison, err);
    if (st != ST_OK)
        return st;
    buf_init(&page, EVAL_REPORT_MAX_BYTES);
    st = eval_report_write(results, comparison, &page, err);
    if (st == ST_OK) {
        http_respond(call->resp, 200, "text/html; charset=utf-8",
                     arena_str(call->arena, buf_str(&page)));
        call->answered = true;
    }
    buf_deinit(&page);
    return st;
}

#define SET_SCHEMA                                                                                 \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"name\":{\"type\":"        \
    "\"string\"},\"question_count\":{\"type\":\"integer\"},\"questions\":{\"type\":\"array\","     \
    "\"items\":{\"type\":\"object\"}}}}"
#define SET_REQUEST                                                                                \
    "{\"type\":\"object\",\"required\":[\"name\",\"questions\"],\"properties\":{\"name\":{"        \
    "\"type\":\"string\"},\"questions\":{\"type\":\"array\",\"items\":{\"type\":\"object\","       \
    "\"required\":[\"question\"],\"properties\":{\"id\":{\"type\":\"string\"},\"question\":{"      \
    "\"type\":\"string\"},\"history\":{\"type\":\"array\"},\"staff\":{\"type\":\"boolean\"},"      \
    "\"answerable\":{\"type\":[\"boolean\",\"null\"]},\"relevant\":{\"type\":\"array\"},"          \
    "\"answers\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"reference\":{\"type\":"    \
    "\"string\"}}}}}}"
#define START_REQUEST                                                                              \
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"persona\":{\"type\":"   \
    "\"object\"},\"drafts\":{\"type\":\"boolean\"}}}"
#define EVALUATION_SCHEMA                                                                          \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"set_id\":{\"type\":"      \
    "\"string\"},\"name\":{\"type\":\"string\"},\"status\":{\"type\":\"string\",\"enum\":["        \
    "\"queued\",\"running\",\"done\",\"failed\"]},\"drafts\":{\"type\":\"boolean\"},\"done_"       \
    "count\":{\"type\":\"integer\"},"                                                              \
    "\"question_count\":{\"type\":\"integer\"},\"figures\":{\"type\":[\"object\",\"null\"]},"      \
    "\"error\":{\"type\":[\"string\",\"null\"]}}}"
#define BEFORE_QUERY "before:string:The evaluation to compare with"

/* A set may hold questions of staff, and a run what was answered to them. */
#define READS (SCOPE_KNOWLEDGE_READ | SCOPE_QUERY_STAFF)
#define WRITES (SCOPE_KNOWLEDGE_WRITE | SCOPE_QUERY_STAFF)

const struct api_operation api_evaluation_operations[] = {
    {HTTP_POST, "/v1/evaluation-sets", "evaluation_sets.put", "Evaluations",
     "Keep a set of questions with known answers, or put others into the set of that name",
     ACCESS_KEY, WRITES, put_set, 0, EVALUATION_MAX_BYTES + 65536, SET_REQUEST, SET_SCHEMA, NULL,
     200},
    {HTTP_GET, "/v1/evaluation-sets", "evaluation_sets.list", "Evaluations",
     "Question sets, by name", ACCESS_KEY, READS, list_sets, 0, 0, NULL, API_PAGE_SCHEMA, NULL,
     200},
    {HTTP_GET, "/v1/evaluation-sets/{set_id}", "evaluation_sets.get", "Evaluations",
     "One set with its questions", ACCESS_KEY, READS, get_set, 0, 0, NULL, SET_SCHEMA, NULL, 200},
    {HTTP_DELETE, "/v1/evaluation-sets/{set_id}", "evaluation_sets.delete", "Evaluations",
     "Remove a set with all its runs", ACCESS_KEY, WRITES, delete_set, 0, 0, NULL, NULL, NULL, 204},
    {HTTP_POST, "/v1/evaluation-sets/{set_id}/evaluations", "evaluations.start", "Evaluations",
     "Ask all questions of a set, with the brand's persona or one that is not published yet; with "
     "\"drafts\" of the documents as they will be when all drafts are published",
     ACCESS_KEY, WRITES, start_evaluation, 0, 0, START_REQUEST, EVALUATION_SCHEMA, NULL, 202},
    {HTTP_GET, "/v1/evaluations", "evaluations.list", "Evaluations", "Runs, newest first",
     ACCESS_KEY, READS, list_evaluations, 0, 0, NULL, API_PAGE_SCHEMA,
     "set_id:string:Of this set alone;" API_PAGE_QUERY, 200},
    {HTTP_GET, "/v1/evaluations/{evaluation_id}", "evaluations.get", "Evaluations",
     "How far a run is, and its figures", ACCESS_KEY, READS, get_evaluation, 0, 0, NULL,
     EVALUATION_SCHEMA, NULL, 200},
    {HTTP_GET, "/v1/evaluations/{evaluation_id}/results", "evaluations.results", "Evaluations",
     "The whole run: figures, calibration, a row a question", ACCESS_KEY, READS, get_results, 0, 0,
     NULL, "{\"type\":\"object\"}", NULL, 200},
    {HTTP_GET, "/v1/evaluations/{evaluation_id}/comparison", "evaluations.compare", "Evaluations",
     "The run beside another one: every question that changed, and why", ACCESS_KEY, READS,
     get_comparison, 0, 0, NULL, "{\"type\":\"object\"}", BEFORE_QUERY, 200},
    {HTTP_GET, "/v1/evaluations/{evaluation_id}/report", "evaluations.report", "Evaluations",
     "The run as a page to look at", ACCESS_KEY, READS, get_report, 0, 0, NULL, NULL, BEFORE_QUERY,
     200},
    {HTTP_DELETE, "/v1/evaluations/{evaluation_id}", "evaluations.delete", "Evaluations",
     "Remove a run, also one that is under way", ACCESS_KEY, WRITES, delete_evaluation, 0, 0, NULL,
     NULL, NULL, 204},
    {.path = NULL},
};
