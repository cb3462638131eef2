/*
 * folder.c - a folder of files becomes sources, and stays in step with them; all are read again
 *
 * A source's name is its path within the folder and its uri the folder, so that a later run finds
 * what an earlier one took, changed files become new versions and files that went can be removed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/thread.h"
#include "knowledge/content_type.h"
#include "knowledge/knowledge_private.h"
#include "knowledge/knowledge_sql.h"

#define PATH_MAX_BYTES 4096
#define MAX_FILES 100000
#define RUN_ARENA_BYTES ((size_t)256 * 1024 * 1024)
#define SOURCES_AT_ONCE 200
#define MAX_FOLDER_DEPTH 32
#define DEFAULT_DEADLINE_MS (10 * 60 * 1000)
/* Documents are read about in the order they came: after each end only the oldest are looked at. */
#define LOOK_AT_ONCE 32

struct pending {
    struct ingestion_id id;
    struct str name;
};

struct folder_run {
    struct knowledge *knowledge;
    const struct tenant_scope *scope;
    const struct folder_spec *spec;
    folder_on_progress on_progress;
    void *context;
    struct arena *arena;
    struct str root, uri;
    struct str *names; /* paths within the folder, sorted */
    size_t name_count, name_capacity;
    struct pending *pending;
    size_t pending_count, pending_capacity;
    struct folder_progress progress;
    bool has_members; /* what archives and mails held waits by itself */
    bool stopped;
};

static void
report_read(struct folder_run *run, struct str name, struct str error, struct str note)
{
    run->progress.name = name;
    run->progress.error = error;
    run->progress.note = note;
    if (run->on_progress != NULL && !run->on_progress(&run->progress, run->context))
        run->stopped = true;
}

static void
report(struct folder_run *run, struct str name, struct str error)
{
    report_read(run, name, error, STR_EMPTY);
}

/* --- finding files --- */

static void
add_name(struct folder_run *run, struct str name)
{
    if (run->name_count == run->name_capacity) {
        size_t capacity = run->name_capacity == 0 ? 256 : 2 * run->name_capacity;
        struct str *grown = ARENA_NEW_N(run->arena, struct str, capacity);

        if (run->name_count > 0)
            memcpy(grown, run->names, run->name_count * sizeof(*grown));
        run->names = grown;
        run->name_capacity = capacity;
    }
    run->names[run->name_count++] = name;
}

static enum status
walk(struct folder_run *run, struct str inside, unsigned depth, struct err *err)
{
    struct str path = arena_printf(run->arena, "%.*s/%.*s", STR_ARG(run->root), STR_ARG(inside));
    DIR *dir = opendir(path.ptr);
    const struct dirent *entry;
    enum status st = ST_OK;

    if (dir == NULL)
        return err_set(err, ST_NOT_FOUND, "The folder cannot be opened.");
    while (st == ST_OK && (entry = readdir(dir)) != NULL) {
        struct stat stat;
        struct str name;

        if (entry->d_name[0] == '.' ||
            fstatat(dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        name = arena_printf(run->arena, "%.*s%s%s", STR_ARG(inside), inside.len > 0 ? "/" : "",
                            entry->d_name);
        if (S_ISDIR(stat.st_mode) && depth < MAX_FOLDER_DEPTH)
            st = walk(run, name, depth + 1, err);
        else if (S_ISREG(stat.st_mode))
            add_name(run, name);
        if (run->name_count > MAX_FILES)
            st = err_set(err, ST_TOO_LARGE, "The folder holds more than %d files.", MAX_FILES);
    }
    closedir(dir);
    return st;
}

static int
compare_names(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static enum status
find_files(struct folder_run *run, struct err *err)
{
    char real[PATH_MAX_BYTES];
    struct stat stat_of_path;
    char *slash;
    enum status st = ST_OK;

    if (strlen(run->spec->path) >= sizeof(real) || realpath(run->spec->path, real) == NULL ||
        stat(real, &stat_of_path) != 0)
        return err_set(err, ST_NOT_FOUND, "There is no such file or folder.");
    slash = strrchr(real, '/');
    if (S_ISREG(stat_of_path.st_mode) && slash != NULL) {
        add_name(run, arena_str(run->arena, str_from_c(slash + 1)));
        *slash = '\0';
    }
    run->root = arena_str(run->arena, str_from_c(real));
    run->uri = arena_printf(run->arena, "file://%s", real);
    if (S_ISDIR(stat_of_path.st_mode))
        st = walk(run, STR(""), 0, err);
    if (st == ST_OK && run->name_count > 0)
        qsort(run->names, run->name_count, sizeof(*run->names), compare_names);
    run->progress.found = (unsigned)run->name_count;
    return st;
}

/* --- handing over --- */

static void
add_pending(struct folder_run *run, struct ingestion_id id, struct str name)
{
    if (run->pending_count == run->pending_capacity) {
        size_t capacity = 2 * run->pending_capacity + 64;
        struct pending *grown = ARENA_NEW_N(run->arena, struct pending, capacity);

        if (run->pending_count > 0)
            memcpy(grown, run->pending, run->pending_count * sizeof(*grown));
        run->pending = grown;
        run->pending_capacity = capacity;
    }
    run->pending[run->pending_count++] = (struct pending){id, name};
}

/* Only our own faults end the run; a file's fault is its own. */
static enum status
upload_one(struct folder_run *run, struct str name, struct err *err)
{
    struct str path = arena_printf(run->arena, "%.*s/%.*s", STR_ARG(run->root), STR_ARG(name));
    struct upload_spec spec = {
        .name = name,
        .kind = run->spec->is_draft ? STR(DRAFT_KIND) : STR("folder"),
        .uri = run->uri,
        .audience = run->spec->audience,
        .labels = run->spec->labels,
        .brand_id = run->spec->brand_id,
        .language = run->spec->language,
        .file = path.ptr,
    };
    struct upload_result result;
    enum status st;

    if (strcmp(content_type_guess(name, STR_EMPTY), "application/octet-stream") == 0) {
        run->progress.skipped++;
        report(run, name, STR_EMPTY);
        return ST_OK;
    }
    st = knowledge_upload(run->knowledge, run->scope, &spec, &result, err);
    if (st == ST_INVALID || st == ST_TOO_LARGE || st == ST_NOT_FOUND) {
        run->progress.failed++;
        report(run, name, arena_str(run->arena, str_from_c(err->public_text)));
        return ST_OK;
    }
    if (st != ST_OK)
        return st;
    if (id_is_none(&result.ingestion_id.id)) {
        run->progress.unchanged++;
    } else {
        run->progress.uploaded++;
        add_pending(run, result.ingestion_id, name);
    }
    report(run, name, STR_EMPTY);
    return ST_OK;
}

/* --- what is gone --- */

struct taken {
    struct folder_run *run;
    struct source_id *ids;
    size_t count, capacity;
};

static enum status
find_missing(struct store_tx *tx, void *arg, struct err *err)
{
    struct taken *taken = arg;
    struct folder_run *run = taken->run;
    const struct brand_id *brand_id = &run->spec->brand_id;
    struct str brand = id_is_none(&brand_id->id) ? STR("") : ID_STR(*brand_id);
    struct store_rows *rows;
    enum status st = store_query(tx, &SQL_SOURCE_LIST_FOLDER,
                                 ARGS(sv_text(brand), sv_text(run->uri)), &rows, err);

    taken->count = 0;
    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        struct str name = store_col_text(rows, 1);

        if (run->name_count > 0 &&
            bsearch(&name, run->names, run->name_count, sizeof(*run->names), compare_names) != NULL)
            continue;
        if (taken->count == taken->capacity) {
            size_t capacity = taken->capacity == 0 ? 64 : 2 * taken->capacity;
            struct source_id *grown = ARENA_NEW_N(run->arena, struct source_id, capacity);

            if (taken->count > 0)
                memcpy(grown, taken->ids, taken->count * sizeof(*grown));
            taken->ids = grown;
            taken->capacity = capacity;
        }
        taken->ids[taken->count++] = STORE_COL_ID(rows, 0, source_id);
    }
    return store_rows_close(&rows, err);
}

static enum status
remove_missing(struct folder_run *run, struct err *err)
{
    struct taken taken = {.run = run};
    enum status st =
        store_read(run->knowledge->store, run->scope, "folder_missing", find_missing, &taken, err);

    for (size_t i = 0; st == ST_OK && i < taken.count; i++) {
        st = knowledge_delete(run->knowledge, run->scope, taken.ids[i], err);
        if (st == ST_NOT_FOUND)
            st = ST_OK;
        run->progress.removed += st == ST_OK;
    }
    return st;
}

/* --- waiting --- */

/* What an archive or a mail held is waited for, too. */
static enum status
add_members(struct folder_run *run, struct source_id parent, struct err *err)
{
    struct members_of members = {.parent = parent, .arena = run->arena};
    enum status st = store_read(run->knowledge->store, run->scope, "folder_members",
                                member_list_in_tx, &members, err);

    for (size_t i = 0; st == ST_OK && i < members.count; i++) {
        add_pending(run, members.list[i].ingestion_id, members.list[i].name);
        run->progress.found++;
    }
    return st;
}

/* Counts and drops what has ended; what a newer upload or a deletion overtook has ended too. */
static enum status
look_at_pending(struct folder_run *run, size_t limit, struct err *err)
{
    size_t kept = 0;
    size_t i;

    for (i = 0; i < run->pending_count && i < limit; i++) {
        struct pending pending = run->pending[i];
        struct ingestion ingestion = {.status = STR_EMPTY};
        struct arena *arena = arena_create((size_t)65536);
        enum status st =
            ingestion_get(run->knowledge, run->scope, pending.id, arena, &ingestion, err);
        bool failed = str_eq(ingestion.status, STR("failed"));
        bool done = str_eq(ingestion.status, STR("done"));
        struct str error = failed ? arena_str(run->arena, ingestion.error) : STR_EMPTY;
        struct str note = done ? arena_str(run->arena, ingestion.note) : STR_EMPTY;

        arena_destroy(&arena);
        if (st != ST_OK && st != ST_NOT_FOUND)
            return st;
        run->progress.done += done || st == ST_NOT_FOUND;
        run->progress.failed += failed;
        if (done || failed || st == ST_NOT_FOUND)
            report_read(run, pending.name, error, note);
        else
            run->pending[kept++] = pending;
        if (done && !run->has_members && add_members(run, ingestion.source_id, err) != ST_OK)
            return err->code;
    }
    if (i > kept)
        memmove(&run->pending[kept], &run->pending[i],
                (run->pending_count - i) * sizeof(*run->pending));
    run->pending_count -= i - kept;
    return ST_OK;
}

static enum status
wait_for_pending(struct folder_run *run, struct err *err)
{
    int64_t patience_us =
        (run->spec->deadline_ms > 0 ? run->spec->deadline_ms : DEFAULT_DEADLINE_MS) * US_PER_MS;
    int64_t last_progress_us = clock_mono_us(clock_system());
    uint64_t seen = 0;
    size_t look_at = SIZE_MAX;

    for (;;) {
        size_t before = run->pending_count;
        enum status st = look_at_pending(run, look_at, err);

        if (st != ST_OK || run->pending_count == 0 || run->stopped)
            return st;
        if (run->pending_count < before)
            last_progress_us = clock_mono_us(clock_system());
        else if (clock_mono_us(clock_system()) - last_progress_us > patience_us)
            return err_set(err, ST_BUSY, "%zu documents still wait to be read.",
                           run->pending_count);
        look_at = knowledge_wait_finished(run->knowledge, &seen) ? LOOK_AT_ONCE : SIZE_MAX;
        report(run, STR_EMPTY, STR_EMPTY);
    }
}

static enum status
run_folder(struct folder_run *run, struct err *err)
{
    enum status st = find_files(run, err);

    if (st != ST_OK)
        return st;
    for (size_t i = 0; st == ST_OK && i < run->name_count && !run->stopped; i++)
        st = upload_one(run, run->names[i], err);
    if (st == ST_OK && run->spec->remove_missing && !run->stopped)
        st = remove_missing(run, err);
    if (st == ST_OK && run->spec->wait && !run->stopped)
        st = wait_for_pending(run, err);
    return st;
}

enum status
knowledge_ingest_folder(struct knowledge *knowledge, const struct tenant_scope *scope,
                        const struct folder_spec *spec, folder_on_progress on_progress,
                        void *context, struct folder_progress *totals_out, struct err *err)
{
    struct folder_run run = {
        .knowledge = knowledge,
        .scope = scope,
        .spec = spec,
        .on_progress = on_progress,
        .context = context,
        .arena = arena_create(RUN_ARENA_BYTES),
    };
    enum status st = run_folder(&run, err);

    *totals_out = run.progress;
    totals_out->name = totals_out->error = totals_out->note = STR_EMPTY;
    arena_destroy(&run.arena);
    return st;
}

/* --- every document --- */

/* Begins what is to be done with a document; none in the ingestion: there is nothing to wait for.
 */
typedef enum status (*begin_fn)(struct folder_run *run, const struct source *source,
                                struct ingestion_id *ingestion_out, struct err *err);

static enum status
begin_reading(struct folder_run *run, const struct source *source,
              struct ingestion_id *ingestion_out, struct err *err)
{
    enum status st =
        knowledge_reprocess(run->knowledge, run->scope, source->id, ingestion_out, err);

    run->progress.found += st == ST_OK;
    return st;
}

static enum status
begin_publishing(struct folder_run *run, const struct source *source,
                 struct ingestion_id *ingestion_out, struct err *err)
{
    struct upload_result result = {.unchanged = true};
    enum status st;

    if (!str_eq_c(source->kind, DRAFT_KIND))
        return ST_OK;
    run->progress.found++;
    st = knowledge_publish(run->knowledge, run->scope, NULL, source->id, &result, err);
    *ingestion_out = result.ingestion_id;
    run->progress.unchanged += st == ST_OK && id_is_none(&result.ingestion_id.id);
    if (st != ST_CONFLICT)
        return st;
    run->progress.failed++; /* it cannot be read: the others go on */
    report(run, source->name, arena_str(run->arena, str_from_c(err->public_text)));
    return ST_OK;
}

static enum status
begin_page(struct folder_run *run, begin_fn begin, struct source_id *last, size_t *count_out,
           struct err *err)
{
    struct source *sources;
    enum status st = source_list(run->knowledge, run->scope, NULL, *last, SOURCES_AT_ONCE,
                                 run->arena, &sources, count_out, err);

    for (size_t i = 0; st == ST_OK && i < *count_out && !run->stopped; i++) {
        struct ingestion_id ingestion_id = {{""}};

        *last = sources[i].id;
        st = begin(run, &sources[i], &ingestion_id, err);
        if (st == ST_NOT_FOUND) { /* deleted since */
            st = ST_OK;
        } else if (st == ST_OK && !id_is_none(&ingestion_id.id)) {
            run->progress.uploaded++;
            add_pending(run, ingestion_id, sources[i].name);
            report(run, sources[i].name, STR_EMPTY);
        }
    }
    return st;
}

static enum status
run_all(struct folder_run *run, begin_fn begin, struct folder_progress *totals_out, struct err *err)
{
    static const struct folder_spec spec = {.wait = true};
    struct source_id last = {{""}};
    size_t count = SOURCES_AT_ONCE;
    enum status st = ST_OK;

    run->spec = &spec;
    run->arena = arena_create(RUN_ARENA_BYTES);
    while (st == ST_OK && count == SOURCES_AT_ONCE && !run->stopped)
        st = begin_page(run, begin, &last, &count, err);
    if (st == ST_OK && !run->stopped)
        st = wait_for_pending(run, err);
    *totals_out = run->progress;
    totals_out->name = totals_out->error = totals_out->note = STR_EMPTY;
    arena_destroy(&run->arena);
    return st;
}

enum status
knowledge_reprocess_all(struct knowledge *knowledge, const struct tenant_scope *scope,
                        folder_on_progress on_progress, void *context,
                        struct folder_progress *totals_out, struct err *err)
{
    struct folder_run run = {.knowledge = knowledge,
                             .scope = scope,
                             .on_progress = on_progress,
                             .context = context,
                             .has_members = true};

    return run_all(&run, begin_reading, totals_out, err);
}

enum status
knowledge_publish_all(struct knowledge *knowledge, const struct tenant_scope *scope,
                      folder_on_progress on_progress, void *context,
                      struct folder_progress *totals_out, struct err *err)
{
    struct folder_run run = {
        .knowledge = knowledge, .scope = scope, .on_progress = on_progress, .context = context};

    return run_all(&run, begin_publishing, totals_out, err);
}
