/*
 * keys_fetch_none.c - a binary without network activities fetches no keys: issuers have a jwks_file.
 */
#include "tools/mcp/keys.h"

pawl_status pw_fetcher_open(uv_loop_t *loop, const pw_rights *rights, const char *ca_file,
                            pw_fetched_fn fn, void *user, pw_fetcher **ret_fetcher, pawl_error *err)
{
    (void)loop, (void)rights, (void)ca_file, (void)fn, (void)user, (void)ret_fetcher;
    return pw_err(err, PAWL_UNSUPPORTED,
                  "this pawl was built without the network: give issuers a \"jwks_file\"");
}

void pw_fetcher_close(pw_fetcher *f)
{
    (void)f;
}

bool pw_fetcher_get(pw_fetcher *f, size_t index, const char *url, int64_t total_ms)
{
    (void)f, (void)index, (void)url, (void)total_ms;
    return false;
}
