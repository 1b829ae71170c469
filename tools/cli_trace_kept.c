/*
 * cli_trace_kept.c - what was answered, sent or asked for while no engine ran, in the tree of the run that it is for: the next engine takes it.
 *
 * Whether it does is not known before: an answer may be refused, so the question stays open in the tree, and says what is kept for it.
 */
#include <string.h>

#include "sdk/base/arena.h"
#include "tools/cli_trace.h"

/* The first open wait for a signal takes the first one that is kept. NULL: none is. */
static const pawl_value *signal_kept(const pw_trace *t, const pw_node *n, bool *taken)
{
    const char *id = pawl_str(t->run, "id", "");
    for (size_t i = 0; i < pawl_len(t->kept); i++) {
        const pawl_value *item = pawl_at(t->kept, i);
        if (!taken[i] && pawl_is(item, "op", "signal") && pawl_is(item, "id", id) &&
            pawl_is(item, "args.name", n->name)) {
            taken[i] = true;
            return pawl_get(item, "args");
        }
    }
    return NULL;
}

static void node_kept(pw_trace *t, pw_node *n, bool *taken)
{
    pw_buf b = PW_BUF_INIT;
    const pawl_value *sent = n->kind == PW_NODE_SIGNAL ? signal_kept(t, n, taken) : NULL;
    if (sent != NULL) {
        pw_buf_printf(&b, "sent by %s", pawl_str(sent, "by", "?"));
    } else if (n->kind == PW_NODE_WAIT) {
        (void)pw_cli_inbox_answers(t->kept, pawl_str(t->run, "id", ""), n->name, n->command, &b);
    }
    const char *kept = b.size > 0 ? pw_strdup(t->scope, pw_buf_cstr(&b)) : "";
    n->kept = kept != NULL ? kept : "";
    pw_buf_deinit(&b);
}

void pw_trace_kept(pw_cli *cli, pw_trace *t)
{
    t->kept = pw_cli_inbox(cli);
    bool *taken = pawl_scope_alloc(t->scope, pawl_len(t->kept) + 1);
    if (taken == NULL) {
        t->failed = true;
        return;
    }
    memset(taken, 0, pawl_len(t->kept) + 1);
    for (size_t i = 0; pawl_len(t->kept) > 0 && i < t->len; i++) {
        pw_node *n = &t->nodes[i];
        if (n->state == PW_STATE_OPEN && !n->dropped) {
            node_kept(t, n, taken);
        }
    }
}
