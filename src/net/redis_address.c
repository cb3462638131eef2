/*
 * redis_address.c - see the header
 */
#include "net/redis_address.h"

#include <string.h>

#define DEFAULT_PORT 6379
#define MAX_PORT 65535
#define MAX_DATABASE 65535

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Percent-decodes into a C string. False: too long, a bad escape, or a NUL. */
static bool
decode(struct str s, char *out, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < s.len; i++) {
        int c = (unsigned char)s.ptr[i];

        if (c == '%') {
            int high = i + 2 < s.len ? hex_digit(s.ptr[i + 1]) : -1;
            int low = i + 2 < s.len ? hex_digit(s.ptr[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = high * 16 + low;
            i += 2;
        }
        if (c == 0 || len + 1 >= size)
            return false;
        out[len++] = (char)c;
    }
    out[len] = '\0';
    return true;
}

static ptrdiff_t
find_last(struct str s, char byte)
{
    for (size_t i = s.len; i > 0; i--) {
        if (s.ptr[i - 1] == byte)
            return (ptrdiff_t)i - 1;
    }
    return -1;
}

static bool
parse_number(struct str s, int64_t max, unsigned *out)
{
    int64_t number;

    if (!str_to_i64(s, &number) || number < 0 || number > max)
        return false;
    *out = (unsigned)number;
    return true;
}

static bool
parse_login(struct str login, struct redis_address *address)
{
    struct str user;

    if (!str_split(&login, ':', &user))
        return false;
    return decode(user, address->user, sizeof(address->user)) &&
           decode(login, address->password, sizeof(address->password)) &&
           (address->user[0] == '\0' || address->password[0] != '\0');
}

/* "host", "host:port", "[v6]", "[v6]:port" */
static bool
parse_host(struct str s, struct redis_address *address)
{
    struct str host = s;
    struct str port = STR_EMPTY;
    ptrdiff_t end;

    if (str_starts_with(s, STR("["))) {
        end = str_find_byte(s, ']');
        if (end < 0)
            return false;
        host = str_sub(s, 1, (size_t)end - 1);
        port = str_sub(s, (size_t)end + 1, s.len);
    } else {
        end = str_find_byte(s, ':');
        if (end >= 0) {
            host = str_sub(s, 0, (size_t)end);
            port = str_sub(s, (size_t)end, s.len);
        }
    }
    if (host.len == 0 || !decode(host, address->host, sizeof(address->host)))
        return false;
    if (port.len == 0)
        return true;
    return port.ptr[0] == ':' && parse_number(str_sub(port, 1, port.len), MAX_PORT, &address->port);
}

static bool
parse_one(struct str s, struct redis_address *address)
{
    struct str rest;
    ptrdiff_t at;

    *address = (struct redis_address){.port = DEFAULT_PORT};
    address->tls = str_starts_with(s, STR("rediss://"));
    if (!address->tls && !str_starts_with(s, STR("redis://")))
        return false;
    rest = str_sub(s, address->tls ? 9 : 8, s.len);
    at = find_last(rest, '@');
    if (at >= 0 && !parse_login(str_sub(rest, 0, (size_t)at), address))
        return false;
    rest = str_sub(rest, (size_t)(at + 1), rest.len);
    at = str_find_byte(rest, '/');
    if (at >= 0) {
        struct str database = str_sub(rest, (size_t)at + 1, rest.len);

        if (database.len > 0 && !parse_number(database, MAX_DATABASE, &address->database))
            return false;
        rest = str_sub(rest, 0, (size_t)at);
    }
    return parse_host(rest, address) && address->port > 0;
}

enum status
redis_addresses_parse(struct str text, struct redis_addresses *addresses_out, struct err *err)
{
    struct str item;

    *addresses_out = (struct redis_addresses){.count = 0};
    while (str_split(&text, ',', &item)) {
        if (addresses_out->count == REDIS_MAX_ADDRESSES) {
            redis_addresses_wipe(addresses_out);
            return err_set(err, ST_INVALID, "more than %d addresses of Redis", REDIS_MAX_ADDRESSES);
        }
        if (!parse_one(str_trim(item), &addresses_out->list[addresses_out->count++])) {
            size_t place = addresses_out->count;

            redis_addresses_wipe(addresses_out);
            return err_set(err, ST_INVALID,
                           "address %zu of Redis is none: redis://user:password@host:port/database",
                           place);
        }
    }
    if (addresses_out->count == 0)
        return err_set(err, ST_INVALID, "no address of Redis is set");
    return ST_OK;
}

void
redis_addresses_wipe(struct redis_addresses *addresses)
{
    explicit_bzero(addresses, sizeof(*addresses));
}
