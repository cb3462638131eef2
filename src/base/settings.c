/*
 * settings.c - values from default, file and environment, checked against the tables
 */
#include "base/settings.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"

#define MAX_FILE_BYTES ((size_t)1024 * 1024)
#define MAX_KEYS 1024
#define MAX_KEY_BYTES 64
#define ENV_PREFIX "PARLEY_"

struct value {
    const struct setting *setting;
    struct str text; /* as the user or the table wrote it */
    int64_t number;  /* INT, DURATION in ms, SIZE in bytes, BOOL */
    bool by_user;
    unsigned line; /* in the file, or 0 */
};

struct settings {
    struct arena *arena;
    struct map by_key;    /* to struct value */
    struct value *values; /* in the order of the tables */
    size_t count;
};

struct unit {
    const char *suffix;
    int64_t factor;
};

static const struct unit duration_units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                             {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit size_units[] = {{"kB", INT64_C(1) << 10},
                                         {"MB", INT64_C(1) << 20},
                                         {"GB", INT64_C(1) << 30},
                                         {"", 1},
                                         {NULL, 0}};

static const char *const kind_names[] = {
    [SETTING_TEXT] = "text",         [SETTING_SECRET] = "secret",     [SETTING_INT] = "number",
    [SETTING_BOOL] = "true | false", [SETTING_DURATION] = "duration", [SETTING_SIZE] = "size",
    [SETTING_CHOICE] = "choice"};

static bool
parse_with_unit(struct str text, const struct unit *units, int64_t *number_out)
{
    size_t digits = 0;
    int64_t number;

    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    if (!str_to_i64(str_sub(text, 0, digits), &number))
        return false;
    text = str_sub(text, digits, text.len);
    if (number == 0 && text.len == 0) {
        *number_out = 0;
        return true;
    }
    for (; units->suffix != NULL; units++) {
        if (str_eq_c(text, units->suffix))
            return !__builtin_mul_overflow(number, units->factor, number_out);
    }
    return false;
}

static bool
is_choice(const char *choices, struct str text)
{
    struct str rest = str_from_c(choices);
    struct str choice;

    while (str_split(&rest, '|', &choice)) {
        if (str_eq(choice, text))
            return true;
    }
    return false;
}

static bool
is_text(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 && text.ptr[i] != '\t')
            return false;
    }
    return str_is_utf8(text);
}

/* What is wrong with text as a value of that kind, or NULL. */
static const char *
parse_value(const struct setting *setting, struct str text, int64_t *number_out)
{
    *number_out = 0;
    switch (setting->kind) {
    case SETTING_TEXT:
    case SETTING_SECRET:
        return is_text(text) ? NULL : "must be UTF-8 text without control characters";
    case SETTING_CHOICE:
        return is_choice(setting->choices, text) ? NULL : "must be one of";
    case SETTING_BOOL:
        *number_out = str_eq(text, STR("true"));
        return *number_out || str_eq(text, STR("false")) ? NULL : "must be true or false";
    case SETTING_INT:
        if (!str_to_i64(text, number_out))
            return "must be a whole number";
        break;
    case SETTING_DURATION:
        if (!parse_with_unit(text, duration_units, number_out))
            return "must be a duration such as 250ms, 30s, 5m, 12h or 7d";
        break;
    case SETTING_SIZE:
        if (!parse_with_unit(text, size_units, number_out))
            return "must be a size such as 512, 64kB, 10MB or 1GB";
        break;
    }
    if ((setting->min != 0 || setting->max != 0) &&
        (*number_out < setting->min || *number_out > setting->max))
        return "is out of range";
    return NULL;
}

static void
write_number(struct buf *out, enum setting_kind kind, int64_t number)
{
    const struct unit *units = kind == SETTING_DURATION ? duration_units : size_units;
    const struct unit *best = NULL;

    if (kind != SETTING_INT) {
        for (; units->suffix != NULL; units++) {
            if (number % units->factor == 0 && (best == NULL || units->factor > best->factor))
                best = units;
        }
    }
    if (best == NULL || number == 0)
        buf_printf(out, "%lld", (long long)number);
    else
        buf_printf(out, "%lld%s", (long long)(number / best->factor), best->suffix);
}

static void
write_range(struct buf *out, const struct setting *setting)
{
    if (setting->min == 0 && setting->max == 0)
        return;
    write_number(out, setting->kind, setting->min);
    buf_append_c(out, " to ");
    write_number(out, setting->kind, setting->max);
}

static void
write_choices(struct buf *out, const struct setting *setting)
{
    struct str rest = str_from_c(setting->choices);
    struct str choice;
    const char *separator = "";

    while (str_split(&rest, '|', &choice)) {
        buf_printf(out, "%s%.*s", separator, STR_ARG(choice));
        separator = " | ";
    }
}

/* where is "file:12: " or the variable's name with a colon. A secret's text is never shown. */
static enum status
store_value(struct settings *settings, struct value *value, struct str text, const char *where,
            struct err *err)
{
    const struct setting *setting = value->setting;
    const char *wrong = parse_value(setting, text, &value->number);
    struct buf range;

    if (wrong == NULL) {
        value->by_user = true;
        return arena_try_str(settings->arena, text, &value->text, err);
    }
    buf_init(&range, 256);
    if (setting->kind == SETTING_CHOICE)
        write_choices(&range, setting);
    else
        write_range(&range, setting);
    if (setting->kind == SETTING_SECRET || !is_text(text))
        text = STR("this value");
    (void)err_set(err, ST_INVALID, "%s%s: \"%.*s\" %s%s%.*s", where, setting->key,
                  (int)str_utf8_floor(text, 60), text.ptr == NULL ? "" : text.ptr, wrong,
                  range.len == 0 ? "" : ": ", STR_ARG(buf_str(&range)));
    buf_deinit(&range);
    return ST_INVALID;
}

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance with two rows; b is at most MAX_KEY_BYTES long. */
static size_t
edit_distance(struct str a, struct str b)
{
    size_t row[MAX_KEY_BYTES + 1];

    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 0; i < a.len; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < b.len; j++) {
            size_t replace = diagonal + (a.ptr[i] == b.ptr[j] ? 0 : 1);

            diagonal = row[j + 1];
            row[j + 1] = least(replace, least(diagonal, row[j]) + 1);
        }
    }
    return row[b.len];
}

/* "http.listen" to "PARLEY_HTTP_LISTEN"; out holds what MAX_KEY_BYTES can become. */
#define MAX_VARIABLE_BYTES (MAX_KEY_BYTES + sizeof(ENV_PREFIX))
static struct str
variable_name(const char *key, char out[MAX_VARIABLE_BYTES])
{
    size_t len = sizeof(ENV_PREFIX) - 1;

    memcpy(out, ENV_PREFIX, len);
    for (; *key != '\0'; key++) {
        char c = *key;

        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        out[len++] = c == '.' || c == '-' ? '_' : c;
    }
    out[len] = '\0';
    return (struct str){out, len};
}

static enum status
unknown_key(const struct settings *settings, struct str key, bool is_variable, const char *where,
            struct err *err)
{
    char nearest[MAX_VARIABLE_BYTES] = "";
    size_t nearest_distance = SIZE_MAX;
    struct str shown = str_sub(key, 0, MAX_KEY_BYTES);

    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *setting = settings->values[i].setting;
        char variable[MAX_VARIABLE_BYTES], former[MAX_VARIABLE_BYTES];
        struct str known = str_from_c(setting->key), before = str_from_c(setting->former_key);
        size_t distance;

        if (is_variable)
            known = variable_name(known.ptr, variable);
        if (is_variable && setting->former_key != NULL)
            before = variable_name(setting->former_key, former);
        if (before.len > 0 && str_eq(before, shown))
            return err_set(err, ST_INVALID, "%s\"%.*s\" is called \"%.*s\" now", where,
                           STR_ARG(shown), STR_ARG(known));
        /* Variables share their prefix; what follows is at most a key long. */
        distance = is_variable ? edit_distance(str_sub(shown, sizeof(ENV_PREFIX) - 1, shown.len),
                                               str_sub(known, sizeof(ENV_PREFIX) - 1, known.len))
                               : edit_distance(shown, known);
        if (distance < nearest_distance) {
            nearest_distance = distance;
            memcpy(nearest, known.ptr, known.len);
            nearest[known.len] = '\0';
        }
    }
    if (!is_text(key))
        return err_set(err, ST_INVALID, "%sa key that is not text", where);
    shown.len = str_utf8_floor(key, MAX_KEY_BYTES);
    if (nearest_distance > shown.len)
        return err_set(err, ST_INVALID, "%sunknown setting \"%.*s\"", where, STR_ARG(shown));
    return err_set(err, ST_INVALID, "%sunknown setting \"%.*s\"; did you mean \"%s\"?", where,
                   STR_ARG(shown), nearest);
}

/* The value of a line: in quotes with \" and \\, or plain up to white space and '#'. */
static enum status
read_value(struct settings *settings, struct str raw, struct str *value_out, const char *where,
           struct err *err)
{
    char *unquoted;
    size_t len = 0;
    size_t at = 1;

    raw = str_trim(raw);
    if (raw.len == 0 || raw.ptr[0] != '"') {
        for (size_t i = 0; i < raw.len; i++) {
            if (raw.ptr[i] == '#' && (i == 0 || raw.ptr[i - 1] == ' ' || raw.ptr[i - 1] == '\t'))
                raw.len = i;
        }
        *value_out = str_trim(raw);
        return ST_OK;
    }
    unquoted = arena_try_alloc(settings->arena, raw.len);
    if (unquoted == NULL)
        return err_set(err, ST_TOO_LARGE, "%stoo much text", where);
    for (; at < raw.len && raw.ptr[at] != '"'; at++) {
        if (raw.ptr[at] == '\\') {
            at++;
            if (at == raw.len || (raw.ptr[at] != '"' && raw.ptr[at] != '\\'))
                return err_set(err, ST_INVALID, "%sin quotes only \\\" and \\\\ are escapes",
                               where);
        }
        unquoted[len++] = raw.ptr[at];
    }
    if (at >= raw.len)
        return err_set(err, ST_INVALID, "%sa quote is not closed", where);
    raw = str_trim(str_sub(raw, at + 1, raw.len));
    if (raw.len > 0 && raw.ptr[0] != '#')
        return err_set(err, ST_INVALID, "%ssomething follows the closing quote", where);
    *value_out = (struct str){unquoted, len};
    return ST_OK;
}

static enum status
read_line(struct settings *settings, struct str line, unsigned number, const char *where,
          struct err *err)
{
    struct str key;
    struct str text = STR_EMPTY;
    struct value *value;
    ptrdiff_t equals;
    enum status st;

    line = str_trim(line);
    if (line.len == 0 || line.ptr[0] == '#')
        return ST_OK;
    equals = str_find_byte(line, '=');
    if (equals < 0)
        return err_set(err, ST_INVALID, "%sa line must read \"key = value\"", where);
    key = str_trim(str_sub(line, 0, (size_t)equals));
    value = map_find(&settings->by_key, key);
    if (value == NULL)
        return unknown_key(settings, key, false, where, err);
    if (value->line != 0)
        return err_set(err, ST_INVALID, "%s%s was set in line %u already", where,
                       value->setting->key, value->line);
    value->line = number;
    st = read_value(settings, str_sub(line, (size_t)equals + 1, line.len), &text, where, err);
    if (st == ST_OK)
        st = store_value(settings, value, text, where, err);
    return st;
}

static enum status
read_text(struct settings *settings, struct str name, struct str text, struct err *err)
{
    struct str line;
    unsigned number = 0;
    enum status st = ST_OK;

    while (st == ST_OK && str_split(&text, '\n', &line)) {
        char where[128];

        number++;
        (void)snprintf(where, sizeof(where), "%.*s:%u: ", (int)str_utf8_floor(name, 80),
                       name.ptr == NULL ? "" : name.ptr, number);
        st = read_line(settings, line, number, where, err);
    }
    return st;
}

/* PARLEY_FAILPOINTS is read by failpoint.c; a build without failpoints should not pass over it. */
#ifdef PARLEY_WITH_FAILPOINTS
#define FOREIGN_VARIABLE STR("PARLEY_FAILPOINTS")
#else
#define FOREIGN_VARIABLE STR_EMPTY
#endif

static enum status
read_variable(struct settings *settings, const char *variable, struct err *err)
{
    struct str text = str_from_c(variable);
    struct str name;
    char known[MAX_VARIABLE_BYTES];

    if (!str_starts_with(text, STR(ENV_PREFIX)))
        return ST_OK;
    (void)str_split(&text, '=', &name);
    if (str_eq(name, FOREIGN_VARIABLE))
        return ST_OK;
    for (size_t i = 0; i < settings->count; i++) {
        if (str_eq(name, variable_name(settings->values[i].setting->key, known)))
            return store_value(settings, &settings->values[i], text, "environment: ", err);
    }
    return unknown_key(settings, name, true, "environment: ", err);
}

static void
set_default(struct value *value)
{
    const char *text = value->setting->default_value;

    value->text = str_from_c(text);
    if (text != NULL && parse_value(value->setting, value->text, &value->number) != NULL) {
        (void)fprintf(stderr, "setting %s: its default is not valid\n", value->setting->key);
        abort();
    }
}

static struct settings *
create_with_defaults(const struct setting *const *tables)
{
    struct arena *arena = arena_create(4 * MAX_FILE_BYTES);
    struct settings *settings = ARENA_NEW(arena, struct settings);
    size_t count = 0;
    struct err err;

    for (size_t t = 0; tables[t] != NULL; t++) {
        for (const struct setting *row = tables[t]; row->key != NULL; row++)
            count++;
    }
    settings->arena = arena;
    settings->values = ARENA_NEW_N(arena, struct value, count);
    map_init(&settings->by_key, MAX_KEYS);
    for (size_t t = 0; tables[t] != NULL; t++) {
        for (const struct setting *row = tables[t]; row->key != NULL; row++) {
            struct value *value = &settings->values[settings->count++];
            struct str key = str_from_c(row->key);
            void *replaced;

            assert(key.len <= MAX_KEY_BYTES);
            value->setting = row;
            set_default(value);
            if (map_put(&settings->by_key, key, value, &replaced, &err) != ST_OK ||
                replaced != NULL) {
                (void)fprintf(stderr, "setting %s: declared twice, or too many\n", row->key);
                abort();
            }
        }
    }
    return settings;
}

enum status
settings_parse(const struct setting *const *tables, struct str name, struct str text,
               char *const *environment, struct settings **settings_out, struct err *err)
{
    struct settings *settings = create_with_defaults(tables);
    enum status st = read_text(settings, name, text, err);

    for (; st == ST_OK && environment != NULL && *environment != NULL; environment++)
        st = read_variable(settings, *environment, err);
    if (st != ST_OK)
        settings_destroy(&settings);
    *settings_out = settings;
    return st;
}

static enum status
read_file(const char *path, struct buf *text, struct err *err)
{
    char chunk[4096];
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_INVALID, "settings file %s: %s",
                       path, strerrordesc_np(errno));
    while ((got = read(fd, chunk, sizeof(chunk))) > 0)
        buf_append(text, str_of(chunk, (size_t)got));
    if (got < 0) {
        (void)err_set(err, ST_INVALID, "settings file %s: %s", path, strerrordesc_np(errno));
        (void)close(fd);
        return ST_INVALID;
    }
    (void)close(fd);
    return buf_check(text, err);
}

enum status
settings_load(const struct setting *const *tables, struct str file, char *const *environment,
              struct settings **settings_out, struct err *err)
{
    struct buf text;
    enum status st = ST_OK;

    *settings_out = NULL;
    buf_init(&text, MAX_FILE_BYTES);
    if (file.len > 0) {
        char path[4096];

        if (file.len >= sizeof(path) || str_find_byte(file, '\0') >= 0)
            return err_set(err, ST_INVALID, "settings file: not a path");
        memcpy(path, file.ptr, file.len);
        path[file.len] = '\0';
        st = read_file(path, &text, err);
    }
    if (st == ST_OK)
        st = settings_parse(tables, file, buf_str(&text), environment, settings_out, err);
    buf_deinit(&text);
    return st;
}

void
settings_destroy(struct settings **settings)
{
    struct arena *arena;

    if (*settings == NULL)
        return;
    map_deinit(&(*settings)->by_key);
    arena = (*settings)->arena; /* settings itself lives in it */
    arena_destroy(&arena);
    *settings = NULL;
}

static const struct value *
get_value(const struct settings *settings, const char *key)
{
    const struct value *value = map_find(&settings->by_key, str_from_c(key));

    if (value == NULL) {
        (void)fprintf(stderr, "setting %s: in no table\n", key);
        abort();
    }
    return value;
}

struct str
settings_text(const struct settings *settings, const char *key)
{
    const struct value *value = get_value(settings, key);

    assert(value->setting->kind == SETTING_TEXT || value->setting->kind == SETTING_SECRET ||
           value->setting->kind == SETTING_CHOICE);
    return value->text;
}

int64_t
settings_int(const struct settings *settings, const char *key)
{
    const struct value *value = get_value(settings, key);

    assert(value->setting->kind == SETTING_INT || value->setting->kind == SETTING_DURATION ||
           value->setting->kind == SETTING_SIZE);
    return value->number;
}

bool
settings_bool(const struct settings *settings, const char *key)
{
    const struct value *value = get_value(settings, key);

    assert(value->setting->kind == SETTING_BOOL);
    return value->number != 0;
}

bool
settings_is_set(const struct settings *settings, const char *key)
{
    return get_value(settings, key)->by_user;
}

/* Text in cells and lines of help: folded to width columns, each line indented. */
static void
write_folded(struct buf *out, struct str text, size_t indent, size_t width)
{
    struct str word;
    size_t column = 0;

    while (str_split(&text, ' ', &word)) {
        if (column == 0 || column + 1 + word.len > width) {
            buf_printf(out, "%s%*s", column == 0 ? "" : "\n", (int)indent, "");
            column = 0;
        } else {
            buf_append_byte(out, ' ');
            column++;
        }
        buf_append(out, word);
        column += word.len;
    }
    buf_append_byte(out, '\n');
}

/* "number, 1 to 64", "sqlite | pgsql" */
static void
write_kind(struct buf *out, const struct setting *setting)
{
    if (setting->kind == SETTING_CHOICE) {
        write_choices(out, setting);
        return;
    }
    buf_append_c(out, kind_names[setting->kind]);
    if (setting->min != 0 || setting->max != 0) {
        buf_append_c(out, ", ");
        write_range(out, setting);
    }
}

static void
write_help_text(struct buf *out, const struct setting *setting)
{
    char variable[MAX_VARIABLE_BYTES];

    buf_append_c(out, setting->key);
    if (setting->default_value != NULL)
        buf_printf(out, " = %s", setting->default_value);
    buf_append_c(out, "\n    ");
    write_kind(out, setting);
    (void)variable_name(setting->key, variable);
    buf_printf(out, "; %s\n", variable);
    write_folded(out, str_from_c(setting->help), 4, 92);
    buf_append_byte(out, '\n');
}

/* Inside a table '|' separates cells, also within code. */
static void
write_cell(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '|')
            buf_append_byte(out, '\\');
        buf_append_byte(out, text.ptr[i]);
    }
}

static void
write_help_row(struct buf *out, const struct setting *setting)
{
    char variable[MAX_VARIABLE_BYTES];
    struct buf kind;

    buf_init(&kind, 1024);
    write_kind(&kind, setting);
    (void)variable_name(setting->key, variable);
    buf_printf(out, "| `%s` | ", setting->key);
    write_cell(out, buf_str(&kind));
    buf_append_c(out, " | ");
    if (setting->default_value != NULL && setting->default_value[0] != '\0') {
        buf_append_byte(out, '`');
        write_cell(out, str_from_c(setting->default_value));
        buf_append_byte(out, '`');
    }
    buf_printf(out, " | `%s` | ", variable);
    write_cell(out, str_from_c(setting->help));
    buf_append_c(out, " |\n");
    buf_deinit(&kind);
}

void
settings_write_help(const struct setting *const *tables, bool markdown, struct buf *out)
{
    if (markdown)
        buf_append_c(out, "| Setting | Kind | Default | Variable | Meaning |\n"
                          "|---|---|---|---|---|\n");
    for (size_t t = 0; tables[t] != NULL; t++) {
        for (const struct setting *row = tables[t]; row->key != NULL; row++) {
            if (markdown)
                write_help_row(out, row);
            else
                write_help_text(out, row);
        }
    }
}

/* Plain where a reader of the file would get the same back, else in quotes. */
static void
write_value(struct buf *out, struct str text)
{
    bool plain = str_eq(str_trim(text), text) && !str_starts_with(text, STR("\"")) &&
                 str_find_byte(text, '#') < 0;

    if (plain) {
        buf_append(out, text);
        return;
    }
    buf_append_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            buf_append_byte(out, '\\');
        buf_append_byte(out, text.ptr[i]);
    }
    buf_append_byte(out, '"');
}

const struct setting *
settings_at(const struct settings *settings, size_t at, struct str *value_out, bool *by_user_out)
{
    const struct value *value;

    if (at >= settings->count)
        return NULL;
    value = &settings->values[at];
    *by_user_out = value->by_user;
    *value_out = value->text;
    if (value->setting->kind == SETTING_SECRET && value->text.len > 0)
        *value_out = STR("***");
    return value->setting;
}

void
settings_write_values(const struct settings *settings, struct buf *out)
{
    const struct setting *setting;
    struct str value;
    bool by_user;

    for (size_t i = 0; (setting = settings_at(settings, i, &value, &by_user)) != NULL; i++) {
        if (!by_user && setting->default_value == NULL) {
            buf_printf(out, "# %s is not set\n", setting->key);
            continue;
        }
        buf_printf(out, "%s = ", setting->key);
        write_value(out, value);
        buf_append_byte(out, '\n');
    }
}
