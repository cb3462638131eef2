/*
 * spelling.c - a word that no passage has, and the words of the passages that it may have meant
 *
 * Only words that nobody wrote are looked at, so a right spelling is never changed. A word of 5 to
 * 7 letters may be wrong in one, a longer one in two; letters changed places count as one
 * (Damerau). The first two letters must be right: that bounds what is read. In languages that write
 * compounds as one word, a word also stands for the compounds that begin with it.
 */
#include "index/index_private.h"

#include <string.h>

#define SPELL_MIN_LEN 5
#define SPELL_TWO_ERRORS_LEN 8
#define SPELL_MAX_LEN 40
#define SPELL_PREFIX_LEN 2
#define SPELL_MAX_TERMS 20000
static const double spell_weights[] = {0, 0.7, 0.5};
#define SPELL_COMPOUND_WEIGHT 0.6
#define SPELL_COMPOUND_RANK 3

static bool
is_plain_word(struct str term)
{
    for (size_t i = 0; i < term.len; i++)
        if (term.ptr[i] < 'a' || term.ptr[i] > 'z')
            return false;
    return term.len >= SPELL_MIN_LEN && term.len <= SPELL_MAX_LEN;
}

static bool
writes_compounds(struct str language)
{
    static const char languages[][3] = {"de", "nl", "sv", "da", "no", "nb", "fi", "hu"};

    for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++)
        if (str_eq_c(language, languages[i]))
            return true;
    return false;
}

static unsigned
least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment; more than max is reported as max + 1. */
static unsigned
distance(struct str a, struct str b, unsigned max)
{
    unsigned row[3][SPELL_MAX_LEN + 1];

    if (a.len > SPELL_MAX_LEN || b.len > SPELL_MAX_LEN || a.len > b.len + max ||
        b.len > a.len + max)
        return max + 1;
    for (unsigned j = 0; j <= b.len; j++)
        row[0][j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned *now = row[i % 3], *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];
        unsigned best = now[0] = i;

        for (unsigned j = 1; j <= b.len; j++) {
            unsigned change = before[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);

            now[j] = least(change, least(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                now[j] = least(now[j], earlier[j - 2] + 1);
            best = least(best, now[j]);
        }
        if (best > max)
            return max + 1;
    }
    return row[a.len % 3][b.len];
}

struct suggestion {
    struct str term;
    unsigned rank; /* 1, 2: errors; SPELL_COMPOUND_RANK; lower is better */
};

/* Keeps the best; of equals the first in the alphabet, so that the choice does not hang on the
 * order in which a database gives its rows. */
static void
suggest(struct suggestion *best, size_t *count, size_t max, const struct suggestion *one)
{
    size_t at = *count;

    for (size_t i = 0; i < *count; i++)
        if (str_eq(best[i].term, one->term))
            return;
    if (*count == max) {
        const struct suggestion *last = &best[max - 1];

        if (last->rank < one->rank ||
            (last->rank == one->rank && str_cmp(last->term, one->term) < 0))
            return;
        at = max - 1;
    } else {
        (*count)++;
    }
    for (; at > 0 && (best[at - 1].rank > one->rank || (best[at - 1].rank == one->rank &&
                                                        str_cmp(best[at - 1].term, one->term) > 0));
         at--)
        best[at] = best[at - 1];
    best[at] = *one;
}

enum status
query_correct(struct store_tx *tx, const struct index_partition *partitions, const bool *chosen,
              size_t partition_count, struct query_term *term, struct arena *arena, struct err *err)
{
    struct str asked = term->forms[0].term;
    unsigned max_errors = asked.len >= SPELL_TWO_ERRORS_LEN ? 2 : 1;
    struct suggestion best[QUERY_MAX_CORRECTIONS];
    size_t count = 0;

    if (!is_plain_word(asked))
        return ST_OK;
    for (size_t p = 0; p < partition_count; p++) {
        struct str *terms = NULL;
        size_t term_count = 0;
        enum status st;

        if (!chosen[p])
            continue;
        st = index_driver_of(tx)->term_list(tx, partitions[p].id,
                                            str_sub(asked, 0, SPELL_PREFIX_LEN), SPELL_MAX_TERMS,
                                            arena, &terms, &term_count, err);
        if (st != ST_OK)
            return st;
        for (size_t i = 0; i < term_count; i++) {
            unsigned errors = distance(asked, terms[i], max_errors);

            if (errors <= max_errors)
                suggest(best, &count, QUERY_MAX_CORRECTIONS,
                        &(struct suggestion){terms[i], errors});
            else if (writes_compounds(partitions[p].language) && str_starts_with(terms[i], asked))
                suggest(best, &count, QUERY_MAX_CORRECTIONS,
                        &(struct suggestion){terms[i], SPELL_COMPOUND_RANK});
        }
    }
    for (size_t i = 0; i < count && best[i].rank == best[0].rank; i++)
        term->forms[term->form_count++] = (struct query_form){
            .term = best[i].term,
            .weight = best[i].rank == SPELL_COMPOUND_RANK ? SPELL_COMPOUND_WEIGHT
                                                          : spell_weights[best[i].rank]};
    return ST_OK;
}
