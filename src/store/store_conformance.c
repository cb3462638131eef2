/*
 * store_conformance.c - promises of store.h, one function each
 */
#include "store/store_conformance.h"

#include <stdio.h>

#include "base/testing.h"
#include "base/thread.h"
#include "store/store_test_sql.h"

struct note {
    struct channel_id channel;
    struct str name, value;
    enum status then; /* what the work returns after inserting */
    int64_t count;
    struct str found; /* in the test's arena */
    struct arena *arena;
    int hooks;
};

static enum status
note_insert(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;
    enum status st = store_exec(
        tx, &TEST_NOTE_INSERT,
        ARGS(sv_id(note->channel), sv_text(note->name), sv_text(note->value)), NULL, err);

    if (st == ST_OK && note->then != ST_OK)
        st = err_set(err, note->then, "as asked");
    return st;
}

static enum status
note_count(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &TEST_NOTE_COUNT, ARGS(sv_id(note->channel)), &rows, err);

    if (st != ST_OK)
        return st;
    note->count = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

static enum status
note_get(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &TEST_NOTE_GET,
                                     ARGS(sv_id(note->channel), sv_text(note->name)), &rows, err);

    if (st != ST_OK)
        return st;
    note->found = arena_str(note->arena, store_col_text(rows, 0));
    note->count = store_col_int(rows, 1);
    return store_rows_close(&rows, err);
}

static int64_t
count_of(const struct store_conformance *suite, const struct tenant_scope *scope,
         struct channel_id channel)
{
    struct note note = {.channel = channel};
    struct err err;

    ASSERT_OK(store_read(suite->store, scope, "test_count", note_count, &note, &err), &err);
    return note.count;
}

static enum status
run(const struct store_conformance *suite, store_work work, void *arg, struct err *err)
{
    return store_run(suite->store, suite->one, "test", STORE_DURABLE, work, arg, err);
}

/* --- commits --- */

static void
test_commit_and_undo(const struct store_conformance *suite)
{
    struct note note = {.channel = ID_NEW(channel_id), .name = STR("a"), .value = STR("1")};
    struct err err;

    ASSERT_OK(run(suite, note_insert, &note, &err), &err);
    assert_int_equal(count_of(suite, suite->one, note.channel), 1);
    note.name = STR("b");
    note.then = ST_DENIED;
    assert_int_equal(run(suite, note_insert, &note, &err), ST_DENIED);
    assert_string_equal(err.detail, "as asked");
    assert_int_equal(count_of(suite, suite->one, note.channel), 1);
    note.then = ST_OK;
    ASSERT_OK(run(suite, note_insert, &note, &err), &err);
    assert_int_equal(count_of(suite, suite->one, note.channel), 2);
    assert_int_equal(run(suite, note_insert, &note, &err), ST_CONFLICT);
    assert_int_equal(count_of(suite, suite->one, note.channel), 2);
}

static void
test_relaxed(const struct store_conformance *suite)
{
    struct note note = {.channel = ID_NEW(channel_id), .name = STR("a"), .value = STR("1")};
    struct store_health before;
    struct store_health after;
    struct err err;

    store_get_health(suite->store, &before);
    ASSERT_OK(store_run(suite->store, suite->one, "test", STORE_RELAXED, note_insert, &note, &err),
              &err);
    store_get_health(suite->store, &after);
    assert_int_equal(after.fsyncs, before.fsyncs);
    assert_int_equal(after.commits, before.commits + 1);
    assert_int_equal(count_of(suite, suite->one, note.channel), 1);
    note.name = STR("b");
    ASSERT_OK(run(suite, note_insert, &note, &err), &err);
    store_get_health(suite->store, &after);
    assert_int_equal(after.fsyncs, before.fsyncs + 1);
    /* Nothing was written, and what was seen is on the disk. */
    ASSERT_OK(run(suite, note_count, &note, &err), &err);
    store_get_health(suite->store, &after);
    assert_int_equal(after.fsyncs, before.fsyncs + (suite->others_commit ? 2 : 1));
}

static void
test_isolation(const struct store_conformance *suite)
{
    struct arena *arena = arena_create(65536);
    struct note note = {
        .channel = ID_NEW(channel_id), .name = STR("a"), .value = STR("mine"), .arena = arena};
    struct err err;

    ASSERT_OK(run(suite, note_insert, &note, &err), &err);
    assert_int_equal(count_of(suite, suite->other, note.channel), 0);
    assert_int_equal(store_read(suite->store, suite->other, "test", note_get, &note, &err),
                     ST_NOT_FOUND);
    /* The same key belongs to the other, too. */
    note.value = STR("theirs");
    ASSERT_OK(
        store_run(suite->store, suite->other, "test", STORE_DURABLE, note_insert, &note, &err),
        &err);
    ASSERT_OK(store_read(suite->store, suite->one, "test", note_get, &note, &err), &err);
    ASSERT_STR(note.found, "mine");
    assert_int_equal(
        store_run(suite->store, suite->unknown, "test", STORE_DURABLE, note_insert, &note, &err),
        ST_NOT_FOUND);
    assert_int_equal(store_read(suite->store, suite->unknown, "test", note_get, &note, &err),
                     ST_NOT_FOUND);
    arena_destroy(&arena);
}

/* --- values --- */

struct values {
    struct ingestion_id id;
    struct str text, blob;
    double real;
    int64_t integer;
};

static enum status
values_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct values *values = arg;
    struct ingestion_id none = {{""}};
    struct store_rows *rows = NULL;
    int64_t changed = -1;
    enum status st = store_exec(tx, &TEST_QUARANTINE_INSERT,
                                ARGS(sv_id(values->id), sv_text(values->text),
                                     sv_blob(values->blob), sv_int(values->integer)),
                                &changed, err);

    assert_int_equal(st, ST_OK);
    assert_int_equal(changed, 1);
    ASSERT_OK(store_query_one(tx, &TEST_QUARANTINE_GET, ARGS(sv_id(values->id)), &rows, err), err);
    assert_true(str_eq(store_col_text(rows, 0), values->text));
    assert_non_null(store_col_text(rows, 0).ptr);
    assert_true(str_eq(store_col_blob(rows, 1), values->blob));
    assert_true(store_col_int(rows, 2) == values->integer);
    ASSERT_OK(store_rows_close(&rows, err), err);
    assert_null(rows);
    ASSERT_OK(store_exec(tx, &TEST_INGESTION_INSERT,
                         ARGS(sv_id(values->id), sv_real(values->real), sv_id(none)), NULL, err),
              err);
    ASSERT_OK(store_query_one(tx, &TEST_INGESTION_GET, ARGS(sv_id(values->id)), &rows, err), err);
    assert_true(store_col_real(rows, 0) == values->real);
    assert_true(store_col_is_null(rows, 1));
    assert_null(store_col_text(rows, 1).ptr);
    assert_null(store_col_blob(rows, 1).ptr);
    assert_int_equal(store_col_int(rows, 1), 0);
    assert_true(id_is_none(&STORE_COL_ID(rows, 1, job_id).id));
    assert_true(id_eq(&STORE_COL_ID(rows, 2, ingestion_id).id, &values->id.id));
    return store_rows_close(&rows, err);
}

static void
test_values(const struct store_conformance *suite)
{
    static const struct values table[] = {
        {.text = STR_INIT(""), .blob = STR_INIT(""), .real = 0.0, .integer = 0},
        {.text = STR_INIT("Grüße, 世界 \xf0\x9f\x91\x8b"),
         .blob = STR_INIT("\0\xff\0x"),
         .real = -1.5e300,
         .integer = INT64_MIN},
        {.text = STR_INIT("' OR 1=1 --"),
         .blob = STR_INIT("\x80"),
         .real = 0.1,
         .integer = INT64_MAX},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct values values = table[i];
        struct err err;

        values.id = ID_NEW(ingestion_id);
        ASSERT_OK(run(suite, values_work, &values, &err), &err);
    }
}

/* --- statements --- */

static enum status
statements_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;
    struct str name = STR("n");
    struct store_rows *rows = NULL;
    int64_t changed = -1;

    for (int i = 0; i < 3; i++) {
        ASSERT_OK(store_query_one(tx, &TEST_NOTE_COUNT_UP, ARGS(sv_id(note->channel)), &rows, err),
                  err);
        assert_int_equal(store_col_int(rows, 0), i + 1);
        ASSERT_OK(store_rows_close(&rows, err), err);
    }
    ASSERT_OK(store_exec(tx, &TEST_NOTE_INSERT,
                         ARGS(sv_id(note->channel), sv_text(name), sv_text(name)), &changed, err),
              err);
    assert_int_equal(changed, 1);
    ASSERT_OK(store_query_one(tx, &TEST_NOTE_OUT_OF_ORDER,
                              ARGS(sv_id(note->channel), sv_text(name)), &rows, err),
              err);
    ASSERT_STR(store_col_text(rows, 0), "n");
    ASSERT_OK(store_rows_close(&rows, err), err);
    ASSERT_OK(
        store_query_one(tx, &TEST_NO_ORGANIZATION_ALLOWED, ARGS(sv_id(note->channel)), &rows, err),
        err);
    assert_int_equal(store_col_int(rows, 0), 2);
    ASSERT_OK(store_rows_close(&rows, err), err);
    ASSERT_OK(store_exec(tx, &TEST_NOTE_DELETE, ARGS(sv_id(note->channel)), &changed, err), err);
    assert_int_equal(changed, 2);
    assert_int_equal(
        store_query_one(tx, &TEST_NOTE_GET, ARGS(sv_id(note->channel), sv_text(name)), &rows, err),
        ST_NOT_FOUND);
    assert_null(rows);
    ASSERT_OK(store_rows_close(&rows, err), err); /* accepts NULL */
    return ST_OK;
}

/* A cursor inside a cursor of the same statement. */
static enum status
nested_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;
    struct store_rows *outer = NULL;
    int pairs = 0;

    for (size_t i = 0; i < 3; i++) {
        ASSERT_OK(
            store_exec(tx, &TEST_NOTE_INSERT,
                       ARGS(sv_id(note->channel), sv_text(str_of(&"abc"[i], 1)), sv_text(STR("v"))),
                       NULL, err),
            err);
    }
    ASSERT_OK(store_query(tx, &TEST_NOTE_LIST, ARGS(sv_id(note->channel)), &outer, err), err);
    while (store_rows_next(outer)) {
        struct store_rows *inner = NULL;

        ASSERT_OK(store_query(tx, &TEST_NOTE_LIST, ARGS(sv_id(note->channel)), &inner, err), err);
        while (store_rows_next(inner))
            pairs++;
        assert_false(store_rows_next(inner)); /* stays at the end */
        ASSERT_OK(store_rows_close(&inner, err), err);
    }
    assert_int_equal(pairs, 9);
    return store_rows_close(&outer, err);
}

struct wrong {
    const struct store_sql *sql;
    size_t args;
};

static enum status
wrong_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct wrong *wrong = arg;
    struct store_value values[4] = {sv_int(1), sv_int(2), sv_int(3), sv_int(4)};
    struct store_rows *rows = NULL;
    enum status st = store_query(tx, wrong->sql, values, wrong->args, &rows, err);

    /* An engine may look at the text when it is prepared, or when it is run. */
    if (st == ST_OK && store_rows_next(rows))
        fail_msg("%s gave a row", wrong->sql->name);
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

static void
test_statements(const struct store_conformance *suite)
{
    static const struct wrong wrongs[] = {
        {&TEST_NO_ORGANIZATION, 1}, {&TEST_GAP, 2},      {&TEST_BROKEN, 0},
        {&TEST_NOTE_GET, 1},        {&TEST_NOTE_GET, 3}, {&TEST_NOTE_GET, 0},
    };
    struct note note = {.channel = ID_NEW(channel_id)};
    struct err err;

    ASSERT_OK(run(suite, statements_work, &note, &err), &err);
    ASSERT_OK(run(suite, nested_work, &note, &err), &err);
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        struct wrong wrong = wrongs[i];

        assert_int_equal(run(suite, wrong_work, &wrong, &err), ST_INTERNAL);
        assert_non_null(strstr(err.detail, wrong.sql->name));
    }
}

/* --- hooks --- */

struct hooks {
    struct note note;
    char seen[64];
    size_t bytes;
    struct store *store;
    int64_t committed; /* notes that a reader sees when the first hook runs */
    enum status then;
    int rounds;
};

static void
on_commit(const struct tenant_scope *scope, struct str payload, void *context)
{
    struct hooks *hooks = context;
    size_t len = strlen(hooks->seen);
    struct err err;

    if (len == 0) {
        ASSERT_OK(store_read(hooks->store, scope, "test", note_count, &hooks->note, &err), &err);
        hooks->committed = hooks->note.count;
    }
    hooks->bytes += payload.len;
    hooks->seen[len] = payload.ptr == NULL || payload.len == 0 ? '.' : payload.ptr[0];
}

static enum status
hooks_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct hooks *hooks = arg;
    char payload[400];
    enum status st;

    /* More than fits beside the request, and none at all; bytes that are gone afterwards. */
    for (int i = 0; i < 6; i++) {
        memset(payload, 'a' + i, sizeof(payload));
        store_tx_on_commit(tx, on_commit, hooks,
                           str_of(payload, i == 3 ? 0 : (size_t)(i + 1) * 60));
    }
    memset(payload, '?', sizeof(payload));
    st = note_insert(tx, &hooks->note, err);
    return st == ST_OK ? hooks->then : st;
}

static void
test_hooks(const struct store_conformance *suite)
{
    struct hooks hooks = {.store = suite->store};
    struct err err = {0};

    hooks.note = (struct note){.channel = ID_NEW(channel_id), .name = STR("a"), .value = STR("v")};
    hooks.then = ST_DENIED;
    assert_int_equal(run(suite, hooks_work, &hooks, &err), ST_DENIED);
    assert_string_equal(hooks.seen, "");
    hooks.then = ST_OK;
    ASSERT_OK(run(suite, hooks_work, &hooks, &err), &err);
    assert_string_equal(hooks.seen, "abc.ef");
    assert_int_equal(hooks.bytes, 60 + 120 + 180 + 300 + 360);
    assert_int_equal(hooks.committed, 1);
    assert_int_equal(run(suite, hooks_work, &hooks, &err), ST_CONFLICT);
    assert_string_equal(hooks.seen, "abc.ef");
}

/* --- readers --- */

struct reader {
    const struct store_conformance *suite;
    struct note note;
    int64_t before, after;
};

/* While a reader is at work another thread's commit goes through, and the reader does not see it.
 */
static void *
write_beside(void *arg)
{
    struct reader *reader = arg;
    struct err err;

    ASSERT_OK(run(reader->suite, note_insert, &reader->note, &err), &err);
    return NULL;
}

static enum status
reader_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct reader *reader = arg;
    pthread_t writer;
    struct note note = {.channel = reader->note.channel};

    ASSERT_OK(note_count(tx, &note, err), err);
    reader->before = note.count;
    ASSERT_OK(thread_start("writer", write_beside, reader, &writer, err), err);
    assert_int_equal(pthread_join(writer, NULL), 0);
    ASSERT_OK(note_count(tx, &note, err), err);
    reader->after = note.count;
    return ST_OK;
}

static void
test_readers(const struct store_conformance *suite)
{
    struct reader reader = {.suite = suite};
    struct note note = {.channel = ID_NEW(channel_id), .name = STR("w"), .value = STR("v")};
    struct err err;

    reader.note = note;
    ASSERT_OK(store_read(suite->store, suite->one, "test", reader_work, &reader, &err), &err);
    assert_int_equal(reader.before, 0);
    assert_int_equal(reader.after, 0);
    assert_int_equal(count_of(suite, suite->one, note.channel), 1);
    note.name = STR("x");
    assert_int_not_equal(store_read(suite->store, suite->one, "test", note_insert, &note, &err),
                         ST_OK);
    assert_int_equal(count_of(suite, suite->one, note.channel), 1);
}

/* --- the rest --- */

static enum status
arena_work(struct store_tx *tx, void *arg, struct err *err)
{
    (void)err;
    assert_ptr_equal(store_tx_scope(tx), ((const struct store_conformance *)arg)->one);
    assert_ptr_equal(store_tx_store(tx), ((const struct store_conformance *)arg)->store);
    assert_int_equal(arena_used_bytes(store_tx_arena(tx)), 0);
    (void)arena_alloc(store_tx_arena(tx), 100000);
    return ST_OK;
}

static enum status
forgetful_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;
    struct store_rows *rows = NULL;

    return store_query(tx, &TEST_NOTE_LIST, ARGS(sv_id(note->channel)), &rows, err);
}

static void
leave_cursor_open(void *arg)
{
    const struct store_conformance *suite = arg;
    struct note note = {.channel = ID_NEW(channel_id)};
    struct err err;

    (void)(run(suite, forgetful_work, &note, &err) == ST_OK);
}

static void
test_surroundings(const struct store_conformance *suite)
{
    struct err err;

    for (int i = 0; i < 2; i++)
        ASSERT_OK(run(suite, arena_work, (void *)(uintptr_t)suite, &err), &err);
    ASSERT_OK(
        store_read(suite->store, suite->one, "test", arena_work, (void *)(uintptr_t)suite, &err),
        &err);
    ASSERT_ABORTS(leave_cursor_open, (void *)(uintptr_t)suite);
}

/* --- without waiting --- */

struct outcome {
    pthread_mutex_t lock;
    pthread_cond_t called;
    bool done;
    enum status status;
    struct err err;
};

static void
on_done(enum status status, struct err *err, void *context)
{
    struct outcome *outcome = context;

    pthread_mutex_lock(&outcome->lock);
    outcome->done = true;
    outcome->status = status;
    outcome->err = *err;
    pthread_cond_signal(&outcome->called);
    pthread_mutex_unlock(&outcome->lock);
}

/* store_run, made of store_submit. */
static enum status
submit_and_wait(const struct store_conformance *suite, const struct tenant_scope *scope,
                enum store_durability durability, store_work work, void *arg, struct err *err)
{
    struct outcome outcome = {.done = false};
    struct arena *arena = arena_create(65536);

    pthread_mutex_init(&outcome.lock, NULL);
    cond_init(&outcome.called);
    store_submit(suite->store, scope, "test_submit", durability, work, arg, arena, on_done,
                 &outcome);
    pthread_mutex_lock(&outcome.lock);
    while (!outcome.done)
        pthread_cond_wait(&outcome.called, &outcome.lock);
    pthread_mutex_unlock(&outcome.lock);
    pthread_cond_destroy(&outcome.called);
    pthread_mutex_destroy(&outcome.lock);
    arena_destroy(&arena);
    *err = outcome.err;
    return outcome.status;
}

static void
test_submit(const struct store_conformance *suite)
{
    struct note note = {.channel = ID_NEW(channel_id), .name = STR("a"), .value = STR("v")};
    struct err err;

    ASSERT_OK(store_tenant_create(suite->store, suite->unknown, &err), &err);
    ASSERT_OK(submit_and_wait(suite, suite->unknown, STORE_DURABLE, note_insert, &note, &err),
              &err);
    assert_int_equal(
        submit_and_wait(suite, suite->unknown, STORE_RELAXED, note_insert, &note, &err),
        ST_CONFLICT);
    assert_int_equal(count_of(suite, suite->unknown, note.channel), 1);
    ASSERT_OK(store_tenant_delete(suite->store, suite->unknown, &err), &err);
    assert_int_equal(
        submit_and_wait(suite, suite->unknown, STORE_DURABLE, note_insert, &note, &err),
        ST_NOT_FOUND);
    assert_int_equal(err.code, ST_NOT_FOUND);
}

static void
test_delete(const struct store_conformance *suite)
{
    struct note note = {.channel = ID_NEW(channel_id), .name = STR("a"), .value = STR("v")};
    struct err err;

    ASSERT_OK(store_tenant_create(suite->store, suite->unknown, &err), &err);
    ASSERT_OK(store_tenant_create(suite->store, suite->unknown, &err), &err);
    ASSERT_OK(
        store_run(suite->store, suite->unknown, "test", STORE_DURABLE, note_insert, &note, &err),
        &err);
    ASSERT_OK(store_tenant_delete(suite->store, suite->unknown, &err), &err);
    ASSERT_OK(store_tenant_delete(suite->store, suite->unknown, &err), &err);
    assert_int_equal(
        store_run(suite->store, suite->unknown, "test", STORE_DURABLE, note_insert, &note, &err),
        ST_NOT_FOUND);
    ASSERT_OK(store_tenant_create(suite->store, suite->unknown, &err), &err);
    assert_int_equal(count_of(suite, suite->unknown, note.channel), 0);
    ASSERT_OK(store_tenant_delete(suite->store, suite->unknown, &err), &err);
}

void
store_conformance_run(const struct store_conformance *suite)
{
    test_commit_and_undo(suite);
    test_relaxed(suite);
    test_isolation(suite);
    test_values(suite);
    test_statements(suite);
    test_hooks(suite);
    test_readers(suite);
    test_surroundings(suite);
    test_submit(suite);
    test_delete(suite);
}

/* --- many threads --- */

enum kind { KIND_GOOD, KIND_RELAXED, KIND_FAIL, KIND_CONFLICT, KIND_KILL, KIND_READ, KIND_COUNT };

struct worker {
    const struct store_conformance *suite;
    struct channel_id channel; /* the notes of all */
    struct channel_id own;     /* of this thread: where the killer's first note stands */
    unsigned number, works;
    uint64_t state;
    unsigned good, hooks;
};

struct random_work {
    struct worker *worker;
    enum kind kind;
    char name[32];
    size_t name_len;
};

static void
count_hook(const struct tenant_scope *scope, struct str payload, void *context)
{
    (void)scope;
    ((struct worker *)context)->hooks += (unsigned)payload.len;
}

static enum status
random_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct random_work *random = arg;
    struct worker *worker = random->worker;
    struct str name = str_of(random->name, random->name_len);
    struct store_rows *rows = NULL;
    enum status st =
        store_query_one(tx, &TEST_NOTE_COUNT_UP, ARGS(sv_id(worker->channel)), &rows, err);

    if (st == ST_OK)
        st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st = store_exec(tx, &TEST_NOTE_INSERT,
                        ARGS(sv_id(worker->channel), sv_text(name), sv_text(name)), NULL, err);
    store_tx_on_commit(tx, count_hook, worker, STR("x"));
    if (st == ST_OK && random->kind == KIND_FAIL)
        st = err_set(err, ST_DENIED, "as asked");
    if (st == ST_OK && random->kind == KIND_CONFLICT)
        st = store_exec(tx, &TEST_NOTE_INSERT,
                        ARGS(sv_id(worker->channel), sv_text(name), sv_text(name)), NULL, err);
    if (st == ST_OK && random->kind == KIND_KILL)
        st = store_exec(tx, worker->suite->kill, ARGS(sv_id(worker->own)), NULL, err);
    return st;
}

static void
run_random(struct worker *worker, unsigned number)
{
    struct random_work random = {.worker = worker};
    const struct store_conformance *suite = worker->suite;
    struct note note = {.channel = worker->channel};
    enum store_durability durability;
    enum status st;
    struct err err;

    worker->state = worker->state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    random.kind = (worker->state >> 33) % 16;
    if (random.kind >= KIND_COUNT)
        random.kind = KIND_GOOD;
    random.name_len =
        (size_t)snprintf(random.name, sizeof(random.name), "%u-%u", worker->number, number);
    durability = random.kind == KIND_RELAXED ? STORE_RELAXED : STORE_DURABLE;
    if (random.kind == KIND_READ) {
        ASSERT_OK(store_read(suite->store, suite->one, "test", note_count, &note, &err), &err);
        return;
    }
    if ((worker->state >> 40) % 2 == 0)
        st = store_run(suite->store, suite->one, "test_random", durability, random_work, &random,
                       &err);
    else
        st = submit_and_wait(suite, suite->one, durability, random_work, &random, &err);
    if (random.kind == KIND_GOOD || random.kind == KIND_RELAXED) {
        ASSERT_OK(st, &err);
        worker->good++;
    } else if (random.kind == KIND_FAIL) {
        assert_int_equal(st, ST_DENIED);
    } else if (random.kind == KIND_KILL) {
        assert_int_equal(st, suite->killed);
    } else {
        assert_int_equal(st, ST_CONFLICT);
    }
}

static void *
run_worker(void *arg)
{
    struct worker *worker = arg;

    for (unsigned i = 0; i < worker->works; i++)
        run_random(worker, i);
    return NULL;
}

static enum status
seed_killer(struct store_tx *tx, void *arg, struct err *err)
{
    struct worker *worker = arg;

    return store_exec(tx, worker->suite->kill, ARGS(sv_id(worker->own)), NULL, err);
}

void
store_conformance_threads(const struct store_conformance *suite, unsigned threads, unsigned works)
{
    struct worker *workers = calloc(threads, sizeof(*workers));
    pthread_t *ids = calloc(threads, sizeof(*ids));
    struct channel_id channel = ID_NEW(channel_id);
    struct arena *arena = arena_create(65536);
    struct note counter = {.channel = channel, .name = STR("counter"), .arena = arena};
    unsigned good = 0;
    struct err err;

    assert_non_null(workers);
    assert_non_null(ids);
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct worker){
            .suite = suite, .channel = channel, .number = i, .works = works, .state = i + 1};
        workers[i].own = ID_NEW(channel_id);
        ASSERT_OK(run(suite, seed_killer, &workers[i], &err), &err);
    }
    for (unsigned i = 0; i < threads; i++)
        ASSERT_OK(thread_start("works", run_worker, &workers[i], &ids[i], &err), &err);
    for (unsigned i = 0; i < threads; i++)
        assert_int_equal(pthread_join(ids[i], NULL), 0);
    for (unsigned i = 0; i < threads; i++) {
        good += workers[i].good;
        assert_int_equal(workers[i].hooks, workers[i].good);
    }
    assert_true(good > 0);
    ASSERT_OK(store_read(suite->store, suite->one, "test", note_get, &counter, &err), &err);
    assert_int_equal(counter.count, good);
    assert_int_equal(count_of(suite, suite->one, channel), good + 1);
    arena_destroy(&arena);
    free(workers);
    free(ids);
}
