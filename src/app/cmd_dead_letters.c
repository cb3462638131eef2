/*
 * cmd_dead_letters.c - parley dead-letters: jobs that could not be done
 */
#include <stdio.h>
#include <string.h>

#include "app/cmd_common.h"
#include "text/json.h"

#define PAGE 100

struct letters {
    struct session session;
    struct options options;
    struct job_id id;
    struct dead_letter *list;
    size_t count;
};

static enum status
read_page(struct store_tx *tx, void *arg, struct err *err)
{
    struct letters *l = arg;

    return queue_dead_list(tx, l->id, PAGE, l->session.arena, &l->list, &l->count, err);
}

static enum status
replay_one(struct store_tx *tx, void *arg, struct err *err)
{
    struct letters *l = arg;

    return queue_dead_replay(l->session.app->queue, tx, l->id, err);
}

static enum status
discard_one(struct store_tx *tx, void *arg, struct err *err)
{
    struct letters *l = arg;

    return queue_dead_discard(tx, l->id, err);
}

static json_t *
letter_json(const struct dead_letter *letter)
{
    json_t *row = json_object();
    char time[32];

    json_set_str(row, "id", ID_STR(letter->job.id));
    json_set_str(row, "topic", letter->job.topic);
    json_set_str(row, "lane", letter->job.lane);
    json_set_str(row, "reason", letter->reason);
    json_set_int(row, "attempts", letter->job.attempts);
    json_set_str(row, "died_at", time_format_rfc3339(letter->died_at_us, time));
    return row;
}

static int
list(struct letters *l)
{
    json_t *rows = json_array();
    size_t total = 0, i;
    struct err err;

    do {
        if (store_read(l->session.app->store, l->session.scope, "dead_letter_list", read_page, l,
                       &err) != ST_OK) {
            json_decref(rows);
            return command_fail(&err, "cannot list dead letters");
        }
        for (i = 0; i < l->count; i++) {
            const struct dead_letter *letter = &l->list[i];
            char time[32];

            time_format_rfc3339(letter->died_at_us, time);
            json_array_append_new(rows, letter_json(letter));
            if (!l->options.json)
                printf("%s  %-9.*s %u tries, %.19s\n    %.*s\n", letter->job.id.id.text,
                       STR_ARG(letter->job.topic), letter->job.attempts, time,
                       STR_ARG(letter->reason));
        }
        total += l->count;
        if (l->count > 0)
            l->id = l->list[l->count - 1].job.id;
    } while (l->count == PAGE);
    if (l->options.json)
        print_json(rows);
    else
        json_decref(rows);
    if (total == 0 && !l->options.json)
        puts("No dead letters.");
    return EXIT_FINE;
}

static int
change(struct letters *l, store_work work, const char *done)
{
    struct err err;
    enum status st = ID_PARSE(str_from_c(l->options.operands[1]), &l->id, &err);

    if (st == ST_OK)
        st = store_run(l->session.app->store, l->session.scope, "dead_letter_change", STORE_DURABLE,
                       work, l, &err);
    if (st != ST_OK)
        return command_fail(&err, "nothing was changed");
    if (l->options.json)
        print_json(json_object());
    else
        puts(done);
    return EXIT_FINE;
}

/* Every letter that is there now; those that die again meanwhile are left for the next time. */
static int
replay_all(struct letters *l)
{
    size_t done = 0, i;
    struct err err;

    do {
        l->id = (struct job_id){{""}};
        if (store_read(l->session.app->store, l->session.scope, "dead_letter_list", read_page, l,
                       &err) != ST_OK)
            return command_fail(&err, "cannot list dead letters");
        for (i = 0; i < l->count; i++) {
            l->id = l->list[i].job.id;
            if (store_run(l->session.app->store, l->session.scope, "dead_letter_replay",
                          STORE_DURABLE, replay_one, l, &err) != ST_OK)
                return command_fail(&err, "not all were replayed");
            done++;
        }
    } while (l->count == PAGE);
    if (l->options.json) {
        json_t *row = json_object();

        json_set_int(row, "replayed", (int64_t)done);
        print_json(row);
    } else {
        printf("%zu jobs will be tried again when the server runs.\n", done);
    }
    return EXIT_FINE;
}

static int
act(struct letters *l)
{
    const char *verb = l->options.operand_count == 0 ? "list" : l->options.operands[0];

    if (strcmp(verb, "list") == 0 && l->options.operand_count <= 1)
        return list(l);
    if (strcmp(verb, "replay") == 0 && l->options.operand_count == 2)
        return strcmp(l->options.operands[1], "all") == 0
                   ? replay_all(l)
                   : change(l, replay_one, "It will be tried again when the server runs.");
    if (strcmp(verb, "discard") == 0 && l->options.operand_count == 2)
        return change(l, discard_one, "It is gone.");
    fputs("parley dead-letters: list, replay ID, replay all, or discard ID\n", stderr);
    return EXIT_USAGE;
}

static int
run(int argc, char **argv)
{
    const char *organization = NULL;
    const struct option_spec specs[] = {{"org", &organization, NULL}, {NULL, NULL, NULL}};
    struct letters letters = {.count = 0};
    int code;

    if (!options_read("dead-letters", argc, argv, specs, &letters.options))
        return EXIT_USAGE;
    code = session_open(&letters.options, organization, &letters.session);
    if (code == EXIT_FINE)
        code = act(&letters);
    session_close(&letters.session);
    return code;
}

const struct command command_dead_letters = {
    .name = "dead-letters",
    .summary = "jobs that could not be done: list, replay, discard",
    .usage = "dead-letters [list | replay ID | replay all | discard ID] [--org SLUG] [--json]",
    .help = "A job that failed too often, or for good, stays here with its reason for 14 days.\n"
            "Remove the cause, then replay it. Works while no server runs on the data folder; a\n"
            "running server has the same under /v1/dead-letters.\n",
    .run = run,
};
