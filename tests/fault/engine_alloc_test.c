/*
 * engine_alloc_test.c - the n-th allocation of the engine fails, for n = 1, 2, 3 ... until there is no n-th: once, and from there on for
 * some seconds. No abort, no leak, nothing acknowledged is lost, and when memory is back everything ends as it would have [E8].
 *
 * PAWL_LONG=1, or --long: every n in every mode; otherwise every few. --only MODE:N:STICKY tells one of them (as a failure prints it).
 * Does not fail the allocations of SQLite: allocfault_test.c does.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "engine_story.h"

static story_fault only;
static bool all;
static char again[96]; /* for the signal handler: how to see the same once more */

static void on_abort(int sig)
{
    (void)sig;
    (void)!write(STDERR_FILENO, again, strnlen(again, sizeof again));
}

static bool tell(const story_fault *f)
{
    (void)snprintf(again, sizeof again, "again: fault_engine_alloc --only %d:%lld:%d\n",
                   (int)f->mode, (long long)f->nth, f->sticky ? 1 : 0);
    return story_tell(f);
}

static void loop(rig_mode mode, bool sticky, int64_t stride)
{
    story_fault f = {.mode = mode, .nth = 1, .sticky = sticky};
    int64_t faults = 0;
    if (only.nth != 0) {
        if (only.mode == mode && only.sticky == sticky) {
            (void)tell(&only);
        }
        return;
    }
    while (tell(&f)) {
        faults++;
        f.nth += all ? 1 : stride;
    }
    print_message("%lld faults\n", (long long)faults);
    assert_true(faults > 20);
}

static int close_story(void **state)
{
    (void)state;
    if (story_close()) {
        (void)fputs(again, stderr);
    }
    return 0;
}

static void nothing_failing_the_story_ends_as_told(void **state)
{
    (void)state;
    for (int mode = 0; mode < RIG_MODES && only.nth == 0; mode++) {
        assert_false(tell(&(story_fault){.mode = (rig_mode)mode}));
    }
}

static void one_failed_allocation_loses_nothing(void **state)
{
    (void)state;
    loop(RIG_NORMAL, false, 11);
}

static void no_memory_for_some_seconds_loses_nothing(void **state)
{
    (void)state;
    loop(RIG_NORMAL, true, 17);
}

static void one_failed_allocation_loses_nothing_when_no_stack_is_kept(void **state)
{
    (void)state;
    loop(RIG_NO_STACKS, false, 17);
}

static void no_memory_for_some_seconds_loses_nothing_when_no_stack_is_kept(void **state)
{
    (void)state;
    loop(RIG_NO_STACKS, true, 23);
}

static void one_failed_allocation_loses_nothing_on_sqlite(void **state)
{
    (void)state;
    loop(RIG_SQLITE, false, 59);
}

static void no_memory_for_some_seconds_loses_nothing_on_sqlite(void **state)
{
    (void)state;
    loop(RIG_SQLITE, true, 79);
}

static bool read_args(int argc, char **argv)
{
    all = getenv("PAWL_LONG") != NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--long") == 0) {
            all = true;
        } else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            char *at = argv[++i];
            only.mode = (rig_mode)strtol(at, &at, 10);
            only.nth = *at == ':' ? strtoll(at + 1, &at, 10) : 0;
            only.sticky = *at == ':' && at[1] == '1';
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_failing_the_story_ends_as_told),
        cmocka_unit_test_teardown(one_failed_allocation_loses_nothing, close_story),
        cmocka_unit_test_teardown(no_memory_for_some_seconds_loses_nothing, close_story),
        cmocka_unit_test_teardown(one_failed_allocation_loses_nothing_when_no_stack_is_kept,
                                  close_story),
        cmocka_unit_test_teardown(no_memory_for_some_seconds_loses_nothing_when_no_stack_is_kept,
                                  close_story),
        cmocka_unit_test_teardown(one_failed_allocation_loses_nothing_on_sqlite, close_story),
        cmocka_unit_test_teardown(no_memory_for_some_seconds_loses_nothing_on_sqlite, close_story),
    };
    if (!read_args(argc, argv)) {
        (void)fprintf(stderr, "usage: fault_engine_alloc [--long] [--only MODE:N:STICKY]\n");
        return 2;
    }
    (void)signal(SIGABRT, on_abort);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
