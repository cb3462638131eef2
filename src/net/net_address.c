/*
 * net_address.c - IP addresses and networks by prefix
 *
 * The table of networks that are not public follows the IANA special-purpose registries for IPv4
 * (RFC 6890 and later) and IPv6.
 */
#include "net/net_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RANGES 256

struct net_range {
    struct net_address base;
    unsigned prefix_bits; /* of 128 */
};

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void
from_ipv4(const void *ipv4, struct net_address *address_out)
{
    memcpy(address_out->bytes, mapped_prefix, sizeof(mapped_prefix));
    memcpy(address_out->bytes + 12, ipv4, 4);
}

static bool
is_mapped(const struct net_address *address)
{
    return memcmp(address->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

enum status
net_address_parse(struct str text, struct net_address *address_out, struct err *err)
{
    char copy[NET_ADDRESS_TEXT_BYTES];
    unsigned char ipv4[4];

    if (text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
        text = str_sub(text, 1, text.len - 2);
    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len) != NULL)
        return err_set(err, ST_INVALID, "not an IP address");
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, ipv4) == 1) {
        from_ipv4(ipv4, address_out);
        return ST_OK;
    }
    if (inet_pton(AF_INET6, copy, address_out->bytes) == 1)
        return ST_OK;
    return err_set(err, ST_INVALID, "not an IP address");
}

bool
net_address_of_socket(const struct sockaddr *sockaddr, struct net_address *address_out)
{
    if (sockaddr == NULL)
        return false;
    if (sockaddr->sa_family == AF_INET) {
        from_ipv4(&((const struct sockaddr_in *)(const void *)sockaddr)->sin_addr, address_out);
        return true;
    }
    if (sockaddr->sa_family == AF_INET6) {
        memcpy(address_out->bytes,
               &((const struct sockaddr_in6 *)(const void *)sockaddr)->sin6_addr, 16);
        return true;
    }
    return false;
}

struct str
net_address_text(const struct net_address *address, char out[NET_ADDRESS_TEXT_BYTES])
{
    const char *text;

    if (is_mapped(address))
        text = inet_ntop(AF_INET, address->bytes + 12, out, NET_ADDRESS_TEXT_BYTES);
    else
        text = inet_ntop(AF_INET6, address->bytes, out, NET_ADDRESS_TEXT_BYTES);
    return str_from_c(text);
}

static bool
in_prefix(const unsigned char *bytes, const unsigned char *base, unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;

    if (memcmp(bytes, base, whole) != 0)
        return false;
    if (rest == 0)
        return true;
    return ((bytes[whole] ^ base[whole]) >> (8 - rest)) == 0;
}

struct ipv4_range {
    unsigned char base[4];
    unsigned bits;
};

static bool
ipv4_is_private(const unsigned char ipv4[4])
{
    static const struct ipv4_range ranges[] = {
        {{0, 0, 0, 0}, 8},       /* this network */
        {{10, 0, 0, 0}, 8},      /* private */
        {{100, 64, 0, 0}, 10},   /* carrier's shared space */
        {{127, 0, 0, 0}, 8},     /* loopback */
        {{169, 254, 0, 0}, 16},  /* link-local, cloud metadata */
        {{172, 16, 0, 0}, 12},   /* private */
        {{192, 0, 0, 0}, 24},    /* protocol assignments */
        {{192, 0, 2, 0}, 24},    /* documentation */
        {{192, 88, 99, 0}, 24},  /* 6to4 relays, withdrawn */
        {{192, 168, 0, 0}, 16},  /* private */
        {{198, 18, 0, 0}, 15},   /* benchmarks */
        {{198, 51, 100, 0}, 24}, /* documentation */
        {{203, 0, 113, 0}, 24},  /* documentation */
        {{224, 0, 0, 0}, 4},     /* multicast */
        {{240, 0, 0, 0}, 4},     /* reserved, broadcast */
    };

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (in_prefix(ipv4, ranges[i].base, ranges[i].bits))
            return true;
    return false;
}

bool
net_address_is_private(const struct net_address *address)
{
    static const unsigned char nat64[12] = {0, 0x64, 0xff, 0x9b};
    static const unsigned char nat64_local[6] = {0, 0x64, 0xff, 0x9b, 0, 1};
    static const unsigned char zero[12];
    static const unsigned char teredo[4] = {0x20, 0x01, 0, 0};
    static const unsigned char special[] = {0x20, 0x01, 0}; /* 2001::/23 */
    static const unsigned char documentation[] = {0x20, 0x01, 0x0d, 0xb8};
    static const unsigned char documentation2[] = {0x3f, 0xff, 0}; /* 3fff::/20 */
    static const unsigned char six_to_four[] = {0x20, 0x02};
    const unsigned char *b = address->bytes;

    if (is_mapped(address) || memcmp(b, nat64, 12) == 0)
        return ipv4_is_private(b + 12);
    if (memcmp(b, zero, 12) == 0) /* unspecified, loopback, IPv4-compatible */
        return true;
    if (memcmp(b, nat64_local, 6) == 0)
        return true;
    if (in_prefix(b, six_to_four, 16))
        return ipv4_is_private(b + 2);
    if (in_prefix(b, teredo, 32) || in_prefix(b, special, 23) || in_prefix(b, documentation, 32) ||
        in_prefix(b, documentation2, 20))
        return true;
    /* Everything outside global unicast 2000::/3: unique local fc00::/7, link-local fe80::/10, site
     * local fec0::/10, multicast ff00::/8, discard 100::/64, and what is not assigned yet. */
    return (b[0] & 0xe0) != 0x20;
}

static enum status
parse_range(struct str text, struct net_range *range_out, struct err *err)
{
    struct str address;
    struct str bits_text = text;
    int64_t bits = 128;
    enum status st;

    if (!str_split(&bits_text, '/', &address))
        return err_set(err, ST_INVALID, "empty network");
    st = net_address_parse(str_trim(address), &range_out->base, err);
    if (st != ST_OK)
        return err_wrap(err, "network \"%.*s\"", STR_ARG(text));
    if (str_find_byte(text, '/') >= 0) {
        int64_t most = is_mapped(&range_out->base) ? 32 : 128;

        if (!str_to_i64(str_trim(bits_text), &bits) || bits < 0 || bits > most)
            return err_set(err, ST_INVALID, "network \"%.*s\": bad prefix length", STR_ARG(text));
        bits += 128 - most;
    }
    range_out->prefix_bits = (unsigned)bits;
    return ST_OK;
}

enum status
net_list_parse(const char *text, struct net_list *list_out, struct err *err)
{
    struct str rest = str_from_c(text);
    struct str item;
    enum status st = ST_OK;

    *list_out = (struct net_list){0};
    if (str_trim(rest).len == 0)
        return ST_OK;
    list_out->ranges = calloc(MAX_RANGES, sizeof(list_out->ranges[0]));
    if (list_out->ranges == NULL)
        abort();
    while (st == ST_OK && str_split(&rest, ',', &item)) {
        if (list_out->count == MAX_RANGES)
            st = err_set(err, ST_TOO_LARGE, "more than %d networks", MAX_RANGES);
        else
            st = parse_range(str_trim(item), &list_out->ranges[list_out->count++], err);
    }
    if (st != ST_OK)
        net_list_deinit(list_out);
    return st;
}

void
net_list_deinit(struct net_list *list)
{
    free(list->ranges);
    *list = (struct net_list){0};
}

bool
net_list_contains(const struct net_list *list, const struct net_address *address)
{
    for (size_t i = 0; i < list->count; i++)
        if (in_prefix(address->bytes, list->ranges[i].base.bytes, list->ranges[i].prefix_bits))
            return true;
    return false;
}
