/*
 * cmd_move.c - parley move: all data from a data folder to PostgreSQL, or back
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cmd_common.h"
#include "app/move_objects.h"
#include "base/log.h"
#include "store/move.h"
#include "text/json.h"

#define ARENA_BYTES ((size_t)256 * 1024 * 1024)
#define PATH_BYTES 4096
#define STATEMENT_TIMEOUT_MS (3600 * 1000)
#define POOL_SIZE 4
#define THE_SETTING "database.url"

struct moving {
    struct settings *settings;
    const char *from, *to;                    /* as given */
    bool looked;                              /* at the folders of objects */
    struct blob_store *from_blobs, *to_blobs; /* NULL: objects stay where they are */
    struct moved_objects objects;
    int64_t leases;
};

static bool
names_server(const char *word)
{
    return strcmp(word, THE_SETTING) == 0 || strncmp(word, "postgresql://", 13) == 0 ||
           strncmp(word, "postgres://", 11) == 0;
}

static void
side_config(const struct settings *settings, const char *word, struct store_config *config_out)
{
    app_store_config(settings, word, config_out);
    if (!names_server(word))
        config_out->database_url = "";
    else if (strcmp(word, THE_SETTING) != 0)
        config_out->database_url = word;
    config_out->statement_timeout_ms = STATEMENT_TIMEOUT_MS;
    config_out->pool_size = POOL_SIZE;
}

/* Where whoever serves that side looks for them: in blob.folder, or in blobs in its data folder. */
static void
served_folder(const struct settings *settings, const char *word, char out[PATH_BYTES])
{
    if (names_server(word) || settings_text(settings, "blob.folder").len > 0)
        app_blob_folder(settings, out, PATH_BYTES);
    else
        (void)snprintf(out, PATH_BYTES, "%s/blobs", word);
}

/* A data folder's own blobs, when it has them: blob.folder may be set for the target. */
static void
source_folder(const struct settings *settings, const char *word, char out[PATH_BYTES])
{
    (void)snprintf(out, PATH_BYTES, "%s/blobs", word);
    if (names_server(word) || access(out, F_OK) != 0)
        served_folder(settings, word, out);
}

static bool
is_same_folder(const char *a, const char *b)
{
    struct stat one, other;

    return strcmp(a, b) == 0 || (stat(a, &one) == 0 && stat(b, &other) == 0 &&
                                 one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

/* The target's folder of data is made by its store; that of objects alone by who opens it. */
static enum status
open_objects(struct moving *moving, struct err *err)
{
    char from[PATH_BYTES], to[PATH_BYTES], parent[PATH_BYTES];
    struct blob_config config = {.clock = clock_system(), .folder = from};
    char *slash;
    enum status st;

    source_folder(moving->settings, moving->from, from);
    served_folder(moving->settings, moving->to, to);
    if (is_same_folder(from, to) || access(from, F_OK) != 0)
        return ST_OK;
    (void)snprintf(parent, sizeof(parent), "%s", to);
    slash = strrchr(parent, '/');
    if (slash != NULL && slash != parent) {
        *slash = '\0';
        if (mkdir(parent, 0700) != 0 && errno != EEXIST)
            return err_set_detail(err, ST_UNAVAILABLE, "make folder %s: %s", parent,
                                  strerrordesc_np(errno));
    }
    st = blob_open(&config, &moving->from_blobs, err);
    config.folder = to;
    return st == ST_OK ? blob_open(&config, &moving->to_blobs, err) : st;
}

static void
on_progress(const struct store_progress *progress, void *context)
{
    (void)context;
    print_progress(progress->what, progress->done, progress->total);
}

static enum status
on_copied(struct store *to, const struct tenant_scope *scope, void *context, struct err *err)
{
    struct moving *moving = context;

    enum status st = ST_OK;

    (void)to;
    if (!moving->looked) /* not before both sides are ours alone */
        st = open_objects(moving, err);
    moving->looked = true;
    if (st != ST_OK || moving->to_blobs == NULL)
        return st;
    return move_objects(moving->from_blobs, moving->to_blobs, scope, &moving->objects, err);
}

static enum status
on_verified(struct store *to, const struct tenant_scope *scope, void *context, struct err *err)
{
    struct moving *moving = context;
    int64_t ended = 0;
    enum status st = queue_end_leases(to, scope, &ended, err);

    moving->leases += ended;
    return st;
}

static json_t *
as_json(const struct moving *moving, const struct store_move_result *result)
{
    json_t *json = json_object(), *tables = json_array(), *objects = json_object();

    json_set_int(json, "organizations", (int64_t)result->organization_count);
    json_set_int(json, "rows", result->row_count);
    json_set_bool(json, "went_on", result->went_on);
    json_set_int(json, "leases_ended", moving->leases);
    for (size_t i = 0; i < result->table_count; i++) {
        json_t *table = json_object();

        json_set_str(table, "table", result->tables[i].name);
        json_set_bool(table, "of_organizations", result->tables[i].of_organizations);
        json_set_int(table, "rows", result->tables[i].rows);
        json_set_str(table, "checksum", str_from_c(result->tables[i].checksum));
        json_array_append_new(tables, table);
    }
    json_object_set_new(json, "tables", tables);
    json_set_bool(objects, "copied", moving->to_blobs != NULL);
    json_set_int(objects, "count", moving->objects.count);
    json_set_int(objects, "bytes", moving->objects.bytes);
    json_object_set_new(json, "objects", objects);
    return json;
}

static void
print(const struct moving *moving, const struct store_move_result *result)
{
    printf("Moved and verified: %zu organizations, %lld rows in %zu tables.\n",
           result->organization_count, (long long)result->row_count, result->table_count);
    if (moving->to_blobs != NULL)
        printf("Documents: %lld copied, each by its checksum.\n", (long long)moving->objects.count);
    else
        puts("Documents stay where they are.");
    puts("The file with the master keys was not touched: whoever serves the copy needs it\n"
         "(data.key_file). The source is as it was; serve one of the two, not both.");
}

static int
move(struct moving *moving, bool restart, bool json)
{
    struct store_move_spec spec = {.restart = restart,
                                   .on_progress = on_progress,
                                   .on_copied = on_copied,
                                   .on_verified = on_verified,
                                   .context = moving};
    struct arena *arena = arena_create(ARENA_BYTES);
    struct store_move_result result;
    struct err err;
    int code = EXIT_FINE;
    enum status st;

    side_config(moving->settings, moving->from, &spec.from);
    side_config(moving->settings, moving->to, &spec.to);
    st = store_move(&spec, arena, &result, &err);
    end_progress();
    if (st != ST_OK)
        code = command_fail(&err, "not moved");
    else if (json)
        print_json(as_json(moving, &result));
    else
        print(moving, &result);
    arena_destroy(&arena);
    return code;
}

static int
run(int argc, char **argv)
{
    struct moving moving = {0};
    bool restart = false;
    const struct option_spec specs[] = {{"from", &moving.from, NULL},
                                        {"to", &moving.to, NULL},
                                        {"restart", NULL, &restart},
                                        {NULL, NULL, NULL}};
    struct options options;
    int code;

    if (!options_read("move", argc, argv, specs, &options))
        return EXIT_USAGE;
    if (moving.from == NULL || moving.to == NULL || options.operand_count > 0 ||
        moving.from[0] == '\0' || moving.to[0] == '\0') {
        fputs("parley move: from where, and where to? `parley move --help` explains\n", stderr);
        return EXIT_USAGE;
    }
    if (!options_settings(&options, &moving.settings))
        return EXIT_USAGE;
    log_init(STDERR_FILENO, LOG_WARN);
    if ((strcmp(moving.from, THE_SETTING) == 0 || strcmp(moving.to, THE_SETTING) == 0) &&
        !app_uses_server(moving.settings)) {
        fputs("parley move: database.url is not set\n", stderr);
        code = EXIT_USAGE;
    } else {
        code = move(&moving, restart, options.json);
    }
    blob_close(&moving.from_blobs);
    blob_close(&moving.to_blobs);
    settings_destroy(&moving.settings);
    return code;
}

const struct command command_move = {
    .name = "move",
    .summary = "move all data from a data folder to PostgreSQL, or back",
    .usage = "move --from FOLDER|URL --to URL|FOLDER [--restart] [--json]",
    .help =
        "Copies every table of every organization, then reads both sides and compares the number\n"
        "of rows and checksums of each table of each organization. A URL begins with\n"
        "postgresql://; the word database.url stands for that setting, so that no password is\n"
        "among the words of a command. The target must be empty, and a database migrated\n"
        "(`parley migrate`). Nobody may serve either side meanwhile: stop all servers first.\n\n"
        "When it is interrupted the target is marked and nobody can serve it: the same words\n"
        "again go on; --restart throws away what was moved and begins anew. The source is only\n"
        "read, its files brought to this version's schema.\n\n"
        "Documents are copied when their folder changes: from blobs in a data folder, or from\n"
        "where they are served, to blob.folder, or without it to blobs in the folder that is\n"
        "moved to (with PostgreSQL: in data.folder). The file with the master keys is not\n"
        "touched. Jobs that were being worked on are ready again.\n",
    .run = run,
};
