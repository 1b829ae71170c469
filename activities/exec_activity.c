/*
 * exec_activity.c - the built-in activity "exec": a program as an activity, from a value.
 *
 * Does not run anything itself: pawl_exec does.
 */
#include <stdio.h>
#include <string.h>

#include "sdk/pawl_activity.h"

static const pawl_value *bad(pawl_task *task, const char *why)
{
    return pawl_task_fail_with(task, "BadInput", why, NULL, false);
}

/* A NUL inside a string would silently cut an argument. */
static bool is_text(const pawl_value *v)
{
    size_t size = 0;
    const void *data = pawl_data(v, "", &size);
    return pawl_typeof(v) == PAWL_STRING && data != NULL && memchr(data, '\0', size) == NULL;
}

/* NULL-terminated; NULL when it is not an array of text or memory is out. */
static const char **argv_read(pawl_task *task, const pawl_value *list)
{
    const size_t len = pawl_len(list);
    const char **argv = pawl_scope_alloc(pawl_task_scope(task), (len + 1) * sizeof *argv);
    if (argv == NULL || pawl_typeof(list) != PAWL_ARRAY) {
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_text(pawl_at(list, i))) {
            return NULL;
        }
        argv[i] = pawl_str(pawl_at(list, i), "", NULL);
        if (argv[i] == NULL) {
            return NULL;
        }
    }
    return argv;
}

static const char **env_read(pawl_task *task, const pawl_value *map)
{
    pawl_scope *scope = pawl_task_scope(task);
    const size_t len = pawl_len(map);
    const char **env = pawl_scope_alloc(scope, (len + 1) * sizeof *env);
    if (env == NULL || (map != NULL && pawl_typeof(map) != PAWL_MAP)) {
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        const char *key = pawl_key_at(map, i);
        if (!is_text(pawl_at(map, i)) || key == NULL || key[0] == '\0' ||
            strchr(key, '=') != NULL) {
            return NULL;
        }
        const char *value = pawl_str(pawl_at(map, i), "", NULL);
        if (value == NULL) {
            return NULL;
        }
        const size_t size = strlen(key) + strlen(value) + 2;
        char *pair = pawl_scope_alloc(scope, size);
        if (pair == NULL) {
            return NULL;
        }
        (void)snprintf(pair, size, "%s=%s", key, value);
        env[i] = pair;
    }
    return env;
}

/* The last line of what it said, for the message. */
static const char *last_line(const char *text, size_t *ret_size)
{
    size_t end = strlen(text);
    while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == ' ' || text[end - 1] == '\r')) {
        end--;
    }
    size_t start = end;
    while (start > 0 && text[start - 1] != '\n') {
        start--;
    }
    *ret_size = end - start < 300 ? end - start : 300;
    return text + start;
}

static const pawl_value *check_exit(pawl_task *task, const pawl_value *result, const char *program,
                                    bool retryable)
{
    const int64_t code = pawl_int(result, "exit", 0);
    const int64_t signal = pawl_int(result, "signal", 0);
    if (code == 0) {
        return result;
    }
    size_t size = 0;
    const char *said = last_line(pawl_str(result, "stderr", ""), &size);
    if (size == 0) {
        said = last_line(pawl_str(result, "stdout", ""), &size);
    }
    char message[600];
    (void)snprintf(message, sizeof message, "%.200s %s %d%s%.*s", program,
                   signal != 0 ? "was killed by signal" : "ended with status",
                   (int)(signal != 0 ? signal : code), size > 0 ? ": " : "", (int)size, said);
    return pawl_task_fail_with(task, "ExitStatus", message, result, retryable);
}

const pawl_value *pawl_activity_exec(pawl_task *task, const pawl_value *input, void *user)
{
    (void)user;
    const pawl_value *stdin_value = pawl_get(input, "stdin");
    size_t stdin_size = 0;
    const char **argv = argv_read(task, pawl_get(input, "argv"));
    const char **env = env_read(task, pawl_get(input, "env"));
    if (argv == NULL || argv[0] == NULL) {
        return bad(task, "argv must be a list of text with at least one element");
    }
    if (env == NULL) {
        return bad(task, "env must be a map from names to text");
    }
    if (stdin_value != NULL && pawl_typeof(stdin_value) != PAWL_STRING &&
        pawl_typeof(stdin_value) != PAWL_BYTES) {
        return bad(task, "stdin must be text or bytes");
    }
    const char *stdin_text = stdin_value != NULL ? pawl_data(stdin_value, "", &stdin_size) : NULL;
    const pawl_exec_options options = {
        .struct_size = sizeof options,
        .argv = argv,
        .cwd = pawl_str(input, "cwd", NULL),
        .env = env,
        .stdin_text = stdin_text,
        .stdin_size = stdin_size,
        .timeout_ms = pawl_int(input, "timeout_ms", 0),
    };
    const pawl_value *result = pawl_exec(task, &options);
    if (result == NULL || !pawl_bool(input, "check", true)) {
        return result;
    }
    return check_exit(task, result, argv[0], pawl_bool(input, "retry", false));
}
