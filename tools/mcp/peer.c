/*
 * peer.c - addresses and their buckets. Does not know tokens and does not read headers.
 */
#include "tools/mcp/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/hash.h"
#include "sdk/base/mem.h"

#define BAD_RATE 10   /* bad tokens of one address, a second */
#define BAD_BURST 100 /* and so many at once */
/* Looked at for all of one kind together, a second: about 100 us each, a tenth of a core. */
#define LOOK_RATE 1000
#define LOOK_BURST 4000
#define BAD_MAX 4096  /* addresses that brought bad ones and whose bucket is not full again */
#define GOOD_MAX 4096 /* addresses that brought good ones; the one whose last is the oldest goes */
#define PREFIX_BITS 64

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct bucket {
    double left;
    int64_t at_ms;
};

struct entry {
    UT_hash_handle hh;
    uint8_t address[16];
    struct bucket bad;
};

struct pw_peers {
    struct entry *bad, *good;
    struct bucket strangers, known;
};

/* ---- addresses ---- */

static bool is_v4(const uint8_t address[16])
{
    return memcmp(address, mapped, sizeof mapped) == 0;
}

static void set_v4(pw_peer *peer, const struct in_addr *in)
{
    memcpy(peer->address, mapped, sizeof mapped);
    memcpy(peer->address + sizeof mapped, in, 4);
}

static void set_text(pw_peer *peer)
{
    const bool four = is_v4(peer->address);
    if (inet_ntop(four ? AF_INET : AF_INET6, four ? peer->address + sizeof mapped : peer->address,
                  peer->text, sizeof peer->text) == NULL) {
        peer->text[0] = '\0';
    }
}

void pw_peer_of(const struct sockaddr *address, pw_peer *ret_peer)
{
    *ret_peer = (pw_peer){.text = ""};
    if (address != NULL && address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        set_v4(ret_peer, &in.sin_addr);
        set_text(ret_peer);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof in);
        memcpy(ret_peer->address, &in.sin6_addr, sizeof ret_peer->address);
        set_text(ret_peer);
    }
}

static bool parse(const char *text, pw_peer *peer)
{
    struct in_addr four;
    struct in6_addr six;
    *peer = (pw_peer){.text = ""};
    if (inet_pton(AF_INET, text, &four) == 1) {
        set_v4(peer, &four);
    } else if (inet_pton(AF_INET6, text, &six) == 1) {
        memcpy(peer->address, &six, sizeof peer->address);
    } else {
        return false;
    }
    set_text(peer);
    return true;
}

bool pw_peer_parse(const char *text, size_t size, pw_peer *ret_peer)
{
    char copy[PW_PEER_TEXT_BYTES];
    pw_peer peer;
    if (size == 0 || size >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    char *colon = strchr(copy, ':');
    char *end = copy[0] == '[' ? strchr(copy, ']') : NULL;
    if (end != NULL) {
        *end = '\0';
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *colon = '\0';
    }
    if (!parse(copy + (end != NULL), &peer)) {
        return false;
    }
    *ret_peer = peer;
    return true;
}

bool pw_peer_range_parse(const char *text, pw_peer_range *ret_range)
{
    char copy[PW_PEER_TEXT_BYTES];
    pw_peer peer;
    char *end = NULL;
    const size_t size = strcspn(text, "/");
    if (size >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (!parse(copy, &peer)) {
        return false;
    }
    const bool four = is_v4(peer.address);
    unsigned long bits = four ? 32 : 128;
    if (text[size] == '/') {
        const unsigned long most = bits;
        bits = strtoul(text + size + 1, &end, 10);
        if (text[size + 1] < '0' || text[size + 1] > '9' || *end != '\0' || bits > most) {
            return false;
        }
    }
    memcpy(ret_range->address, peer.address, sizeof ret_range->address);
    ret_range->bits = (unsigned)bits + (four ? 96 : 0);
    return true;
}

static bool covers(const pw_peer_range *range, const uint8_t address[16])
{
    const size_t whole = range->bits / 8;
    const unsigned rest = range->bits % 8;
    return memcmp(range->address, address, whole) == 0 &&
           (rest == 0 || ((range->address[whole] ^ address[whole]) >> (8 - rest)) == 0);
}

bool pw_peer_in(const pw_peer *peer, const pw_peer_ranges *ranges)
{
    for (size_t i = 0; peer->text[0] != '\0' && i < ranges->len; i++) {
        if (covers(&ranges->list[i], peer->address)) {
            return true;
        }
    }
    return false;
}

/* The last name of a line; *size is that of what stands before it. */
static bool last_of(const char *line, size_t *size, pw_peer *ret_peer)
{
    size_t end = *size;
    while (end > 0 && strchr(" \t,", line[end - 1]) != NULL) {
        end--;
    }
    size_t at = end;
    while (at > 0 && strchr(" \t,", line[at - 1]) == NULL) {
        at--;
    }
    *size = at;
    return pw_peer_parse(line + at, end - at, ret_peer);
}

/* Only the end of them is the proxies': what stands before the first that is none of them anybody may have written. */
void pw_peer_forwarded(pw_peer *peer, const pw_peer_ranges *proxies, const char *const *lines,
                       size_t len)
{
    for (size_t i = len; i > 0; i--) {
        size_t size = strlen(lines[i - 1]);
        while (size > 0) {
            pw_peer next;
            if (!pw_peer_in(peer, proxies) || !last_of(lines[i - 1], &size, &next)) {
                return;
            }
            *peer = next;
        }
    }
}

/* ---- buckets ---- */

static bool has(struct bucket *b, double rate, double burst, int64_t now_ms)
{
    const int64_t passed = now_ms > b->at_ms ? now_ms - b->at_ms : 0;
    b->left += rate * (double)passed / 1000;
    b->left = b->left > burst ? burst : b->left;
    b->at_ms = now_ms;
    return b->left >= 1;
}

static void key_of(const pw_peer *peer, uint8_t ret_key[16])
{
    memcpy(ret_key, peer->address, 16);
    if (!is_v4(peer->address)) {
        memset(ret_key + PREFIX_BITS / 8, 0, 16 - PREFIX_BITS / 8);
    }
}

static struct entry *find(struct entry *table, const uint8_t key[16])
{
    struct entry *e = NULL;
    HASH_FIND(hh, table, key, 16, e);
    return e;
}

static void forget(struct entry **table, struct entry *e)
{
    HASH_DEL(*table, e);
    pw_free(e);
}

static struct entry *add(struct entry **table, const uint8_t key[16], size_t most)
{
    if (HASH_COUNT(*table) >= most) {
        forget(table, *table); /* the oldest */
    }
    struct entry *e = pw_calloc(1, sizeof *e);
    if (e == NULL) {
        return NULL;
    }
    memcpy(e->address, key, sizeof e->address);
    HASH_ADD(hh, *table, address, sizeof e->address, e);
    if (e->hh.tbl == NULL) {
        pw_free(e);
        return NULL;
    }
    return e;
}

pw_peers *pw_peers_new(void)
{
    pw_peers *p = pw_calloc(1, sizeof *p);
    if (p != NULL) {
        p->strangers.left = LOOK_BURST;
        p->known.left = LOOK_BURST;
    }
    return p;
}

void pw_peers_free(pw_peers *p)
{
    while (p != NULL && p->bad != NULL) {
        forget(&p->bad, p->bad);
    }
    while (p != NULL && p->good != NULL) {
        forget(&p->good, p->good);
    }
    pw_free(p);
}

bool pw_peers_may(pw_peers *p, const pw_peer *peer, int64_t now_ms)
{
    uint8_t key[16];
    key_of(peer, key);
    struct entry *bad = find(p->bad, key);
    struct bucket *all = find(p->good, key) != NULL ? &p->known : &p->strangers;
    if (bad != NULL && !has(&bad->bad, BAD_RATE, BAD_BURST, now_ms)) {
        return false;
    }
    if (!has(all, LOOK_RATE, LOOK_BURST, now_ms)) {
        return false;
    }
    all->left -= 1;
    return true;
}

void pw_peers_bad(pw_peers *p, const pw_peer *peer, int64_t now_ms)
{
    uint8_t key[16];
    key_of(peer, key);
    struct entry *e = find(p->bad, key);
    if (e == NULL) {
        e = add(&p->bad, key, BAD_MAX);
        if (e == NULL) {
            return; /* no memory: the bound on all of them is left */
        }
        e->bad = (struct bucket){.left = BAD_BURST, .at_ms = now_ms};
    }
    (void)has(&e->bad, BAD_RATE, BAD_BURST, now_ms);
    e->bad.left -= 1;
}

void pw_peers_good(pw_peers *p, const pw_peer *peer)
{
    uint8_t key[16];
    key_of(peer, key);
    struct entry *e = find(p->good, key);
    if (e != NULL) { /* to the end */
        forget(&p->good, e);
    }
    (void)add(&p->good, key, GOOD_MAX);
}
