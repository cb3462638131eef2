/*
 * channel_test_support.c - records, webhooks and providers for the tests of this folder
 *
 * channel_record_ref and _unref are here in place of the tenant folder's: these tests need records
 * and no store.
 */
#include "channel/channel_test_support.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/thread.h"
#include "channel/openid.h"
#include "text/json.h"

#define ARENA_BYTES (16 * 1024 * 1024)
#define REQUESTS_MAX 256
#define HEADERS_MAX 4
#define QUEUE_MAX 64

/* --- records --- */

struct counted_record {
    struct channel_record record; /* first */
    _Atomic int refs;
};

static _Atomic int records_alive;

struct channel_record *
test_record(const char *source, const char *settings, const char *credentials)
{
    struct counted_record *counted = calloc(1, sizeof *counted);

    assert_non_null(counted);
    counted->refs = 1;
    records_alive++;
    counted->record.id = ID_NEW(channel_id);
    counted->record.organization_id = ID_NEW(organization_id);
    counted->record.source = str_from_c(source);
    counted->record.name = STR("test channel");
    counted->record.status = STR("active");
    counted->record.settings = json_loads(settings, 0, NULL);
    counted->record.credentials = json_loads(credentials, 0, NULL);
    counted->record.revision = 1;
    assert_non_null(counted->record.settings);
    assert_non_null(counted->record.credentials);
    return &counted->record;
}

const struct channel_record *
channel_record_ref(const struct channel_record *record)
{
    struct counted_record *counted = (struct counted_record *)(uintptr_t)record;

    counted->refs++;
    return record;
}

void
channel_record_unref(const struct channel_record **record)
{
    struct counted_record *counted = (struct counted_record *)(uintptr_t)*record;

    *record = NULL;
    if (counted == NULL || --counted->refs > 0)
        return;
    json_decref((json_t *)(uintptr_t)counted->record.settings);
    json_decref((json_t *)(uintptr_t)counted->record.credentials);
    free(counted);
    records_alive--;
}

void
test_record_release(struct channel_record **record)
{
    const struct channel_record *reference = *record;

    *record = NULL;
    channel_record_unref(&reference);
}

int
test_records_alive(void)
{
    return records_alive;
}

/* --- environment --- */

void
test_env_init(struct test_env *env)
{
    const struct channel_driver *drivers[32] = {&channel_driver_fake, &channel_driver_failing,
                                                &channel_driver_recording};
    size_t count = 3;
    const struct http_client_config http = {.allow_private_addresses = true};
    struct err err;

    for (size_t i = 0; channel_drivers_built_in[i] != NULL; i++)
        drivers[count++] = channel_drivers_built_in[i];
    assert_true(count < sizeof drivers / sizeof drivers[0]);
    env->clock = clock_create_manual(TEST_WALL_US);
    assert_int_equal(http_client_create(&http, &env->http, &err), ST_OK);
    env->openid = openid_create(env->http, env->clock);
    env->env = (struct channel_env){.http = env->http, .clock = env->clock, .openid = env->openid};
    env->arena = arena_create(ARENA_BYTES);
    assert_int_equal(channel_registry_create(&env->env, NULL, drivers, &env->registry, &err),
                     ST_OK);
}

void
test_env_deinit(struct test_env *env)
{
    channel_registry_destroy(&env->registry);
    openid_destroy(&env->openid);
    arena_destroy(&env->arena);
    http_client_destroy(&env->http);
    clock_destroy(&env->clock);
    assert_int_equal(test_records_alive(), 0);
}

static void
set(json_t *object, const char *key, struct str value)
{
    json_set_str(object, key, value.ptr == NULL ? STR("") : value);
}

json_t *
test_inbound_json(const struct inbound *item)
{
    json_t *json = json_object();

    set(json, "kind", item->kind == INBOUND_MESSAGE ? STR("message") : STR("event"));
    set(json, "external_message_id", item->external_message_id);
    set(json, "external_user_id", item->external_user_id);
    set(json, "external_chat_id", item->external_chat_id);
    set(json, "text", item->text);
    json_set_int(json, "timestamp_us", item->timestamp_us);
    set(json, "display_name", item->display_name);
    set(json, "locale", item->locale);
    json_set_bool(json, "wants_answer", item->wants_answer);
    json_set_bool(json, "starts_new_conversation", item->starts_new_conversation);
    set(json, "event_kind", item->event_kind);
    set(json, "external_event_id", item->external_event_id);
    set(json, "about_external_message_id", item->about_external_message_id);
    set(json, "new_external_chat_id", item->new_external_chat_id);
    set(json, "acknowledge", item->acknowledge);
    set(json, "raw", item->raw);
    json_set_int(json, "delivery_state", item->delivery_state);
    set(json, "delivery_reason", item->delivery_reason);
    set(json, "reference", item->reference);
    json_set(json, "metadata", json_deep_copy(item->metadata));
    return json;
}

void
test_assert_contains(const char *name, const json_t *want, const json_t *got)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)(uintptr_t)want, key, value) {
        const json_t *found = json_object_get(got, key);

        if (json_is_null(value) ? found == NULL : json_equal(value, found))
            continue;
        if (json_is_object(value) && json_is_object(found) &&
            (strcmp(key, "metadata") == 0 || strcmp(key, "email") == 0)) {
            test_assert_contains(name, value, found);
            continue;
        }
        char *want_text = json_dumps(value, JSON_ENCODE_ANY);
        char *got_text = found == NULL ? NULL : json_dumps(found, JSON_ENCODE_ANY);
        fail_msg("%s: %s is %s, want %s", name, key, got_text, want_text);
    }
}

/* --- servers --- */

static struct http_server *
start_server(const struct http_route *routes, size_t count, void *context)
{
    const struct http_server_config config = {.listen = "127.0.0.1:0",
                                              .epoll_threads = 1,
                                              .workers = 4,
                                              .max_queued = 64,
                                              .max_connections = 64,
                                              .idle_timeout_s = 30,
                                              .max_body_bytes = 1024 * 1024,
                                              .context = context};
    struct http_server *server;
    struct err err;

    if (http_server_start(&config, routes, count, &server, &err) != ST_OK)
        fail_msg("test server: %s", err.detail);
    return server;
}

struct test_hook {
    struct test_env *env;
    struct http_server *server;
    const struct channel_record *record; /* of the post under way */
    struct test_hook_result result;
};

static void
hook_handler(struct http_request *request, struct http_response *response, void *context)
{
    struct test_hook *hook = context;
    struct test_hook_result *result = &hook->result;
    const struct webhook webhook = {.body = request->body, .request = request};
    struct channel_verification verification = {
        .registry = hook->env->registry, .webhook = &webhook, .arena = request->arena};
    struct channel *channel = NULL;
    struct inbound_batch batch;
    struct err err = {.code = ST_OK};

    result->verified = channel_verify(hook->record, &verification, &err);
    result->is_handshake = result->verified == ST_OK && verification.is_handshake;
    if (result->is_handshake) {
        result->reply = verification.reply;
        result->reply.body = arena_str(hook->env->arena, verification.reply.body);
    } else if (result->verified == ST_OK &&
               channel_acquire(hook->env->registry, hook->record, &channel, &err) == ST_OK) {
        result->parsed = channel_parse(channel, &webhook, request->arena, &batch, &err);
        if (result->parsed == ST_OK) {
            result->items = json_array();
            for (size_t i = 0; i < batch.count; i++)
                json_array_append_new(result->items, test_inbound_json(&batch.items[i]));
        }
        inbound_batch_deinit(&batch);
    }
    channel_release(&channel);
    memcpy(result->detail, err.detail, sizeof result->detail);
    http_respond(response, 200, "text/plain", STR("seen"));
}

struct test_hook *
test_hook_start(struct test_env *env)
{
    static const struct http_route routes[] = {
        {.method = HTTP_POST, .pattern = "/hook", .handler = hook_handler},
        {.method = HTTP_GET, .pattern = "/hook", .handler = hook_handler}};
    struct test_hook *hook = calloc(1, sizeof *hook);

    assert_non_null(hook);
    hook->env = env;
    hook->server = start_server(routes, 2, hook);
    return hook;
}

void
test_hook_stop(struct test_hook **hook)
{
    http_server_stop(&(*hook)->server, 5000);
    free(*hook);
    *hook = NULL;
}

static void
call_hook(struct test_hook *hook, const struct channel_record *record, const char *target,
          struct http_call *call, struct test_hook_result *result_out)
{
    struct http_reply reply;
    struct err err;

    call->url = arena_printf(hook->env->arena, "http://127.0.0.1:%u%s",
                             http_server_port(hook->server), target);
    call->deadline_ms = 10000;
    hook->record = record;
    hook->result = (struct test_hook_result){.verified = ST_INTERNAL, .parsed = ST_INTERNAL};
    if (http_client_call(hook->env->http, call, hook->env->arena, &reply, &err) != ST_OK)
        fail_msg("calling a webhook: %s", err.detail);
    assert_int_equal(reply.status, 200);
    *result_out = hook->result;
}

void
test_hook_post(struct test_hook *hook, const struct channel_record *record, const char *target,
               const struct http_header *headers, size_t header_count, struct str body,
               struct test_hook_result *result_out)
{
    struct http_call call = {
        .method = "POST", .headers = headers, .header_count = header_count, .body = body};

    call_hook(hook, record, target, &call, result_out);
}

void
test_hook_get(struct test_hook *hook, const struct channel_record *record, const char *target,
              struct test_hook_result *result_out)
{
    struct http_call call = {.method = "GET"};

    call_hook(hook, record, target, &call, result_out);
}

/* --- provider --- */

struct test_provider {
    struct http_server *server;
    pthread_mutex_t lock; /* guards all below */
    struct test_answer otherwise, queue[QUEUE_MAX];
    size_t queue_at, queue_len, count;
    struct http_header headers[HEADERS_MAX];
    size_t header_count;
    struct {
        struct arena *arena; /* holds the request */
        struct test_request request;
    } requests[REQUESTS_MAX];
};

static struct str
copy_header(struct arena *arena, const struct http_request *request, const char *name)
{
    return arena_str(arena, http_request_header(request, name));
}

/* The lock is held. */
static void
remember(struct test_provider *provider, const struct http_request *request)
{
    struct arena *arena = arena_create(ARENA_BYTES);

    provider->requests[provider->count].arena = arena;
    provider->requests[provider->count].request = (struct test_request){
        .method = arena_str(arena, str_from_c(http_method_name(request->method))),
        .path = arena_str(arena, request->path),
        .query = arena_str(arena, http_request_query_text(request)),
        .body = arena_str(arena, request->body),
        .authorization = copy_header(arena, request, "Authorization"),
        .content_type = copy_header(arena, request, "Content-Type"),
    };
    provider->count++;
}

static void
provider_handler(struct http_request *request, struct http_response *response, void *context)
{
    struct test_provider *provider = context;

    pthread_mutex_lock(&provider->lock);
    struct test_answer answer = provider->queue_at < provider->queue_len
                                    ? provider->queue[provider->queue_at++]
                                    : provider->otherwise;
    assert_true(provider->count < REQUESTS_MAX);
    remember(provider, request);
    for (size_t i = 0; i < provider->header_count; i++)
        http_respond_header(response, provider->headers[i].name, provider->headers[i].value);
    pthread_mutex_unlock(&provider->lock);
    if (answer.retry_after != NULL)
        http_respond_header(response, "Retry-After", str_from_c(answer.retry_after));
    http_respond(response, answer.status, "application/json", str_from_c(answer.body));
}

struct test_provider *
test_provider_start(struct test_answer otherwise)
{
    static const struct http_route routes[] = {
        {.method = HTTP_POST, .pattern = "/{path*}", .handler = provider_handler},
        {.method = HTTP_PUT, .pattern = "/{path*}", .handler = provider_handler},
        {.method = HTTP_DELETE, .pattern = "/{path*}", .handler = provider_handler},
        {.method = HTTP_GET, .pattern = "/{path*}", .handler = provider_handler}};
    struct test_provider *provider = calloc(1, sizeof *provider);

    assert_non_null(provider);
    pthread_mutex_init(&provider->lock, NULL);
    provider->otherwise = otherwise;
    provider->server = start_server(routes, sizeof routes / sizeof routes[0], provider);
    return provider;
}

void
test_provider_forget(struct test_provider *provider)
{
    pthread_mutex_lock(&provider->lock);
    for (size_t i = 0; i < provider->count; i++)
        arena_destroy(&provider->requests[i].arena);
    provider->count = provider->queue_at = provider->queue_len = 0;
    pthread_mutex_unlock(&provider->lock);
}

void
test_provider_stop(struct test_provider **provider)
{
    http_server_stop(&(*provider)->server, 5000);
    test_provider_forget(*provider);
    pthread_mutex_destroy(&(*provider)->lock);
    free(*provider);
    *provider = NULL;
}

unsigned
test_provider_port(const struct test_provider *provider)
{
    return http_server_port(provider->server);
}

void
test_provider_queue(struct test_provider *provider, struct test_answer answer)
{
    pthread_mutex_lock(&provider->lock);
    assert_true(provider->queue_len < QUEUE_MAX);
    provider->queue[provider->queue_len++] = answer;
    pthread_mutex_unlock(&provider->lock);
}

size_t
test_provider_count(struct test_provider *provider)
{
    pthread_mutex_lock(&provider->lock);
    size_t count = provider->count;
    pthread_mutex_unlock(&provider->lock);
    return count;
}

json_t *
test_provider_request(struct test_provider *provider, size_t index, struct arena *arena,
                      struct str *path_out)
{
    struct test_request got = test_provider_got(provider, index, arena);
    json_t *body =
        got.body.len == 0 ? json_null() : json_loadb(got.body.ptr, got.body.len, 0, NULL);

    if (path_out != NULL)
        *path_out = got.path;
    assert_non_null(body);
    return body;
}

struct test_request
test_provider_got(struct test_provider *provider, size_t index, struct arena *arena)
{
    pthread_mutex_lock(&provider->lock);
    if (index >= provider->count)
        fail_msg("the provider got %zu requests, not %zu", provider->count, index + 1);
    const struct test_request *kept = &provider->requests[index].request;
    const struct test_request got = {
        arena_str(arena, kept->method),        arena_str(arena, kept->path),
        arena_str(arena, kept->query),         arena_str(arena, kept->body),
        arena_str(arena, kept->authorization), arena_str(arena, kept->content_type)};
    pthread_mutex_unlock(&provider->lock);
    return got;
}

void
test_provider_header(struct test_provider *provider, const char *name, const char *value)
{
    pthread_mutex_lock(&provider->lock);
    size_t at = 0;
    while (at < provider->header_count && strcmp(provider->headers[at].name, name) != 0)
        at++;
    assert_true(at < HEADERS_MAX);
    provider->headers[at] = (struct http_header){.name = name, .value = str_from_c(value)};
    if (at == provider->header_count)
        provider->header_count++;
    pthread_mutex_unlock(&provider->lock);
}

const char *
test_provider_authorization(struct test_provider *provider, size_t index)
{
    pthread_mutex_lock(&provider->lock);
    assert_true(index < provider->count);
    const char *authorization = provider->requests[index].request.authorization.ptr;
    pthread_mutex_unlock(&provider->lock);
    return authorization;
}

/* --- a listener without answers --- */

struct test_hanger {
    int fd;
    unsigned port;
    pthread_t thread;
};

static int
listen_on_free_port(unsigned *port_out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port_out = ntohs(address.sin_port);
    return fd;
}

static void *
hanger_run(void *arg)
{
    struct test_hanger *hanger = arg;
    char bytes[65536];
    int fd;

    while ((fd = accept(hanger->fd, NULL, NULL)) >= 0) {
        ssize_t got = read(fd, bytes, sizeof bytes);

        (void)got;
        close(fd);
    }
    return NULL;
}

struct test_hanger *
test_hanger_start(void)
{
    struct test_hanger *hanger = calloc(1, sizeof *hanger);
    struct err err;

    assert_non_null(hanger);
    hanger->fd = listen_on_free_port(&hanger->port);
    assert_int_equal(thread_start("hanger", hanger_run, hanger, &hanger->thread, &err), ST_OK);
    return hanger;
}

unsigned
test_hanger_port(const struct test_hanger *hanger)
{
    return hanger->port;
}

void
test_hanger_stop(struct test_hanger **hanger)
{
    shutdown((*hanger)->fd, SHUT_RDWR);
    pthread_join((*hanger)->thread, NULL);
    close((*hanger)->fd);
    free(*hanger);
    *hanger = NULL;
}

unsigned
test_closed_port(void)
{
    unsigned port;

    close(listen_on_free_port(&port));
    return port;
}
