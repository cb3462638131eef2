/*
 * extractive_quality.c - how often the extractive answer holds what was asked, and how short it is
 *
 *   extractive_quality FOLDER [--show] [--target SHARE]
 * FOLDER has corpus.jsonl {"_id", "title", "heading_path"?, "text"}, queries.jsonl {"_id", "text"}
 * and, to be scored, answers.json {id: [span, ...]}. Passages are put and found by the product's
 * index. Yardstick: the whole of the first passage. "as served" is with the confidence below which
 * a customer is told that the documents do not say. --show prints every question with its answer;
 * --target ends with 1 when fewer answers than that share hold the span.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/retrieval_quality_sql.h"
#include "index/index.h"
#include "model/model.h"
/* lint-allow(scope-driver): a measurement admits itself */
#include "store/tenant_scope_driver.h"
#include "text/json.h"
#include "text/text.h"

#define PASSAGES 8
#define ENTRIES_A_WORK 50
#define MAX_QUESTIONS 100000

struct bench {
    struct store *store;
    struct tenant_scope scope;
    struct source_id source;
    struct model *model;
    struct arena *corpus; /* the documents */
    struct arena *arena;  /* of one question */
    char folder[64];
    int64_t next_chunk;
};

struct totals {
    size_t questions, scored, held, served_held, yardstick_held, no_answer, served_no_answer;
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

/* --- the product's index --- */

static void
check(enum status st, const struct err *err)
{
    if (st != ST_OK)
        fail(status_name(st), err->detail);
}

static void
bench_open(struct bench *bench)
{
    struct store_config config = {0};
    struct model_env env = {.clock = clock_system()};
    json_t *model = json_pack("{s:s}", "driver", "extractive");
    struct err err = {0};

    *bench = (struct bench){.next_chunk = 1};
    bench->corpus = arena_create((size_t)1 << 31);
    bench->arena = arena_create((size_t)1 << 28);
    (void)snprintf(bench->folder, sizeof(bench->folder), "/tmp/parley-quality-XXXXXX");
    if (mkdtemp(bench->folder) == NULL)
        fail(bench->folder, strerror(errno));
    config.data_folder = bench->folder;
    check(store_open(&config, &bench->store, &err), &err);
    bench->scope.organization_id = ID_NEW(organization_id);
    bench->scope.admitted_by = "operator";
    bench->source = ID_NEW(source_id);
    check(store_tenant_create(bench->store, &bench->scope, &err), &err);
    check(model_open(&env, model, &bench->model, &err), &err);
    json_decref(model);
}

static void
bench_close(struct bench *bench)
{
    char path[128];
    struct err err = {0};

    model_close(&bench->model);
    check(store_tenant_delete(bench->store, &bench->scope, &err), &err);
    store_close(&bench->store);
    (void)snprintf(path, sizeof(path), "rm -rf '%s'", bench->folder);
    /* NOLINTNEXTLINE(cert-env33-c) */
    if (system(path) != 0) /* lint-allow(banned): a measurement's own folder */
        (void)fprintf(stderr, "extractive_quality: %s stays\n", bench->folder);
    arena_destroy(&bench->arena);
    arena_destroy(&bench->corpus);
}

struct put_work {
    struct bench *bench;
    const struct index_entry *entries;
    size_t count;
};

static enum status
put_entries(struct store_tx *tx, void *arg, struct err *err)
{
    struct put_work *work = arg;
    enum status st = ST_OK;

    for (size_t i = 0; i < work->count && st == ST_OK; i++) {
        const struct index_entry *entry = &work->entries[i];

        st = store_exec(tx, &SQL_BENCH_CHUNK_INSERT,
                        ARGS(sv_int(entry->chunk_id), sv_id(entry->source_id),
                             sv_int(entry->chunk_id), sv_text(entry->text),
                             sv_int((int64_t)entry->text.len), sv_text(entry->language)),
                        NULL, err);
    }
    return st == ST_OK ? index_put(tx, work->entries, work->count, err) : st;
}

static void
put_work(struct bench *bench, const struct index_entry *entries, size_t count)
{
    struct put_work work = {bench, entries, count};
    struct err err = {0};

    if (count > 0)
        check(store_run(bench->store, &bench->scope, "bench_put", STORE_RELAXED, put_entries, &work,
                        &err),
              &err);
}

static void
put_corpus(struct bench *bench, const char *folder)
{
    FILE *file = open_in(folder, "corpus.jsonl", true);
    struct index_entry entries[ENTRIES_A_WORK];
    size_t count = 0;
    json_t *json;

    while (read_json_line(file, &json)) {
        struct str text = copy_key(bench->corpus, json, "text"), language = text_language(text);

        entries[count++] = (struct index_entry){
            .chunk_id = bench->next_chunk++,
            .source_id = bench->source,
            .version = 1,
            .audience = STR("customer"),
            .language = language.len == 0 ? STR("en") : language,
            .title = copy_key(bench->corpus, json, "title"),
            .heading_path = copy_key(bench->corpus, json, "heading_path"),
            .text = text,
        };
        json_decref(json);
        if (count == ENTRIES_A_WORK) {
            put_work(bench, entries, count);
            count = 0;
        }
    }
    put_work(bench, entries, count);
    (void)fclose(file);
}

struct search_work {
    struct index_query query;
    struct arena *arena;
    struct index_result result;
};

static enum status
search_entries(struct store_tx *tx, void *arg, struct err *err)
{
    struct search_work *work = arg;

    return index_search(tx, &work->query, work->arena, &work->result, err);
}

/* Passages for the model; *confidence_out is the index's. */
static size_t
search(struct bench *bench, struct str question, struct model_passage *passages,
       double *confidence_out)
{
    struct search_work work = {.query = {.text = question, .limit = PASSAGES},
                               .arena = bench->arena};
    struct err err = {0};

    check(store_read(bench->store, &bench->scope, "bench_search", search_entries, &work, &err),
          &err);
    for (size_t i = 0; i < work.result.count; i++) {
        const struct index_hit *hit = &work.result.hits[i];

        passages[i] = (struct model_passage){hit->title, hit->heading_path, hit->text, hit->score};
    }
    *confidence_out = work.result.confidence;
    return work.result.count;
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
show_answer(struct str question, const json_t *gold, bool held, double confidence, struct str text)
{
    char *wanted = gold == NULL ? NULL : json_dumps(gold, JSON_COMPACT | JSON_ENSURE_ASCII);

    printf("%s %.*s\n  wanted: %s; confidence %.2f\n  answer: %.*s\n\n",
           gold == NULL ? "Q"
           : held       ? "HELD"
                        : "MISS",
           STR_ARG(question), wanted == NULL ? "-" : wanted, confidence, STR_ARG(text));
    free(wanted);
}

static void
ask(struct bench *bench, const json_t *query, const json_t *answers, bool show,
    struct totals *totals)
{
    struct model_passage passages[PASSAGES];
    struct str question = json_get_str(query, "text"), id = json_get_str(query, "_id");
    struct model_request request = {
        .question = question, .passages = passages, .deadline_ms = 1000};
    const json_t *gold = answers == NULL ? NULL : json_object_getn(answers, id.ptr, id.len);
    struct model_reply reply;
    struct text_span *spans;
    struct err err = {0};
    int64_t start_us;
    bool held, served;

    request.passage_count = search(bench, question, passages, &request.confidence);
    served = request.confidence >= INDEX_CONFIDENCE_ANSWER;
    start_us = clock_mono_us(clock_system());
    check(model_complete(bench->model, &request, NULL, NULL, bench->arena, &reply, &err), &err);
    totals->seconds[totals->questions++] = (double)(clock_mono_us(clock_system()) - start_us) / 1e6;
    totals->no_answer += reply.no_answer;
    totals->served_no_answer += reply.no_answer || !served;
    totals->words += (double)text_words(reply.text, bench->arena, &spans);
    totals->sentences += (double)text_sentences(reply.text, bench->arena, &spans);
    if (request.passage_count > 0) {
        totals->yardstick_words += (double)text_words(passages[0].text, bench->arena, &spans);
        totals->yardstick_sentences +=
            (double)text_sentences(passages[0].text, bench->arena, &spans);
    }
    held = gold != NULL && holds_any(reply.text, gold);
    totals->scored += gold != NULL;
    totals->held += held;
    totals->served_held += held && served;
    totals->yardstick_held +=
        gold != NULL && request.passage_count > 0 && holds_any(passages[0].text, gold);
    if (show)
        show_answer(question, gold, held, request.confidence, reply.text);
}

static void
report(const char *folder, struct totals *totals)
{
    double n = totals->questions == 0 ? 1 : (double)totals->questions;
    double scored = totals->scored == 0 ? 1 : (double)totals->scored;

    qsort(totals->seconds, totals->questions, sizeof(double), compare_doubles);
    printf("%s: %zu questions\n", folder, totals->questions);
    printf("  %-22s %10s %12s %10s %10s\n", "", "span held", "sentences", "words", "no answer");
    printf("  %-22s %10.3f %12.2f %10.1f %10.3f\n", "extractive", (double)totals->held / scored,
           totals->sentences / n, totals->words / n, (double)totals->no_answer / n);
    printf("  %-22s %10.3f %12s %10s %10.3f\n", "  as served", (double)totals->served_held / scored,
           "", "", (double)totals->served_no_answer / n);
    printf("  %-22s %10.3f %12.2f %10.1f\n", "whole first passage",
           (double)totals->yardstick_held / scored, totals->yardstick_sentences / n,
           totals->yardstick_words / n);
    printf("  time of an answer: p50 %.2f ms, p99 %.2f ms\n",
           totals->seconds[totals->questions / 2] * 1e3,
           totals->seconds[totals->questions * 99 / 100] * 1e3);
}

int
main(int argc, char **argv)
{
    struct totals totals = {0};
    json_t *query, *answers = NULL;
    double target = 0;
    bool show = false;
    struct bench bench;
    FILE *file;

    if (argc < 2)
        fail("usage", "extractive_quality FOLDER [--show] [--target SHARE]");
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--show") == 0)
            show = true;
        else if (strcmp(argv[i], "--target") != 0 || i + 1 >= argc ||
                 !str_to_double(str_from_c(argv[++i]), &target))
            fail("unknown argument", argv[i]);
    }
    totals.seconds = calloc(MAX_QUESTIONS, sizeof(double));
    if (totals.seconds == NULL)
        fail("memory", "times");
    bench_open(&bench);
    put_corpus(&bench, argv[1]);
    file = open_in(argv[1], "answers.json", false);
    if (file != NULL) {
        answers = json_loadf(file, 0, NULL);
        (void)fclose(file);
    }
    file = open_in(argv[1], "queries.jsonl", true);
    while (totals.questions < MAX_QUESTIONS && read_json_line(file, &query)) {
        ask(&bench, query, answers, show, &totals);
        json_decref(query);
        arena_reset(bench.arena);
    }
    (void)fclose(file);
    report(argv[1], &totals);

    bench_close(&bench);
    json_decref(answers);
    free(totals.seconds);
    return (double)totals.held < target * (double)totals.scored;
}
