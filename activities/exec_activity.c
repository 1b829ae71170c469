/*
 * exec_activity.c - the built-in activity "exec": a program as an activity, from a value.
 *
 * Does not run anything itself: pawl_exec does.
 */
#include <stdio.h>
#include <string.h>

#include "sdk/pawl_activity.h"

#define OUTPUT_BYTES_CAP (16 << 20) /* as pawl_exec */

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

static const char **names_read(pawl_task *task, const pawl_value *list)
{
    static const char *none[] = {NULL};
    const char **names = list == NULL ? none : argv_read(task, list);
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        if (names[i][0] == '\0' || strchr(names[i], '=') != NULL) {
            return NULL;
        }
    }
    return names;
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
    const char *limit = pawl_str(result, "limit", NULL);
    (void)snprintf(message, sizeof message, "%.200s %s %d%s%s%s%.*s", program,
                   signal != 0 ? "was killed by signal" : "ended with status",
                   (int)(signal != 0 ? signal : code), limit != NULL ? ", its limit " : "",
                   limit != NULL ? limit : "", size > 0 ? ": " : "", (int)size, said);
    return pawl_task_fail_with(task, "ExitStatus", message, result, retryable);
}

/* argv, or a shell that was asked for; never both. */
static const char **command_read(pawl_task *task, const pawl_value *input)
{
    const pawl_value *text = pawl_get(input, "shell");
    if (text == NULL) {
        return argv_read(task, pawl_get(input, "argv"));
    }
    const char **argv = pawl_scope_alloc(pawl_task_scope(task), 4 * sizeof *argv);
    if (argv == NULL || !is_text(text) || pawl_get(input, "argv") != NULL) {
        return NULL;
    }
    argv[0] = "/bin/sh";
    argv[1] = "-c";
    argv[2] = pawl_str(text, "", NULL);
    return argv;
}

static bool known(const char *const *names, const pawl_value *map, char ret_unknown[64])
{
    for (size_t i = 0; i < pawl_len(map); i++) {
        const char *key = pawl_key_at(map, i);
        const char *const *n = names;
        while (*n != NULL && strcmp(*n, key) != 0) {
            n++;
        }
        if (*n == NULL) {
            (void)snprintf(ret_unknown, 64, "%s", key);
            return false;
        }
    }
    return true;
}

/* A misspelt limit would be none. */
static bool keys_ok(const pawl_value *input, char ret_unknown[64])
{
    static const char *const options[] = {
#define X(name) #name,
#include "activities/exec_options.def"
#undef X
        NULL};
    static const char *const limits[] = {"cpu_s", "memory_bytes", "files", "file_bytes", NULL};
    return known(options, input, ret_unknown) &&
           known(limits, pawl_get(input, "limits"), ret_unknown);
}

static bool is_count(const pawl_value *v, int64_t max)
{
    return v == NULL ||
           (pawl_typeof(v) == PAWL_INT && pawl_int(v, "", 0) > 0 && pawl_int(v, "", 0) <= max);
}

/* Fills *o; what is wrong, or NULL. */
static const char *limits_read(const pawl_value *input, pawl_exec_options *o)
{
    const pawl_value *limits = pawl_get(input, "limits");
    const double timeout_s = pawl_num(input, "timeout_s", 0);
    if (limits != NULL && pawl_typeof(limits) != PAWL_MAP) {
        return "limits must be a map";
    }
    for (size_t i = 0; i < pawl_len(limits); i++) {
        if (!is_count(pawl_at(limits, i), INT64_MAX)) {
            return "limits must be whole numbers above 0";
        }
    }
    if (!is_count(pawl_get(input, "max_output_bytes"), OUTPUT_BYTES_CAP)) {
        return "max_output_bytes must be 1 to 16777216";
    }
    if (pawl_get(input, "timeout_s") != NULL && !(timeout_s > 0 && timeout_s < 1e10)) {
        return "timeout_s must be a number above 0";
    }
    o->timeout_ms = timeout_s > 0 && timeout_s < 0.001 ? 1 : (int64_t)(timeout_s * 1000);
    o->output_bytes_max = (size_t)pawl_int(input, "max_output_bytes", 0);
    o->limit_cpu_s = pawl_int(limits, "cpu_s", 0);
    o->limit_memory_bytes = pawl_int(limits, "memory_bytes", 0);
    o->limit_files = pawl_int(limits, "files", 0);
    o->limit_file_bytes = pawl_int(limits, "file_bytes", 0);
    return NULL;
}

static const char *streams_read(const pawl_value *input, pawl_exec_options *o)
{
    const pawl_value *in = pawl_get(input, "stdin");
    const char *output = pawl_str(input, "output", "text");
    if (in != NULL && pawl_typeof(in) != PAWL_STRING && pawl_typeof(in) != PAWL_BYTES) {
        return "stdin must be text or bytes";
    }
    if (strcmp(output, "text") != 0 && strcmp(output, "bytes") != 0) {
        return "output must be \"text\" or \"bytes\"";
    }
    o->stdin_text = in != NULL ? pawl_data(in, "", &o->stdin_size) : NULL;
    o->output_bytes = strcmp(output, "bytes") == 0;
    o->quiet = pawl_bool(input, "quiet", false);
    return NULL;
}

static const char *words_read(pawl_task *task, const pawl_value *input, pawl_exec_options *o)
{
    const pawl_value *cwd = pawl_get(input, "cwd");
    o->argv = command_read(task, input);
    o->env = env_read(task, pawl_get(input, "env"));
    o->pass_env = names_read(task, pawl_get(input, "pass_env"));
    o->cwd = pawl_str(cwd, "", NULL);
    if (o->argv == NULL || o->argv[0] == NULL) {
        return "argv must be a list of text with at least one element, or shell a text, and not both";
    }
    if (o->env == NULL) {
        return "env must be a map from names to text";
    }
    if (o->pass_env == NULL) {
        return "pass_env must be a list of names";
    }
    return cwd != NULL && !is_text(cwd) ? "cwd must be text" : NULL;
}

const pawl_value *pawl_activity_exec(pawl_task *task, const pawl_value *input, void *user)
{
    (void)user;
    char unknown[64];
    pawl_exec_options options = {.struct_size = sizeof options};
    if (!keys_ok(input, unknown)) {
        char message[128];
        (void)snprintf(message, sizeof message, "\"%s\" is no option of exec", unknown);
        return bad(task, message);
    }
    const char *why = words_read(task, input, &options);
    why = why == NULL ? streams_read(input, &options) : why;
    why = why == NULL ? limits_read(input, &options) : why;
    if (why != NULL) {
        return bad(task, why);
    }
    const pawl_value *result = pawl_exec(task, &options);
    if (result == NULL || !pawl_bool(input, "check", true)) {
        return result;
    }
    return check_exit(task, result, options.argv[0], pawl_bool(input, "retry", false));
}
