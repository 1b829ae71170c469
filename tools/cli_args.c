/*
 * cli_args.c - parsing command lines by the tables. Values are checked here by their type (counts, durations, choices), so that
 * commands see good ones only; JSON and ids are checked by those who read them.
 *
 * All of a line is checked before any of it is acted on [T5].
 * Does not use getopt: its messages cannot say what was meant, and it knows no table. Keeps no state and prints nothing.
 */
#include "tools/cli_args.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sdk/base/limits.h"

typedef struct parser {
    int argc;
    char *const *argv;
    int next;
    bool options_ended;
    pw_cli_args *args;
    pw_cli_complaint *complaint;
} parser;

__attribute__((format(printf, 2, 3))) static bool complain(parser *p, const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    (void)vsnprintf(p->complaint->message, sizeof p->complaint->message, fmt, list);
    va_end(list);
    p->complaint->command = p->args->command;
    return false;
}

__attribute__((format(printf, 2, 3))) static void hint(parser *p, const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    (void)vsnprintf(p->complaint->hint, sizeof p->complaint->hint, fmt, list);
    va_end(list);
}

static bool digits_parse(const char **text, int64_t *ret_number)
{
    int64_t n = 0;
    const char *p = *text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (n > (INT64_MAX - 9) / 10) {
            return false;
        }
        n = n * 10 + (*p - '0');
    }
    if (p == *text) {
        return false;
    }
    *text = p;
    *ret_number = n;
    return true;
}

bool pw_cli_duration_parse(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *suffix;
        int64_t ms;
    } units[] = {{"ms", 1},      {"s", 1000},    {"", 1000},     {"m", 60000},
                 {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    int64_t n = 0;
    if (!digits_parse(&text, &n)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text, units[i].suffix) == 0) {
            if (n > PW_TIMER_MS_MAX / units[i].ms) {
                return false;
            }
            *ret_ms = n * units[i].ms;
            return true;
        }
    }
    return false;
}

/* The index of a word among "a|b|c", -1 when it is not there. */
static int choice_index(const char *choices, const char *word)
{
    size_t size = strlen(word);
    int index = 0;
    for (const char *c = choices; size > 0; index++) {
        size_t len = strcspn(c, "|");
        if (len == size && memcmp(c, word, size) == 0) {
            return index;
        }
        if (c[len] == '\0') {
            break;
        }
        c += len + 1;
    }
    return -1;
}

static bool value_check(parser *p, pw_cli_opt id, const char *value)
{
    const pw_cli_option *o = pw_cli_option_get(id);
    int64_t *number = &p->args->number[id];
    const char *rest = value;
    switch (o->type) {
    case PW_TYPE_COUNT:
        if (!digits_parse(&rest, number) || *rest != '\0' || *number > INT32_MAX) {
            return complain(p, "--%s takes a whole number, not \"%s\"", o->word, value);
        }
        return true;
    case PW_TYPE_DURATION:
        if (!pw_cli_duration_parse(value, number)) {
            hint(p, "durations look like 500ms, 30s, 5m, 2h or 3d");
            return complain(p, "--%s takes a duration, not \"%s\"", o->word, value);
        }
        return true;
    case PW_TYPE_CHOICE:
        *number = choice_index(o->value, value);
        return *number >= 0 ||
               complain(p, "--%s is one of %s, not \"%s\"", o->word, o->value, value);
    case PW_TYPE_FILE:
    case PW_TYPE_DIR:
    case PW_TYPE_ID:
    case PW_TYPE_FILTER:
        return *value != '\0' || complain(p, "--%s is empty", o->word);
    case PW_TYPE_FLAG:
    case PW_TYPE_TEXT:
    case PW_TYPE_JSON:
        return true;
    }
    return true;
}

static bool option_set(parser *p, pw_cli_opt id, const char *value)
{
    const pw_cli_option *o = pw_cli_option_get(id);
    pw_cli_args *a = p->args;
    if (value != NULL && !value_check(p, id, value)) {
        return false;
    }
    if (id == PW_OPT_MODULE) {
        if (a->module_count == PW_CLI_MODULES_MAX) {
            return complain(p, "more than %d modules", PW_CLI_MODULES_MAX);
        }
        a->module[a->module_count++] = value;
    } else if (value != NULL && pw_cli_has(a, id) && strcmp(a->value[id], value) != 0) {
        return complain(p, "--%s is given twice: \"%s\" and \"%s\"", o->word, a->value[id], value);
    }
    a->given |= (pw_cli_opts)1 << id;
    a->value[id] = value;
    return true;
}

/* attached: the value written with the option ("--x=v", "-wv"), NULL when there is none. */
static bool option_take(parser *p, pw_cli_opt id, const char *attached)
{
    const pw_cli_option *o = pw_cli_option_get(id);
    if (o->value == NULL) {
        return attached == NULL ? option_set(p, id, NULL)
                                : complain(p, "--%s takes no value", o->word);
    }
    if (attached == NULL) {
        if (p->next >= p->argc) {
            hint(p, "%s", o->help);
            return complain(p, "--%s needs a value: %s", o->word, o->value);
        }
        attached = p->argv[p->next++];
    }
    return option_set(p, id, attached);
}

static bool operand(parser *p, const char *text);

static bool long_option(parser *p, const char *word)
{
    const char *equals = strchr(word, '=');
    size_t size = equals != NULL ? (size_t)(equals - word) : strlen(word);
    pw_cli_opt id = pw_cli_option_find(word, size);
    if (p->args->command == NULL && strcmp(word, "version") == 0) { /* as everybody tries it */
        return operand(p, word);
    }
    if (id == PW_OPT_NONE) {
        pw_cli_opts among =
            p->args->command != NULL ? p->args->command->options : pw_cli_global_options();
        pw_cli_opt near = pw_cli_option_near(word, size, among);
        if (near != PW_OPT_NONE) {
            hint(p, "did you mean --%s?", pw_cli_option_get(near)->word);
        }
        return complain(p, "there is no option --%.*s", (int)(size > 100 ? 100 : size), word);
    }
    return option_take(p, id, equals != NULL ? equals + 1 : NULL);
}

/* "-fy" is two flags, "-wID" and "-w ID" are one option. */
static bool short_options(parser *p, const char *letters)
{
    while (*letters != '\0') {
        pw_cli_opt id = pw_cli_option_letter(*letters);
        if (id == PW_OPT_NONE) {
            return complain(p, "there is no option -%c",
                            *letters > 32 && *letters < 127 ? *letters : '?');
        }
        letters++;
        if (pw_cli_option_get(id)->value != NULL) {
            const char *attached = *letters == '=' ? letters + 1 : letters;
            return option_take(p, id, *letters != '\0' ? attached : NULL);
        }
        if (!option_take(p, id, NULL)) {
            return false;
        }
    }
    return true;
}

static bool operand(parser *p, const char *text)
{
    pw_cli_args *a = p->args;
    if (a->command == NULL) {
        a->command = pw_cli_command_find(text);
        if (a->command != NULL) {
            return true;
        }
        const pw_cli_command *near = pw_cli_command_near(text);
        if (near != NULL) {
            hint(p, "did you mean \"pawl %s\"?", near->name);
        } else if (strcmp(text, "completion") == 0 || strcmp(text, "man") == 0) {
            hint(p, "did you mean \"pawl help --%s\"?", text);
        }
        return complain(p, "there is no command \"%.100s\"", text);
    }
    if (a->word == NULL && a->operand_count == 0 && pw_cli_is_word_of(a->command, text)) {
        a->word = text;
        return true;
    }
    if (a->operand_count >= a->command->operands_max) {
        if (a->word == NULL && a->operand_count > 0 && a->command->operands[0] == '[' &&
            strcspn(a->command->operands, "|") < strcspn(a->command->operands, "]")) {
            hint(p, "\"%.40s\" is none of %.*s", a->operand[0],
                 (int)strcspn(a->command->operands, "]") + 1, a->command->operands);
        }
        return complain(p, "\"%.100s\" is one argument too many", text);
    }
    a->operand[a->operand_count++] = text;
    return true;
}

static bool argument(parser *p, const char *text)
{
    if (!p->options_ended && strcmp(text, "--") == 0) {
        p->options_ended = true;
        return true;
    }
    if (!p->options_ended && text[0] == '-' && text[1] == '-') {
        return long_option(p, text + 2);
    }
    if (!p->options_ended && text[0] == '-' && text[1] != '\0') {
        return short_options(p, text + 1);
    }
    return operand(p, text);
}

/* Operands that stand for options. `signal --workflow-id x paid`: an operand whose option is given already moves to the next. */
static bool operands_assign(parser *p)
{
    pw_cli_args *a = p->args;
    size_t slot = 0;
    for (size_t i = 0; i < a->operand_count; i++, slot++) {
        pw_cli_opt id = a->command->operand_option[slot];
        while (id != PW_OPT_NONE && pw_cli_has(a, id) && slot + 1 < a->command->operands_max) {
            id = a->command->operand_option[++slot];
        }
        if (slot >= a->command->operands_max) {
            return complain(p, "\"%.100s\" is one argument too many", a->operand[i]);
        }
        if (id != PW_OPT_NONE && !option_set(p, id, a->operand[i])) {
            return false;
        }
    }
    return true;
}

static bool options_belong(parser *p)
{
    pw_cli_args *a = p->args;
    for (unsigned i = 0; i < PW_OPT_COUNT; i++) {
        if ((a->given >> i & 1u) != 0 && !pw_cli_takes(a->command, (pw_cli_opt)i)) {
            return complain(p, "pawl %s takes no --%s", a->command->name,
                            pw_cli_option_get((pw_cli_opt)i)->word);
        }
    }
    return true;
}

bool pw_cli_args_parse(int argc, char *const argv[], pw_cli_args *ret_args,
                       pw_cli_complaint *complaint)
{
    *ret_args = (pw_cli_args){0};
    *complaint = (pw_cli_complaint){0};
    parser p = {.argc = argc, .argv = argv, .next = 1, .args = ret_args, .complaint = complaint};
    while (p.next < argc) {
        if (!argument(&p, argv[p.next++])) {
            return false;
        }
    }
    if (ret_args->command == NULL || pw_cli_has(ret_args, PW_OPT_HELP)) {
        return true;
    }
    return operands_assign(&p) && options_belong(&p);
}
