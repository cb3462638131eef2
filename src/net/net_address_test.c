/*
 * net_address_test.c - addresses, networks, and which addresses are private
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those four first */
#include <cmocka.h>

#include "net/http_client.h"
#include "net/net_address.h"

static void
test_private(void **state)
{
    static const struct {
        const char *ip;
        bool want;
    } rows[] = {
        {"8.8.8.8", false},
        {"1.1.1.1", false},
        {"0.0.0.0", true},
        {"0.1.2.3", true},
        {"10.0.0.1", true},
        {"9.255.255.255", false},
        {"11.0.0.0", false},
        {"100.63.255.255", false},
        {"100.64.0.0", true},
        {"100.127.255.255", true},
        {"100.128.0.0", false},
        {"127.0.0.1", true},
        {"127.255.255.254", true},
        {"169.253.255.255", false},
        {"169.254.169.254", true},
        {"172.15.255.255", false},
        {"172.16.0.1", true},
        {"172.31.255.255", true},
        {"172.32.0.0", false},
        {"192.0.0.1", true},
        {"192.0.1.0", false},
        {"192.0.2.5", true},
        {"192.168.1.1", true},
        {"192.169.0.0", false},
        {"198.17.255.255", false},
        {"198.18.0.0", true},
        {"198.19.255.255", true},
        {"198.20.0.0", false},
        {"198.51.100.7", true},
        {"203.0.113.1", true},
        {"223.255.255.255", false},
        {"224.0.0.1", true},
        {"239.1.1.1", true},
        {"240.0.0.1", true},
        {"255.255.255.255", true},
        {"::", true},
        {"::1", true},
        {"::ffff:127.0.0.1", true},
        {"::ffff:10.1.1.1", true},
        {"::ffff:8.8.8.8", false},
        {"::ffff:7f00:1", true},
        {"::127.0.0.1", true},
        {"64:ff9b::a00:1", true},
        {"64:ff9b::808:808", false},
        {"64:ff9b:1::1", true},
        {"100::1", true},
        {"2001::1", true},
        {"2001:db8::1", true},
        {"2002:7f00:1::", true},
        {"2002:808:808::1", false},
        {"2606:4700:4700::1111", false},
        {"2a00:1450:4001:81b::200e", false},
        {"3fff:0::1", true},
        {"fc00::1", true},
        {"fdff::1", true},
        {"fe80::1", true},
        {"febf::1", true},
        {"fec0::1", true},
        {"ff02::1", true},
        {"4000::1", true},
        {"not an address", true},
        {"", true},
        {"127.1", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (http_address_is_private(str_from_c(rows[i].ip)) != rows[i].want)
            fail_msg("%s: want private %d", rows[i].ip, rows[i].want);
    }
}

static void
test_parse(void **state)
{
    static const struct {
        const char *text;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"10.1.2.3", "10.1.2.3"},
        {"[::1]", "::1"},
        {"2001:DB8:0:0::1", "2001:db8::1"},
        {"::ffff:10.1.2.3", "10.1.2.3"},
        {"10.1.2", NULL},
        {"10.1.2.3 ", NULL},
        {"10.1.2.3:80", NULL},
        {"fe80::1%eth0", NULL},
        {"", NULL},
        {"[", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
    };
    struct net_address address;
    struct err err;
    char text[NET_ADDRESS_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum status st = net_address_parse(str_from_c(rows[i].text), &address, &err);

        if (st != (rows[i].want == NULL ? ST_INVALID : ST_OK))
            fail_msg("\"%s\": status %s", rows[i].text, status_name(st));
        if (rows[i].want != NULL)
            assert_true(str_eq_c(net_address_text(&address, text), rows[i].want));
    }
}

static void
test_list(void **state)
{
    static const struct {
        const char *list;
        const char *ip;
        bool want;
    } rows[] = {
        {NULL, "10.0.0.1", false},
        {"", "10.0.0.1", false},
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.2", false},
        {"10.0.0.0/8 , 192.168.0.0/16", "192.168.7.7", true},
        {"10.0.0.0/8,192.168.0.0/16", "192.169.7.7", false},
        {"10.0.0.0/8", "::ffff:10.9.9.9", true},
        {"172.16.0.0/12", "172.31.0.1", true},
        {"172.16.0.0/12", "172.32.0.1", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "2001::1", false},
        {"fd00::/8", "fd12::1", true},
        {"fd00::/8", "fe12::1", false},
        {"::/0", "10.0.0.1", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
    };
    static const char *const wrong[] = {"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8/8",
                                        "x",           "10.0.0.1,",   "::/129",    "10.0.0.0/8x"};
    struct net_list list;
    struct net_address address;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(net_list_parse(rows[i].list, &list, &err), ST_OK);
        assert_int_equal(net_address_parse(str_from_c(rows[i].ip), &address, &err), ST_OK);
        if (net_list_contains(&list, &address) != rows[i].want)
            fail_msg("%s in %s: want %d", rows[i].ip, rows[i].list, rows[i].want);
        net_list_deinit(&list);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (net_list_parse(wrong[i], &list, &err) != ST_INVALID)
            fail_msg("\"%s\" was accepted", wrong[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
