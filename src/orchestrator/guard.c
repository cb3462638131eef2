/*
 * guard.c - checks what a model said against the passages it was given
 *
 * A citation holds when it names a passage that was given and when enough of the words before it
 * are in that passage. Words are compared as stems; when the answer is in another language than the
 * passage, only the number can be checked.
 */
#include "orchestrator/orchestrator_private.h"
#include "text/text.h"

/* Share of a claim's words that its passage must hold. */
#define MIN_CLAIM_SUPPORT 0.34
/* Share of all words of the answer that the cited passages must hold. */
#define MIN_ANSWER_SUPPORT 0.5

struct passage_terms {
    struct text_term *terms;
    size_t count;
    bool is_read, same_language;
};

static bool
has_term(const struct passage_terms *passage, struct str term)
{
    size_t i;

    for (i = 0; i < passage->count; i++)
        if (str_eq(passage->terms[i].term, term))
            return true;
    return false;
}

/* "[12]" at the start of s: its length and number, or 0. */
static size_t
marker_at(struct str s, unsigned *number_out)
{
    size_t i = 1;
    unsigned number = 0;

    if (s.len < 3 || s.ptr[0] != '[')
        return 0;
    while (i < s.len && i < 4 && s.ptr[i] >= '0' && s.ptr[i] <= '9')
        number = number * 10 + (unsigned)(s.ptr[i++] - '0');
    if (i == 1 || i >= s.len || s.ptr[i] != ']')
        return 0;
    *number_out = number;
    return i + 1;
}

static bool
claim_holds(struct str claim, struct str language, const struct passage_terms *passage,
            struct arena *arena)
{
    struct text_term *terms = NULL;
    size_t i, count, content = 0, found = 0;

    if (!passage->same_language)
        return true;
    count = text_terms(claim, language, arena, &terms);
    for (i = 0; i < count; i++) {
        if (terms[i].is_stop_word)
            continue;
        content++;
        found += has_term(passage, terms[i].term);
    }
    return content == 0 || (double)found >= MIN_CLAIM_SUPPORT * (double)content;
}

static bool
answer_supported(struct str text, struct str language, const struct passage_terms *passages,
                 const unsigned char *cited, size_t passage_count, struct arena *arena)
{
    struct text_term *terms = NULL;
    size_t i, p, count = text_terms(text, language, arena, &terms);
    size_t words = 0, content = 0, found = 0;
    bool foreign = false;

    for (p = 0; p < passage_count; p++)
        foreign |= cited[p] && !passages[p].same_language;
    for (i = 0; i < count; i++) {
        if (terms[i].span.start > 0 && text.ptr[terms[i].span.start - 1] == '[')
            continue;
        words++;
        if (terms[i].is_stop_word)
            continue;
        content++;
        for (p = 0; p < passage_count; p++)
            if (cited[p] && has_term(&passages[p], terms[i].term)) {
                found++;
                break;
            }
    }
    if (words == 0) /* a bare citation says nothing */
        return false;
    return foreign || (double)found >= MIN_ANSWER_SUPPORT * (double)content;
}

/* Only passages that an answer names are read: that is seldom more than two of them. */
static const struct passage_terms *
read_passage(const struct retrieved *retrieved, size_t which, struct str language,
             struct arena *arena, struct passage_terms *passages)
{
    const struct model_passage *from = &retrieved->passages[which];
    struct passage_terms *passage = &passages[which];
    struct str its_language, whole;

    if (passage->is_read)
        return passage;
    its_language = text_language(from->text);
    whole = arena_printf(arena, "%.*s\n%.*s\n%.*s", STR_ARG(from->title),
                         STR_ARG(from->heading_path), STR_ARG(from->text));
    passage->same_language =
        language.len == 0 || its_language.len == 0 || str_eq(its_language, language);
    passage->count = text_terms(whole, language, arena, &passage->terms);
    passage->is_read = true;
    return passage;
}

void
guard_citations(struct str text, struct str language, const struct retrieved *retrieved,
                struct arena *arena, struct guarded *guarded_out)
{
    struct passage_terms *passages = ARENA_NEW_N(arena, struct passage_terms, retrieved->count + 1);
    char *out = arena_alloc(arena, text.len + 1);
    unsigned char *cited = arena_alloc(arena, retrieved->count + 1);
    size_t at = 0, len = 0, claim_start = 0;
    bool any = false, in_group = false;

    while (at < text.len) {
        unsigned number = 0;
        size_t marker = marker_at(str_sub(text, at, 5), &number);
        struct str claim = str_sub(text, claim_start, at - claim_start);

        if (marker == 0) {
            if (in_group && text.ptr[at] != ' ') {
                claim_start = at;
                in_group = false;
            }
            out[len++] = text.ptr[at++];
            continue;
        }
        if (number >= 1 && number <= retrieved->count &&
            claim_holds(claim, language,
                        read_passage(retrieved, number - 1, language, arena, passages), arena)) {
            for (size_t i = 0; i < marker; i++)
                out[len++] = text.ptr[at + i];
            cited[number - 1] = 1;
            any = true;
        } else {
            while (len > 0 && out[len - 1] == ' ')
                len--;
        }
        in_group = true;
        at += marker;
    }
    guarded_out->text = str_trim(str_of(out, len));
    guarded_out->cited = cited;
    guarded_out->grounded = any && answer_supported(guarded_out->text, language, passages, cited,
                                                    retrieved->count, arena);
}
