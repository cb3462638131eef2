/*
 * cmd_eval.c - parley eval: questions with known answers, asked and judged; two runs compared
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cmd_common.h"
#include "app/demo_files.h"
#include "app/eval_place.h"
#include "app/eval_print.h"
#include "app/eval_remote.h"
#include "eval/report.h"
#include "eval/results.h"

#define PATH_BYTES 4096
#define FILE_MAX_BYTES ((size_t)256 << 20)
#define QUESTION_BYTES ((size_t)256 << 20)
#define JUDGE_MS 60000

struct evaluating {
    const char *organization, *documents, *persona, *judge, *name, *json_file, *html_file, *require;
    const char *url, *key;
    bool compare, drafts;
    struct options options;
    struct arena *arena; /* dataset and files */
    struct eval_dataset dataset;
    json_t *draft; /* of the persona; NULL: the brand's own */
    char demo_questions[PATH_BYTES], demo_documents[PATH_BYTES];
};

/* --- files --- */

static int
fail_file(const char *path)
{
    fprintf(stderr, "parley eval: %s: %s\n", path, strerror(errno));
    return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED;
}

static int
read_file(const char *path, struct arena *arena, struct str *text_out)
{
    FILE *file = fopen(path, "re");
    struct stat info;
    char *bytes;
    int code = EXIT_FINE;

    if (file == NULL || fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode)) {
        if (file != NULL) {
            (void)fclose(file);
            errno = EINVAL;
        }
        return fail_file(path);
    }
    if ((size_t)info.st_size > FILE_MAX_BYTES) {
        fprintf(stderr, "parley eval: %s is larger than 256 MB\n", path);
        (void)fclose(file);
        return EXIT_USAGE;
    }
    bytes = arena_alloc(arena, (size_t)info.st_size + 1);
    *text_out = str_of(bytes, fread(bytes, 1, (size_t)info.st_size, file));
    if (ferror(file))
        code = fail_file(path);
    (void)fclose(file);
    return code;
}

static int
write_file(const char *path, struct str text)
{
    FILE *file = fopen(path, "we");
    bool ok;

    if (file == NULL)
        return fail_file(path);
    ok = fwrite(text.ptr, 1, text.len, file) == text.len;
    ok = fclose(file) == 0 && ok;
    return ok ? EXIT_FINE : fail_file(path);
}

static int
read_json(const char *path, struct arena *arena, json_t **json_out)
{
    struct str text;
    struct err err;
    int code = read_file(path, arena, &text);

    if (code == EXIT_FINE && json_parse(text, json_out, &err) != ST_OK)
        code = command_fail(&err, path);
    return code;
}

/* --- what comes of it --- */

/* Writes what was asked for, prints the table or JSON, holds the figures against the conditions. */
static int
finish(const struct evaluating *e, json_t *results, json_t *comparison)
{
    const json_t *main = comparison != NULL ? comparison : results;
    json_auto_t *figures = json_deep_copy(json_get_object(results, "figures"));
    struct buf page, missed;
    struct err err;
    int code = EXIT_FINE;

    buf_init(&page, EVAL_REPORT_MAX_BYTES);
    buf_init(&missed, 64 * 1024);
    if (e->html_file != NULL) {
        code = eval_report_write(results, comparison, &page, &err) == ST_OK
                   ? write_file(e->html_file, buf_str(&page))
                   : command_fail(&err, "cannot make the report");
    }
    if (code == EXIT_FINE && e->json_file != NULL &&
        json_dump_file(main, e->json_file, JSON_INDENT(1)) != 0)
        code = fail_file(e->json_file);
    if (comparison != NULL) {
        json_set(figures, "better", json_integer(json_get_int(comparison, "better", 0)));
        json_set(figures, "worse", json_integer(json_get_int(comparison, "worse", 0)));
    }
    if (e->options.json)
        print_json(json_incref((json_t *)(uintptr_t)main));
    else if (comparison != NULL)
        eval_print_comparison(comparison);
    else
        eval_print_results(results);
    if (code == EXIT_FINE && eval_require(str_from_c(e->require), figures, &missed, &err) != ST_OK)
        code = command_fail(&err, "--require");
    if (missed.len > 0) {
        fprintf(stderr, "\nparley eval: not reached\n%.*s", STR_ARG(buf_str(&missed)));
        code = EXIT_UNHEALTHY;
    }
    buf_deinit(&page);
    buf_deinit(&missed);
    return code;
}

/* --- asking --- */

static int
choose_judge(const struct evaluating *e, struct eval_place *place)
{
    const struct app *app = place->session.app;
    struct str judge = e->judge == NULL ? STR("auto") : str_from_c(e->judge);
    bool has_model = app_has_model(app->settings);

    place->asker.judge.deadline_ms = JUDGE_MS;
    place->asker.judge.embedder = str_eq_c(judge, "words") ? NULL : app->embedder;
    if (str_eq_c(judge, "model") || (str_eq_c(judge, "auto") && has_model))
        place->asker.judge.models = app->models;
    if (str_eq_c(judge, "auto") || str_eq_c(judge, "words") ||
        (str_eq_c(judge, "model") && has_model) ||
        (str_eq_c(judge, "encoder") && app->embedder != NULL))
        return EXIT_FINE;
    fputs(str_eq_c(judge, "model") ? "parley eval: --judge model: no model.driver is set\n"
          : str_eq_c(judge, "encoder")
              ? "parley eval: --judge encoder: there is no sentence encoder (scripts/encoder.sh)\n"
              : "parley eval: --judge: auto, model, encoder or words\n",
          stderr);
    return EXIT_USAGE;
}

static int
ask_all(struct evaluating *e, struct eval_place *place, const char *name)
{
    struct arena *arena = arena_create(QUESTION_BYTES);
    json_t *rows = json_array();
    json_auto_t *results = NULL;
    char now[32];
    struct err err;
    enum status st = ST_OK;
    int code = choose_judge(e, place);

    place->asker.persona = e->draft;
    place->asker.with_drafts = e->drafts;
    for (size_t i = 0; code == EXIT_FINE && st == ST_OK && i < e->dataset.count; i++) {
        json_t *row = NULL;

        arena_reset(arena);
        print_progress("asking", (unsigned)i, (unsigned)e->dataset.count);
        st = eval_ask(&place->asker, &e->dataset.questions[i], arena, &row, &err);
        if (st == ST_OK)
            json_array_append_new(rows, row);
    }
    end_progress();
    arena_destroy(&arena);
    if (st != ST_OK)
        code = command_fail(&err, "cannot ask");
    time_format_rfc3339(clock_wall_us(clock_system()), now);
    results =
        eval_results_make(str_from_c(e->name != NULL ? e->name : name), str_from_c(now), rows);
    return code == EXIT_FINE ? finish(e, results, NULL) : code;
}

/* Questions from a file, or of a retrieval set. */
static int
read_dataset(struct evaluating *e, const char *path, const struct eval_place *place)
{
    struct str text;
    struct err err;
    enum status st;
    int code = EXIT_FINE;

    if (place->set.arena != NULL) {
        st = eval_dataset_from_beir(&place->set, e->arena, &e->dataset, &err);
    } else {
        code = read_file(path, e->arena, &text);
        if (code != EXIT_FINE)
            return code;
        st = eval_dataset_parse(text, e->arena, &e->dataset, &err);
    }
    return st == ST_OK ? EXIT_FINE : command_fail(&err, path);
}

static bool
is_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* The last part of a path without its ending: what a set is called. */
static struct str
set_name_of(const char *path)
{
    struct str name = str_from_c(path);
    ptrdiff_t slash;

    while ((slash = str_find_byte(name, '/')) >= 0)
        name = str_sub(name, (size_t)slash + 1, name.len);
    return str_ends_with(name, STR(".jsonl"))  ? str_sub(name, 0, name.len - 6)
           : str_ends_with(name, STR(".json")) ? str_sub(name, 0, name.len - 5)
                                               : name;
}

/* On a running server: a file's questions become a set of the organization, or one that it has is
 * named. */
static int
evaluate_remotely(struct evaluating *e)
{
    const char *path = e->options.operand_count > 0 ? e->options.operands[0] : NULL;
    const struct eval_place nowhere = {.folder = ""};
    struct eval_remote_spec spec = {
        .url = e->url, .key = e->key, .persona = e->draft, .with_drafts = e->drafts};
    json_auto_t *results = NULL;
    int code = EXIT_FINE;

    if (path == NULL || e->documents != NULL || e->judge != NULL || is_folder(path)) {
        fputs("parley eval: --url takes a file of questions or the name of a set that the "
              "organization keeps; the server judges by what it is configured with\n",
              stderr);
        return EXIT_USAGE;
    }
    spec.set_name = set_name_of(path);
    spec.run_name = e->name != NULL ? str_from_c(e->name) : spec.set_name;
    if (access(path, F_OK) == 0) {
        code = read_dataset(e, path, &nowhere);
        spec.dataset = &e->dataset;
    }
    if (code == EXIT_FINE)
        code = eval_remote_run(&spec, &results);
    return code == EXIT_FINE ? finish(e, results, NULL) : code;
}

static int
evaluate(struct evaluating *e)
{
    const char *path = e->options.operand_count > 0 ? e->options.operands[0] : NULL;
    struct eval_place place = {.folder = ""};
    int code = EXIT_FINE;

    if (path == NULL) { /* the demo, whatever else is here */
        if (!demo_path_find("questions.jsonl", e->demo_questions, sizeof(e->demo_questions)) ||
            !demo_path_find("documents", e->demo_documents, sizeof(e->demo_documents))) {
            fputs("parley eval: which questions? `parley eval --help` explains\n", stderr);
            return EXIT_USAGE;
        }
        path = e->demo_questions;
        if (e->documents == NULL && e->organization == NULL && e->options.data_folder == NULL)
            e->documents = e->demo_documents;
    }
    if (is_folder(path))
        code = eval_place_make_set(&e->options, path, &place);
    else {
        code = read_dataset(e, path, &place); /* a bad file costs nothing else */
        if (code == EXIT_FINE)
            code = e->documents != NULL ? eval_place_make(&e->options, e->documents, &place)
                                        : eval_place_open(&e->options, e->organization, &place);
        else
            eval_asker_init(&place.asker);
    }
    if (code == EXIT_FINE && place.set.arena != NULL)
        code = read_dataset(e, path, &place);
    if (code == EXIT_FINE)
        code = ask_all(e, &place, path);
    eval_place_close(&place);
    return code;
}

/* --- comparing --- */

static int
compare(struct evaluating *e)
{
    json_auto_t *before = NULL, *after = NULL, *comparison = NULL;
    struct err err;
    int code;

    if (e->options.operand_count != 2) {
        fputs("parley eval: --compare BEFORE.json AFTER.json\n", stderr);
        return EXIT_USAGE;
    }
    code = read_json(e->options.operands[0], e->arena, &before);
    if (code == EXIT_FINE)
        code = read_json(e->options.operands[1], e->arena, &after);
    if (code != EXIT_FINE)
        return code;
    if (eval_results_check(before, &err) != ST_OK)
        return command_fail(&err, e->options.operands[0]);
    if (eval_results_check(after, &err) != ST_OK)
        return command_fail(&err, e->options.operands[1]);
    comparison = eval_compare(before, after);
    return finish(e, after, comparison);
}

static int
run(int argc, char **argv)
{
    struct evaluating e = {.organization = NULL};
    const struct option_spec specs[] = {{"org", &e.organization, NULL},
                                        {"documents", &e.documents, NULL},
                                        {"persona", &e.persona, NULL},
                                        {"judge", &e.judge, NULL},
                                        {"name", &e.name, NULL},
                                        {"out", &e.json_file, NULL},
                                        {"html", &e.html_file, NULL},
                                        {"require", &e.require, NULL},
                                        {"compare", NULL, &e.compare},
                                        {"url", &e.url, NULL},
                                        {"key", &e.key, NULL},
                                        {"drafts", NULL, &e.drafts},
                                        {NULL, NULL, NULL}};
    int code = EXIT_FINE;

    if (!options_read("eval", argc, argv, specs, &e.options))
        return EXIT_USAGE;
    if (!e.compare && e.options.operand_count > 1) {
        fputs("parley eval: one set of questions at a time; two runs with --compare\n", stderr);
        return EXIT_USAGE;
    }
    e.arena = arena_create(2 * FILE_MAX_BYTES);
    if (e.persona != NULL)
        code = read_json(e.persona, e.arena, &e.draft);
    if (code == EXIT_FINE)
        code = e.compare ? compare(&e) : e.url != NULL ? evaluate_remotely(&e) : evaluate(&e);
    json_decref(e.draft);
    arena_destroy(&e.arena);
    return code;
}

const struct command command_eval = {
    .name = "eval",
    .summary = "ask questions with known answers, and measure how good the answers are",
    .usage = "eval [QUESTIONS.jsonl | FOLDER] [--out RUN.json] [--html REPORT.html]\n"
             "       parley eval --compare BEFORE.json AFTER.json",
    .help =
        "Asks every question as a customer would and measures what comes back: whether the\n"
        "right passages were found (nDCG@10, recall, MRR), whether the answer is borne by them\n"
        "and to the point (context precision and recall, faithfulness, answer relevancy, as\n"
        "RAGAS defines them), what was refused, and whether the confidence is true. Without\n"
        "words it measures the demo: a good way to begin.\n\n"
        "  parley eval                                    the demo's questions\n"
        "  parley eval questions.jsonl                    your organization, as it is\n"
        "  parley eval questions.jsonl --documents new/   a folder of documents, before you "
        "publish\n"
        "                                                 them; nothing of yours is changed\n"
        "  parley eval questions.jsonl --drafts           drafts of documents that you uploaded\n"
        "                                                 (ingest --draft, or a server's "
        "?draft=true)\n"
        "  parley eval questions.jsonl --persona new.json a persona, before you publish it\n"
        "  parley eval FOLDER                             a labelled set of BEIR's shape, with "
        "its\n"
        "                                                 corpus.jsonl, queries.jsonl, "
        "qrels.tsv\n\n"
        "A question is a line of JSON; only \"question\" is needed:\n\n"
        "  {\"question\": \"How much is a puncture repair?\", \"relevant\": [\"prices.md\"],\n"
        "   \"answers\": [\"19 \342\202\254\"]}\n"
        "  {\"question\": \"Do you sell unicycles?\", \"answerable\": false}\n"
        "  {\"question\": \"And for a week?\", \"answers\": [\"260 \342\202\254\"],\n"
        "   \"history\": [{\"role\": \"user\", \"text\": \"What is a cargo bike a day?\"}]}\n\n"
        "All it can say, and what each figure means: docs/contracts/evaluation.md.\n\n"
        "  --url URL --key KEY  a running server, with a key of the scopes knowledge:read,\n"
        "                       knowledge:write and query:staff: the file becomes a question\n"
        "                       set of the organization, which runs it; or the name of a set that "
        "it keeps\n"
        "  --org SLUG           which organization, when there are several\n"
        "  --documents FOLDER   ask an organization made of these documents, and removed again\n"
        "  --drafts             as if all drafts of documents were published\n"
        "  --persona FILE       JSON, tried instead of the brand's own\n"
        "  --judge WHO          model, encoder or words; auto (default) is the configured model,\n"
        "                       else the sentence encoder, else words\n"
        "  --name NAME          what the run is called; default: the file\n"
        "  --out FILE           keep the run, or the comparison, as JSON\n"
        "  --html FILE          write a report to look at, one file that needs nothing else\n"
        "  --json               print JSON instead of the table\n"
        "  --require LIST       such as \"ndcg_10>=0.8, refused_unanswerable>=0.9, worse<=0\":\n"
        "                       names stand in the table's last column\n"
        "  --compare            two kept runs: figures beside each other, every question that\n"
        "                       changed, and the passages it won or lost\n\n"
        "Exit code 0: measured; 6: measured, and something that --require wants was not reached.\n",
    .run = run,
};
