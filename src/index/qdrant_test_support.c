/*
 * qdrant_test_support.c - see the header
 */
#include "index/qdrant_test_support.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "base/id.h"
#include "base/testing.h"

#define CALL_MS 10000
#define QUESTION_MS 5000

static void
open_client(struct test_qdrant *qdrant)
{
    const struct http_client_config config = {.allow_private_addresses = true};
    struct err err;

    ASSERT_OK(http_client_create(&config, &qdrant->http, &err), &err);
}

static void
run_server(const char *const *args, int in, int out)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)dup2(in, STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)execvp(args[0], (char *const *)(uintptr_t)args);
    _exit(127);
}

/* A program that prints its address on a line of its own. */
static bool
start_server(struct test_qdrant *qdrant, const char *const *args)
{
    int in[2], out[2];
    size_t len = 0;
    ssize_t got = 1;

    *qdrant = (struct test_qdrant){.pid = 0};
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    qdrant->pid = fork();
    assert_true(qdrant->pid >= 0);
    if (qdrant->pid == 0)
        run_server(args, in[0], out[1]);
    (void)close(in[0]);
    (void)close(out[1]);
    qdrant->in = in[1];
    qdrant->out = out[0];
    while (got > 0 && memchr(qdrant->url, '\n', len) == NULL && len + 1 < sizeof(qdrant->url)) {
        got = read(qdrant->out, qdrant->url + len, sizeof(qdrant->url) - 1 - len);
        len += got > 0 ? (size_t)got : 0;
    }
    open_client(qdrant);
    if (len > 0) {
        qdrant->url[len - 1] = '\0'; /* its newline */
        return true;
    }
    test_qdrant_stop(qdrant);
    return false;
}

bool
test_qdrant_start(struct test_qdrant *qdrant, const char *version, const char *api_key)
{
    const char *const args[] = {"node", QDRANT_DOUBLES "/cli.mjs",
                                version == NULL ? "1.19.0" : version, api_key, NULL};

    return start_server(qdrant, args);
}

bool
test_qdrant_real(struct test_qdrant *qdrant)
{
    static const char *const args[] = {QDRANT_PYTHON, QDRANT_DOUBLES "/engine.py", NULL};
    const char *url = getenv("QDRANT_URL");

    if (url == NULL || url[0] == '\0')
        return access(QDRANT_PYTHON, X_OK) == 0 && start_server(qdrant, args);
    *qdrant = (struct test_qdrant){.pid = 0};
    (void)snprintf(qdrant->url, sizeof(qdrant->url), "%s", url);
    open_client(qdrant);
    return true;
}

void
test_qdrant_stop(struct test_qdrant *qdrant)
{
    http_client_destroy(&qdrant->http);
    if (qdrant->pid == 0)
        return;
    (void)close(qdrant->in);
    (void)close(qdrant->out);
    (void)kill(qdrant->pid, SIGTERM);
    (void)kill(qdrant->pid, SIGCONT); /* it may be frozen */
    assert_int_equal(waitpid(qdrant->pid, NULL, 0), qdrant->pid);
    qdrant->pid = 0;
}

void
test_qdrant_freeze(struct test_qdrant *qdrant)
{
    int status;

    assert_int_equal(kill(qdrant->pid, SIGSTOP), 0);
    assert_int_equal(waitpid(qdrant->pid, &status, WUNTRACED), qdrant->pid);
    assert_true(WIFSTOPPED(status));
}

void
test_qdrant_thaw(struct test_qdrant *qdrant)
{
    assert_int_equal(kill(qdrant->pid, SIGCONT), 0);
}

struct str
test_qdrant_tell(struct test_qdrant *qdrant, const char *path, struct str body, struct arena *arena)
{
    const struct http_call call = {
        .method = body.len > 0 ? "POST" : "GET",
        .url = arena_printf(arena, "%s%s", qdrant->url, path),
        .body = body,
        .deadline_ms = CALL_MS,
    };
    struct http_reply reply;
    struct err err;

    ASSERT_OK(http_client_call(qdrant->http, &call, arena, &reply, &err), &err);
    assert_int_equal(reply.status, 200);
    return reply.body;
}

struct index_engine *
test_qdrant_engine(struct test_qdrant *qdrant, struct store *store, const char *encoder,
                   unsigned dimension)
{
    const struct source_id unique = ID_NEW(source_id);
    const struct index_engine_config config = {
        .store = store,
        .http = qdrant->http,
        .clock = clock_system(),
        .url = str_from_c(qdrant->url),
        .collection = ID_STR(unique),
        .encoder = encoder == NULL ? STR_EMPTY : str_from_c(encoder),
        .dimension = dimension,
        .question_ms = QUESTION_MS,
        .allow_private = true,
    };
    struct index_engine *engine = NULL;
    struct err err;

    ASSERT_OK(index_engine_open(&config, &engine, &err), &err);
    return engine;
}
