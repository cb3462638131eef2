/*
 * commands.h - the words of the command line; each command has a file cmd_<name>.c
 */
#ifndef PARLEY_APP_COMMANDS_H
#define PARLEY_APP_COMMANDS_H

#include "app/app.h"
#include "app/options.h"

extern const struct command command_serve, command_demo, command_ask, command_ingest, command_admin,
    command_dead_letters, command_doctor, command_backup, command_restore, command_migrate,
    command_move, command_status, command_config, command_encoder, command_eval, command_index;

/* serve.c: runs until SIGTERM or SIGINT. announce (may be NULL) is called once it listens. */
int serve_run(struct settings *settings,
              void (*announce)(struct app *app, unsigned port, void *context), void *context);

#endif
