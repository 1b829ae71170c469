/*
 * egress.h - what the network activities may reach: rules by name, port and address, and the addresses that are nobody's public service.
 *
 * A rule is text:
 *
 *   api.example.com         that name, any port          *.example.com    every name below it, not itself
 *   api.example.com:443     one port                     api.example.com:8000-8999
 *   *                       every name, and every public address
 *   10.1.0.0/16  10.1.2.3   addresses, any name that leads there; with ports: 10.1.0.0/16:443
 *   [fd00::/8]  [::1]:8080  the same for IPv6
 *
 * What is allowed: an address that a rule names, whatever it is. Otherwise the address must be public, and its name (or the address
 * itself, written as a name) allowed by a rule. Without a list every public address is allowed; with an empty one none is.
 * So a name rule never opens loopback, private or metadata addresses: a name can be made to lead there.
 *
 * Immutable once made. Thread: any.
 */
#ifndef PW_EGRESS_H
#define PW_EGRESS_H

#include <sys/socket.h>

#include "sdk/pawl_value.h"

typedef struct pw_egress pw_egress;

/** Why something is denied, and how to allow it: for people. */
typedef struct pw_egress_why {
    char text[400];
} pw_egress_why;

/** rules ends with NULL; NULL itself = no list. Errors: INVALID (names the rule), NOMEM. */
PAWL_MUST_USE pawl_status pw_egress_new(const char *const *rules, pw_egress **ret_egress,
                                        pawl_error *err);
void pw_egress_free(pw_egress *egress); /* accepts NULL */
/** The rules are those of PAWL_EGRESS or pawl_net_options: a denial names the setting and its value. Right after pw_egress_new. */
void pw_egress_of_setting(pw_egress *egress);

/** Before a name is looked up: false = no address could make it allowed. `tunneled`: a proxy looks the name up, so that the name alone
 * decides; names that mean this host or a metadata service are then denied like their addresses. host: as in an address, without
 * brackets. */
bool pw_egress_name(const pw_egress *egress, const char *host, int port, bool tunneled,
                    pw_egress_why *ret_why);
/** The address that is about to be connected to, for that name. The last word. */
bool pw_egress_address(const pw_egress *egress, const char *host, const struct sockaddr *address,
                       pw_egress_why *ret_why);

#endif
