/*
 * guard.c - of what a model said, the sentences that the passages bear, with the citations that
 * hold
 *
 *   text -> runs (sentences up to a citation) -> each sentence: borne by what it cites?
 *     yes -> kept, citations that add nothing left out
 *     by other passages -> kept, the citation corrected
 *     no -> left out
 * When less is kept than is left out, the whole is not to be trusted. The same runs, as soon as
 * they are whole, are what a reader sees while the model still speaks: nothing is shown that was
 * not checked (guard_stream).
 */
#include <string.h>

#include "base/buf.h"
#include "base/metrics.h"
#include "orchestrator/evidence.h"

/* Share of a claim's words that one of several cited passages must hold. */
#define MIN_PART_SHARE 0.34
/* A line that leads into a list says little by itself. */
#define MIN_LEAD_IN_SHARE 0.25
#define MARKERS_MAX 64
#define ANSWER_MAX_BYTES ((size_t)256 * 1024)
/* Passages that one sentence may be put together from when its own citation does not bear it. */
#define JOINED_MAX 3

static struct metric sentences_total = {
    .name = "parley_answer_sentences_total",
    .help = "Sentences of answers by what the passages made of them",
    .kind = METRIC_COUNTER,
    .labels = {"outcome"},
};

/* --- markers --- */

struct marker {
    size_t at;  /* in the text without markers */
    size_t end; /* in the text with them */
    unsigned number;
    bool spaced; /* a space stood before it */
};

struct plain {
    struct str text; /* without markers */
    struct marker markers[MARKERS_MAX];
    size_t marker_count;
};

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

/* Pictures lose their sign: what is left of one is a paragraph as any other. */
static void
take_markers(struct str text, struct arena *arena, struct plain *plain)
{
    char *out = arena_alloc(arena, text.len + 2);
    size_t at = 0, len = 0;

    plain->marker_count = 0;
    while (at < text.len) {
        unsigned number = 0;
        size_t marker = marker_at(str_sub(text, at, 5), &number);
        bool spaced = false;

        if (marker == 0) {
            bool is_picture = str_starts_with(str_sub(text, at, 2), STR("!["));

            out[len++] = is_picture ? '\n' : text.ptr[at];
            out[len] = '\n';
            len += is_picture;
            at += is_picture ? 2 : 1;
            continue;
        }
        while (len > 0 && out[len - 1] == ' ') {
            len--;
            spaced = true;
        }
        if (plain->marker_count < MARKERS_MAX)
            plain->markers[plain->marker_count++] =
                (struct marker){len, at + marker, number, spaced};
        at += marker;
    }
    plain->text = str_of(out, len);
}

/* --- one sentence --- */

struct guard {
    const struct retrieved *retrieved;
    struct evidence *evidence;
    struct arena *arena;
    struct buf out;
    passage_set cited;
    size_t kept, dropped; /* content words and facts */
    bool counts;          /* in the metric */
};

static void
count_outcome(const struct guard *g, struct str outcome)
{
    if (g->counts)
        METRIC_INC(&sentences_total, outcome, STR_EMPTY);
}

static passage_set
set_of_number(const struct guard *g, unsigned number)
{
    return number >= 1 && number <= g->retrieved->count && number <= EVIDENCE_MAX_PASSAGES
               ? PASSAGE_BIT(number - 1)
               : 0;
}

static size_t
set_size(passage_set set)
{
    size_t count = 0;

    for (; set != 0; set &= set - 1)
        count++;
    return count;
}

/* Of several that bear a claim together, those that hold a good part of it. */
static passage_set
without_idle(struct guard *g, const struct claim *claim, passage_set cited)
{
    passage_set kept = 0;

    if (set_size(cited) < 2)
        return cited;
    for (size_t p = 0; p < g->retrieved->count && p < EVIDENCE_MAX_PASSAGES; p++)
        if ((cited & PASSAGE_BIT(p)) != 0 &&
            evidence_share(g->evidence, claim, PASSAGE_BIT(p)) >= MIN_PART_SHARE)
            kept |= PASSAGE_BIT(p);
    return kept != 0 && evidence_bears(g->evidence, claim, kept, true) ? kept : cited;
}

/* The passage that adds most of the claim to those that are chosen; 0 when none does. */
static passage_set
best_addition(struct guard *g, const struct claim *claim, passage_set chosen)
{
    double best = chosen == 0 ? 0 : evidence_share(g->evidence, claim, chosen);
    passage_set found = 0;

    for (size_t p = 0; p < g->retrieved->count && p < EVIDENCE_MAX_PASSAGES; p++) {
        passage_set with = chosen | PASSAGE_BIT(p);
        double share = evidence_share(g->evidence, claim, with);

        if (evidence_bears(g->evidence, claim, with, false))
            share += 1;
        if (share > best) {
            best = share;
            found = PASSAGE_BIT(p);
        }
    }
    return found;
}

/* Those of a set that are near the claim in meaning. */
static passage_set
near_of(struct guard *g, const struct claim *claim, passage_set set, bool are_named)
{
    passage_set near = 0;

    for (size_t p = 0; p < g->retrieved->count && p < EVIDENCE_MAX_PASSAGES; p++)
        if ((set & PASSAGE_BIT(p)) != 0 && evidence_is_near(g->evidence, claim, p, are_named))
            near |= PASSAGE_BIT(p);
    return near;
}

/* Passages that bear the claim though it does not cite them; 0: there are none. */
static passage_set
find_bearers(struct guard *g, const struct claim *claim)
{
    passage_set chosen = 0, first = 0;

    for (unsigned i = 0; i < JOINED_MAX; i++) {
        passage_set added = best_addition(g, claim, chosen);

        if (added == 0)
            break;
        if (i == 0)
            first = added;
        chosen |= added;
        if (evidence_bears(g->evidence, claim, chosen, false))
            return chosen;
    }
    return near_of(g, claim, first, false);
}

static bool
is_lead_in(struct guard *g, const struct claim *claim)
{
    passage_set all = g->retrieved->count >= EVIDENCE_MAX_PASSAGES
                          ? ~(passage_set)0
                          : PASSAGE_BIT(g->retrieved->count) - 1;

    return str_ends_with(claim->text, STR(":")) &&
           evidence_has_facts(g->evidence, claim, all, true) &&
           evidence_share(g->evidence, claim, all) >= MIN_LEAD_IN_SHARE;
}

/* --- runs --- */

static void
append_markers(struct guard *g, passage_set cited, bool spaced)
{
    for (size_t p = 0; p < EVIDENCE_MAX_PASSAGES; p++)
        if ((cited & PASSAGE_BIT(p)) != 0) {
            buf_printf(&g->out, spaced ? " [%zu]" : "[%zu]", p + 1);
            spaced = false;
        }
}

/* With citations that the model did not give: before the mark that ends it. */
static void
append_corrected(struct guard *g, struct str sentence, passage_set cited)
{
    size_t end = sentence.len;

    while (end > 0 && strchr(".!?", sentence.ptr[end - 1]) != NULL)
        end--;
    buf_append(&g->out, str_sub(sentence, 0, end));
    append_markers(g, cited, true);
    buf_append(&g->out, str_sub(sentence, end, sentence.len));
}

struct sentence {
    size_t gap, start, end; /* gap: where the one before ended */
    size_t first_marker, end_marker;
    passage_set own;     /* that it cites */
    passage_set cover;   /* of the next citation, when it has none */
    passage_set bearers; /* 0: it says nothing that needs any */
    size_t words;        /* content words and facts */
    bool is_kept, shows; /* shows: its citations stand beside it */
};

/* False: no passages bear it. */
static bool
find_support(struct guard *g, const struct claim *claim, struct sentence *s)
{
    passage_set named = s->own != 0 ? s->own : s->cover;

    if (s->words == 0)
        return !claim->is_mute;
    if (named != 0 && evidence_bears(g->evidence, claim, named, true))
        s->bearers = without_idle(g, claim, named);
    if (s->bearers == 0)
        s->bearers = near_of(g, claim, named, true);
    if (s->bearers == 0)
        s->bearers = find_bearers(g, claim);
    return s->bearers != 0 || is_lead_in(g, claim);
}

/* With the markers that it has and that are in the set, each where it stood. */
static void
append_with_own(struct guard *g, const struct plain *plain, const struct sentence *s,
                passage_set cited)
{
    size_t from = s->start;

    for (size_t m = s->first_marker; m < s->end_marker; m++) {
        const struct marker *marker = &plain->markers[m];

        if ((set_of_number(g, marker->number) & cited) == 0)
            continue;
        if (marker->at > from) {
            buf_append(&g->out, str_sub(plain->text, from, marker->at - from));
            from = marker->at;
        }
        buf_printf(&g->out, marker->spaced ? " [%u]" : "[%u]", marker->number);
    }
    if (s->end > from)
        buf_append(&g->out, str_sub(plain->text, from, s->end - from));
}

static void
write_sentence(struct guard *g, const struct plain *plain, const struct sentence *s)
{
    bool corrected = s->shows && (s->bearers & ~s->own) != 0;

    buf_append(&g->out, str_sub(plain->text, s->gap, s->start - s->gap));
    if (corrected)
        append_corrected(g, str_sub(plain->text, s->start, s->end - s->start), s->bearers);
    else
        append_with_own(g, plain, s, s->bearers);
    count_outcome(g, corrected ? STR("corrected") : STR("kept"));
    g->kept += s->words;
    if (s->shows)
        g->cited |= s->bearers;
}

/* Sentences of the text, each with the markers within it or right after it. */
static size_t
find_sentences(const struct guard *g, const struct plain *plain, struct sentence **sentences_out)
{
    struct text_span *spans;
    size_t count = text_sentences(plain->text, g->arena, &spans), m = 0;
    struct sentence *sentences = ARENA_NEW_N(g->arena, struct sentence, count + 1);

    for (size_t i = 0; i < count; i++) {
        struct sentence *s = &sentences[i];

        *s = (struct sentence){.gap = i == 0 ? 0 : spans[i - 1].end,
                               .start = spans[i].start,
                               .end = spans[i].end,
                               .first_marker = m};
        while (m < plain->marker_count &&
               (i + 1 == count || plain->markers[m].at <= spans[i + 1].start)) {
            s->own |= set_of_number(g, plain->markers[m].number);
            m++;
        }
        s->end_marker = m;
    }
    for (size_t i = count; i-- > 1;)
        if (sentences[i - 1].own == 0)
            sentences[i - 1].cover = sentences[i].own != 0 ? sentences[i].own : sentences[i].cover;
    *sentences_out = sentences;
    return count;
}

/* A sentence without a citation of its own shows none when the next one that is shown is its. */
static void
place_citations(struct sentence *sentences, size_t count)
{
    passage_set next = 0;

    for (size_t i = count; i > 0; i--) {
        struct sentence *s = &sentences[i - 1];

        if (!s->is_kept || s->bearers == 0)
            continue;
        s->shows = s->own != 0 || (s->bearers & ~next) != 0;
        if (s->shows)
            next = s->bearers;
    }
}

static void
check_text(struct guard *g, const struct plain *plain)
{
    struct sentence *sentences;
    size_t count = find_sentences(g, plain, &sentences);

    for (size_t i = 0; i < count; i++) {
        struct sentence *s = &sentences[i];
        struct claim claim =
            evidence_claim(g->evidence, str_sub(plain->text, s->start, s->end - s->start));

        s->words = claim.word_count + claim.fact_count;
        s->is_kept = find_support(g, &claim, s);
    }
    place_citations(sentences, count);
    for (size_t i = 0; i < count; i++)
        if (sentences[i].is_kept) {
            write_sentence(g, plain, &sentences[i]);
        } else {
            count_outcome(g, STR("dropped"));
            g->dropped += sentences[i].words;
        }
}

static void
guard_init(struct guard *g, const struct guard_config *config, struct arena *arena)
{
    *g = (struct guard){.retrieved = config->retrieved, .arena = arena};
    g->evidence = evidence_create(config->retrieved, config->language, config->known,
                                  config->embedder, arena);
    buf_init(&g->out, ANSWER_MAX_BYTES);
}

void
guard_answer(const struct guard_config *config, struct str text, struct arena *arena,
             struct guarded *guarded_out)
{
    struct plain *plain = ARENA_NEW(arena, struct plain);
    struct guard g;

    guard_init(&g, config, arena);
    g.counts = true;
    take_markers(text, arena, plain);
    check_text(&g, plain);
    guarded_out->text = str_trim(arena_str(arena, buf_str(&g.out)));
    guarded_out->said = str_trim(plain->text);
    guarded_out->cited = ARENA_NEW_N(arena, unsigned char, config->retrieved->count + 1);
    for (size_t p = 0; p < config->retrieved->count && p < EVIDENCE_MAX_PASSAGES; p++)
        guarded_out->cited[p] = (g.cited & PASSAGE_BIT(p)) != 0;
    guarded_out->grounded = g.cited != 0 && g.kept >= g.dropped;
    buf_deinit(&g.out);
}

/* --- while the model still speaks --- */

/* Sentences without a citation are shown when so many wait for one. */
#define UNCITED_MAX 4

struct guard_stream {
    struct guard guard;
    struct answer_stream to;
    struct plain plain;
    struct buf waiting; /* not checked yet */
    size_t shown;       /* bytes of guard.out that were given on, or stand before the first */
    size_t first;       /* where what was given on begins */
    bool began;
};

struct guard_stream *
guard_stream_create(const struct guard_config *config, const struct answer_stream *to,
                    struct arena *arena)
{
    struct guard_stream *s = ARENA_NEW(arena, struct guard_stream);

    guard_init(&s->guard, config, arena);
    s->to = *to;
    buf_init(&s->waiting, ANSWER_MAX_BYTES);
    return s;
}

void
guard_stream_destroy(struct guard_stream **stream)
{
    if (*stream == NULL)
        return;
    buf_deinit(&(*stream)->guard.out);
    buf_deinit(&(*stream)->waiting);
    *stream = NULL;
}

/* Where in the text with markers a place of the text without them is; after markers at it. */
static size_t
place_with_markers(const struct plain *plain, size_t at)
{
    for (size_t m = 0; m < plain->marker_count && plain->markers[m].at <= at; m++)
        if (m + 1 == plain->marker_count || plain->markers[m + 1].at > at)
            return plain->markers[m].end + at - plain->markers[m].at;
    return at;
}

/* How much of what waits is whole: up to the last citation, or some sentences without one, that a
 * further sentence follows. */
static size_t
whole_runs(struct guard_stream *s, const struct plain *plain)
{
    struct sentence *sentences;
    size_t count = find_sentences(&s->guard, plain, &sentences), whole = 0, uncited = 0;

    for (size_t i = 0; i + 1 < count; i++) {
        bool cites = sentences[i].end_marker > sentences[i].first_marker;
        size_t end = sentences[i].end;

        uncited = cites ? 0 : uncited + 1;
        if (!cites && uncited < UNCITED_MAX)
            continue;
        uncited = 0;
        if (cites && plain->markers[sentences[i].end_marker - 1].at > end)
            end = plain->markers[sentences[i].end_marker - 1].at;
        whole = place_with_markers(plain, end);
    }
    return whole;
}

/* Gives on what was checked, without white space before the first of it. */
static bool
show(struct guard_stream *s, struct str out)
{
    struct str piece;

    while (!s->began && s->shown < out.len && strchr(" \t\r\n", out.ptr[s->shown]) != NULL)
        s->shown++;
    piece = str_sub(out, s->shown, out.len);
    if (piece.len == 0)
        return true;
    if (!s->began)
        s->first = s->shown;
    s->began = true;
    s->shown = out.len;
    return s->to.on_text(piece, s->to.context);
}

bool
guard_stream_text(struct str piece, void *context)
{
    struct guard_stream *s = context;
    struct arena *arena = s->guard.arena;
    size_t whole;

    buf_append(&s->waiting, piece);
    take_markers(buf_str(&s->waiting), arena, &s->plain);
    whole = whole_runs(s, &s->plain);
    if (whole == 0)
        return true;
    take_markers(arena_str(arena, str_sub(buf_str(&s->waiting), 0, whole)), arena, &s->plain);
    check_text(&s->guard, &s->plain);
    buf_consume(&s->waiting, whole);
    return show(s, buf_str(&s->guard.out));
}

void
guard_stream_restart(void *context)
{
    struct guard_stream *s = context;

    if (s->began && s->to.restart != NULL)
        s->to.restart(s->to.context);
    buf_clear(&s->guard.out);
    buf_clear(&s->waiting);
    s->began = false;
    s->shown = 0;
}

void
guard_stream_end(struct guard_stream *s, struct str answer)
{
    struct str given =
        s->began ? str_sub(buf_str(&s->guard.out), s->first, s->shown - s->first) : STR_EMPTY;

    if (str_starts_with(answer, given)) {
        answer = str_sub(answer, given.len, answer.len);
        if (answer.len > 0)
            (void)s->to.on_text(answer, s->to.context);
    } else {
        guard_stream_restart(s);
    }
}
