/*
 * cmd_ingest.c - parley ingest: files, folders and sites into an organization's knowledge
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/cmd_common.h"
#include "knowledge/site.h"
#include "text/json.h"

struct ingesting {
    const char *organization, *audience, *language, *category, *tone, *date;
    const char *depth, *pages, *recrawl;
    bool prune, is_sitemap, is_draft, reprocess, publish;
    struct options options;
    json_t *failures, *notes;
};

static void
keep(json_t *rows, struct str name, const char *key, struct str sentence)
{
    json_t *row = json_object();

    json_set_str(row, "name", name);
    json_set_str(row, key, sentence);
    json_array_append_new(rows, row);
}

static bool
on_progress(const struct folder_progress *progress, void *context)
{
    struct ingesting *ingesting = context;
    char name[64];

    snprintf(name, sizeof(name), "%.*s", STR_ARG(progress->name));
    if (progress->error.len > 0)
        keep(ingesting->failures, progress->name, "error", progress->error);
    if (progress->note.len > 0)
        keep(ingesting->notes, progress->name, "note", progress->note);
    print_progress(name, folder_progress_settled(progress), progress->found);
    return true;
}

static void
add(struct folder_progress *sum, const struct folder_progress *one)
{
    sum->found += one->found;
    sum->uploaded += one->uploaded;
    sum->unchanged += one->unchanged;
    sum->skipped += one->skipped;
    sum->done += one->done;
    sum->failed += one->failed;
    sum->removed += one->removed;
}

static void
report(const struct ingesting *ingesting, const struct folder_progress *sum)
{
    json_t *body, *row;
    size_t i;

    end_progress();
    if (ingesting->options.json) {
        body = json_object();
        json_set_int(body, "found", sum->found);
        json_set_int(body, "read", sum->done);
        json_set_int(body, "unchanged", sum->unchanged);
        json_set_int(body, "skipped", sum->skipped);
        json_set_int(body, "failed", sum->failed);
        json_set_int(body, "removed", sum->removed);
        json_set(body, "failures", json_incref(ingesting->failures));
        json_set(body, "notes", json_incref(ingesting->notes));
        print_json(body);
        return;
    }
    printf("%u documents found: %u read, %u unchanged, %u failed, %u removed; %u other files "
           "skipped\n",
           sum->found, sum->done, sum->unchanged, sum->failed, sum->removed, sum->skipped);
    json_array_foreach (ingesting->failures, i, row) {
        printf("  %.*s: %.*s\n", STR_ARG(json_get_str(row, "name")),
               STR_ARG(json_get_str(row, "error")));
    }
    json_array_foreach (ingesting->notes, i, row) {
        printf("  %.*s: %.*s\n", STR_ARG(json_get_str(row, "name")),
               STR_ARG(json_get_str(row, "note")));
    }
}

static bool
is_site(const char *operand)
{
    return str_starts_with(str_from_c(operand), STR("http://")) ||
           str_starts_with(str_from_c(operand), STR("https://"));
}

/* An option that was not given is 0. */
static enum status
read_number(const char *name, const char *text, unsigned *number_out, struct err *err)
{
    int64_t number = 0;

    if (text != NULL && (!str_to_i64(str_from_c(text), &number) || number < 0 || number > 1000000))
        return err_set(err, ST_INVALID, "--%s takes a number", name);
    *number_out = (unsigned)number;
    return ST_OK;
}

static enum status
ingest_site(struct ingesting *ingesting, struct session *session, const char *url,
            const struct source_labels *labels, struct folder_progress *one, struct err *err)
{
    struct site_spec spec = {.url = str_from_c(url),
                             .is_sitemap = ingesting->is_sitemap,
                             .audience = str_from_c(ingesting->audience),
                             .language = str_from_c(ingesting->language),
                             .labels = *labels};
    enum status st = read_number("depth", ingesting->depth, &spec.depth, err);

    *one = (struct folder_progress){.found = 0};
    if (st == ST_OK)
        st = read_number("pages", ingesting->pages, &spec.max_pages, err);
    if (st == ST_OK)
        st = read_number("recrawl", ingesting->recrawl, &spec.recrawl_hours, err);
    return st != ST_OK ? st
                       : site_ingest(session->app->knowledge, session->scope, &spec, on_progress,
                                     ingesting, one, err);
}

static enum status
ingest_folder(struct ingesting *ingesting, struct session *session, const char *path,
              const struct source_labels *labels, struct folder_progress *one, struct err *err)
{
    struct folder_spec spec = {.path = path,
                               .audience = str_from_c(ingesting->audience),
                               .language = str_from_c(ingesting->language),
                               .labels = *labels,
                               .remove_missing = ingesting->prune,
                               .is_draft = ingesting->is_draft,
                               .wait = true};

    return knowledge_ingest_folder(session->app->knowledge, session->scope, &spec, on_progress,
                                   ingesting, one, err);
}

static int
ingest_all(struct ingesting *ingesting, struct session *session)
{
    struct folder_progress sum = {.found = 0}, one;
    struct err err;
    struct source_labels labels = {.category = str_from_c(ingesting->category),
                                   .tone = str_from_c(ingesting->tone),
                                   .has_date = ingesting->date != NULL};
    enum status st = source_date_parse(str_from_c(ingesting->date), &labels.dated_at_us, &err);
    int i;

    if (st == ST_OK)
        st = app_start_ingestion(session->app, &err);
    if (st == ST_OK && ingesting->reprocess)
        st = knowledge_reprocess_all(session->app->knowledge, session->scope, on_progress,
                                     ingesting, &sum, &err);
    if (st == ST_OK && ingesting->publish)
        st = knowledge_publish_all(session->app->knowledge, session->scope, on_progress, ingesting,
                                   &sum, &err);
    for (i = 0; st == ST_OK && i < ingesting->options.operand_count; i++) {
        const char *operand = ingesting->options.operands[i];

        st = (is_site(operand) ? ingest_site : ingest_folder)(ingesting, session, operand, &labels,
                                                              &one, &err);
        add(&sum, &one);
    }
    app_stop_workers(session->app, app_stop_deadline_us(session->app));
    report(ingesting, &sum);
    if (st != ST_OK)
        return command_fail(&err, "not all was read");
    return sum.failed > 0 ? EXIT_FAILED : EXIT_FINE;
}

/* Sites are crawled as they are, and to prune would change what is published. */
static bool
takes_drafts(const struct ingesting *ingesting)
{
    for (int i = 0; i < ingesting->options.operand_count; i++)
        if (is_site(ingesting->options.operands[i]))
            return false;
    return !ingesting->prune && !ingesting->publish && !ingesting->reprocess;
}

static int
run(int argc, char **argv)
{
    struct ingesting ingesting = {.organization = NULL};
    const struct option_spec specs[] = {{"org", &ingesting.organization, NULL},
                                        {"audience", &ingesting.audience, NULL},
                                        {"language", &ingesting.language, NULL},
                                        {"category", &ingesting.category, NULL},
                                        {"tone", &ingesting.tone, NULL},
                                        {"date", &ingesting.date, NULL},
                                        {"depth", &ingesting.depth, NULL},
                                        {"pages", &ingesting.pages, NULL},
                                        {"recrawl", &ingesting.recrawl, NULL},
                                        {"prune", NULL, &ingesting.prune},
                                        {"sitemap", NULL, &ingesting.is_sitemap},
                                        {"draft", NULL, &ingesting.is_draft},
                                        {"publish", NULL, &ingesting.publish},
                                        {"reprocess", NULL, &ingesting.reprocess},
                                        {NULL, NULL, NULL}};
    struct session session;
    int code;

    if (!options_read("ingest", argc, argv, specs, &ingesting.options))
        return EXIT_USAGE;
    if ((ingesting.options.operand_count == 0) != (ingesting.reprocess || ingesting.publish)) {
        fputs(ingesting.reprocess || ingesting.publish
                  ? "parley ingest: --reprocess and --publish are of what is there: no PATH\n"
                  : "parley ingest: which files, folders or addresses? `parley ingest --help` "
                    "explains\n",
              stderr);
        return EXIT_USAGE;
    }
    if (ingesting.is_draft && !takes_drafts(&ingesting)) {
        fputs(
            "parley ingest: --draft is for files and folders, and without --prune and --publish\n",
            stderr);
        return EXIT_USAGE;
    }
    ingesting.failures = json_array();
    ingesting.notes = json_array();
    code = session_open(&ingesting.options, ingesting.organization, &session);
    if (code == EXIT_FINE)
        code = ingest_all(&ingesting, &session);
    session_close(&session);
    json_decref(ingesting.failures);
    json_decref(ingesting.notes);
    return code;
}

const struct command command_ingest = {
    .name = "ingest",
    .summary = "read files, folders and web sites into the knowledge of an organization",
    .usage = "ingest [--org SLUG] [--audience WHO] [--prune] [--json] PATH|URL...\n"
             "       parley ingest --reprocess | --publish",
    .help =
        "Reads PDF, DOCX, PPTX, XLSX, ODT, HTML, Markdown, text, CSV, JSON, mails (EML) with\n"
        "their attachments, and ZIP, tar and tar.gz archives of all these; other files are\n"
        "skipped. A document is known by its path within the folder: reading it again makes\n"
        "a new version if it changed, and nothing if it did not. A document that cannot be\n"
        "read fails alone, with its reason.\n"
        "An address (https://...) is read as a site: that page, with --depth the pages that it\n"
        "links to, or with --sitemap the pages that a sitemap names. robots.txt is respected;\n"
        "reading it again takes what changed and removes what is gone.\n\n"
        "  --org SLUG           which organization, when there are several\n"
        "  --audience WHO       customer (default), staff, or staff:ROLE,ROLE: what is for staff\n"
        "                       never reaches customers, nor staff without one of the roles\n"
        "  --category NAME      what they are about, to filter questions by; this and the next "
        "two\n"
        "                       are otherwise as each document says itself\n"
        "  --tone NAME          how they speak, to filter by\n"
        "  --date 2026-05-01    the documents' own date, to filter by\n"
        "  --language CODE      of the documents, such as en; told from the text otherwise\n"
        "  --depth N            follow the links of a site's page N steps far, 0 to 5\n"
        "  --pages N            read N pages of a site at most (200)\n"
        "  --recrawl HOURS      a server reads the site again every so many hours\n"
        "  --sitemap            the address is that of a sitemap\n"
        "  --draft              drafts: only questions with drafts find them, each in place of "
        "the\n"
        "                       document of its name (parley ask --drafts, parley eval --drafts);\n"
        "                       not of sites\n"
        "  --publish            make every draft the next version of the document of its name\n"
        "  --prune              remove documents that came from this path and are gone\n"
        "  --reprocess          read all documents again, as they are kept: after an upgrade, or\n"
        "                       with other settings (ingest.passage_words, ingest.ocr_languages)\n"
        "  --json               print the totals as JSON\n\n"
        "While a server runs on the data folder, upload to it instead:\n"
        "  curl -H \"Authorization: Bearer $KEY\" -F file=@prices.md URL/v1/tenant/upload\n"
        "  curl -H \"Authorization: Bearer $KEY\" -d '{\"url\": \"https://...\"}' URL/v1/sites\n\n"
        "Exit code 1: some document failed.\n",
    .run = run,
};
