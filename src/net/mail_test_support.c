/*
 * mail_test_support.c - the server: one connection after the other, line by line
 */
#include "net/mail_test_support.h"

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

#define MAIL_MAX_BYTES ((size_t)4 * 1024 * 1024)

struct test_smtp {
    int listener;
    unsigned port;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    struct test_smtp_answer next;
    size_t count;
    char sender[512], recipient[512];
    char *mail;
};

struct session {
    struct test_smtp *server;
    struct test_smtp_answer special;
    FILE *in;
    int fd;
};

/* False: the connection is over. */
static bool
answer(struct session *session, const char *step, const char *usual)
{
    char line[1024];
    bool is_special = session->special.step != NULL && strcmp(session->special.step, step) == 0;
    const char *text = is_special ? session->special.answer : usual;

    if (text == NULL)
        return false;
    int length = snprintf(line, sizeof line, "%s\r\n", text);
    return send(session->fd, line, (size_t)length, MSG_NOSIGNAL) == length &&
           !(is_special && strncmp(text, "421", 3) == 0);
}

static void
keep(char *out, size_t size, const char *line)
{
    const char *open = strchr(line, '<');
    const char *close = open == NULL ? NULL : strchr(open, '>');

    (void)snprintf(out, size, "%.*s", close == NULL ? 0 : (int)(close - open - 1),
                   open == NULL ? "" : open + 1);
}

static bool
receive_mail(struct session *session)
{
    struct test_smtp *server = session->server;
    char *mail = calloc(1, MAIL_MAX_BYTES + 1), *line = NULL;
    size_t length = 0, size = 0;
    ssize_t got;
    bool is_whole = false;

    if (mail == NULL)
        abort();
    while ((got = getline(&line, &size, session->in)) > 0) {
        const char *from = line;

        if (strcmp(line, ".\r\n") == 0) {
            is_whole = true;
            break;
        }
        if (line[0] == '.') {
            from++;
            got--;
        }
        if (length + (size_t)got <= MAIL_MAX_BYTES) {
            memcpy(mail + length, from, (size_t)got);
            length += (size_t)got;
        }
    }
    free(line);
    pthread_mutex_lock(&server->lock);
    free(server->mail);
    server->mail = mail;
    server->count += is_whole;
    pthread_mutex_unlock(&server->lock);
    return is_whole;
}

static bool
obey(struct session *session, const char *line)
{
    struct test_smtp *server = session->server;

    if (strncasecmp(line, "EHLO", 4) == 0)
        return answer(session, "EHLO", "250-test\r\n250-SIZE 4000000\r\n250 AUTH PLAIN");
    if (strncasecmp(line, "AUTH", 4) == 0)
        return answer(session, "AUTH", "235 2.7.0 welcome");
    if (strncasecmp(line, "MAIL", 4) == 0) {
        pthread_mutex_lock(&server->lock);
        keep(server->sender, sizeof server->sender, line);
        pthread_mutex_unlock(&server->lock);
        return answer(session, "MAIL", "250 2.1.0 fine");
    }
    if (strncasecmp(line, "RCPT", 4) == 0) {
        pthread_mutex_lock(&server->lock);
        keep(server->recipient, sizeof server->recipient, line);
        pthread_mutex_unlock(&server->lock);
        return answer(session, "RCPT", "250 2.1.5 fine");
    }
    if (strncasecmp(line, "DATA", 4) == 0) {
        bool refuses = session->special.step != NULL && strcmp(session->special.step, "DATA") == 0;

        return answer(session, "DATA", "354 go on") && !refuses && receive_mail(session) &&
               answer(session, "end", "250 2.0.0 queued");
    }
    if (strncasecmp(line, "NOOP", 4) == 0)
        return answer(session, "NOOP", "250 2.0.0 ok");
    if (strncasecmp(line, "QUIT", 4) == 0) {
        (void)answer(session, "QUIT", "221 2.0.0 bye");
        return false;
    }
    return answer(session, "other", "502 5.5.2 unknown");
}

static void
serve(struct test_smtp *server, int fd)
{
    struct session session = {.server = server, .fd = fd, .in = fdopen(fd, "r")};
    char *line = NULL;
    size_t size = 0;

    if (session.in == NULL)
        abort();
    pthread_mutex_lock(&server->lock);
    session.special = server->next;
    server->next = (struct test_smtp_answer){NULL, NULL};
    pthread_mutex_unlock(&server->lock);
    if (answer(&session, "greeting", "220 test ESMTP"))
        while (getline(&line, &size, session.in) > 0 && obey(&session, line))
            ;
    free(line);
    (void)fclose(session.in);
}

static void *
run(void *arg)
{
    struct test_smtp *server = arg;

    for (;;) {
        int fd = accept(server->listener, NULL, NULL);

        if (fd < 0)
            return NULL;
        serve(server, fd);
    }
}

struct test_smtp *
test_smtp_start(void)
{
    struct test_smtp *server = calloc(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;

    if (server == NULL)
        abort();
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
test_smtp_stop(struct test_smtp **server_ptr)
{
    struct test_smtp *server = *server_ptr;

    *server_ptr = NULL;
    (void)shutdown(server->listener, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    pthread_mutex_destroy(&server->lock);
    free(server->mail);
    free(server);
}

unsigned
test_smtp_port(const struct test_smtp *server)
{
    return server->port;
}

void
test_smtp_next(struct test_smtp *server, struct test_smtp_answer next)
{
    pthread_mutex_lock(&server->lock);
    server->next = next;
    pthread_mutex_unlock(&server->lock);
}

const char *
test_smtp_mail(struct test_smtp *server)
{
    pthread_mutex_lock(&server->lock);
    const char *mail = server->mail == NULL ? "" : server->mail;
    pthread_mutex_unlock(&server->lock);
    return mail;
}

const char *
test_smtp_sender(struct test_smtp *server)
{
    return server->sender;
}

const char *
test_smtp_recipient(struct test_smtp *server)
{
    return server->recipient;
}

size_t
test_smtp_count(struct test_smtp *server)
{
    pthread_mutex_lock(&server->lock);
    size_t count = server->count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

void
test_smtp_forget(struct test_smtp *server)
{
    pthread_mutex_lock(&server->lock);
    free(server->mail);
    server->mail = NULL;
    server->count = 0;
    server->sender[0] = server->recipient[0] = '\0';
    pthread_mutex_unlock(&server->lock);
}
