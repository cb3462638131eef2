/*
 * sqlite_function.c - small_letters(text): small letters of every script
 *
 * SQLite's own lower() knows A to Z. What PostgreSQL calls lower(x COLLATE "und-x-icu").
 */
#include <unicode/ucasemap.h>

#include "store/drivers/sqlite_private.h"

static void
small_letters(sqlite3_context *context, int count, sqlite3_value **values)
{
    const char *text = (const char *)sqlite3_value_text(values[0]);
    int32_t length = sqlite3_value_bytes(values[0]);
    int32_t room = 2 * length + 8; /* no letter becomes longer by more than half */
    UErrorCode error = U_ZERO_ERROR;
    char *out;

    (void)count;
    if (text == NULL || length > INT32_MAX / 4) {
        sqlite3_result_null(context);
        return;
    }
    out = sqlite3_malloc(room);
    if (out == NULL) {
        sqlite3_result_error_nomem(context);
        return;
    }
    length = ucasemap_utf8ToLower(sqlite3_user_data(context), out, room, text, length, &error);
    if (U_FAILURE(error)) {
        sqlite3_free(out);
        sqlite3_result_error(context, u_errorName(error), -1);
        return;
    }
    sqlite3_result_text(context, out, length, sqlite3_free);
}

static void
close_map(void *map)
{
    ucasemap_close(map);
}

enum status
sqlite_add_functions(sqlite3 *db, struct err *err)
{
    UErrorCode error = U_ZERO_ERROR;
    UCaseMap *map = ucasemap_open("", 0, &error);

    if (U_FAILURE(error))
        return err_set_detail(err, ST_INTERNAL, "ICU: %s", u_errorName(error));
    int code =
        sqlite3_create_function_v2(db, "small_letters", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, map,
                                   small_letters, NULL, NULL, close_map);

    return code == SQLITE_OK ? ST_OK : sqlite_failed(db, code, "small_letters", err);
}
