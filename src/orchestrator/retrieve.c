/*
 * retrieve.c - passages for a question, with what was asked before when that helps
 *
 * "And on Sundays?" finds nothing alone. A question that leans on the one before is asked together
 * with it; so is one that does not reach the threshold by itself, and whichever is surer counts.
 * Several messages that waited together, one a line, may be several questions, or one with words
 * around it: when the whole does not reach the threshold, the lines that do by themselves are the
 * question.
 */
#include "base/buf.h"
#include "index/index.h"
#include "orchestrator/orchestrator_private.h"
#include "text/text.h"

#define QUOTE_MAX_BYTES 300
#define LINES_MAX 8

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

static enum status
search(struct store_tx *tx, const struct question *question, struct str text, struct str language,
       size_t limit, struct arena *arena, struct index_result *result, struct err *err)
{
    struct index_query query = {
        .text = text,
        .language = language,
        .brand_id = question->brand_id,
        .for_staff = question->staff,
        .limit = limit,
        .want_best_sentence = true,
    };

    return index_search(tx, &query, arena, result, err);
}

/* Lines that reach the threshold by themselves, and what was found for each. */
struct lines {
    struct str texts[LINES_MAX];
    struct index_result results[LINES_MAX];
    size_t count;
};

static enum status
search_lines(struct store_tx *tx, const struct question *question, struct str language,
             size_t limit, struct arena *arena, struct lines *lines, struct err *err)
{
    struct str rest = question->text, line;
    size_t searched = 0;
    enum status st = ST_OK;

    lines->count = 0;
    while (st == ST_OK && searched < LINES_MAX && str_split(&rest, '\n', &line)) {
        struct index_result *result = &lines->results[lines->count];

        line = str_trim(line);
        if (line.len == 0)
            continue;
        searched++;
        st = search(tx, question, line, language, limit, arena, result, err);
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

enum status
retrieve(struct store_tx *tx, const struct question *question, struct str language, size_t limit,
         struct arena *arena, struct retrieved *retrieved_out, struct err *err)
{
    struct str before = previous_question(question);
    struct index_result alone, together, merged;
    struct lines lines = {.count = 0};
    const struct index_result *best = &alone;
    struct retrieved retrieved = {.question = question->text, .threshold = INDEX_CONFIDENCE_ANSWER};
    bool follows;
    size_t i;
    enum status st = search(tx, question, question->text, language, limit, arena, &alone, err);

    if (st != ST_OK)
        return st;
    follows = before.len > 0 && text_is_follow_up(question->text, language);
    if (before.len > 0 && (follows || alone.confidence < INDEX_CONFIDENCE_ANSWER)) {
        /* Its own words twice: they tell what is different now. */
        struct str whole =
            arena_printf(arena, "%.*s\n%.*s%s%.*s", STR_ARG(before), STR_ARG(question->text),
                         follows ? "\n" : "", STR_ARG(follows ? question->text : STR_EMPTY));

        st = search(tx, question, whole, language, limit, arena, &together, err);
        if (st != ST_OK)
            return st;
        if (together.confidence > alone.confidence ||
            (follows && together.confidence >= INDEX_CONFIDENCE_ANSWER)) {
            best = &together;
            retrieved.question = whole;
        }
    }
    if (best->confidence < INDEX_CONFIDENCE_ANSWER && str_find_byte(question->text, '\n') >= 0) {
        st = search_lines(tx, question, language, limit, arena, &lines, err);
        if (st != ST_OK)
            return st;
    }
    if (lines.count > 0) {
        merge_lines(&lines, limit, arena, &merged, &retrieved.question);
        best = &merged;
    }
    retrieved.count = best->count;
    retrieved.confidence = best->confidence;
    retrieved.citations = ARENA_NEW_N(arena, struct citation, best->count + 1);
    retrieved.passages = ARENA_NEW_N(arena, struct model_passage, best->count + 1);
    for (i = 0; i < best->count; i++)
        fill(&best->hits[i], (unsigned)i + 1, &retrieved.citations[i], &retrieved.passages[i]);
    *retrieved_out = retrieved;
    return ST_OK;
}
