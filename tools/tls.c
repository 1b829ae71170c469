/*
 * tls.c - OpenSSL, called here and nowhere else: contexts, handshake, reading and writing without blocking.
 *
 * SIGPIPE is the caller's to block: OpenSSL writes with write(2). A key with a passphrase is refused rather than asked for. Does not open or
 * close sockets and does not wait.
 */
#include "tools/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "sdk/base/mem.h"

struct pw_tls_ctx {
    SSL_CTX *ssl;
    bool server;
};

struct pw_tls {
    SSL *ssl;
    char problem[200];
};

/* The first of what OpenSSL has to say; empties its list. */
static void reason_take(char *text, size_t size)
{
    unsigned long code = ERR_get_error();
    const char *why = code != 0 ? ERR_reason_error_string(code) : NULL;
    (void)snprintf(text, size, "%s", why != NULL ? why : "no reason given");
    ERR_clear_error();
}

static pawl_status refuse(pawl_error *err, const char *what, const char *file)
{
    char why[120];
    reason_take(why, sizeof why);
    return pw_err(err, PAWL_INVALID, "%s %.120s: %s", what, file, why);
}

/* ---- contexts ---- */

static int no_passphrase(char *space, int size, int writing, void *user)
{
    (void)space, (void)size, (void)writing, (void)user;
    return -1;
}

static pawl_status ctx_new(bool server, pw_tls_ctx **ret_ctx, pawl_error *err)
{
    pw_tls_ctx *ctx = pw_calloc(1, sizeof *ctx);
    SSL_CTX *ssl =
        ctx != NULL ? SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()) : NULL;
    if (ssl == NULL || SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(ssl);
        pw_free(ctx);
        ERR_clear_error();
        return pw_err(err, PAWL_NOMEM, "TLS cannot be set up");
    }
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
    ctx->ssl = ssl;
    ctx->server = server;
    *ret_ctx = ctx;
    return PAWL_OK;
}

pawl_status pw_tls_server_new(const char *cert_file, const char *key_file, pw_tls_ctx **ret_ctx,
                              pawl_error *err)
{
    pw_tls_ctx *ctx = NULL;
    pawl_status st = ctx_new(true, &ctx, err);
    if (st == PAWL_OK && SSL_CTX_use_certificate_chain_file(ctx->ssl, cert_file) != 1) {
        st = refuse(err, "the certificate", cert_file);
    }
    if (st == PAWL_OK && SSL_CTX_use_PrivateKey_file(ctx->ssl, key_file, SSL_FILETYPE_PEM) != 1) {
        st = refuse(err, "the private key", key_file);
    }
    if (st == PAWL_OK && SSL_CTX_check_private_key(ctx->ssl) != 1) {
        st = refuse(err, "the private key", key_file);
    }
    if (st != PAWL_OK) {
        pw_tls_ctx_free(ctx);
        return st;
    }
    *ret_ctx = ctx;
    return PAWL_OK;
}

pawl_status pw_tls_client_new(const char *ca_file, pw_tls_ctx **ret_ctx, pawl_error *err)
{
    pw_tls_ctx *ctx = NULL;
    pawl_status st = ctx_new(false, &ctx, err);
    if (st == PAWL_OK) {
        SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_PEER, NULL);
    }
    if (st == PAWL_OK && ca_file != NULL &&
        SSL_CTX_load_verify_locations(ctx->ssl, ca_file, NULL) != 1) {
        st = refuse(err, "the certificates of", ca_file);
    }
    if (st == PAWL_OK && ca_file == NULL && SSL_CTX_set_default_verify_paths(ctx->ssl) != 1) {
        st = refuse(err, "the certificates of", "the system");
    }
    if (st != PAWL_OK) {
        pw_tls_ctx_free(ctx);
        return st;
    }
    *ret_ctx = ctx;
    return PAWL_OK;
}

void pw_tls_ctx_free(pw_tls_ctx *ctx)
{
    if (ctx != NULL) {
        SSL_CTX_free(ctx->ssl);
        pw_free(ctx);
    }
}

/* ---- connections ---- */

static bool is_address(const char *host)
{
    unsigned char space[16];
    return inet_pton(AF_INET, host, space) == 1 || inet_pton(AF_INET6, host, space) == 1;
}

/* Whom the certificate must name. */
static bool expect_host(SSL *ssl, const char *host)
{
    char name[256]; /* OpenSSL's macro takes no constant */
    if (snprintf(name, sizeof name, "%s", host) >= (int)sizeof name) {
        return false;
    }
    if (is_address(host)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

pawl_status pw_tls_open(pw_tls_ctx *ctx, int fd, const char *host, pw_tls **ret_tls,
                        pawl_error *err)
{
    pw_tls *tls = pw_calloc(1, sizeof *tls);
    SSL *ssl = tls != NULL ? SSL_new(ctx->ssl) : NULL;
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        pw_free(tls);
        ERR_clear_error();
        return pw_err(err, PAWL_NOMEM, "no memory for a TLS connection");
    }
    if (!ctx->server && (host == NULL || !expect_host(ssl, host))) {
        SSL_free(ssl);
        pw_free(tls);
        ERR_clear_error();
        return pw_err(err, PAWL_INVALID, "\"%.200s\" is no host", host != NULL ? host : "");
    }
    if (ctx->server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    tls->ssl = ssl;
    *ret_tls = tls;
    return PAWL_OK;
}

void pw_tls_close(pw_tls *tls, bool polite)
{
    if (tls == NULL) {
        return;
    }
    if (polite) {
        (void)SSL_shutdown(tls->ssl); /* one way: nobody waits for the answer */
    }
    ERR_clear_error();
    SSL_free(tls->ssl);
    pw_free(tls);
}

static void note_problem(pw_tls *tls, int error)
{
    long verdict = SSL_get_verify_result(tls->ssl);
    if (verdict != X509_V_OK) {
        (void)snprintf(tls->problem, sizeof tls->problem, "the certificate is not accepted: %s",
                       X509_verify_cert_error_string(verdict));
    } else if (error == SSL_ERROR_SYSCALL && ERR_peek_error() == 0) {
        (void)snprintf(tls->problem, sizeof tls->problem, "the connection was cut");
    } else {
        reason_take(tls->problem, sizeof tls->problem);
    }
    ERR_clear_error();
}

static pw_tls_io outcome(pw_tls *tls, int rc)
{
    if (rc > 0) {
        return PW_TLS_DONE;
    }
    int error = SSL_get_error(tls->ssl, rc);
    if (error == SSL_ERROR_WANT_READ) {
        return PW_TLS_WANT_READ;
    }
    if (error == SSL_ERROR_WANT_WRITE) {
        return PW_TLS_WANT_WRITE;
    }
    if (error == SSL_ERROR_ZERO_RETURN) {
        return PW_TLS_END;
    }
    note_problem(tls, error);
    return PW_TLS_BROKEN;
}

pw_tls_io pw_tls_handshake(pw_tls *tls)
{
    ERR_clear_error();
    return outcome(tls, SSL_do_handshake(tls->ssl));
}

pw_tls_io pw_tls_read(pw_tls *tls, void *space, size_t size, size_t *ret_size)
{
    ERR_clear_error();
    return outcome(tls, SSL_read_ex(tls->ssl, space, size, ret_size));
}

pw_tls_io pw_tls_write(pw_tls *tls, const void *data, size_t size, size_t *ret_size)
{
    ERR_clear_error();
    return outcome(tls, SSL_write_ex(tls->ssl, data, size, ret_size));
}

const char *pw_tls_problem(const pw_tls *tls)
{
    return tls->problem;
}
