/*
 * dial_none.c - a binary without TLS (-DPAWL_NET=OFF): no worker reaches another machine, and none comes from there. Does nothing.
 */
#include "tools/dial.h"
#include "tools/relay.h"

pawl_status pw_dialer_new(const char *target, const char *ca_file, pw_dialer **ret_dialer,
                          pawl_error *err)
{
    (void)target, (void)ca_file, (void)ret_dialer;
    return pw_err(err, PAWL_UNSUPPORTED, "this pawl was built without TLS (PAWL_NET=OFF)");
}

void pw_dialer_free(pw_dialer *d)
{
    (void)d;
}

pawl_status pw_dial_start(pw_dialer *dialer, pw_dial **ret_dial, int *ret_fd, pawl_error *err)
{
    (void)dialer, (void)ret_dial, (void)ret_fd;
    return pw_err(err, PAWL_UNSUPPORTED, "this pawl was built without TLS (PAWL_NET=OFF)");
}

void pw_dial_problem(pw_dial *d, char *text, size_t size)
{
    (void)d, (void)size;
    *text = '\0';
}

void pw_dial_polite(pw_dial *d)
{
    (void)d;
}

void pw_dial_end(pw_dial *d)
{
    (void)d;
}

pawl_status pw_relay_start(const pw_relay_options *options, pw_relay **ret_relay, pawl_error *err)
{
    (void)options, (void)ret_relay;
    return pw_err(err, PAWL_UNSUPPORTED, "this pawl was built without TLS (PAWL_NET=OFF)");
}

const char *pw_relay_address(const pw_relay *r)
{
    (void)r;
    return "";
}

void pw_relay_stop(pw_relay *r)
{
    (void)r;
}
