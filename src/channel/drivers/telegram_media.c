/*
 * telegram_media.c - files that people send: getFile tells a path, and the path is fetched
 *
 * The address of a file holds the token, as that of a method does. Bots get files of at most 20 MB.
 * Source: core.telegram.org/bots/api#getfile.
 */
#include "channel/drivers/telegram.h"

#include <string.h>

#include "text/json.h"

#define ASK_DEADLINE_MS 20000
#define FETCH_DEADLINE_MS 60000
#define URL_MAX_BYTES 1024
#define PATH_MAX_BYTES 300
#define BUSY_WAIT_MS 1000

/* "photos/file_7.jpg". Others would lead to another place of the same host; a server of one's own
 * in local mode tells absolute paths of its disk, which cannot be fetched. */
static bool
is_path(struct str path)
{
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              strchr("/._-", c) != NULL))
            return false;
    }
    return path.len > 0 && path.len <= PATH_MAX_BYTES && path.ptr[0] != '/' &&
           str_find(path, STR("..")) < 0;
}

/* Telegram says application/octet-stream of all files, and nothing of photos' types. */
static struct str
type_of(const json_t *attachment, struct str path)
{
    static const struct {
        const char *ends, *type;
    } types[] = {{".jpg", "image/jpeg"},  {".png", "image/png"},  {".webp", "image/webp"},
                 {".webm", "video/webm"}, {".mp4", "video/mp4"},  {".oga", "audio/ogg"},
                 {".ogg", "audio/ogg"},   {".mp3", "audio/mpeg"}, {".tgs", "application/gzip"}};
    struct str said = json_get_str(attachment, "mime_type");

    for (size_t i = 0; said.len == 0 && i < sizeof types / sizeof types[0]; i++)
        if (str_ends_with(path, str_from_c(types[i].ends)))
            said = str_from_c(types[i].type);
    return said;
}

static enum status
find_path(struct telegram_channel *telegram, const json_t *attachment, struct arena *arena,
          struct str *path_out, struct err *err)
{
    struct str id = json_get_str(attachment, "file_id");
    json_auto_t *parameters = json_object();
    struct telegram_answer answer;

    if (id.len == 0)
        return err_set(err, ST_INVALID, "the attachment has no file_id");
    json_set_str(parameters, "file_id", id);
    enum status st =
        telegram_call(telegram, "getFile", parameters, ASK_DEADLINE_MS, arena, &answer, err);
    /* Asking changes nothing, so it may simply be done again. */
    if (st == ST_UNCERTAIN)
        return err_set_detail(err, ST_UNAVAILABLE, "getFile was not answered");
    if (st == ST_INVALID)
        return err_set(err, ST_NOT_FOUND, "Telegram has this file no longer");
    if (st != ST_OK)
        return st;
    *path_out = arena_str(arena, json_get_str(answer.result, "file_path"));
    json_decref(answer.result);
    return is_path(*path_out)
               ? ST_OK
               : err_set(err, ST_NOT_FOUND, "Telegram told no path of this file to fetch");
}

static enum status
sort_file(const struct http_reply *reply, struct err *err)
{
    if (reply->ended_by_sink)
        return err_set(err, ST_INVALID, "the file was not taken");
    if (reply->status >= 200 && reply->status < 300)
        return ST_OK;
    if (reply->status == 401)
        return err_set(err, ST_DENIED, "Telegram refuses the token");
    if (reply->status == 404 || reply->status == 410)
        return err_set(err, ST_NOT_FOUND, "Telegram has this file no longer");
    enum status st = reply->status == 429 ? ST_BUSY : ST_UNAVAILABLE;

    err_set_detail(err, st, "file: http %d", reply->status);
    err->retry_after_ms = reply->retry_after_ms > 0 ? reply->retry_after_ms
                          : st == ST_BUSY           ? BUSY_WAIT_MS
                                                    : 0;
    return st;
}

enum status
telegram_fetch_media(struct channel *channel, const json_t *attachment,
                     const struct media_sink *sink, struct arena *arena, struct str *mime_type_out,
                     struct err *err)
{
    struct telegram_channel *telegram = telegram_of(channel);
    char url[URL_MAX_BYTES];
    struct http_reply reply;
    struct str path = STR_EMPTY;
    enum status st = find_path(telegram, attachment, arena, &path, err);

    if (st != ST_OK)
        return st;
    int length = snprintf(url, sizeof url, "%.*s/file/bot%.*s/%.*s", STR_ARG(telegram->api_base),
                          STR_ARG(telegram->token), STR_ARG(path));
    if (length < 0 || (size_t)length >= sizeof url)
        return err_set(err, ST_INVALID, "api_base is too long");
    const struct http_call call = {.method = "GET",
                                   .url = str_of(url, (size_t)length),
                                   .url_is_secret = true,
                                   .deadline_ms = FETCH_DEADLINE_MS,
                                   .max_response_bytes = sink->max_bytes,
                                   .sink = sink->write,
                                   .sink_context = sink->context};

    st = http_client_call(channel->env->http, &call, arena, &reply, err);
    explicit_bzero(url, sizeof url);
    if (st == ST_UNCERTAIN)
        return err_set_detail(err, ST_UNAVAILABLE, "file: the answer was cut off");
    if (st == ST_OK)
        st = sort_file(&reply, err);
    if (st == ST_OK)
        *mime_type_out = type_of(attachment, path);
    return st == ST_OK ? ST_OK : err_wrap(err, "telegram file");
}
