/*
 * release_step.c - the frame around each step of a release: its lines in the side-effect log, its programs, its errors.
 *
 * A line of the log:  <utc ms> <start|done|failed> <run> <command> <attempt> <activity> <key>
 * A step that is finished in the journal never adds a line again: that is what the demo looks for.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "workflows/release_step.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "workflows/release.h"

enum { TAIL_BYTES = 2000, LINE_BYTES_MAX = 1024 };

static int64_t utc_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One write of a line that is appended whole, and a sync: the line is there before the effect is. */
static bool log_append(const char *path, const pawl_task *task, const char *what)
{
    char line[LINE_BYTES_MAX];
    const int size =
        snprintf(line, sizeof line, "%" PRId64 " %s %s %" PRId64 " %d %s %s\n", utc_ms(), what,
                 pawl_task_run_id(task), pawl_task_command(task), pawl_task_attempt(task),
                 pawl_task_activity(task), pawl_task_key(task));
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) {
        return false;
    }
    const bool ok = size > 0 && size < (int)sizeof line && write(fd, line, (size_t)size) == size &&
                    fsync(fd) == 0;
    return close(fd) == 0 && ok;
}

const pawl_value *pw_release_step(pawl_task *task, const pawl_value *input, void *user)
{
    const pw_release_row *row = user;
    const char *log =
        pawl_str(input, "log",
                 pawl_str(input, "input.log", NULL)); /* an undo has the input of its step inside */
    if (log != NULL && !log_append(log, task, "start")) {
        return pw_release_fail_errno(task, "append to", log);
    }
    const pawl_value *result = row->fn(task, input);
    if (log != NULL && !log_append(log, task, result != NULL ? "done" : "failed") &&
        result != NULL) {
        return pw_release_fail_errno(task, "append to", log);
    }
    return result;
}

const pawl_value *pw_release_fail_errno(pawl_task *task, const char *doing, const char *path)
{
    return pawl_task_fail(task, "Disk", "could not %s %s: %s", doing, path, strerror(errno));
}

/* ---- programs ---- */

/* Start of the last lines that fit. */
static const char *tail_of(const char *text, size_t bytes_max)
{
    const size_t size = strlen(text);
    if (size <= bytes_max) {
        return text;
    }
    const char *line = strchr(text + (size - bytes_max), '\n');
    return line != NULL ? line + 1 : text + (size - bytes_max);
}

static const pawl_value *run_failed(pawl_task *task, const pawl_value *result, const char *program,
                                    const char *type)
{
    const char *said = pawl_str(result, "stderr", "");
    said = said[0] != '\0' ? said : pawl_str(result, "stdout", "");
    const char *line = tail_of(said, 200);
    char message[500];
    const int64_t signal = pawl_int(result, "signal", 0);
    (void)snprintf(message, sizeof message, "%.100s %s %d: %.*s", program,
                   signal != 0 ? "was killed by signal" : "ended with status",
                   (int)(signal != 0 ? signal : pawl_int(result, "exit", 0)),
                   (int)strcspn(line, "\n"), line);
    const pawl_value *details = pawl_task_build(
        task, "{exit: %lld, stdout: %s, stderr: %s}", (long long)pawl_int(result, "exit", 0),
        tail_of(pawl_str(result, "stdout", ""), TAIL_BYTES),
        tail_of(pawl_str(result, "stderr", ""), TAIL_BYTES));
    return pawl_task_fail_with(task, type, message, details, false);
}

const pawl_value *pw_release_run(pawl_task *task, const char *const *argv, const char *cwd,
                                 const char *failure_type)
{
    const pawl_exec_options options = {.struct_size = sizeof options, .argv = argv, .cwd = cwd};
    const pawl_value *result = pawl_exec(task, &options);
    if (result == NULL || pawl_int(result, "exit", -1) == 0) {
        return result;
    }
    return run_failed(task, result, argv[0], failure_type);
}

const pawl_value *pw_release_run_value(pawl_task *task, const pawl_value *argv, const char *cwd,
                                       const char *failure_type)
{
    const size_t len = pawl_len(argv);
    const char **list = pawl_scope_alloc(pawl_task_scope(task), (len + 1) * sizeof *list);
    if (list == NULL || len == 0 || pawl_typeof(argv) != PAWL_ARRAY) {
        return pawl_task_fail_with(task, "BadInput", "a command is a list of text", NULL, false);
    }
    for (size_t i = 0; i < len; i++) {
        list[i] = pawl_str(pawl_at(argv, i), "", NULL);
        if (list[i] == NULL) {
            return pawl_task_fail_with(task, "BadInput", "a command is a list of text", NULL,
                                       false);
        }
    }
    return pw_release_run(task, list, cwd, failure_type);
}

const pawl_value *pw_release_summary(pawl_task *task, const pawl_value *result)
{
    return result == NULL
               ? NULL
               : pawl_task_build(task, "{ms: %lld, tail: %s}", (long long)pawl_int(result, "ms", 0),
                                 tail_of(pawl_str(result, "stdout", ""), TAIL_BYTES));
}
