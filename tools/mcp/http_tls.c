/*
 * http_tls.c - reads certificate and key. Does not do TLS.
 */
#include "tools/mcp/http_tls.h"

#include <microhttpd.h>
#include <stdio.h>

#include "sdk/base/arena.h"

#define FILE_BYTES_MAX (1u << 20)

static pawl_status file_text(pawl_scope *scope, const char *path, const char **ret_text,
                             pawl_error *err)
{
    FILE *f = fopen(path, "re");
    char *text = f != NULL ? pw_alloc(scope, FILE_BYTES_MAX + 1) : NULL;
    const size_t size = text != NULL ? fread(text, 1, FILE_BYTES_MAX + 1, f) : 0;
    if (f != NULL) {
        (void)fclose(f);
    }
    if (text == NULL || size == 0 || size > FILE_BYTES_MAX) {
        return pw_err(err, PAWL_IO, "%.200s cannot be read", path);
    }
    text[size] = '\0';
    *ret_text = text;
    return PAWL_OK;
}

pawl_status pw_http_tls_read(pawl_scope *scope, const char *cert_file, const char *key_file,
                             const char **ret_cert, const char **ret_key, pawl_error *err)
{
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES) {
        return pw_err(err, PAWL_UNSUPPORTED, "this libmicrohttpd does no TLS");
    }
    pawl_status st = pw_http_tls_check(cert_file, key_file, err);
    st = st == PAWL_OK ? file_text(scope, cert_file, ret_cert, err) : st;
    return st == PAWL_OK ? file_text(scope, key_file, ret_key, err) : st;
}
