/*
 * child_id.c - the id of a child that was given none.
 *
 *   "a/7"      command 7 of run "a"
 *   "a/57.7"   the same, when "a/7" will not do: "a" is a later generation (continued as new, or started again under a used id) and its
 *              number is 57; or the id would be too long, and then "a" is cut to what fits
 *
 * Numbers of runs are never used twice, so neither is the second form. It is chosen once, in the turn that asks for the child, and stands in
 * ChildStarted: a replay reads it there, and nothing is looked up again.
 * Does not check ids that code gives: options.c does.
 */
#include <stdio.h>
#include <string.h>

#include "engine/wf.h"

static bool nobody(void *ctx, const pw_run_row *row)
{
    (void)ctx;
    (void)row;
    return false;
}

/* Another run has, or had, that id. Unless the journal cannot say so: then the other form is sure. */
static bool taken(pw_live *live, const char *id)
{
    pw_view v = {(const uint8_t *)id, strlen(id)};
    if (pw_live_by_id(live->core, v) != NULL) {
        return true;
    }
    pawl_error err;
    pawl_status st = live->core->jops->run_find(live->core->reader, v, nobody, NULL, &err);
    if (st == PAWL_NOMEM) {
        pw_scope_fail(live->scope); /* the turn comes again, and asks again */
    }
    return st != PAWL_NOTFOUND;
}

void pw_child_id(pw_live *live, int64_t cmd, char ret_id[PW_ID_BYTES_MAX + 1])
{
    int size = snprintf(ret_id, PW_ID_BYTES_MAX + 1, "%s/%lld", live->id, (long long)cmd);
    if (size <= PW_ID_BYTES_MAX && live->row.prev_key == 0 && !taken(live, ret_id)) {
        return;
    }
    char tail[48];
    size = snprintf(tail, sizeof tail, "/%lld.%lld", (long long)live->key, (long long)cmd);
    (void)snprintf(ret_id, PW_ID_BYTES_MAX + 1, "%.*s%s", PW_ID_BYTES_MAX - size, live->id, tail);
}
