/*
 * cut_proxy_test_support.h - a TCP proxy in front of PostgreSQL that cuts at a COMMIT, or at the
 * flush of what was committed
 */
#ifndef PARLEY_STORE_CUT_PROXY_TEST_SUPPORT_H
#define PARLEY_STORE_CUT_PROXY_TEST_SUPPORT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum cut {
    CUT_NEVER,
    CUT_BEFORE_COMMIT, /* the server never gets it */
    CUT_BEFORE_ANSWER, /* the server has answered it, and the answer goes nowhere */
    CUT_BEFORE_FLUSH,
    CUT_BEFORE_FLUSH_ANSWER
};

struct cut_proxy {
    unsigned port, server_port;
    int listener;
    _Atomic int next;     /* enum cut: at the next COMMIT or flush, once */
    _Atomic bool refuses; /* after the cut: nothing gets through any more */
    _Atomic int cuts;
    void (*on_cut)(void); /* NULL, or called before the client sees that it was cut off */
    pthread_t thread;
    pthread_mutex_t lock; /* guards pairs */
    pthread_cond_t ended;
    int pairs; /* connections that are carried */
};

void cut_proxy_start(struct cut_proxy *proxy, unsigned server_port);
/* Whoever connected through it has closed: waits until that was noticed. */
void cut_proxy_stop(struct cut_proxy *proxy);

#endif
