/*
 * extractor.c - starting, feeding, reading and, when need be, killing parley-extract
 */
#include "knowledge/extractor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "knowledge/content_type.h"
#include "knowledge/extract_answer.h"

#define MB ((size_t)1024 * 1024)
#define PROGRAM_NAME "parley-extract"
/* Beside it under the name of the other, because of what they are linked with. */
#define PDF_SUFFIX "-pdf"
#define PDF_TYPE "application/pdf"
/* Run after it, when it found pages that are pictures. */
#define OCR_SUFFIX "-ocr"
#define CONTAINER_SUFFIX "-container"
/* What holds documents answers with them, unpacked. */
#define CONTAINER_OUTPUT_TIMES 2
/* Its processor time; the deadline in wall time is what the caller chose. */
#define CPU_SECONDS 20
#define OCR_CPU_SECONDS 600
/* It gives way to everything else: in wall time it may take so much longer. */
#define OCR_WALL_TIMES 4
/* A library of its that makes threads would be killed for it. */
#define ENVIRONMENT "OMP_THREAD_LIMIT=1"
#define HELP_FIND                                                                                  \
    "parley-extract is not beside the server's program: install it or set ingest.extractor"

struct extractor {
    char *path;
    size_t max_input_bytes, max_output_bytes, max_memory_bytes;
    int64_t deadline_ms;
    unsigned cpu_seconds;
    char *ocr_languages; /* "": pages that are pictures are not read */
    unsigned ocr_seconds;
};

/* One of the programs, and what it may take. */
struct run {
    char *path;
    const char *content_type, *languages; /* languages: NULL unless for OCR_SUFFIX */
    unsigned cpu_seconds;
    int64_t deadline_us;
};

/* --- finding the program --- */

/* Beside this program; else where an installation or a build tree keeps it relative to it. */
static char *
find_program(void)
{
    static const char *const places[] = {"", "../libexec/parley/", "../extract/",
                                         "../src/extract/"};
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    if (len <= 0)
        return NULL;
    self[len] = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL)
        return NULL;
    slash[1] = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char path[PATH_MAX + 64];

        snprintf(path, sizeof(path), "%s%s%s", self, places[i], PROGRAM_NAME);
        if (access(path, X_OK) == 0)
            return strdup(path);
    }
    return NULL;
}

enum status
extractor_open(const struct extractor_config *config, struct extractor **extractor_out,
               struct err *err)
{
    struct extractor *extractor = calloc(1, sizeof(*extractor));

    *extractor_out = NULL;
    if (extractor == NULL)
        abort();
    extractor->max_input_bytes = config->max_input_bytes ? config->max_input_bytes : 16 * MB;
    extractor->max_output_bytes = config->max_output_bytes ? config->max_output_bytes : 32 * MB;
    extractor->max_memory_bytes = config->max_memory_bytes ? config->max_memory_bytes : 512 * MB;
    extractor->deadline_ms = config->deadline_ms ? config->deadline_ms : 30000;
    extractor->cpu_seconds = config->cpu_seconds ? config->cpu_seconds : CPU_SECONDS;
    extractor->ocr_languages = strdup(config->ocr_languages == NULL ? "" : config->ocr_languages);
    extractor->ocr_seconds = config->ocr_seconds ? config->ocr_seconds : OCR_CPU_SECONDS;
    if (config->path != NULL && config->path[0] != '\0')
        extractor->path = strdup(config->path);
    else
        extractor->path = find_program();
    if (extractor->path == NULL || access(extractor->path, X_OK) != 0) {
        extractor_close(&extractor);
        return err_set(err, ST_NOT_FOUND, "%s", HELP_FIND);
    }
    *extractor_out = extractor;
    return ST_OK;
}

void
extractor_close(struct extractor **extractor)
{
    if (*extractor == NULL)
        return;
    free((*extractor)->path);
    free((*extractor)->ocr_languages);
    free(*extractor);
    *extractor = NULL;
}

const char *
extractor_path(const struct extractor *extractor)
{
    return extractor->path;
}

/* --- one process --- */

struct process {
    pid_t pid;   /* 0: none */
    int pid_fd;  /* tells its end; -1 where the system has none */
    int in, out; /* our ends; -1 when closed */
};

static void
close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ST_INVALID: Parley was built without what reads this type. */
static enum status
program_for(const struct extractor *extractor, struct str content_type, struct arena *arena,
            char **path_out, struct err *err)
{
    const char *suffix = "";

    if (str_eq_nocase(content_type, STR(PDF_TYPE)))
        suffix = PDF_SUFFIX;
    else if (content_type_is_container(content_type))
        suffix = CONTAINER_SUFFIX;
    *path_out = arena_cstr(arena, arena_printf(arena, "%s%s", extractor->path, suffix));
    if (suffix[0] != '\0' && access(*path_out, X_OK) != 0)
        return err_set(err, ST_INVALID,
                       "It cannot be read here: the program " PROGRAM_NAME "%s is missing.",
                       suffix);
    return ST_OK;
}

static size_t
output_limit(const struct extractor *extractor, const char *content_type)
{
    return extractor->max_output_bytes *
           (content_type_is_container(content_type_essence(str_from_c(content_type)))
                ? CONTAINER_OUTPUT_TIMES
                : 1);
}

static int
spawn(const struct extractor *extractor, const struct run *run, int in, int out, pid_t *pid_out)
{
    char input[24], output[24], memory[24], cpu[24];
    char *const argv[] = {run->path, (char *)(uintptr_t)run->content_type, input, output, memory,
                          cpu,       (char *)(uintptr_t)run->languages,    NULL};
    char variable[] = ENVIRONMENT;
    char *const environment[] = {variable, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int failed;

    snprintf(input, sizeof(input), "%zu", extractor->max_input_bytes);
    snprintf(output, sizeof(output), "%zu", output_limit(extractor, run->content_type));
    snprintf(cpu, sizeof(cpu), "%u", run->cpu_seconds);
    snprintf(memory, sizeof(memory), "%zu", extractor->max_memory_bytes);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    failed = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (failed == 0)
        failed =
            posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    /* Our workers block all signals; a killed helper must die of what kills it. */
    if (failed == 0)
        failed = posix_spawnattr_setsigmask(&attributes, &none);
    if (failed == 0)
        failed = posix_spawnattr_setsigdefault(&attributes, &all);
    if (failed == 0)
        failed =
            posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (failed == 0)
        failed = posix_spawn(pid_out, run->path, &actions, &attributes, argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static enum status
process_start(const struct extractor *extractor, const struct run *run, struct process *process_out,
              struct err *err)
{
    struct process process = {.pid = 0, .pid_fd = -1, .in = -1, .out = -1};
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    int failed = 0;

    *process_out = process;
    /* A socket, because writing to one whose reader died can be told not to raise SIGPIPE. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0 || pipe2(out, O_CLOEXEC) != 0)
        failed = errno;
    if (failed == 0)
        failed = spawn(extractor, run, in[1], out[1], &process.pid);
    close_fd(&in[1]);
    close_fd(&out[1]);
    if (failed != 0) {
        close_fd(&in[0]);
        close_fd(&out[0]);
        return err_set_detail(err, ST_UNAVAILABLE, "start %s: %s", run->path, strerror(failed));
    }
    process.in = in[0];
    process.out = out[0];
    process.pid_fd = pidfd_open(process.pid, 0);
    (void)fcntl(process.in, F_SETFL, O_NONBLOCK);
    (void)fcntl(process.out, F_SETFL, O_NONBLOCK);
    *process_out = process;
    return ST_OK;
}

/* Gone for good when it returns. The wait status. */
static int
process_end(struct process *process)
{
    int status = 0;

    close_fd(&process->in);
    close_fd(&process->out);
    close_fd(&process->pid_fd);
    if (process->pid > 0) {
        kill(process->pid, SIGKILL); /* not reaped yet: the id is still its own */
        while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
            continue;
    }
    process->pid = 0;
    return status;
}

static int
remaining_ms(int64_t deadline_us)
{
    int64_t left = deadline_us - clock_mono_us(clock_system());

    return left <= 0 ? 0 : (int)(left / US_PER_MS) + 1;
}

static void
feed(struct process *process, struct str *content)
{
    ssize_t n = send(process->in, content->ptr, content->len, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n > 0)
        *content = str_sub(*content, (size_t)n, content->len);
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        content->len = 0; /* it stopped reading; its answer says why */
    if (content->len == 0)
        close_fd(&process->in);
}

/* False at the end of the answer. */
static bool
drain(struct process *process, struct buf *answer)
{
    char piece[65536];
    ssize_t n = read(process->out, piece, sizeof(piece));

    if (n > 0)
        buf_append(answer, str_of(piece, (size_t)n));
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    return n > 0 && !answer->failed;
}

/* Feeds and reads until the answer ends. False: the deadline passed first. */
static bool
converse(struct process *process, struct str content, struct buf *answer, int64_t deadline_us)
{
    if (content.len == 0)
        close_fd(&process->in);
    for (;;) {
        struct pollfd fds[2] = {{.fd = process->out, .events = POLLIN},
                                {.fd = process->in, .events = POLLOUT}};
        int wait_ms = remaining_ms(deadline_us);

        if (wait_ms == 0)
            return false;
        if (poll(fds, 2, wait_ms) < 0 && errno != EINTR)
            return true;
        if (fds[1].revents != 0 && process->in >= 0)
            feed(process, &content);
        if (fds[0].revents != 0 && !drain(process, answer))
            return true;
    }
}

/* It closed its answer early: lets it reach the end that tells why, not longer than the deadline.
 */
static void
await_end(const struct process *process, int64_t deadline_us)
{
    struct pollfd fd = {.fd = process->pid_fd, .events = POLLIN};

    if (process->pid_fd >= 0)
        (void)!poll(&fd, 1, remaining_ms(deadline_us));
}

static enum status
explain_death(int status, bool timed_out, struct err *err)
{
    static const char slow[] =
        "The document takes too long to read: it is too large or too tangled.";
    int signal_number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (timed_out || signal_number == SIGXCPU)
        return err_set(err, ST_INVALID, "%s", slow);
    if (signal_number == SIGKILL)
        return err_set_detail(err, ST_UNAVAILABLE, "parley-extract was killed by the system");
    if (signal_number != 0) {
        err_set_detail(err, ST_INVALID, "parley-extract died of signal %d (%s)", signal_number,
                       strsignal(signal_number));
        snprintf(err->public_text, sizeof(err->public_text),
                 "The document could not be read safely: it is damaged, or takes too much memory.");
        return err->code;
    }
    return err_set_detail(err, ST_UNAVAILABLE, "parley-extract ended with status %d",
                          WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static enum status
run_program(const struct extractor *extractor, const struct run *run, struct str content,
            struct arena *arena, struct extracted *extracted_out, struct err *err)
{
    struct process process;
    struct buf answer;
    bool answered, complete;
    int wait_status;
    enum status st = process_start(extractor, run, &process, err);

    if (st != ST_OK)
        return st;
    buf_init(&answer, output_limit(extractor, run->content_type) + 4096);
    answered = converse(&process, content, &answer, run->deadline_us);
    complete = answered && !answer.failed && extract_answer_is_complete(buf_str(&answer));
    if (answered && !answer.failed && !complete)
        await_end(&process, run->deadline_us);
    wait_status = process_end(&process);
    if (answer.failed)
        st = err_set(err, ST_TOO_LARGE, "The document holds more text than is allowed.");
    else if (!complete)
        st = explain_death(wait_status, !answered, err);
    else
        st = extract_answer_read(buf_str(&answer), arena, extracted_out, err);
    buf_deinit(&answer);
    return st;
}

/* --- pages that are pictures --- */

/* Reads them, too; the text that was found already is kept when that fails. The reason why some
 * stay unread is left in *reason; empty: none do. */
static enum status
read_pictures(const struct extractor *extractor, const struct run *text_run, struct str content,
              struct arena *arena, struct extracted *extracted, struct str *reason, struct err *err)
{
    struct extracted with_pictures = {.block_count = 0};
    struct run run = *text_run;
    struct err failure;
    enum status st;

    run.path = arena_cstr(arena, arena_printf(arena, "%s%s", extractor->path, OCR_SUFFIX));
    run.languages = extractor->ocr_languages;
    run.cpu_seconds = extractor->ocr_seconds;
    run.deadline_us = clock_mono_us(clock_system()) + extractor->deadline_ms * US_PER_MS +
                      OCR_WALL_TIMES * (int64_t)run.cpu_seconds * US_PER_S;
    if (run.languages[0] == '\0') {
        *reason = STR("reading them is switched off (ingest.ocr_languages).");
        return ST_OK;
    }
    if (access(run.path, X_OK) != 0) {
        *reason = STR("install tesseract-ocr to have them read.");
        return ST_OK;
    }
    st = run_program(extractor, &run, content, arena, &with_pictures, &failure);
    if (st == ST_OK) {
        *extracted = with_pictures;
        *reason = extracted->pictures.len == 0 ? STR("") : STR("there was no time to read them.");
    } else if (st != ST_INVALID && st != ST_TOO_LARGE) {
        *err = failure;
        return st;
    } else {
        *reason = arena_str(arena, str_from_c(failure.public_text));
    }
    return ST_OK;
}

enum status
extractor_run(const struct extractor *extractor, struct str content_type, struct str content,
              struct arena *arena, struct extracted *extracted_out, struct err *err)
{
    struct run run = {.cpu_seconds = extractor->cpu_seconds,
                      .deadline_us =
                          clock_mono_us(clock_system()) + extractor->deadline_ms * US_PER_MS};
    struct extracted extracted = {.block_count = 0};
    struct str reason = STR("");
    enum status st;

    if (content.len > extractor->max_input_bytes)
        return err_set(err, ST_TOO_LARGE, "The document is larger than %zu MB.",
                       extractor->max_input_bytes / MB);
    run.content_type = arena_cstr(arena, content_type);
    st = program_for(extractor, content_type_essence(content_type), arena, &run.path, err);
    if (st == ST_OK)
        st = run_program(extractor, &run, content, arena, &extracted, err);
    if (st == ST_OK && extracted.pictures.len > 0)
        st = read_pictures(extractor, &run, content, arena, &extracted, &reason, err);
    if (st != ST_OK)
        return st;
    if (reason.len > 0 && extracted.block_count == 0)
        return err_set(err, ST_INVALID, "Its pages are pictures: %.*s", STR_ARG(reason));
    if (reason.len > 0)
        extracted.note = arena_printf(arena, "Pages that are pictures (%.*s): %.*s",
                                      STR_ARG(extracted.pictures), STR_ARG(reason));
    *extracted_out = extracted;
    return ST_OK;
}
