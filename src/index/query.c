/*
 * query.c - a question as terms, once for each language that the passages have
 */
#include "index/index_private.h"

#include <string.h>

/* Words by which the question's own language makes questions say nothing to passages in another. */
static bool
is_stop_in_question(const struct text_term *terms, size_t count, struct text_span span)
{
    for (size_t i = 0; i < count; i++)
        if (terms[i].span.start == span.start)
            return terms[i].is_stop_word;
    return false;
}

static size_t
find_or_add(struct query_group *group, struct str term, struct str word)
{
    for (size_t i = 0; i < group->term_count; i++)
        if (str_eq(group->terms[i].forms[0].term, term)) {
            group->terms[i].frequency++;
            return i;
        }
    if (group->term_count == INDEX_MAX_QUERY_TERMS)
        return INDEX_MAX_QUERY_TERMS;
    group->terms[group->term_count] =
        (struct query_term){.word = word, .forms = {{term, 1.0}}, .form_count = 1, .frequency = 1};
    return group->term_count++;
}

void
query_analyse(struct str text, struct str question_language, struct str language,
              struct arena *arena, struct query_group *group_out)
{
    struct text_term *terms, *own_terms = NULL;
    size_t own_count = 0, count;

    *group_out = (struct query_group){.language = language};
    text = str_sub(text, 0, str_utf8_floor(text, INDEX_MAX_QUERY_BYTES));
    count = text_terms(text, language, arena, &terms);
    if (question_language.len > 0 && !str_eq(question_language, language))
        own_count = text_terms(text, question_language, arena, &own_terms);
    for (size_t i = 0; i < count; i++) {
        struct text_span span = terms[i].span;
        size_t at;

        if (terms[i].is_stop_word || is_stop_in_question(own_terms, own_count, span))
            continue;
        at = find_or_add(group_out, terms[i].term,
                         arena_str(arena, str_sub(text, span.start, span.end - span.start)));
        if (at < INDEX_MAX_QUERY_TERMS && group_out->sequence_count < sizeof(group_out->sequence))
            group_out->sequence[group_out->sequence_count++] = (unsigned char)at;
    }
}
