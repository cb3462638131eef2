/*
 * net_address.h - IP addresses: text and bytes, lists of networks, which of them are private
 *
 * An address is kept in IPv6 form; an IPv4 address is its mapped form (::ffff:a.b.c.d), so that
 * both spellings of one machine compare equal. Threads: any; a net_list is frozen once parsed.
 */
#ifndef PARLEY_NET_NET_ADDRESS_H
#define PARLEY_NET_NET_ADDRESS_H

#include <sys/socket.h>

#include "base/arena.h"

#define NET_ADDRESS_TEXT_BYTES 48

struct net_address {
    unsigned char bytes[16];
};

struct net_list {
    struct net_range *ranges;
    size_t count;
};

/* "10.1.2.3", "2001:db8::1", "[2001:db8::1]", nothing else. ST_INVALID. */
MUST_USE enum status net_address_parse(struct str text, struct net_address *address_out,
                                       struct err *err);
/* False for families other than IPv4 and IPv6. */
bool net_address_of_socket(const struct sockaddr *sockaddr, struct net_address *address_out);
/* Dotted for IPv4 and mapped IPv4, RFC 5952 for IPv6. */
struct str net_address_text(const struct net_address *address, char out[NET_ADDRESS_TEXT_BYTES]);

/* Not a public unicast address: loopback, private, shared, link-local, documentation, benchmark,
 * multicast, unspecified, reserved; also such an IPv4 address inside an IPv6 one. */
bool net_address_is_private(const struct net_address *address);

/* "10.0.0.1, 192.168.0.0/16, fd00::/8"; empty or NULL is the empty list. Heap. ST_INVALID. */
MUST_USE enum status net_list_parse(const char *text, struct net_list *list_out, struct err *err);
void net_list_deinit(struct net_list *list);
bool net_list_contains(const struct net_list *list, const struct net_address *address);

#endif
