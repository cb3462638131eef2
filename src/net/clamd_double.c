/*
 * clamd_double.c - one connection at a time
 */
#include "net/clamd_double.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIGNATURE "EICAR-STANDARD-ANTIVIRUS-TEST-FILE"
#define STREAM_ROOM (1024 * 1024)

struct clamd_double {
    int listener;
    unsigned port;
    size_t max_bytes;
    pthread_t thread;
    _Atomic bool stopping, breaches;
    pthread_mutex_t lock; /* guards the two below */
    bool lies;
    const char *text;
    char stream[STREAM_ROOM];
};

static bool
read_exactly(int fd, void *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        ssize_t got = recv(fd, (char *)bytes + at, length - at, 0);

        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

static void
say(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text) + 1, MSG_NOSIGNAL);
}

static bool
has_signature(const struct clamd_double *clamd, size_t length)
{
    return memmem(clamd->stream, length, SIGNATURE, sizeof(SIGNATURE) - 1) != NULL;
}

/* False: the client hung up, or has been told that it is too much. */
static bool
read_stream(struct clamd_double *clamd, int fd, size_t *length_out)
{
    uint32_t length;

    *length_out = 0;
    while (read_exactly(fd, &length, sizeof(length))) {
        length = ntohl(length);
        if (length == 0)
            return true;
        if (length > STREAM_ROOM - *length_out || *length_out + length > clamd->max_bytes) {
            say(fd, "INSTREAM size limit exceeded. ERROR");
            shutdown(fd, SHUT_WR);
            while (recv(fd, clamd->stream, sizeof(clamd->stream), 0) > 0)
                continue; /* closing now would take the answer away */
            return false;
        }
        if (!read_exactly(fd, clamd->stream + *length_out, length))
            return false;
        *length_out += length;
    }
    return false;
}

static void
serve(struct clamd_double *clamd, int fd)
{
    char command[sizeof("zINSTREAM")];
    size_t length;

    if (!read_exactly(fd, command, sizeof(command)))
        return;
    if (memcmp(command, "zINSTREAM", sizeof(command)) != 0) {
        atomic_store(&clamd->breaches, true);
        say(fd, "UNKNOWN COMMAND");
        return;
    }
    if (!read_stream(clamd, fd, &length))
        return;
    pthread_mutex_lock(&clamd->lock);
    bool lies = clamd->lies;
    const char *text = clamd->text;
    pthread_mutex_unlock(&clamd->lock);
    if (!lies)
        text = has_signature(clamd, length) ? "stream: Eicar-Signature FOUND" : "stream: OK";
    if (text != NULL)
        say(fd, text);
}

static void *
run(void *arg)
{
    struct clamd_double *clamd = arg;

    while (!atomic_load(&clamd->stopping)) {
        int fd = accept(clamd->listener, NULL, NULL);

        if (fd < 0)
            continue;
        if (!atomic_load(&clamd->stopping))
            serve(clamd, fd);
        close(fd);
    }
    return NULL;
}

struct clamd_double *
clamd_double_start(size_t max_bytes)
{
    struct clamd_double *clamd = calloc(1, sizeof(*clamd));
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);

    assert(clamd != NULL);
    clamd->max_bytes = max_bytes;
    pthread_mutex_init(&clamd->lock, NULL);
    clamd->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(clamd->listener >= 0);
    if (bind(clamd->listener, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(clamd->listener, 8) != 0 ||
        getsockname(clamd->listener, (struct sockaddr *)&address, &length) != 0 ||
        pthread_create(&clamd->thread, NULL, run, clamd) != 0)
        abort();
    clamd->port = ntohs(address.sin_port);
    return clamd;
}

void
clamd_double_stop(struct clamd_double **clamd_ptr)
{
    struct clamd_double *clamd = *clamd_ptr;

    *clamd_ptr = NULL;
    atomic_store(&clamd->stopping, true);
    shutdown(clamd->listener, SHUT_RDWR); /* wakes accept */
    pthread_join(clamd->thread, NULL);
    close(clamd->listener);
    assert(!atomic_load(&clamd->breaches));
    pthread_mutex_destroy(&clamd->lock);
    free(clamd);
}

unsigned
clamd_double_port(const struct clamd_double *clamd)
{
    return clamd->port;
}

static void
set(struct clamd_double *clamd, bool lies, const char *text)
{
    pthread_mutex_lock(&clamd->lock);
    clamd->lies = lies;
    clamd->text = text;
    pthread_mutex_unlock(&clamd->lock);
}

void
clamd_double_say(struct clamd_double *clamd, const char *text)
{
    set(clamd, true, text);
}

void
clamd_double_be_honest(struct clamd_double *clamd)
{
    set(clamd, false, NULL);
}
