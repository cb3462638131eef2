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

/* For ranking: a passage with the customer's own word comes first. */
#define RELATED_WEIGHT 0.45
#define RELATED_ASPECT_WEIGHT 0.6
#define SYNONYM_WEIGHT 0.9

static size_t
find_or_add(struct query_group *group, const struct text_asked *asked, struct str word)
{
    struct query_term *term;

    for (size_t i = 0; i < group->term_count; i++)
        if (asked->term.len > 0 && str_eq(group->terms[i].forms[0].term, asked->term)) {
            group->terms[i].frequency++;
            return i;
        }
    if (group->term_count == INDEX_MAX_QUERY_TERMS)
        return INDEX_MAX_QUERY_TERMS;
    term = &group->terms[group->term_count];
    *term = (struct query_term){
        .word = word, .frequency = 1, .share = asked->share, .is_common = asked->is_common};
    term->forms[term->form_count++] = (struct query_form){.term = asked->term, .weight = 1};
    for (size_t i = 0; i < asked->related_count; i++)
        term->forms[term->form_count++] = (struct query_form){
            .term = asked->related[i],
            .weight = asked->is_aspect ? RELATED_ASPECT_WEIGHT : RELATED_WEIGHT,
        };
    return group->term_count++;
}

static bool
has_form(const struct query_term *term, struct str form)
{
    for (size_t f = 0; f < term->form_count; f++)
        if (str_eq(term->forms[f].term, form))
            return true;
    return false;
}

/* What the organization says is the same counts almost as the word itself. */
static void
add_synonyms(struct query_group *group, struct str synonyms, struct arena *arena)
{
    struct index_synonyms known;
    struct text_term others[INDEX_SYNONYMS_WORDS];

    if (synonyms.len == 0)
        return;
    index_synonyms_open(synonyms, group->language, arena, &known);
    for (size_t i = 0; i < group->term_count; i++) {
        struct query_term *term = &group->terms[i];
        size_t count = index_synonyms_find(&known, term->forms[0].term, others,
                                           sizeof(others) / sizeof(others[0]));

        for (size_t o = 0; o < count; o++)
            if (!has_form(term, others[o].term))
                term->forms[term->form_count++] =
                    (struct query_form){.term = others[o].term, .weight = SYNONYM_WEIGHT};
    }
}

void
query_analyse(const struct index_query *query, struct str language, struct arena *arena,
              struct query_group *group_out)
{
    struct str text = query->text, question_language = query->language;
    struct text_term *own_terms = NULL;
    struct text_asked *asked;
    size_t own_count = 0, count;

    *group_out = (struct query_group){.language = language};
    text = str_sub(text, 0, str_utf8_floor(text, INDEX_MAX_QUERY_BYTES));
    count = text_question(text, language, arena, &asked);
    if (question_language.len > 0 && !str_eq(question_language, language))
        own_count = text_terms(text, question_language, arena, &own_terms);
    for (size_t i = 0; i < count; i++) {
        struct text_span span = asked[i].span;
        size_t at;

        if (asked[i].term.len > 0 && is_stop_in_question(own_terms, own_count, span))
            continue;
        at = find_or_add(group_out, &asked[i],
                         arena_str(arena, str_sub(text, span.start, span.end - span.start)));
        if (asked[i].term.len > 0 && at < INDEX_MAX_QUERY_TERMS &&
            group_out->sequence_count < sizeof(group_out->sequence))
            group_out->sequence[group_out->sequence_count++] = (unsigned char)at;
    }
    add_synonyms(group_out, query->synonyms, arena);
}
