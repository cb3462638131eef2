/*
 * dataset.c - reads questions; refuses what is wrong with the line that has it
 */
#include "eval/dataset.h"

#include <math.h>

#include "eval/beir.h"

struct fields {
    struct str id, question, reference;
    json_t *history, *relevant, *answers;
    bool staff;
};

static const struct json_field question_fields[] = {
    {.key = "id", .kind = JSON_FIELD_STR, .offset = offsetof(struct fields, id), .max_len = 200},
    {.key = "question",
     .kind = JSON_FIELD_STR,
     .required = true,
     .offset = offsetof(struct fields, question),
     .max_len = EVAL_MAX_QUESTION_BYTES},
    {.key = "reference", .kind = JSON_FIELD_STR, .offset = offsetof(struct fields, reference)},
    {.key = "history", .kind = JSON_FIELD_ARRAY, .offset = offsetof(struct fields, history)},
    {.key = "relevant", .kind = JSON_FIELD_ARRAY, .offset = offsetof(struct fields, relevant)},
    {.key = "answers", .kind = JSON_FIELD_ARRAY, .offset = offsetof(struct fields, answers)},
    {.key = "staff", .kind = JSON_FIELD_BOOL, .offset = offsetof(struct fields, staff)},
    {.key = NULL},
};

/* --- parts of a question --- */

static enum status
read_history(const json_t *list, struct arena *arena, struct eval_question *question,
             struct err *err)
{
    size_t count = json_array_size(list), i;
    const json_t *turn;

    if (count > EVAL_MAX_HISTORY)
        return err_set(err, ST_INVALID, "history: at most %d turns", EVAL_MAX_HISTORY);
    question->history = ARENA_NEW_N(arena, struct message, count + 1);
    json_array_foreach (list, i, turn) {
        struct str role = json_get_str(turn, "role"), text = json_get_str(turn, "text");

        if (text.ptr == NULL || (!str_eq_c(role, "user") && !str_eq_c(role, "assistant")))
            return err_set(err, ST_INVALID,
                           "history: each turn is {\"role\": \"user\" or \"assistant\", \"text\"}");
        question->history[i] =
            (struct message){.role = str_eq_c(role, "user") ? STR("user") : STR("assistant"),
                             .body = arena_str(arena, text)};
    }
    question->history_count = count;
    return ST_OK;
}

struct gold_fields {
    struct str document, heading, text;
    int64_t page;
    double grade;
};

static const struct json_field gold_fields[] = {
    {.key = "document", .kind = JSON_FIELD_STR, .offset = offsetof(struct gold_fields, document)},
    {.key = "heading", .kind = JSON_FIELD_STR, .offset = offsetof(struct gold_fields, heading)},
    {.key = "text", .kind = JSON_FIELD_STR, .offset = offsetof(struct gold_fields, text)},
    {.key = "page",
     .kind = JSON_FIELD_INT,
     .offset = offsetof(struct gold_fields, page),
     .min = 1,
     .max = 1000000},
    {.key = "grade", .kind = JSON_FIELD_DOUBLE, .offset = offsetof(struct gold_fields, grade)},
    {.key = NULL},
};

static enum status
read_gold(const json_t *entry, struct arena *arena, struct eval_gold *gold_out, struct err *err)
{
    struct gold_fields fields = {.grade = 1};

    if (json_is_string(entry)) {
        fields.document = str_of(json_string_value(entry), json_string_length(entry));
    } else {
        enum status st = json_is_object(entry) ? json_read(entry, gold_fields, &fields, err)
                                               : err_set(err, ST_INVALID, "a name or an object");

        if (st != ST_OK)
            return err_set(err, ST_INVALID, "relevant: %s", err->public_text);
    }
    if (fields.document.len + fields.heading.len + fields.text.len == 0 && fields.page == 0)
        return err_set(err, ST_INVALID, "relevant: an entry says nothing of what is relevant");
    if (!(fields.grade > 0) || !isfinite(fields.grade))
        return err_set(err, ST_INVALID, "relevant: a grade is above 0");
    *gold_out = (struct eval_gold){.document = arena_str(arena, fields.document),
                                   .heading = arena_str(arena, fields.heading),
                                   .text = arena_str(arena, fields.text),
                                   .page = fields.page,
                                   .grade = fields.grade};
    return ST_OK;
}

static enum status
read_all_gold(const json_t *list, struct arena *arena, struct eval_question *question,
              struct err *err)
{
    size_t count = json_array_size(list), i;
    const json_t *entry;
    enum status st = ST_OK;

    if (count > EVAL_MAX_GOLD)
        return err_set(err, ST_INVALID, "relevant: at most %d entries", EVAL_MAX_GOLD);
    question->gold = ARENA_NEW_N(arena, struct eval_gold, count + 1);
    json_array_foreach (list, i, entry) {
        st = read_gold(entry, arena, &question->gold[i], err);
        if (st != ST_OK)
            return st;
    }
    question->gold_count = count;
    return ST_OK;
}

static enum status
read_answers(const json_t *list, struct arena *arena, struct eval_question *question,
             struct err *err)
{
    size_t count = json_array_size(list), i;
    const json_t *entry;

    if (count > EVAL_MAX_ANSWERS)
        return err_set(err, ST_INVALID, "answers: at most %d", EVAL_MAX_ANSWERS);
    question->answers = ARENA_NEW_N(arena, struct str, count + 1);
    json_array_foreach (list, i, entry) {
        struct str text = str_trim(str_of(json_string_value(entry), json_string_length(entry)));

        if (!json_is_string(entry) || text.len == 0)
            return err_set(err, ST_INVALID, "answers: words that a right answer holds");
        question->answers[i] = arena_str(arena, text);
    }
    question->answer_count = count;
    return ST_OK;
}

/* "answerable" may be null, which the table of fields does not know: it is read apart. */
static enum status
read_question(const json_t *given, size_t number, struct arena *arena,
              struct eval_question *question, struct err *err)
{
    struct fields fields = {.id = STR_EMPTY};
    json_auto_t *entry = json_copy((json_t *)(uintptr_t)given);
    const json_t *answerable = json_object_get(given, "answerable");
    enum status st = ST_OK;

    if (!json_is_object(given))
        return err_set(err, ST_INVALID, "not an object such as {\"question\": \"...\"}");
    if (answerable != NULL && !json_is_boolean(answerable) && !json_is_null(answerable))
        return err_set(err, ST_INVALID, "answerable: true, false or null");
    (void)json_object_del(entry, "answerable");
    st = json_read(entry, question_fields, &fields, err);
    if (st == ST_OK && str_trim(fields.question).len == 0)
        st = err_set(err, ST_INVALID, "question: words");
    if (st != ST_OK)
        return st;
    *question = (struct eval_question){
        .id = fields.id.len > 0 ? arena_str(arena, fields.id) : arena_printf(arena, "%zu", number),
        .text = arena_str(arena, str_trim(fields.question)),
        .reference = arena_str(arena, fields.reference),
        .staff = fields.staff,
        .answerable = json_is_null(answerable)    ? EVAL_UNKNOWN
                      : json_is_false(answerable) ? EVAL_UNANSWERABLE
                                                  : EVAL_ANSWERABLE,
    };
    st = read_history(fields.history, arena, question, err);
    if (st == ST_OK)
        st = read_all_gold(fields.relevant, arena, question, err);
    return st == ST_OK ? read_answers(fields.answers, arena, question, err) : st;
}

/* --- whole sets --- */

static enum status
refuse(const char *what, size_t number, struct err *err)
{
    struct err why = *err;

    return err_set(err, ST_INVALID, "%s %zu: %s", what, number, why.public_text);
}

enum status
eval_dataset_read(const json_t *list, struct arena *arena, struct eval_dataset *dataset_out,
                  struct err *err)
{
    size_t count = json_array_size(list), i;
    const json_t *entry;

    *dataset_out = (struct eval_dataset){.count = 0};
    if (!json_is_array(list) || count == 0)
        return err_set(err, ST_INVALID, "there are no questions");
    if (count > EVAL_MAX_QUESTIONS)
        return err_set(err, ST_TOO_LARGE, "at most %d questions", EVAL_MAX_QUESTIONS);
    dataset_out->questions = ARENA_NEW_N(arena, struct eval_question, count);
    json_array_foreach (list, i, entry)
        if (read_question(entry, i + 1, arena, &dataset_out->questions[i], err) != ST_OK)
            return refuse("question", i + 1, err);
    dataset_out->count = count;
    return ST_OK;
}

static enum status
parse_lines(struct str text, struct arena *arena, struct eval_dataset *dataset, struct err *err)
{
    size_t capacity = 64, number = 0;
    struct str line;

    dataset->questions = ARENA_NEW_N(arena, struct eval_question, capacity);
    while (str_split(&text, '\n', &line)) {
        json_auto_t *entry = NULL;

        number++;
        line = str_trim(line);
        if (line.len == 0)
            continue;
        if (dataset->count == EVAL_MAX_QUESTIONS)
            return err_set(err, ST_TOO_LARGE, "at most %d questions", EVAL_MAX_QUESTIONS);
        if (dataset->count == capacity) {
            struct eval_question *more = ARENA_NEW_N(arena, struct eval_question, capacity * 2);

            for (size_t i = 0; i < capacity; i++)
                more[i] = dataset->questions[i];
            dataset->questions = more;
            capacity *= 2;
        }
        if (json_parse(line, &entry, err) != ST_OK ||
            read_question(entry, dataset->count + 1, arena, &dataset->questions[dataset->count],
                          err) != ST_OK)
            return refuse("line", number, err);
        dataset->count++;
    }
    return dataset->count > 0 ? ST_OK : err_set(err, ST_INVALID, "there are no questions");
}

enum status
eval_dataset_parse(struct str text, struct arena *arena, struct eval_dataset *dataset_out,
                   struct err *err)
{
    json_auto_t *list = NULL;
    enum status st;

    *dataset_out = (struct eval_dataset){.count = 0};
    text = str_trim(text);
    if (!str_starts_with(text, STR("[")))
        return parse_lines(text, arena, dataset_out, err);
    st = json_parse(text, &list, err);
    return st == ST_OK ? eval_dataset_read(list, arena, dataset_out, err) : st;
}

/* --- writing --- */

static json_t *
gold_json(const struct eval_gold *gold)
{
    json_t *entry = json_object();

    json_set_str(entry, "document", gold->document.len > 0 ? gold->document : STR_EMPTY);
    json_set_str(entry, "heading", gold->heading.len > 0 ? gold->heading : STR_EMPTY);
    json_set_str(entry, "text", gold->text.len > 0 ? gold->text : STR_EMPTY);
    if (gold->page > 0)
        json_set_int(entry, "page", gold->page);
    if (gold->grade != 1)
        json_set_double(entry, "grade", gold->grade);
    return entry;
}

json_t *
eval_question_json(const struct eval_question *question)
{
    json_t *entry = json_object(), *list;

    json_set_str(entry, "id", question->id);
    json_set_str(entry, "question", question->text);
    if (question->history_count > 0) {
        list = json_array();
        for (size_t i = 0; i < question->history_count; i++) {
            json_t *turn = json_object();

            json_set_str(turn, "role", question->history[i].role);
            json_set_str(turn, "text", question->history[i].body);
            json_array_append_new(list, turn);
        }
        json_set(entry, "history", list);
    }
    if (question->staff)
        json_set_bool(entry, "staff", true);
    if (question->answerable == EVAL_UNANSWERABLE)
        json_set_bool(entry, "answerable", false);
    else if (question->answerable == EVAL_UNKNOWN)
        json_set(entry, "answerable", json_null());
    list = json_array();
    for (size_t i = 0; i < question->gold_count; i++)
        json_array_append_new(list, gold_json(&question->gold[i]));
    json_set(entry, "relevant", list);
    list = json_array();
    for (size_t i = 0; i < question->answer_count; i++)
        json_array_append_new(list, json_from_str(question->answers[i]));
    json_set(entry, "answers", list);
    if (question->reference.len > 0)
        json_set_str(entry, "reference", question->reference);
    return entry;
}

/* --- retrieval sets --- */

static enum eval_answerable
beir_answerable(const struct beir_query *query)
{
    struct str said = json_get_str(query->json, "answerability");

    if (str_eq_nocase(said, STR("UNANSWERABLE")) ||
        json_is_false(json_object_get(query->json, "answerable")))
        return EVAL_UNANSWERABLE;
    if (str_eq_nocase(said, STR("CONVERSATIONAL")))
        return EVAL_UNKNOWN;
    return said.len > 0 || query->relevant_count > 0 ? EVAL_ANSWERABLE : EVAL_UNKNOWN;
}

static enum status
beir_question(const struct beir_set *set, const struct beir_query *query, struct arena *arena,
              struct eval_question *question, struct err *err)
{
    const json_t *history = json_get_array(query->json, "history"), *turn;
    struct str reference = json_get_str(query->json, "answer");
    size_t i;

    if (str_trim(query->text).len == 0 || query->relevant_count > EVAL_MAX_GOLD ||
        json_array_size(history) > EVAL_MAX_HISTORY)
        return err_set(err, ST_INVALID, "query %.*s: no text, or too much beside it",
                       STR_ARG(query->id));
    *question = (struct eval_question){
        .id = arena_str(arena, query->id),
        .text = arena_str(arena, query->text),
        .reference = arena_str(arena, reference),
        .answerable = beir_answerable(query),
        .gold = ARENA_NEW_N(arena, struct eval_gold, query->relevant_count + 1),
        .gold_count = query->relevant_count};
    for (i = 0; i < query->relevant_count; i++)
        question->gold[i] =
            (struct eval_gold){.document = arena_str(arena, set->documents[query->relevant[i]].id),
                               .grade = query->grades[i]};
    question->history = ARENA_NEW_N(arena, struct message, json_array_size(history) + 1);
    json_array_foreach (history, i, turn) {
        question->history[question->history_count++] = (struct message){
            .role =
                str_eq_c(json_get_str(turn, "speaker"), "user") ? STR("user") : STR("assistant"),
            .body = arena_str(arena, json_get_str(turn, "text"))};
    }
    return ST_OK;
}

enum status
eval_dataset_from_beir(const struct beir_set *set, struct arena *arena,
                       struct eval_dataset *dataset_out, struct err *err)
{
    enum status st = ST_OK;

    *dataset_out = (struct eval_dataset){
        .questions = ARENA_NEW_N(arena, struct eval_question, set->query_count + 1)};
    for (size_t i = 0; i < set->query_count && st == ST_OK; i++) {
        const struct beir_query *query = &set->queries[i];

        if (query->relevant_count == 0 && beir_answerable(query) != EVAL_UNANSWERABLE)
            continue;
        st = beir_question(set, query, arena, &dataset_out->questions[dataset_out->count], err);
        dataset_out->count += st == ST_OK;
    }
    if (st == ST_OK && dataset_out->count == 0)
        st = err_set(err, ST_INVALID, "nothing is known of any of its queries");
    return st;
}
