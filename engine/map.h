/*
 * map.h - between the files of maps: map.c (items), map_rows.c (their pages), map_results.c (reading them), and the core that calls them.
 *
 * Not for workflow code: wf.h and wf_call.c are.
 */
#ifndef PW_MAP_H
#define PW_MAP_H

#include "engine/bugs.h"
#include "engine/job.h"
#include "engine/parts.h"
#include "journal/map_page.h"

#define PW_MAP_UNKNOWN_TEXT "it was sent, and its result was never known: it may have happened"

/** Something about an item that waits for a group, or is in one. Made with its job and kept by it in between. Owns: the reports. */
struct pw_map_note {
    enum {
        PW_NOTE_END,
        PW_NOTE_RETRY,
        PW_NOTE_SENT,
        PW_NOTE_SPENT /* it was cancelled, and says what it spent */
    } kind;
    int64_t index;
    int64_t attempt; /* the one that ended */
    int64_t wall_ms; /* that it took */
    bool failed;
    bool booked;       /* of an end or a retry: it has something set aside */
    bool unbegun;      /* its code surely never ran */
    pw_report *report; /* of an end; of the others when it says what was spent */
    pw_report *said;   /* of the attempt itself, when the end is that of its read-back */
    pw_map_note *prev, *next;
};

/** A page being written by a group. */
typedef struct pw_map_touched {
    int64_t page, part;
    pw_page_head head;
    pw_buf *body; /* of the batch */
    struct pw_map_touched *next;
} pw_map_touched;

/** A part of a page that goes on. body empty = none. */
typedef struct pw_map_tail {
    int64_t page, part;
    pw_page_head head;
    pw_buf body;
} pw_map_tail;

struct pw_map {
    pw_job_key key; /* item 0 */
    pawl_scope *scope;
    const char *run_id;
    pw_view workflow; /* of the run */
    pw_view body;
    const pw_job *model; /* options, read once */
    const pawl_value *items;
    pw_mp cursor; /* over the items, at index `next` */
    int64_t total, next;
    int64_t running;      /* items with a job */
    int64_t done, failed; /* landed */
    int64_t width;
    bool collect, held, canceling;
    bool failing;            /* fail fast: a final failure is noted */
    bool ended;              /* the run has been told */
    bool dropped;            /* freed when its group is answered, and what was spent is booked */
    uint8_t *finished;       /* bit per item, noted or landed */
    pw_view failure;         /* of the first that landed */
    pw_report *first_failed; /* which holds it; NULL = the scope does */
    bool starved;            /* something found no memory: it stays listed */
    bool is_short;           /* some items do not fit their budget */
    bool unfunded; /* its budget cannot be read: some items stand aside, a pause is asked for */
    bool telling;  /* its run is to look at that */
    bool asks;     /* a person is asked: no item begins */
    bool cut;      /* what a restart cut is not settled yet */
    pw_buf rounds; /* of entries from before the restart, of items that have not ended */

    int64_t base; /* attempts begin behind it */
    int64_t top;  /* the highest attempt that was cancelled: a retry of the run begins behind it */
    pw_open_item *open; /* under way before a restart, not begun again yet: from open_next on */
    size_t open_len, open_next;
    bool open_dirty; /* the row of items under way is behind */

    pw_map_note *notes; /* list; the first `flying` are in the group in flight */
    size_t notes_len, flying;
    size_t note_bytes;
    size_t spends; /* notes that say what was spent */
    bool flies;    /* a group with its pages is in flight */
    bool open_flies;
    pw_map_touched *touched;      /* of that group */
    int64_t put_done, put_failed; /* as of the last group handed over */
    int64_t next_part;
    pw_map_tail tails[PW_MAP_TAILS]; /* the last pages written, to go on with */
    size_t tails_next;

    bool listed; /* in core->map_work */
    pw_map *work_prev, *work_next;
    UT_hash_handle hh;
};

/* map.c */
void pw_map_note_free(pw_map *map, pw_map_note *n);
/** True: it says what an attempt spent. */
bool pw_map_note_spends(const pw_map_note *n);

/* map_budget.c */
/** Sets aside what the item's attempt asks for, and begins it when that has landed; or holds it. False: no memory. */
bool pw_map_book(pw_core *core, pw_job *job, pw_act *act);
/** Its run was resumed: what stood aside since its budget could not be read is tried again. */
void pw_map_refund(pw_core *core, pw_map *map);
/** All its items wait for room that will not come: its run is told. */
void pw_map_check_short(pw_core *core, pw_map *map);
void pw_map_settle_cut(pw_core *core, pw_map *map);
/** What the ledger knows of it. */
pawl_status pw_map_budget_load(pw_core *core, pw_map *map, pawl_error *err);
/** Something came back, or a limit was raised. */
void pw_map_room(pw_core *core, pw_map *map);

/* map_rows.c */
/** Puts its notes into the group being built. False: no memory, nothing was put. True with flies unset: there was nothing. */
bool pw_map_write(pw_core *core, pw_map *map);
void pw_map_pages_landed(pw_map *map, bool ok);
/** What the journal knows of it: heads of pages only. */
pawl_status pw_map_load(pw_core *core, pw_map *map, pawl_error *err);

#endif
