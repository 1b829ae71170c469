/*
 * golden.h - histories as text that a person can read and diff, and back into a journal.
 *
 *   run 1 failed call 1 parent=0/0 prev=0          key, id, workflow, version
 *   record flags=0 now=1700000000000 build=1       one turn
 *   RunStarted 0 {"workflow": "call", ...}         event, command, body as JSON
 *   item 1 2 0 state=1 attempt=1 {"n": 1}          of a map: run, command, index
 *
 * Numbers beyond int64 at the top of a body are unsigned (digests, seeds). Blobs are not kept: scenes have none.
 */
#ifndef TEST_GOLDEN_H
#define TEST_GOLDEN_H

#include "tests/engine/rig.h"

#define GOLDEN_RUNS_MAX 24
#define GOLDEN_EVENTS_MAX 96 /* of one run */
#define GOLDEN_ITEMS_MAX 32

typedef struct golden_record {
    uint32_t flags;
    int64_t now_ms;
    uint64_t build;
    size_t len; /* events */
} golden_record;

typedef struct golden_event {
    int type;
    int64_t cmd;
    pw_view body;
} golden_event;

typedef struct golden_run {
    int64_t key, parent_key, parent_cmd, prev_key;
    const char *id, *workflow, *version;
    golden_record records[GOLDEN_EVENTS_MAX];
    size_t records_len;
    golden_event events[GOLDEN_EVENTS_MAX];
    size_t events_len;
} golden_run;

/** Of a map: as it stands in a page, in a form that does not change with pages. */
typedef struct golden_item {
    int64_t run, cmd, index;
    int state; /* 1 done, 2 failed */
    int64_t attempt;
    pw_view body;
} golden_item;

typedef struct golden {
    pawl_scope *scope; /* owns what views and texts point to */
    golden_run runs[GOLDEN_RUNS_MAX];
    size_t runs_len;
    golden_item items[GOLDEN_ITEMS_MAX];
    size_t items_len;
} golden;

golden *golden_new(void);
void golden_free(golden *g);
/** All runs of a rig's journal. */
void golden_read(rig *r, golden *g);
/** Fails the test when the text is none. */
void golden_parse(const char *text, size_t size, golden *g);
/** plain leaves out what says nothing about behaviour: where a command stands in its source. */
void golden_print(const golden *g, bool plain, pw_buf *out);
/** The run machine's state after its first `records` records. */
int golden_status(const golden_run *run, size_t records);
/** How a run is put into a journal. */
typedef struct golden_cut {
    int64_t run;    /* cut this one ... */
    size_t records; /* ... after so many records; 0 = none is cut */
    bool asleep;    /* recovery does not let its code go on */
} golden_cut;
/** Into the journal of a rig whose core is not running; boots it. */
void golden_store(rig *r, const golden *g, const golden_cut *cut);

#endif
