/*
 * sqlite_statement.c - statements, their parameters by number, and columns
 *
 * To SQLite "$7" is a name, and positions follow the order of first appearance: which position a
 * number has is looked up once, when the statement is prepared.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/drivers/sqlite_private.h"

#define PARAMETERS_MAX 99

struct sqlite_statement {
    struct store_statement common; /* first */
    struct sqlite_connection *connection;
    sqlite3_stmt *stmt;
    bool writes;
    int64_t changes;
    unsigned char position[PARAMETERS_MAX + 1]; /* of $n; 0: the text does not name it */
};

static struct sqlite_statement *
own(struct store_statement *statement)
{
    return (struct sqlite_statement *)statement;
}

static enum status
number_parameters(struct sqlite_statement *statement, const struct store_sql *sql, struct err *err)
{
    int count = sqlite3_bind_parameter_count(statement->stmt);

    for (int i = 1; i <= count; i++) {
        const char *name = sqlite3_bind_parameter_name(statement->stmt, i);
        int64_t number = 0;

        if (name == NULL || name[0] != '$' || !str_to_i64(str_from_c(name + 1), &number) ||
            number < 1 || number > PARAMETERS_MAX)
            return err_set_detail(err, ST_INTERNAL, "%s: parameters are $1 to $%d", sql->name,
                                  PARAMETERS_MAX);
        statement->position[number] = (unsigned char)i;
        if (number > statement->common.parameters)
            statement->common.parameters = (unsigned)number;
    }
    for (unsigned n = 2; n <= statement->common.parameters; n++) {
        if (statement->position[n] == 0)
            return err_set_detail(err, ST_INTERNAL, "%s does not use $%u", sql->name, n);
    }
    return ST_OK;
}

enum status
sqlite_prepare(struct store_connection *connection, const struct store_sql *sql,
               struct store_statement **statement_out, struct err *err)
{
    struct sqlite_connection *owner = (struct sqlite_connection *)connection;
    struct sqlite_statement *statement = calloc(1, sizeof(*statement));
    const char *text = sql->text != NULL ? sql->text : sql->sqlite;
    const char *rest = NULL;
    enum status st = ST_OK;
    int code;

    if (statement == NULL)
        abort();
    assert(text != NULL);
    statement->connection = owner;
    code =
        sqlite3_prepare_v3(owner->db, text, -1, SQLITE_PREPARE_PERSISTENT, &statement->stmt, &rest);
    if (code != SQLITE_OK)
        st = sqlite_failed(owner->db, code, sql->name, err);
    else if (statement->stmt == NULL || rest[0] != '\0')
        st = err_set_detail(err, ST_INTERNAL, "%s is not one statement", sql->name);
    if (st == ST_OK)
        st = number_parameters(statement, sql, err);
    if (st == ST_OK) {
        statement->writes = !sqlite3_stmt_readonly(statement->stmt);
        statement->common.names_organization =
            !connection->is_control && statement->position[1] != 0;
        *statement_out = &statement->common;
    } else {
        struct store_statement *failed = &statement->common;

        sqlite_finalize(&failed);
    }
    return st;
}

void
sqlite_finalize(struct store_statement **statement_ref)
{
    struct sqlite_statement *statement = own(*statement_ref);

    *statement_ref = NULL;
    (void)sqlite3_finalize(statement->stmt);
    free(statement);
}

static int
bind_one(sqlite3_stmt *stmt, int position, const struct store_value *value)
{
    static const char empty[] = "";
    const char *bytes = value->bytes.ptr != NULL ? value->bytes.ptr : empty;

    switch (value->kind) {
    case STORE_INT:
        return sqlite3_bind_int64(stmt, position, value->integer);
    case STORE_TEXT:
        return sqlite3_bind_text64(stmt, position, bytes, value->bytes.len, SQLITE_STATIC,
                                   SQLITE_UTF8);
    case STORE_BLOB:
        return sqlite3_bind_blob64(stmt, position, bytes, value->bytes.len, SQLITE_STATIC);
    case STORE_REAL:
        return sqlite3_bind_double(stmt, position, value->real);
    case STORE_NULL:
        break;
    }
    return sqlite3_bind_null(stmt, position);
}

enum status
sqlite_bind(struct store_statement *statement, unsigned first, const struct store_value *values,
            size_t count, struct err *err)
{
    struct sqlite_statement *s = own(statement);

    assert(first + count - 1 <= statement->parameters);
    for (size_t i = 0; i < count; i++) {
        int position = s->position[first + i];
        int code = position == 0 ? SQLITE_OK : bind_one(s->stmt, position, &values[i]);

        if (code != SQLITE_OK)
            return sqlite_failed(s->connection->db, code, "bind", err);
    }
    return ST_OK;
}

enum status
sqlite_step(struct store_statement *statement, bool *row_out, struct err *err)
{
    struct sqlite_statement *s = own(statement);
    int code = sqlite3_step(s->stmt);

    *row_out = code == SQLITE_ROW;
    if (code == SQLITE_ROW)
        return ST_OK;
    if (code != SQLITE_DONE)
        return sqlite_failed(s->connection->db, code, "step", err);
    s->changes = s->writes ? sqlite3_changes64(s->connection->db) : 0;
    return ST_OK;
}

enum status
sqlite_exec(struct store_statement *statement, struct err *err)
{
    bool row = true;
    enum status st = ST_OK;

    while (st == ST_OK && row)
        st = sqlite_step(statement, &row, err);
    return st;
}

int64_t
sqlite_changes(struct store_statement *statement)
{
    return own(statement)->changes;
}

/* Values stay bound until the next use sets each of them again: nobody reads them in between. */
void
sqlite_reset(struct store_statement *statement)
{
    (void)sqlite3_reset(own(statement)->stmt);
}

int64_t
sqlite_column_int(struct store_statement *statement, int column)
{
    return sqlite3_column_int64(own(statement)->stmt, column);
}

double
sqlite_column_real(struct store_statement *statement, int column)
{
    return sqlite3_column_double(own(statement)->stmt, column);
}

static struct str
view(sqlite3_stmt *stmt, int column, const void *bytes)
{
    int len = sqlite3_column_bytes(stmt, column);

    return bytes == NULL ? STR("") : str_of(bytes, (size_t)len);
}

/* A text is read as its bytes, which SQLite then need not copy to end them with a NUL. */
struct str
sqlite_column_text(struct store_statement *statement, int column)
{
    sqlite3_stmt *stmt = own(statement)->stmt;

    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_NULL:
        return STR_EMPTY;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        return view(stmt, column, sqlite3_column_blob(stmt, column));
    default:
        return view(stmt, column, sqlite3_column_text(stmt, column));
    }
}

struct str
sqlite_column_blob(struct store_statement *statement, int column)
{
    return sqlite_column_text(statement, column);
}

bool
sqlite_column_is_null(struct store_statement *statement, int column)
{
    return sqlite3_column_type(own(statement)->stmt, column) == SQLITE_NULL;
}
