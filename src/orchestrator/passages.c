/*
 * passages.c - what was found, made ready to answer from
 *
 * Neighbours of one document become one passage in reading order, at the place of the better.
 */
#include "base/buf.h"
#include "orchestrator/passages.h"
#include "text/text.h"

#define JOINED_MAX_BYTES 3000
/* Bytes of white space between neighbours. */
#define GAP_MAX 2
#define FIRST_HITS 3

/* --- neighbours --- */

/* How many bytes of second's text the end of first's repeats, when second goes on where first ends;
 * -1 when it does not. */
static ptrdiff_t
overlap_of(const struct index_hit *first, const struct index_hit *second)
{
    int64_t overlap = first->end_char - second->start_char;
    size_t bytes;

    if (!str_eq(ID_STR(first->source_id), ID_STR(second->source_id)) ||
        first->version != second->version || !str_eq(first->heading_path, second->heading_path) ||
        second->start_char <= first->start_char || second->end_char <= first->end_char ||
        overlap < -GAP_MAX || first->text.len + second->text.len > JOINED_MAX_BYTES)
        return -1;
    bytes = overlap > 0 ? (size_t)overlap : 0;
    if (bytes > first->text.len || bytes > second->text.len ||
        !str_eq(str_sub(first->text, first->text.len - bytes, bytes),
                str_sub(second->text, 0, bytes)))
        return -1;
    return (ptrdiff_t)bytes;
}

static void
join(struct index_hit *better, const struct index_hit *first, const struct index_hit *second,
     size_t overlap, struct arena *arena)
{
    struct index_hit joined = *better;
    struct str rest = str_sub(second->text, overlap, second->text.len);
    const char *between = overlap > 0 ? "" : "\n\n";

    joined.text = arena_printf(arena, "%.*s%s%.*s", STR_ARG(first->text), between, STR_ARG(rest));
    if (better == second) {
        size_t moved = joined.text.len - second->text.len;

        joined.best_sentence.start += moved;
        joined.best_sentence.end += moved;
        joined.page = first->page;
    }
    joined.start_char = first->start_char;
    joined.end_char = second->end_char;
    *better = joined;
}

static void
remove_hit(struct index_result *result, size_t at)
{
    for (result->count--; at < result->count; at++)
        result->hits[at] = result->hits[at + 1];
}

void
passages_join(struct index_result *result, struct arena *arena)
{
    for (size_t i = 0; i < result->count; i++)
        for (size_t j = i + 1; j < result->count; j++) {
            struct index_hit *better = &result->hits[i], *other = &result->hits[j];
            ptrdiff_t before = overlap_of(other, better), after = overlap_of(better, other);

            if (before < 0 && after < 0)
                continue;
            if (after >= 0)
                join(better, better, other, (size_t)after, arena);
            else
                join(better, other, better, (size_t)before, arena);
            remove_hit(result, j);
            j = i; /* what it has become may have neighbours among all that follow */
        }
}

/* --- words of the documents --- */

static bool
first_hits_have(const struct index_result *result, struct str term, struct str language,
                struct arena *arena)
{
    for (size_t i = 0; i < result->count && i < FIRST_HITS; i++) {
        struct text_term *terms;
        size_t count = text_terms(result->hits[i].text, language, arena, &terms);

        for (size_t t = 0; t < count; t++)
            if (str_eq(terms[t].term, term))
                return true;
    }
    return false;
}

struct str
passages_reword(struct str question, struct str synonyms, const struct index_result *result,
                struct arena *arena)
{
    struct index_synonyms known;
    struct text_term *terms, others[INDEX_SYNONYMS_WORDS];
    struct str language, reworded;
    struct buf out;
    size_t count, at = 0;

    if (synonyms.len == 0 || result->count == 0)
        return question;
    language = result->hits[0].language;
    index_synonyms_open(synonyms, language, arena, &known);
    count = text_terms(question, language, arena, &terms);
    buf_init(&out, question.len + count * INDEX_SYNONYMS_GROUP_BYTES + 1);
    for (size_t i = 0; i < count; i++) {
        size_t found = index_synonyms_find(&known, terms[i].term, others, INDEX_SYNONYMS_WORDS);

        if (found == 0 || first_hits_have(result, terms[i].term, language, arena))
            continue;
        for (size_t o = 0; o < found; o++)
            if (first_hits_have(result, others[o].term, language, arena)) {
                buf_append(&out, str_sub(question, at, terms[i].span.start - at));
                buf_append(&out, str_sub(synonyms, others[o].span.start,
                                         others[o].span.end - others[o].span.start));
                at = terms[i].span.end;
                break;
            }
    }
    buf_append(&out, str_sub(question, at, question.len));
    reworded = arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return reworded;
}
