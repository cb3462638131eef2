/*
 * load.c - the client of the benches: posts updates, times deliveries, holds streams
 *
 * load webhooks|whatsapp PORT PATH SECRET CONNECTIONS SECONDS
 *     as many of Telegram's updates, or of WhatsApp's signed messages, as answers come back
 * load deliver PORT PATH SECRET RATE SECONDS PROVIDER
 *     updates at a rate; on the port PROVIDER this program plays Telegram and takes the time
 * load provider PORT COUNT
 *     plays Telegram until so many messages were delivered
 * load streams PORT CHANNEL COUNT PID
 *     visitors with an open event stream each
 *
 * One thread with epoll; prints one line of JSON. Addresses are 127.0.0.1 alone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "net/http_server.h"

#define CHATS 5000
#define REQUEST_BYTES 2048
#define ANSWER_BYTES 8192
#define MAX_SAMPLES 4000000

struct connection {
    int fd;
    char request[REQUEST_BYTES];
    char answer[ANSWER_BYTES];
    size_t answer_len;
    int64_t sent_us;
    bool busy;
};

struct load {
    unsigned port;
    const char *path, *secret;
    bool is_whatsapp;
    struct connection *connections;
    unsigned count;
    int epoll_fd;
    int64_t next_update;
    double *samples_ms;
    size_t sample_count;
    uint64_t answered, refused;
};

static int64_t
now_us(void)
{
    return clock_mono_us(clock_system());
}

static void
die(const char *what)
{
    perror(what);
    exit(1);
}

static int
connect_to(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void
sample(struct load *load, double ms)
{
    if (load->sample_count < MAX_SAMPLES)
        load->samples_ms[load->sample_count++] = ms;
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double
percentile(struct load *load, double share)
{
    if (load->sample_count == 0)
        return 0;
    return load->samples_ms[(size_t)((double)(load->sample_count - 1) * share)];
}

static int
telegram_request(const struct load *load, int64_t id, char out[REQUEST_BYTES])
{
    long long number = id, chat = 1000000 + id % CHATS;
    char body[512];
    int body_len = snprintf(body, sizeof(body),
                            "{\"update_id\":%lld,\"message\":{\"message_id\":%lld,\"date\":"
                            "1790000000,\"chat\":{\"id\":%lld,\"type\":\"private\",\"first_name\":"
                            "\"Ann\"},\"from\":{\"id\":%lld,\"is_bot\":false,\"first_name\":"
                            "\"Ann\",\"language_code\":\"en\"},\"text\":\"When are you open on "
                            "Saturdays?\"}}",
                            number, number, chat, chat);

    return snprintf(out, REQUEST_BYTES,
                    "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                    "X-Telegram-Bot-Api-Secret-Token: %s\r\nContent-Length: %d\r\n\r\n%s",
                    load->path, load->secret, body_len, body);
}

static int
whatsapp_request(const struct load *load, int64_t id, char out[REQUEST_BYTES])
{
    long long number = id, person = 16500000000 + id % CHATS;
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    char body[1024], hex[2 * sizeof(mac) + 1];
    crypto_auth_hmacsha256_state state;
    int body_len = snprintf(
        body, sizeof(body),
        "{\"object\":\"whatsapp_business_account\",\"entry\":[{\"id\":\"102290129340398\","
        "\"changes\":[{\"field\":\"messages\",\"value\":{\"messaging_product\":\"whatsapp\","
        "\"metadata\":{\"display_phone_number\":\"15550783881\",\"phone_number_id\":"
        "\"106540352242922\"},\"contacts\":[{\"profile\":{\"name\":\"Ann\"},\"wa_id\":"
        "\"%lld\",\"user_id\":\"US.%lld\"}],\"messages\":[{\"from\":\"%lld\","
        "\"from_user_id\":\"US.%lld\",\"id\":\"wamid.HBgL%lld\",\"timestamp\":\"1790000000\","
        "\"type\":\"text\",\"text\":{\"body\":\"When are you open on Saturdays?\"}}]}}]}]}",
        person, person, person, person, number);

    crypto_auth_hmacsha256_init(&state, (const unsigned char *)load->secret, strlen(load->secret));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)body,
                                  (unsigned long long)body_len);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_bin2hex(hex, sizeof(hex), mac, sizeof(mac));
    return snprintf(out, REQUEST_BYTES,
                    "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                    "X-Hub-Signature-256: sha256=%s\r\nContent-Length: %d\r\n\r\n%s",
                    load->path, hex, body_len, body);
}

/* A private message of one of CHATS people, with ids never used before. */
static void
post_update(struct load *load, struct connection *c)
{
    int len = (load->is_whatsapp ? whatsapp_request : telegram_request)(load, load->next_update++,
                                                                        c->request);

    c->answer_len = 0;
    c->sent_us = now_us();
    c->busy = true;
    if (send(c->fd, c->request, (size_t)len, MSG_NOSIGNAL) != len)
        die("send");
}

/* True when a whole answer is there. */
static bool
take_answer(struct load *load, struct connection *c)
{
    ssize_t got = recv(c->fd, c->answer + c->answer_len, ANSWER_BYTES - 1 - c->answer_len, 0);
    char *end, *length;

    if (got <= 0)
        die("the server closed the connection");
    c->answer_len += (size_t)got;
    c->answer[c->answer_len] = '\0';
    end = strstr(c->answer, "\r\n\r\n");
    length = strcasestr(c->answer, "content-length:");
    if (end == NULL || length == NULL ||
        c->answer_len < (size_t)(end + 4 - c->answer) + strtoul(length + 15, NULL, 10))
        return false;
    if (strncmp(c->answer + 9, "200", 3) == 0)
        load->answered++;
    else
        load->refused++;
    c->busy = false;
    return true;
}

static void
open_connections(struct load *load, unsigned count)
{
    unsigned i;

    load->count = count;
    load->connections = calloc(count, sizeof(*load->connections));
    load->samples_ms = malloc(MAX_SAMPLES * sizeof(*load->samples_ms));
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (load->connections == NULL || load->samples_ms == NULL || load->epoll_fd < 0)
        die("open");
    for (i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &load->connections[i]};

        load->connections[i].fd = connect_to(load->port);
        epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, load->connections[i].fd, &event);
    }
}

static int
webhooks(struct load *load, unsigned connections, double seconds)
{
    int64_t start_us, end_us;
    struct epoll_event events[256];
    unsigned i;

    open_connections(load, connections);
    start_us = now_us();
    end_us = start_us + (int64_t)(seconds * 1e6);
    for (i = 0; i < load->count; i++)
        post_update(load, &load->connections[i]);
    while (now_us() < end_us) {
        int ready = epoll_wait(load->epoll_fd, events, 256, 1000), e;

        for (e = 0; e < ready; e++) {
            struct connection *c = events[e].data.ptr;

            if (!take_answer(load, c))
                continue;
            sample(load, (double)(now_us() - c->sent_us) / 1e3);
            post_update(load, c);
        }
    }
    qsort(load->samples_ms, load->sample_count, sizeof(double), by_value);
    printf("{\"per_second\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"refused\":%llu}\n",
           (double)load->answered / ((double)(now_us() - start_us) / 1e6), percentile(load, .5),
           percentile(load, .99), (unsigned long long)load->refused);
    return load->refused == 0 ? 0 : 1;
}

/* --- deliver: this program is also the provider --- */

static _Atomic int64_t posted_us[CHATS], delivered_us[CHATS];
static _Atomic uint64_t delivered;

static void
play_telegram(struct http_request *req, struct http_response *resp, void *context)
{
    char body[4096];
    const char *chat;
    size_t len = req->body.len < sizeof(body) - 1 ? req->body.len : sizeof(body) - 1;

    (void)context;
    memcpy(body, req->body.ptr == NULL ? "" : req->body.ptr, len);
    body[len] = '\0';
    chat = strstr(body, "\"chat_id\":");
    if (str_ends_with(req->path, STR("/sendMessage")) && chat != NULL) {
        long long id = strtoll(chat + 10 + (chat[10] == '"'), NULL, 10) - 1000000;

        if (id >= 0 && id < CHATS) {
            delivered_us[id] = now_us();
            delivered++;
        }
    }
    http_respond(resp, 200, "application/json",
                 STR("{\"ok\":true,\"result\":{\"message_id\":1,\"date\":1790000000,\"chat\":{"
                     "\"id\":1,\"type\":\"private\"}}}"));
}

static struct http_server *
start_provider(unsigned port)
{
    static const struct http_route routes[] = {
        {.method = HTTP_POST, .pattern = "/{path*}", .handler = play_telegram}};
    char listen[32];
    struct http_server_config config = {.listen = listen,
                                        .epoll_threads = 1,
                                        .workers = 4,
                                        .max_queued = 1024,
                                        .max_connections = 1024,
                                        .idle_timeout_s = 60,
                                        .max_body_bytes = 65536};
    struct http_server *server = NULL;
    struct err err;

    snprintf(listen, sizeof(listen), "127.0.0.1:%u", port);
    if (http_server_start(&config, routes, 1, &server, &err) != ST_OK) {
        fprintf(stderr, "provider: %s\n", err.detail);
        exit(1);
    }
    return server;
}

static struct connection *
idle_connection(struct load *load)
{
    unsigned i;

    for (i = 0; i < load->count; i++)
        if (!load->connections[i].busy)
            return &load->connections[i];
    return NULL;
}

/* Sleeps meanwhile: a client that spins would take a core from the server. */
static void
take_answers(struct load *load, int64_t timeout_us)
{
    struct epoll_event events[256];
    struct timespec timeout = {timeout_us / US_PER_S, timeout_us % US_PER_S * 1000};
    int ready = epoll_pwait2(load->epoll_fd, events, 256, &timeout, NULL), e;

    for (e = 0; e < ready; e++)
        (void)take_answer(load, events[e].data.ptr);
}

/* Every chat once in a turn: its sample is taken before its next message is posted. */
static void
collect(struct load *load, int64_t chat)
{
    if (posted_us[chat] > 0 && delivered_us[chat] >= posted_us[chat])
        sample(load, (double)(delivered_us[chat] - posted_us[chat]) / 1e3);
    posted_us[chat] = 0;
}

static int
deliver(struct load *load, unsigned rate, double seconds, unsigned provider_port)
{
    struct http_server *provider = start_provider(provider_port);
    uint64_t total = (uint64_t)((double)rate * seconds), sent = 0;
    int64_t start_us, deadline_us, chat;

    open_connections(load, 32);
    start_us = now_us();
    while (sent < total) {
        int64_t due_us = start_us + (int64_t)((double)sent * 1e6 / rate);
        struct connection *c = idle_connection(load);
        int64_t wait_us = due_us - now_us();

        if (c == NULL || wait_us > 0) {
            take_answers(load, c == NULL ? 10 * US_PER_MS : wait_us);
            continue;
        }
        chat = load->next_update % CHATS;
        collect(load, chat);
        posted_us[chat] = now_us();
        post_update(load, c);
        sent++;
    }
    deadline_us = now_us() + 30 * US_PER_S;
    while (delivered < total && now_us() < deadline_us)
        take_answers(load, 5 * US_PER_MS);
    for (chat = 0; chat < CHATS; chat++)
        collect(load, chat);
    qsort(load->samples_ms, load->sample_count, sizeof(double), by_value);
    printf("{\"sent\":%llu,\"delivered\":%llu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
           (unsigned long long)sent, (unsigned long long)delivered, percentile(load, .5),
           percentile(load, .99), percentile(load, 1.0));
    http_server_stop(&provider, 2000);
    return delivered >= total ? 0 : 1;
}

static int
provide(unsigned port, uint64_t total)
{
    struct http_server *provider = start_provider(port);
    const struct timespec pause = {0, 2000000};

    while (delivered < total)
        (void)nanosleep(&pause, NULL);
    printf("{\"delivered\":%llu}\n", (unsigned long long)delivered);
    http_server_stop(&provider, 2000);
    return 0;
}

/* --- streams --- */

static long
resident_bytes(const char *pid)
{
    char path[64], line[256];
    long kilobytes = -1;
    FILE *status;

    snprintf(path, sizeof(path), "/proc/%.20s/status", pid);
    status = fopen(path, "r");
    if (status == NULL)
        die(path);
    while (fgets(line, sizeof(line), status) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kilobytes = strtol(line + 6, NULL, 10);
    (void)fclose(status);
    return kilobytes * 1024;
}

/* The head has come and, when it says how long the body is, so has that. */
static bool
is_whole(const char *answer, size_t len)
{
    const char *body = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "content-length:");

    if (body == NULL)
        return false;
    return length == NULL || length > body ||
           len >= (size_t)(body + 4 - answer) + strtoul(length + 15, NULL, 10);
}

/* One request on a connection; the answer up to what a buffer holds. */
static const char *
ask(int fd, const char *request, char answer[ANSWER_BYTES])
{
    size_t len = 0;

    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        die("send");
    for (;;) {
        ssize_t got = recv(fd, answer + len, ANSWER_BYTES - 1 - len, 0);

        if (got <= 0)
            die("the server closed the connection");
        len += (size_t)got;
        answer[len] = '\0';
        if (is_whole(answer, len))
            return answer;
    }
}

static void
open_stream(unsigned port, const char *channel, int session_fd)
{
    char request[REQUEST_BYTES], answer[ANSWER_BYTES], token[512];
    const char *start;
    size_t len;
    int fd;

    snprintf(request, sizeof(request),
             "POST /v1/webchat/%s/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
             "application/json\r\nContent-Length: 2\r\n\r\n{}",
             channel);
    start = strstr(ask(session_fd, request, answer), "\"token\":\"");
    if (start == NULL)
        start = strstr(answer, "\"token\": \"");
    if (start == NULL) {
        fprintf(stderr, "no session: %s\n", answer);
        exit(1);
    }
    start = strchr(start + 8, '"') + 1;
    len = strcspn(start, "\"");
    snprintf(token, sizeof(token), "%.*s", (int)len, start);
    fd = connect_to(port);
    snprintf(request, sizeof(request),
             "GET /v1/webchat/%s/events?token=%s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: "
             "text/event-stream\r\n\r\n",
             channel, token);
    if (strstr(ask(fd, request, answer), "text/event-stream") == NULL) {
        fprintf(stderr, "no stream: %s\n", answer);
        exit(1);
    }
}

static int
streams(unsigned port, const char *channel, unsigned count, const char *pid)
{
    int session_fd = connect_to(port);
    long before, after;
    unsigned i;

    for (i = 0; i < 10; i++) /* what the first ones cost is not each one's */
        open_stream(port, channel, session_fd);
    before = resident_bytes(pid);
    for (i = 0; i < count; i++)
        open_stream(port, channel, session_fd);
    after = resident_bytes(pid);
    printf("{\"streams\":%u,\"bytes_each\":%.0f,\"resident_bytes\":%ld}\n", count,
           (double)(after - before) / count, after);
    return 0;
}

int
main(int argc, char **argv)
{
    struct load load = {.count = 0};
    struct id_text seed = id_new();

    /* Never the ids of an earlier run on the same data. */
    load.next_update = id_time_ms(&seed) * 1000;
    load.is_whatsapp = argc > 1 && strcmp(argv[1], "whatsapp") == 0;
    if (argc == 7 && (load.is_whatsapp || strcmp(argv[1], "webhooks") == 0)) {
        load.port = (unsigned)strtoul(argv[2], NULL, 10);
        load.path = argv[3];
        load.secret = argv[4];
        return webhooks(&load, (unsigned)strtoul(argv[5], NULL, 10), strtod(argv[6], NULL));
    }
    if (argc == 8 && strcmp(argv[1], "deliver") == 0) {
        load.port = (unsigned)strtoul(argv[2], NULL, 10);
        load.path = argv[3];
        load.secret = argv[4];
        return deliver(&load, (unsigned)strtoul(argv[5], NULL, 10), strtod(argv[6], NULL),
                       (unsigned)strtoul(argv[7], NULL, 10));
    }
    if (argc == 4 && strcmp(argv[1], "provider") == 0)
        return provide((unsigned)strtoul(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    if (argc == 6 && strcmp(argv[1], "streams") == 0)
        return streams((unsigned)strtoul(argv[2], NULL, 10), argv[3],
                       (unsigned)strtoul(argv[4], NULL, 10), argv[5]);
    fputs("load webhooks|whatsapp|deliver|provider|streams ...: see the head of bench/load.c\n",
          stderr);
    return 2;
}
