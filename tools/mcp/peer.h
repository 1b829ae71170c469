/*
 * peer.h - addresses that bring tokens, and how many bad ones each may bring: one that tries forged ones shuts out itself, and nobody else.
 *
 *   token that is not known yet --> bucket of its address (empty: it brought too many bad ones) --> bucket of all of its kind --> looked at
 *
 * Signatures cost time, so there is a bound on all of them together; it is kept twice: for addresses that have brought a good token, and for
 * strangers. A flood from many addresses at once fills that of the strangers alone.
 *
 * An address is an IPv4 one, or the first 64 bits of an IPv6 one, which is what a single client is given. Behind a proxy that the rights name
 * ("proxies") it is the one that the proxy says in X-Forwarded-For: the last there that is no such proxy itself. Thread: the loop's.
 */
#ifndef PW_MCP_PEER_H
#define PW_MCP_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define PW_PEER_TEXT_BYTES 48

typedef struct pw_peer {
    uint8_t address[16];           /* IPv4 as ::ffff:a.b.c.d */
    char text[PW_PEER_TEXT_BYTES]; /* for people; "" = not known */
} pw_peer;

/** 10.0.0.0/8, or one address. */
typedef struct pw_peer_range {
    uint8_t address[16];
    unsigned bits;
} pw_peer_range;

typedef struct pw_peer_ranges {
    const pw_peer_range *list;
    size_t len;
} pw_peer_ranges;

/** address NULL, or of another family: nobody in particular. */
void pw_peer_of(const struct sockaddr *address, pw_peer *ret_peer);
/** "1.2.3.4", "1.2.3.4:80", "::1", "[::1]:80". False: it is none. */
bool pw_peer_parse(const char *text, size_t size, pw_peer *ret_peer);
bool pw_peer_range_parse(const char *text, pw_peer_range *ret_range);
bool pw_peer_in(const pw_peer *peer, const pw_peer_ranges *ranges);
/** lines: values of X-Forwarded-For in their order. *peer, a proxy of ours, becomes whom it speaks for; left alone when they do not say. */
void pw_peer_forwarded(pw_peer *peer, const pw_peer_ranges *proxies, const char *const *lines,
                       size_t len);

typedef struct pw_peers pw_peers;

pw_peers *pw_peers_new(void);        /* NULL: no memory */
void pw_peers_free(pw_peers *peers); /* accepts NULL */
/** False: a token of it is not to be looked at now. True: it is counted as looked at. */
bool pw_peers_may(pw_peers *peers, const pw_peer *peer, int64_t now_ms);
/** What came of it. */
void pw_peers_bad(pw_peers *peers, const pw_peer *peer, int64_t now_ms);
void pw_peers_good(pw_peers *peers, const pw_peer *peer);

#endif
