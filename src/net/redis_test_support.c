/*
 * redis_test_support.c - see the header
 */
#include "net/redis_test_support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define PROGRAM "/usr/bin/redis-server"
#define CALL_MS 10000

bool
test_redis_installed(void)
{
    return access(PROGRAM, X_OK) == 0;
}

static unsigned
free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

static void
run_server(const struct test_redis *server, const char *option, const char *value, int out)
{
    char port[16];
    const char *args[] = {PROGRAM,
                          "--port",
                          port,
                          "--bind",
                          "127.0.0.1",
                          "--requirepass",
                          TEST_REDIS_PASSWORD,
                          "--save",
                          "",
                          "--appendonly",
                          "no",
                          "--dir",
                          server->folder,
                          option,
                          value,
                          NULL};

    (void)snprintf(port, sizeof(port), "%u", server->port);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(out, STDOUT_FILENO);
    (void)execv(PROGRAM, (char *const *)(uintptr_t)args);
    _exit(127);
}

/* True once it says that it is ready; false when it ends before. */
static bool
wait_ready(int in)
{
    char text[8192] = "";
    size_t len = 0;
    ssize_t got = 1;

    while (got > 0 && strstr(text, "Ready to accept connections") == NULL &&
           len + 1 < sizeof(text)) {
        got = read(in, text + len, sizeof(text) - 1 - len);
        len += got > 0 ? (size_t)got : 0;
        text[len] = '\0';
    }
    return strstr(text, "Ready to accept connections") != NULL;
}

static bool
launch(struct test_redis *server, const char *option, const char *value)
{
    int ends[2];
    bool ready;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0)
        run_server(server, option, value, ends[1]);
    (void)close(ends[1]);
    ready = wait_ready(ends[0]);
    /* Its later words go nowhere: SIGPIPE is ignored by it. */
    (void)close(ends[0]);
    if (!ready)
        test_redis_kill(server);
    return ready;
}

void
test_redis_start(struct test_redis *server, const char *option, const char *value)
{
    *server = (struct test_redis){.folder = "/tmp/parley-redis-XXXXXX"};
    assert_non_null(mkdtemp(server->folder));
    for (int attempt = 0; attempt < 20; attempt++) {
        server->port = free_port(); /* another may take it before the server does */
        (void)snprintf(server->url, sizeof(server->url), "redis://:%s@127.0.0.1:%u",
                       TEST_REDIS_PASSWORD_ENCODED, server->port);
        if (launch(server, option, value))
            return;
    }
    fail_msg("redis-server does not start");
}

void
test_redis_restart(struct test_redis *server)
{
    if (server->pid != 0)
        test_redis_kill(server);
    assert_true(launch(server, NULL, NULL));
}

void
test_redis_kill(struct test_redis *server)
{
    if (server->pid == 0)
        return;
    (void)kill(server->pid, SIGKILL);
    assert_int_equal(waitpid(server->pid, NULL, 0), server->pid);
    server->pid = 0;
}

void
test_redis_freeze(struct test_redis *server)
{
    int status;

    assert_int_equal(kill(server->pid, SIGSTOP), 0);
    assert_int_equal(waitpid(server->pid, &status, WUNTRACED), server->pid);
    assert_true(WIFSTOPPED(status));
}

void
test_redis_thaw(struct test_redis *server)
{
    assert_int_equal(kill(server->pid, SIGCONT), 0);
}

static int
remove_entry(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)stat;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void
test_redis_stop(struct test_redis *server)
{
    test_redis_kill(server);
    assert_int_equal(nftw(server->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

struct redis *
test_redis_connect(const struct test_redis *server)
{
    struct redis_config config = {
        .addresses = str_from_c(server->url), .use = "test", .connect_ms = CALL_MS};
    struct redis *redis;
    struct err err;

    if (redis_open(&config, &redis, &err) != ST_OK || redis_connect(redis, &err) != ST_OK)
        fail_msg("connect: %s", err.detail);
    return redis;
}

struct redis_reply *
test_redis_do(struct redis *redis, const char *words)
{
    struct str args[32];
    struct str rest = str_from_c(words);
    struct redis_reply *reply = NULL;
    struct err err;
    size_t count = 0;

    while (count < 32 && str_split(&rest, ' ', &args[count]))
        count++;
    if (redis_call(redis, CALL_MS, args, count, &reply, &err) != ST_OK)
        fail_msg("%s: %s", words, err.detail);
    return reply;
}

void
test_redis_limit(struct test_redis *server, const char *rights)
{
    struct redis *redis = test_redis_connect(server);
    struct redis_reply *reply;
    char words[512];

    (void)snprintf(words, sizeof(words),
                   "ACL SETUSER parley on >pw ~parley:* +@connection +role +ping %s", rights);
    reply = test_redis_do(redis, words);
    redis_reply_free(&reply);
    redis_close(&redis);
    (void)snprintf(server->url, sizeof(server->url), "redis://parley:pw@127.0.0.1:%u",
                   server->port);
}
