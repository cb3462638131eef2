/*
 * teams_ids.c - service URLs that a token may go to, and the ids that leave this driver
 *
 * A service URL comes from outside and receives our token: it is believed only when the sender's
 * own token named it (verification) and its host is one of a list (here), each time anew.
 */
#include "channel/drivers/teams.h"

#include <string.h>

#include "text/json.h"

#define ID_MAX_BYTES 600

static const char *const default_hosts[] = {"smba.trafficmanager.net", "*.teams.microsoft.com",
                                            "*.botframework.com",      "*.teams.microsoft.us",
                                            "*.botframework.azure.us", NULL};

static bool
is_host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-';
}

static bool
is_host(struct str host)
{
    for (size_t i = 0; i < host.len; i++)
        if (!is_host_byte(host.ptr[i]))
            return false;
    return host.len > 0 && host.len <= 253 && host.ptr[0] != '.' && host.ptr[host.len - 1] != '.';
}

/* "https://host:port" of an address, and its host; false when it is none. */
static bool
read_origin(struct str url, struct str *origin_out, struct str *host_out)
{
    size_t at = str_starts_with(url, STR("https://"))  ? 8
                : str_starts_with(url, STR("http://")) ? 7
                                                       : 0;
    size_t start = at, digits = 0;

    if (at == 0)
        return false;
    while (at < url.len && is_host_byte(url.ptr[at]))
        at++;
    *host_out = str_sub(url, start, at - start);
    if (at < url.len && url.ptr[at] == ':') {
        for (at++; at < url.len && url.ptr[at] >= '0' && url.ptr[at] <= '9'; at++)
            digits++;
        if (digits == 0 || digits > 5)
            return false;
    }
    *origin_out = str_sub(url, 0, at);
    return is_host(*host_out) && (at == url.len || url.ptr[at] == '/');
}

bool
teams_service_host_is_valid(struct str entry)
{
    struct str origin, host;

    if (str_find(entry, STR("://")) >= 0)
        return read_origin(entry, &origin, &host) && origin.len == entry.len;
    if (str_starts_with(entry, STR("*.")))
        return is_host(str_sub(entry, 2, entry.len)) && str_find_byte(entry, '.') >= 0;
    return is_host(entry);
}

static bool
entry_allows(struct str entry, struct str origin, struct str host)
{
    if (str_find(entry, STR("://")) >= 0)
        return str_eq_nocase(entry, origin);
    /* A host alone means https on its own port. */
    if (!str_starts_with(origin, STR("https://")) || origin.len != host.len + 8)
        return false;
    if (str_starts_with(entry, STR("*."))) {
        struct str domain = str_sub(entry, 1, entry.len); /* with its dot */

        return host.len > domain.len &&
               str_eq_nocase(str_sub(host, host.len - domain.len, domain.len), domain);
    }
    return str_eq_nocase(entry, host);
}

static bool
is_allowed(const json_t *settings, struct str origin, struct str host)
{
    const json_t *hosts = json_get_array(settings, "service_hosts");
    size_t i;
    json_t *one;

    if (hosts == NULL) {
        for (i = 0; default_hosts[i] != NULL; i++)
            if (entry_allows(str_from_c(default_hosts[i]), origin, host))
                return true;
        return false;
    }
    json_array_foreach (hosts, i, one) {
        if (json_is_string(one) &&
            entry_allows(str_of(json_string_value(one), json_string_length(one)), origin, host))
            return true;
    }
    return false;
}

bool
teams_service_url(const json_t *settings, struct str given, struct str *url_out)
{
    struct str origin, host;

    while (str_ends_with(given, STR("/")))
        given.len--;
    if (given.len > TEAMS_SERVICE_URL_MAX || !read_origin(given, &origin, &host))
        return false;
    for (size_t i = origin.len; i < given.len; i++)
        if (given.ptr[i] <= ' ' || given.ptr[i] >= 127 ||
            strchr("?#@\\\"<>|%", given.ptr[i]) != NULL)
            return false;
    if (str_find(given, STR("/..")) >= 0 || !is_allowed(settings, origin, host))
        return false;
    *url_out = given;
    return true;
}

bool
teams_url_is_of_service(const json_t *settings, struct str url)
{
    struct str origin, host;

    return read_origin(url, &origin, &host) && is_allowed(settings, origin, host);
}

bool
teams_id_is_valid(struct str id)
{
    for (size_t i = 0; i < id.len; i++)
        if ((unsigned char)id.ptr[i] <= ' ' || id.ptr[i] == 127)
            return false;
    return id.len > 0 && id.len <= ID_MAX_BYTES;
}

struct str
teams_chat_format(struct arena *arena, const struct teams_chat *chat)
{
    return arena_printf(arena, "%.*s|%.*s", STR_ARG(chat->service_url),
                        STR_ARG(chat->conversation_id));
}

enum status
teams_chat_parse(const json_t *settings, struct str external_chat_id, struct teams_chat *chat_out,
                 struct err *err)
{
    struct str rest = external_chat_id, url;
    struct teams_chat chat;

    if (!str_split(&rest, '|', &url) || !teams_id_is_valid(rest))
        return err_set(err, ST_INVALID, "\"%.*s\" names no Teams conversation",
                       STR_ARG(str_sub(external_chat_id, 0, 60)));
    chat.conversation_id = rest;
    if (!teams_service_url(settings, url, &chat.service_url))
        return err_set(err, ST_INVALID, "\"%.*s\" is not among the channel's service_hosts",
                       STR_ARG(str_sub(url, 0, 80)));
    *chat_out = chat;
    return ST_OK;
}

struct str
teams_message_format(struct arena *arena, struct str app_id, struct str conversation_id,
                     struct str activity_id)
{
    return arena_printf(arena, "%.*s|%.*s|%.*s", STR_ARG(app_id), STR_ARG(conversation_id),
                        STR_ARG(activity_id));
}

bool
teams_message_parse(struct str external_message_id, struct str *conversation_id_out,
                    struct str *activity_id_out)
{
    struct str rest = external_message_id, app;
    size_t at;

    if (!str_split(&rest, '|', &app) || rest.ptr == NULL)
        return false;
    for (at = rest.len; at > 0 && rest.ptr[at - 1] != '|'; at--)
        ;
    if (at == 0)
        return false;
    *conversation_id_out = str_sub(rest, 0, at - 1);
    *activity_id_out = str_sub(rest, at, rest.len);
    return teams_id_is_valid(*conversation_id_out) && teams_id_is_valid(*activity_id_out);
}
