/*
 * cmd_backup.c - parley backup and parley restore
 */
#include <stdio.h>
#include <string.h>

#include "app/cmd_common.h"

static void
on_progress(const struct store_progress *progress, void *context)
{
    (void)context;
    print_progress(progress->what, progress->done, progress->total);
}

static int
backup(int argc, char **argv)
{
    struct session session;
    struct options options;
    struct err err;
    int code;

    if (!options_read("backup", argc, argv, NULL, &options))
        return EXIT_USAGE;
    if (options.operand_count != 1) {
        fputs("parley backup: into which new folder? `parley backup --help` explains\n", stderr);
        return EXIT_USAGE;
    }
    code = session_open_any(&options, &session);
    if (code == EXIT_FINE &&
        store_backup(session.app->store, options.operands[0], on_progress, NULL, &err) != ST_OK)
        code = command_fail(&err, "no backup was made");
    end_progress();
    session_close(&session);
    if (code == EXIT_FINE)
        printf("The backup is in %s. The key that opens its credentials is not: keep it apart.\n",
               options.operands[0]);
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
    if (store_restore(options.operands[0], settings_text(settings, "data.folder").ptr, on_progress,
                      NULL, &err) != ST_OK)
        code = command_fail(&err, "nothing was restored");
    end_progress();
    if (code == EXIT_FINE)
        printf("Restored into %s.\n", settings_text(settings, "data.folder").ptr);
    settings_destroy(&settings);
    return code;
}

const struct command command_backup = {
    .name = "backup",
    .summary = "copy the data folder, whole and consistent",
    .usage = "backup [--data FOLDER] NEW_FOLDER",
    .help = "Writes a consistent copy of every database into a new folder, with a manifest of\n"
            "checksums. The file with the master keys is left out on purpose: whoever has both\n"
            "can read all credentials.\n",
    .run = backup,
};

const struct command command_restore = {
    .name = "restore",
    .summary = "put a backup in place",
    .usage = "restore [--data FOLDER] BACKUP_FOLDER",
    .help = "Checks the backup's checksums, then puts it in place as the data folder, which must\n"
            "not exist or be empty. Put the key file beside it as it was.\n",
    .run = restore,
};
