/*
 * http_upload_test.c - forms and plain bodies that go to files
 */
#include "net/http_test_support.h"

#include <dirent.h>
#include <sched.h>
#include <sys/stat.h>

struct fixture {
    struct http_server *server;
    unsigned port;
    char folder[64];
    struct test_gate gone;
};

/* One line a part: name, file name, type, size, first bytes; files are read back. */
static void
on_upload(struct http_request *req, struct http_response *resp, void *context)
{
    struct buf text;

    (void)context;
    buf_init(&text, 65536);
    for (const struct http_part *part = req->parts; part != NULL; part = part->next) {
        char bytes[16] = "";
        struct stat info = {0};
        unsigned sum = 0;

        if (part->file_path != NULL) {
            FILE *file = fopen(part->file_path, "r");
            int c;

            if (file == NULL || fstat(fileno(file), &info) != 0)
                abort();
            (void)fread(bytes, 1, sizeof(bytes) - 1, file);
            rewind(file);
            while ((c = getc(file)) != EOF)
                sum = sum * 31 + (unsigned)c;
            (void)fclose(file);
        }
        buf_printf(&text, "[%.*s|%.*s|%.*s|%zu|%.*s|%s|%o|%ld|%u]", STR_ARG(part->name),
                   STR_ARG(part->file_name), STR_ARG(part->content_type), part->size_bytes,
                   STR_ARG(part->text), bytes, info.st_mode & 0777, (long)info.st_size, sum);
    }
    http_respond(resp, 200, "text/plain", buf_str(&text));
    buf_deinit(&text);
}

static const struct http_route routes[] = {
    {HTTP_POST, "/upload", on_upload, HTTP_ROUTE_UPLOAD, (size_t)8 * 1024 * 1024, NULL},
};

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct http_server_config config = {.listen = "127.0.0.1:0", .workers = 2, .context = f};
    struct err err;

    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/parley-upload-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    config.upload_folder = f->folder;
    if (http_server_start(&config, routes, 1, &f->server, &err) != ST_OK)
        fail_msg("%s", err.detail);
    f->port = http_server_port(f->server);
    *state = f;
    return 0;
}

static unsigned
files_in(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    unsigned count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.';
    (void)closedir(dir);
    return count;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    http_server_stop(&f->server, 2000);
    assert_int_equal(files_in(f->folder), 0); /* whatever happened, nothing stays */
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static int
post(struct fixture *f, const char *type, struct str body, struct buf *got)
{
    struct buf request;
    int status;

    buf_init(&request, body.len + 4096);
    buf_printf(&request,
               "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
               "Content-Length: %zu\r\n\r\n",
               type, body.len);
    buf_append(&request, body);
    status = raw_exchange(f->port, buf_str(&request), got);
    buf_deinit(&request);
    return status;
}

#define FORM "multipart/form-data; boundary=XX"

static void
test_forms(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        const char *type;
        const char *body;
        int want;
        const char *text;
    } rows[] = {
        {"field and file", FORM,
         "--XX\r\nContent-Disposition: form-data; name=\"brand\"\r\n\r\nacme\r\n"
         "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../../a b.txt\"\r\n"
         "Content-Type: text/plain\r\n\r\nhello\r\nworld\r\n--XX--\r\n",
         200, "[brand|||4|acme||0|0|0][file|../../a b.txt|text/plain|12||hello\r\nworld|600|12|"},
        {"empty file", FORM,
         "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"e\"\r\n\r\n\r\n--XX--\r\n",
         200, "[f|e||0|||600|0|0]"},
        {"two fields of one name", FORM,
         "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"
         "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n2\r\n--XX--\r\n",
         200, "[a|||1|1||0|0|0][a|||1|2||0|0|0]"},
        {"no boundary", "multipart/form-data", "x", 400, "no boundary"},
        {"cut off", FORM,
         "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"e\"\r\n\r\nabc", 400,
         "problem+json"},
        {"plain body", "application/pdf", "%PDF-1.7", 200, "[||application/pdf|8||%PDF-1.7|600|8|"},
    };
    struct buf got;

    buf_init(&got, 65536);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int status;

        buf_clear(&got);
        status = post(f, rows[i].type, str_from_c(rows[i].body), &got);
        if (status != rows[i].want || !contains(&got, rows[i].text))
            fail_msg("%s: %d\n%.*s", rows[i].name, status, STR_ARG(buf_str(&got)));
        assert_int_equal(files_in(f->folder), 0);
    }
    buf_deinit(&got);
}

static void
test_large(void **state)
{
    struct fixture *f = *state;
    size_t size = (size_t)5 * 1024 * 1024 + 17;
    struct buf body;
    struct buf got;
    struct buf want;
    unsigned sum = 0;

    buf_init(&body, size + 4096);
    buf_init(&got, 65536);
    buf_init(&want, 65536);
    buf_append_c(&body,
                 "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"l\"\r\n\r\n");
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)(i % 251 == 7 ? '\r' : i * 7 + i / 4096);

        buf_append_byte(&body, (char)byte);
        sum = sum * 31 + byte;
    }
    buf_append_c(&body, "\r\n--XX--\r\n");
    assert_int_equal(post(f, FORM, buf_str(&body), &got), 200);
    buf_printf(&want, "|600|%zu|%u]", size, sum);
    assert_true(str_find(buf_str(&got), buf_str(&want)) >= 0);
    buf_deinit(&body);
    buf_deinit(&got);
    buf_deinit(&want);
}

static void
test_limits(void **state)
{
    struct fixture *f = *state;
    struct buf body;
    struct buf got;

    buf_init(&body, (size_t)16 * 1024 * 1024);
    buf_init(&got, 65536);
    assert_int_equal(raw_exchange(f->port,
                                  STR("POST /upload HTTP/1.1\r\nHost: localhost\r\n"
                                      "Content-Length: 8388609\r\n\r\n"),
                                  &got),
                     413);
    buf_clear(&got);
    buf_append_c(&body, "POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked"
                        "\r\n\r\n");
    for (int i = 0; i < 129; i++) { /* 129 times 64 kB */
        buf_append_c(&body, "10000\r\n");
        for (int n = 0; n < 65536; n++)
            buf_append_byte(&body, 'x');
        buf_append_c(&body, "\r\n");
    }
    buf_append_c(&body, "0\r\n\r\n");
    assert_int_equal(raw_exchange(f->port, buf_str(&body), &got), 413);
    buf_clear(&got);
    buf_clear(&body);
    for (int i = 0; i < 65; i++)
        buf_printf(&body, "--XX\r\nContent-Disposition: form-data; name=\"n%d\"\r\n\r\nv\r\n", i);
    buf_append_c(&body, "--XX--\r\n");
    assert_int_equal(post(f, FORM, buf_str(&body), &got), 413);
    assert_true(contains(&got, "too many parts"));
    buf_clear(&got);
    buf_clear(&body);
    buf_append_c(&body, "--XX\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n");
    for (int i = 0; i < 70000; i++)
        buf_append_byte(&body, 'y');
    buf_append_c(&body, "\r\n--XX--\r\n");
    assert_int_equal(post(f, FORM, buf_str(&body), &got), 413);
    buf_deinit(&body);
    buf_deinit(&got);
}

/* The folder vanished: a clear refusal, and the connection's bytes are swallowed. */
static void
test_no_folder(void **state)
{
    struct fixture *f = *state;
    struct buf got;

    buf_init(&got, 65536);
    assert_int_equal(rmdir(f->folder), 0);
    assert_int_equal(post(f, "application/pdf", STR("abc"), &got), 503);
    assert_true(contains(&got, "cannot keep uploads"));
    assert_int_equal(mkdir(f->folder, 0700), 0);
    buf_deinit(&got);
}

/* The client leaves in the middle: its file is removed (tear_down looks). */
static void
test_abandoned(void **state)
{
    struct fixture *f = *state;
    struct buf piece;
    int fd = raw_open(f->port);

    buf_init(&piece, 300000);
    for (int i = 0; i < 200000; i++)
        buf_append_byte(&piece, 'z');
    raw_send(fd, STR("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400000\r\n\r\n"));
    raw_send(fd, buf_str(&piece));
    while (files_in(f->folder) == 0) /* until the first block is on disk */
        (void)sched_yield();
    (void)close(fd);
    buf_deinit(&piece);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_forms),     WITH_SERVER(test_large),     WITH_SERVER(test_limits),
        WITH_SERVER(test_no_folder), WITH_SERVER(test_abandoned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
