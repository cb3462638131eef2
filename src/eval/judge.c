/*
 * judge.c - who judges, and what both kinds of judges share
 */
#include "eval/judge_private.h"

#include "base/buf.h"

#define PLAIN_MAX_BYTES ((size_t)16 << 20)
#define NO_BREAK_SPACE "\xc2\xa0"
#define APOSTROPHE "\xe2\x80\x99"

struct str
eval_plain(struct str text, struct arena *arena)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (str_starts_with(str_sub(text, i, text.len), STR(NO_BREAK_SPACE))) {
            c = ' ';
            i++;
        } else if (str_starts_with(str_sub(text, i, text.len), STR(APOSTROPHE))) {
            c = '\'';
            i += 2;
        }
        if (c == '\n' || c == '\t' || c == '\r')
            c = ' ';
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c != ' ' || (len > 0 && out[len - 1] != ' '))
            out[len++] = c;
    }
    return str_trim(str_of(out, len));
}

/* Bytes of a "[12]" at the beginning; 0: there is none. */
static size_t
citation_length(struct str text)
{
    size_t at = 1;

    if (text.len < 3 || text.ptr[0] != '[')
        return 0;
    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
        at++;
    return at > 1 && at < text.len && text.ptr[at] == ']' ? at + 1 : 0;
}

struct str
eval_without_citations(struct str text, struct arena *arena)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0, i = 0;

    while (i < text.len) {
        size_t skipped = citation_length(str_sub(text, i, text.len));

        if (skipped == 0) {
            out[len++] = text.ptr[i++];
            continue;
        }
        i += skipped;
        if (len > 0 && out[len - 1] == ' ') /* "19 €. [1]" */
            len--;
    }
    return str_of(out, len);
}

enum status
judge_cosines(const struct eval_judge *judge, const struct str *texts, size_t count,
              struct arena *arena, double *cosines_out, struct err *err)
{
    unsigned dimension = embed_dimension(judge->embedder);
    float *vectors = ARENA_NEW_N(arena, float, count *dimension);
    enum status st = embed_texts(judge->embedder, texts, count, judge->deadline_ms, vectors, err);

    for (size_t i = 1; st == ST_OK && i < count; i++) {
        cosines_out[i - 1] = 0;
        for (unsigned d = 0; d < dimension; d++)
            cosines_out[i - 1] += (double)vectors[d] * (double)vectors[i * dimension + d];
    }
    return st == ST_OK ? ST_OK : err_wrap(err, "judge by the encoder");
}

enum status
eval_judge_case(const struct eval_judge *judge, const struct eval_case *one, struct arena *arena,
                struct eval_verdict *verdict_out, struct err *err)
{
    *verdict_out = (struct eval_verdict){EVAL_NOT_MEASURED, EVAL_NOT_MEASURED, EVAL_NOT_MEASURED,
                                         EVAL_NOT_MEASURED, STR_INIT("")};
    return judge->models != NULL ? judge_by_model(judge, one, arena, verdict_out, err)
                                 : judge_by_text(judge, one, arena, verdict_out, err);
}
