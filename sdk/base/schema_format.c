/*
 * schema_format.c - the common formats, checked only on request. Does not look anything up: an email's host need not exist.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/schema_inside.h"

static bool digits(const char **at, const char *end, int n, int *ret)
{
    *ret = 0;
    for (int i = 0; i < n; i++, (*at)++) {
        if (*at >= end || **at < '0' || **at > '9') {
            return false;
        }
        *ret = *ret * 10 + (**at - '0');
    }
    return true;
}

static bool one(const char **at, const char *end, const char *of)
{
    bool ok = *at < end && **at != 0 && strchr(of, **at) != NULL;
    *at += ok ? 1 : 0;
    return ok;
}

static bool date(const char **at, const char *end)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y, m, d;
    if (!digits(at, end, 4, &y) || !one(at, end, "-") || !digits(at, end, 2, &m) ||
        !one(at, end, "-") || !digits(at, end, 2, &d)) {
        return false;
    }
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return m >= 1 && m <= 12 && d >= 1 && d <= days[m - 1] + (m == 2 && leap ? 1 : 0);
}

static bool clock_time(const char **at, const char *end)
{
    int h, m, s, oh = 0, om = 0, sign = 0;
    if (!digits(at, end, 2, &h) || !one(at, end, ":") || !digits(at, end, 2, &m) ||
        !one(at, end, ":") || !digits(at, end, 2, &s)) {
        return false;
    }
    if (one(at, end, ".")) {
        const char *from = *at;
        while (one(at, end, "0123456789")) {
        }
        if (*at == from) {
            return false;
        }
    }
    if (!one(at, end, "zZ")) {
        sign = *at < end && **at == '-' ? 1 : -1;
        if (!one(at, end, "+-") || !digits(at, end, 2, &oh) || !one(at, end, ":") ||
            !digits(at, end, 2, &om)) {
            return false;
        }
    }
    int utc = ((h * 60 + m + sign * (oh * 60 + om)) % 1440 + 1440) % 1440;
    bool leap = s == 60 && utc == 23 * 60 + 59;
    return h <= 23 && m <= 59 && (s <= 59 || leap) && oh <= 23 && om <= 59;
}

static bool is_date(const char *at, const char *end)
{
    return date(&at, end) && at == end;
}

static bool is_time(const char *at, const char *end)
{
    return clock_time(&at, end) && at == end;
}

static bool is_date_time(const char *at, const char *end)
{
    return date(&at, end) && one(&at, end, "Tt") && clock_time(&at, end) && at == end;
}

static bool is_hostname(const char *at, const char *end)
{
    if (end - at > 253 || at == end) {
        return false;
    }
    while (at < end) {
        const char *from = at;
        while (at < end && *at != '.') {
            bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                          (*at >= '0' && *at <= '9');
            bool dash = *at == '-' && at > from && at + 1 < end && at[1] != '.';
            if (!letter && !dash) {
                return false;
            }
            at++;
        }
        if (at == from || at - from > 63 || (at < end && at + 1 == end)) {
            return false;
        }
        at += at < end ? 1 : 0;
    }
    return true;
}

static bool address(int family, const char *at, const char *end)
{
    char text[64];
    unsigned char out[16];
    size_t n = (size_t)(end - at);
    if (n >= sizeof text || memchr(at, 0, n) != NULL) {
        return false;
    }
    memcpy(text, at, n);
    text[n] = 0;
    return strchr(text, '%') == NULL && inet_pton(family, text, out) == 1;
}

static bool is_ipv4(const char *at, const char *end)
{
    return address(AF_INET, at, end);
}

static bool is_ipv6(const char *at, const char *end)
{
    return address(AF_INET6, at, end);
}

static bool is_email(const char *at, const char *end)
{
    const char *sign = end;
    while (sign > at && sign[-1] != '@') {
        sign--;
    }
    if (sign == at || sign - at < 2 || sign - at > 65) {
        return false;
    }
    const char *local_end = sign - 1;
    if (*at == '"') {
        return local_end - at >= 2 && local_end[-1] == '"' && is_hostname(sign, end);
    }
    for (const char *c = at; c < local_end; c++) {
        bool dot = *c == '.' && (c == at || c + 1 == local_end || c[1] == '.');
        if (*c <= ' ' || dot || strchr("()<>[]:;@\\,\"", *c) != NULL) {
            return false;
        }
    }
    return is_hostname(sign, end);
}

static bool is_uuid(const char *at, const char *end)
{
    static const int groups[] = {8, 4, 4, 4, 12};
    for (size_t g = 0; g < PW_COUNT(groups); g++) {
        for (int i = 0; i < groups[g]; i++) {
            if (!one(&at, end, "0123456789abcdefABCDEF")) {
                return false;
            }
        }
        if (g + 1 < PW_COUNT(groups) && !one(&at, end, "-")) {
            return false;
        }
    }
    return at == end;
}

/* Characters of a URI, with '%' and two hex digits. */
static bool uri_characters(const char *at, const char *end)
{
    for (; at < end; at++) {
        bool plain = *at > ' ' && *at < 127 && strchr("\"<>\\^`{|}", *at) == NULL;
        bool escape = *at != '%' || (end - at > 2 && strspn(at + 1, "0123456789abcdefABCDEF") >= 2);
        if (!plain || !escape) {
            return false;
        }
    }
    return true;
}

static bool is_uri_reference(const char *at, const char *end)
{
    return uri_characters(at, end);
}

static bool is_uri(const char *at, const char *end)
{
    const char *c = at;
    while (c < end && *c != ':' && *c != '/' && *c != '?' && *c != '#') {
        c++;
    }
    bool letter = at < end && ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z'));
    return letter && c > at && c < end && *c == ':' && uri_characters(at, end);
}

static bool is_json_pointer(const char *at, const char *end)
{
    if (at < end && *at != '/') {
        return false;
    }
    for (; at < end; at++) {
        if (*at == '~' && (at + 1 == end || (at[1] != '0' && at[1] != '1'))) {
            return false;
        }
    }
    return true;
}

static bool is_duration(const char *at, const char *end)
{
    const char *units = "YMWD";
    bool any = false, in_time = false;
    if (!one(&at, end, "P")) {
        return false;
    }
    while (at < end) {
        if (!in_time && one(&at, end, "T")) {
            in_time = true;
            units = "HMS";
            any = false;
            continue;
        }
        const char *from = at;
        while (one(&at, end, "0123456789")) {
        }
        const char *unit = at < end && *at != 0 ? strchr(units, *at) : NULL;
        if (at == from || unit == NULL) {
            return false;
        }
        units = unit + 1;
        at++;
        any = true;
    }
    return any;
}

bool pw_schema_format(const char *format, const char *text, size_t size)
{
    static const struct {
        const char *name;
        bool (*is)(const char *at, const char *end);
    } formats[] = {{"date-time", is_date_time},
                   {"date", is_date},
                   {"time", is_time},
                   {"duration", is_duration},
                   {"email", is_email},
                   {"hostname", is_hostname},
                   {"ipv4", is_ipv4},
                   {"ipv6", is_ipv6},
                   {"uuid", is_uuid},
                   {"uri", is_uri},
                   {"uri-reference", is_uri_reference},
                   {"json-pointer", is_json_pointer}};
    text = text != NULL ? text : "";
    for (size_t i = 0; i < PW_COUNT(formats); i++) {
        if (strcmp(formats[i].name, format) == 0) {
            return formats[i].is(text, text + size);
        }
    }
    return true;
}
