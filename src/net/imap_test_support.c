/*
 * imap_test_support.c - the server: line in, answer out
 */
#include "net/imap_test_support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define COMMANDS_MAX 200

struct test_imap {
    int listener, client; /* client: -1 when there is none */
    unsigned port;
    bool stopping;
    pthread_t thread;
    pthread_mutex_t lock; /* guards client, stopping and all below */
    const struct test_imap_answer *answers;
    char commands[COMMANDS_MAX][64];
    size_t count;
};

#define FETCHED                                                                                    \
    "RFC822.SIZE 31 INTERNALDATE \"28-Nov-2026 12:00:00 +0000\" BODY[]<0> "                        \
    "{31}\r\nFrom: a@customer.test\r\n\r\nHello\r)\r\n"

static const struct test_imap_answer usual[] = {
    {"", "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR IDLE] ready\r\n"},
    {"CAPABILITY", "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR IDLE\r\n$T OK done\r\n"},
    {"AUTHENTICATE", "$T OK in\r\n"},
    {"EXAMINE",
     "* 3 EXISTS\r\n* OK [UIDVALIDITY 5] fine\r\n* OK [UIDNEXT 10] fine\r\n$T OK done\r\n"},
    {"UID SEARCH UID 1:", "* SEARCH 9 7 8\r\n$T OK done\r\n"},
    {"UID SEARCH UID 8:", "* SEARCH 8 9\r\n$T OK done\r\n"},
    {"UID SEARCH UID 9:", "* SEARCH 9\r\n$T OK done\r\n"},
    {"UID SEARCH", "* SEARCH 9\r\n$T OK done\r\n"},
    {"UID FETCH 7 ", "* 1 FETCH (UID 7 " FETCHED "$T OK done\r\n"},
    {"UID FETCH 8 ", "* 2 FETCH (UID 8 " FETCHED "$T OK done\r\n"},
    {"UID FETCH 9 ", "* 3 FETCH (UID 9 " FETCHED "$T OK done\r\n"},
    {"UID FETCH", "$T OK nothing\r\n"},
    {"IDLE", "+ idling\r\n* 4 EXISTS\r\n"},
    {"DONE", "$T OK done\r\n"},
    {"NOOP", "$T OK done\r\n"},
    {"LOGOUT", "* BYE bye\r\n$T OK done\r\n"},
    {NULL, NULL},
};

static const struct test_imap_answer *
find(const struct test_imap_answer *answers, const char *command)
{
    for (; answers != NULL && answers->command != NULL; answers++)
        if (answers->command[0] == '\0'
                ? command[0] == '\0'
                : strncasecmp(command, answers->command, strlen(answers->command)) == 0)
            return answers;
    return NULL;
}

/* False: the connection is over. */
static bool
say(int fd, const char *answer, const char *tag)
{
    for (const char *at = answer; *at != '\0';) {
        const char *stop = strstr(at, "$T");
        size_t length = stop == NULL ? strlen(at) : (size_t)(stop - at);

        if (send(fd, at, length, MSG_NOSIGNAL) != (ssize_t)length)
            return false;
        at += length;
        if (stop != NULL) {
            if (send(fd, tag, strlen(tag), MSG_NOSIGNAL) < 0)
                return false;
            at += 2;
        }
    }
    return true;
}

static bool
obey(struct test_imap *server, int fd, const char *command, const char *tag)
{
    const struct test_imap_answer *answer;

    pthread_mutex_lock(&server->lock);
    if (server->count < COMMANDS_MAX)
        (void)snprintf(server->commands[server->count++], sizeof server->commands[0], "%.63s",
                       command);
    answer = find(server->answers, command);
    pthread_mutex_unlock(&server->lock);
    if (answer == NULL)
        answer = find(usual, command);
    if (answer == NULL)
        return say(fd, "$T BAD unknown\r\n", tag);
    return answer->answer != NULL && say(fd, answer->answer, tag);
}

static void
serve(struct test_imap *server, int fd)
{
    FILE *in = fdopen(fd, "r");
    char *line = NULL, tag[32] = "";
    size_t size = 0;
    bool goes_on;

    if (in == NULL)
        abort();
    goes_on = obey(server, fd, "", "");
    while (goes_on && getline(&line, &size, in) > 0) {
        char *command = line;

        line[strcspn(line, "\r\n")] = '\0';
        if (strcmp(line, "DONE") != 0) {
            char *space = strchr(line, ' ');

            if (space == NULL)
                break;
            *space = '\0';
            (void)snprintf(tag, sizeof tag, "%s", line);
            command = space + 1;
        }
        goes_on = obey(server, fd, command, tag);
    }
    free(line);
    pthread_mutex_lock(&server->lock);
    server->client = -1;
    pthread_mutex_unlock(&server->lock);
    (void)fclose(in);
}

static void *
run(void *arg)
{
    struct test_imap *server = arg;

    for (;;) {
        int fd = accept(server->listener, NULL, NULL);
        bool stopping;

        if (fd < 0)
            return NULL;
        pthread_mutex_lock(&server->lock);
        server->client = fd;
        stopping = server->stopping;
        pthread_mutex_unlock(&server->lock);
        if (stopping)
            (void)close(fd);
        else
            serve(server, fd);
    }
}

struct test_imap *
test_imap_start(void)
{
    struct test_imap *server = calloc(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;

    if (server == NULL)
        abort();
    server->client = -1;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server->listener, (struct sockaddr *)&address, length) != 0 ||
        listen(server->listener, 16) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &length) != 0)
        abort();
    server->port = ntohs(address.sin_port);
    pthread_mutex_init(&server->lock, NULL);
    if (pthread_create(&server->thread, NULL, run, server) != 0)
        abort();
    return server;
}

void
test_imap_stop(struct test_imap **server_ptr)
{
    struct test_imap *server = *server_ptr;

    *server_ptr = NULL;
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    if (server->client >= 0)
        (void)shutdown(server->client, SHUT_RDWR);
    pthread_mutex_unlock(&server->lock);
    (void)shutdown(server->listener, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

unsigned
test_imap_port(const struct test_imap *server)
{
    return server->port;
}

void
test_imap_say(struct test_imap *server, const struct test_imap_answer *answers)
{
    pthread_mutex_lock(&server->lock);
    server->answers = answers;
    server->count = 0;
    pthread_mutex_unlock(&server->lock);
}

size_t
test_imap_count(struct test_imap *server, const char *command)
{
    size_t count = 0;

    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->count; i++)
        count += strncasecmp(server->commands[i], command, strlen(command)) == 0;
    pthread_mutex_unlock(&server->lock);
    return count;
}
