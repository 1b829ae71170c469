/*
 * options.h - may a command have these options? False: the branch has a failure that says who asked, where, and what is wrong.
 */
#ifndef PW_OPTIONS_H
#define PW_OPTIONS_H

#include "engine/parts.h"

/** Who asks: "call" for pawl_call, "fold_call" for pawl_fold_call. file NULL = it has no place, as commands of folded workflows. */
typedef struct pw_asker {
    const char *call;
    const char *file;
    int line;
} pw_asker;

/** A signal to another run. */
typedef struct pw_letter {
    const char *to;
    const char *name;
    const pawl_value *value;
} pw_letter;

bool pw_call_ok(pawl_run *w, const pawl_call_options *o, const pw_asker *by);
bool pw_map_ok(pawl_run *w, const pawl_map_options *o, const pw_asker *by);
bool pw_seconds_ok(pawl_run *w, double seconds, const pw_asker *by);
bool pw_signal_ok(pawl_run *w, const pawl_signal_options *o, const pw_asker *by);
bool pw_signal_send_ok(pawl_run *w, const pw_letter *letter, const pw_asker *by);
bool pw_set_ok(pawl_run *w, const char *key, const pawl_value *value, const pw_asker *by);
bool pw_child_ok(pawl_run *w, const pawl_child_options *o, const pw_asker *by);
bool pw_ask_ok(pawl_run *w, const pawl_ask_options *o, const pw_asker *by);
bool pw_convo_ok(pawl_run *w, const pawl_value *convo, const pawl_value *messages,
                 const pw_asker *by);

#endif
