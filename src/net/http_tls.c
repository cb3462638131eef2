/*
 * http_tls.c - certificates that may change while connections live
 *
 * Every connection takes one reference to the credentials in force when it began and keeps them to
 * its end, so that a reload never touches a running session. What cannot be loaded leaves the old
 * credentials in force; it is logged once for each change of the files.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "net/http_server_private.h"

#define MAX_PEM_BYTES ((size_t)1024 * 1024)

struct http_tls_credentials {
    _Atomic unsigned refs;
    gnutls_certificate_credentials_t certificate;
};

struct file_stamp {
    struct timespec modified;
    off_t size;
    ino_t inode;
};

struct http_tls {
    char *certificate_file, *key_file;
    char *first_certificate, *first_key; /* PEM text that the library asks for at its start */
    struct file_stamp certificate_stamp, key_stamp; /* of the last look; timer thread only */
    pthread_mutex_t lock;                           /* guards current */
    struct http_tls_credentials *current;
};

static void
wipe(char **text)
{
    if (*text != NULL)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static enum status
read_pem(const char *path, char **text_out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text;
    size_t len = 0;
    ssize_t got = 1;

    if (fd < 0)
        return err_set_detail(err, ST_INVALID, "open %s: %s", path, strerrordesc_np(errno));
    text = calloc(1, MAX_PEM_BYTES + 1);
    if (text == NULL)
        abort();
    while (len < MAX_PEM_BYTES && got > 0) {
        got = read(fd, text + len, MAX_PEM_BYTES - len);
        len += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd);
    if (got < 0 || len == MAX_PEM_BYTES || memchr(text, '\0', len) != NULL) {
        explicit_bzero(text, len);
        free(text);
        return err_set_detail(err, ST_INVALID, "%s cannot be read or is not PEM", path);
    }
    *text_out = text;
    return ST_OK;
}

static void
credentials_unref(struct http_tls_credentials *credentials)
{
    if (credentials == NULL ||
        atomic_fetch_sub_explicit(&credentials->refs, 1, memory_order_acq_rel) != 1)
        return;
    gnutls_certificate_free_credentials(credentials->certificate);
    free(credentials);
}

static enum status
credentials_load(char *certificate, char *key, struct http_tls_credentials **out, struct err *err)
{
    struct http_tls_credentials *made = calloc(1, sizeof(*made));
    gnutls_datum_t certificate_text = {(unsigned char *)certificate, (unsigned)strlen(certificate)};
    gnutls_datum_t key_text = {(unsigned char *)key, (unsigned)strlen(key)};
    int code;

    if (made == NULL || gnutls_certificate_allocate_credentials(&made->certificate) != 0)
        abort();
    atomic_init(&made->refs, 1);
    /* Also proves that the two belong together. */
    code = gnutls_certificate_set_x509_key_mem(made->certificate, &certificate_text, &key_text,
                                               GNUTLS_X509_FMT_PEM);
    if (code < 0) {
        credentials_unref(made);
        return err_set_detail(err, ST_INVALID, "certificate or key: %s", gnutls_strerror(code));
    }
    *out = made;
    return ST_OK;
}

static struct file_stamp
stamp_of(const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return (struct file_stamp){0};
    return (struct file_stamp){info.st_mtim, info.st_size, info.st_ino};
}

static bool
stamp_eq(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec &&
           a->size == b->size && a->inode == b->inode;
}

enum status
http_tls_create(const char *certificate_file, const char *key_file, struct http_tls **tls_out,
                struct err *err)
{
    struct http_tls *tls = calloc(1, sizeof(*tls));
    enum status st;

    if (tls == NULL)
        abort();
    pthread_mutex_init(&tls->lock, NULL);
    tls->certificate_file = strdup(certificate_file);
    tls->key_file = strdup(key_file);
    tls->certificate_stamp = stamp_of(certificate_file);
    tls->key_stamp = stamp_of(key_file);
    st = read_pem(certificate_file, &tls->first_certificate, err);
    if (st == ST_OK)
        st = read_pem(key_file, &tls->first_key, err);
    if (st == ST_OK)
        st = credentials_load(tls->first_certificate, tls->first_key, &tls->current, err);
    *tls_out = tls;
    if (st != ST_OK)
        http_tls_destroy(tls_out);
    return st;
}

void
http_tls_destroy(struct http_tls **tls)
{
    struct http_tls *t = *tls;

    if (t == NULL)
        return;
    credentials_unref(t->current);
    wipe(&t->first_certificate);
    wipe(&t->first_key);
    pthread_mutex_destroy(&t->lock);
    free(t->certificate_file);
    free(t->key_file);
    free(t);
    *tls = NULL;
}

void
http_tls_options(const struct http_tls *tls, struct MHD_OptionItem options_out[4])
{
    size_t n = 0;

    if (tls != NULL) {
        options_out[n++] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, tls->first_certificate};
        options_out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, tls->first_key};
        options_out[n++] = (struct MHD_OptionItem){
            MHD_OPTION_HTTPS_PRIORITIES, 0,
            (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"};
    }
    options_out[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
}

void
http_tls_started(struct http_tls *tls)
{
    wipe(&tls->first_certificate);
    wipe(&tls->first_key);
}

struct http_tls_credentials *
http_tls_attach(struct http_tls *tls, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    struct http_tls_credentials *credentials;

    pthread_mutex_lock(&tls->lock);
    credentials = tls->current;
    atomic_fetch_add_explicit(&credentials->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&tls->lock);
    if (info != NULL)
        (void)gnutls_credentials_set(info->tls_session, GNUTLS_CRD_CERTIFICATE,
                                     credentials->certificate);
    return credentials;
}

void
http_tls_release(struct http_tls_credentials *credentials)
{
    credentials_unref(credentials);
}

void
http_tls_check_files(struct http_tls *tls)
{
    struct file_stamp certificate_stamp = stamp_of(tls->certificate_file);
    struct file_stamp key_stamp = stamp_of(tls->key_file);
    struct http_tls_credentials *loaded = NULL;
    struct http_tls_credentials *old = NULL;
    char *certificate = NULL;
    char *key = NULL;
    struct err err;
    enum status st;

    if (stamp_eq(&certificate_stamp, &tls->certificate_stamp) &&
        stamp_eq(&key_stamp, &tls->key_stamp))
        return;
    tls->certificate_stamp = certificate_stamp;
    tls->key_stamp = key_stamp;
    st = read_pem(tls->certificate_file, &certificate, &err);
    if (st == ST_OK)
        st = read_pem(tls->key_file, &key, &err);
    if (st == ST_OK)
        st = credentials_load(certificate, key, &loaded, &err);
    wipe(&certificate);
    wipe(&key);
    if (st != ST_OK) {
        LOG_ERR(LOG_ERROR, "http.certificate_refused", &err);
        return;
    }
    pthread_mutex_lock(&tls->lock);
    old = tls->current;
    tls->current = loaded;
    pthread_mutex_unlock(&tls->lock);
    credentials_unref(old);
    LOG(LOG_INFO, "http.certificate_loaded", log_cstr("file", tls->certificate_file));
}
