/*
 * eval_remote.c - keeps the questions as a set of the organization, starts a run, waits for it
 */
#include "app/eval_remote.h"

#include <stdio.h>
#include <time.h>

#include "text/json.h"

#define ARENA_BYTES ((size_t)512 << 20)
#define LOOK_MS 500
#define STILL_LOOKS 1200 /* ten minutes in which nothing was asked */

struct running {
    const struct eval_remote_spec *spec;
    struct remote remote;
    struct arena *arena;
    struct str set_id, run_id;
};

static int
call(struct running *r, const char *method, struct str path, const json_t *body,
     json_t **answer_out)
{
    *answer_out = NULL;
    return remote_call(&r->remote, method, path, STR("application/json"),
                       body == NULL ? STR_EMPTY : json_text(body, r->arena), r->arena, answer_out);
}

static int
put_set(struct running *r)
{
    json_auto_t *body = json_object(), *answer = NULL;
    json_t *questions = json_array();
    int code;

    for (size_t i = 0; i < r->spec->dataset->count; i++)
        json_array_append_new(questions, eval_question_json(&r->spec->dataset->questions[i]));
    json_set_str(body, "name", r->spec->set_name);
    json_set(body, "questions", questions);
    code = call(r, "POST", STR("/v1/evaluation-sets"), body, &answer);
    if (code == EXIT_FINE)
        r->set_id = arena_str(r->arena, json_get_str(answer, "id"));
    return code;
}

static int
find_set(struct running *r)
{
    json_auto_t *answer = NULL;
    const json_t *one;
    size_t i;
    int code = call(r, "GET", STR("/v1/evaluation-sets"), NULL, &answer);

    json_array_foreach (json_get_array(answer, "data"), i, one)
        if (str_eq(json_get_str(one, "name"), r->spec->set_name))
            r->set_id = arena_str(r->arena, json_get_str(one, "id"));
    if (code == EXIT_FINE && r->set_id.len == 0) {
        fprintf(stderr,
                "parley eval: neither a file nor a question set of the organization is called "
                "\"%.*s\"\n",
                STR_ARG(r->spec->set_name));
        return EXIT_NOT_FOUND;
    }
    return code;
}

static int
start(struct running *r)
{
    json_auto_t *body = json_object(), *answer = NULL;
    int code;

    json_set_str(body, "name", r->spec->run_name);
    if (r->spec->persona != NULL)
        json_object_set(body, "persona", (json_t *)(uintptr_t)r->spec->persona);
    if (r->spec->with_drafts)
        json_set_bool(body, "drafts", true);
    code = call(r, "POST",
                arena_printf(r->arena, "/v1/evaluation-sets/%.*s/evaluations", STR_ARG(r->set_id)),
                body, &answer);
    if (code == EXIT_FINE)
        r->run_id = arena_str(r->arena, json_get_str(answer, "id"));
    return code;
}

static int
wait_until_done(struct running *r)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    int64_t done = -1;

    for (unsigned still = 0; still < STILL_LOOKS; still++) {
        json_auto_t *answer = NULL;
        int code =
            call(r, "GET", arena_printf(r->arena, "/v1/evaluations/%.*s", STR_ARG(r->run_id)), NULL,
                 &answer);

        if (code != EXIT_FINE || str_eq_c(json_get_str(answer, "status"), "done"))
            return code;
        if (str_eq_c(json_get_str(answer, "status"), "failed")) {
            fprintf(stderr, "parley eval: the run failed: %.*s\n",
                    STR_ARG(json_get_str(answer, "error")));
            return EXIT_FAILED;
        }
        if (json_get_int(answer, "done_count", 0) != done)
            still = 0;
        done = json_get_int(answer, "done_count", 0);
        print_progress("asking", (unsigned)done,
                       (unsigned)json_get_int(answer, "question_count", 0));
        /* lint-allow(sleep): a remote server is asked how far it is */
        (void)nanosleep(&pause, NULL);
    }
    fprintf(stderr, "parley eval: the server asks no question; the run %.*s stays queued\n",
            STR_ARG(r->run_id));
    return EXIT_UNAVAILABLE;
}

int
eval_remote_run(const struct eval_remote_spec *spec, json_t **results_out)
{
    struct running r = {.spec = spec, .arena = arena_create(ARENA_BYTES)};
    int code = remote_open(spec->url, spec->key, &r.remote);

    *results_out = NULL;
    if (code == EXIT_FINE)
        code = spec->dataset != NULL ? put_set(&r) : find_set(&r);
    if (code == EXIT_FINE)
        code = start(&r);
    if (code == EXIT_FINE)
        code = wait_until_done(&r);
    end_progress();
    if (code == EXIT_FINE)
        code = call(&r, "GET",
                    arena_printf(r.arena, "/v1/evaluations/%.*s/results", STR_ARG(r.run_id)), NULL,
                    results_out);
    remote_close(&r.remote);
    arena_destroy(&r.arena);
    return code;
}
