/*
 * host_rig.h - what the tests of the host API share: a folder of their own, an engine with some workflows in it, and short checks.
 *
 * The workflows (host_rig.c says what each does): hello, go, asker, keys, flaky, sleeper, misuser, counter, parent.
 */
#ifndef HOST_RIG_H
#define HOST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sdk/base/error.h"
#include "sdk/pawl.h"

/* Within this comes what comes at all: short enough to name a hang, long enough on a busy machine. */
enum { HOST_PATIENCE_MS = 60000 };

typedef struct rig {
    char folder[64];
    char path[100];      /* of the journal */
    pawl_engine *engine; /* NULL when closed */
    pawl_scope *scope;
    pawl_error err;
    atomic_int flaky_ok;  /* flaky fails while this is 0 */
    atomic_int steps;     /* counter's steps that really ran */
    pawl_engine *watched; /* the engine whose events rig_event waits for */
} rig;

int rig_setup(void **state);    /* makes the folder, opens, registers, resumes */
int rig_teardown(void **state); /* closes, removes the folder */

void rig_open(rig *r, const pawl_options *options);
void rig_register(rig *r);
void rig_close(rig *r);

/** OK or the test fails, saying what was asked and what was answered. */
#define ok(r, call) rig_ok((r), (call), #call, __FILE__, __LINE__)
void rig_ok(rig *r, pawl_status status, const char *what, const char *file, int line);
#define expect(r, wanted, call) rig_expect((r), (wanted), (call), #call, __FILE__, __LINE__)
void rig_expect(rig *r, pawl_status wanted, pawl_status status, const char *what, const char *file,
                int line);

/** Starts workflow under id; input is a template of pawl_build without arguments, or NULL. */
void rig_start(rig *r, const char *workflow, const char *id, const char *input);
const pawl_value *rig_result(rig *r, const char *id);
const pawl_value *rig_describe(rig *r, const char *id);
/** Watches the engine, if it is not watched yet: what happens from here on is seen by rig_event. Look at what you wait for after this. */
void rig_watch(rig *r);
/** Waits until something has been committed; fails the test after 20 s of silence. */
void rig_event(rig *r);
/** Waits until the wall clock is past that time. */
void rig_clock(int64_t until_ms);
/** Waits until describe shows `text` under key. */
void rig_until(rig *r, const char *id, const char *key, const char *text);

#endif
