/*
 * http_tls_test.c - TLS from files, replaced while the server runs
 */
#include "net/http_test_support.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <time.h>

#include "base/id.h"

struct fixture {
    struct http_server *server;
    char folder[64];
    char certificate[96], key[96], other_certificate[96];
};

static void
on_hello(struct http_request *req, struct http_response *resp, void *context)
{
    (void)context;
    http_respond(resp, 200, "text/plain", req->is_tls ? STR("secure") : STR("open"));
}

static void
on_stream(struct http_request *req, struct http_response *resp, void *context)
{
    struct http_stream_config config = {0};
    struct http_stream *stream = http_respond_stream(resp, &config);
    struct err err;

    (void)req;
    (void)context;
    if (http_stream_send(stream, STR("1"), STR_EMPTY, STR("over TLS"), &err) != ST_OK)
        abort();
    http_stream_close(stream);
    http_stream_unref(&stream);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/hello", on_hello, 0, 0, NULL},
    {HTTP_GET, "/stream", on_stream, 0, 0, NULL},
};

static void
write_file(const char *path, const void *bytes, size_t size)
{
    char fresh[128];
    FILE *file;

    (void)snprintf(fresh, sizeof(fresh), "%s.new", path);
    file = fopen(fresh, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(fresh, path), 0);
}

/* A self-signed certificate for localhost. */
static void
make_certificate(const char *certificate_path, const char *key_path, const char *organization)
{
    static const unsigned char loopback[4] = {127, 0, 0, 1};
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t certificate;
    gnutls_datum_t text;
    unsigned char serial[8];

    random_bytes(serial, sizeof(serial));
    serial[0] &= 0x7f;
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(
        gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                     (unsigned)GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
        0);
    assert_int_equal(gnutls_x509_crt_init(&certificate), 0);
    assert_int_equal(gnutls_x509_crt_set_version(certificate, 3), 0);
    assert_int_equal(gnutls_x509_crt_set_key(certificate, key), 0);
    assert_int_equal(gnutls_x509_crt_set_serial(certificate, serial, sizeof(serial)), 0);
    assert_int_equal(gnutls_x509_crt_set_activation_time(certificate, time(NULL) - 3600), 0);
    assert_int_equal(gnutls_x509_crt_set_expiration_time(certificate, time(NULL) + 86400), 0);
    assert_int_equal(gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_ORGANIZATION_NAME,
                                                   0, organization, (unsigned)strlen(organization)),
                     0);
    assert_int_equal(gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS,
                                                          loopback, 4, GNUTLS_FSAN_SET),
                     0);
    assert_int_equal(gnutls_x509_crt_set_basic_constraints(certificate, 1, -1), 0);
    assert_int_equal(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &text), 0);
    write_file(certificate_path, text.data, text.size);
    gnutls_free(text.data);
    assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &text), 0);
    write_file(key_path, text.data, text.size);
    gnutls_free(text.data);
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
}

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct http_server_config config = {.listen = "127.0.0.1:0", .workers = 2, .context = f};
    struct err err;

    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/parley-tls-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->certificate, sizeof(f->certificate), "%s/cert.pem", f->folder);
    (void)snprintf(f->other_certificate, sizeof(f->other_certificate), "%s/ca.pem", f->folder);
    (void)snprintf(f->key, sizeof(f->key), "%s/key.pem", f->folder);
    make_certificate(f->certificate, f->key, "first");
    config.tls_certificate_file = f->certificate;
    config.tls_key_file = f->key;
    if (http_server_start(&config, routes, 2, &f->server, &err) != ST_OK)
        fail_msg("%s", err.detail);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    http_server_stop(&f->server, 2000);
    (void)unlink(f->certificate);
    (void)unlink(f->other_certificate);
    (void)unlink(f->key);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static enum status
get(struct fixture *f, struct http_client *client, const char *path, char *text, size_t size)
{
    struct arena *arena = arena_create(1024 * 1024);
    struct http_call call = {.method = "GET", .deadline_ms = 10000};
    struct http_reply reply;
    struct err err;
    enum status st;

    call.url = arena_printf(arena, "https://127.0.0.1:%u%s", http_server_port(f->server), path);
    st = http_client_call(client, &call, arena, &reply, &err);
    if (st == ST_OK)
        (void)snprintf(text, size, "%d %.*s", reply.status, STR_ARG(reply.body));
    arena_destroy(&arena);
    return st;
}

static void
test_tls(void **state)
{
    struct fixture *f = *state;
    struct http_client *client = test_client(f->certificate);
    struct http_client *stranger = test_client(NULL);
    char text[128];

    assert_int_equal(get(f, client, "/hello", text, sizeof(text)), ST_OK);
    assert_string_equal(text, "200 secure");
    assert_int_equal(get(f, client, "/stream", text, sizeof(text)), ST_OK);
    assert_string_equal(text, "200 id: 1\ndata: over TLS\n\n");
    /* Nothing is sent to a server that cannot be trusted. */
    assert_int_equal(get(f, stranger, "/hello", text, sizeof(text)), ST_UNAVAILABLE);
    http_client_destroy(&client);
    http_client_destroy(&stranger);
}

/* True once a fresh connection that trusts only the certificate in path is accepted. */
static bool
is_served(struct fixture *f, const char *path)
{
    struct http_client *client = test_client(path);
    char text[128];
    enum status st = get(f, client, "/hello", text, sizeof(text));

    http_client_destroy(&client);
    return st == ST_OK;
}

static void
test_reload(void **state)
{
    struct fixture *f = *state;
    struct http_client *old;
    int64_t end_us = clock_mono_us(clock_system()) + TEST_WAIT_S * US_PER_S;
    char text[128];

    /* Keeps a copy of what it trusts and one connection open over the whole change. */
    assert_int_equal(link(f->certificate, f->other_certificate), 0);
    old = test_client(f->other_certificate);
    assert_int_equal(get(f, old, "/hello", text, sizeof(text)), ST_OK);

    make_certificate(f->certificate, f->key, "second");
    while (!is_served(f, f->certificate))
        assert_true(clock_mono_us(clock_system()) < end_us);
    assert_false(is_served(f, f->other_certificate));
    assert_int_equal(get(f, old, "/hello", text, sizeof(text)), ST_OK); /* the same connection */
    http_client_destroy(&old);

    /* Damaged files leave the second in force; mending them brings the third. */
    (void)unlink(f->other_certificate);
    assert_int_equal(link(f->certificate, f->other_certificate), 0);
    write_file(f->key, "damaged", 7);
    for (int64_t until_us = clock_mono_us(clock_system()) + 2 * US_PER_S;
         clock_mono_us(clock_system()) < until_us;)
        assert_true(is_served(f, f->other_certificate));
    make_certificate(f->certificate, f->key, "third");
    while (!is_served(f, f->certificate))
        assert_true(clock_mono_us(clock_system()) < end_us);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_tls),
        WITH_SERVER(test_reload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
