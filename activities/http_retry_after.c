/*
 * http_retry_after.c - when a server wants to be asked again, in all the forms that servers say it.
 *
 *   retry-after-ms: 1500               some model servers; the most exact, so it goes first
 *   retry-after: 120 | 1.5             seconds (RFC 9110 10.2.3; fractions are seen in the wild)
 *   retry-after: Fri, 31 Dec 1999 23:59:59 GMT     and the two old forms of a date (RFC 9110 5.6.7), against the server's own Date
 *   x-ratelimit-remaining: 0, x-ratelimit-reset: 1700000000   the second of the reset
 *
 * Does not decide whether to try again.
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "activities/http_client.h"
#include "sdk/base/limits.h"

static int64_t clamp(double ms)
{
    if (!(ms > 0)) {
        return 0;
    }
    return ms < (double)PW_RETRY_AFTER_MS_MAX ? (int64_t)ceil(ms) : PW_RETRY_AFTER_MS_MAX;
}

/* Digits with at most one point and nothing else: what strtod also takes (hex, inf, 1e9) is no answer of a server. */
static bool decimal(const char *text, double *ret)
{
    size_t digits = 0;
    size_t points = 0;
    const char *p = text;
    for (; isdigit((unsigned char)*p) || *p == '.'; p++) {
        digits += *p != '.';
        points += *p == '.';
    }
    if (digits == 0 || points > 1 || *p != '\0') {
        return false;
    }
    *ret = strtod(text, NULL);
    return true;
}

static int64_t date_ms(const char *text)
{
    const time_t t = text != NULL ? curl_getdate(text, NULL) : -1;
    return t < 0 ? -1 : (int64_t)t * 1000;
}

/* A server's clock may be wrong; its Date and its Retry-After are then wrong by the same. */
static int64_t server_now(const pw_http_head *head, int64_t now_ms)
{
    const int64_t said = date_ms(pw_http_head_find(head, "date"));
    return said >= 0 ? said : now_ms;
}

static int64_t of_reset(const pw_http_head *head, int64_t now_ms)
{
    const char *left = pw_http_head_find(head, "x-ratelimit-remaining");
    const char *reset = pw_http_head_find(head, "x-ratelimit-reset");
    double at = 0;
    if (left == NULL || strcmp(left, "0") != 0 || reset == NULL || !decimal(reset, &at)) {
        return -1;
    }
    const double now_s = (double)server_now(head, now_ms) / 1000;
    return clamp((at > 1e9 ? at - now_s : at) *
                 1000); /* some say the second, some how many are left */
}

int64_t pw_http_retry_after(const pw_http_head *head, int64_t now_ms)
{
    double n = 0;
    const char *ms = pw_http_head_find(head, "retry-after-ms");
    if (ms != NULL && decimal(ms, &n)) {
        return clamp(n);
    }
    const char *after = pw_http_head_find(head, "retry-after");
    if (after == NULL) {
        return of_reset(head, now_ms);
    }
    if (decimal(after, &n)) {
        return clamp(n * 1000);
    }
    const int64_t at =
        strchr(after, ':') != NULL ? date_ms(after) : -1; /* all three forms have a time of day */
    return at < 0 ? of_reset(head, now_ms) : clamp((double)(at - server_now(head, now_ms)));
}
