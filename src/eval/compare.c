/*
 * compare.c - two runs, question by question: which changed, which way, and why
 */
#include "base/map.h"
#include "eval/results.h"

#define ROWS_MAX 1000000

/* From the worst to the best that can come of a question. */
enum outcome { OUTCOME_NONE, OUTCOME_WRONG, OUTCOME_REFUSED, OUTCOME_ANSWERED, OUTCOME_RIGHT };
static const char *const outcome_words[] = {"", "answered wrongly", "refused", "answered",
                                            "answered rightly"};

/* A wrong answer costs more than none. What must be refused: refused is the best of it. */
static enum outcome
outcome_of(const json_t *row)
{
    bool answered = str_eq_c(json_get_str(row, "kind"), "answer");
    const json_t *answerable = json_object_get(row, "answerable");
    const json_t *right = json_object_get(row, "right");

    if (json_is_false(answerable))
        return answered ? OUTCOME_WRONG : OUTCOME_REFUSED;
    if (!json_is_true(answerable))
        return OUTCOME_NONE;
    if (!answered)
        return OUTCOME_REFUSED;
    if (!json_is_boolean(right))
        return OUTCOME_ANSWERED;
    return json_is_true(right) ? OUTCOME_RIGHT : OUTCOME_WRONG;
}

/* Of the first relevant passage; what was not found stands behind everything. */
static int64_t
rank_of(const json_t *row)
{
    int64_t rank = json_get_int(row, "first_relevant", -1);

    return rank == 0 ? INT64_MAX : rank;
}

static bool
has_passage(const json_t *row, const json_t *passage)
{
    const json_t *list = json_get_array(row, "passages"), *one;
    size_t i;

    json_array_foreach (list, i, one)
        if (str_eq(json_get_str(one, "document"), json_get_str(passage, "document")) &&
            json_get_int(one, "start", -1) == json_get_int(passage, "start", -1))
            return true;
    return false;
}

/* Relevant passages that one run has and the other has not. */
static json_t *
passages_won(const json_t *row, const json_t *other)
{
    const json_t *list = json_get_array(row, "passages"), *one;
    json_t *won = json_array();
    size_t i;

    json_array_foreach (list, i, one)
        if (json_is_true(json_object_get(one, "relevant")) && !has_passage(other, one))
            json_array_append(won, (json_t *)(uintptr_t)one);
    return won;
}

static void
say_rank(struct buf *why, const char *word, int64_t rank)
{
    if (rank == INT64_MAX)
        buf_printf(why, "%snot found", word);
    else
        buf_printf(why, "%s%lld", word, (long long)rank);
}

/* -1 worse, 1 better, 0 neither. */
static int
change_of(const json_t *before, const json_t *after, struct buf *why)
{
    enum outcome was = outcome_of(before), is = outcome_of(after);
    int64_t rank_was = rank_of(before), rank_is = rank_of(after);
    int change = was == OUTCOME_NONE || is == OUTCOME_NONE ? 0 : (is > was) - (is < was);

    if (change != 0)
        buf_printf(why, "was %s, is %s", outcome_words[was], outcome_words[is]);
    if (rank_was != rank_is && rank_was >= 0 && rank_is >= 0) {
        if (change == 0)
            change = rank_is < rank_was ? 1 : -1;
        buf_append_c(why, why->len > 0 ? "; " : "");
        say_rank(why, "first relevant passage: ", rank_was);
        say_rank(why, ", now ", rank_is);
    }
    return change;
}

static json_t *
side_json(const json_t *row)
{
    static const char *const keys[] = {"kind", "answer", "confidence", "first_relevant", "right"};
    json_t *side = json_object();

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (json_object_get(row, keys[i]) != NULL)
            json_object_set(side, keys[i], json_object_get(row, keys[i]));
    return side;
}

static void
say_passages(struct buf *why, const json_t *list, const char *word)
{
    const json_t *one;
    size_t i;

    json_array_foreach (list, i, one) {
        struct str heading = json_get_str(one, "heading");

        buf_printf(why, "%s%s \"%.*s%s%.*s\"", why->len > 0 ? "; " : "", word,
                   STR_ARG(json_get_str(one, "document")), heading.len > 0 ? " > " : "",
                   STR_ARG(heading));
    }
}

static json_t *
changed_json(const json_t *before, const json_t *after, int change, struct buf *why)
{
    json_t *entry = json_object();
    json_t *won = passages_won(after, before), *lost = passages_won(before, after);

    say_passages(why, won, "won");
    say_passages(why, lost, "lost");
    json_set_str(entry, "id", json_get_str(after, "id"));
    json_set_str(entry, "question", json_get_str(after, "question"));
    json_set_str(entry, "change", change > 0 ? STR("better") : STR("worse"));
    json_set_str(entry, "why", buf_str(why));
    json_set(entry, "won", won);
    json_set(entry, "lost", lost);
    json_set(entry, "before", side_json(before));
    json_set(entry, "after", side_json(after));
    return entry;
}

static json_t *
compare_figures(const json_t *before, const json_t *after)
{
    json_t *figures = json_object();

    for (const struct eval_figure *figure = eval_figures; figure->name != NULL; figure++) {
        json_t *was = json_object_get(json_object_get(before, "figures"), figure->name);
        json_t *is = json_object_get(json_object_get(after, "figures"), figure->name);
        json_t *both = json_object();

        if (was != NULL)
            json_object_set(both, "before", json_object_get(was, "value"));
        if (is != NULL)
            json_object_set(both, "after", json_object_get(is, "value"));
        if (was != NULL || is != NULL)
            json_object_set(figures, figure->name, both);
        json_decref(both);
    }
    return figures;
}

/* The same question, not only the same id: ids may be numbers of lines. */
static bool
is_same(const json_t *before, const json_t *after)
{
    return before != NULL &&
           str_eq(json_get_str(before, "question"), json_get_str(after, "question"));
}

json_t *
eval_compare(const json_t *before, const json_t *after)
{
    const json_t *old_rows = json_get_array(before, "rows"), *rows = json_get_array(after, "rows");
    int64_t counts[3] = {0}, matched = 0;
    json_t *result = json_object(), *changed = json_array(), *row;
    struct map by_id;
    struct err err;
    void *replaced;
    size_t i;

    map_init(&by_id, ROWS_MAX);
    json_array_foreach ((json_t *)(uintptr_t)old_rows, i, row)
        (void)!map_put(&by_id, json_get_str(row, "id"), row, &replaced, &err);
    json_array_foreach ((json_t *)(uintptr_t)rows, i, row) {
        const json_t *old = map_find(&by_id, json_get_str(row, "id"));
        struct buf why;
        int change;

        if (!is_same(old, row))
            continue;
        matched++;
        buf_init(&why, 64 * 1024);
        change = change_of(old, row, &why);
        counts[change + 1]++;
        if (change != 0)
            json_array_append_new(changed, changed_json(old, row, change, &why));
        buf_deinit(&why);
    }
    map_deinit(&by_id);
    json_set_str(result, "before", json_get_str(before, "name"));
    json_set_str(result, "after", json_get_str(after, "name"));
    json_set(result, "figures", compare_figures(before, after));
    json_set_int(result, "better", counts[2]);
    json_set_int(result, "worse", counts[0]);
    json_set_int(result, "same", counts[1]);
    json_set_int(result, "only_before", (int64_t)json_array_size(old_rows) - matched);
    json_set_int(result, "only_after", (int64_t)json_array_size(rows) - matched);
    json_set(result, "changed", changed);
    return result;
}
