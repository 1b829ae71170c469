/*
 * agent_rig.h - a scripted model in the process, tools for it, and an engine with the agent: what its tests share.
 */
#ifndef TEST_AGENT_RIG_H
#define TEST_AGENT_RIG_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "sdk/pawl_agent.h"
#include "sdk/pawl_choose.h"
#include "tests/integration/host_rig.h"

typedef struct world world;
/* What the model says to so many messages, the last of them given; the n-th model call, from 1. */
typedef const pawl_value *(*script_fn)(pawl_task *t, const pawl_value *messages, int n);

struct world {
    rig *host;
    script_fn script;
    atomic_int asked;    /* model calls that really ran */
    atomic_int dug;      /* tool calls that really ran */
    atomic_int forced;   /* requests with tool_choice none */
    atomic_int answered; /* calls of the stand-in for "mcp" that brought answers along */
    atomic_int summed;   /* summaries that were asked for */
    const char *summary; /* what they say */
    size_t tools_seen;
    char sent[8][400];       /* the names of the tools of the first model calls */
    char only[3000];         /* request.tools_only as JSON */
    pawl_chooser *chooser;   /* NULL = by words */
    pawl_activity_fn choose; /* instead of the built-in; NULL = that */
    pawl_activity_fn mcp;    /* instead of the server that asks; NULL = that */
    atomic_int listed;       /* how often a server was asked for its tools */
    atomic_int changed;      /* it has other tools now */
    char system[60];
};

/* Scripts run on the engine's threads: a test cannot fail there, it ends. */
#define need(what)                                                         \
    do {                                                                   \
        if (!(what)) {                                                     \
            print_error("%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
            abort();                                                       \
        }                                                                  \
    } while (0)

const pawl_value *say(pawl_task *t, const char *text);
/** One part, and an answer of parts, and an answer of one call with {n}. */
const pawl_value *call(pawl_task *t, const char *tool, int n);
const pawl_value *calls(pawl_task *t, const pawl_value *const *parts, size_t len);
const pawl_value *call_one(pawl_task *t, const char *tool, int n);
/** The last message, and the content of a part of it when it is text. */
const pawl_value *last(const pawl_value *messages);
const char *told(const pawl_value *messages, size_t part);

int agent_setup(void **state);
int agent_teardown(void **state);
/** The engine closes, and opens again: what is in memory is lost. */
void reopen(world *w);
void open_world(world *w);

#define TOOLS                                                                                                              \
    "{\"name\": \"dig\", \"description\": \"digs\", \"activity\": \"dig\", \"input\": {\"spade\": \"big\"}},"              \
    "{\"name\": \"ask_dig\", \"activity\": \"dig\", \"policy\": \"ask\"},"                                                 \
    "{\"name\": \"no_dig\", \"activity\": \"dig\", \"policy\": \"deny\"},"                                                 \
    "{\"name\": \"stone\", \"activity\": \"stone\"}, {\"name\": \"poll_stone\", \"activity\": \"stone\", \"poll\": true}," \
    "{\"name\": \"waits\", \"workflow\": \"waits\"}"

/** Starts it with that script; more: members of the input, as JSON after a comma. */
void begin(world *w, const char *id, script_fn script, const char *more);
/** Its failure, which is of that type. */
const pawl_value *failure(world *w, const char *id, const char *type);
/** Waits until the run waits for that answer. */
const pawl_value *question(world *w, const char *id, const char *name);
void answer(world *w, const char *id, const char *name, const char *json);

#endif
