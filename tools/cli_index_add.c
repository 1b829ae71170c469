/*
 * cli_index_add.c - `index add`: one text from the command line, or many from standard input, a JSON object a line. What is there already just so costs
 * nothing. A line that cannot be put ends it, and says which one it was; those before it are in. Does not split long texts.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "tools/cli_index.h"

#define AT_ONCE 256u
#define TAGS_MAX 64u
#define LINE_BYTES_MAX ((size_t)1 << 20) /* a text and its data, all of it escaped */

/* Lines on their way. */
typedef struct adding {
    pw_cli_index *x;
    const char *name;
    pawl_scope *scope; /* of these lines */
    pawl_index_item items[AT_ONCE];
    size_t len;
    uint64_t lines; /* read so far */
    pawl_index_counts all;
} adding;

/* A line of 1 to so many bytes. NULL: it is something else; what stands behind a NUL must not get lost on the way. */
static const char *line_of(const pawl_value *v, const char *key, size_t bytes_max)
{
    size_t size = 0;
    const char *text =
        pawl_typeof(pawl_get(v, key)) == PAWL_STRING ? pawl_data(v, key, &size) : NULL;
    return text != NULL && size > 0 && size <= bytes_max && memchr(text, 0, size) == NULL &&
                   memchr(text, '\n', size) == NULL && memchr(text, '\r', size) == NULL
               ? pawl_str(v, key, NULL)
               : NULL;
}

static bool take_tags(pawl_scope *scope, const pawl_value *tags, pawl_index_item *item)
{
    const size_t len = pawl_len(tags);
    const char **list = pawl_scope_alloc(scope, (len + 1) * sizeof *list);
    bool ok = list != NULL && (tags == NULL || pawl_typeof(tags) == PAWL_ARRAY) && len <= TAGS_MAX;
    for (size_t i = 0; i < len && ok; i++) {
        list[i] = line_of(pawl_at(tags, i), "", PW_INDEX_NAME_BYTES_MAX);
        ok = list[i] != NULL;
    }
    item->tags = list;
    item->tags_len = ok ? len : 0;
    return ok;
}

/* A slip of the key would leave a filter or a vector out without a word. */
static bool knows_all(const pawl_value *v)
{
    static const char *const parts[] = {"key", "text", "workspace", "tags", "data"};
    size_t known = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        known += pawl_get(v, parts[i]) != NULL ? 1 : 0;
    }
    return known == pawl_len(v);
}

/* NULL, or why not. */
static const char *take_item(pawl_scope *scope, const pawl_value *v, pawl_index_item *item)
{
    size_t size = 0;
    const bool is_text = pawl_typeof(pawl_get(v, "text")) == PAWL_STRING;
    const char *text = is_text ? pawl_data(v, "text", &size) : NULL;
    *item = (pawl_index_item){.key = line_of(v, "key", PW_INDEX_KEY_BYTES_MAX),
                              .text = {text, text != NULL ? size : 0},
                              .workspace = line_of(v, "workspace", PW_INDEX_NAME_BYTES_MAX),
                              .data = pawl_get(v, "data")};
    if (pawl_typeof(v) != PAWL_MAP || pawl_get(v, "key") == NULL || !is_text) {
        return "each line is an object with key and text: {\"key\": \"tea\", \"text\": \"How tea is brewed\"}";
    }
    if (!knows_all(v)) {
        return "an object has key, text, workspace, tags and data, and nothing else";
    }
    if (item->key == NULL) {
        return "key is a line of 1 to 200 bytes";
    }
    if (size == 0 || size > PW_INDEX_TEXT_BYTES_MAX) {
        return size == 0 ? "text is empty" : "text has more than 65,536 bytes: split it";
    }
    if (item->workspace == NULL && pawl_typeof(pawl_get(v, "workspace")) != PAWL_NIL) {
        return "workspace is a line of 1 to 100 bytes";
    }
    size = 0;
    if (item->data != NULL &&
        (pawl_to_msgpack(item->data, &size) == NULL || size > PW_INDEX_TEXT_BYTES_MAX)) {
        return "data has more than 65,536 bytes";
    }
    return take_tags(scope, pawl_get(v, "tags"), item)
               ? NULL
               : "tags are an array of at most 64 lines of 1 to 100 bytes";
}

static int put(adding *a)
{
    pawl_index_counts counts = {0, 0, 0};
    pawl_error err = {0};
    const pawl_status st = pawl_index_put(a->x->index, a->name, a->items, a->len, &counts, &err);
    a->all.put += counts.put;
    a->all.unchanged += counts.unchanged;
    a->all.truncated += counts.truncated;
    a->len = 0;
    pawl_scope_free(a->scope);
    a->scope = pawl_scope_new();
    if (st == PAWL_OK) {
        pw_cli_index_say(a->x, a->lines, 0, "texts");
        return PW_EXIT_OK;
    }
    pw_cli_index_hush(a->x);
    if (a->lines > AT_ONCE) {
        (void)pw_error_wrap(&err, st, "after %" PRIu64 " texts that are in", a->all.put);
    }
    return pw_cli_index_fail(a->x, a->name, st, &err);
}

/* The texts before that line are put, and then it is said what is wrong with it. */
static int refuse_line(adding *a, const char *why)
{
    pawl_error err = {0};
    const int code = a->len > 0 ? put(a) : PW_EXIT_OK;
    pw_cli_index_hush(a->x);
    char text[200];
    (void)snprintf(text, sizeof text, "%.199s", why);
    char *where = strstr(text, " at line 1, "); /* of this line alone */
    if (where != NULL) {
        memmove(where + 4, where + 12, strlen(where + 12) + 1);
    }
    (void)pw_err(&err, PAWL_INVALID,
                 "line %" PRIu64 ": %.150s; the %" PRIu64 " texts before it are in", a->lines, text,
                 a->all.put + a->all.unchanged);
    return code == PW_EXIT_OK ? pw_cli_fail(a->x->cli, PAWL_INVALID, &err, NULL) : code;
}

static int take_line(adding *a, char *line, size_t size)
{
    const pawl_value *v = NULL;
    pawl_error no_json = {0};
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r')) {
        size--;
    }
    if (size == 0) {
        return PW_EXIT_OK;
    }
    const char *why = pawl_parse_json(a->scope, line, size, &v, &no_json) != PAWL_OK
                          ? no_json.message
                          : take_item(a->scope, v, &a->items[a->len]);
    if (why != NULL) {
        return refuse_line(a, why);
    }
    return ++a->len == AT_ONCE ? put(a) : PW_EXIT_OK;
}

/* The next line with its end, or what there is of it when it is too long: then a byte more than LINE_BYTES_MAX. 0: no more. */
static size_t read_line(char *line)
{
    size_t size = 0;
    int c = 0;
    while (size <= LINE_BYTES_MAX && c != '\n' && (c = getc_unlocked(stdin)) != EOF) {
        line[size++] = (char)c;
    }
    return size;
}

static int add_each_line(adding *a, char *line)
{
    int code = PW_EXIT_OK;
    size_t size;
    while (code == PW_EXIT_OK && (size = read_line(line)) > 0) {
        a->lines++;
        code = size > LINE_BYTES_MAX ? refuse_line(a, "a line has more than 1,048,576 bytes")
                                     : take_line(a, line, size);
    }
    return code;
}

static int add_lines(adding *a)
{
    char *line = malloc(LINE_BYTES_MAX + 1);
    pawl_error err = {0};
    if (line == NULL) {
        return pw_cli_fail(a->x->cli, pw_err(&err, PAWL_NOMEM, "no memory for a line"), &err, NULL);
    }
    if (isatty(STDIN_FILENO) == 1) {
        pw_cli_note(a->x->cli, "texts from the terminal: {\"key\": \"K\", \"text\": \"T\"} a line; "
                               "Ctrl-D ends them");
    }
    int code = add_each_line(a, line);
    free(line);
    if (code == PW_EXIT_OK && ferror(stdin) != 0) {
        (void)pw_err(&err, PAWL_IO, "standard input: %s", strerror(errno));
        code = pw_cli_fail(a->x->cli, PAWL_IO, &err, NULL);
    }
    return code == PW_EXIT_OK && a->len > 0 ? put(a) : code;
}

/* "a,b" */
static void split_tags(pawl_scope *scope, const char *text, pawl_index_item *item)
{
    const char **list = pawl_scope_alloc(scope, (strlen(text) / 2 + 2) * sizeof *list);
    for (const char *p = text; list != NULL && *p != 0; p += strspn(p, ",")) {
        const size_t size = strcspn(p, ",");
        if (size > 0) {
            list[item->tags_len++] = pw_strndup(scope, p, size);
        }
        p += size;
    }
    item->tags = list;
}

static int add_one(adding *a)
{
    const pw_cli_args *args = a->x->cli->args;
    const pawl_value *data = NULL;
    const int code = pw_cli_json_arg(a->x->cli, PW_OPT_DATA, &data);
    pawl_index_item *item = &a->items[a->len++];
    *item = (pawl_index_item){.key = args->operand[1],
                              .text = {args->operand[2], strlen(args->operand[2])},
                              .workspace = args->value[PW_OPT_WORKSPACE],
                              .data = data};
    if (pw_cli_has(args, PW_OPT_TAG)) {
        split_tags(a->x->cli->scope, args->value[PW_OPT_TAG], item);
    }
    a->lines = 1;
    return code == PW_EXIT_OK ? put(a) : code;
}

static void say_added(const adding *a)
{
    pw_cli *cli = a->x->cli;
    const pawl_index_counts *c = &a->all;
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out,
                    pawl_build(cli->scope,
                               "{collection: %s, put: %llu, unchanged: %llu, truncated: %llu}",
                               a->name, (unsigned long long)c->put,
                               (unsigned long long)c->unchanged, (unsigned long long)c->truncated));
        return;
    }
    pw_out_printf(&cli->out, "%" PRIu64 " text%s put into ", c->put, c->put == 1 ? "" : "s");
    (void)pw_out_str(&cli->out, a->name);
    if (c->unchanged > 0) {
        pw_out_printf(&cli->out, ", %" PRIu64 " there already", c->unchanged);
    }
    pw_out_puts(&cli->out, "\n");
    if (c->truncated > 0) {
        pw_cli_note(
            cli, "%" PRIu64 " %s longer than the model reads: their ends are found by words only",
            c->truncated, c->truncated == 1 ? "is" : "are");
    }
    pw_cli_note(cli, "next: pawl%s index search %s 'WHAT YOU LOOK FOR'", pw_cli_db_words(cli),
                pw_cli_shell_word(cli->scope, a->name));
}

static int add_to(pw_cli_index *x, const char *name)
{
    const pw_cli_args *args = x->cli->args;
    adding *a = calloc(1, sizeof *a);
    int code = PW_EXIT_FAILED;
    if (a != NULL) {
        a->x = x;
        a->name = name;
        a->scope = pawl_scope_new();
        code = args->operand_count > 2 ? add_one(a) : add_lines(a);
        pw_cli_index_hush(x);
        if (code == PW_EXIT_OK) {
            say_added(a);
        }
        pawl_scope_free(a->scope);
    }
    free(a);
    return code;
}

int pw_cli_index_add(pw_cli *cli)
{
    const char *name = cli->args->operand_count > 0 ? cli->args->operand[0] : NULL;
    pw_cli_index x = {.cli = cli};
    pawl_error err = {0};
    if (name == NULL || cli->args->operand_count == 2) {
        return pw_cli_usage(cli, "add what? pawl index add COLLECTION KEY 'TEXT', or lines of JSON "
                                 "on standard input");
    }
    int code = pw_cli_index_open(cli, &(pw_cli_index_need){.writes = true}, &x);
    const char *model = code == PW_EXIT_OK ? pw_cli_index_model(&x, name, &err) : NULL;
    if (code == PW_EXIT_OK && err.status != PAWL_OK) {
        cli->next = "pawl%d index create NAME --model MODEL";
        code = pw_cli_fail(cli, err.status, &err, NULL);
    } else if (code == PW_EXIT_OK) {
        code = pw_cli_index_open(cli, &(pw_cli_index_need){.writes = true, .model = model}, &x);
        if (code != PW_EXIT_OK && model != NULL) {
            pw_cli_index_say_model(&x, name, model);
        }
    }
    code = code == PW_EXIT_OK ? add_to(&x, name) : code;
    pw_cli_index_close(&x);
    return code;
}
