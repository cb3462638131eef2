/*
 * cmd_admin.c - parley admin: organizations, channels, API keys, synonyms, passages, master keys
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/cmd_common.h"
#include "channel/channel_check.h"
#include "text/json.h"

struct admin {
    const char *organization, *slug, *email, *name, *scopes, *expires, *settings, *credentials;
    bool no_check;
    struct options options;
    struct session session;
};

/* One "admin NOUN VERB": the operands it needs, and what it does. */
struct action {
    const char *noun, *verb, *operand;
    bool needs_organization;
    int (*run)(struct admin *admin, const char *operand);
};

static void show(const struct admin *admin, json_t *json, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* JSON with --json, else the sentence. */
static void
show(const struct admin *admin, json_t *json, const char *fmt, ...)
{
    va_list args;

    if (admin->options.json) {
        print_json(json);
        return;
    }
    json_decref(json);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
}

/* --- organizations --- */

static struct str
slug_from(const char *name, char out[41])
{
    size_t len = 0;

    for (; *name != '\0' && len < 40; name++) {
        char c = *name >= 'A' && *name <= 'Z' ? (char)(*name + 32) : *name;

        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            out[len++] = c;
        else if (len > 0 && out[len - 1] != '-')
            out[len++] = '-';
    }
    while (len > 0 && out[len - 1] == '-')
        len--;
    out[len] = '\0';
    return str_of(out, len);
}

static int
organization_add(struct admin *admin, const char *name)
{
    char slug[41];
    struct organization_spec spec = {
        .name = str_from_c(name),
        .slug = admin->slug == NULL ? slug_from(name, slug) : str_from_c(admin->slug),
        .owner_email = str_from_c(admin->email),
        .owner_name = STR("Owner"),
    };
    struct organization organization;
    struct err err;
    json_t *row;

    if (admin->email == NULL) {
        fputs("parley admin: --email says who owns the organization\n", stderr);
        return EXIT_USAGE;
    }
    if (organization_create(admin->session.app->tenants, &spec, admin->session.arena, &organization,
                            &err) != ST_OK)
        return command_fail(&err, "no organization was made");
    row = json_object();
    json_set_str(row, "id", ID_STR(organization.id));
    json_set_str(row, "slug", organization.slug);
    show(admin, row, "Organization \"%.*s\" is there. Next: parley admin key add NAME --org %.*s\n",
         STR_ARG(organization.slug), STR_ARG(organization.slug));
    return EXIT_FINE;
}

static int
organization_list_all(struct admin *admin, const char *operand)
{
    struct organization_id after = {{""}};
    json_t *list = json_array();
    struct err err;

    (void)operand;
    for (;;) {
        struct organization *page = NULL;
        size_t count = 0, i;

        if (organization_list(admin->session.app->tenants, after, 100, admin->session.arena, &page,
                              &count, &err) != ST_OK) {
            json_decref(list);
            return command_fail(&err, "cannot list organizations");
        }
        for (i = 0; i < count; i++) {
            json_t *row = json_object();

            json_set_str(row, "id", ID_STR(page[i].id));
            json_set_str(row, "slug", page[i].slug);
            json_set_str(row, "name", page[i].name);
            json_array_append_new(list, row);
            if (!admin->options.json)
                printf("%-24.*s %s  %.*s\n", STR_ARG(page[i].slug), page[i].id.id.text,
                       STR_ARG(page[i].name));
        }
        if (count < 100)
            break;
        after = page[count - 1].id;
    }
    if (admin->options.json)
        print_json(list);
    else
        json_decref(list);
    return EXIT_FINE;
}

/* --- keys --- */

static int
key_add(struct admin *admin, const char *name)
{
    const char *words = admin->scopes == NULL ? "query" : admin->scopes;
    unsigned scopes = 0;
    int64_t expires_us = 0;
    struct api_key key;
    struct str secret;
    struct err err;
    json_t *row;
    enum status st = api_scopes_parse(str_from_c(words), &scopes, &err);

    if (st == ST_OK && admin->expires != NULL)
        st = time_parse_rfc3339(str_from_c(admin->expires), &expires_us, &err);
    if (st == ST_OK)
        st = api_key_create(admin->session.app->tenants, admin->session.scope, str_from_c(name),
                            scopes, api_roles_of(str_from_c(words), admin->session.arena),
                            expires_us, admin->session.arena, &key, &secret, &err);
    if (st != ST_OK)
        return command_fail(&err, "no key was made");
    row = json_object();
    json_set_str(row, "id", ID_STR(key.id));
    json_set_str(row, "secret", secret);
    json_set_str(row, "scopes", api_rights_format(key.scopes, key.roles, admin->session.arena));
    show(admin, row, "%.*s\n\nThis is the only time that it is shown. It may: %.*s\n",
         STR_ARG(secret), STR_ARG(api_rights_format(key.scopes, key.roles, admin->session.arena)));
    return EXIT_FINE;
}

static int
key_list(struct admin *admin, const char *operand)
{
    struct api_key *keys = NULL;
    size_t count = 0, i;
    json_t *list = json_array();
    struct err err;

    (void)operand;
    if (api_key_list(admin->session.app->tenants, admin->session.scope, admin->session.arena, &keys,
                     &count, &err) != ST_OK) {
        json_decref(list);
        return command_fail(&err, "cannot list keys");
    }
    for (i = 0; i < count; i++) {
        struct str scopes = api_rights_format(keys[i].scopes, keys[i].roles, admin->session.arena);
        json_t *row = json_object();

        json_set_str(row, "id", ID_STR(keys[i].id));
        json_set_str(row, "name", keys[i].name);
        json_set_str(row, "scopes", scopes);
        json_set_bool(row, "revoked", keys[i].revoked_at_us != 0);
        json_array_append_new(list, row);
        if (!admin->options.json)
            printf("%s  %-8s %-24.*s %.*s\n", keys[i].id.id.text,
                   keys[i].revoked_at_us != 0 ? "revoked" : "active", STR_ARG(keys[i].name),
                   STR_ARG(scopes));
    }
    if (admin->options.json)
        print_json(list);
    else
        json_decref(list);
    return EXIT_FINE;
}

static int
key_revoke(struct admin *admin, const char *id_text)
{
    struct api_key_id id;
    struct err err;
    enum status st = ID_PARSE(str_from_c(id_text), &id, &err);

    if (st == ST_OK)
        st = api_key_revoke(admin->session.app->tenants, admin->session.scope, id, &err);
    if (st != ST_OK)
        return command_fail(&err, "no key was revoked");
    show(admin, json_object(), "The key no longer works.\n");
    return EXIT_FINE;
}

/* --- channels --- */

static int
read_object(const char *text, const char *option, json_t **out)
{
    struct err err;

    if (json_parse(str_from_c(text == NULL ? "{}" : text), out, &err) == ST_OK &&
        json_is_object(*out))
        return EXIT_FINE;
    fprintf(stderr, "parley admin: --%s must be a JSON object, such as '{\"key\":\"value\"}'\n",
            option);
    return EXIT_USAGE;
}

static void
explain_web(struct admin *admin, json_t *row, struct channel_id id)
{
    struct str url = settings_text(admin->session.settings, "http.public_url");

    show(admin, row,
         "Channel %s is there. Its page: /chat/%s\nOn your own pages:\n"
         "  <script src=\"%.*s/widget.js\" data-channel=\"%s\" async></script>\n",
         id.id.text, id.id.text, STR_ARG(url.len > 0 ? url : STR("http://127.0.0.1:8080")),
         id.id.text);
}

/* What comes to it, and what is left to do. */
static void
explain_channel(struct admin *admin, struct str source, struct channel_id id,
                const struct channel_check *check, const struct err *failed)
{
    struct str next = STR("The server will ask the provider for what comes.");
    struct arena *arena = admin->session.arena;
    json_t *row = json_object();

    json_set_str(row, "id", ID_STR(id));
    json_set_str(row, "source", source);
    if (str_eq_c(source, "web")) {
        explain_web(admin, row, id);
        return;
    }
    json_set_str(row, "account", check->account);
    json_set_str(row, "webhook_url", check->webhook_url);
    json_set_bool(row, "registered", check->is_registered);
    json_set_str(row, "setup", check->setup);
    if (failed != NULL)
        next = arena_printf(arena,
                            "Its webhook is not registered: %s\nStart the server, then POST "
                            "/v1/channels/%s/check registers it.",
                            failed->public_text, id.id.text);
    else if (check->is_registered)
        next = arena_printf(arena, "Registered there, it delivers to\n  %.*s",
                            STR_ARG(check->webhook_url));
    else if (check->setup.len > 0)
        next = arena_printf(arena, "What is left to do: %.*s", STR_ARG(check->setup));
    else if (check->webhook_url.len > 0)
        next = arena_printf(arena, "The provider delivers to\n  %.*s", STR_ARG(check->webhook_url));
    show(admin, row, "Channel %s is there%s%.*s.\n%.*s\n", id.id.text,
         check->account.len > 0 ? ": the provider calls it " : "", STR_ARG(check->account),
         STR_ARG(next));
}

/* The provider is asked at once; a channel that it refuses is not kept. */
static int
check_channel(struct admin *admin, struct str source, struct channel_id id)
{
    struct session *session = &admin->session;
    const struct channel_record *record = NULL;
    struct channel_check check = {.is_proven = false};
    struct channel *channel = NULL;
    struct err err, undo;
    enum status st = channel_record_get(session->app->tenants, session->scope, id, &record, &err);

    if (st == ST_OK)
        st = channel_acquire(session->app->channels, record, &channel, &err);
    if (st == ST_OK && admin->no_check) {
        check.webhook_url = channel_webhook_url(channel, session->arena);
        check.setup = channel_setup(channel, session->arena);
    } else if (st == ST_OK) {
        st = channel_check(channel, true, session->arena, &check, &err);
    }
    channel_release(&channel);
    channel_record_unref(&record);
    if (st == ST_OK || check.is_proven) {
        explain_channel(admin, source, id, &check, st == ST_OK ? NULL : &err);
        return EXIT_FINE;
    }
    if (channel_delete(session->app->tenants, session->scope, id, &undo) != ST_OK)
        return command_fail(&undo, "the channel could not be removed again");
    return command_fail(&err, st == ST_DENIED
                                  ? "no channel was added: the provider refuses the credentials"
                                  : "no channel was added (--no-check adds it unasked)");
}

static int
channel_add(struct admin *admin, const char *source)
{
    json_t *settings = NULL, *credentials = NULL;
    struct channel_spec spec;
    struct channel_id id;
    struct err err;
    enum status st;
    int code = read_object(admin->settings, "settings", &settings);

    if (code == EXIT_FINE)
        code = read_object(admin->credentials, "credentials", &credentials);
    if (code == EXIT_FINE) {
        spec = (struct channel_spec){.source = str_from_c(source),
                                     .name = str_from_c(admin->name == NULL ? source : admin->name),
                                     .settings = settings,
                                     .credentials = credentials};
        st = channel_check_spec(admin->session.app->channels, &spec, admin->session.arena, &err);
        if (st == ST_OK) {
            st =
                channel_create(admin->session.app->tenants, admin->session.scope, &spec, &id, &err);
            channel_spec_deinit(&spec);
        }
        code = st != ST_OK ? command_fail(&err, "no channel was added")
                           : check_channel(admin, str_from_c(source), id);
    }
    json_decref(settings);
    json_decref(credentials);
    return code;
}

static int
channel_list_all(struct admin *admin, const char *operand)
{
    struct tenants *tenants = admin->session.app->tenants;
    struct channel_id *ids = NULL;
    size_t count = 0, i;
    json_t *list = json_array();
    struct err err;
    enum status st =
        channel_list(tenants, admin->session.scope, &ids, &count, admin->session.arena, &err);

    (void)operand;
    for (i = 0; st == ST_OK && i < count; i++) {
        const struct channel_record *record = NULL;
        json_t *row;

        st = channel_record_get(tenants, admin->session.scope, ids[i], &record, &err);
        if (st != ST_OK)
            break;
        row = json_object();
        json_set_str(row, "id", ID_STR(record->id));
        json_set_str(row, "source", record->source);
        json_set_str(row, "name", record->name);
        json_set_str(row, "status", record->status);
        json_array_append_new(list, row);
        if (!admin->options.json)
            printf("%s  %-10.*s %-10.*s %.*s\n", record->id.id.text, STR_ARG(record->source),
                   STR_ARG(record->status), STR_ARG(record->name));
        channel_record_unref(&record);
    }
    if (admin->options.json && st == ST_OK)
        print_json(list);
    else
        json_decref(list);
    return st == ST_OK ? EXIT_FINE : command_fail(&err, "cannot list channels");
}

static int
channel_remove(struct admin *admin, const char *id_text)
{
    struct channel_id id;
    struct err err;
    enum status st = ID_PARSE(str_from_c(id_text), &id, &err);

    if (st == ST_OK)
        st = channel_delete(admin->session.app->tenants, admin->session.scope, id, &err);
    if (st != ST_OK)
        return command_fail(&err, "no channel was removed");
    show(admin, json_object(), "The channel is disconnected; its conversations are kept.\n");
    return EXIT_FINE;
}

/* --- master keys --- */

static int
master_key_rotate(struct admin *admin, const char *operand)
{
    int64_t resealed = 0;
    struct err err;
    json_t *row;
    enum status st = tenant_add_master_key(admin->session.app->tenants, &err);

    (void)operand;
    if (st == ST_OK)
        st = tenant_reseal(admin->session.app->tenants, &resealed, &err);
    if (st != ST_OK)
        return command_fail(&err, "the keys were not rotated");
    row = json_object();
    json_set_int(row, "resealed", resealed);
    show(
        admin, row,
        "A new master key is in force and %lld credentials are sealed with it. Older keys stay in\n"
        "the key file for older backups; take them out when no such backup is left.\n",
        (long long)resealed);
    return EXIT_FINE;
}

/* --- words that mean the same --- */

struct synonyms_work {
    struct admin *admin;
    json_t *groups; /* NULL: only read */
    json_t *found;  /* a new reference */
};

static enum status
change_synonyms(struct store_tx *tx, void *arg, struct err *err)
{
    struct synonyms_work *work = arg;
    struct arena *arena = work->admin->session.arena;
    json_auto_t *persona = NULL;
    struct brand brand;
    enum status st = brand_get(tx, (struct brand_id){{""}}, arena, &brand, err);

    if (st == ST_OK)
        st = json_parse(brand.persona, &persona, err);
    if (st == ST_OK && work->groups != NULL) {
        json_object_set(persona, "synonyms", work->groups);
        brand.persona = json_text(persona, arena);
        st = brand_update(tx, &brand, err);
    }
    json_decref(work->found);
    work->found = st == ST_OK ? json_incref(json_object_get(persona, "synonyms")) : NULL;
    return st;
}

static int
show_synonyms(struct admin *admin, json_t *groups)
{
    struct synonyms_work work = {.admin = admin, .groups = groups};
    const json_t *group;
    struct err err;
    size_t i;

    if (store_run(admin->session.app->store, admin->session.scope, "admin_synonyms", STORE_DURABLE,
                  change_synonyms, &work, &err) != ST_OK)
        return command_fail(&err, "synonyms");
    if (admin->options.json)
        print_json(work.found == NULL ? json_array() : json_incref(work.found));
    else if (json_array_size(work.found) == 0)
        puts("No words are declared to mean the same.");
    else
        json_array_foreach (work.found, i, group) {
            puts(json_string_value(group));
        }
    json_decref(work.found);
    return EXIT_FINE;
}

static int
synonyms_list(struct admin *admin, const char *none)
{
    (void)none;
    return show_synonyms(admin, NULL);
}

/* "pram, buggy; bike, velo": all there are from now on. */
static int
synonyms_set(struct admin *admin, const char *text)
{
    json_auto_t *groups = json_array();
    struct str rest = str_from_c(text), group;
    struct err err;

    while (str_split(&rest, ';', &group)) {
        group = str_trim(group);
        if (group.len == 0)
            continue;
        if (index_synonyms_check(group, &err) != ST_OK)
            return command_fail(&err, "nothing was changed");
        json_array_append_new(groups, json_from_str(group));
    }
    if (json_array_size(groups) > INDEX_SYNONYMS_GROUPS) {
        (void)err_set(&err, ST_INVALID, "synonyms: at most %d groups", INDEX_SYNONYMS_GROUPS);
        return command_fail(&err, "nothing was changed");
    }
    return show_synonyms(admin, groups);
}

/* --- passages --- */

struct passages_work {
    struct admin *admin;
    const struct passage_settings *settings; /* NULL: only read */
    struct brand brand;
    int64_t left;
};

static enum status
change_passages(struct store_tx *tx, void *arg, struct err *err)
{
    struct passages_work *work = arg;
    struct knowledge *knowledge = work->admin->session.app->knowledge;
    enum status st =
        brand_get(tx, (struct brand_id){{""}}, work->admin->session.arena, &work->brand, err);

    if (st != ST_OK || work->settings == NULL)
        return st == ST_OK ? knowledge_count_uncut(knowledge, tx, &work->left, err) : st;
    work->brand.passages = *work->settings;
    st = brand_update(tx, &work->brand, err);
    return st == ST_OK ? knowledge_cut_anew(knowledge, tx, &work->left, err) : st;
}

static void
show_setting(const char *name, int64_t setting)
{
    if (setting == PASSAGES_AS_SERVER)
        printf("%-8s as ingest.passage_%s of the server\n", name, name);
    else
        printf("%-8s %lld\n", name, (long long)setting);
}

static int
show_passages(struct admin *admin, const struct passage_settings *settings)
{
    struct passages_work work = {.admin = admin, .settings = settings};
    const struct passage_settings *now = &work.brand.passages;
    struct err err;
    json_t *row;

    if (store_run(admin->session.app->store, admin->session.scope, "admin_passages", STORE_DURABLE,
                  change_passages, &work, &err) != ST_OK)
        return command_fail(&err, "passages");
    if (admin->options.json) {
        row = json_object();
        json_set(row, "words",
                 now->words == PASSAGES_AS_SERVER ? json_null() : json_integer(now->words));
        json_set(row, "overlap",
                 now->overlap == PASSAGES_AS_SERVER ? json_null() : json_integer(now->overlap));
        json_set_int(row, "documents_left", work.left);
        print_json(row);
        return EXIT_FINE;
    }
    show_setting("words", now->words);
    show_setting("overlap", now->overlap);
    if (work.left > 0)
        printf(
            "%lld documents are cut otherwise. After \"passages set\" a server cuts them anew in\n"
            "the background; without one, or after another ingest.passage_words:\n"
            "  parley ingest --reprocess\n",
            (long long)work.left);
    return EXIT_FINE;
}

static int
passages_show(struct admin *admin, const char *none)
{
    (void)none;
    return show_passages(admin, NULL);
}

/* "120,20"; "120": the overlap is the server's; "server": both are. */
static int
passages_set(struct admin *admin, const char *text)
{
    struct passage_settings settings = {PASSAGES_AS_SERVER, PASSAGES_AS_SERVER};
    struct str rest = str_from_c(text), words, overlap;
    enum status st = ST_OK;
    struct err err;

    if (strcmp(text, "server") != 0) {
        bool has_overlap;

        (void)str_split(&rest, ',', &words);
        has_overlap = str_split(&rest, ',', &overlap);
        if (!str_to_i64(str_trim(words), &settings.words) || settings.words < 0 || rest.len > 0 ||
            (has_overlap &&
             (!str_to_i64(str_trim(overlap), &settings.overlap) || settings.overlap < 0)))
            st =
                err_set(&err, ST_INVALID, "passages: words and overlap, \"120,20\", or \"server\"");
    }
    if (st == ST_OK)
        st = passage_settings_check(&settings, &err);
    return st == ST_OK ? show_passages(admin, &settings)
                       : command_fail(&err, "nothing was changed");
}

static const struct action actions[] = {
    {"organization", "add", "NAME", false, organization_add},
    {"organization", "list", NULL, false, organization_list_all},
    {"channel", "add", "SOURCE", true, channel_add},
    {"channel", "list", NULL, true, channel_list_all},
    {"channel", "remove", "ID", true, channel_remove},
    {"key", "add", "NAME", true, key_add},
    {"key", "list", NULL, true, key_list},
    {"key", "revoke", "ID", true, key_revoke},
    {"synonyms", "list", NULL, true, synonyms_list},
    {"synonyms", "set", "GROUPS", true, synonyms_set},
    {"passages", "show", NULL, true, passages_show},
    {"passages", "set", "WORDS", true, passages_set},
    {"master-key", "rotate", NULL, false, master_key_rotate},
};

static const struct action *
find_action(const struct options *options)
{
    size_t i;

    for (i = 0; options->operand_count >= 2 && i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(actions[i].noun, options->operands[0]) == 0 &&
            strcmp(actions[i].verb, options->operands[1]) == 0 &&
            options->operand_count == (actions[i].operand == NULL ? 2 : 3))
            return &actions[i];
    return NULL;
}

/* The action was begun rightly and lacks or exceeds a word; or there is none. */
static int
explain_actions(const struct options *options)
{
    size_t i;

    for (i = 0; options->operand_count >= 2 && i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(actions[i].noun, options->operands[0]) == 0 &&
            strcmp(actions[i].verb, options->operands[1]) == 0) {
            fprintf(stderr, "usage: parley admin %s %s%s%s [options]; `parley admin --help`\n",
                    actions[i].noun, actions[i].verb, actions[i].operand == NULL ? "" : " ",
                    actions[i].operand == NULL ? "" : actions[i].operand);
            return EXIT_USAGE;
        }
    fputs("parley admin: no such action; `parley admin --help` lists them\n", stderr);
    return EXIT_USAGE;
}

static int
run(int argc, char **argv)
{
    struct admin admin = {.organization = NULL};
    const struct option_spec specs[] = {
        {"org", &admin.organization, NULL},  {"slug", &admin.slug, NULL},
        {"email", &admin.email, NULL},       {"name", &admin.name, NULL},
        {"scopes", &admin.scopes, NULL},     {"expires", &admin.expires, NULL},
        {"settings", &admin.settings, NULL}, {"credentials", &admin.credentials, NULL},
        {"no-check", NULL, &admin.no_check}, {NULL, NULL, NULL}};
    const struct action *action;
    int code;

    if (!options_read("admin", argc, argv, specs, &admin.options))
        return EXIT_USAGE;
    action = find_action(&admin.options);
    if (action == NULL)
        return explain_actions(&admin.options);
    code = action->needs_organization
               ? session_open(&admin.options, admin.organization, &admin.session)
               : session_open_any(&admin.options, action->run == organization_add, &admin.session);
    if (code == EXIT_FINE)
        code = action->run(&admin, action->operand == NULL ? NULL : admin.options.operands[2]);
    session_close(&admin.session);
    return code;
}

const struct command command_admin = {
    .name = "admin",
    .summary = "organizations, channels, API keys, master keys",
    .usage = "admin NOUN VERB [WORD] [options]",
    .help =
        "  organization add NAME --email OWNER [--slug SLUG]\n"
        "  organization list\n"
        "  channel add SOURCE [--name NAME] [--credentials JSON] [--settings JSON] [--no-check]\n"
        "                              SOURCE: web, telegram, whatsapp_business, instagram,\n"
        "                              twilio_sms, twilio_whatsapp, slack, teams, email\n"
        "  channel list\n"
        "  channel remove ID\n"
        "  key add NAME [--scopes \"query ...\"] [--expires 2027-01-01T00:00:00Z]\n"
        "                              scopes: admin conversations:read conversations:write\n"
        "                              knowledge:read knowledge:write query query:staff operate;\n"
        "                              role:NAME or role:* for documents of staff with a role\n"
        "  key list\n"
        "  key revoke ID\n"
        "  synonyms list\n"
        "  synonyms set GROUPS         what means the same here, words or phrases of up to 4:\n"
        "                              \"pram, buggy; e-bike, electric bicycle\"\n"
        "  passages show\n"
        "  passages set WORDS          how documents are cut: about 120 words a passage "
        "(\"120\"),\n"
        "                              of which it may repeat 20 of the one before (\"120,20\");\n"
        "                              \"server\": as the server is set to\n"
        "  master-key rotate           seal all credentials with a fresh key\n\n"
        "  --org SLUG   which organization, when there are several\n"
        "  --json       print the result as JSON\n\n"
        "Works on the data folder while no server runs on it; a running server has the same\n"
        "under /v1/channels, /v1/keys and /v1/brand.\n\n"
        "Examples, a Telegram bot and a web chat:\n"
        "  parley admin channel add telegram --credentials '{\"bot_token\":\"123:abc\"}'\n"
        "  parley admin channel add web --settings '{\"title\":\"Ask us\"}'\n",
    .run = run,
};
