/*
 * settings.h - one table makes parsing, --help, documentation and the check
 *
 * A module declares its settings as rows of struct setting; app joins the tables. Values come from
 * the default, then a file (lines "key = value", '#' begins a comment), then PARLEY_KEY in the
 * environment ('.' becomes '_', upper case). '#' counts only at the
 * beginning of a line or after white space; a value in double quotes is taken as it stands, with \"
 * and \\ for a quote and a backslash. An unknown key, in the file or among PARLEY_ variables,
 * is an error that names the nearest known key. Frozen after settings_load: any thread may read.
 */
#ifndef PARLEY_BASE_SETTINGS_H
#define PARLEY_BASE_SETTINGS_H

#include "base/arena.h"
#include "base/buf.h"

enum setting_kind {
    SETTING_TEXT,     /* any UTF-8 */
    SETTING_SECRET,   /* like text; printed as *** */
    SETTING_INT,      /* min..max */
    SETTING_BOOL,     /* true | false */
    SETTING_DURATION, /* "250ms", "30s", "5m", "12h", "7d": read as milliseconds */
    SETTING_SIZE,     /* "512", "64kB", "10MB": read as bytes (powers of 1024) */
    SETTING_CHOICE    /* one of choices */
};

struct setting {
    const char *key; /* "http.listen" */
    enum setting_kind kind;
    const char *default_value; /* in the form a user writes; NULL for unset */
    int64_t min, max;          /* of INT, DURATION, SIZE; both 0 for no bound */
    const char *choices;       /* "sqlite|pgsql" */
    const char *help;          /* one sentence or two, for a person */
    const char *former_key; /* what it was called: refused, naming this one; NULL: nothing else */
};

struct settings;

/* tables: arrays of rows, each ended by a row with key NULL; the list ended by NULL.
 * file may be empty (none). environment is like environ. ST_INVALID names file, line and key.
 * ST_NOT_FOUND: no such file. */
MUST_USE enum status settings_load(const struct setting *const *tables, struct str file,
                                   char *const *environment, struct settings **settings_out,
                                   struct err *err);
/* The same from text already in memory: for the fuzzer and tests. name stands in messages. */
MUST_USE enum status settings_parse(const struct setting *const *tables, struct str name,
                                    struct str text, char *const *environment,
                                    struct settings **settings_out, struct err *err);
void settings_destroy(struct settings **settings);

/* Asking for a key no table has, or as the wrong kind, is a bug and aborts. Unset and without a
 * default: "", 0, false. */
struct str settings_text(const struct settings *settings,
                         const char *key);                              /* also SECRET, CHOICE */
int64_t settings_int(const struct settings *settings, const char *key); /* INT, DURATION, SIZE */
bool settings_bool(const struct settings *settings, const char *key);
bool settings_is_set(const struct settings *settings, const char *key); /* by user, not default */

/* Every key with its kind, default and help: for a terminal, or as a Markdown table. */
void settings_write_help(const struct setting *const *tables, bool markdown, struct buf *out);
/* The setting at that place, from 0 on, with its value in force as it was written (a secret's as
 * ***, one that is not set as ""); NULL after the last. */
const struct setting *settings_at(const struct settings *settings, size_t at, struct str *value_out,
                                  bool *by_user_out);
/* Every key with its value in force; secrets as ***. */
void settings_write_values(const struct settings *settings, struct buf *out);

#endif
