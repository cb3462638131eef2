/*
 * channel_conformance.c - the suite itself
 */
#include "channel/channel_conformance.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/json.h"
#include "text/text.h"

#define LONG_TEXT_BYTES 60000
#define RESTED_US (3600 * US_PER_S)
#define SHARING_THREADS 8
#define SHARING_ROUNDS 200

struct run {
    const struct channel_conformance *suite;
    struct test_env env;
    struct test_hook *hook;
    struct test_provider *provider; /* NULL: none is called */
    char *settings, *chat;
    struct channel_record *record;
    struct channel *channel;
};

/* With every "%u" replaced. */
static char *
with_port(const char *text, unsigned port)
{
    char *out = strdup(text == NULL ? "" : text);

    for (char *mark; (mark = strstr(out, "%u")) != NULL;) {
        char *longer = NULL;

        assert_true(asprintf(&longer, "%.*s%u%s", (int)(mark - out), out, port, mark + 2) > 0);
        free(out);
        out = longer;
    }
    return out;
}

static struct channel *
open_or_fail(struct run *run, const struct channel_record *record)
{
    struct channel *channel;
    struct err err;

    if (channel_acquire(run->env.registry, record, &channel, &err) != ST_OK)
        fail_msg("%s: %s", run->suite->driver->source, err.detail);
    return channel;
}

static struct channel_record *
new_record(const struct run *run)
{
    struct channel_record *record =
        test_record(run->suite->driver->source, run->settings, run->suite->credentials);

    record->account = str_from_c(run->suite->account);
    return record;
}

/* A fresh channel at rest, so that pacing of earlier sends does not matter. */
static void
reopen(struct run *run)
{
    struct channel_record *newer = new_record(run);

    newer->id = run->record->id;
    newer->revision = run->record->revision + 1;
    clock_advance_us(run->env.clock, RESTED_US);
    channel_release(&run->channel);
    test_record_release(&run->record);
    run->record = newer;
    run->channel = open_or_fail(run, run->record);
}

/* --- settings --- */

static enum status
check(struct run *run, const char *settings, const char *credentials, struct channel_spec *spec,
      struct err *err)
{
    json_t *given_settings = json_loads(settings, 0, NULL);
    json_t *given_credentials = json_loads(credentials, 0, NULL);

    assert_non_null(given_settings);
    assert_non_null(given_credentials);
    *spec = (struct channel_spec){.source = str_from_c(run->suite->driver->source),
                                  .settings = given_settings,
                                  .credentials = given_credentials};
    enum status st = channel_check_spec(run->env.registry, spec, run->env.arena, err);
    if (st != ST_OK) {
        /* A refusal leaves the spec alone, and says something that a person can use. */
        assert_ptr_equal(spec->settings, given_settings);
        assert_ptr_equal(spec->credentials, given_credentials);
        assert_true(strlen(err->public_text) > 0);
        if (run->suite->secret != NULL)
            assert_null(strstr(err->public_text, run->suite->secret));
    }
    json_decref(given_settings);
    json_decref(given_credentials);
    return st;
}

static void
test_spec(struct run *run)
{
    static const char *const bad_everywhere[] = {"{\"no_such_setting\": 1}",
                                                 "{\"burst_window_ms\": \"2\"}",
                                                 "{\"burst_window_ms\": -1}",
                                                 "{\"burst_window_ms\": 600001}",
                                                 "{\"on_uncertain\": \"perhaps\"}",
                                                 "{\"on_uncertain\": true}",
                                                 "{\"on_person_echo\": \"never\"}",
                                                 "{\"window_template\": {}}",
                                                 "{\"window_template\": \"hello\"}",
                                                 "{\"window_template\": {\"name\": 1}}",
                                                 "{\"window_template\": {\"name\": \"x\", "
                                                 "\"parameters\": [1]}}",
                                                 NULL};
    const struct channel_conformance *suite = run->suite;
    struct channel_spec spec;
    struct err err;

    if (check(run, run->settings, suite->credentials, &spec, &err) != ST_OK)
        fail_msg("own settings refused: %s", err.public_text);
    assert_true(str_eq_c(spec.account, suite->account));
    channel_spec_deinit(&spec);
    for (size_t i = 0; bad_everywhere[i] != NULL; i++)
        if (check(run, bad_everywhere[i], suite->credentials, &spec, &err) != ST_INVALID)
            fail_msg("settings accepted: %s", bad_everywhere[i]);
    for (size_t i = 0; suite->bad_settings[i] != NULL; i++)
        if (check(run, suite->bad_settings[i], suite->credentials, &spec, &err) != ST_INVALID)
            fail_msg("settings accepted: %s", suite->bad_settings[i]);
    for (size_t i = 0; suite->bad_credentials[i] != NULL; i++)
        if (check(run, run->settings, suite->bad_credentials[i], &spec, &err) != ST_INVALID)
            fail_msg("credentials accepted: %s", suite->bad_credentials[i]);
    assert_int_equal(check(run, run->settings, "{\"no_such_credential\": \"x\"}", &spec, &err),
                     ST_INVALID);
}

/* What the driver makes itself makes a channel that opens, and is made anew each time. */
static void
test_made_credentials(struct run *run)
{
    const struct channel_conformance *suite = run->suite;
    struct channel_spec spec, again;
    struct err err;

    assert_int_equal(check(run, run->settings, suite->bare_credentials, &spec, &err), ST_OK);
    assert_int_equal(check(run, run->settings, suite->bare_credentials, &again, &err), ST_OK);
    if (strcmp(suite->bare_credentials, suite->credentials) != 0)
        assert_false(json_equal(spec.credentials, again.credentials));
    struct str text = json_text(spec.credentials, run->env.arena);
    struct channel_record *record =
        test_record(suite->driver->source, run->settings, arena_cstr(run->env.arena, text));
    struct channel *channel = open_or_fail(run, record);

    channel_release(&channel);
    test_record_release(&record);
    channel_spec_deinit(&spec);
    channel_spec_deinit(&again);
}

static void
test_settings_of_all(struct run *run)
{
    json_auto_t *settings = json_loads(run->settings, 0, NULL);

    json_set_int(settings, "burst_window_ms", 1234);
    json_set_str(settings, "on_uncertain", STR("resend"));
    struct str text = json_text(settings, run->env.arena);
    struct channel_record *record = test_record(
        run->suite->driver->source, arena_cstr(run->env.arena, text), run->suite->credentials);
    struct channel *channel = open_or_fail(run, record);

    assert_int_equal(channel_burst_window_ms(channel), 1234);
    assert_true(channel_resends_uncertain(channel));
    assert_int_equal(channel_burst_window_ms(run->channel), run->suite->driver->burst_window_ms);
    assert_false(channel_resends_uncertain(run->channel));
    assert_ptr_equal(channel_record(channel), record);
    channel_release(&channel);
    test_record_release(&record);
}

/* --- verification --- */

static enum status
post(struct run *run, const struct channel_record *record, const char *body, int forge,
     json_t **items_out)
{
    struct conformance_proof proof = {.target = "/hook"};
    struct test_hook_result result;

    *items_out = NULL;
    if (!run->suite->prove(record, &run->env, str_from_c(body), forge, &proof))
        return ST_INTERNAL;
    test_hook_post(run->hook, record, proof.target, proof.headers, proof.header_count,
                   proof.body.len > 0 ? proof.body : str_from_c(body), &result);
    if (run->suite->secret != NULL)
        assert_null(strstr(result.detail, run->suite->secret));
    *items_out = result.items;
    return result.verified != ST_OK ? result.verified : result.parsed;
}

static void
test_verification(struct run *run)
{
    const struct channel_conformance *suite = run->suite;
    json_t *items;
    int forge = 1;

    assert_int_equal(post(run, run->record, suite->message, 0, &items), ST_OK);
    json_decref(items);
    for (;; forge++) {
        enum status st = post(run, run->record, suite->message, forge, &items);

        assert_null(items);
        if (st == ST_INTERNAL)
            break;
        if (st != ST_DENIED)
            fail_msg("forgery %d: %s", forge, status_name(st));
    }
    assert_true(forge > 2);

    /* Bytes without a request are proven by how they were fetched, never by verify. */
    const struct webhook polled = {.body = str_from_c(suite->message)};
    struct channel_verification verification = {.registry = run->env.registry, .webhook = &polled};
    struct err err;
    assert_int_equal(channel_verify(run->record, &verification, &err), ST_DENIED);

    /* Whoever only looks gets nothing: a GET is a handshake with its own proof, or refused. */
    struct test_hook_result looked;
    test_hook_get(run->hook, run->record, "/hook", &looked);
    assert_int_equal(looked.verified, ST_DENIED);
    assert_false(looked.is_handshake);

    struct channel_record *unsafe =
        test_record(suite->driver->source, run->settings, suite->unsafe_credentials);
    struct channel *channel;

    assert_int_not_equal(channel_acquire(run->env.registry, unsafe, &channel, &err), ST_OK);
    assert_null(channel);
    for (int way = 0; way < forge; way++) {
        assert_int_equal(post(run, unsafe, suite->message, way, &items), ST_DENIED);
        assert_null(items);
    }
    test_record_release(&unsafe);
}

/* --- parsing --- */

static void
assert_whole(const json_t *item)
{
    static const char *const always[] = {"external_message_id", "external_user_id",
                                         "external_chat_id"};

    if (strcmp(json_string_value(json_object_get(item, "kind")), "message") == 0) {
        for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
            assert_true(json_get_str(item, always[i]).len > 0);
        assert_true(json_get_str(json_get_object(item, "metadata"), "raw_kind").len > 0);
    } else {
        assert_true(json_get_str(item, "event_kind").len > 0);
        assert_true(json_get_str(item, "external_event_id").len > 0);
        assert_true(json_get_str(item, "raw").len > 0);
        assert_int_equal(json_get_str(item, "external_message_id").len, 0);
        assert_false(json_get_bool(item, "wants_answer", true));
    }
    assert_true(json_is_object(json_object_get(item, "metadata")));
    assert_true(json_get_int(item, "timestamp_us", 0) > 0);
}

static json_t *
parse_one(struct run *run, const struct channel_record *record, const char *body)
{
    json_t *items;
    enum status st = post(run, record, body, 0, &items);

    if (st != ST_OK)
        fail_msg("%s: %s", body, status_name(st));
    assert_int_equal(json_array_size(items), 1);
    json_t *item = json_incref(json_array_get(items, 0));

    json_decref(items);
    assert_whole(item);
    return item;
}

static void
assert_refused(struct run *run, struct str body, bool may_be_valid)
{
    struct conformance_proof proof = {.target = "/hook"};
    struct test_hook_result result;

    assert_true(run->suite->prove(run->record, &run->env, body, 0, &proof));
    test_hook_post(run->hook, run->record, proof.target, proof.headers, proof.header_count,
                   proof.body.len > 0 ? proof.body : body, &result);
    assert_int_equal(result.verified, ST_OK);
    if (may_be_valid && result.parsed == ST_OK) {
        json_decref(result.items);
        return;
    }
    assert_null(result.items);
    if (result.parsed != ST_INVALID && result.parsed != ST_TOO_LARGE)
        fail_msg("%.*s: %s", STR_ARG(body), status_name(result.parsed));
}

static void
test_parsing(struct run *run)
{
    static const char *const broken[] = {"",
                                         "{",
                                         "[]",
                                         "null",
                                         "\"text\"",
                                         "{\"a\":1}",
                                         "{}{}",
                                         "{\"a\":\"\xff\"}",
                                         "\xef\xbb\xbf{}",
                                         "not json"};
    const struct channel_conformance *suite = run->suite;
    json_t *first = parse_one(run, run->record, suite->message);
    json_t *again = parse_one(run, run->record, suite->message);
    json_t *second = parse_one(run, run->record, suite->other_message);

    assert_int_equal(strcmp(json_string_value(json_object_get(first, "kind")), "message"), 0);
    assert_true(json_equal(first, again));
    assert_true(json_get_bool(first, "wants_answer", false));
    assert_false(str_eq(json_get_str(first, "external_message_id"),
                        json_get_str(second, "external_message_id")));
    assert_true(
        str_eq(json_get_str(first, "external_user_id"), json_get_str(second, "external_user_id")));

    /* The same bytes for another account are another message. */
    struct channel_record *other =
        test_record(suite->driver->source, run->settings, suite->other_credentials);
    json_t *elsewhere = parse_one(run, other, suite->message);

    assert_false(str_eq(json_get_str(first, "external_message_id"),
                        json_get_str(elsewhere, "external_message_id")));
    test_record_release(&other);
    json_decref(first);
    json_decref(again);
    json_decref(second);
    json_decref(elsewhere);

    if (suite->event != NULL) {
        json_t *event = parse_one(run, run->record, suite->event);

        assert_int_equal(strcmp(json_string_value(json_object_get(event, "kind")), "event"), 0);
        json_decref(event);
    }
    if (suite->unknown != NULL) {
        json_t *unknown = parse_one(run, run->record, suite->unknown);

        assert_true(str_eq_c(json_get_str(unknown, "event_kind"), "unknown"));
        assert_true(str_eq_c(json_get_str(unknown, "raw"), suite->unknown));
        json_decref(unknown);
    }
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_refused(run, str_from_c(broken[i]), false);
    for (size_t cut = 1; cut < strlen(suite->message); cut++)
        assert_refused(run, str_sub(str_from_c(suite->message), 0, cut), suite->is_form);
}

/* --- parts --- */

static struct str
long_text(struct arena *arena)
{
    static const char *const pieces[] = {
        "A short one. ", "Ein zweiter Satz mit Umlauten äöü! ", "絵文字も数える😀😀。", "\n\n",
        "word ",         "unbrokenunbrokenunbrokenunbroken"};
    char *out = arena_alloc(arena, LONG_TEXT_BYTES + 64);
    size_t at = 0;

    for (unsigned i = 0; at < LONG_TEXT_BYTES; i = i * 5 + 1) {
        const char *piece = pieces[(i / 7) % (sizeof pieces / sizeof pieces[0])];
        size_t length = strlen(piece);

        memcpy(out + at, piece, length);
        at += length;
    }
    return str_of(out, at);
}

/* The bytes of s that are not white space, in order: splitting may drop nothing else. */
static void
append_dense(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != ' ' && s.ptr[i] != '\n')
            buf_append_byte(out, s.ptr[i]);
}

static void
test_splitting(struct run *run)
{
    struct str text = long_text(run->env.arena), *parts;
    struct buf before, after;
    size_t count = channel_split(run->channel, text, run->env.arena, &parts);

    buf_init(&before, 2 * LONG_TEXT_BYTES);
    buf_init(&after, 2 * LONG_TEXT_BYTES);
    append_dense(&before, text);
    assert_true(count >= 1);
    for (size_t i = 0; i < count; i++) {
        assert_true(parts[i].len > 0);
        assert_true(str_is_utf8(parts[i]));
        if (run->suite->max_units > 0)
            assert_true(text_utf16_len(parts[i]) <= run->suite->max_units);
        append_dense(&after, parts[i]);
    }
    assert_true(str_eq(buf_str(&before), buf_str(&after)));
    buf_deinit(&before);
    buf_deinit(&after);
    assert_int_equal(channel_split(run->channel, STR("short"), run->env.arena, &parts), 1);
    assert_true(str_eq_c(parts[0], "short"));
    assert_int_equal(channel_split(run->channel, STR(""), run->env.arena, &parts), 0);
    assert_int_equal(channel_split(run->channel, STR("  \n "), run->env.arena, &parts), 1);
}

/* --- sending --- */

static enum status
send_text(struct run *run, const char *text, struct delivery *delivery_out, struct err *err)
{
    const struct outbound outbound = {.message_id = ID_NEW(message_id),
                                      .external_chat_id = str_from_c(run->chat),
                                      .text = str_from_c(text),
                                      .part_count = 1};

    *err = (struct err){.code = ST_OK};
    return channel_send(run->channel, &outbound, run->env.arena, delivery_out, err);
}

static void
assert_says_no_secret(const struct run *run, const struct err *err)
{
    assert_true(strlen(err->detail) > 0);
    if (run->suite->secret != NULL) {
        assert_null(strstr(err->detail, run->suite->secret));
        assert_null(strstr(err->public_text, run->suite->secret));
    }
}

static void
test_sending(struct run *run)
{
    struct delivery first, second;
    const struct outbound nowhere = {.text = STR("x"), .part_count = 1};
    struct err err;

    assert_int_equal(send_text(run, "one", &first, &err), ST_OK);
    assert_int_equal(send_text(run, "two", &second, &err), ST_OK);
    assert_true(first.external_message_id.len > 0);
    assert_int_equal(first.new_external_chat_id.len, 0);
    if (run->provider == NULL)
        assert_false(str_eq(first.external_message_id, second.external_message_id));
    assert_int_equal(channel_send(run->channel, &nowhere, run->env.arena, &first, &err),
                     ST_INVALID);
    assert_int_equal(first.external_message_id.len, 0);

    const struct conformance_outcome *outcome = run->suite->outcomes;
    for (; outcome != NULL && outcome->name != NULL; outcome++) {
        reopen(run);
        test_provider_queue(run->provider, outcome->answer);
        enum status st = send_text(run, "text", &first, &err);

        if (st != outcome->want)
            fail_msg("%s: %s (%s)", outcome->name, status_name(st), err.detail);
        if (st == ST_OK)
            continue;
        assert_int_equal(err.code, st);
        assert_says_no_secret(run, &err);
        if (st == ST_BUSY)
            assert_true(err.retry_after_ms > 0);
    }
}

/* Nothing was sent, or nobody knows: the two that decide about repeating. */
static void
test_unreachable(struct run *run)
{
    struct delivery delivery;
    struct err err;

    if (run->provider == NULL)
        return;
    struct test_hanger *hanger = test_hanger_start();
    const struct {
        unsigned port;
        enum status want;
    } cases[] = {{test_hanger_port(hanger), ST_UNCERTAIN}, {test_closed_port(), ST_UNAVAILABLE}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *settings = with_port(run->suite->settings, cases[i].port);
        struct channel_record *record =
            test_record(run->suite->driver->source, settings, run->suite->credentials);
        struct channel *usual = run->channel;
        char *usual_chat = run->chat;

        run->channel = open_or_fail(run, record);
        run->chat = with_port(run->suite->chat, cases[i].port);
        enum status st = send_text(run, "text", &delivery, &err);
        if (st != cases[i].want)
            fail_msg("unreachable %zu: %s (%s)", i, status_name(st), err.detail);
        assert_says_no_secret(run, &err);
        channel_typing(run->channel, str_from_c(run->chat)); /* lossy: says nothing */
        channel_acknowledge(run->channel, STR("x"));
        channel_release(&run->channel);
        run->channel = usual;
        free(run->chat);
        run->chat = usual_chat;
        test_record_release(&record);
        free(settings);
    }
    test_hanger_stop(&hanger);
}

/* --- capabilities --- */

static void
test_capabilities(struct run *run)
{
    unsigned caps = channel_caps(run->channel);
    const struct outbound outbound = {.text = STR("new text"), .part_count = 1};
    struct channel_poll poll;
    struct delivery delivery;
    struct err err;

    assert_int_equal(caps, run->suite->driver->caps);
    assert_int_equal(channel_typing_interval_ms(run->channel) > 0, (caps & CHANNEL_CAN_TYPE) != 0);
    channel_typing(run->channel, str_from_c(run->chat));
    channel_acknowledge(run->channel, STR("x"));
    if ((caps & CHANNEL_GROWS) == 0) {
        assert_int_equal(channel_begin(run->channel, &outbound, run->env.arena, &delivery, &err),
                         ST_INVALID);
        assert_int_equal(channel_edit(run->channel, &outbound, STR("x"), &err), ST_INVALID);
        assert_int_equal(channel_withdraw(run->channel, STR("x"), STR("x"), &err), ST_INVALID);
    }
    if ((caps & CHANNEL_FINDS) == 0)
        assert_int_equal(channel_find(run->channel, &outbound, 0, run->env.arena, &delivery, &err),
                         ST_INVALID);
    if ((caps & CHANNEL_CAN_REGISTER) == 0)
        assert_int_equal(channel_register(run->channel, STR("https://x"), &err), ST_INVALID);
    if ((caps & CHANNEL_CAN_POLL) == 0)
        assert_int_equal(channel_poll(run->channel, STR(""), 0, run->env.arena, &poll, &err),
                         ST_INVALID);
    if ((caps & CHANNEL_LOCAL) != 0)
        assert_null(run->provider);
    if ((caps & CHANNEL_HAS_MEDIA) == 0) {
        const struct media_sink sink = {.max_bytes = 1};
        struct str mime_type;

        assert_int_equal(
            channel_fetch_media(run->channel, NULL, &sink, run->env.arena, &mime_type, &err),
            ST_INVALID);
    }
    struct webhook_reply accepted = channel_accepted(run->channel);

    assert_int_equal(accepted.status, 200);
    assert_true(accepted.body.ptr != NULL && accepted.content_type[0] != '\0');
}

/* --- sharing --- */

struct sharing {
    struct run *run;
    const struct channel_record *records[2];
};

static void *
share(void *arg)
{
    static char complaint[] = "wrong channel";
    struct sharing *sharing = arg;

    for (int i = 0; i < SHARING_ROUNDS; i++) {
        const struct channel_record *record = sharing->records[i % 2];
        struct channel *channel;
        struct err err;

        if (channel_acquire(sharing->run->env.registry, record, &channel, &err) != ST_OK ||
            channel_record(channel)->revision != record->revision)
            return complaint;
        channel_release(&channel);
    }
    return NULL;
}

static void
test_sharing(struct run *run)
{
    struct channel_record *newer = new_record(run);
    struct sharing sharing = {.run = run, .records = {run->record, newer}};
    pthread_t threads[SHARING_THREADS];

    newer->id = run->record->id;
    newer->revision = run->record->revision + 1;
    for (int i = 0; i < SHARING_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, share, &sharing), 0);
    for (int i = 0; i < SHARING_THREADS; i++) {
        void *complaint;

        assert_int_equal(pthread_join(threads[i], &complaint), 0);
        assert_null(complaint);
    }
    test_record_release(&newer);
}

void
channel_conformance_run(const struct channel_conformance *suite)
{
    struct run run = {.suite = suite};

    test_env_init(&run.env);
    run.env.context = suite->context;
    assert_ptr_equal(channel_driver_find(run.env.registry, str_from_c(suite->driver->source)),
                     suite->driver);
    run.hook = test_hook_start(&run.env);
    if (suite->provider_ok.status != 0)
        run.provider = test_provider_start(suite->provider_ok);
    unsigned port = run.provider == NULL ? suite->provider_port : test_provider_port(run.provider);

    run.settings = with_port(suite->settings, port);
    run.chat = with_port(suite->chat, port);
    run.record = new_record(&run);
    run.channel = open_or_fail(&run, run.record);

    test_spec(&run);
    test_made_credentials(&run);
    test_settings_of_all(&run);
    test_verification(&run);
    test_parsing(&run);
    test_splitting(&run);
    test_sending(&run);
    test_unreachable(&run);
    test_capabilities(&run);
    test_sharing(&run);

    channel_release(&run.channel);
    test_record_release(&run.record);
    test_hook_stop(&run.hook);
    if (run.provider != NULL)
        test_provider_stop(&run.provider);
    free(run.settings);
    free(run.chat);
    test_env_deinit(&run.env);
}
