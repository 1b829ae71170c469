/*
 * record.h - the bytes of one turn, as the journal keeps them.
 *
 *   record = [version 1, flags, now_ms, build, [event, event, ...]]
 *   event  = [number, command id, {body}]         command id 0 = none; body keys are short strings
 *
 * The first event of a record has sequence number `first_seq` (a column of the log), the next one more, and so on.
 * Inputs come before the commands they led to.
 */
#ifndef PW_RECORD_H
#define PW_RECORD_H

#include "sdk/base/mp.h"

typedef enum pw_event_type {
#define X(number, name, text, kind) PW_EV_##name = number,
#include "sdk/base/events.def"
#undef X
} pw_event_type;

typedef enum pw_event_kind { PW_EVENT_LIFE, PW_EVENT_COMMAND, PW_EVENT_INPUT } pw_event_kind;

typedef enum pw_run_status {
#define X(number, name, text, open) PW_RUN_##name = number,
#include "sdk/base/run_status.def"
#undef X
} pw_run_status;

#define PW_RECORD_VERSION 1
#define PW_RECORD_INPUT_ONLY 1u /* flag: events were kept while paused, the code was not resumed */

typedef struct pw_record {
    uint32_t flags;
    int64_t now_ms;
    uint64_t build;
    size_t events; /* count */
    pw_mp body;    /* at the first event */
} pw_record;

typedef struct pw_event {
    int64_t seq;
    pw_event_type type;
    int64_t cmd;
    pw_view body; /* one msgpack map */
} pw_event;

/** Opens a record. Errors: DAMAGED, NEWER. */
pawl_status pw_record_open(const void *data, size_t size, pw_record *ret_record, pawl_error *err);
/** The next event; false at the end or when damaged (then record->body.bad). seq counts from first_seq by the caller. */
bool pw_record_next(pw_record *record, pw_event *ret_event);
/** The same without the body: record->body stands at it, and the caller reads it before the next event. */
bool pw_record_next_head(pw_record *record, pw_event *ret_event);

const char *pw_event_name(int type); /* "ActivityScheduled"; "?" when unknown */
pw_event_kind pw_event_kind_of(int type);
const char *pw_run_status_name(int status);
bool pw_run_status_is_open(int status);
/** 0 when there is no such name. */
int pw_run_status_from_name(const char *name);

#endif
