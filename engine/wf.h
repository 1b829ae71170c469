/*
 * wf.h - what the wf_*.c files (the public functions of pawl_workflow.h) share.
 */
#ifndef PW_WF_H
#define PW_WF_H

#include <stdio.h>

#include "engine/misuse.h"
#include "engine/parts.h"
#include "sdk/base/id.h"

void pw_options_copy(void *ret, size_t size, const void *options, size_t options_size);
int64_t pw_seconds_ms(double seconds); /* 0 for none; at least 1; at most PW_TIMER_MS_MAX */
bool pw_name_ok(pawl_run *w, const char *what, const char *name);
bool pw_may_start(pawl_run *w); /* no failure, not cancelled: else sets Canceled */
void pw_call_fields(pw_emit *e, const void *call_options);
void pw_map_fields(pw_emit *e, const void *map_options);
void pw_child_id(pw_live *live, int64_t cmd,
                 char ret_id[PW_ID_BYTES_MAX + 1]); /* of a child that was given none */
void pw_child_fields(pw_emit *e, const void *child_options);
typedef struct pw_ask_fields_arg {
    const pawl_ask_options *options;
    int64_t now_ms;
} pw_ask_fields_arg;
void pw_letter_fields(pw_emit *e, const void *letter); /* pw_letter */
/** The new reference; NULL when refused (the branch has a failure), or the turn is lost. by: options.h. */
struct pw_asker;
const pawl_value *pw_convo_append(pawl_run *w, const pawl_value *convo, const pawl_value *messages,
                                  const struct pw_asker *by);
void pw_ask_fields(pw_emit *e, const void *ask_fields_arg);

/* shield.c */
bool pw_shield_enter(pawl_run *w); /* without a deadline; false = no memory */
void pw_shield_inherit(pawl_run *branch, const pawl_run *from);

#endif
