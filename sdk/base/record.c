/*
 * record.c - decoding turns, and the names of events and run statuses.
 *
 * Encoding is the engine's; the journal stores the bytes and reads them only to verify and to list.
 * Does not look into event bodies.
 */
#include "sdk/base/record.h"

#include <string.h>

#include "sdk/base/error.h"

pawl_status pw_record_open(const void *data, size_t size, pw_record *ret_record, pawl_error *err)
{
    pw_mp r = pw_mp_reader(data, size);
    size_t fields = pw_mp_read_array(&r);
    int64_t version = pw_mp_read_int(&r);
    if (pw_mp_ok(&r) && version > PW_RECORD_VERSION) {
        return pw_err(err, PAWL_NEWER, "record version %lld was written by a newer pawl",
                      (long long)version);
    }
    pw_record rec = {0};
    rec.flags = (uint32_t)pw_mp_read_uint(&r);
    rec.now_ms = pw_mp_read_int(&r);
    rec.build = pw_mp_read_uint(&r);
    rec.events = pw_mp_read_array(&r);
    rec.body = r;
    if (!pw_mp_ok(&r) || fields != 5 || version != PW_RECORD_VERSION) {
        return pw_err(err, PAWL_DAMAGED, "a journal record is not well formed");
    }
    *ret_record = rec;
    return PAWL_OK;
}

bool pw_record_next_head(pw_record *record, pw_event *ret_event)
{
    if (record->events == 0 || record->body.bad) {
        return false;
    }
    record->events--;
    if (pw_mp_read_array(&record->body) != 3) {
        record->body.bad = true;
        return false;
    }
    pw_event ev = {.seq = ret_event->seq};
    ev.type = (pw_event_type)pw_mp_read_int(&record->body);
    ev.cmd = pw_mp_read_int(&record->body);
    if (record->body.bad) {
        return false;
    }
    *ret_event = ev;
    return true;
}

bool pw_record_next(pw_record *record, pw_event *ret_event)
{
    pw_event ev = *ret_event;
    if (!pw_record_next_head(record, &ev)) {
        return false;
    }
    ev.body = pw_mp_read_raw(&record->body);
    if (record->body.bad) {
        return false;
    }
    *ret_event = ev;
    return true;
}

const char *pw_event_name(int type)
{
    switch (type) {
#define X(number, name, text, kind) \
    case number:                    \
        return text;
#include "sdk/base/events.def"
#undef X
    default:
        return "?";
    }
}

pw_event_kind pw_event_kind_of(int type)
{
    switch (type) {
#define X(number, name, text, kind) \
    case number:                    \
        return PW_EVENT_##kind;
#include "sdk/base/events.def"
#undef X
    default:
        return PW_EVENT_LIFE;
    }
}

const char *pw_run_status_name(int status)
{
    switch (status) {
#define X(number, name, text, open) \
    case number:                    \
        return text;
#include "sdk/base/run_status.def"
#undef X
    default:
        return "?";
    }
}

bool pw_run_status_is_open(int status)
{
    switch (status) {
#define X(number, name, text, open) \
    case number:                    \
        return (open) != 0;
#include "sdk/base/run_status.def"
#undef X
    default:
        return false;
    }
}

int pw_run_status_from_name(const char *name)
{
#define X(number, sym, text, open) \
    if (strcmp(name, text) == 0) { \
        return number;             \
    }
#include "sdk/base/run_status.def"
#undef X
    return 0;
}
