/*
 * everyday.c - a misspelled word, and the everyday word of questions that it was meant for
 *
 * Documents may write "warranty" and never "guarantee", so their words alone do not tell what
 * "garantee" means: the words of question_table.c do. A word of 5 to 7 letters may be wrong in one,
 * a longer one in two; the first letter is right.
 */
#include <string.h>

#include "text/question_private.h"

#define MIN_LEN 5
#define TWO_ERRORS_LEN 8
#define MAX_LEN 40

static unsigned
least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned
text_distance(struct str a, struct str b, unsigned max)
{
    unsigned row[3][MAX_LEN + 1];

    if (a.len > MAX_LEN || b.len > MAX_LEN || a.len > b.len + max || b.len > a.len + max)
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

struct nearest {
    struct str word; /* folded: that is looked for */
    unsigned errors; /* of the best so far; more than allowed: none */
    struct str best;
    const char *list; /* that it is of */
    bool is_alone;    /* no word of another list is as near */
};

/* As the best so far: "month" and "months", or another word for it. */
static bool
is_much_the_same(const struct nearest *nearest, struct str word, const char *list)
{
    return nearest->list != NULL &&
           (list == nearest->list || str_starts_with(word, nearest->best) ||
            str_starts_with(nearest->best, word));
}

static void
compare(struct nearest *nearest, struct str word, const char *list)
{
    unsigned errors;

    if (word.len < MIN_LEN || word.ptr[0] != nearest->word.ptr[0])
        return;
    errors = text_distance(nearest->word, word, nearest->errors);
    if (errors > nearest->errors ||
        (errors == nearest->errors && is_much_the_same(nearest, word, list)))
        return;
    nearest->is_alone = errors < nearest->errors || nearest->list == NULL;
    nearest->errors = errors;
    nearest->best = word;
    nearest->list = list;
}

/* Words of a list, and of phrases that are joined by "_". */
static void
compare_all(struct nearest *nearest, const char *list)
{
    struct str rest = str_from_c(list == NULL ? "" : list), entry, word;

    while (str_split(&rest, ' ', &entry))
        while (str_split(&entry, '_', &word))
            compare(nearest, word, list);
}

static void
compare_rows(struct nearest *nearest, const struct question_weak_row *rows, size_t count,
             struct str language)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_c(language, rows[i].language))
            compare_all(nearest, rows[i].words);
}

struct str
text_everyday(struct str word, struct str language)
{
    char folded[MAX_LEN];
    struct nearest nearest = {.errors = word.len >= TWO_ERRORS_LEN ? 2 : 1};

    if (word.len < MIN_LEN || word.len > MAX_LEN)
        return STR_EMPTY;
    for (size_t i = 0; i < word.len; i++) {
        folded[i] =
            (char)(word.ptr[i] >= 'A' && word.ptr[i] <= 'Z' ? word.ptr[i] | 0x20 : word.ptr[i]);
        if ((unsigned char)folded[i] < 0x80 && (folded[i] < 'a' || folded[i] > 'z'))
            return STR_EMPTY;
    }
    nearest.word = str_of(folded, word.len);
    for (size_t i = 0; i < question_row_count; i++)
        if (str_eq_c(language, question_rows[i].language)) {
            compare_all(&nearest, question_rows[i].asks);
            compare_all(&nearest, question_rows[i].words);
        }
    compare_rows(&nearest, question_weak_rows, question_weak_row_count, language);
    compare_rows(&nearest, question_common_rows, question_common_row_count, language);
    compare_rows(&nearest, question_name_rows, question_name_row_count, language);
    return nearest.is_alone && nearest.errors > 0 ? nearest.best : STR_EMPTY;
}
