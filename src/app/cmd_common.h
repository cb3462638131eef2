/*
 * cmd_common.h - what several commands share: the organization they mean, a server they speak to
 */
#ifndef PARLEY_APP_CMD_COMMON_H
#define PARLEY_APP_CMD_COMMON_H

#include <jansson.h>

#include "app/commands.h"

/* The data folder opened for one organization. */
struct session {
    struct settings *settings;
    struct app *app;
    struct arena *arena;
    const struct tenant_scope *scope;
};

/* organization: id or slug; NULL means the only one there is. On failure prints why, and what to do
 * when a running server has the folder. Returns an exit code; close in any case. */
int session_open(const struct options *options, const char *organization,
                 struct session *session_out);
/* The same without an organization, and for a folder that need not be there yet. */
int session_open_any(const struct options *options, bool may_make_folder,
                     struct session *session_out);
/* The same; a running server is no failure but leaves session_out->app NULL. */
int session_open_unless_served(const struct options *options, bool may_make_folder,
                               bool *served_out, struct session *session_out);
void session_close(struct session *session);

/* A running server, reached by its API. */
struct remote {
    const char *url, *key; /* --url, --key or PARLEY_KEY_FILE's contents */
    struct http_client *http;
};
int remote_open(const char *url, const char *key, struct remote *remote_out);
void remote_close(struct remote *remote);
/* Answers with a JSON object; an error is printed in the server's own words. Returns an exit code.
 */
int remote_call(struct remote *remote, const char *method, struct str path, struct str content_type,
                struct str body, struct arena *arena, json_t **answer_out);

/* Prints JSON with two spaces of indent and a line feed; takes it. */
void print_json(json_t *json);
/* One line of progress that overwrites itself on a terminal and is left out elsewhere. */
void print_progress(const char *what, unsigned done, unsigned total);
void end_progress(void);

#endif
