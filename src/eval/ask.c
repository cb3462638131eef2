/*
 * ask.c - asks, finds what is relevant among the passages, has the answer judged
 */
#include "eval/ask.h"

#include "base/log.h"
#include "eval/metrics.h"

#define NAMES_MAX 1000000
#define NAMES_BYTES ((size_t)512 << 20)

void
eval_asker_init(struct eval_asker *asker)
{
    *asker = (struct eval_asker){.arena = arena_create(NAMES_BYTES)};
    map_init(&asker->names, NAMES_MAX);
}

void
eval_asker_deinit(struct eval_asker *asker)
{
    map_deinit(&asker->names);
    arena_destroy(&asker->arena);
}

enum status
eval_asker_name(struct eval_asker *asker, struct source_id id, struct str name, struct err *err)
{
    struct str *kept = ARENA_NEW(asker->arena, struct str);
    void *replaced;

    *kept = arena_str(asker->arena, name);
    return map_put(&asker->names, ID_STR(id), kept, &replaced, err);
}

/* A document that is gone meanwhile has no name. */
static enum status
name_of(struct eval_asker *asker, struct source_id id, struct arena *arena, struct str *name_out,
        struct err *err)
{
    const struct str *known = map_find(&asker->names, ID_STR(id));
    struct source source = {.name = STR_EMPTY};
    enum status st = ST_OK;

    if (known == NULL && asker->knowledge != NULL) {
        st = source_get(asker->knowledge, asker->scope, id, arena, &source, err);
        if (st == ST_OK)
            st = eval_asker_name(asker, id, source.name, err);
    }
    *name_out = known != NULL ? *known : source.name;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* --- what is relevant --- */

/* One question under way. */
struct asking {
    const struct eval_question *question;
    struct answer answer;
    struct eval_passage passages[EVAL_DEPTH];
    struct str documents[EVAL_DEPTH];
    double gains[EVAL_DEPTH];
    size_t found[EVAL_DEPTH];
    bool relevant[EVAL_DEPTH];
    bool holds[EVAL_DEPTH]; /* the words of a right answer */
    size_t count, seen;
    struct arena *arena;
};

static struct str
last_part(struct str path)
{
    size_t at = path.len;

    while (at > 0 && path.ptr[at - 1] != '/')
        at--;
    return str_sub(path, at, path.len);
}

static bool
is_document(const struct eval_gold *gold, struct str document, struct str title)
{
    return str_eq_nocase(gold->document, document) || str_eq_nocase(gold->document, title) ||
           str_eq_nocase(gold->document, last_part(document));
}

static bool
matches(const struct asking *a, const struct eval_gold *gold, size_t i)
{
    const struct citation *passage = &a->answer.passages[i];

    if (gold->document.len > 0 && !is_document(gold, a->documents[i], passage->title))
        return false;
    if (gold->page > 0 && gold->page != passage->page)
        return false;
    if (gold->heading.len > 0 && str_find(eval_plain(passage->heading_path, a->arena),
                                          eval_plain(gold->heading, a->arena)) < 0)
        return false;
    return gold->text.len == 0 ||
           str_find(eval_plain(passage->text, a->arena), eval_plain(gold->text, a->arena)) >= 0;
}

/* What is relevant counts once, for the first passage that brings it. */
static void
find_relevant(struct asking *a)
{
    bool *taken = ARENA_NEW_N(a->arena, bool, a->question->gold_count + 1);

    for (size_t g = 0; g < a->question->gold_count; g++)
        taken[g] = false;
    for (size_t i = 0; i < a->count; i++) {
        a->gains[i] = 0;
        a->found[i] = 0;
        a->relevant[i] = false;
        for (size_t g = 0; g < a->question->gold_count; g++) {
            if (!matches(a, &a->question->gold[g], i))
                continue;
            a->relevant[i] = true;
            if (taken[g])
                continue;
            taken[g] = true;
            a->gains[i] += a->question->gold[g].grade;
            a->found[i]++;
        }
    }
}

static bool
holds_an_answer(const struct asking *a, struct str text)
{
    struct str plain = eval_plain(text, a->arena);

    for (size_t i = 0; i < a->question->answer_count; i++)
        if (str_find(plain, eval_plain(a->question->answers[i], a->arena)) >= 0)
            return true;
    return false;
}

/* --- the row --- */

static const char *
kind_name(enum answer_kind kind)
{
    static const char *const kinds[] = {"answer", "courtesy", "no_answer", "person_wanted",
                                        "no_text"};

    return kinds[kind];
}

static json_t *
passages_json(const struct asking *a)
{
    json_t *list = json_array();

    for (size_t i = 0; i < a->count; i++) {
        const struct citation *c = &a->answer.passages[i];
        json_t *row = json_object();

        json_set_str(row, "document", a->documents[i].len > 0 ? a->documents[i] : c->title);
        json_set_str(row, "title", c->title);
        json_set_str(row, "heading", c->heading_path);
        if (c->page > 0)
            json_set_int(row, "page", c->page);
        json_set_int(row, "start", c->start_char);
        json_set_int(row, "end", c->end_char);
        json_set_double(row, "score", c->score);
        json_set_str(row, "quote", c->quote);
        if (a->question->gold_count + a->question->answer_count > 0)
            json_set_bool(row, "relevant",
                          a->question->gold_count > 0 ? a->relevant[i] : a->holds[i]);
        json_array_append_new(list, row);
    }
    return list;
}

static void
set_retrieval(const struct asking *a, json_t *row)
{
    size_t all = a->question->gold_count, first = 0;
    double *grades = ARENA_NEW_N(a->arena, double, all + 1);
    double reciprocal = eval_reciprocal_rank(a->gains, a->count);

    if (all == 0)
        return;
    for (size_t g = 0; g < all; g++)
        grades[g] = a->question->gold[g].grade;
    if (reciprocal > 0)
        first = (size_t)(1 / reciprocal + 0.5);
    json_set_int(row, "relevant", (int64_t)all);
    json_set_int(row, "first_relevant", (int64_t)first);
    json_set_double(row, "ndcg_10", eval_ndcg(a->gains, a->count, grades, all, 10));
    json_set_double(row, "recall_5", eval_recall(a->found, a->count, all, 5));
    json_set_double(row, "recall_10", eval_recall(a->found, a->count, all, 10));
}

/* Whether the passages that the model saw hold the answer: what the confidence is about. By the
 * words of right answers where the set has them: the right document need not be the right passage.
 */
static void
set_held(const struct asking *a, json_t *row)
{
    const struct eval_question *question = a->question;
    bool held = false;

    if (question->answerable == EVAL_UNKNOWN ||
        (question->answerable == EVAL_ANSWERABLE &&
         question->answer_count + question->gold_count == 0))
        return;
    for (size_t i = 0; i < a->seen && question->answerable == EVAL_ANSWERABLE; i++)
        held = held || (question->answer_count > 0 ? a->holds[i] : a->relevant[i]);
    if (json_is_true(json_object_get(row, "right"))) /* in other words than the passages' */
        held = true;
    json_set_bool(row, "held", held);
}

static void
set_measured(json_t *row, const char *key, double value)
{
    if (value >= 0)
        json_set_double(row, key, value);
}

static json_t *
make_row(const struct asking *a, const struct eval_verdict *verdict)
{
    const struct eval_question *question = a->question;
    const struct answer *answer = &a->answer;
    bool answered = answer->kind == ANSWER_GROUNDED;
    json_t *row = json_object();

    json_set_str(row, "id", question->id);
    json_set_str(row, "question", question->text);
    json_set(row, "answerable",
             question->answerable == EVAL_UNKNOWN
                 ? json_null()
                 : json_boolean(question->answerable == EVAL_ANSWERABLE));
    json_set_str(row, "kind", str_from_c(kind_name(answer->kind)));
    json_set_double(row, "confidence", answer->confidence);
    json_set_str(row, "answer", answer->text);
    json_set_str(row, "model", answer->model_name);
    json_set_str(row, "judge", verdict->judge);
    json_set_int(row, "retrieve_ms", answer->retrieve_ms);
    json_set_int(row, "model_ms", answer->model_ms);
    json_set(row, "passages", passages_json(a));
    set_retrieval(a, row);
    if (question->answer_count > 0 && question->answerable == EVAL_ANSWERABLE)
        json_set_bool(row, "right", answered && holds_an_answer(a, answer->text));
    set_held(a, row);
    if (question->answerable != EVAL_ANSWERABLE)
        return row;
    set_measured(row, "context_precision", verdict->context_precision);
    set_measured(row, "context_recall", verdict->context_recall);
    set_measured(row, "faithfulness", verdict->faithfulness);
    set_measured(row, "answer_relevancy", verdict->relevancy);
    return row;
}

/* --- asking --- */

static enum status
judge(const struct eval_asker *asker, const struct asking *a, struct eval_verdict *verdict,
      struct err *err)
{
    const struct eval_case one = {
        .question = a->question,
        .passages = a->passages,
        .passage_count = a->seen,
        .relevant = a->question->gold_count > 0 ? a->relevant : NULL,
        .found = eval_recall(a->found, a->seen, a->question->gold_count, a->seen),
        .answer = a->answer.kind == ANSWER_GROUNDED ? a->answer.text : STR_EMPTY,
    };
    struct eval_judge without = asker->judge;
    enum status st = eval_judge_case(&asker->judge, &one, a->arena, verdict, err);

    if (st == ST_OK || asker->judge.models == NULL)
        return st;
    LOG_ERR(LOG_WARN, "eval.judge_failed", err);
    without.models = NULL;
    return eval_judge_case(&without, &one, a->arena, verdict, err);
}

static enum status
look(struct eval_asker *asker, struct asking *a, struct err *err)
{
    enum status st = ST_OK;

    a->count = a->answer.passage_count < EVAL_DEPTH ? a->answer.passage_count : EVAL_DEPTH;
    a->seen = a->answer.seen_count < a->count ? a->answer.seen_count : a->count;
    for (size_t i = 0; st == ST_OK && i < a->count; i++) {
        const struct citation *c = &a->answer.passages[i];

        st = name_of(asker, c->source_id, a->arena, &a->documents[i], err);
        a->passages[i] = (struct eval_passage){c->title, c->heading_path, c->text};
        a->holds[i] = holds_an_answer(a, c->text);
    }
    find_relevant(a);
    return st;
}

enum status
eval_ask(struct eval_asker *asker, const struct eval_question *question, struct arena *arena,
         json_t **row_out, struct err *err)
{
    const struct index_filter filter = {.with_drafts = asker->with_drafts};
    const struct question asked = {.text = question->text,
                                   .history = question->history,
                                   .history_count = question->history_count,
                                   .staff = question->staff,
                                   .persona = asker->persona,
                                   .filter = &filter,
                                   .depth = EVAL_DEPTH};
    struct asking a = {.question = question, .arena = arena};
    struct eval_verdict verdict;
    enum status st =
        orchestrator_answer(asker->orchestrator, asker->scope, &asked, NULL, arena, &a.answer, err);

    *row_out = NULL;
    if (st == ST_OK)
        st = look(asker, &a, err);
    if (st == ST_OK)
        st = judge(asker, &a, &verdict, err);
    if (st == ST_OK)
        *row_out = make_row(&a, &verdict);
    return st;
}
