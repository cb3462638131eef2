/*
 * curl_guard.c - the socket that libcurl asks for, unless its address is private
 */
#include "net/curl_guard.h"

#include <sys/socket.h>

#include "net/net_address.h"

static curl_socket_t
open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *target)
{
    struct curl_guard *guard = context;
    struct net_address address;

    (void)purpose;
    if (!guard->allow_private &&
        (!net_address_of_socket(&target->addr, &address) || net_address_is_private(&address))) {
        guard->is_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(target->family, target->socktype | SOCK_CLOEXEC, target->protocol);
}

void
curl_guard_set(struct curl_guard *guard, CURL *easy)
{
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, guard);
}
