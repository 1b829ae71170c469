/*
 * host_held_test.c - debug_held: what code holds while it waits is logged, with what it opened, and what is registered and what is not
 * told apart. Does not test what its description says it cannot see.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "host_rig.h"
#include "sdk/base/limits.h"

static struct {
    pthread_mutex_t lock;
    char text[4096]; /* lines "LEVEL RUN/COMMAND text" */
} lines = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_log(void *user, pawl_level level, const char *run_id, int64_t command,
                   const char *text)
{
    (void)user;
    pthread_mutex_lock(&lines.lock);
    size_t used = strlen(lines.text);
    (void)snprintf(lines.text + used, sizeof lines.text - used, "%d %s/%lld %s\n", (int)level,
                   run_id != NULL ? run_id : "-", (long long)command, text);
    pthread_mutex_unlock(&lines.lock);
}

/* The line about that run; "" when there is none. Not the one that a slow machine causes: that its code held the loop. */
static const char *line_of(rig *r, pawl_level level, const char *run)
{
    char begin[64], line[1024] = "";
    (void)snprintf(begin, sizeof begin, "%d %s/", (int)level, run);
    pthread_mutex_lock(&lines.lock);
    for (const char *at = lines.text; *at != '\0';) {
        size_t size = strcspn(at, "\n");
        (void)snprintf(line, sizeof line, "%.*s", (int)size, at);
        if (strncmp(line, begin, strlen(begin)) == 0 && strstr(line, " holds the ") == NULL) {
            break;
        }
        line[0] = '\0';
        at += size + (at[size] == '\n');
    }
    pthread_mutex_unlock(&lines.lock);
    return pawl_str(pawl_make_str(r->scope, line), "", "");
}

static bool anywhere(const char *text)
{
    pthread_mutex_lock(&lines.lock);
    bool found = strstr(lines.text, text) != NULL;
    pthread_mutex_unlock(&lines.lock);
    return found;
}

static int opened = -1;

static void release(void *arg)
{
    (void)close(*(int *)arg);
    opened = -1;
}

static const pawl_value *keeper(pawl_run *w, const pawl_value *in)
{
    (void)in;
    opened = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    pawl_on_unwind(w, release, &opened);
    (void)pawl_signal(w, .name = "go");
    return NULL;
}

static const pawl_value *leaker(pawl_run *w, const pawl_value *in)
{
    (void)in;
    opened = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    (void)pawl_signal(w, .name = "go");
    return NULL;
}

static const pawl_value *hoarder(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_alloc(w, 2 * (size_t)PW_HELD_SCOPE_BYTES);
    (void)pawl_signal(w, .name = "go");
    return NULL;
}

static const pawl_value *modest(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_signal(w, .name = "go");
    return NULL;
}

static void open_with(rig *r, bool debug_held)
{
    pawl_options o = {
        .struct_size = sizeof o, .log = on_log, .no_socket = true, .debug_held = debug_held};
    lines.text[0] = '\0';
    rig_open(r, &o);
    ok(r, pawl_register_workflow(r->engine, "keeper", "1", keeper, NULL, &r->err));
    ok(r, pawl_register_workflow(r->engine, "leaker", "1", leaker, NULL, &r->err));
    ok(r, pawl_register_workflow(r->engine, "hoarder", "1", hoarder, NULL, &r->err));
    ok(r, pawl_register_workflow(r->engine, "modest", "1", modest, NULL, &r->err));
}

static void wait_there(rig *r, const char *workflow)
{
    rig_start(r, workflow, workflow, NULL);
    rig_until(r, workflow, "waiting", "signal go");
}

static void what_is_registered_is_noted_and_what_is_not_is_warned_of(void **state)
{
    rig *r = *state;
    char number[32];
    open_with(r, true);
    wait_there(r, "keeper");
    const char *line = line_of(r, PAWL_DEBUG, "keeper");
    (void)snprintf(number, sizeof number, ": %d /dev/zero", opened);
    if (strstr(line, "0 keeper/1 held while it waits for signal go: 1 registered") != line ||
        strstr(line, number) == NULL) {
        fail_msg("%s", line);
    }
    assert_string_equal(line_of(r, PAWL_WARN, "keeper"), "");
    wait_there(r, "leaker");
    line = line_of(r, PAWL_WARN, "leaker");
    (void)snprintf(number, sizeof number, ": %d /dev/zero", opened);
    if (strstr(line, "0 registered") == NULL || strstr(line, "1 descriptors") == NULL ||
        strstr(line, number) == NULL) {
        fail_msg("%s", line);
    }
    (void)close(opened);
}

static void much_memory_is_warned_of_and_nothing_is_not(void **state)
{
    rig *r = *state;
    open_with(r, true);
    wait_there(r, "hoarder");
    assert_non_null(strstr(line_of(r, PAWL_WARN, "hoarder"), "KiB of memory of the run"));
    wait_there(r, "modest");
    assert_false(anywhere("modest/"));
}

static void without_the_option_nothing_is_said(void **state)
{
    rig *r = *state;
    open_with(r, false);
    wait_there(r, "leaker");
    (void)close(opened);
    wait_there(r, "hoarder");
    assert_false(anywhere("held while"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(what_is_registered_is_noted_and_what_is_not_is_warned_of),
        T(much_memory_is_warned_of_and_nothing_is_not),
        T(without_the_option_nothing_is_said),
    };
#undef T

    return cmocka_run_group_tests_name("held", tests, NULL, NULL);
}
