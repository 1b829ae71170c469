/*
 * sim.c - the engine's real core under a seed.
 *
 *   pawl-sim SEED [STEPS]      one seed, twice: the second run must be the same to the bit
 *   pawl-sim --ci SECONDS [N]  seeds 1, 2, 3 ... as many as fit, N (24) at least; PAWL_LONG=1: fresh ones
 *
 * One thread, a virtual clock, a journal in memory. Crashes drop the core between any two moves: decided, written, answered, published.
 * When the steps are over faults stop, clients and workers go on, and every run has to reach its end.
 *
 * [E1] nothing is dispatched that the journal does not hold      [E4] a report of another attempt or epoch changes nothing
 * [E2] [E3] pw_core_check after each step                        [E5] histories rebuild without a mismatch after a crash
 * [E6] groups that do not land leave nothing behind
 * Does not use SQLite: the fault tests of the journal do.
 */
#include "sim.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "sdk/base/hash.h"
#include "sdk/base/mem.h"

#define STEPS_DEFAULT 2500
#define FIRST_SEED 1
#define SEEDS_MIN 24

static sim the_sim; /* what a signal handler can say */

static void say_how(int fd)
{
    char text[160];
    int n = snprintf(text, sizeof text, "\nagain: pawl-sim %llu %ld\n",
                     (unsigned long long)the_sim.seed, the_sim.steps);
    (void)!write(fd, text, (size_t)n);
}

static void on_signal(int sig)
{
    say_how(STDERR_FILENO);
    (void)signal(sig, SIG_DFL);
    (void)raise(sig);
}

static void on_exit_early(void)
{
    if (!the_sim.over) {
        say_how(STDERR_FILENO);
    }
}

void sim_fail(const sim *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fprintf(stderr, "\nseed %llu: ", (unsigned long long)s->seed);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fflush(stdout);
    exit(1);
}

uint64_t sim_draw(sim *s, uint64_t below)
{
    return (rig_draw(&s->rng) >> 11) % below;
}

bool sim_chance(sim *s, uint64_t one_in)
{
    return sim_draw(s, one_in) == 0;
}

bool sim_jumps(const sim *s)
{
    return s->seed % 2 == 0;
}

void sim_note(sim *s, const void *data, size_t size)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i++) {
        s->hash = (s->hash ^ p[i]) * 0x100000001b3u;
    }
}

/* ---- what may happen ---- */

static void order_fault(sim *s)
{
    static const pw_memory_fault kinds[] = {PW_FAULT_NOT, PW_FAULT_NOSPACE, PW_FAULT_UNKNOWN_LANDED,
                                            PW_FAULT_UNKNOWN_LOST, PW_FAULT_CHECKPOINT};
    pw_memory_fail_commit(s->r->store, kinds[sim_draw(s, 5)], sim_draw(s, 3));
    if (sim_chance(s, 8)) {
        pw_memory_fail_reopen(s->r->store, 1);
    }
    s->r->scarce = sim_chance(s, 6);
    s->faults++;
}

/* Now and then code is missing at a start, and the process says that a run ended the last one. */
static void boot(sim *s)
{
    rig *r = s->r;
    static const char *const names[] = {"chaos", "counter", "tally"};
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        for (size_t k = 0; k < r->code_len; k++) {
            if (r->code[k].version != NULL && strcmp(r->code[k].name, names[i]) == 0) {
                r->code[k].missing = !s->calm && sim_chance(s, 12);
            }
        }
    }
    if (!s->calm && sim_chance(s, 6)) {
        r->crumb = (pw_crumb_found){.run = (int64_t)sim_draw(s, 60) + 1, .site = "drawn"};
    }
    pw_memory_fail_reopen(r->store, 0);
    rig_boot(r);
}

static void crash(sim *s)
{
    s->crashes++;
    rig_kill(s->r);
    boot(s);
}

static void bring_code(sim *s)
{
    rig *r = s->r;
    for (size_t k = 0; k < r->code_len; k++) {
        if (r->code[k].missing) {
            rig_code *c = &r->code[k];
            pawl_error err;
            c->missing = false;
            SIM_CHECK(s,
                      pw_core_workflow(r->core, c->name, c->version, c->fn, c->folded, NULL,
                                       &err) == PAWL_OK,
                      "register: %s", err.message);
        }
    }
}

static void let_time_pass(sim *s)
{
    rig *r = s->r;
    uint64_t d = sim_draw(s, 40);
    if (d < 30) {
        r->now_ms += (int64_t)sim_draw(s, 400);
    } else if (d < 37 || s->calm) {
        r->now_ms += r->next_ms > 0 ? r->next_ms : (int64_t)sim_draw(s, 20000);
    } else if (d < 39) {
        r->now_ms += (int64_t)sim_draw(s, 900000);
    } else if (sim_jumps(s)) { /* the wall clock jumps, either way */
        int64_t by = (int64_t)sim_draw(s, 7200000) - 3600000;
        r->now_ms += by;
        r->jumped_ms += by;
        s->jumps++;
        pw_core_clock_changed(r->core);
    }
}

static void move(sim *s)
{
    rig *r = s->r;
    switch (sim_draw(s, 6)) {
    case 0:
    case 1:
        rig_step(r);
        break;
    case 2:
        (void)rig_commit(r);
        break;
    case 3:
        (void)rig_answer(r);
        break;
    case 4:
        (void)rig_deliver(r);
        break;
    default:
        sim_work(s);
        break;
    }
}

static void act(sim *s)
{
    uint64_t d = sim_draw(s, 1000);
    if (d < 760) {
        move(s);
    } else if (d < 870) {
        let_time_pass(s);
    } else if (d < 960) {
        sim_op_random(s);
    } else if (d < 970) {
        sim_report_double(s);
    } else if (d < 980) {
        order_fault(s);
    } else if (d < 984) {
        bring_code(s);
    } else if (d < 995 || !sim_chance(s, 2)) {
        move(s);
    } else {
        crash(s);
    }
}

static void after_act(sim *s)
{
    if (s->r->failed) { /* it stopped for good: its host starts it anew */
        crash(s);
    }
    sim_ops_look(s);
    sim_check_step(s);
}

/* ---- the end ---- */

static void drain(sim *s)
{
    rig *r = s->r;
    for (int i = 0; i < 400; i++) {
        rig_step(r);
        bool more = rig_commit(r);
        more |= rig_answer(r);
        more |= rig_deliver(r);
        if (r->tasks != NULL) {
            sim_work(s);
        }
        after_act(s);
        if (!more && r->next_ms != 0 && r->tasks == NULL) {
            return;
        }
    }
}

static void settle(sim *s)
{
    char text[400] = "";
    s->calm = true;
    s->r->scarce = false;
    pw_memory_fail_commit(s->r->store, PW_FAULT_NONE, 0);
    pw_memory_fail_reopen(s->r->store, 0);
    bring_code(s);
    bool stopped = false;
    int64_t open = 0;
    for (int round = 0; round < 3000; round++) {
        drain(s);
        sim_resume_all(s);
        sim_answer_waits(s, true);
        drain(s);
        open = sim_open_run(s, text, sizeof text);
        if (open == 0 && s->ops_len == 0 && s->r->tasks == NULL) {
            return;
        }
        bool only_counters = open != 0 && strstr(text, "counter-") == text && s->ops_len == 0;
        if (only_counters && !stopped) {
            stopped = true;
            sim_counters_stop(s);
        }
        s->r->now_ms += s->r->next_ms > 0 ? s->r->next_ms : 1000;
    }
    const sim_op *o = s->ops;
    sim_tell_run(s, open);
    sim_fail(s, "it does not end: %s; %zu requests are open (first: %s %s, %s)", text, s->ops_len,
             o != NULL ? o->op : "", o != NULL ? o->id : "",
             o != NULL && o->reply != NULL && !o->reply->done ? "never answered"
                                                              : "to be repeated");
}

static uint64_t simulate(uint64_t seed, long steps)
{
    sim *s = &the_sim;
    *s = (sim){.seed = seed, .steps = steps, .hash = 0xcbf29ce484222325u, .next_number = 1};
    s->rng = seed;
    s->rng = rig_draw(&s->rng) ^ seed << 32; /* neighbours must not draw the same, one step apart */
    s->r = rig_open((rig_mode)(seed % 3));
    s->r->random = seed ^ 0x5555;
    s->r->user = s;
    s->r->on_dispatch = sim_dispatched;
    sim_code_register(s);
    sim_counters_start(s);
    for (long i = 0; i < steps; i++) {
        act(s);
        after_act(s);
    }
    settle(s);
    sim_check_end(s);
    sim_ops_free(s);
    sim_effects_free(s);
    rig_close(s->r);
    s->over = true;
    return s->hash;
}

/* ---- driver ---- */

static double seconds_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_one(void)
{
    const sim *s = &the_sim;
    (void)printf(
        "seed %llu: %ld steps, %d runs, %ld events, %ld crashes, %ld ordered faults, %ld clock jumps, %ld attempts, "
        "%ld doubled and %ld forged reports, %ld acks, trace %016llx\n",
        (unsigned long long)s->seed, s->steps, s->runs, s->events, s->crashes, s->faults, s->jumps,
        s->attempts, s->doubles, s->stales, s->acks, (unsigned long long)s->hash);
}

static int run_one(uint64_t seed, long steps)
{
    uint64_t first = simulate(seed, steps);
    print_one();
    uint64_t second = simulate(seed, steps);
    if (first != second) {
        the_sim.over = false;
        sim_fail(&the_sim, "the same seed gave another trace: %016llx", (unsigned long long)second);
    }
    return 0;
}

static int run_many(double seconds, uint64_t seeds_min)
{
    double from = seconds_now();
    bool fresh = getenv("PAWL_LONG") != NULL;
    uint64_t from_seed = fresh ? (uint64_t)time(NULL) * 1000
                               : FIRST_SEED; /* in a build server the same ones each time */
    long seeds = 0, crashes = 0, steps = 0, attempts = 0, acks = 0;
    for (uint64_t i = 0; i < seeds_min || seconds_now() - from < seconds; i++) {
        (void)simulate(from_seed + i, STEPS_DEFAULT);
        seeds++;
        crashes += the_sim.crashes;
        steps += the_sim.steps;
        attempts += the_sim.attempts;
        acks += the_sim.acks;
    }
    double took = seconds_now() - from;
    (void)printf(
        "%ld seeds, %ld steps, %ld crashes (%.0f a second), %ld attempts, %ld acks: nothing lost, nothing twice\n",
        seeds, steps, crashes, (double)crashes / took, attempts, acks);
    return run_one(FIRST_SEED, STEPS_DEFAULT);
}

int main(int argc, char **argv)
{
    (void)signal(SIGABRT, on_signal);
    (void)atexit(on_exit_early);
    if (argc > 1 && strcmp(argv[1], "--ci") == 0) {
        return run_many(argc > 2 ? strtod(argv[2], NULL) : 40,
                        argc > 3 ? strtoull(argv[3], NULL, 10) : SEEDS_MIN);
    }
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : FIRST_SEED;
    return run_one(seed, argc > 2 ? strtol(argv[2], NULL, 10) : STEPS_DEFAULT);
}
