/*
 * confidence_test.c - the better passages answer, the surer: never the other way round
 *
 *   confidence_test QUESTIONS DOCUMENT...   as demo/questions.jsonl has them; Markdown
 *
 * The documents' paragraphs are the library. Everything is drawn from one seed; the vectors are
 * bags of words, so that what a passage loses its vector loses, too.
 */
#include <math.h>
#include <stdio.h>

#include "index/index_test_sql.h"
#include "index/index_test_support.h"
#include "text/json.h"
#include "text/text.h"

#define MAX_PASSAGES 160
#define DIMENSION 256U
#define ENCODER STR("bag-of-words")
/* A word that no question has and that looks like none. */
#define FILLER "qxzvq"
#define FILLER_6 FILLER " " FILLER " " FILLER " " FILLER " " FILLER " " FILLER " "
/* About as long as the others, and with nothing in it. */
#define SPARE_TEXT FILLER_6 FILLER_6 FILLER_6 FILLER_6
#define SPARE_PASSAGES 40
#define EVERY_QUESTION 12
#define SEED 11

/* How much surer one may be for what is not about the passage that ranks first. */
#define ROUNDING 1e-9
#define IRRELEVANT_MAY_ADD 0.03
#define RIVAL_MAY_ADD 0.10

static const char *questions_file;
static char **documents;
static int document_count;

struct passage {
    struct source_id source_id; /* its own: so that it can go alone */
    struct str title, heading, text;
};

struct library {
    struct fixture *fixture;
    struct passage passages[MAX_PASSAGES];
    size_t count;
    size_t spare, used; /* from there on stand passages with nothing in them; taken of these */
    int64_t last_chunk;
    struct index_vectors *vectors; /* NULL: by words alone */
    struct arena *arena;           /* of a question */
    uint64_t random;
};

static uint32_t
draw(struct library *library, uint32_t below)
{
    library->random = library->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(library->random >> 33) % below;
}

/* Each stem has a place of its own, as far as there are places; stop words have none. */
static const float *
vector_of(struct str text, struct arena *arena)
{
    float *vector = ARENA_NEW_N(arena, float, DIMENSION);
    struct text_term *terms;
    size_t count = text_terms(text, STR("en"), arena, &terms);
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t hash = UINT64_C(14695981039346656037);

        if (terms[i].is_stop_word)
            continue;
        for (size_t b = 0; b < terms[i].term.len; b++)
            hash = (hash ^ (unsigned char)terms[i].term.ptr[b]) * UINT64_C(1099511628211);
        vector[hash % DIMENSION] += 1;
    }
    for (unsigned i = 0; i < DIMENSION; i++)
        sum += (double)vector[i] * (double)vector[i];
    for (unsigned i = 0; i < DIMENSION; i++)
        vector[i] = sum > 0 ? vector[i] / (float)sqrt(sum) : (i == 0);
    return vector;
}

struct change_work {
    struct index_entry entry;
    bool is_there, puts;
};

static enum status
change_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct change_work *work = arg;
    const struct index_entry *entry = &work->entry;
    enum status st = ST_OK;

    if (work->is_there)
        st = index_delete(tx, entry->source_id, 1, err);
    if (st == ST_OK && work->puts)
        st =
            store_exec(tx, &SQL_TEST_CHUNK_INSERT,
                       ARGS(sv_int(entry->chunk_id), sv_id(entry->source_id), sv_int(1),
                            sv_text(entry->heading_path), sv_text(entry->text), sv_text(STR("en"))),
                       NULL, err);
    return st == ST_OK && work->puts ? index_put(tx, entry, 1, err) : st;
}

static void
change(struct library *library, const struct passage *passage, bool is_there, bool puts)
{
    struct change_work work = {.is_there = is_there, .puts = puts};
    struct err err;

    work.entry = (struct index_entry){
        .chunk_id = ++library->last_chunk,
        .source_id = passage->source_id,
        .version = 1,
        .audience = STR("customer"),
        .language = STR("en"),
        .title = passage->title,
        .heading_path = passage->heading,
        .text = passage->text,
    };
    if (library->vectors != NULL)
        work.entry.vector =
            (struct index_vector){ENCODER, DIMENSION,
                                  vector_of(index_vector_text(passage->title, passage->heading,
                                                              passage->text, library->arena),
                                            library->arena)};
    ASSERT_OK(store_run(library->fixture->store, &library->fixture->scope, "test_change",
                        STORE_RELAXED, change_in_tx, &work, &err),
              &err);
}

static struct index_result
ask_library(struct library *library, struct str question)
{
    struct index_query query = {.text = question, .language = STR("en"), .limit = 10};

    if (library->vectors != NULL) {
        query.vectors = library->vectors;
        query.vector = vector_of(question, library->arena);
    }
    return search_as(library->fixture, &library->fixture->scope, query);
}

/* --- the library --- */

static void
add_passage(struct library *library, struct str title, struct str heading, struct str text)
{
    assert_true(library->count < MAX_PASSAGES);
    library->passages[library->count++] = (struct passage){ID_NEW(source_id), title, heading, text};
}

/* Paragraphs under their headings; what stands before the first heading is left out. */
static void
read_document(struct library *library, const char *path, struct arena *arena)
{
    char *bytes = ARENA_NEW_N(arena, char, 65536);
    FILE *file = fopen(path, "rb");
    struct str rest, line, title = STR(""), heading = STR("");
    struct buf paragraph;

    assert_non_null(file);
    rest = str_of(bytes, fread(bytes, 1, 65535, file));
    (void)fclose(file);
    buf_init(&paragraph, 65536);
    for (bool more = true; more;) {
        more = str_split(&rest, '\n', &line);
        if (str_starts_with(line, STR("title: ")))
            title = str_sub(line, 7, line.len);
        if ((line.len == 0 || line.ptr[0] == '#' || !more) && paragraph.len > 0) {
            if (heading.len > 0)
                add_passage(library, title, heading, arena_str(arena, buf_str(&paragraph)));
            buf_clear(&paragraph);
        }
        if (line.len > 0 && line.ptr[0] == '#')
            heading = str_trim(str_sub(line, 2, line.len));
        else if (line.len > 0)
            buf_printf(&paragraph, "%.*s ", STR_ARG(line));
    }
    buf_deinit(&paragraph);
}

/* --- taking words out --- */

/* Whether the passage's term answers to the question's word. */
static bool
stands_for(const struct text_asked *asked, struct str term)
{
    bool does = asked->term.len > 0 && str_eq(asked->term, term);

    for (size_t r = 0; r < asked->related_count; r++)
        does |= str_eq(asked->related[r], term);
    return does;
}

/* Other words in place of these, which are put into taken; the same text when it has none. */
static struct str
without(struct str text, const struct text_asked *asked, struct buf *taken, struct arena *arena)
{
    struct text_term *terms;
    size_t count = text_terms(text, STR("en"), arena, &terms), done = 0;
    struct buf out;
    struct str result;

    buf_init(&out, 65536);
    for (size_t i = 0; i < count; i++) {
        if (!stands_for(asked, terms[i].term) || terms[i].span.start < done)
            continue;
        buf_append(&out, str_sub(text, done, terms[i].span.start - done));
        buf_append_c(&out, FILLER);
        if (taken != NULL)
            buf_printf(taken, "%.*s ", (int)(terms[i].span.end - terms[i].span.start),
                       text.ptr + terms[i].span.start);
        done = terms[i].span.end;
    }
    if (done == 0)
        result = text;
    else {
        buf_append(&out, str_sub(text, done, text.len - done));
        result = arena_str(arena, buf_str(&out));
    }
    buf_deinit(&out);
    return result;
}

static bool
take_out(struct library *library, struct passage *passage, const struct text_asked *asked)
{
    struct passage old = *passage;
    struct passage *spare;
    struct buf taken;
    bool is_there;

    buf_init(&taken, 65536);
    passage->title = without(old.title, asked, &taken, library->arena);
    passage->heading = without(old.heading, asked, &taken, library->arena);
    passage->text = without(old.text, asked, &taken, library->arena);
    if (taken.len > 0) {
        change(library, passage, true, true);
        spare = &library->passages[library->spare + library->used++];
        buf_append(&taken, str_sub(spare->text, taken.len, spare->text.len));
        spare->text = arena_str(library->arena, buf_str(&taken));
        change(library, spare, true, true);
    }
    is_there = taken.len > 0;
    buf_deinit(&taken);
    return is_there;
}

static struct passage *
passage_of(struct library *library, struct source_id id)
{
    for (size_t i = 0; i < library->count; i++)
        if (id_eq(&library->passages[i].source_id.id, &id.id))
            return &library->passages[i];
    fail();
    return NULL;
}

/* --- the properties --- */

/* Asks every question of the library, each with an arena of its own. */
static void
for_each_question(void **state, bool by_vectors, bool with_documents,
                  void (*check)(struct library *library, struct str question))
{
    struct fixture *fixture = *state;
    struct library library = {.fixture = fixture, .random = SEED};
    struct arena *own = fixture->arena;
    const struct index_vectors_config config = {ENCODER, DIMENSION, (size_t)1 << 20, NULL};
    FILE *file = fopen(questions_file, "rb");
    char line[4096];
    unsigned asked = 0, lines = 0;
    struct err err;

    assert_non_null(file);
    if (by_vectors)
        ASSERT_OK(index_vectors_create(&config, &library.vectors, &err), &err);
    library.arena = own;
    for (int i = 0; with_documents && i < document_count; i++)
        read_document(&library, documents[i], own);
    library.spare = library.count;
    for (unsigned i = 0; i < SPARE_PASSAGES; i++)
        add_passage(&library, STR(""), STR(""), STR(SPARE_TEXT));
    for (size_t i = 0; i < library.count; i++)
        change(&library, &library.passages[i], false, true);
    while (fgets(line, sizeof(line), file) != NULL) {
        json_auto_t *json = NULL;

        ASSERT_OK(json_parse(str_trim(str_from_c(line)), &json, &err), &err);
        if (lines++ % EVERY_QUESTION != 0)
            continue;
        library.arena = fixture->arena = arena_create((size_t)64 << 20);
        check(&library, json_get_str(json, "question"));
        arena_destroy(&library.arena);
        fixture->arena = own;
        asked++;
    }
    (void)fclose(file);
    assert_true(asked >= 20 && library.spare >= (with_documents ? 30 : 0));
    index_vectors_destroy(&library.vectors);
}

/* Words go from the passage that ranks first to one that has nothing else, so that they stay as
 * rare as they were. While the same passage ranks first the confidence never rises. Another that
 * takes its place may be surer; by words, which look at the first three, hardly than the first was
 * at the beginning; by vectors the number is about the first alone (docs/decisions/0019). */
static void
words_go(struct library *library, struct str question)
{
    struct text_asked *asked;
    size_t count = text_question(question, STR("en"), library->arena, &asked);
    struct passage saved[MAX_PASSAGES];
    bool changed[MAX_PASSAGES] = {false};
    struct index_result result = ask_library(library, question);
    double before = result.confidence, at_first = before;

    memcpy(saved, library->passages, sizeof(saved));
    for (library->used = 0; library->used < SPARE_PASSAGES && result.count > 0;) {
        struct source_id leader = result.hits[0].source_id;
        struct passage *first = passage_of(library, leader);
        size_t from = count == 0 ? 0 : draw(library, (uint32_t)count), n = 0;

        while (n < count && !take_out(library, first, &asked[(from + n) % count]))
            n++;
        if (n == count)
            break;
        changed[first - library->passages] = true;
        changed[library->spare + library->used - 1] = true;
        result = ask_library(library, question);
        if (result.count > 0 && id_eq(&leader.id, &result.hits[0].source_id.id) &&
            result.confidence > before + ROUNDING)
            fail_msg("%.*s: without %.*s surer: %f, was %f", STR_ARG(question),
                     STR_ARG(asked[(from + n) % count].term), before, result.confidence);
        if (library->vectors == NULL && result.confidence > at_first + RIVAL_MAY_ADD)
            fail_msg("%.*s: surer than at first: %f, was %f", STR_ARG(question), result.confidence,
                     at_first);
        before = result.confidence;
    }
    for (size_t i = 0; i < library->count; i++) {
        library->passages[i] = saved[i];
        if (changed[i])
            change(library, &saved[i], true, true);
    }
}

/* A passage beside the point makes nothing surer but by rounding: everything else is rarer then. */
static void
irrelevant_comes(struct library *library, struct str question)
{
    struct passage more = {ID_NEW(source_id), STR("Volcanoes"), STR("Basalt"),
                           STR("Magma beneath oceanic ridges solidifies into columnar basalt; "
                               "silicate chemistry governs viscosity.")};
    double before = ask_library(library, question).confidence, after;

    change(library, &more, false, true);
    after = ask_library(library, question).confidence;
    change(library, &more, true, false);
    if (after > before + IRRELEVANT_MAY_ADD)
        fail_msg("%.*s: surer with a volcano: %f, was %f", STR_ARG(question), after, before);
}

/* Where nothing else answers: a passage that has all of the question's words, half of them, none.
 */
static void
whole_half_none(struct library *library, struct str question)
{
    struct passage one = {ID_NEW(source_id), STR(""), STR(""), STR("")};
    struct text_term *terms;
    size_t count = text_terms(question, STR("en"), library->arena, &terms);
    double sure[3];

    for (unsigned kind = 0; kind < 3; kind++) {
        size_t words = count * (2 - kind) / 2;
        size_t end = words == 0 ? 0 : terms[words - 1].span.end;
        struct text_asked *asked;
        size_t asked_count = text_question(question, STR("en"), library->arena, &asked);

        one.text = arena_printf(library->arena, "%.*s %s", (int)end, question.ptr, SPARE_TEXT);
        for (size_t i = 0; kind == 2 && i < asked_count; i++)
            assert_true(str_eq(one.text, without(one.text, &asked[i], NULL, library->arena)));
        change(library, &one, false, true);
        sure[kind] = ask_library(library, question).confidence;
        change(library, &one, true, false);
    }
    if (sure[0] < sure[1] - ROUNDING || sure[1] < sure[2] - ROUNDING)
        fail_msg("%.*s: whole %f, half %f, none %f", STR_ARG(question), sure[0], sure[1], sure[2]);
}

#define PROPERTY(check, with_documents)                                                            \
    static void check##_by_words(void **state)                                                     \
    {                                                                                              \
        for_each_question(state, false, with_documents, check);                                    \
    }                                                                                              \
    static void check##_by_vectors(void **state)                                                   \
    {                                                                                              \
        for_each_question(state, true, with_documents, check);                                     \
    }
PROPERTY(words_go, true)
PROPERTY(irrelevant_comes, true)
PROPERTY(whole_half_none, false)

int
main(int argc, char **argv)
{
    struct test_qdrant *qdrant = NULL;
    const struct CMUnitTest tests[] = {
        TEST(words_go_by_words),         TEST(words_go_by_vectors),
        TEST(irrelevant_comes_by_words), TEST(irrelevant_comes_by_vectors),
        TEST(whole_half_none_by_words),  TEST(whole_half_none_by_vectors),
    };

    if (argc < 3)
        return 2;
    questions_file = argv[1];
    documents = argv + 2;
    document_count = argc - 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
