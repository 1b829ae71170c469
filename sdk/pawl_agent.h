/*
 * pawl_agent.h - the workflow "agent": a model in a loop with tools, durable. It is part of libpawl_net.
 *
 *     pawl_net_register(engine, &net, &err);
 *     pawl_agent_register(engine, &err);
 *     pawl_start(engine, &(pawl_start_options){.workflow = "agent", .id = "fix-7", .input = input}, sizeof(pawl_start_options), NULL, &err);
 *
 * It takes
 *
 *     task                 text, a message, or a list of messages (pawl_llm.h)
 *     endpoint | endpoints, model      as "llm" takes them; `request`: further members of each request (max_tokens, temperature ...);
 *                          `llm`: further members of each call of "llm" (stream, repairs, timeout_s ...)
 *     system               text
 *     tools                [TOOL ...]
 *     servers              {NAME: SERVER, up to 16}: MCP servers whose tools are the agent's too, without being named one by one
 *     max_turns            model calls; default 20. In the last one it may call no tool and is told so
 *     answer_schema        JSON Schema: the final answer is a value that fits
 *     conversation         a reference (pawl_convo_append): what was said before; `conversation` of an earlier result
 *     context              the name of an activity, or {activity, input}: asked before each model call with {conversation, turn, input}; the text
 *                          or list of messages it gives goes with that call and is not part of the conversation
 *     approval             {deadline_s}: a question that nobody answered by then is answered with "reject", "decline" or "stop"; {quorum, rejects,
 *                          who, barred, four_eyes, escalate_s, escalate_to, defer_max_s} as pawl_ask has them; quorum and rejects: of calls
 *     compact              {tokens, bytes: of the conversation, from where on it is made shorter; keep_turns: the last turns stay as they are
 *                          (default 6); summary: false = results of tools are cleared, nothing more; prompt: what a summary is asked for
 *                          with}, or false. Default: only when a model says that it is too long, once
 *     memory               {namespace: whose it is ("team/agent"), write: "allow" (default) | "ask" | "deny", ttl_s, limit: of a search, default 10}:
 *                          the model gets the tools memory_search, memory_put and memory_delete (pawl_memory_put; `pawl memory`)
 *     choose               {k: 10, at_least, by, always: [names], find: true, activity: "choose"}: with more tools than k, the model sees in each turn
 *                          those that fit what was said last best (pawl_choose.h), `always`, those of memory, and what it has just used; with find
 *                          also a tool find_tools by which it finds others. Denied tools are left out before
 *     reserve              what each model call may use at most, in the run's budget (pawl_workflow.h): {usd: 0.05, tokens: 8000, calls: 1};
 *                          default: {calls: 1}, and request.max_tokens of output. Past a soft limit the model is told what is left
 *     model_timeout_s, model_retries   of each model call; default: none, and as pawl_call
 *     cache_s, cache_scope     an answer that the same request had at most so long ago, in whatever run, is taken for it (pawl_call); its usage is not
 *                          counted again
 *
 * TOOL = {name, description, schema: JSON Schema of its arguments, and one of
 *   activity: name       called with the arguments
 *   workflow: name       run as a child with the arguments as input; "agent" is one
 *   mcp: {server, tool, ...}     as "mcp" takes it (pawl_net.h); tool: default the name
 *   handoff: {workflow: default "agent", input}     takes the conversation over: a child run with input and `conversation`; its answer is the answer
 *                          of this run. endpoint(s), model, request, llm, approval, compact and the turns that are left go along, unless input
 *                          says otherwise; tools and system do not;
 *   all else is optional:
 *   input: {..}          members beside the arguments, which win
 *   policy               "allow" (default); "ask": a person approves each call; "deny": not shown to the model, and refused
 *   timeout_s              of one attempt, or of the child's run
 *   retries, effect: "pure" | "idempotent" | "unsafe", queue      of an activity or MCP call, as pawl_call has them
 *   tags                 [text ..]: words that it is chosen by, beside its name, description and schema; the model is not told
 *   poll                 true: the same call with the same result again is no loop}
 *
 * SERVER = {server: as "mcp" takes it (pawl_net.h), and, all optional,
 *   only, ask, deny      names of its tools, a last * stands for the rest: all others are none of the agent's; policies of these
 *   policy               of its other tools: "allow" (default), "ask", "deny"
 *   optional             true: without it, if it cannot be asked; default: the run fails as "mcp" does
 *   timeout_s, retries, effect, queue     of each call}
 * They are listed before the first turn, at most 2000; the lists are journaled. Its tool T is called NAME_T (what providers do not take becomes _, at most 64
 * bytes), after `tools`, whose names come first; tagged NAME; and chosen among as any other (`choose`). When a call meets UnknownTool, or the signal "relist"
 * comes, they are listed again before the next turn (a server that is away then keeps its tools): "mcp" keeps a list until the server says that it has
 * changed.
 *
 * and gives {answer: text, or what fits answer_schema; stop, turns, usage: {..}, conversation; handed_to: the tool it was handed over by}.
 *
 * Tools are chosen by an activity, whose result, the names, is in the journal before the model is asked: what is indexed or installed later changes no
 * turn of the past. If what is chosen was all shown before, the set stays as it was, and with it what a provider has cached. If nobody can
 * choose, the model sees all of its tools.
 *
 * Each answer is journaled before anything follows from it, and is not asked for again. Tool calls of one answer run at the same time; what they
 * give, or how they failed, is told to the model; arguments that do not fit a tool's schema are told, and nothing is called. Every message is
 * journaled in the conversation, once, and calls refer to it.
 *
 * A conversation made shorter is a new one in the journal; the one before stays as it is. First the results of tools become stubs that name what
 * was cleared; if that saves less than three tenths, all before the last turns but the task and messages with pinned: true becomes a summary, by
 * the same model. Between two such steps it only grows at its end, so what a provider has cached of it stays good.
 *
 * While it runs:
 *     signal "message"     text, {text} or {parts}: said to the model before its next turn, or instead of ending
 *     signal "compact", "uncompact"    before its next turn: as above, now; the conversation as it was before the last time, with what was said since,
 *                          which then is not made shorter until "compact"
 *     wait "approve-TURN-CALL[-ASK]"   show {tool, arguments}; choices approve | reject (data: why) | modify (data: other arguments)
 *     wait "answer-TURN-CALL-ASK"      what the MCP server of a call asks; choices accept (data: as its schema says) | decline | cancel; the call goes on
 *     wait "stuck-TURN"    choices continue (data: what to tell the agent) | stop
 *     key "agent"          {phase, turn, max_turns, usage, conversation}
 *     key "compaction"     the last step: {step: cleared | summary | restored | nothing, turn, from, to, bytes_before, bytes_after}; from, to: conversations
 *     pause, cancel        of the run
 *
 * Calls that lead nowhere: the same with the same result the third time in five; two that take turns; five of a tool that fails, or is "pure",
 * with the same result. The model is told; then such calls are refused; then a person is asked.
 *
 * It fails with MaxTurns, NoAnswer (the model refused, or did not fit the schema), LoopDetected, BadInput (a schema that is none ...),
 * TooManyCalls, ToolRefused (a tool that cannot be called: its name, its options), OutOfMemory, or as "llm" does. A failed run can be retried: what
 * was answered stands.
 *
 * Owns: nothing is kept of what is handed in.
 * Replay: the functions are the host's; a workflow starts an agent as a child (pawl_child), whose result is in its journal.
 * Thread: any. Clean as C99 and C++11.
 */
#ifndef PAWL_AGENT_H
#define PAWL_AGENT_H

#include "pawl.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Registers the workflow "agent", and the activity "choose" by words unless there is one (pawl_choose_register). It calls "llm", "mcp" and "choose" by
 * these names, whoever registered them. Errors: EXISTS, LIMIT. */
PAWL_API PAWL_MUST_USE pawl_status pawl_agent_register(pawl_engine *engine, pawl_error *err);

#ifdef __cplusplus
}
#endif
#endif
