/*
 * http_head.c - the head of a response, line by line as curl hands it over, and whether it leads elsewhere.
 *
 *   status line --> fields --> empty line: a final status --> a redirect to follow, or head() to the caller
 *                                          1xx            --> the next head
 *   fields after that are trailers: counted, not kept
 *
 * A length that can be read in two ways is no length: several that differ, one beside a transfer coding, one that is no number. What comes after
 * such a body might be taken for the answer to the next request (RFC 9112 6.3). Does not read bodies.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "activities/http_transfer.h"
#include "sdk/base/clock.h"
#include "sdk/base/mem.h"

const char *pw_http_head_find(const pw_http_head *head, const char *name)
{
    for (size_t i = 0; i < head->len; i++) {
        if (strcmp(head->headers[i].name, name) == 0) {
            return head->headers[i].value;
        }
    }
    return NULL;
}

static bool stop(pw_http *h, pw_http_error error)
{
    h->cut_short = true;
    h->error = error;
    return false;
}

static void head_begin(pw_http *h, const char *line, size_t size)
{
    const char *space = memchr(line, ' ', size);
    char digits[4] = "";
    if (space != NULL && (size_t)(line + size - space) > 3) {
        memcpy(digits, space + 1, 3);
    }
    h->status = (int)strtol(digits, NULL, 10);
    pw_buf_reset(&h->head_text);
    h->head_len = 0;
}

static void trim(const char **text, size_t *size)
{
    while (*size > 0 && isspace((unsigned char)(*text)[*size - 1])) {
        --*size;
    }
    while (*size > 0 && isspace((unsigned char)**text)) {
        ++*text;
        --*size;
    }
}

static bool field_add(pw_http *h, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    if (colon == NULL || colon == line || memchr(line, '\0', size) != NULL) {
        return stop(h, PW_HTTP_BAD_RESPONSE);
    }
    if (h->head_len >= PW_HTTP_HEADERS_MAX) {
        return stop(h, PW_HTTP_HEAD_TOO_LARGE);
    }
    const char *value = colon + 1;
    size_t value_size = size - (size_t)(value - line);
    trim(&value, &value_size);
    for (const char *p = line; p < colon; p++) {
        if (*p == ' ' || *p == '\t') {
            return stop(
                h, PW_HTTP_BAD_RESPONSE); /* "name : value" has smuggled requests past others */
        }
        pw_buf_putc(&h->head_text, tolower((unsigned char)*p));
    }
    pw_buf_putc(&h->head_text, 0);
    pw_buf_put(&h->head_text, value, value_size);
    pw_buf_putc(&h->head_text, 0);
    h->head_len++;
    return pw_buf_ok(&h->head_text) || stop(h, PW_HTTP_NO_MEMORY);
}

/* A line that begins with a space goes on with the value before it (RFC 9112 5.2). */
static bool field_continue(pw_http *h, const char *line, size_t size)
{
    if (h->head_len == 0) {
        return stop(h, PW_HTTP_BAD_RESPONSE);
    }
    trim(&line, &size);
    h->head_text.size--; /* the NUL of the value */
    pw_buf_putc(&h->head_text, ' ');
    pw_buf_put(&h->head_text, line, size);
    pw_buf_putc(&h->head_text, 0);
    return pw_buf_ok(&h->head_text) || stop(h, PW_HTTP_NO_MEMORY);
}

static pw_http_header *fields(const pw_http *h)
{
    pw_http_header *list = pw_calloc(h->head_len + 1, sizeof *list);
    const char *p = (const char *)h->head_text.data;
    for (size_t i = 0; list != NULL && i < h->head_len; i++) {
        list[i].name = p;
        list[i].value = p + strlen(p) + 1;
        p = list[i].value + strlen(list[i].value) + 1;
    }
    return list;
}

static bool leads_on(const pw_http *h)
{
    return h->request.redirects_max > 0 &&
           (h->status == 301 || h->status == 302 || h->status == 303 || h->status == 307 ||
            h->status == 308);
}

enum { LENGTH_DIGITS_MAX = 18 }; /* of an int64_t */

static bool is_length(const char *text)
{
    const size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= LENGTH_DIGITS_MAX && text[digits] == '\0';
}

static bool framing_is_clear(const pw_http_head *head)
{
    const char *length = NULL;
    for (size_t i = 0; i < head->len; i++) {
        if (strcmp(head->headers[i].name, "content-length") != 0) {
            continue;
        }
        const char *value = head->headers[i].value;
        if (!is_length(value) || (length != NULL && strcmp(length, value) != 0)) {
            return false;
        }
        length = value;
    }
    return length == NULL || pw_http_head_find(head, "transfer-encoding") == NULL;
}

static bool head_end(pw_http *h)
{
    pw_http_header *list = fields(h);
    if (list == NULL) {
        return stop(h, PW_HTTP_NO_MEMORY);
    }
    const pw_http_head head = {h->status, h->head_len, list};
    if (!framing_is_clear(&head)) {
        pw_free(list);
        return stop(h, PW_HTTP_BAD_RESPONSE);
    }
    const char *location = leads_on(h) ? pw_http_head_find(&head, "location") : NULL;
    h->head_done = true;
    h->retry_after_ms = pw_http_retry_after(&head, pw_wall_ms());
    if (location != NULL) {
        const size_t size = strlen(location) + 1;
        h->location = pw_malloc(size);
        if (h->location != NULL) {
            memcpy(h->location, location, size);
        }
    } else if (h->callbacks.head != NULL) {
        h->callbacks.head(h->callbacks.user, &head);
    }
    pw_free(list);
    return location == NULL || h->location != NULL || stop(h, PW_HTTP_NO_MEMORY);
}

bool pw_http_head_line(pw_http *h, const char *line, size_t size)
{
    h->head_seen_bytes += size;
    if (h->head_seen_bytes > PW_HTTP_HEAD_BYTES_MAX) {
        return stop(h, PW_HTTP_HEAD_TOO_LARGE);
    }
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r')) {
        size--;
    }
    if (h->head_done) {
        return true;
    }
    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0 && h->head_len == 0) {
        head_begin(h, line, size);
        return true;
    }
    if (size > 0) {
        return line[0] == ' ' || line[0] == '\t' ? field_continue(h, line, size)
                                                 : field_add(h, line, size);
    }
    if (h->status >= 200) {
        return head_end(h);
    }
    if (h->status == 101) { /* nobody asked for another protocol */
        return stop(h, PW_HTTP_BAD_RESPONSE);
    }
    h->head_len = 0; /* 100, 103: another head follows */
    return true;
}
