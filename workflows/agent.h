/*
 * agent.h - the parts of the agent: a state that events build, and what is asked for next, read from it.
 *
 *   apply(event) --> state --> decide: conversation append, model call, tool calls, questions
 *                     ^                      |
 *                     '---- their events ----'
 *
 * decide changes nothing: what it asks for comes back as events, so that a state built from events alone, after a crash, is the same.
 * The manual is sdk/pawl_agent.h.
 */
#ifndef PW_AGENT_H
#define PW_AGENT_H

#include "sdk/pawl_agent.h"
#include "sdk/pawl_workflow.h"

enum {
    PW_AGENT_CALLS_MAX = 128, /* of one answer */
    PW_AGENT_TURNS = 20,      /* model calls, unless the input says */
    PW_AGENT_RING = 5,        /* calls that loop detection looks at */
    PW_AGENT_SAME = 3,        /* so many of them alike are a loop */
    PW_AGENT_STRIKES_MAX = 8, /* calls that are watched for having looped */
    PW_AGENT_USAGE = 6,       /* classes of tokens */
    PW_AGENT_ROUNDS_MAX = 8,  /* how often the server of one call may ask something */
    PW_AGENT_KEEP_TURNS = 6,  /* that a compaction leaves as they are, unless the input says */
    PW_AGENT_BEFORE_MAX = 16, /* compactions that can be taken back */
    PW_AGENT_SERVERS_MAX = 16 /* MCP servers whose tools are all its own */
};

typedef enum pw_agent_phase {
#define X(name, text) PW_AGENT_##name,
#include "workflows/agent_phases.def"
#undef X
    PW_AGENT_PHASES
} pw_agent_phase;

/** What a call becomes: one command of that kind. */
typedef enum pw_agent_kind {
    PW_AGENT_ACTIVITY,
    PW_AGENT_CHILD,
    PW_AGENT_SEARCH, /* of the memory store */
    PW_AGENT_PUT,    /* ... are over as soon as they are made */
    PW_AGENT_DELETE
} pw_agent_kind;

typedef enum pw_agent_call_state {
    PW_AGENT_HELD,    /* a person is to be asked */
    PW_AGENT_ASKED,   /* is being asked */
    PW_AGENT_WANTED,  /* is to be made */
    PW_AGENT_OPEN,    /* is being made */
    PW_AGENT_OVER,    /* has a result */
    PW_AGENT_PUZZLED, /* its MCP server asks something: a person is to be asked */
    PW_AGENT_PUZZLING /* is being asked */
} pw_agent_call_state;

/** One tool call of the last answer. Values live in the state's scope. */
typedef struct pw_agent_call {
    const char *id, *name;
    const pawl_value *arguments;
    const pawl_value *tool; /* of the configuration; NULL = there is none of that name */
    pw_agent_call_state state;
    int64_t command;
    int64_t asks;             /* how often a person was asked */
    const pawl_value *result; /* what the model is told */
    bool failed;
    bool watched; /* loop detection looks at it */
    const pawl_value *
        puzzle; /* of an MCP server: {questions: {key: {method, params}}, resume}; NULL = it asks nothing */
    const pawl_value *answers; /* so far: {key: {action, content}} */
    int64_t rounds;            /* how often it asked */
} pw_agent_call;

typedef struct pw_agent_strike {
    uint64_t call;
    int64_t level; /* 1 = told, 2 = blocked, 3 = tried all the same */
} pw_agent_strike;

/** One MCP server, while tools are listed. */
typedef struct pw_agent_listing {
    int64_t command; /* 0 = none is open */
    bool over;
    const pawl_value *tools; /* as it gave them; NULL = it could not be asked */
} pw_agent_listing;

/** All of it is made by events, and written down by pw_agent_save. */
typedef struct pw_agent {
    pawl_scope *keep;               /* holds this struct and the configuration */
    const pawl_value *config;       /* the input, without its task */
    const pawl_value *memory_tools; /* NULL = it has no memory */
    const pawl_value *find_tools;   /* NULL = it sees all of its tools */
    const pawl_value **tools;       /* all of the three, one by one */
    size_t tools_len;
    size_t shown_len; /* tools that it may see */
    const pawl_value *system_ref, *tools_ref;
    bool has_system, has_tools;

    pawl_scope *scope; /* of everything below; a new one with every answer */
    const pawl_value *convo;
    const pawl_value *pending; /* messages to append at once */
    const pawl_value *inbox;   /* messages to append before the model is asked */
    const pawl_value *more;    /* gathered for the next model call alone */
    const pawl_value *answer;
    const char *stop;
    const char *stuck; /* why a person is asked */
    const char *failure_type, *failure;
    const char *heir;         /* the tool that the conversation is handed over by */
    const pawl_value *handed; /* what whoever took over gave */
    const pawl_value
        *before; /* compactions that can be taken back: [{from, to}], the newest last */
    const pawl_value *compaction; /* the one under way, as the key of that name says */
    const pawl_value *summary;
    const pawl_value *only; /* names of the tools that the model sees; NULL = all */
    const pawl_value *wish,
        *said; /* what a user said last, and the model: texts that tools are chosen by */
    const pawl_value *found, *used; /* names: tools that the model found itself, and called last */
    pw_agent_call *calls;
    size_t calls_len;
    pw_agent_listing listing[PW_AGENT_SERVERS_MAX];
    bool relist; /* before the next turn */

    pw_agent_phase phase;
    int64_t turn; /* model calls so far */
    int64_t tokens,
        bytes; /* of the conversation: as the last answer says; what was appended since it is known */
    int64_t compacted_turn; /* the last compaction came before this one */
    bool compact_asked, restore_asked, compact_off;
    bool squeezed; /* it was too long for the model: once it is compacted for that */
    int64_t
        command; /* of the model call, of gathering, of the question when stuck; 0 = none is open */
    bool canceled;
    int64_t usage[PW_AGENT_USAGE];
    bool unpaid; /* the result that is looked at is another run's: its usage is not ours */
    uint64_t ring[PW_AGENT_RING]
                 [3]; /* call, result, tool if it only reads or failed: the newest first */
    pw_agent_strike strikes[PW_AGENT_STRIKES_MAX];
    size_t strikes_len;
    int64_t shown_turn;
    const char *shown_phase; /* static */
} pw_agent;

/* agent.c */

/** Its callbacks, as the engine takes them. */
const pawl_folded *pw_agent_folded(void);

/* agent_state.c */

void *pw_agent_new(void *user);
void pw_agent_free(void *state);
const pawl_value *pw_agent_save(const void *state, pawl_scope *scope);
void *pw_agent_load(const pawl_value *saved, void *user);
/** Takes the configuration out of a run's input. */
void pw_agent_configure(pw_agent *a, const pawl_value *input);
/** The same with another configuration: its servers have other tools (key "listed"). */
void pw_agent_tools_listed(pw_agent *a, const pawl_value *config);
/** A new scope, with what outlives a turn in it; the old one goes. */
void pw_agent_renew(pw_agent *a);
const char *pw_agent_phase_text(pw_agent_phase phase);
void pw_agent_usage_add(pw_agent *a, const pawl_value *usage);
/** {input, cache_read, cache_write, cache_write_1h, output, reasoning} so far. */
const pawl_value *pw_agent_usage(const pw_agent *a, pawl_scope *scope);
/** The agent fails, unless it has failed before. */
void pw_agent_fail(pw_agent *a, const char *type, const char *message);
/** list with item after it; nil lists are empty. */
const pawl_value *pw_agent_push(pawl_scope *scope, const pawl_value *list, const pawl_value *item);
const pawl_value *pw_agent_join(pawl_scope *scope, const pawl_value *first,
                                const pawl_value *second);

/* agent_apply.c */

void pw_agent_apply(void *state, const pawl_fold_event *event);
/** Text, a message or a list of messages, as a list; NULL = none of them. */
const pawl_value *pw_agent_messages(pawl_scope *scope, const pawl_value *v);

/* agent_answer.c */

/** What the model said: calls to make, or the end. */
void pw_agent_answered(pw_agent *a, const pawl_value *result);
/** If all calls are over: their results become a message, and the model is asked again. */
void pw_agent_acted(pw_agent *a);
/** All texts of a message, one after the other. */
const pawl_value *pw_agent_text(pawl_scope *scope, const pawl_value *parts);

/* agent_people.c: what a person says */

void pw_agent_asked(pw_agent *a, const pawl_fold_event *e);
void pw_agent_told(pw_agent *a, const pawl_fold_event *e);
/** An MCP server asks something. False: it may not, or asked nothing. */
bool pw_agent_puzzled(pw_agent *a, pw_agent_call *call, const pawl_failure *f);
/** True if all waits that are wanted could be created. */
bool pw_agent_ask_call(const pw_agent *a, pawl_fold *f, size_t index);
bool pw_agent_ask_stuck(const pw_agent *a, pawl_fold *f);

/* agent_compact.c: the conversation made shorter */

/** The model is to be asked: at once, or after the conversation was made shorter, or as it was. */
void pw_agent_ready(pw_agent *a);
/** A model call was refused since the conversation is too long. False: nothing can be done about it. */
bool pw_agent_squeeze(pw_agent *a, const char *type);
/** A step of it is on record: the key "compaction". */
void pw_agent_compacted(pw_agent *a, const pawl_value *v);
/** The summary has come, or not (NULL). */
void pw_agent_summed(pw_agent *a, const pawl_value *result);
/** What the phases COMPACTING, SUMMED and RESTORING ask for. convo: as it is now. Gives what is on record of it then. */
const pawl_value *pw_agent_compact(const pw_agent *a, pawl_fold *f, const pawl_value *convo);
/** What the model is asked for a summary: the messages before it, and the words. */
const pawl_value *pw_agent_summary_of(const pw_agent *a);
const pawl_value *pw_agent_summary_words(const pw_agent *a, pawl_scope *scope);

/* agent_tool.c */

const pawl_value *pw_agent_tool(const pw_agent *a, const char *name);
/** The tools as the model is to see them. */
const pawl_value *pw_agent_tools_shown(const pw_agent *a, pawl_scope *scope);
/** Policy: is it to be made, is a person to be asked, or is it over before it began? */
void pw_agent_call_judge(pw_agent *a, pw_agent_call *call);
/** Nothing stands in its way any more. */
void pw_agent_call_want(pw_agent *a, pw_agent_call *call);
/** False: its arguments do not fit the tool's schema, and it is over. */
bool pw_agent_call_fits(pw_agent *a, pw_agent_call *call);
/** Makes it: one command. 0 = refused. */
int64_t pw_agent_call_make(const pw_agent *a, const pw_agent_call *call, pawl_fold *f);
pw_agent_kind pw_agent_call_kind(const pw_agent_call *call);
void pw_agent_call_over(pw_agent_call *call, const pawl_value *result, bool failed);
void pw_agent_call_failed(pw_agent *a, pw_agent_call *call, const char *type, const char *message);
/** What an activity, a child or an MCP tool gave, as the model is told. */
void pw_agent_call_done(pw_agent *a, pw_agent_call *call, const pawl_value *value);

/* agent_choose.c: which tools the model sees */

/** The tool by which a model finds others, as a list; NULL = it needs none. */
const pawl_value *pw_agent_find_tools(pawl_scope *scope, const pawl_value *config);
/** There are so many tools that some have to be chosen. */
bool pw_agent_chooses(const pw_agent *a);
/** Asks for it. False: refused. */
bool pw_agent_choose(const pw_agent *a, pawl_fold *f, const pawl_value *tools,
                     const pawl_value *convo);
/** The model asks for it. 0 = refused. */
int64_t pw_agent_find(const pw_agent *a, const pw_agent_call *call, pawl_fold *f);
/** They are chosen; NULL: that failed. */
void pw_agent_chosen(pw_agent *a, const pawl_value *result);
/** What the model is told of what it found. */
const pawl_value *pw_agent_found(pw_agent *a, const pawl_value *result);
/** The last text of a user in messages, its beginning; NULL = there is none. */
const pawl_value *pw_agent_wish(pawl_scope *scope, const pawl_value *messages);
/** What is in the inbox is said; what the model says; its calls are over. */
void pw_agent_wished(pw_agent *a);
void pw_agent_said(pw_agent *a, const pawl_value *parts);
void pw_agent_used(pw_agent *a);

/* agent_servers.c: tools of MCP servers */

bool pw_agent_lists(const pw_agent *a);
/** They are to be listed now. */
void pw_agent_list_begin(pw_agent *a);
/** Asks those that were not asked. False: refused. */
bool pw_agent_list_ask(const pw_agent *a, pawl_fold *f);
void pw_agent_list_asked(pw_agent *a, int64_t command);
/** One is over; result NULL: it failed. */
void pw_agent_list_done(pw_agent *a, int64_t command, const pawl_value *result,
                        const pawl_failure *f);
/** What "mcp" is to be called with for a tool, but its arguments. */
const pawl_value *pw_agent_server_of(const pw_agent *a, pawl_scope *scope, const pawl_value *tool);
/** A call of it failed: the server may have other tools by now. */
void pw_agent_list_doubt(pw_agent *a, const pawl_value *tool, const char *type);
const pawl_value *pw_agent_list_save(const pw_agent *a, pawl_scope *scope);
void pw_agent_list_load(pw_agent *a, const pawl_value *saved);

/* agent_memory.c */

const pawl_value *pw_agent_memory_tools(pawl_scope *scope, const pawl_value *config);
/** False: what is to be remembered, or looked for, is too long; it is over. */
bool pw_agent_memory_fits(pw_agent *a, pw_agent_call *call);
int64_t pw_agent_memory_make(const pw_agent *a, const pw_agent_call *call, pawl_fold *f);
/** A put or a delete is on record. */
void pw_agent_memory_done(pw_agent *a, pw_agent_call *call, const pawl_failure *f);

/* agent_loop.c */

/** Looks at a call that is over: the n-th alike is told, then blocked. */
void pw_agent_loop_seen(pw_agent *a, const pw_agent_call *call);
/** True if a call like it was blocked; then the agent is stuck. */
bool pw_agent_loop_blocked(pw_agent *a, const pw_agent_call *call);
void pw_agent_loop_forget(pw_agent *a);

/* agent_budget.c */

/** What one model call may use at most: the input's `reserve`, else one call, and as much output as the request allows. */
const pawl_value *pw_agent_reserve(const pw_agent *a, pawl_scope *scope);
/** messages, with what is left of the budget once a soft limit is passed. */
const pawl_value *pw_agent_budget_said(pawl_fold *f, const pawl_value *messages);

/* agent_decide.c */

/** What was said meanwhile is appended now. */
bool pw_agent_speaks(const pw_agent *a);

void pw_agent_decide(void *state, pawl_fold *f);

#endif
