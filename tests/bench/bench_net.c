/*
 * bench_net.c - (k) many http activities at once, (l) many streaming model calls at once, (n) what a step of the agent costs beside its model
 * call. The server is bench_server.c, raw is bench_curl.c, each in its own process. Does not judge: no figure fails a build.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/pawl_agent.h"
#include "sdk/pawl_net.h"
#include "tests/bench/bench.h"

enum { AT_ONCE = 1000, PROMPT_BYTES = 200 };

static char base[64]; /* of the server's URLs */

static void need(pawl_status status, const pawl_error *err)
{
    if (status != PAWL_OK) {
        (void)fprintf(stderr, "pawl-bench: %s: %s\n", pawl_status_name(status), err->message);
        exit(1);
    }
}

/* ---- workflows ---- */

/* n requests, one after the other. */
static const pawl_value *fetches(pawl_run *w, const pawl_value *in)
{
    char url[96];
    (void)snprintf(url, sizeof url, "%s/small", base);
    for (int64_t i = 0; i < pawl_int(in, "n", 1) && pawl_ok(w); i++) {
        (void)pawl_call(w, "http", .input = pawl_json(w, "{url: %s}", url));
    }
    return NULL;
}

/* One model call; n = 1: its stream is held. */
static const pawl_value *asks(pawl_run *w, const pawl_value *in)
{
    char url[96], prompt[PROMPT_BYTES];
    (void)snprintf(url, sizeof url, "%s/%s/v1", base,
                   pawl_int(in, "n", 0) == 1 ? "hold" : "stream");
    memset(prompt, 'p', sizeof prompt);
    prompt[sizeof prompt - 1] = '\0';
    return pawl_call(
        w, "llm",
        .input = pawl_json(
            w,
            "{endpoint: {wire: 'openai-compatible', base_url: %s, auth: 'none', model: 'stub'}, request: {messages: [{role: 'user', text: %s}]}}",
            url, prompt));
}

static pawl_engine *net_open(const char *path)
{
    static const char *const egress[] = {"127.0.0.1", NULL};
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true};
    const pawl_net_options net = {.struct_size = sizeof net, .egress = egress};
    pawl_engine *e = NULL;
    pawl_error err;
    bench_files_raise();
    need(pawl_open(path, &o, &e, &err), &err);
    bench_register(e);
    need(pawl_net_register(e, &net, &err), &err);
    need(pawl_agent_register(e, &err), &err);
    need(pawl_register_workflow(e, "fetches", "1", fetches, NULL, &err), &err);
    need(pawl_register_workflow(e, "asks", "1", asks, NULL, &err), &err);
    need(pawl_resume_all(e, &err), &err);
    return e;
}

typedef struct cpu {
    int64_t engine, journal, net, pool, all, commits;
} cpu;

static cpu cpu_now(void)
{
    return (cpu){.engine = bench_thread_ns("pawl-engine"),
                 .journal = bench_thread_ns("pawl-journal"),
                 .net = bench_thread_ns("pawl-net"),
                 .pool = bench_thread_ns("pawl-pool"),
                 .all = bench_cpu_ns()};
}

static double us(int64_t after, int64_t before, int64_t n)
{
    return (double)(after - before) / 1000 / (double)n;
}

/* ---- (k) ---- */

static double fetch_block(pawl_engine *e, int block, int64_t each)
{
    char id[48];
    int64_t left = AT_ONCE, from = bench_ns();
    for (int i = 0; i < AT_ONCE; i++) {
        (void)snprintf(id, sizeof id, "k-%d-%d", block, i);
        bench_start(e, "fetches", id, each, 0);
    }
    for (int i = 0; i < AT_ONCE; i++) {
        (void)snprintf(id, sizeof id, "k-%d-%d", block, i);
        bench_ask_result(e, id, &left);
    }
    bench_await(e, &left);
    return (double)(bench_ns() - from) / 1e9;
}

void bench_http(bool full)
{
    int blocks = full ? 10 : 3;
    int64_t each = 10, all = (int64_t)AT_ONCE * each * blocks;
    char path[4096], url[96];
    double seconds = 0, raw_seconds = 0, raw_cpu = 0;
    cpu spent = {0};
    bench_server server;
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%d", bench_server_start(&server));
    (void)snprintf(url, sizeof url, "%s/small", base);
    bench_file("k.db", path);
    pawl_engine *e = net_open(path);
    (void)fetch_block(e, -1, 1);
    for (int i = 0; i < blocks; i++) {
        bench_note("(k) block %d of %d", i + 1, blocks);
        cpu before = cpu_now();
        seconds += fetch_block(e, i, each);
        cpu after = cpu_now();
        spent.engine += after.engine - before.engine;
        spent.journal += after.journal - before.journal;
        spent.net += after.net - before.net;
        spent.all += after.all - before.all;
        bench_load raw = bench_curl("get", url, AT_ONCE * each, AT_ONCE, 0);
        raw_seconds += raw.seconds;
        raw_cpu += raw.cpu_us / blocks;
    }
    bench_result("k. http activities, 1,000 at once (raw: curl alone)", (double)all / seconds,
                 "1/s", (double)all / raw_seconds);
    bench_result("k. http activity, CPU of all threads (raw: curl alone)", us(spent.all, 0, all),
                 "us", raw_cpu);
    bench_result("k. http activity, CPU of the network thread", us(spent.net, 0, all), "us",
                 raw_cpu);
    bench_result("k. http activity, CPU of the engine thread", us(spent.engine, 0, all), "us", 0);
    bench_result("k. http activity, CPU of the journal thread", us(spent.journal, 0, all), "us", 0);
    pawl_close(e, 0);
    bench_server_end(&server);
    bench_file("k.db", path);
}

/* ---- (l) ---- */

typedef struct firsts {
    int64_t begun[AT_ONCE];
    int64_t took[AT_ONCE];
    size_t len;
} firsts;

/* The first token of a run, by the number in its id. */
static void on_token(void *user, const pawl_value *event)
{
    firsts *f = user;
    const char *dash = strrchr(pawl_str(event, "id", ""), '-');
    long i = dash != NULL ? strtol(dash + 1, NULL, 10) : -1;
    if (pawl_is(event, "type", "Output") && i >= 0 && i < AT_ONCE && f->begun[i] != 0) {
        f->took[f->len++] = bench_ns() - f->begun[i];
        f->begun[i] = 0;
    }
}

static void until_firsts(pawl_engine *e, const firsts *f, size_t wanted)
{
    struct pollfd fd = {.fd = pawl_poll_fd(e), .events = POLLIN};
    while (f->len < wanted) {
        (void)poll(&fd, 1, 1000);
        (void)pawl_dispatch(e);
    }
}

static void ask_one_by_one(pawl_engine *e, firsts *f, int times)
{
    char id[48];
    f->len = 0;
    for (int i = 0; i < times; i++) {
        (void)snprintf(id, sizeof id, "one-%d", i);
        f->begun[i] = bench_ns();
        bench_start(e, "asks", id, 0, 0);
        until_firsts(e, f, (size_t)i + 1);
        bench_result_of(e, id);
    }
}

static int64_t ask_all_at_once(pawl_engine *e, firsts *f, int port)
{
    char id[48];
    int64_t left = AT_ONCE, rss = bench_rss();
    f->len = 0;
    for (int i = 0; i < AT_ONCE; i++) {
        (void)snprintf(id, sizeof id, "all-%d", i);
        f->begun[i] = bench_ns();
        bench_start(e, "asks", id, 1, 0);
    }
    until_firsts(e, f, AT_ONCE);
    int64_t bytes = (bench_rss() - rss) / AT_ONCE;
    (void)bench_ask(port, "/release");
    for (int i = 0; i < AT_ONCE; i++) {
        (void)snprintf(id, sizeof id, "all-%d", i);
        bench_ask_result(e, id, &left);
    }
    bench_await(e, &left);
    return bytes;
}

void bench_llm(bool full)
{
    int times = full ? AT_ONCE : 200;
    char path[4096], url[128];
    pawl_error err;
    bench_server server;
    firsts *f = calloc(1, sizeof *f);
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%d", bench_server_start(&server));
    bench_file("l.db", path);
    pawl_engine *e = net_open(path);
    need(pawl_watch_output(e, NULL, on_token, f, &err), &err);
    bench_note("(l) one by one");
    ask_one_by_one(e, f, times);
    (void)snprintf(url, sizeof url, "%s/stream/v1/chat/completions", base);
    bench_load raw = bench_curl("post", url, times, 1, PROMPT_BYTES + 150);
    bench_result("l. first token of a model call, from start to follower, p50 (raw: curl alone)",
                 bench_percentile(f->took, f->len, 0.5) / 1000, "us", raw.first_p50_us);
    bench_note("(l) 1000 at once");
    int64_t before = bench_cpu_ns();
    int64_t bytes = ask_all_at_once(e, f, server.port);
    double cpu_us = us(bench_cpu_ns(), before, AT_ONCE);
    (void)snprintf(url, sizeof url, "%s/hold/v1/chat/completions", base);
    raw = bench_curl("hold", url, AT_ONCE, AT_ONCE, PROMPT_BYTES + 150);
    bench_result("l. first token, 1,000 streams at once, p50",
                 bench_percentile(f->took, f->len, 0.5) / 1e6, "ms", raw.first_p50_us / 1000);
    bench_result("l. first token, 1,000 streams at once, p99",
                 bench_percentile(f->took, f->len, 0.99) / 1e6, "ms", raw.first_p99_us / 1000);
    bench_result("l. memory of a stream that is held, 1,000 at once", (double)bytes / 1024, "KiB",
                 raw.bytes / 1024);
    bench_result("l. CPU of a call of 20 tokens, all threads", cpu_us, "us", raw.cpu_us);
    pawl_close(e, 0);
    bench_server_end(&server);
    bench_file("l.db", path);
    free(f);
}

/* ---- (n) ---- */

/* Messages of 1 KB, by turns of user and model. */
static const pawl_value *conversation(pawl_scope *s, int64_t bytes)
{
    char text[1000];
    size_t len = (size_t)(bytes / 1024) | 1; /* the last is the user's */
    const pawl_value **list = calloc(len, sizeof *list);
    for (size_t i = 0; i < len; i++) {
        memset(text, 'a' + (int)(i % 26), sizeof text);
        text[sizeof text - 1] = '\0';
        list[i] = pawl_build(s, "{role: %s, text: %s}", i % 2 == 0 ? "user" : "assistant", text);
    }
    const pawl_value *v = pawl_make_array(s, list, len);
    free(list);
    return v;
}

static cpu agent_run(pawl_engine *e, int port, const char *id, int64_t bytes, int turns)
{
    char url[96];
    pawl_error err;
    pawl_scope *s = pawl_scope_new();
    (void)snprintf(url, sizeof url, "/turns/%d", turns - 1);
    (void)bench_ask(port, url);
    (void)snprintf(url, sizeof url, "%s/agent/v1", base);
    const pawl_value *input = pawl_build(
        s,
        "{task: %p, endpoint: {wire: 'openai-compatible', base_url: %s, auth: 'none', model: 'stub'}, max_turns: %d,"
        "tools: [{name: 'echo', description: 'Says what it is told', activity: 'echo', schema: {type: 'object', properties: {n: {type: 'integer'}}}}]}",
        pawl_v(conversation(s, bytes)), url, turns);
    const pawl_start_options o = {.workflow = "agent", .id = id, .input = input};
    int64_t commits = bench_stat(e, "commits");
    cpu before = cpu_now();
    need(pawl_start(e, &o, sizeof o, NULL, &err), &err);
    bench_result_of(e, id);
    cpu after = cpu_now();
    pawl_scope_free(s);
    return (cpu){after.engine - before.engine,
                 after.journal - before.journal,
                 after.net - before.net,
                 after.pool - before.pool,
                 0,
                 bench_stat(e, "commits") - commits};
}

/* What a step more costs: a long run less a short one, so that the start is in neither. */
static void agent_steps(pawl_engine *e, int port, int64_t bytes, const char *size, bool full)
{
    enum { SHORT = 2, LONG = 10, ROUNDS = 9 };
    char id[48], url[128], name[96];
    int rounds = full ? 4 * ROUNDS : ROUNDS;
    int64_t ours[4 * ROUNDS], theirs[4 * ROUNDS], over[4 * ROUNDS];
    cpu sum = {0};
    (void)snprintf(url, sizeof url, "%s/agent/v1/chat/completions", base);
    for (int i = 0; i < rounds; i++) {
        bench_note("(n) %s, round %d of %d", size, i + 1, rounds);
        (void)snprintf(id, sizeof id, "n-%lld-%d-short", (long long)bytes, i);
        cpu few = agent_run(e, port, id, bytes, SHORT);
        (void)snprintf(id, sizeof id, "n-%lld-%d-long", (long long)bytes, i);
        cpu many = agent_run(e, port, id, bytes, LONG);
        sum.engine += many.engine - few.engine;
        sum.journal += many.journal - few.journal;
        sum.net += many.net - few.net;
        sum.pool += many.pool - few.pool;
        sum.commits += many.commits - few.commits;
        ours[i] = (many.engine + many.journal + many.net + many.pool - few.engine - few.journal -
                   few.net - few.pool) /
                  (LONG - SHORT);
        (void)bench_ask(port, "/turns/1000000");
        theirs[i] =
            (int64_t)(bench_curl("post", url, 400, 1, bench_ask(port, "/size")).cpu_us * 1000);
        over[i] = ours[i] - theirs[i];
    }
    int64_t steps = (int64_t)rounds * (LONG - SHORT);
    (void)snprintf(name, sizeof name,
                   "n. agent step, %s conversation, CPU (raw: its request by curl alone)", size);
    bench_result(name, bench_percentile(ours, (size_t)rounds, 0.5) / 1000, "us",
                 bench_percentile(theirs, (size_t)rounds, 0.5) / 1000);
    (void)snprintf(name, sizeof name, "n. agent step, %s conversation, beyond the raw call", size);
    bench_result(name, bench_percentile(over, (size_t)rounds, 0.5) / 1000, "us", 0);
    (void)snprintf(name, sizeof name, "n. agent step, %s, engine thread", size);
    bench_result(name, us(sum.engine, 0, steps), "us", 0);
    (void)snprintf(name, sizeof name, "n. agent step, %s, journal thread", size);
    bench_result(name, us(sum.journal, 0, steps), "us", 0);
    (void)snprintf(name, sizeof name, "n. agent step, %s, network thread", size);
    bench_result(name, us(sum.net, 0, steps), "us", 0);
    (void)snprintf(name, sizeof name, "n. agent step, %s, threads of tools", size);
    bench_result(name, us(sum.pool, 0, steps), "us", 0);
    (void)snprintf(name, sizeof name, "n. agent step, %s, commits", size);
    bench_result(name, (double)sum.commits / (double)steps, "", 0);
}

void bench_agent(bool full)
{
    char path[4096];
    bench_server server;
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%d", bench_server_start(&server));
    bench_file("n.db", path);
    pawl_engine *e = net_open(path);
    (void)agent_run(e, server.port, "n-warm", 4096, 5);
    agent_steps(e, server.port, 4096, "4 KB", full);
    agent_steps(e, server.port, 200 * 1024, "200 KB", full);
    pawl_close(e, 0);
    bench_server_end(&server);
    bench_file("n.db", path);
}
