/*
 * pgsql_statement.c - statements, their parameters in binary, and rows
 *
 * The types of parameters are those of the values, not what the server would guess: in
 * "$3 = 0 OR version = $3" it would guess a number of 32 bits. So a statement is prepared on the
 * server when it first runs, together with that run, and again when a value comes in another type
 * than before. A NULL says nothing of its type, and fits any.
 *
 * A statement in its form for many takes arrays, and is that alone: run by itself, it is for one.
 */
#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "store/drivers/pgsql_private.h"
#include "store/drivers/pgsql_sql.h"
#include "store/drivers/pgsql_types.h"

struct pgsql_statement {
    struct store_statement common; /* first */
    struct pgsql_connection *connection;
    const char *text;
    bool writes;
    struct pgsql_gathered *many;     /* of a form for many; else NULL */
    char name[16];                   /* on the server; "": not prepared */
    unsigned opened;                 /* the session it was prepared in */
    Oid types[PGSQL_PARAMETERS_MAX]; /* as prepared; 0: left to the server, only NULLs yet */
    struct store_value values[PGSQL_PARAMETERS_MAX]; /* bound */
    PGresult *result;                                /* NULL: not run yet */
    bool borrows;                                    /* the result is the connection's */
    int row, end; /* of the result; the first is 0, and end no more its own */
    int64_t changes;
    char number[32];
};

static struct pgsql_statement *
own(struct store_statement *statement)
{
    return (struct pgsql_statement *)statement;
}

/* Marks which $n stand in the text, outside of quotes; the largest is returned. */
static unsigned
find_parameters(const char *text, bool named[PGSQL_PARAMETERS_MAX + 1])
{
    unsigned largest = 0;
    bool quoted = false;

    for (const char *at = text; *at != '\0'; at++) {
        char *end;
        unsigned long number;

        if (*at == '\'')
            quoted = !quoted;
        if (quoted || *at != '$')
            continue;
        number = strtoul(at + 1, &end, 10);
        if (end == at + 1 || number < 1 || number > PGSQL_PARAMETERS_MAX)
            return PGSQL_PARAMETERS_MAX + 1;
        named[number] = true;
        if (number > largest)
            largest = (unsigned)number;
    }
    return largest;
}

enum status
pgsql_prepare(struct store_connection *connection, const struct store_sql *sql,
              struct store_statement **statement_out, struct err *err)
{
    const char *text = sql->text != NULL         ? sql->text
                       : sql->pgsql_many != NULL ? sql->pgsql_many
                                                 : sql->pgsql;
    bool named[PGSQL_PARAMETERS_MAX + 1] = {false};
    struct pgsql_statement *statement;
    unsigned parameters;

    assert(text != NULL);
    parameters = find_parameters(text, named);
    if (parameters > PGSQL_PARAMETERS_MAX)
        return err_set_detail(err, ST_INTERNAL, "%s: parameters are $1 to $%d", sql->name,
                              PGSQL_PARAMETERS_MAX);
    for (unsigned n = 2; n <= parameters; n++) {
        if (!named[n])
            return err_set_detail(err, ST_INTERNAL, "%s does not use $%u", sql->name, n);
    }
    statement = calloc(1, sizeof(*statement));
    if (statement == NULL)
        abort();
    statement->connection = (struct pgsql_connection *)connection;
    statement->text = text;
    statement->writes = strncasecmp(text, "SELECT", 6) != 0;
    statement->common.parameters = parameters;
    if (!named[1])
        statement->types[0] = PGSQL_TEXT; /* nothing in the text tells the server */
    statement->common.names_organization = !connection->is_control && named[1];
    if (text == sql->pgsql_many) {
        assert(statement->common.names_organization);
        statement->many = pgsql_gathered_create();
    }
    *statement_out = &statement->common;
    return ST_OK;
}

/* The server forgets the name with the next transaction. */
static void
drop_name(struct pgsql_statement *statement)
{
    struct pgsql_connection *connection = statement->connection;
    struct pgsql_name *name;

    if (statement->name[0] != '\0' && statement->opened == connection->opened &&
        connection->pg != NULL) {
        name = calloc(1, sizeof(*name));
        if (name == NULL)
            abort();
        memcpy(name->text, statement->name, sizeof(name->text));
        name->next = connection->unused;
        connection->unused = name;
    }
    statement->name[0] = '\0';
}

void
pgsql_finalize(struct store_statement **statement_ref)
{
    struct pgsql_statement *statement = own(*statement_ref);

    *statement_ref = NULL;
    assert(statement->connection->gathering != statement);
    drop_name(statement);
    pgsql_gathered_destroy(&statement->many);
    PQclear(statement->result);
    free(statement);
}

/* What the server would refuse, or could not hold, is refused here, before anything failed. */
enum status
pgsql_bind(struct store_statement *statement, unsigned first, const struct store_value *values,
           size_t count, struct err *err)
{
    struct pgsql_statement *s = own(statement);

    assert(first + count - 1 <= statement->parameters);
    for (size_t i = 0; i < count; i++) {
        struct str bytes = values[i].bytes;

        if (values[i].kind == STORE_TEXT &&
            (!str_is_utf8(bytes) || (bytes.len > 0 && memchr(bytes.ptr, '\0', bytes.len) != NULL)))
            return err_set(err, ST_INVALID, "text must be UTF-8 without zero bytes");
        if (bytes.len > INT32_MAX / 2)
            return err_set(err, ST_TOO_LARGE, "a value of more than a gigabyte");
        s->values[first - 1 + i] = values[i];
    }
    return ST_OK;
}

/* --- running --- */

struct parameters {
    const char *bytes[PGSQL_PARAMETERS_MAX];
    int lengths[PGSQL_PARAMETERS_MAX];
    int formats[PGSQL_PARAMETERS_MAX];
    uint64_t numbers[PGSQL_PARAMETERS_MAX]; /* in the order of the network */
};

/* Behind $1 a form for many takes what was gathered. */
static bool
takes_array(const struct pgsql_statement *statement, unsigned parameter)
{
    return statement->many != NULL && parameter > 0;
}

static void
fill(struct parameters *parameters, struct pgsql_statement *statement)
{
    for (unsigned i = 0; i < statement->common.parameters; i++) {
        const struct store_value *value = &statement->values[i];
        uint64_t bits = (uint64_t)value->integer;

        parameters->formats[i] = 1;
        parameters->bytes[i] = (const char *)&parameters->numbers[i];
        parameters->lengths[i] = sizeof(bits);
        if (value->kind == STORE_REAL)
            memcpy(&bits, &value->real, sizeof(bits));
        if (takes_array(statement, i)) {
            struct str array = pgsql_gathered_array(statement->many, i - 1, statement->types[i]);

            parameters->bytes[i] = array.ptr;
            parameters->lengths[i] = (int)array.len;
        } else if (value->kind == STORE_TEXT || value->kind == STORE_BLOB) {
            parameters->bytes[i] = value->bytes.ptr;
            parameters->lengths[i] = (int)value->bytes.len;
        } else if (value->kind == STORE_NULL) {
            parameters->bytes[i] = NULL;
        }
        parameters->numbers[i] = htobe64(bits);
    }
}

/* 0: of NULL, any will do. */
static Oid
type_of(const struct pgsql_statement *statement, unsigned parameter)
{
    return takes_array(statement, parameter) ? pgsql_gathered_type(statement->many, parameter - 1)
                                             : pgsql_type_of(&statement->values[parameter]);
}

/* The server has its text, for values of these types. */
static bool
is_known(const struct pgsql_statement *statement)
{
    bool fits = statement->name[0] != '\0' && statement->opened == statement->connection->opened;

    for (unsigned i = 0; i < statement->common.parameters; i++) {
        Oid type = type_of(statement, i);

        fits = fits && (type == 0 || type == statement->types[i]);
    }
    return fits;
}

/* Sends the text when the server does not know it: then it is true. */
static bool
send_text(struct pgsql_statement *statement)
{
    struct pgsql_connection *connection = statement->connection;

    if (is_known(statement))
        return false;
    for (unsigned i = 0; i < statement->common.parameters; i++) {
        Oid type = type_of(statement, i);

        if (type != 0)
            statement->types[i] = type;
        else if (statement->types[i] == 0 && takes_array(statement, i))
            statement->types[i] = PGSQL_TEXT_ARRAY; /* an array of NULLs, too, says of what */
    }
    drop_name(statement);
    (void)snprintf(statement->name, sizeof(statement->name), "s%u", ++connection->names);
    statement->opened = connection->opened;
    if (PQsendPrepare(connection->pg, statement->name, statement->text,
                      (int)statement->common.parameters, statement->types) == 1)
        connection->commands++;
    return true;
}

/* Whether its text was sent with it. */
static bool
send_run(struct pgsql_statement *statement)
{
    struct pgsql_connection *connection = statement->connection;
    struct parameters parameters;
    bool is_new;

    pgsql_send(connection, NULL, 0, NULL);
    is_new = send_text(statement);
    fill(&parameters, statement);
    if (PQsendQueryPrepared(connection->pg, statement->name, (int)statement->common.parameters,
                            parameters.bytes, parameters.lengths, parameters.formats, 1) == 1)
        connection->commands++;
    connection->wrote = connection->wrote || statement->writes;
    return is_new;
}

static enum status
run(struct pgsql_statement *statement, struct err *err)
{
    struct pgsql_connection *connection = statement->connection;
    PGresult *answers[2] = {NULL, NULL};
    unsigned count = 1;
    bool asks_id, is_new;
    enum status st;

    if (connection->pg == NULL || connection->state == PGSQL_IDLE)
        return err_set_detail(err, ST_UNAVAILABLE, "the transaction is lost");
    st = pgsql_send_gathered(connection, err);
    if (st != ST_OK)
        return st;
    if (statement->many != NULL)
        pgsql_gathered_add(statement->many, statement->values + 1,
                           statement->common.parameters - 1);
    is_new = send_run(statement);
    if (statement->many != NULL)
        pgsql_gathered_clear(statement->many);
    asks_id = connection->wrote && connection->transaction_id[0] == '\0';
    if (asks_id) {
        pgsql_send(connection, PGSQL_TRANSACTION_ID, 0, NULL);
        count++;
    }
    st = pgsql_answers(connection, "step", answers, count, err);
    if (st == ST_OK) {
        statement->result = answers[0];
        statement->row = -1;
        statement->end = PQntuples(answers[0]);
        statement->changes = strtoll(PQcmdTuples(answers[0]), NULL, 10);
        if (!statement->writes)
            statement->changes = 0;
        connection->changed += statement->changes;
        if (asks_id && !PQgetisnull(answers[1], 0, 0))
            (void)snprintf(connection->transaction_id, sizeof(connection->transaction_id), "%s",
                           PQgetvalue(answers[1], 0, 0));
    } else {
        PQclear(answers[0]);
        if (is_new)
            drop_name(statement); /* it may not have come to be */
    }
    PQclear(answers[1]);
    return st;
}

enum status
pgsql_step(struct store_statement *statement, bool *row_out, struct err *err)
{
    struct pgsql_statement *s = own(statement);
    enum status st = ST_OK;

    *row_out = false;
    if (s->result == NULL)
        st = run(s, err);
    if (st != ST_OK)
        return st;
    s->row++;
    *row_out = s->row < s->end;
    return ST_OK;
}

/* --- asking --- */

static struct pgsql_asked *
new_asked(struct pgsql_connection *connection, unsigned *number_out)
{
    struct pgsql_asked *asked;

    if (connection->asked == NULL)
        connection->asked = calloc(PGSQL_ASKED_MAX, sizeof(*connection->asked));
    if (connection->asked == NULL)
        abort();
    assert(connection->asked_count < PGSQL_ASKED_MAX);
    *number_out = connection->asked_count++;
    asked = &connection->asked[*number_out];
    *asked = (struct pgsql_asked){.command = PGSQL_NOT_SENT, .row = -1};
    return asked;
}

/* The bound values are an element of the run that is under way. */
static enum status
gather(struct pgsql_statement *statement, struct err *err)
{
    struct pgsql_connection *connection = statement->connection;
    const struct store_value *values = statement->values + 1;
    unsigned count = statement->common.parameters - 1;
    enum status st = ST_OK;

    if (connection->pg == NULL || connection->state != PGSQL_OPEN)
        return err_set_detail(err, ST_UNAVAILABLE, "the transaction is lost");
    if (connection->gathering != statement || !pgsql_gathered_fits(statement->many, values, count))
        st = pgsql_send_gathered(connection, err);
    if (st != ST_OK)
        return st;
    connection->gathering = statement;
    pgsql_gathered_add(statement->many, values, count);
    connection->changed += statement->writes ? 1 : 0;
    return ST_OK;
}

static enum status
gather_ask(struct pgsql_statement *statement, unsigned *number_out, struct err *err)
{
    struct pgsql_asked *asked;
    enum status st = gather(statement, err);

    if (st != ST_OK)
        return st;
    asked = new_asked(statement->connection, number_out);
    if (statement->many->asks++ == 0)
        statement->many->first = *number_out;
    asked->many = true;
    asked->element = statement->many->count;
    return ST_OK;
}

enum status
pgsql_send_gathered(struct pgsql_connection *connection, struct err *err)
{
    struct pgsql_statement *statement = connection->gathering;
    enum status st = ST_OK;

    if (statement == NULL)
        return ST_OK;
    connection->gathering = NULL;
    if (connection->pg == NULL || connection->state != PGSQL_OPEN)
        st = err_set_detail(err, ST_UNAVAILABLE, "the transaction is lost");
    if (st == ST_OK && send_text(statement)) {
        st = pgsql_catch_up(connection, err);
        if (st != ST_OK)
            drop_name(statement); /* it may not have come to be */
    }
    if (st == ST_OK) {
        (void)send_run(statement);
        for (unsigned i = 0; i < statement->many->asks; i++)
            connection->asked[statement->many->first + i].command = connection->commands - 1;
    }
    pgsql_gathered_clear(statement->many);
    return st;
}

void
pgsql_drop_gathered(struct pgsql_connection *connection)
{
    if (connection->gathering != NULL)
        pgsql_gathered_clear(connection->gathering->many);
    connection->gathering = NULL;
}

/* Not waited for: what writes, and is known to the server, so that it cannot be its text that
 * fails; in a form for many it is gathered. A reader's transaction has no commit that would tell.
 */
enum status
pgsql_exec(struct store_statement *common, struct err *err)
{
    struct pgsql_statement *statement = own(common);
    struct pgsql_connection *connection = statement->connection;
    enum status st;

    if (connection->pg == NULL || connection->state != PGSQL_OPEN || !statement->writes ||
        connection->access != STORE_WRITE || (statement->many == NULL && !is_known(statement)))
        return run(statement, err);
    if (statement->many != NULL)
        return gather(statement, err);
    st = pgsql_send_gathered(connection, err);
    if (st != ST_OK)
        return st;
    (void)send_run(statement);
    connection->changed++;
    return ST_OK;
}

/* Like exec, but the answer is kept. */
enum status
pgsql_ask_ahead(struct store_statement *common, unsigned *number_out, struct err *err)
{
    struct pgsql_statement *statement = own(common);
    struct pgsql_connection *connection = statement->connection;
    struct pgsql_asked *asked;
    bool waits = connection->pg == NULL || connection->state != PGSQL_OPEN || !is_known(statement);
    enum status st;

    if (statement->many != NULL)
        return gather_ask(statement, number_out, err);
    st = waits ? run(statement, err) : pgsql_send_gathered(connection, err);
    if (st != ST_OK)
        return st;
    asked = new_asked(connection, number_out);
    asked->answer = statement->result;
    statement->result = NULL;
    if (waits) {
        assert(connection->asked_read == *number_out); /* run has read all before it */
        connection->asked_read++;
        return ST_OK;
    }
    (void)send_run(statement);
    asked->command = connection->commands - 1;
    connection->changed += statement->writes ? 1 : 0;
    return ST_OK;
}

enum status
pgsql_collect(struct store_connection *common, struct err *err)
{
    struct pgsql_connection *connection = (struct pgsql_connection *)common;
    enum status st = pgsql_send_gathered(connection, err);

    return st == ST_OK ? pgsql_catch_up_with_id(connection, err) : st;
}

void
pgsql_answer(struct store_statement *common, unsigned number)
{
    struct pgsql_statement *statement = own(common);
    struct pgsql_asked *asked = &statement->connection->asked[number];

    assert(number < statement->connection->asked_read && asked->answer != NULL);
    statement->result = asked->answer;
    statement->borrows = true;
    statement->row = asked->many && asked->row >= 0 ? asked->row - 1 : -1;
    statement->end = asked->many ? asked->row + 1 : PQntuples(statement->result);
    statement->changes = strtoll(PQcmdTuples(statement->result), NULL, 10);
}

int64_t
pgsql_changes(struct store_statement *statement)
{
    return own(statement)->changes;
}

void
pgsql_reset(struct store_statement *statement)
{
    if (!own(statement)->borrows)
        PQclear(own(statement)->result);
    own(statement)->result = NULL;
    own(statement)->borrows = false;
}

/* Of the result: that of a form for many has a number in front. */
static int
at_column(const struct pgsql_statement *statement, int column)
{
    return statement->many != NULL ? column + 1 : column;
}

int64_t
pgsql_column_int(struct store_statement *common, int column)
{
    struct pgsql_statement *statement = own(common);

    return pgsql_value_int(statement->result, statement->row, at_column(statement, column));
}

double
pgsql_column_real(struct store_statement *common, int column)
{
    struct pgsql_statement *statement = own(common);

    return pgsql_value_real(statement->result, statement->row, at_column(statement, column));
}

struct str
pgsql_column_text(struct store_statement *common, int column)
{
    struct pgsql_statement *statement = own(common);

    return pgsql_value_text(statement->result, statement->row, at_column(statement, column),
                            statement->number);
}

bool
pgsql_column_is_null(struct store_statement *common, int column)
{
    struct pgsql_statement *statement = own(common);

    return PQgetisnull(statement->result, statement->row, at_column(statement, column)) != 0;
}
