/*
 * queue_poll.c - parked polls: which worker takes what. A poll hangs on every activity it names, or, when it names queues, on that activity's
 * lane in each of them; it is handed one task and is gone from all of them.
 *
 * Does not know tokens or replies: job_remote.c does.
 */
#include <string.h>

#include "engine/queue_inside.h"

typedef struct pw_poll_link {
    pw_poll *poll;
    pw_offer *offer; /* for any queue; or */
    pw_lane *lane;   /* in this one */
    pawl_effect effect;
    bool reads_back;
    struct pw_poll_link *prev, *next;
} pw_poll_link;

struct pw_poll {
    pw_request *rq;
    pw_poll *prev, *next;
    size_t len;
    pw_poll_link links[];
};

/* ---- hanging it up ---- */

static void unlink_one(pw_core *core, pw_poll_link *link)
{
    if (link->offer != NULL) {
        DL_DELETE(link->offer->polls, link);
        pw_offer_place(core, link->offer);
        pw_offer_trim(core, link->offer);
    } else if (link->lane != NULL) {
        pw_queue *q = link->lane->queue;
        DL_DELETE(link->lane->polls, link);
        link->lane->polls_len--;
        pw_lane_place(core, link->lane);
        pw_lane_trim(core, link->lane);
        pw_queue_trim(core, q);
    }
}

static bool link_any(pw_core *core, pw_poll_link *link, const char *activity)
{
    link->offer = pw_offer_get(core, activity);
    if (link->offer == NULL) {
        return false;
    }
    DL_APPEND(link->offer->polls, link);
    pw_offer_place(core, link->offer);
    return true;
}

static bool link_queue(pw_core *core, pw_poll_link *link, const char *activity, const char *queue)
{
    pw_queue *q = pw_queue_get(core, queue);
    link->lane = q != NULL ? pw_lane_get(core, q, activity) : NULL;
    if (link->lane == NULL) {
        if (q != NULL) {
            pw_queue_trim(core, q);
        }
        return false;
    }
    DL_APPEND(link->lane->polls, link);
    link->lane->polls_len++;
    pw_lane_place(core, link->lane);
    return true;
}

static void poll_drop(pw_core *core, pw_poll *poll)
{
    for (size_t i = 0; i < poll->len; i++) {
        unlink_one(core, &poll->links[i]);
    }
    if (poll->prev != NULL) {
        DL_DELETE(core->polls, poll);
    }
    pw_free(poll);
}

/* The name of an entry of `activities`; NULL = it is none. */
static const char *activity_named(const pawl_value *item)
{
    const char *name =
        pawl_typeof(item) == PAWL_MAP ? pawl_str(item, "name", "") : pawl_str(item, "", "");
    return name[0] != 0 && strlen(name) <= PW_NAME_BYTES_MAX ? name : NULL;
}

static bool link_all(pw_core *core, pw_poll *poll, const pawl_value *activities,
                     const pawl_value *queues)
{
    bool ok = true;
    for (size_t i = 0; ok && i < pawl_len(activities); i++) {
        const pawl_value *item = pawl_at(activities, i);
        const char *name = activity_named(item);
        size_t len = queues == NULL ? 1 : pawl_len(queues);
        for (size_t j = 0; ok && name != NULL && j < len; j++) {
            const char *queue = queues == NULL ? NULL : pawl_str(pawl_at(queues, j), "", "");
            pw_poll_link *link = &poll->links[poll->len];
            *link = (pw_poll_link){.poll = poll,
                                   .effect = pw_effect_named(pawl_str(item, "effect", "")),
                                   .reads_back = pawl_bool(item, "read_back", false)};
            ok = queue == NULL ? link_any(core, link, name) : link_queue(core, link, name, queue);
            poll->len += ok ? 1 : 0;
        }
    }
    return ok;
}

pawl_status pw_queue_poll(pw_core *core, pw_request *rq, pawl_error *err)
{
    const pawl_value *activities = pawl_get(rq->args, "activities");
    const pawl_value *queues = pawl_get(rq->args, "queues");
    size_t names = pawl_len(activities);
    size_t each = queues == NULL ? 1 : pawl_len(queues);
    size_t len = names * each;
    if (pawl_typeof(activities) != PAWL_ARRAY ||
        (queues != NULL && pawl_typeof(queues) != PAWL_ARRAY)) {
        return pw_err(err, PAWL_INVALID,
                      "task_poll: activities is an array of names, and so is queues");
    }
    if (len > PW_POLL_NAMES_MAX || names > PW_POLL_NAMES_MAX || each > PW_POLL_NAMES_MAX) {
        return pw_err(err, PAWL_LIMIT,
                      "task_poll: %zu activities times %zu queues; at most %d, and so of each",
                      names, each, PW_POLL_NAMES_MAX);
    }
    pw_poll *poll = pw_calloc(1, sizeof *poll + len * sizeof poll->links[0]);
    if (poll == NULL || pw_scope_failed(rq->scope) || !link_all(core, poll, activities, queues)) {
        if (poll != NULL) {
            poll_drop(core, poll);
        }
        return pw_err(err, PAWL_NOMEM, "no memory for a poll");
    }
    poll->rq = rq;
    DL_APPEND(core->polls, poll);
    return PAWL_OK;
}

/* ---- taking it ---- */

pw_poll *pw_queue_poll_for(const pw_job *job, pawl_effect *ret_effect, bool *ret_reads_back)
{
    const pw_lane *lane = job->flow->lane;
    const pw_poll_link *link = lane->polls != NULL ? lane->polls : lane->offer->polls;
    if (link == NULL) {
        return NULL;
    }
    *ret_effect = link->effect;
    *ret_reads_back = link->reads_back;
    return link->poll;
}

pw_request *pw_queue_poll_take(pw_core *core, pw_poll *poll)
{
    pw_request *rq = poll->rq;
    poll_drop(core, poll);
    rq->next = NULL;
    return rq;
}

pw_poll *pw_queue_poll_next(pw_core *core, const pw_poll *after)
{
    return after == NULL ? core->polls : after->next;
}

bool pw_queue_nobody(const pw_core *core, const pw_job *job)
{
    const pw_lane *lane = job->flow->lane;
    const pw_offer *offer = lane->offer;
    bool waits = job->state == PW_JOB_QUEUED || job->state == PW_JOB_HELD;
    if (!waits || (offer->act != NULL && offer->act->fn != NULL) || offer->polls != NULL ||
        lane->polls != NULL) {
        return false;
    }
    const pw_job *other = core->remote_jobs; /* its worker asks again when it has room */
    while (other != NULL && other->flow->lane != lane) {
        other = other->m_next;
    }
    return other == NULL;
}

/* A thousand runs that wait for one worker are one line in the log. */
void pw_queue_missed(pw_core *core, const pw_job *job)
{
    pw_offer *offer = job->flow->lane->offer;
    if (!core->recovered || offer->missed || !pw_queue_nobody(core, job)) {
        return;
    }
    offer->missed = true;
    pw_core_log(core, PAWL_WARN, job->run_id, job->key.cmd,
                "no activity \"%s\" is registered (%s), and no worker asks for it: it waits",
                job->name, pw_body_str(job->scope, job->body, "at", "?"));
}

uint64_t pw_queue_poll_client(const pw_poll *poll)
{
    return poll->rq->client;
}

void pw_polls_free(pw_core *core, const pawl_error *err)
{
    while (core->polls != NULL) {
        pw_reply_now(core, pw_queue_poll_take(core, core->polls), err->status, err,
                     (pw_view){NULL, 0});
    }
}
