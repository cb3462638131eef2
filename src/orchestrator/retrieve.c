/*
 * retrieve.c - passages for a question, with what was asked before when that helps
 *
 * "And on Sundays?" finds nothing alone. A question that leans on the one before is asked together
 * with it; so is one that does not reach the threshold by itself, and whichever is surer counts.
 * Several messages that waited together, one a line, may be several questions, or one with words
 * around it: when the whole does not reach the threshold, the lines that do by themselves are the
 * question.
 */
#include <math.h>

#include "base/buf.h"
#include "base/log.h"
#include "orchestrator/orchestrator_private.h"
#include "orchestrator/passages.h"
#include "text/text.h"

#define QUOTE_MAX_BYTES 300
#define LINES_MAX 8
#define EMBED_DEADLINE_MS 2000
/* A question whose nearest passage is farther leans on the one before more often than not. */
#define LEAN_COSINE 0.45

static struct str
previous_question(const struct question *question)
{
    size_t i;

    for (i = question->history_count; i > 0; i--)
        if (str_eq_c(question->history[i - 1].role, "user") &&
            str_trim(question->history[i - 1].body).len > 0)
            return question->history[i - 1].body;
    return STR_EMPTY;
}

/* One question that is looked for, in as many searches as it takes. */
struct retrieval {
    struct orchestrator *orchestrator;
    const struct tenant_scope *scope;
    const struct question *question;
    struct str language;
    const struct persona *persona;
    size_t limit;
    struct arena *arena;
    struct answer_timings *timings; /* of all searches together */
};

/* The mean direction of two vectors. */
static void
mean_vector(float *vector, const float *other, unsigned dimension)
{
    double length = 0;

    for (unsigned i = 0; i < dimension; i++) {
        vector[i] += other[i];
        length += (double)vector[i] * vector[i];
    }
    for (unsigned i = 0; i < dimension && length > 0; i++)
        vector[i] = (float)(vector[i] / sqrt(length));
}

/* NULL: by words alone. An encoder that fails costs its share of the answer, not the answer. To an
 * encoder "Where are you?" is near to nothing that an organization writes about itself;
 * "Harbour Cycles: Where are you?" is, so the vector lies between the two. */
static const float *
question_vector(const struct retrieval *r, struct embedder *embedder, struct str text)
{
    struct str name = r->persona->organization_name, texts[2];
    int64_t start_us = clock_mono_us(clock_system());
    size_t count = 1;
    struct err err;
    unsigned dimension;
    float *vectors;
    enum status st;

    text = str_trim(str_sub(text, 0, str_utf8_floor(text, INDEX_MAX_QUERY_BYTES)));
    if (embedder == NULL || text.len == 0 || !str_is_utf8(text))
        return NULL;
    texts[0] = text;
    if (name.len > 0 && text_is_of_organization(text, r->language))
        texts[count++] = arena_printf(r->arena, "%.*s: %.*s", STR_ARG(name), STR_ARG(text));
    dimension = embed_dimension(embedder);
    vectors = ARENA_NEW_N(r->arena, float, (size_t)dimension *count);
    st = embed_texts(embedder, texts, count, EMBED_DEADLINE_MS, vectors, &err);
    r->timings->understand_us += clock_mono_us(clock_system()) - start_us;
    if (st != ST_OK) {
        LOG_ERR(LOG_WARN, "answer.words_alone", &err);
        return NULL;
    }
    if (count == 2)
        mean_vector(vectors, vectors + dimension, dimension);
    return vectors;
}

/* The organization does not have all of the new encoder's vectors yet: those of the one before, if
 * they are all there. They are searched here, an engine has only the new ones. */
static enum status
search_by_previous(const struct retrieval *r, struct index_query query, struct index_result *result,
                   struct err *err)
{
    const struct orchestrator_config *config = &r->orchestrator->config;
    struct index_result found;
    enum status st;

    query.vectors = config->previous_vectors;
    query.vector = question_vector(r, config->previous, query.text);
    if (query.vector == NULL)
        return ST_OK;
    st = index_ask(NULL, config->store, r->scope, &query, r->arena, &found, err);
    if (st == ST_OK && found.by_vectors) {
        found.timings.words_us += result->timings.words_us;
        found.timings.vectors_us += result->timings.vectors_us;
        found.timings.rank_us += result->timings.rank_us;
        *result = found;
    }
    return st;
}

static enum status
search_once(const struct retrieval *r, struct str text, struct index_result *result,
            struct err *err)
{
    const struct orchestrator_config *config = &r->orchestrator->config;
    struct index_query query = {.text = text,
                                .language = r->language,
                                .brand_id = r->question->brand_id,
                                .for_staff = r->question->staff,
                                .roles = r->question->roles,
                                .limit = r->limit,
                                .synonyms = r->persona->synonyms,
                                .filter = r->question->filter,
                                .want_best_sentence = true,
                                .vectors = config->vectors,
                                .vector = question_vector(r, config->embedder, text)};
    enum status st =
        index_ask(config->engine, config->store, r->scope, &query, r->arena, result, err);

    if (st == ST_OK && !result->by_vectors && config->previous != NULL)
        st = search_by_previous(r, query, result, err);
    if (st != ST_OK)
        return st;
    r->timings->words_us += result->timings.words_us;
    r->timings->vectors_us += result->timings.vectors_us;
    r->timings->rank_us += result->timings.rank_us;
    passages_join(result, r->arena);
    return ST_OK;
}

/* The text with one of its words as it was meant, in each place. */
static struct str
put_right(struct str text, struct str asked, struct str meant, struct arena *arena)
{
    struct text_span *words;
    size_t count = text_words(text, arena, &words), at = 0;
    struct buf out;
    struct str right;

    buf_init(&out, text.len + count * meant.len + 1);
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(str_sub(text, words[i].start, words[i].end - words[i].start), asked))
            continue;
        buf_append(&out, str_sub(text, at, words[i].start - at));
        buf_append(&out, meant);
        at = words[i].end;
    }
    buf_append(&out, str_sub(text, at, text.len - at));
    right = arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return right;
}

/* By lines of "asked, meant". */
static struct str
put_all_right(struct str text, struct str lines, struct arena *arena)
{
    struct str line, asked;

    while (str_split(&lines, '\n', &line))
        if (str_split(&line, ',', &asked) && str_trim(line).len > 0)
            text = put_right(text, asked, str_trim(line), arena);
    return text;
}

/* What is misspelled is found by its words; the encoder, and what a question is read by, need it as
 * the passages write it, or as everybody does. *text becomes what was found by. */
static enum status
search(const struct retrieval *r, struct str *text, struct index_result *result, struct err *err)
{
    struct index_result again;
    struct str spelled = *text;
    enum status st = search_once(r, *text, result, err);

    if (st == ST_OK)
        spelled = put_all_right(spelled, result->everyday, r->arena);
    if (st == ST_OK && result->spellings.len > 0)
        spelled = passages_reword(spelled, STR_EMPTY, result, r->arena);
    if (st != ST_OK || str_eq(spelled, *text))
        return st;
    st = search_once(r, spelled, &again, err);
    if (st == ST_OK && again.confidence > result->confidence) {
        *result = again;
        *text = spelled;
    }
    return st;
}

/* Lines that reach the threshold by themselves, and what was found for each. */
struct lines {
    struct str texts[LINES_MAX];
    struct index_result results[LINES_MAX];
    size_t count;
};

static enum status
search_lines(const struct retrieval *r, struct lines *lines, struct err *err)
{
    struct str rest = r->question->text, line;
    size_t searched = 0;
    enum status st = ST_OK;

    lines->count = 0;
    while (st == ST_OK && searched < LINES_MAX && str_split(&rest, '\n', &line)) {
        struct index_result *result = &lines->results[lines->count];

        line = str_trim(line);
        if (line.len == 0)
            continue;
        searched++;
        st = search(r, &line, result, err);
        if (st == ST_OK && result->confidence >= INDEX_CONFIDENCE_ANSWER)
            lines->texts[lines->count++] = line;
    }
    return st;
}

static bool
has_chunk(const struct index_result *result, int64_t chunk_id)
{
    size_t i;

    for (i = 0; i < result->count; i++)
        if (result->hits[i].chunk_id == chunk_id)
            return true;
    return false;
}

/* The best of every line, then the second best, up to the limit; as sure as the least sure line. */
static void
merge_lines(const struct lines *lines, size_t limit, struct arena *arena,
            struct index_result *merged, struct str *question_out)
{
    struct buf text;
    size_t rank, i;

    *merged = (struct index_result){.hits = ARENA_NEW_N(arena, struct index_hit, limit + 1),
                                    .confidence = 1};
    buf_init(&text, 64 * 1024);
    for (i = 0; i < lines->count; i++) {
        if (i > 0)
            buf_append_byte(&text, '\n');
        buf_append(&text, lines->texts[i]);
        merged->spellings = arena_printf(arena, "%.*s%.*s", STR_ARG(merged->spellings),
                                         STR_ARG(lines->results[i].spellings));
        if (lines->results[i].confidence < merged->confidence)
            merged->confidence = lines->results[i].confidence;
    }
    *question_out = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
    for (rank = 0; rank < limit; rank++)
        for (i = 0; i < lines->count && merged->count < limit; i++) {
            const struct index_result *result = &lines->results[i];

            if (rank < result->count && !has_chunk(merged, result->hits[rank].chunk_id))
                merged->hits[merged->count++] = result->hits[rank];
        }
}

static void
fill(const struct index_hit *hit, unsigned number, struct citation *citation,
     struct model_passage *passage)
{
    struct str quote = hit->text;

    if (hit->best_sentence.end > hit->best_sentence.start)
        quote = str_sub(hit->text, hit->best_sentence.start,
                        hit->best_sentence.end - hit->best_sentence.start);
    *citation = (struct citation){
        .number = number,
        .source_id = hit->source_id,
        .version = hit->version,
        .title = hit->title,
        .heading_path = hit->heading_path,
        .text = hit->text,
        .quote = str_trim(str_sub(quote, 0, str_utf8_floor(quote, QUOTE_MAX_BYTES))),
        .start_char = hit->start_char,
        .end_char = hit->end_char,
        .page = hit->page,
        .score = hit->score,
    };
    *passage = (struct model_passage){.title = hit->title,
                                      .heading_path = hit->heading_path,
                                      .text = hit->text,
                                      .score = hit->score};
}

/* Whether a question that has one before it may well lean on that one: it says so by its words, or
 * finds too little alone. */
static bool
may_lean(const struct index_result *alone, bool follows)
{
    return follows || alone->confidence < INDEX_CONFIDENCE_ANSWER ||
           (alone->by_vectors && alone->nearest < LEAN_COSINE);
}

static bool
is_better_together(const struct index_result *alone, const struct index_result *together,
                   bool follows)
{
    if (together->confidence > alone->confidence)
        return !alone->by_vectors || together->nearest > alone->nearest;
    return follows && together->confidence >= INDEX_CONFIDENCE_ANSWER;
}

/* The question alone, or made whole with the one before: question_out says which. */
static enum status
search_whole(const struct retrieval *r, struct index_result *best_out, struct str *question_out,
             struct err *err)
{
    struct str text = r->question->text, whole,
               before = text_spell_out(previous_question(r->question), r->language, r->arena);
    struct index_result together;
    bool follows;
    enum status st = search(r, &text, best_out, err);

    *question_out = text;
    if (st != ST_OK || before.len == 0)
        return st;
    follows = text_is_follow_up(text, r->language);
    if (!may_lean(best_out, follows))
        return ST_OK;
    /* Its own words twice: they tell what is different now. */
    whole = arena_printf(r->arena, "%.*s\n%.*s%s%.*s", STR_ARG(before), STR_ARG(text),
                         follows ? "\n" : "", STR_ARG(follows ? text : STR_EMPTY));
    st = search(r, &whole, &together, err);
    if (st == ST_OK && is_better_together(best_out, &together, follows)) {
        *best_out = together;
        *question_out = whole;
    }
    return st;
}

enum status
retrieve(struct orchestrator *orchestrator, const struct tenant_scope *scope,
         const struct question *question, struct str language, const struct persona *persona,
         size_t limit, struct arena *arena, struct retrieved *retrieved_out, struct err *err)
{
    struct answer_timings timings = {0};
    const struct retrieval r = {orchestrator, scope, question, language,
                                persona,      limit, arena,    &timings};
    struct retrieved retrieved = {.threshold = INDEX_CONFIDENCE_ANSWER};
    struct lines lines = {.count = 0};
    struct index_result best;
    enum status st = search_whole(&r, &best, &retrieved.question, err);

    if (st == ST_OK && best.confidence < INDEX_CONFIDENCE_ANSWER &&
        str_find_byte(question->text, '\n') >= 0)
        st = search_lines(&r, &lines, err);
    if (st != ST_OK)
        return st;
    if (lines.count > 0)
        merge_lines(&lines, limit, arena, &best, &retrieved.question);
    retrieved.question = passages_reword(retrieved.question, persona->synonyms, &best, arena);
    retrieved.count = best.count;
    retrieved.confidence = best.confidence;
    retrieved.citations = ARENA_NEW_N(arena, struct citation, best.count + 1);
    retrieved.passages = ARENA_NEW_N(arena, struct model_passage, best.count + 1);
    for (size_t i = 0; i < best.count; i++)
        fill(&best.hits[i], (unsigned)i + 1, &retrieved.citations[i], &retrieved.passages[i]);
    retrieved.timings = timings;
    *retrieved_out = retrieved;
    return ST_OK;
}
