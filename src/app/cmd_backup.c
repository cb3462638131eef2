/*
 * cmd_backup.c - parley backup and parley restore
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/cmd_common.h"
#include "base/log.h"

static void
on_progress(const struct store_progress *progress, void *context)
{
    (void)context;
    print_progress(progress->what, progress->done, progress->total);
}

static int
backup(int argc, char **argv)
{
    struct settings *settings = NULL;
    struct options options;
    char objects[4096];
    struct err err;
    int code = EXIT_FINE;

    if (!options_read("backup", argc, argv, NULL, &options))
        return EXIT_USAGE;
    if (options.operand_count != 1) {
        fputs("parley backup: into which new folder? `parley backup --help` explains\n", stderr);
        return EXIT_USAGE;
    }
    if (!options_settings(&options, &settings))
        return EXIT_USAGE;
    if (app_uses_server(settings)) {
        fputs("parley backup: the data is in PostgreSQL: use pg_dump, or the server's own\n"
              "continuous archiving, and keep a copy of the key file apart\n",
              stderr);
        settings_destroy(&settings);
        return EXIT_USAGE;
    }
    log_init(STDERR_FILENO, LOG_WARN);
    app_blob_folder(settings, objects, sizeof(objects));
    if (store_backup_folder(settings_text(settings, "data.folder").ptr, objects,
                            options.operands[0], on_progress, NULL, &err) != ST_OK)
        code = command_fail(&err, "no backup was made");
    end_progress();
    if (code == EXIT_FINE && options.json)
        print_json(json_pack("{s:s}", "backup", options.operands[0]));
    else if (code == EXIT_FINE)
        printf("The backup is in %s. The key that opens its credentials is not: keep it apart.\n",
               options.operands[0]);
    settings_destroy(&settings);
    return code;
}

static int
restore(int argc, char **argv)
{
    struct settings *settings = NULL;
    struct options options;
    struct err err;
    int code = EXIT_FINE;

    if (!options_read("restore", argc, argv, NULL, &options))
        return EXIT_USAGE;
    if (options.operand_count != 1) {
        fputs("parley restore: from which folder? `parley restore --help` explains\n", stderr);
        return EXIT_USAGE;
    }
    if (!options_settings(&options, &settings))
        return EXIT_USAGE;
    if (app_uses_server(settings)) {
        fputs("parley restore: the data is in PostgreSQL: use pg_restore, or the server's own\n"
              "continuous archiving, and keep a copy of the key file apart\n",
              stderr);
        settings_destroy(&settings);
        return EXIT_USAGE;
    }
    if (store_restore(options.operands[0], settings_text(settings, "data.folder").ptr, on_progress,
                      NULL, &err) != ST_OK)
        code = command_fail(&err, "nothing was restored");
    end_progress();
    if (code == EXIT_FINE && options.json)
        print_json(json_pack("{s:s, s:s}", "restored", options.operands[0], "data_folder",
                             settings_text(settings, "data.folder").ptr));
    else if (code == EXIT_FINE)
        printf("Restored into %s.\n", settings_text(settings, "data.folder").ptr);
    settings_destroy(&settings);
    return code;
}

const struct command command_backup = {
    .name = "backup",
    .summary = "copy the data folder, whole and consistent, while the server runs",
    .usage = "backup [--data FOLDER] [--json] NEW_FOLDER",
    .help =
        "Writes a consistent copy of every database and every document into a new folder, with\n"
        "a manifest of checksums (`sha256sum -c MANIFEST` checks them). The server may run "
        "meanwhile and\n"
        "loses no time. The file with the master keys is left out on purpose: whoever has\n"
        "both can read all credentials. A backup is whole when its MANIFEST is there.\n",
    .run = backup,
};

const struct command command_restore = {
    .name = "restore",
    .summary = "put a backup in place",
    .usage = "restore [--data FOLDER] [--json] BACKUP_FOLDER",
    .help =
        "Checks the backup's checksums, then puts it in place as the data folder, which must\n"
        "not exist or be empty. Documents come into blobs in that folder: when blob.folder is set\n"
        "elsewhere, move them there. Put the key file beside it as it was.\n",
    .run = restore,
};
