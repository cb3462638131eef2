/*
 * demo_files.c - finds the demo's files; reads a folder of documents for customers and staff
 */
#include "app/demo_files.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/cmd_common.h"

#define PATH_BYTES 4096

bool
demo_path_find(const char *name, char *out, size_t size)
{
    char program[PATH_BYTES];
    ssize_t len;
    char *slash;

    (void)snprintf(out, size, "demo/%s", name);
    if (access(out, R_OK) == 0)
        return true;
    len = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (len <= 0)
        return false;
    program[len] = '\0';
    slash = strrchr(program, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    (void)snprintf(out, size, "%s/../share/parley/demo/%s", program, name);
    if (access(out, R_OK) == 0)
        return true;
    (void)snprintf(out, size, "demo/%s", name);
    return false;
}

/* context: struct err, which keeps why the first document failed. */
static bool
show_progress(const struct folder_progress *progress, void *context)
{
    struct err *first = context;

    if (progress->error.len > 0 && first->code == ST_OK)
        (void)!err_set(first, ST_INVALID, "%.*s: %.*s", STR_ARG(progress->name),
                       STR_ARG(progress->error));
    print_progress("reading documents", folder_progress_settled(progress), progress->found);
    return true;
}

static enum status
read_part(struct app *app, const struct tenant_scope *scope, const char *path, struct str audience,
          struct err *err)
{
    const struct folder_spec spec = {.path = path, .audience = audience, .wait = true};
    struct err first = {.code = ST_OK};
    struct folder_progress totals;
    enum status st =
        knowledge_ingest_folder(app->knowledge, scope, &spec, show_progress, &first, &totals, err);

    end_progress();
    if (st == ST_OK && totals.failed > 0)
        st = err_set(err, ST_INVALID, "%s", first.public_text);
    return st;
}

enum status
demo_read_documents(struct app *app, const struct tenant_scope *scope, const char *folder,
                    struct err *err)
{
    static const struct {
        const char *folder;
        struct str audience;
    } parts[] = {{"customers", STR_INIT("customer")}, {"staff", STR_INIT("staff")}};
    enum status st = ST_OK;
    bool has_parts = false;

    for (size_t i = 0; st == ST_OK && i < sizeof(parts) / sizeof(parts[0]); i++) {
        char path[PATH_BYTES];

        (void)snprintf(path, sizeof(path), "%s/%s", folder, parts[i].folder);
        if (access(path, R_OK | X_OK) != 0)
            continue;
        has_parts = true;
        st = read_part(app, scope, path, parts[i].audience, err);
    }
    return has_parts ? st : read_part(app, scope, folder, STR("customer"), err);
}
