/*
 * ask.c - a question to the engine between two reads of the database
 *
 * The first read chooses the partitions that may be seen and weighs the question's words; nothing
 * is read while the engine is asked; the second reads each passage that it named, and ranks it as
 * index_search does. Rarity is counted by the engine over the partitions that are searched, as here
 * (its IDF modifier with that corpus); an older one counts over everybody's passages, which changes
 * who is among its first fifty, never the score.
 */
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "index/engine_private.h"

static struct metric questions = {
    .name = "parley_index_questions_total",
    .help = "Questions to the engine beside the database, by what came of them: whole, behind "
            "(documents are still being put), or alone (the engine failed: words of the database)",
    .kind = METRIC_COUNTER,
    .labels = {"outcome"},
};

struct asking {
    struct index_engine *engine;
    struct index_query asked;
    struct arena *work;
    struct search *search;
    bool in_step; /* the engine has every passage */
    bool by_vectors;
    struct str *sources; /* that the question's filter wants, when it looks at documents */
    size_t source_count;
    bool is_wide;        /* too many of them: the engine is not asked */
    struct arena *arena; /* of the result */
    struct index_result *result;
};

/* Documents that are named to the engine; a filter that leaves more is the database's, by words. */
#define FILTER_MAX_SOURCES 10000

/* --- the first read --- */

static enum status
read_state(struct asking *asking, struct store_tx *tx, bool *vectors_complete_out, struct err *err)
{
    struct str collection = index_engine_collection(asking->engine), least, greatest, vectors;
    struct str words;
    enum status st = index_driver_of(tx)->sync_range(tx, asking->work, &least, &greatest, err);

    if (st != ST_OK)
        return st;
    vectors = arena_printf(asking->work, "%.*s" SYNC_VECTORS, STR_ARG(collection));
    words = arena_printf(asking->work, "%.*s" SYNC_WORDS, STR_ARG(collection));
    asking->in_step = str_cmp(least, vectors) >= 0 && str_cmp(greatest, words) <= 0;
    *vectors_complete_out = str_eq(greatest, vectors);
    return ST_OK;
}

/* As with vectors in memory: a passage without one would stand behind all others. */
static enum status
choose_legs(struct asking *asking, struct store_tx *tx, bool complete, struct err *err)
{
    const struct search *search = asking->search;
    struct str encoder = engine_encoder(asking->engine);
    int64_t with_vector = 0, chunks = 0;
    enum status st;

    asking->by_vectors = false;
    if (asking->asked.vector == NULL || encoder.len == 0 || search->group_count == 0 ||
        asking->is_wide)
        return ST_OK;
    asking->by_vectors = complete;
    if (asking->in_step)
        return ST_OK;
    for (size_t p = 0; p < search->partition_count; p++)
        chunks += search->partitions[p].chunk_count;
    st = index_driver_of(tx)->batch_sum(tx, encoder, &with_vector, err);
    asking->by_vectors = with_vector == chunks;
    return st;
}

static enum status
prepare_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct asking *asking = arg;
    bool complete = false;
    enum status st;

    arena_reset(asking->work);
    st = read_state(asking, tx, &complete, err);
    if (st == ST_OK && filter_is_of_documents(asking->asked.filter))
        st = index_driver_of(tx)->filter_sources(tx, asking->asked.filter, FILTER_MAX_SOURCES,
                                                 asking->work, &asking->sources,
                                                 &asking->source_count, err);
    asking->is_wide = st == ST_OK && asking->source_count > FILTER_MAX_SOURCES;
    asking->in_step = asking->in_step && !asking->is_wide;
    asking->search = search_new(tx, &asking->asked, !asking->in_step, asking->work);
    if (st == ST_OK)
        st = search_prepare(asking->search, err);
    return st == ST_OK ? choose_legs(asking, tx, complete, err) : st;
}

/* --- between --- */

static bool
has_str(const struct str *list, size_t count, struct str one)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(list[i], one))
            return true;
    return false;
}

/* What may be seen of it, and what is wanted. language NULL: of all. */
static void
bind_search(const struct asking *asking, const struct str *language,
            struct engine_search *engine_search)
{
    const struct search *search = asking->search;
    int64_t *ids = ARENA_NEW_N(search->arena, int64_t, search->partition_count + 1);
    struct str *audiences = ARENA_NEW_N(search->arena, struct str, search->partition_count + 1);

    for (size_t p = 0; p < search->partition_count; p++) {
        const struct index_partition *partition = &search->partitions[p];

        if (!search->chosen[p] || (language != NULL && !str_eq(*language, partition->language)))
            continue;
        ids[engine_search->partition_count++] = partition->id;
        if (!has_str(audiences, engine_search->audience_count, partition->audience))
            audiences[engine_search->audience_count++] = partition->audience;
    }
    engine_search->partitions = ids;
    engine_search->audiences = audiences;
    engine_search->by_source = search->allowed != NULL;
    engine_search->sources = asking->sources;
    engine_search->source_count = asking->source_count;
}

/* Forms that come to the same number are one. */
static void
add_word(struct engine_search *engine_search, uint32_t *words, float *weights, struct str term,
         double weight)
{
    uint32_t word = engine_word(term);
    size_t at = 0;

    while (at < engine_search->word_count && words[at] != word)
        at++;
    if (at == engine_search->word_count)
        words[engine_search->word_count++] = word;
    weights[at] += (float)weight;
}

/* The engine knows no phrases: each of its words counts as a part, so that what has all of them is
 * among the best. The database then takes what has not for what it is. */
static void
words_of_group(const struct search *search, const struct query_group *group,
               struct engine_search *engine_search)
{
    size_t max = (size_t)INDEX_MAX_QUERY_TERMS * QUERY_MAX_FORMS * INDEX_SYNONYM_TERMS;
    uint32_t *words = ARENA_NEW_N(search->arena, uint32_t, max);
    float *weights = ARENA_NEW_N(search->arena, float, max);

    for (size_t i = 0; i < group->term_count; i++)
        for (size_t f = 0; f < group->terms[i].form_count; f++) {
            const struct query_form *form = &group->terms[i].forms[f];
            double weight = rank_form_share(&group->terms[i], form);

            if (form->chunk_count == 0)
                continue;
            if (form->phrase == NULL)
                add_word(engine_search, words, weights, form->term, weight);
            for (size_t w = 0; form->phrase != NULL && w < form->phrase->count; w++)
                add_word(engine_search, words, weights, form->phrase->words[w],
                         weight / (double)form->phrase->count);
        }
    engine_search->words = words;
    engine_search->weights = weights;
}

/* In step: words of each language, and the vector. Behind: the vector alone, because the database
 * has looked up the words. */
static size_t
make_searches(const struct asking *asking, struct engine_search *searches, size_t *group_of)
{
    const struct search *search = asking->search;
    size_t count = 0;

    for (size_t g = 0; asking->in_step && g < search->group_count; g++) {
        struct engine_search *one = &searches[count];

        *one = (struct engine_search){.limit = RANK_CANDIDATES};
        words_of_group(search, search->groups[g], one);
        if (one->word_count == 0)
            continue;
        bind_search(asking, &search->groups[g]->language, one);
        group_of[count++] = g;
    }
    if (asking->by_vectors) {
        searches[count] =
            (struct engine_search){.vector = asking->asked.vector, .limit = RANK_NEAREST};
        bind_search(asking, NULL, &searches[count]);
        group_of[count++] = GROUP_UNREAD;
    }
    return count;
}

static enum status
ask_engine(struct asking *asking, const struct tenant_scope *scope, struct err *err)
{
    struct engine_search searches[SEARCH_MAX_LANGUAGES + 1];
    struct engine_hits hits[SEARCH_MAX_LANGUAGES + 1] = {{NULL, 0}};
    size_t group_of[SEARCH_MAX_LANGUAGES + 1];
    struct search *search = asking->search;
    size_t count = make_searches(asking, searches, group_of);
    int64_t start_us = clock_mono_us(clock_system());
    enum status st = ST_OK;

    if (asking->by_vectors) {
        search->nearest = ARENA_NEW(asking->work, struct candidate_heap);
        search->nearest->max = RANK_NEAREST;
        search->encoder = engine_encoder(asking->engine);
        search->dimension = engine_dimension(asking->engine);
    }
    if (count > 0 && (search->allowed == NULL || search->chunks > 0))
        st = engine_find(asking->engine, scope, searches, count, asking->work, hits, err);
    for (size_t s = 0; s < count && st == ST_OK; s++)
        for (size_t i = 0; i < hits[s].count; i++)
            candidate_offer(searches[s].vector == NULL ? &search->best : search->nearest,
                            hits[s].hits[i].chunk_id, hits[s].hits[i].score, group_of[s]);
    search->timings.vectors_us = clock_mono_us(clock_system()) - start_us;
    return st;
}

/* --- the second read --- */

static enum status
finish_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct asking *asking = arg;

    *asking->result = (struct index_result){0};
    asking->search->tx = tx;
    return search_finish(asking->search, asking->arena, asking->result, err);
}

static enum status
database_alone(struct store_tx *tx, void *arg, struct err *err)
{
    struct asking *asking = arg;

    return index_search(tx, &asking->asked, asking->arena, asking->result, err);
}

enum status
index_ask(struct index_engine *engine, struct store *store, const struct tenant_scope *scope,
          const struct index_query *query, struct arena *arena, struct index_result *result_out,
          struct err *err)
{
    struct asking asking = {.engine = engine, .arena = arena, .result = result_out};
    struct err failure;
    enum status st = search_take_query(query, &asking.asked, err);

    *result_out = (struct index_result){0};
    if (st != ST_OK)
        return st;
    if (engine == NULL)
        return store_read(store, scope, "index_ask", database_alone, &asking, err);
    asking.work = arena_create(SEARCH_MAX_BYTES);
    st = store_read(store, scope, "index_prepare", prepare_in_tx, &asking, err);
    if (st == ST_OK && ask_engine(&asking, scope, &failure) == ST_OK) {
        METRIC_INC(&questions, asking.in_step ? STR("whole") : STR("behind"));
        st = store_read(store, scope, "index_finish", finish_in_tx, &asking, err);
    } else if (st == ST_OK) {
        METRIC_INC(&questions, STR("alone"));
        if (failure.code != ST_BUSY) /* that is told once */
            LOG_ERR(LOG_WARN, "index.engine_failed", &failure);
        asking.asked.vectors = NULL;
        st = store_read(store, scope, "index_alone", database_alone, &asking, err);
    }
    arena_destroy(&asking.work);
    return st == ST_OK ? ST_OK : err_wrap(err, "search");
}
