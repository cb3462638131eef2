/*
 * synonyms.c - words and phrases that mean the same to an organization, beside the everyday ones of
 * src/text
 *
 * They are compared as terms of the language that is searched, so that "prams" is found by "pram",
 * and "E-bikes" by "e-bike", which is a phrase of two words.
 */
#include "index/index_private.h"

enum status
index_synonyms_check(struct str group, struct err *err)
{
    struct arena *arena = arena_create((size_t)1024 * 1024);
    struct str one;
    size_t count = 0;
    enum status st = ST_OK;

    if (!str_is_utf8(group) || group.len > INDEX_SYNONYMS_GROUP_BYTES ||
        str_find_byte(group, '\n') >= 0)
        st = err_set(err, ST_INVALID, "synonyms: a line of at most %d bytes in UTF-8",
                     INDEX_SYNONYMS_GROUP_BYTES);
    while (st == ST_OK && str_split(&group, ',', &one)) {
        struct text_term *terms;
        size_t words = text_terms(one, STR_EMPTY, arena, &terms);

        count++;
        if (words < 1 || words > INDEX_SYNONYM_TERMS)
            st = err_set(err, ST_INVALID, "synonyms: 1 to %d words between commas, not \"%.*s\"",
                         INDEX_SYNONYM_TERMS, (int)str_utf8_floor(one, 40), one.ptr);
    }
    if (st == ST_OK && (count < 2 || count > INDEX_SYNONYMS_OF_GROUP))
        st = err_set(err, ST_INVALID, "synonyms: 2 to %d words or phrases in a group",
                     INDEX_SYNONYMS_OF_GROUP);
    arena_destroy(&arena);
    return st;
}

/* Of the same length, with a line for each word or phrase: "5,6" is two numbers here. */
static struct str
without_commas(struct str text, struct arena *arena)
{
    char *bytes = arena_alloc(arena, text.len + 1);

    for (size_t i = 0; i < text.len; i++)
        bytes[i] = text.ptr[i] == ',' ? '\n' : text.ptr[i];
    return str_of(bytes, text.len);
}

void
index_synonyms_open(struct str text, struct str language, struct arena *arena,
                    struct index_synonyms *synonyms_out)
{
    struct text_term *terms;
    size_t count = text_terms(without_commas(text, arena), language, arena, &terms), at = 0;
    size_t group = 0, start = 0;

    *synonyms_out =
        (struct index_synonyms){.items = ARENA_NEW_N(arena, struct index_synonym, count + 1)};
    for (size_t end = 0; end <= text.len; end++) {
        struct index_synonym *item = &synonyms_out->items[synonyms_out->count];
        size_t first = at;

        if (end < text.len && text.ptr[end] != ',' && text.ptr[end] != '\n')
            continue;
        while (at < count && terms[at].span.start < end)
            at++;
        if (at > first) {
            *item = (struct index_synonym){str_trim(str_sub(text, start, end - start)),
                                           &terms[first], at - first, group};
            synonyms_out->count++;
        }
        start = end + 1;
        if (end < text.len && text.ptr[end] == '\n')
            group++;
    }
}

bool
index_synonym_stands_at(const struct index_synonym *synonym, const struct text_term *terms,
                        size_t count)
{
    if (synonym->term_count > count)
        return false;
    for (size_t i = 0; i < synonym->term_count; i++)
        if (!str_eq(synonym->terms[i].term, terms[i].term))
            return false;
    return true;
}

/* The longest of the group: "electric bicycle" is not "bicycle" once more. */
static bool
match_group(const struct index_synonyms *synonyms, const struct text_term *terms, size_t count,
            struct index_synonym_match *match)
{
    match->count = 0;
    for (size_t i = match->group; i < match->group + match->group_count; i++) {
        const struct index_synonym *one = &synonyms->items[i];

        if (one->term_count > match->count &&
            index_synonym_stands_at(one, terms + match->first, count - match->first))
            match->count = one->term_count;
    }
    return match->count > 0;
}

bool
index_synonyms_next(const struct index_synonyms *synonyms, const struct text_term *terms,
                    size_t count, struct index_synonym_match *match)
{
    match->first += match->count;
    for (;;) {
        for (; match->group_count > 0 && match->first < count; match->first++)
            if (match_group(synonyms, terms, count, match))
                return true;
        match->group += match->group_count;
        match->first = match->count = match->group_count = 0;
        if (match->group == synonyms->count)
            return false;
        while (match->group + match->group_count < synonyms->count &&
               synonyms->items[match->group + match->group_count].line ==
                   synonyms->items[match->group].line)
            match->group_count++;
    }
}
