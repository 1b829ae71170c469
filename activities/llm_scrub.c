/*
 * llm_scrub.c - the host's hook over what a conversation says: called for every text that leaves for a provider, before it is digested.
 *
 *   system, and of each message its text and parts: texts, arguments, results, at any depth
 *   not: words of the form (role, type, id, name of a tool, mime ...), images, and `raw`, which came from the provider itself
 *
 * Does not know what is personal: the hook does.
 */
#include <string.h>

#include "activities/llm_activity.h"
#include "sdk/base/error.h"
#include "sdk/base/value.h"

/* Of a message, of a part: not the conversation's own words. */
#define FORM \
    "role type provider raw id name field mime url data detail cache covers minted repaired is_error"

typedef struct scrubbing {
    const pw_llm_setup *setup;
    pawl_scope *scope; /* of one text */
    pw_buf *out;
    pawl_status status;
    pawl_error *err;
} scrubbing;

static void put_text(scrubbing *s, pw_view text)
{
    const pawl_value *copy = pawl_make_strn(s->scope, (const char *)text.data, text.size);
    const char *given = pawl_str(copy, "", NULL);
    if (given == NULL) {
        s->status = pw_err(s->err, PAWL_NOMEM, "no memory to scrub a text");
        return;
    }
    const char *said = s->setup->scrub(s->setup->scrub_user, s->scope, given, text.size);
    if (said == NULL) {
        s->status =
            pw_err(s->err, PAWL_DENIED, "the scrub hook refuses a text of %zu bytes", text.size);
    } else {
        pw_mp_strn(s->out, said, said == given ? text.size : strlen(said));
    }
}

/* A whole value, token by token; its keys stay. */
static void put_value(scrubbing *s, pw_view v)
{
    size_t left[PW_DEPTH_MAX + 1];
    bool map[PW_DEPTH_MAX + 1];
    size_t depth = 0;
    pw_mp r = pw_mp_reader(v.data, v.size);
    while (s->status == PAWL_OK && !pw_mp_at_end(&r) && pw_mp_ok(&r)) {
        const bool key = depth > 0 && map[depth - 1] && left[depth - 1] % 2 == 0;
        const uint8_t *start = r.p;
        const pawl_type type = pw_mp_peek(&r);
        const bool container = type == PAWL_MAP || type == PAWL_ARRAY;
        size_t inner = 0;
        if (container) {
            inner = type == PAWL_MAP ? 2 * pw_mp_read_map(&r) : pw_mp_read_array(&r);
            pw_buf_put(s->out, start, (size_t)(r.p - start));
        } else {
            const pw_view whole = pw_mp_read_raw(&r);
            if (type == PAWL_STRING && !key) {
                put_text(s, pw_view_text(whole));
            } else {
                pw_buf_put(s->out, whole.data, whole.size);
            }
        }
        if (depth > 0) {
            left[depth - 1]--;
        }
        if (inner > 0 && depth < PW_DEPTH_MAX) {
            left[depth] = inner;
            map[depth++] = type == PAWL_MAP;
        }
        while (depth > 0 && left[depth - 1] == 0) {
            depth--;
        }
    }
}

typedef void (*put_fn)(scrubbing *s, pw_view v);

static void put_each(scrubbing *s, pw_view list, put_fn put)
{
    pw_each each = pw_each_of(list);
    pw_mp_array(s->out, each.left);
    while (pw_each_next(&each) && s->status == PAWL_OK) {
        put(s, each.value);
    }
}

/* A map whose member `inner` is a list to put one by one; words of the form stay. */
static void put_form(scrubbing *s, pw_view map, const char *inner, put_fn put)
{
    pw_each each = pw_each_of(map);
    if (!each.map) {
        put_value(s, map);
        return;
    }
    pw_mp_map(s->out, each.left);
    while (pw_each_next(&each) && s->status == PAWL_OK) {
        pw_mp_strn(s->out, (const char *)each.key.data, each.key.size);
        if (pw_llm_is_known(each.key, FORM)) {
            pw_buf_put(s->out, each.value.data, each.value.size);
        } else if (pw_view_is(each.key, inner) && pw_view_type(each.value) == PAWL_ARRAY) {
            put_each(s, each.value, put);
        } else {
            put_value(s, each.value);
        }
    }
}

/* An element of what a tool gave: an image, or anything. */
static void put_given(scrubbing *s, pw_view v)
{
    if (pw_field_is(v, "type", "image")) {
        pw_buf_put(s->out, v.data, v.size);
    } else {
        put_value(s, v);
    }
}

static void put_part(scrubbing *s, pw_view part)
{
    put_form(s, part, "content", put_given);
}

static void put_message(scrubbing *s, pw_view message)
{
    put_form(s, message, "parts", put_part);
}

static void put_request(scrubbing *s, pw_view request)
{
    pw_each each = pw_each_of(request);
    pw_mp_map(s->out, each.left);
    while (pw_each_next(&each) && s->status == PAWL_OK) {
        pw_mp_strn(s->out, (const char *)each.key.data, each.key.size);
        const bool list = pw_view_type(each.value) == PAWL_ARRAY;
        if (pw_view_is(each.key, "messages") && list) {
            put_each(s, each.value, put_message);
        } else if (pw_view_is(each.key, "system") && list) {
            put_each(s, each.value, put_part);
        } else if (pw_view_is(each.key, "system")) {
            put_value(s, each.value);
        } else {
            pw_buf_put(s->out, each.value.data, each.value.size);
        }
    }
}

pawl_status pw_llm_scrub(const pw_llm_setup *setup, pawl_scope *scope, const pawl_value *request,
                         const pawl_value **ret_request, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    if (setup->scrub == NULL || pawl_typeof(request) != PAWL_MAP) {
        *ret_request = request;
        return PAWL_OK;
    }
    pawl_scope *texts = pawl_scope_new();
    scrubbing s = {.setup = setup, .scope = texts, .out = &out, .status = PAWL_OK, .err = err};
    if (texts == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory to scrub a request");
    }
    put_request(&s, pw_value_bytes(request));
    pawl_scope_free(texts);
    if (s.status == PAWL_OK) {
        s.status = out.failed ? pw_err(err, PAWL_NOMEM, "no memory to scrub a request")
                              : pawl_from_msgpack(scope, out.data, out.size, ret_request, err);
    }
    return s.status;
}
