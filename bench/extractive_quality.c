/*
 * extractive_quality.c - how often the extractive answer holds what was asked, and how short it is
 *
 *   extractive_quality FOLDER [--show] [--language xx]
 * FOLDER has corpus.jsonl {"_id","title","heading_path"?,"text"}, queries.jsonl {"_id","text"} and,
 * to be scored, answers.json {id: [span, ...]}. Passages come from a plain BM25 over the same terms
 * as the product's index (k1 .9, b .4), so that this stands alone. Yardstick: the whole of the
 * first passage. --show prints every question with its answer.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "model/model.h"
#include "text/json.h"
#include "text/text.h"

#define PASSAGES 8
#define MAX_LINE ((size_t)1024 * 1024)

struct posting {
    unsigned document, count;
    struct posting *next;
};

struct document {
    struct str id, title, heading_path, text;
    double length;
};

struct collection {
    struct arena *arena;
    struct document *documents;
    size_t count, capacity;
    struct map terms; /* term -> first posting */
    double mean_length;
    struct str language;
};

struct totals {
    size_t questions, scored, held, yardstick_held, no_answer;
    double words, sentences, yardstick_words, yardstick_sentences;
    double *seconds;
};

static void
fail(const char *what, const char *detail)
{
    fprintf(stderr, "extractive_quality: %s: %s\n", what, detail);
    exit(2);
}

static FILE *
open_in(const char *folder, const char *name, bool must)
{
    char path[4096];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "re");
    if (file == NULL && must)
        fail("cannot open", path);
    return file;
}

/* The next line as JSON in *json_out; false at the end. */
static bool
read_json_line(FILE *file, json_t **json_out)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len = getline(&line, &capacity, file);
    struct err err;

    *json_out = NULL;
    if (len > 0 && json_parse(str_trim(str_of(line, (size_t)len)), json_out, &err) != ST_OK)
        fail("bad line", err.detail);
    free(line);
    return len > 0;
}

static struct str
copy_key(struct arena *arena, const json_t *object, const char *key)
{
    return arena_str(arena, json_get_str(object, key));
}

/* --- a plain BM25 --- */

static void
index_document(struct collection *collection, unsigned number)
{
    struct document *document = &collection->documents[number];
    struct arena *arena = collection->arena;
    struct str all = arena_printf(arena, "%.*s\n%.*s\n%.*s", STR_ARG(document->title),
                                  STR_ARG(document->heading_path), STR_ARG(document->text));
    struct text_term *terms;
    size_t count = text_terms(all, collection->language, arena, &terms);
    struct err err;

    for (size_t i = 0; i < count; i++) {
        struct posting *posting = map_find(&collection->terms, terms[i].term);
        void *replaced;

        if (terms[i].is_stop_word)
            continue;
        document->length++;
        if (posting != NULL && posting->document == number) {
            posting->count++;
            continue;
        }
        posting = ARENA_NEW(arena, struct posting);
        *posting = (struct posting){number, 1, map_find(&collection->terms, terms[i].term)};
        if (map_put(&collection->terms, terms[i].term, posting, &replaced, &err) != ST_OK)
            fail("index", err.detail);
    }
}

static void
load_collection(struct collection *collection, const char *folder)
{
    FILE *file = open_in(folder, "corpus.jsonl", true);
    json_t *json;
    double length = 0;

    map_init(&collection->terms, 1000000);
    while (read_json_line(file, &json)) {
        struct document *document;

        if (collection->count == collection->capacity) {
            collection->capacity = collection->capacity * 2 + 1024;
            collection->documents = realloc(collection->documents,
                                            collection->capacity * sizeof(*collection->documents));
            if (collection->documents == NULL)
                fail("memory", "documents");
        }
        document = &collection->documents[collection->count++];
        *document =
            (struct document){.id = copy_key(collection->arena, json, "_id"),
                              .title = copy_key(collection->arena, json, "title"),
                              .heading_path = copy_key(collection->arena, json, "heading_path"),
                              .text = copy_key(collection->arena, json, "text")};
        json_decref(json);
    }
    (void)fclose(file);
    for (size_t i = 0; i < collection->count; i++) {
        index_document(collection, (unsigned)i);
        length += collection->documents[i].length;
    }
    collection->mean_length = collection->count > 0 ? length / (double)collection->count : 1;
}

static size_t
search(const struct collection *collection, struct str question, struct arena *arena,
       struct model_passage *passages)
{
    double *scores = ARENA_NEW_N(arena, double, collection->count);
    struct text_term *terms;
    size_t count = text_terms(question, collection->language, arena, &terms), found = 0;

    for (size_t i = 0; i < count; i++) {
        const struct posting *posting = map_find(&collection->terms, terms[i].term);
        double holding = 0, rarity;

        if (terms[i].is_stop_word)
            continue;
        for (const struct posting *p = posting; p != NULL; p = p->next)
            holding++;
        rarity = log(1 + ((double)collection->count - holding + 0.5) / (holding + 0.5));
        for (; posting != NULL; posting = posting->next) {
            double tf = posting->count, length = collection->documents[posting->document].length;

            scores[posting->document] +=
                rarity * tf * 1.9 / (tf + 0.9 * (0.6 + 0.4 * length / collection->mean_length));
        }
    }
    while (found < PASSAGES) {
        size_t best = 0;

        for (size_t i = 1; i < collection->count; i++) {
            if (scores[i] > scores[best])
                best = i;
        }
        if (collection->count == 0 || scores[best] <= 0)
            break;
        passages[found++] = (struct model_passage){collection->documents[best].title,
                                                   collection->documents[best].heading_path,
                                                   collection->documents[best].text, scores[best]};
        scores[best] = 0;
    }
    return found;
}

/* --- scoring --- */

static struct str
trim_punctuation(struct str span)
{
    while (span.len > 0 && strchr(" .,;:", span.ptr[span.len - 1]) != NULL)
        span.len--;
    return span;
}

static bool
holds_any(struct str text, const json_t *spans)
{
    size_t i;
    json_t *span;

    json_array_foreach (spans, i, span) {
        struct str wanted =
            trim_punctuation(str_of(json_string_value(span), json_string_length(span)));

        if (str_find(text, wanted) >= 0)
            return true;
    }
    return false;
}

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void
ask(const struct collection *collection, struct model *model, const json_t *query,
    const json_t *answers, bool show, struct arena *arena, struct totals *totals)
{
    struct model_passage passages[PASSAGES];
    struct str question = json_get_str(query, "text"), id = json_get_str(query, "_id");
    struct model_request request = {
        .question = question, .passages = passages, .confidence = 1, .deadline_ms = 1000};
    struct model_reply reply;
    struct text_span *spans;
    struct clock *clock = clock_system();
    const json_t *gold = answers == NULL ? NULL : json_object_getn(answers, id.ptr, id.len);
    struct err err;
    int64_t start_us;
    bool held = false;

    request.passage_count = search(collection, question, arena, passages);
    start_us = clock_mono_us(clock);
    if (model_complete(model, &request, NULL, NULL, arena, &reply, &err) != ST_OK)
        fail("answer", err.detail);
    totals->seconds[totals->questions++] = (double)(clock_mono_us(clock) - start_us) / 1e6;
    totals->no_answer += reply.no_answer;
    totals->words += (double)text_words(reply.text, arena, &spans);
    totals->sentences += (double)text_sentences(reply.text, arena, &spans);
    if (request.passage_count > 0) {
        totals->yardstick_words += (double)text_words(passages[0].text, arena, &spans);
        totals->yardstick_sentences += (double)text_sentences(passages[0].text, arena, &spans);
    }
    if (gold != NULL) {
        held = holds_any(reply.text, gold);
        totals->scored++;
        totals->held += held;
        totals->yardstick_held += request.passage_count > 0 && holds_any(passages[0].text, gold);
    }
    if (show) {
        char *wanted = gold == NULL ? NULL : json_dumps(gold, JSON_COMPACT | JSON_ENSURE_ASCII);

        printf("%s %.*s\n  wanted: %s\n  answer: %.*s\n\n",
               gold == NULL ? "Q"
               : held       ? "HELD"
                            : "MISS",
               STR_ARG(question), wanted == NULL ? "-" : wanted, STR_ARG(reply.text));
        free(wanted);
    }
}

static void
report(const char *folder, struct totals *totals)
{
    double n = totals->questions == 0 ? 1 : (double)totals->questions;
    double scored = totals->scored == 0 ? 1 : (double)totals->scored;

    qsort(totals->seconds, totals->questions, sizeof(double), compare_doubles);
    printf("%s: %zu questions\n", folder, totals->questions);
    printf("  %-22s %10s %12s %10s\n", "", "span held", "sentences", "words");
    printf("  %-22s %10.3f %12.2f %10.1f\n", "extractive", (double)totals->held / scored,
           totals->sentences / n, totals->words / n);
    printf("  %-22s %10.3f %12.2f %10.1f\n", "whole first passage",
           (double)totals->yardstick_held / scored, totals->yardstick_sentences / n,
           totals->yardstick_words / n);
    printf("  no answer: %zu; time of an answer: p50 %.2f ms, p99 %.2f ms\n", totals->no_answer,
           totals->seconds[totals->questions / 2] * 1e3,
           totals->seconds[totals->questions * 99 / 100] * 1e3);
}

int
main(int argc, char **argv)
{
    struct collection collection = {.arena = arena_create((size_t)1 << 31), .language = STR("en")};
    struct arena *arena = arena_create((size_t)1 << 28);
    struct model_env env = {.clock = clock_system()};
    struct totals totals = {0};
    struct model *model;
    json_t *config = json_pack("{s:s}", "driver", "extractive"), *query, *answers = NULL;
    FILE *file;
    bool show = false;
    struct err err;

    if (argc < 2)
        fail("usage", "extractive_quality FOLDER [--show] [--language xx]");
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--show") == 0)
            show = true;
        else if (strcmp(argv[i], "--language") == 0 && i + 1 < argc)
            collection.language = str_from_c(argv[++i]);
    }
    if (model_open(&env, config, &model, &err) != ST_OK)
        fail("model", err.detail);
    load_collection(&collection, argv[1]);
    file = open_in(argv[1], "answers.json", false);
    if (file != NULL) {
        answers = json_loadf(file, 0, NULL);
        (void)fclose(file);
    }
    totals.seconds = calloc(1000000, sizeof(double));
    if (totals.seconds == NULL)
        fail("memory", "times");
    file = open_in(argv[1], "queries.jsonl", true);
    while (totals.questions < 1000000 && read_json_line(file, &query)) {
        ask(&collection, model, query, answers, show, arena, &totals);
        json_decref(query);
        arena_reset(arena);
    }
    (void)fclose(file);
    report(argv[1], &totals);

    model_close(&model);
    json_decref(config);
    json_decref(answers);
    map_deinit(&collection.terms);
    free(collection.documents);
    free(totals.seconds);
    arena_destroy(&arena);
    arena_destroy(&collection.arena);
    return 0;
}
