/*
 * synonyms.c - words that mean the same to an organization, beside the everyday ones of src/text
 *
 * They are compared as terms of the language that is searched, so that "prams" is found by "pram".
 */
#include "index/index_private.h"

enum status
index_synonyms_check(struct str group, struct err *err)
{
    struct arena *arena = arena_create((size_t)1024 * 1024);
    struct str word;
    size_t words = 0;
    enum status st = ST_OK;

    if (!str_is_utf8(group) || group.len > INDEX_SYNONYMS_GROUP_BYTES ||
        str_find_byte(group, '\n') >= 0)
        st = err_set(err, ST_INVALID, "synonyms: a line of at most %d bytes in UTF-8",
                     INDEX_SYNONYMS_GROUP_BYTES);
    while (st == ST_OK && str_split(&group, ',', &word)) {
        struct text_term *terms;

        words++;
        if (text_terms(word, STR_EMPTY, arena, &terms) != 1)
            st =
                err_set(err, ST_INVALID, "synonyms: single words with commas between, not \"%.*s\"",
                        (int)(word.len < 40 ? word.len : 40), word.ptr);
    }
    if (st == ST_OK && (words < 2 || words > INDEX_SYNONYMS_WORDS))
        st = err_set(err, ST_INVALID, "synonyms: 2 to %d words in a group", INDEX_SYNONYMS_WORDS);
    arena_destroy(&arena);
    return st;
}

/* The end of the line that a place is in. */
static size_t
line_end(struct str text, size_t at)
{
    while (at < text.len && text.ptr[at] != '\n')
        at++;
    return at;
}

void
index_synonyms_open(struct str text, struct str language, struct arena *arena,
                    struct index_synonyms *synonyms_out)
{
    synonyms_out->text = text;
    synonyms_out->term_count = text_terms(text, language, arena, &synonyms_out->terms);
}

size_t
index_synonyms_find(const struct index_synonyms *synonyms, struct str term,
                    struct text_term *others, size_t max)
{
    size_t count = 0, first = 0;

    while (first < synonyms->term_count) {
        size_t end = line_end(synonyms->text, synonyms->terms[first].span.start), last = first;
        bool has = false;

        for (; last < synonyms->term_count && synonyms->terms[last].span.start < end; last++)
            has |= str_eq(synonyms->terms[last].term, term);
        for (; has && first < last && count < max; first++)
            if (!str_eq(synonyms->terms[first].term, term))
                others[count++] = synonyms->terms[first];
        first = last;
    }
    return count;
}
