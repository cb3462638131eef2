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

/* As the text writes them; empty: it has them not. */
static struct str
stand_in(const struct index_synonym *words, struct str text, struct str language,
         struct arena *arena)
{
    struct text_term *terms;
    size_t count = text_terms(text, language, arena, &terms);

    for (size_t i = 0; i < count; i++)
        if (index_synonym_stands_at(words, terms + i, count - i))
            return str_sub(text, terms[i].span.start,
                           terms[i + words->term_count - 1].span.end - terms[i].span.start);
    return STR_EMPTY;
}

static struct str
first_hits_write(const struct index_result *result, const struct index_synonym *words,
                 struct str language, struct arena *arena)
{
    struct str written = STR_EMPTY;

    for (size_t i = 0; i < result->count && i < FIRST_HITS && written.len == 0; i++) {
        const struct str texts[] = {result->hits[i].text, result->hits[i].heading_path,
                                    result->hits[i].title};

        for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]) && written.len == 0; t++)
            written = stand_in(words, texts[t], language, arena);
    }
    return written;
}

/* What the first passages write for what the question has; empty: the same, or nothing of it. */
static struct str
word_of_hits(const struct index_synonyms *known, const struct index_synonym_match *match,
             const struct text_term *terms, const struct index_result *result, struct str language,
             struct arena *arena)
{
    const struct index_synonym asked = {.terms = terms + match->first, .term_count = match->count};
    struct str written = STR_EMPTY;

    if (first_hits_write(result, &asked, language, arena).len > 0)
        return STR_EMPTY;
    for (size_t i = match->group; i < match->group + match->group_count && written.len == 0; i++)
        written = first_hits_write(result, &known->items[i], language, arena);
    return written;
}

/* Words of the question that become others; beside the first of them. */
struct rewording {
    struct str word; /* empty: none */
    size_t count;    /* of the question's words; also in the ones after the first */
};

struct str
passages_reword(struct str question, struct str synonyms, const struct index_result *result,
                struct arena *arena)
{
    struct index_synonym_match match = {0};
    struct index_synonyms known;
    struct rewording *rewordings;
    struct text_term *terms;
    struct str language, reworded;
    struct buf out;
    size_t count, at = 0, added = 0;

    synonyms = arena_printf(arena, "%.*s%.*s", STR_ARG(result->spellings), STR_ARG(synonyms));
    if (synonyms.len == 0 || result->count == 0)
        return question;
    language = result->hits[0].language;
    index_synonyms_open(synonyms, language, arena, &known);
    count = text_terms(question, language, arena, &terms);
    rewordings = ARENA_NEW_N(arena, struct rewording, count);
    while (index_synonyms_next(&known, terms, count, &match)) {
        struct str word = word_of_hits(&known, &match, terms, result, language, arena);
        bool is_free = true;

        for (size_t i = match.first; i < match.first + match.count; i++)
            is_free = is_free && rewordings[i].count == 0;
        if (word.len == 0 || !is_free)
            continue;
        for (size_t i = match.first; i < match.first + match.count; i++)
            rewordings[i].count = match.count;
        rewordings[match.first].word = word;
        added += word.len;
    }
    buf_init(&out, question.len + added + 1);
    for (size_t i = 0; i < count; i++) {
        if (rewordings[i].word.len == 0)
            continue;
        buf_append(&out, str_sub(question, at, terms[i].span.start - at));
        buf_append(&out, rewordings[i].word);
        at = terms[i + rewordings[i].count - 1].span.end;
    }
    buf_append(&out, str_sub(question, at, question.len));
    reworded = arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return reworded;
}
