/*
 * tls.h - TLS over a socket that does not block: the one door to OpenSSL. The core does not know it; the binary links it.
 *
 *     pw_tls_ctx (certificates, whom to trust) --pw_tls_open--> pw_tls, one for a connection
 *
 * TLS 1.2 at least, no renegotiation, no resumption. A client always verifies the chain and the name.
 * Thread: a context may be used by several once made; a connection belongs to one.
 */
#ifndef PW_TLS_H
#define PW_TLS_H

#include "sdk/base/error.h"

typedef struct pw_tls_ctx pw_tls_ctx;
typedef struct pw_tls pw_tls;

/** What an operation came to. */
typedef enum pw_tls_io {
    PW_TLS_DONE,
    PW_TLS_WANT_READ, /* poll for it, and call again */
    PW_TLS_WANT_WRITE,
    PW_TLS_END,    /* the peer has said good-bye */
    PW_TLS_BROKEN, /* cut, or not TLS: pw_tls_problem */
} pw_tls_io;

/** Errors: INVALID (names the file, and what is wrong with it), NOMEM. */
pawl_status pw_tls_server_new(const char *cert_file, const char *key_file, pw_tls_ctx **ret_ctx,
                              pawl_error *err);
/** ca_file NULL = whom the system trusts. Errors: as above. */
pawl_status pw_tls_client_new(const char *ca_file, pw_tls_ctx **ret_ctx, pawl_error *err);
void pw_tls_ctx_free(pw_tls_ctx *ctx); /* accepts NULL */

/** host: whom a client speaks to, a name or an address, which the certificate must name; NULL at a server. The descriptor stays the caller's.
 * Errors: INVALID, NOMEM. */
pawl_status pw_tls_open(pw_tls_ctx *ctx, int fd, const char *host, pw_tls **ret_tls,
                        pawl_error *err);
/** Says good-bye when `polite`, and frees. Accepts NULL. */
void pw_tls_close(pw_tls *tls, bool polite);

pw_tls_io pw_tls_handshake(pw_tls *tls);
/** *ret_size is written when DONE, and is never 0 then. */
pw_tls_io pw_tls_read(pw_tls *tls, void *space, size_t size, size_t *ret_size);
pw_tls_io pw_tls_write(pw_tls *tls, const void *data, size_t size, size_t *ret_size);
/** Why it is broken, for people. Owns: the connection. */
const char *pw_tls_problem(const pw_tls *tls);

#endif
