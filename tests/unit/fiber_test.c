/*
 * fiber_test.c - stacks: switching, pooling, depth, guards, discarding.
 *
 * Does not test scheduling: fibers have none.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/fiber.h"
#include "engine/fiber_annotate.h"
#include "engine/fiber_backend.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

#ifdef PW_TSAN
#define MANY 2000 /* TSan holds about eight thousand contexts */
#else
#define MANY 10000
#endif
#ifdef PW_ASAN
#define AT_LEAST(bytes) 64 /* frames may live on ASan's fake stack */
#else
#define AT_LEAST(bytes) (bytes)
#endif

typedef struct walker {
    pw_fiber *fiber;
    int steps;
    int at;
    double sum; /* floating point state must survive switches */
} walker;

static void walk(void *arg)
{
    walker *w = arg;
    char name[64] = "a frame with something on it";
    for (w->at = 0; w->at < w->steps; w->at++) {
        w->sum += 0.5;
        pw_fiber_yield(w->fiber);
        assert_string_equal(name, "a frame with something on it");
    }
}

static pw_fiber *make(pw_fiber_fn fn, void *arg, size_t bytes)
{
    pawl_error err;
    pw_fiber *f = NULL;
    if (pw_fiber_new(fn, arg, bytes, &f, &err) != PAWL_OK) {
        fail_msg("%s", err.message);
    }
    return f;
}

static void a_fiber_goes_to_and_fro_and_ends(void **state)
{
    (void)state;
    walker w = {.steps = 3};
    w.fiber = make(walk, &w, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(pw_fiber_resume(w.fiber));
        assert_int_equal(w.at, i);
    }
    assert_false(pw_fiber_resume(w.fiber));
    assert_true(w.sum > 1.4 && w.sum < 1.6);
    pw_fiber_free(w.fiber);
    pw_fiber_free(NULL);
    print_message("backend: %s\n", pw_ctx_backend());
}

static void ten_thousand_fibers_live_at_once(void **state)
{
    (void)state;
    const size_t many =
        pw_note_valgrind_on() ? 1000 : MANY; /* it walks a list of all stacks at each switch */
    walker *all = calloc(many, sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < many; i++) {
        all[i].steps = 2;
        all[i].fiber = make(walk, &all[i], 0);
    }
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < many; i++) {
            assert_int_equal(pw_fiber_resume(all[i].fiber), round < 2);
        }
    }
    for (size_t i = 0; i < many; i++) {
        pw_fiber_free(all[i].fiber);
    }
    free(all);
    pw_fiber_trim();
}

static void a_suspended_fiber_can_be_discarded(void **state)
{
    (void)state;
    for (int i = 0; i < 1000;
         i++) { /* the same stacks again and again, poisoned by what was left on them */
        walker w = {.steps = 5};
        w.fiber = make(walk, &w, 0);
        assert_true(pw_fiber_resume(w.fiber));
        pw_fiber_free(w.fiber);
    }
    walker never_started = {.steps = 1};
    never_started.fiber = make(walk, &never_started, 0);
    pw_fiber_free(never_started.fiber);
}

typedef struct nest {
    pw_fiber *fiber;
    struct nest *inner;
    int seen;
} nest;

static void nested(void *arg)
{
    nest *n = arg;
    n->seen = 1;
    if (n->inner != NULL) {
        assert_true(pw_fiber_resume(n->inner->fiber));
        n->seen = 2;
        pw_fiber_yield(n->fiber);
        assert_false(pw_fiber_resume(n->inner->fiber));
        n->seen = 3;
    } else {
        pw_fiber_yield(n->fiber);
        n->seen = 4;
    }
}

static void a_fiber_may_resume_another(void **state)
{
    (void)state;
    nest inner = {0};
    nest outer = {.inner = &inner};
    inner.fiber = make(nested, &inner, 0);
    outer.fiber = make(nested, &outer, 0);
    assert_true(pw_fiber_resume(outer.fiber));
    assert_int_equal(outer.seen, 2);
    assert_false(pw_fiber_resume(outer.fiber));
    assert_int_equal(outer.seen, 3);
    assert_int_equal(inner.seen, 4);
    pw_fiber_free(outer.fiber);
    pw_fiber_free(inner.fiber);
}

typedef struct digger {
    pw_fiber *fiber;
    size_t bytes;
} digger;

static void dig(digger *d, size_t left);
static void (*volatile dig_again)(digger *d,
                                  size_t left) = dig; /* so that no compiler makes a loop of it */

static void dig(digger *d, size_t left)
{
    volatile char frame[1024];
    for (size_t i = 0; i < sizeof frame; i++) {
        frame[i] = 0x5a;
    }
    if (left > sizeof frame) {
        dig_again(d, left - sizeof frame);
    } else {
        pw_fiber_yield(d->fiber);
    }
    assert_int_equal(frame[sizeof frame - 1], 0x5a);
}

static void digging(void *arg)
{
    digger *d = arg;
    dig(d, d->bytes);
}

static void the_peak_is_what_was_touched_also_on_a_reused_stack(void **state)
{
    (void)state;
    pw_fiber_trim();
    digger deep = {.bytes = 100 << 10};
    deep.fiber = make(digging, &deep, 1 << 20);
    assert_true(pw_fiber_resume(deep.fiber));
    assert_in_range(pw_fiber_peak(deep.fiber), AT_LEAST(100 << 10),
                    600 << 10); /* instrumented frames are several times larger */
    pw_fiber_free(deep.fiber);

    digger middle = {.bytes = 30 << 10};
    middle.fiber = make(digging, &middle, 0);
    assert_true(pw_fiber_resume(middle.fiber));
    assert_in_range(pw_fiber_peak(middle.fiber), AT_LEAST(30 << 10), 200 << 10);
    pw_fiber_free(middle.fiber);

    walker w = {.steps = 1};
    w.fiber = make(walk, &w, 0); /* the stack of middle, from the pool */
    assert_in_range(pw_fiber_peak(w.fiber), 64, pw_note_valgrind_on() ? 4096 : 2048);
    assert_true(pw_fiber_resume(w.fiber));
    assert_in_range(pw_fiber_peak(w.fiber), 64, 8 << 10);
    pw_fiber_free(w.fiber);
}

static void a_stack_size_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    pawl_error err;
    pw_fiber *f = NULL;
    assert_int_equal(pw_fiber_new(walk, NULL, (size_t)PW_STACK_BYTES_MAX + 1, &f, &err),
                     PAWL_LIMIT);
    assert_null(f);
}

static void without_memory_there_is_no_fiber_and_no_leak(void **state)
{
    (void)state;
    bool failed = true;
    for (int64_t nth = 1; failed; nth++) {
        pawl_error err;
        pw_fiber *f = NULL;
        pw_fiber_trim(); /* else the pool answers */
        pw_mem_fail(nth, true);
        const pawl_status status = pw_fiber_new(walk, NULL, 0, &f, &err);
        (void)pw_mem_count(&failed);
        pw_mem_fail(0, false);
        assert_int_equal(status, failed ? PAWL_NOMEM : PAWL_OK);
        pw_fiber_free(f);
    }
}

/* ---- overflow: in a child process, which reports by its exit status ---- */

enum { NAMED = 42, NOT_NAMED = 43 };
static char culprit[] = "the culprit";

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    void *arg = NULL;
    _exit(pw_fiber_guard_hit(info->si_addr, &arg) && arg == culprit ? NAMED : NOT_NAMED);
}

static int bottomless(int depth);
static int (*volatile bottomless_again)(int depth) = bottomless;

static int bottomless(int depth)
{
    volatile char frame[2048];
    frame[0] = (char)depth;
    return bottomless_again(depth + 1) + frame[0];
}

static void overflow(void *arg)
{
    (void)arg;
    (void)bottomless(0);
}

static void an_overflow_hits_the_guard_and_names_the_fiber(void **state)
{
    (void)state;
    void *arg = NULL;
    int here = 0;
    assert_false(pw_fiber_guard_hit(&here, &arg));
    assert_false(pw_fiber_guard_hit(NULL, &arg));
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static char alternate[64 << 10];
        const stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate};
        struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigaltstack(&ss, NULL);
        sigaction(SIGSEGV, &sa, NULL);
        pawl_error err;
        pw_fiber *f = NULL;
        if (pw_fiber_new(overflow, culprit, 0, &f, &err) == PAWL_OK) {
            pw_fiber_resume(f);
        }
        _exit(1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), NAMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fiber_goes_to_and_fro_and_ends),
        cmocka_unit_test(ten_thousand_fibers_live_at_once),
        cmocka_unit_test(a_suspended_fiber_can_be_discarded),
        cmocka_unit_test(a_fiber_may_resume_another),
        cmocka_unit_test(the_peak_is_what_was_touched_also_on_a_reused_stack),
        cmocka_unit_test(a_stack_size_beyond_the_limit_is_refused),
        cmocka_unit_test(without_memory_there_is_no_fiber_and_no_leak),
        cmocka_unit_test(an_overflow_hits_the_guard_and_names_the_fiber),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
