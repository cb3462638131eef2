/*
 * cmd_ask.c - parley ask: a question from the shell, answered from the documents
 */
#include <stdio.h>
#include <string.h>

#include "app/cmd_common.h"
#include "knowledge/question_filter.h"
#include "text/json.h"

struct asking {
    const char *organization, *url, *key;
    const char *filters[OPTIONS_MAX_REPEATS]; /* "name=value" */
    bool staff, drafts;
    struct options options;
    struct str question;
};

static bool
split_filter(const char *text, struct str *name_out, struct str *value_out)
{
    struct str rest = str_from_c(text);
    ptrdiff_t at = str_find_byte(rest, '=');

    if (at <= 0)
        return false;
    *name_out = str_sub(rest, 0, (size_t)at);
    *value_out = str_sub(rest, (size_t)at + 1, rest.len);
    return true;
}

/* NULL: none was asked for. */
static json_t *
filters_json(const struct asking *asking)
{
    json_t *filters = asking->filters[0] == NULL ? NULL : json_object();

    for (size_t i = 0; i < OPTIONS_MAX_REPEATS && asking->filters[i] != NULL; i++) {
        struct str name, value;
        json_t *list;

        if (!split_filter(asking->filters[i], &name, &value))
            continue;
        list = json_object_getn(filters, name.ptr, name.len);
        if (list == NULL) {
            list = json_array();
            json_object_setn_new(filters, name.ptr, name.len, list);
        }
        json_array_append_new(list, json_from_str(value));
    }
    return filters;
}

static void
print_answer(const json_t *answer)
{
    json_t *citations = json_get_array(answer, "citations"), *row;
    size_t i;

    printf("%.*s\n", STR_ARG(json_get_str(answer, "answer")));
    if (json_array_size(citations) > 0)
        putchar('\n');
    json_array_foreach (citations, i, row) {
        struct str heading = json_get_str(row, "heading_path");
        long long page = (long long)json_get_int(row, "page", 0);

        printf("  [%lld] %.*s%s%.*s", (long long)json_get_int(row, "number", 0),
               STR_ARG(json_get_str(row, "title")), heading.len > 0 ? " > " : "", STR_ARG(heading));
        if (page > 0)
            printf(", page %lld", page);
        else
            printf(", characters %lld to %lld", (long long)json_get_int(row, "start", 0),
                   (long long)json_get_int(row, "end", 0));
        putchar('\n');
        if (json_get_str(row, "url").len > 0)
            printf("      %.*s\n", STR_ARG(json_get_str(row, "url")));
    }
    printf("\n  confidence %.2f, %.*s\n", json_number_value(json_object_get(answer, "confidence")),
           STR_ARG(json_get_str(answer, "model")));
}

static int
finish(const struct asking *asking, json_t *answer)
{
    bool found = str_eq_c(json_get_str(answer, "kind"), "answer") ||
                 str_eq_c(json_get_str(answer, "kind"), "courtesy");

    if (asking->options.json) {
        print_json(answer);
    } else {
        print_answer(answer);
        json_decref(answer);
    }
    return found ? EXIT_FINE : EXIT_NOT_FOUND;
}

static int
ask_server(const struct asking *asking)
{
    struct arena *arena = arena_create(16u * 1024 * 1024);
    json_t *answer = NULL, *body = json_object(), *filters = filters_json(asking);
    struct remote remote;
    int code = remote_open(asking->url, asking->key, &remote);

    json_set_str(body, "question", asking->question);
    if (asking->staff)
        json_set_bool(body, "staff", true);
    if (asking->drafts)
        json_set_bool(body, "drafts", true);
    if (filters != NULL)
        json_set(body, "filters", filters);
    if (code == EXIT_FINE)
        code = remote_call(&remote, "POST", STR("/v1/query"), STR("application/json"),
                           json_text(body, arena), arena, &answer);
    json_decref(body);
    remote_close(&remote);
    if (code == EXIT_FINE)
        code = finish(asking, answer);
    arena_destroy(&arena);
    return code;
}

static void
append_path(struct buf *out, struct str path)
{
    struct str segment;

    for (bool is_first = true; str_split(&path, '/', &segment); is_first = false) {
        if (!is_first)
            buf_append_byte(out, '/');
        buf_append_url_escaped(out, segment);
    }
}

/* Where a document that came from a folder stands, opened at the page. "" for another. */
static struct str
address_of(struct session *session, const struct citation *citation)
{
    const struct str scheme = STR("file://");
    struct source source;
    struct buf out;
    struct str address = STR("");
    struct err ignored;

    if (source_get(session->app->knowledge, session->scope, citation->source_id, session->arena,
                   &source, &ignored) != ST_OK ||
        !str_eq_c(source.kind, "folder") || !str_starts_with(source.uri, scheme))
        return address;
    buf_init(&out, (size_t)16 * 1024);
    buf_append(&out, scheme);
    append_path(&out, str_sub(source.uri, scheme.len, source.uri.len));
    buf_append_byte(&out, '/');
    append_path(&out, source.name);
    if (citation->page > 0)
        buf_printf(&out, "#page=%lld", (long long)citation->page);
    if (!out.failed)
        address = arena_str(session->arena, buf_str(&out));
    buf_deinit(&out);
    return address;
}

static json_t *
citations_json(struct session *session, const struct answer *answer)
{
    json_t *list = answer_citations_json(answer->citations, answer->citation_count);

    for (size_t i = 0; i < answer->citation_count; i++) {
        struct str address = address_of(session, &answer->citations[i]);

        if (address.len > 0)
            json_set_str(json_array_get(list, i), "url", address);
    }
    return list;
}

static int
ask_folder(const struct asking *asking)
{
    /* Whoever has the data folder has it all. */
    struct question question = {
        .text = asking->question, .staff = asking->staff, .roles = STR("*")};
    struct index_filter filter = {.has_dates = false};
    struct session session;
    struct answer answer;
    struct err err;
    json_t *body;
    int code = session_open(&asking->options, asking->organization, &session);

    if (code == EXIT_FINE && asking->filters[0] != NULL) {
        json_auto_t *filters = filters_json(asking);

        if (question_filter_read(filters, session.arena, &filter, &err) != ST_OK) {
            fprintf(stderr, "parley ask: %s\n", err.public_text);
            code = EXIT_USAGE;
        }
    }
    filter.with_drafts = asking->drafts;
    question.filter = &filter;
    if (code == EXIT_FINE &&
        orchestrator_answer(session.app->orchestrator, session.scope, &question, NULL,
                            session.arena, &answer, &err) != ST_OK)
        code = command_fail(&err, "no answer");
    else if (code == EXIT_FINE) {
        body = json_object();
        json_set_str(body, "kind",
                     answer.kind == ANSWER_GROUNDED   ? STR("answer")
                     : answer.kind == ANSWER_COURTESY ? STR("courtesy")
                                                      : STR("no_answer"));
        json_set_str(body, "answer", answer.text);
        json_set_double(body, "confidence", answer.confidence);
        json_set(body, "citations", citations_json(&session, &answer));
        json_set_str(body, "model", answer.model_name);
        json_set(body, "timings", answer_timings_json(&answer));
        code = finish(asking, body);
    }
    session_close(&session);
    return code;
}

static int
run(int argc, char **argv)
{
    struct asking asking = {.organization = NULL};
    const struct option_spec specs[] = {{"org", &asking.organization, NULL},
                                        {"url", &asking.url, NULL},
                                        {"key", &asking.key, NULL},
                                        {"filter...", asking.filters, NULL},
                                        {"staff", NULL, &asking.staff},
                                        {"drafts", NULL, &asking.drafts},
                                        {NULL, NULL, NULL}};
    struct buf question;
    int i, code;

    if (!options_read("ask", argc, argv, specs, &asking.options))
        return EXIT_USAGE;
    if (asking.options.operand_count == 0) {
        fputs("parley ask: what is the question? `parley ask --help` explains\n", stderr);
        return EXIT_USAGE;
    }
    for (i = 0; i < OPTIONS_MAX_REPEATS && asking.filters[i] != NULL; i++) {
        struct str name, value;

        if (!split_filter(asking.filters[i], &name, &value) ||
            !str_is_utf8(str_from_c(asking.filters[i]))) {
            fprintf(stderr, "parley ask: a filter is NAME=VALUE, not \"%s\"\n", asking.filters[i]);
            return EXIT_USAGE;
        }
    }
    buf_init(&question, QUESTION_MAX_BYTES);
    for (i = 0; i < asking.options.operand_count; i++)
        buf_printf(&question, "%s%s", i > 0 ? " " : "", asking.options.operands[i]);
    asking.question = buf_str(&question);
    if (question.failed) {
        fprintf(stderr, "parley ask: a question has at most %d bytes\n", QUESTION_MAX_BYTES);
        code = EXIT_USAGE;
    } else if (!str_is_utf8(asking.question)) {
        fputs("parley ask: the question is not UTF-8 text\n", stderr);
        code = EXIT_USAGE;
    } else {
        code = asking.url != NULL ? ask_server(&asking) : ask_folder(&asking);
    }
    buf_deinit(&question);
    return code;
}

const struct command command_ask = {
    .name = "ask",
    .summary = "ask the documents a question",
    .usage = "ask [--org SLUG] [--staff] [--drafts] [--filter NAME=VALUE]... [--json] QUESTION...",
    .help =
        "Answers from the organization's documents, with citations. Works on the data folder\n"
        "while no server runs on it; on a running server with --url and --key.\n\n"
        "  --org SLUG   which organization, when there are several\n"
        "  --staff      also use documents for staff\n"
        "  --drafts     as if all drafts of documents were published; on a server the key needs\n"
        "               the scope query:staff\n"
        "  --filter NAME=VALUE\n"
        "               only documents that are so: brand_id, audience, language, source_id,\n"
        "               kind, category, tone, content_type, dated_from, dated_to; a name again\n"
        "               is one more that may be, another name must hold as well\n"
        "  --url URL    ask a running server, for example http://127.0.0.1:8080\n"
        "  --key KEY    an API key of the organization with the scope query\n"
        "  --json       print the answer as JSON\n\n"
        "Exit code 0: answered; 3: the documents do not hold the answer.\n",
    .run = run,
};
