/*
 * payloads_test.c - providers' payloads as others have collected them, and what they become
 *
 * The payloads stand outside the project, in a folder "webhooks" of "<provider>/<file>.json", each
 * one payload or an object of several by name; PARLEY_PAYLOADS says where, else it is sought beside
 * the project. What each becomes is kept in testdata/payload_results.json, one line a payload, and
 * holds nothing but what the drivers made of it. Without the folder the test is skipped.
 *
 * With PARLEY_PAYLOADS_WRITE=1 the results are written anew: for a person to compare with the kept
 * ones, line by line. Payloads that are mere shapes, with nothing in their fields, are filled in
 * ("blanks", "marks").
 */
#include "channel/channel_test_support.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/json.h"

#define RESULTS TESTDATA "/payload_results.json"
#define SKIPPED 77 /* what Meson takes for "not run" */
#define FILES_MAX 2000

struct filling {
    const char *name, *value;
    const char *within; /* the key of what holds it; NULL: anything */
};

/* --- providers --- */

/* Keys of Slack's shapes that have no value, and one for them. */
static const struct filling slack_blanks[] = {
    {"api_app_id", "A1", NULL},
    {"team_id", "T1", NULL},
    {"channel", "C1", NULL},
    {"channel_id", "C1", NULL},
    {"user", "U1", NULL},
    {"user_id", "U1", NULL},
    {"actor_id", "U1", NULL},
    {"item_user", "U2", NULL},
    {"text", "Hello before", "previous_message"},
    {"text", "Hello", NULL},
    {"reaction", "thumbsup", NULL},
    {"ts", "1700000000.000100", NULL},
    {"event_ts", "1700000001.000200", NULL},
    {"deleted_ts", "1699999999.000300", NULL},
    {"thread_ts", "1699999998.000400", NULL},
    {"id", "U1", "user"},
    {"id", "F1", "files"},
    {"name", "photo.png", "files"},
    {"mimetype", "image/png", "files"},
    {"url_private_download", "https://files.slack.com/F1", "files"},
};

/* What stands in Meta's documents where an account's own numbers would. */
static const struct filling whatsapp_marks[] = {
    {"<BUSINESS_DISPLAY_PHONE_NUMBER>", "15550783881", NULL},
    {"<BUSINESS_PHONE_NUMBER_ID>", "106540352242922", NULL},
    {"<WHATSAPP_USER_PHONE_NUMBER>", "16505551234", NULL},
    {"<USER_PHONE_NUMBER>", "16505551234", NULL},
    {"<BSUID>", "US.13491208655302741918", NULL},
    {"<WHATSAPP_MESSAGE_ID>", "wamid.A", NULL},
    {"<ORIGINAL_WHATSAPP_MESSAGE_ID>", "wamid.B", NULL},
};

/* The account that the payload is for; in the arena. */
static const char *
slack_credentials(const json_t *payload, struct arena *arena)
{
    (void)payload;
    (void)arena;
    return "{\"app_id\": \"A1\", \"team_id\": \"T1\", \"bot_token\": "
           "\"xoxb-71828182845-90452353602-AbCdEfGhIjKlMnOp\", \"signing_secret\": "
           "\"8f742231b10e8888abcd99yyyzzz85a5\"}";
}

/* Some news is of the whole business: any number will do. */
static const char *
whatsapp_credentials(const json_t *payload, struct arena *arena)
{
    const json_t *entry = json_array_get(json_get_array(payload, "entry"), 0);
    const json_t *change = json_array_get(json_get_array(entry, "changes"), 0);
    const json_t *about = json_get_object(json_get_object(change, "value"), "metadata");
    struct str number = json_get_str(about, "phone_number_id");

    if (number.len == 0)
        number = STR("106540352242922");
    return arena_cstr(arena, arena_printf(arena,
                                          "{\"phone_number_id\": \"%.*s\", \"access_token\": "
                                          "\"EAAtest0123456789abcdef\", \"app_secret\": "
                                          "\"app_secret_example\"}",
                                          STR_ARG(number)));
}

static const struct provider {
    const char *folder, *source;
    /* Of a file that holds one payload and not several by name. */
    const char *mark_of_one;
    const char *(*credentials)(const json_t *payload, struct arena *arena);
    const struct filling *blanks, *marks;
    size_t blank_count, mark_count;
} providers[] = {
    {"slack-events", "slack", "event", slack_credentials, slack_blanks, NULL,
     sizeof slack_blanks / sizeof slack_blanks[0], 0},
    {"whatsapp-cloud", "whatsapp_business", "object", whatsapp_credentials, NULL, whatsapp_marks, 0,
     sizeof whatsapp_marks / sizeof whatsapp_marks[0]},
};

/* --- shapes are filled in --- */

static const char *
filling_of(const struct filling *list, size_t count, const char *name, const char *within)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0 &&
            (list[i].within == NULL || strcmp(list[i].within, within) == 0))
            return list[i].value;
    return NULL;
}

/* within: the key of value itself, or of the list that holds it. */
static void
fill_in(json_t *value, const char *within, const struct provider *provider)
{
    void *next;
    json_t *element;
    size_t i;

    json_array_foreach (value, i, element) {
        fill_in(element, within, provider);
    }
    for (void *at = json_object_iter(value); at != NULL; at = next) {
        const char *key = json_object_iter_key(at), *text, *found = NULL;

        element = json_object_iter_value(at);
        text = json_string_value(element);
        next = json_object_iter_next(value, at); /* before its value is another one */
        if (text == NULL)
            fill_in(element, key, provider);
        else if (text[0] == '\0')
            found = filling_of(provider->blanks, provider->blank_count, key, within);
        else
            found = filling_of(provider->marks, provider->mark_count, text, within);
        if (found != NULL)
            json_object_set_new(value, key, json_string(found));
    }
}

/* Slack names each delivery and says what it is. */
static void
fill_in_envelope(json_t *payload)
{
    if (json_get_object(payload, "event") == NULL)
        return;
    if (json_get_str(payload, "type").len == 0)
        json_set_str(payload, "type", STR("event_callback"));
    if (json_get_str(payload, "event_id").len == 0)
        json_set_str(payload, "event_id", STR("Ev1"));
}

/* --- what it became --- */

/* Kept whole by the drivers: that they are there is enough. */
static const char *const wholes[] = {"contacts", "location",         "order",   "pricing",
                                     "referral", "referred_product", "response"};

static void
shorten(json_t *metadata)
{
    json_t *interactive = json_get_object(metadata, "interactive");

    for (size_t i = 0; i < sizeof wholes / sizeof wholes[0]; i++) {
        if (json_object_get(metadata, wholes[i]) != NULL)
            json_set_bool(metadata, wholes[i], true);
        if (json_object_get(interactive, wholes[i]) != NULL)
            json_set_bool(interactive, wholes[i], true);
    }
}

static json_t *
result_of(const struct inbound *item)
{
    json_t *result = test_inbound_json(item), *value;
    const char *key;
    void *next;

    if (item->kind == INBOUND_EVENT && item->raw.len == 0)
        fail_msg("an event that keeps nothing of what came");
    json_object_del(result, "raw");
    if (str_starts_with(item->external_event_id, STR("bytes:")))
        json_object_del(result, "external_event_id"); /* a hash of the payload */
    if (item->timestamp_us == TEST_WALL_US)
        json_object_del(result, "timestamp_us"); /* it names no time */
    shorten(json_get_object(result, "metadata"));
    json_object_foreach_safe(result, next, key, value)
    {
        if ((json_is_string(value) && json_string_length(value) == 0) || json_is_false(value) ||
            (json_is_integer(value) && json_integer_value(value) == 0) ||
            (json_is_object(value) && json_object_size(value) == 0))
            json_object_del(result, key);
    }
    return result;
}

static json_t *
normalise(struct test_env *env, const struct provider *provider, const json_t *payload)
{
    struct channel_record *record =
        test_record(provider->source, "{}", provider->credentials(payload, env->arena));
    const struct webhook webhook = {.body = json_text(payload, env->arena)};
    json_t *results = json_array();
    struct inbound_batch batch;
    struct channel *channel;
    struct err err = {.code = ST_OK};
    enum status st;

    if (channel_acquire(env->registry, record, &channel, &err) != ST_OK)
        fail_msg("%s", err.detail);
    st = channel_parse(channel, &webhook, env->arena, &batch, &err);
    for (size_t i = 0; st == ST_OK && i < batch.count; i++)
        json_array_append_new(results, result_of(&batch.items[i]));
    if (st != ST_OK) {
        json_decref(results);
        results = json_string(status_name(st));
    }
    inbound_batch_deinit(&batch);
    channel_release(&channel);
    test_record_release(&record);
    return results;
}

/* --- files --- */

static const char *
payloads_folder(void)
{
    const char *named = getenv("PARLEY_PAYLOADS");

    return named != NULL && named[0] != '\0' ? named : PAYLOADS;
}

static void
read_file(struct test_env *env, const struct provider *provider, const char *folder,
          const char *name, json_t *results)
{
    json_error_t error;
    struct str path = arena_printf(env->arena, "%s/%s", folder, name);
    json_auto_t *file = json_load_file(arena_cstr(env->arena, path), 0, &error);
    json_t *payload;
    const char *key;

    if (file == NULL)
        fail_msg("%s:%d: %s", name, error.line, error.text);
    fill_in(file, "", provider);
    if (json_object_get(file, provider->mark_of_one) != NULL) {
        struct str line = arena_printf(env->arena, "%s/%s", provider->folder, name);

        fill_in_envelope(file);
        json_set(results, arena_cstr(env->arena, line), normalise(env, provider, file));
        return;
    }
    json_object_foreach (file, key, payload) {
        struct str line = arena_printf(env->arena, "%s/%s#%s", provider->folder, name, key);

        json_set(results, arena_cstr(env->arena, line), normalise(env, provider, payload));
    }
}

static int
is_json(const struct dirent *entry)
{
    return str_ends_with(str_from_c(entry->d_name), STR(".json"));
}

static json_t *
read_all(struct test_env *env)
{
    json_t *results = json_object();

    for (size_t i = 0; i < sizeof providers / sizeof providers[0]; i++) {
        struct str path = arena_printf(env->arena, "%s/%s", payloads_folder(), providers[i].folder);
        const char *folder = arena_cstr(env->arena, path);
        struct dirent **entries = NULL;
        int count = scandir(folder, &entries, is_json, alphasort);

        if (count <= 0 || count > FILES_MAX)
            fail_msg("%s: %d payloads (%s)", folder, count, strerror(errno));
        for (int k = 0; k < count; k++) {
            read_file(env, &providers[i], folder, entries[k]->d_name, results);
            free(entries[k]);
        }
        free(entries);
    }
    return results;
}

/* --- the kept results --- */

static void
write_results(const json_t *results)
{
    FILE *file = fopen(RESULTS, "w");
    const char *key, *separator = "{";
    json_t *value;

    assert_non_null(file);
    json_object_foreach ((json_t *)(uintptr_t)results, key, value) {
        char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

        fprintf(file, "%s\n\"%s\": %s", separator, key, text);
        separator = ",";
        free(text);
    }
    fputs("\n}\n", file);
    assert_int_equal(fclose(file), 0);
}

static unsigned
count_differences(const json_t *want, const json_t *got)
{
    unsigned count = 0;
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)(uintptr_t)want, key, value) {
        const json_t *other = json_object_get(got, key);

        if (json_equal(value, other))
            continue;
        char *wanted = json_dumps(value, JSON_SORT_KEYS | JSON_ENCODE_ANY);
        char *found = other == NULL ? NULL : json_dumps(other, JSON_SORT_KEYS | JSON_ENCODE_ANY);

        print_error("%s\n  kept: %s\n  now:  %s\n", key, wanted,
                    found == NULL ? "there is no such payload" : found);
        free(wanted);
        free(found);
        count++;
    }
    json_object_foreach ((json_t *)(uintptr_t)got, key, value) {
        if (json_object_get(want, key) == NULL) {
            print_error("%s\n  no result of it is kept\n", key);
            count++;
        }
    }
    return count;
}

static void
test_payloads(void **state)
{
    const char *writes = getenv("PARLEY_PAYLOADS_WRITE");
    struct test_env env;
    json_error_t error;

    (void)state;
    test_env_init(&env);
    json_auto_t *got = read_all(&env);
    test_env_deinit(&env);
    if (writes != NULL && strcmp(writes, "1") == 0)
        write_results(got);
    json_auto_t *want = json_load_file(RESULTS, 0, &error);
    if (want == NULL)
        fail_msg("%s:%d: %s", RESULTS, error.line, error.text);
    assert_int_equal(count_differences(want, got), 0);
    assert_true(json_object_size(got) >= 100);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payloads),
    };
    DIR *folder = opendir(payloads_folder());

    if (folder == NULL) {
        print_message("skipped: there is no folder %s (PARLEY_PAYLOADS)\n", payloads_folder());
        return SKIPPED;
    }
    (void)closedir(folder);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
