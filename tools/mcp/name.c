/*
 * name.c - the ids of runs that calls begin, which say without any table whose a run is and which call it answers.
 *
 *   WORKFLOW-CALL-RANDOM-OWNER      CALL: a keyed digest of principal, tool and arguments      OWNER: one of the rest and whose it is
 *   WORKFLOW-KEY--OWNER             KEY:  a keyed digest of principal, tool and idempotency key
 *
 * [T8] So an id cannot be guessed; one of another principal is known for what it is; a call that is made again under its key finds its run by
 * starting it; and one without a key finds the run of the identical call whose answer was lost:
 *   - this process knows which answers it could not deliver;
 *   - of what a process before it did, an answer was surely not delivered when the run was still open, and counts as lost when the run closed
 *     within LATE_MS before we began, for it is better to give an old answer once than to do a thing twice.
 * Each is attached to once, within ten minutes, and not at all when the tool says "repeat". Does not start or follow runs (call.c).
 */
#include <stdio.h>
#include <string.h>

#include "sdk/base/mem.h"
#include "tools/mcp/inside.h"

#define AGAIN_MS INT64_C(600000)
#define LATE_MS 10000
#define TAG_BYTES 6
#define CALL_LEN 22

/* Whose runs they are: the principal's own, or those of its workspace. */
static const char *owner_of(const pw_mcpd_x *x)
{
    return x->who != NULL ? x->who->owner : x->principal;
}

static const char *tag_of(pw_mcpd *s, pawl_scope *scope, const char *owner, const char *head,
                          size_t head_size)
{
    const pawl_value *v = pawl_build(scope, "[\"owner\", %s, %p]", owner,
                                     pawl_v(pawl_make_strn(scope, head, head_size)));
    const char *digest = pw_mcpd_digest(s, scope, v);
    return pw_strndup(scope, digest, 8);
}

static void put_id(pw_mcpd_x *x, const char *workflow, const char *call, const char *random)
{
    pw_mcpd_run *r = &x->run;
    const int n = snprintf(r->id, sizeof r->id, "%.100s-%s-%s", workflow, call, random);
    (void)snprintf(r->id + n, sizeof r->id - (size_t)n, "-%s",
                   tag_of(x->server, x->scope, owner_of(x), r->id, (size_t)n));
}

void pw_mcpd_name_run(pw_mcpd_x *x, const char *workflow, const pawl_value *input)
{
    uint8_t random[TAG_BYTES];
    const char *key =
        pawl_str(pw_mcpd_key(pawl_get(x->params, "_meta"), PW_MCPD_IDEMPOTENCY), "", x->run.key);
    const pawl_value *call =
        key != NULL
            ? pawl_build(x->scope, "[\"key\", %s, %s, %s]", x->principal, workflow, key)
            : pawl_build(x->scope, "[\"call\", %s, %s, %p]", x->principal, workflow, pawl_v(input));
    pw_random(random, sizeof random);
    x->run.keyed = key != NULL;
    x->run.call = pw_mcpd_digest(x->server, x->scope, call);
    put_id(x, workflow, x->run.call,
           key != NULL ? "" : pw_mcpd_base64(x->scope, random, sizeof random));
}

static bool has_tag(pw_mcpd *s, const char *owner, const char *id, size_t size)
{
    pawl_scope *scope = size > 9 && id[size - 9] == '-' ? pawl_scope_new() : NULL;
    const char *tag = scope != NULL ? tag_of(s, scope, owner, id, size - 9) : NULL;
    const bool has = tag != NULL && strlen(tag) == 8 && memcmp(id + size - 8, tag, 8) == 0;
    pawl_scope_free(scope);
    return has;
}

/* A child that was given no id is called after its parent: "a/7", and so it is its parent's owner's. */
bool pw_mcpd_owner_has(pw_mcpd *s, const char *owner, const char *run_id)
{
    bool has = owner[0] == '\0' || has_tag(s, owner, run_id, strlen(run_id));
    for (const char *at = strchr(run_id, '/'); !has && at != NULL; at = strchr(at + 1, '/')) {
        has = has_tag(s, owner, run_id, (size_t)(at - run_id));
    }
    return has;
}

bool pw_mcpd_owns(pw_mcpd_x *x, const char *run_id)
{
    return pw_mcpd_owner_has(x->server, owner_of(x), run_id);
}

bool pw_mcpd_began(pw_mcpd_x *x, const char *run_id)
{
    return has_tag(x->server, owner_of(x), run_id, strlen(run_id));
}

/* ---- calls whose answers were lost ---- */

static pw_mcpd_lost *slot_of(pw_mcpd *s, const char *call)
{
    for (size_t i = 0; i < PW_MCPD_LOST_MAX; i++) {
        if (strcmp(s->lost[i].call, call) == 0) {
            return &s->lost[i];
        }
    }
    return NULL;
}

static pw_mcpd_lost *keep(pw_mcpd *s, const char *call)
{
    pw_mcpd_lost *l = slot_of(s, call);
    l = l != NULL ? l : &s->lost[s->lost_next++ % PW_MCPD_LOST_MAX];
    (void)snprintf(l->call, sizeof l->call, "%s", call);
    l->at_ms = pw_mcpd_now_ms();
    l->run[0] = '\0';
    return l;
}

/* The CALL of an id; "" when it has none. */
static void call_of(const char *run_id, char ret[CALL_LEN + 1])
{
    const size_t tail = CALL_LEN + 1 + 8 + 1 + 8;
    const size_t size = strlen(run_id);
    const char *at = size > tail ? run_id + size - tail : NULL;
    ret[0] = '\0';
    if (at != NULL && at[-1] == '-' && at[CALL_LEN] == '-' && at[CALL_LEN + 9] == '-') {
        memcpy(ret, at, CALL_LEN);
        ret[CALL_LEN] = '\0';
    }
}

const char *pw_mcpd_answers(const pw_mcpd_x *x)
{
    return x->run.call != NULL || x->run.started ? x->run.id : "";
}

void pw_mcpd_lose(pw_mcpd *s, const char *run_id)
{
    char call[CALL_LEN + 1];
    call_of(run_id, call);
    if (call[0] != '\0') {
        (void)snprintf(keep(s, call)->run, sizeof s->lost[0].run, "%s", run_id);
    }
}

void pw_mcpd_delivered(pw_mcpd_x *x)
{
    char call[CALL_LEN + 1];
    call_of(x->run.id, call);
    pw_mcpd_lost *l = call[0] != '\0' ? slot_of(x->server, call) : NULL;
    if (l != NULL) {
        l->run[0] = '\0';
    } else if (call[0] != '\0' && x->run.taken_up) {
        (void)keep(x->server, call);
    }
}

/* From before this process: it is looked for in the journal, and once only. */
static void on_list(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const pawl_value *run = pawl_get(reply, "runs.0");
    const int64_t closed = pawl_int(run, "closed_ms", 0);
    const int64_t began = x->server->began_ms;
    (void)why;
    const bool lost = status == PAWL_OK && run != NULL && pawl_int(run, "created_ms", 0) < began &&
                      (closed == 0 || closed > began - LATE_MS);
    (void)keep(x->server, x->run.call);
    x->run.found = lost ? pw_strdup(x->scope, pawl_str(run, "id", "")) : NULL;
    x->then(x);
}

void pw_mcpd_find_lost(pw_mcpd_x *x, const char *workflow, pw_mcpd_fn then)
{
    pw_mcpd *s = x->server;
    const int64_t now = pw_mcpd_now_ms();
    pw_mcpd_lost *l = slot_of(s, x->run.call);
    const bool fresh = l != NULL && now - l->at_ms < AGAIN_MS;
    if (fresh && l->run[0] != '\0') {
        x->run.found = pw_strdup(x->scope, l->run);
        l->run[0] = '\0';
    }
    if (fresh || now - s->began_ms > AGAIN_MS || x->run.keyed) {
        then(x);
        return;
    }
    x->then = then;
    const char *filter =
        pw_sprintf(x->scope, "id ~ \"%.100s-%s-*\" and created > -%llds", workflow, x->run.call,
                   (long long)(AGAIN_MS + pw_mcpd_bound_ms(s)) / 1000);
    pw_up_ask(s->up, "list", pawl_build(x->scope, "{filter: %s, limit: 1}", filter), on_list, x);
}
