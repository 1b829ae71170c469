/*
 * exec_rig.h - an engine's side of tasks for tests: makes them, keeps their reports, waits for the final one.
 */
#ifndef EXEC_RIG_H
#define EXEC_RIG_H

#include <pthread.h>

#include "engine/task.h"

typedef struct rig {
    pthread_mutex_t lock;
    pthread_cond_t came;
    pw_report *reports; /* newest first */
    int begun, beats, finals;
    char folder[64];  /* of its own */
    char journal[80]; /* a path in it, for scratch files; nothing is there */
} rig;

void rig_init(rig *r);
void rig_deinit(
    rig *r); /* removes the folder, which must be empty but for what the test put there */
/** A task of command cmd, attempt 1; input is JSON. The test owns one reference, the runner the other. */
pawl_task *rig_task(rig *r, pawl_activity_fn fn, int64_t cmd, const char *input_json);
pawl_task *rig_task_with_deadline(rig *r, pawl_activity_fn fn, int64_t cmd, const char *input_json,
                                  int64_t in_ms);
/** Waits until so many final reports, or beats, have come; fails the test after 20 s. */
void rig_wait_finals(rig *r, int count);
void rig_wait_beats(rig *r, int count);
void rig_wait_begun(rig *r, int count);
/** The final report of a command; NULL when there is none. */
const pw_report *rig_final(rig *r, int64_t cmd);
/** Runs a task on this thread to its end and returns its value; kind is checked. Valid until rig_deinit. */
const pawl_value *rig_run(rig *r, pawl_activity_fn fn, const char *input_json,
                          pw_report_kind expected);
const pawl_value *rig_value(rig *r, int64_t cmd, pw_report_kind expected);
/** Waits until a process is gone, whoever its parent is; fails the test after 20 s. */
void rig_wait_gone(pid_t pid);

#endif
