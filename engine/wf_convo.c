/*
 * wf_convo.c - conversations as workflows have them: appending is a command, reading is not.
 *
 * ConvoAppended holds the new reference and a digest of what was appended; the messages are in a node that goes into the turn's own group [C1].
 * So a history with n calls on a conversation grows by n references, and the conversation is written once [C3].
 * A reference is checked before it is appended to, except where the history says that it was: then it was checked in the turn on record.
 * Does not read for activities: convo_task.c does.
 */
#include <string.h>

#include "engine/convo.h"
#include "engine/options.h"
#include "engine/wf.h"
#include "sdk/base/error.h"

static pw_convo_from from_of(const pw_live *live)
{
    pw_convo_from from = {.reader = live->core->reader};
    if (live->batch != NULL) { /* what this very turn has appended */
        from.ops = live->batch->group.ops;
        from.ops_len = live->batch->group.len;
    }
    return from;
}

/* As results of a map that cannot be read: for want of memory, or of the journal's answer, the turn comes again. */
static void unread(pawl_run *w, pawl_status st, const pawl_error *err)
{
    pw_live *live = w->live;
    if (st == PAWL_NOMEM || st == PAWL_IO || st == PAWL_BUSY) {
        pw_scope_fail(live->scope);
        pw_leave_lost(w);
    } else if (st == PAWL_DAMAGED && live->replaying) {
        pw_replay_fail(live, "damage", NULL, pw_strdup(live->scope, err->message));
        pw_leave_lost(w);
    } else {
        pw_set_failure(
            w, pw_failure_new(live->scope, "ConvoUnreadable", err->message, NULL, false, NULL), 0);
    }
}

/* ---- appending ---- */

typedef struct append {
    pw_convo head, next;
    const pawl_value *next_ref;
} append;

static void append_body(pw_emit *e, const void *arg)
{
    const append *a = arg;
    pw_emit_int(e, "from", a->head.len);
    pw_emit_value(e, "value", pw_value_bytes(a->next_ref));
}

/* [reference, messages]: what the replay check compares. In the run's scope: the branch may not come back from its command. */
static const pawl_value *both(pawl_scope *scope, const pawl_value *convo,
                              const pawl_value *messages)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf buf = PW_BUF_INIT;
    const pawl_value *parts[] = {convo, messages};
    pw_mp_array(&buf, PW_COUNT(parts));
    for (size_t i = 0; i < PW_COUNT(parts); i++) {
        pw_view bytes = pw_value_bytes(parts[i]);
        if (bytes.size > 0) {
            pw_buf_put(&buf, bytes.data, bytes.size);
        } else {
            pw_mp_nil(&buf);
        }
    }
    if (!pw_buf_ok(&buf)) {
        pw_scope_fail(scope);
        return NULL;
    }
    return pw_value_copy(scope, buf.data, buf.size);
}

static bool on_record(pw_live *live, const pawl_value *input)
{
    pw_event ev;
    if (!live->replaying || !pw_replay_peek(live, &ev) || ev.type != PW_EV_CONVO_APPENDED) {
        return false;
    }
    pw_view bytes = pw_value_bytes(input);
    return pw_body_common(live, ev.body)->digest == pw_input_digest(bytes.data, bytes.size);
}

static bool head_ok(pawl_run *w, const append *a)
{
    pw_convo_from from = from_of(w->live);
    pawl_error err;
    pawl_status st = pw_convo_check(&from, &a->head, &err);
    if (st != PAWL_OK) {
        unread(w, st, &err);
    }
    return st == PAWL_OK;
}

static void put_node(pw_live *live, const append *a, const pw_buf *body)
{
    pw_op *op = pw_batch_op(live->batch, PW_OP_NODE_PUT);
    memcpy(op->u.node.id, a->next.id, PW_DIGEST_SIZE);
    memcpy(op->u.node.parent, a->head.id, PW_DIGEST_SIZE);
    op->u.node.depth = a->head.len;
    op->u.node.body = (pw_view){body->data, body->size};
    live->batch->failed |= !pw_buf_ok(body);
}

static pw_cmd *append_live(pawl_run *w, append *a, const pawl_value *messages, pw_ask *ask)
{
    pw_live *live = w->live;
    pw_buf *body = pw_batch_buf(live->batch);
    pw_convo_node(&a->head, messages, live->core->blob_key, body, &a->next);
    a->next_ref = pw_convo_ref(live->scope, &a->next);
    ask->arg = a;
    pw_cmd *cmd = pw_command(w, ask);
    if (cmd != NULL) {
        put_node(live, a, body);
    }
    return cmd;
}

const pawl_value *pw_convo_append(pawl_run *w, const pawl_value *convo, const pawl_value *messages,
                                  const pw_asker *by)
{
    pw_live *live = w->live;
    append a;
    if (pw_blocked(w) || !pw_convo_ok(w, convo, messages, by) || !pw_convo_of(convo, &a.head)) {
        return NULL;
    }
    const pawl_value *input = both(live->scope, convo, messages);
    if (pw_turn_lost(live) || (!on_record(live, input) && !head_ok(w, &a))) {
        return NULL;
    }
    pw_ask ask = {.type = PW_EV_CONVO_APPENDED,
                  .input = input,
                  .has_input = true,
                  .input_apart = true,
                  .file = by->file,
                  .line = by->line,
                  .body = append_body};
    pw_cmd *cmd = live->replaying ? pw_command(w, &ask) : append_live(w, &a, messages, &ask);
    return cmd != NULL ? pw_body_value(live->core, live->scope, cmd->body, "value") : NULL;
}

const pawl_value *pawl_convo_append_at(pawl_run *w, const pawl_value *convo,
                                       const pawl_value *messages, const char *file, int line)
{
    return pw_convo_append(w, convo, messages, &(pw_asker){"convo_append", file, line});
}

/* ---- reading ---- */

const pawl_value *pawl_convo_read(pawl_run *w, const pawl_value *convo, int64_t from)
{
    pw_convo c;
    if (pw_blocked(w)) {
        return NULL;
    }
    if (!pw_convo_of(convo, &c)) {
        return pawl_fail(w, "BadOption", "pawl_convo_read: this is no reference to a conversation");
    }
    pw_convo_from where = from_of(w->live);
    const pawl_value *messages = NULL;
    pawl_error err;
    pawl_status st = pw_convo_read(&where, w->live->scope, &c, from, &messages, &err);
    if (st != PAWL_OK) {
        unread(w, st, &err);
    }
    return messages;
}
