/*
 * choose_more.c - what else is said of a thing that is looked for: its tags, and of its JSON Schema the names of properties, their titles and descriptions, and
 * the values that they may have. One text, for BM25 (choose_words.c).
 *
 * Walks a stack of its own, so deep, so wide and so long; what lies beyond is left out. Schemas come from strangers, too: each level is read on from where
 * it was left, for to count to the nth entry each time takes seconds where an entry is large. Follows no $ref and knows no other keyword.
 */
#include <string.h>

#include "activities/choose.h"
#include "sdk/base/arena.h"
#include "sdk/base/buf.h"
#include "sdk/base/error.h"
#include "sdk/base/value.h"

#define BYTES_MAX 4000u /* of the text: a schema of 40 KB says most at its beginning */
#define DEPTH_MAX 8u
#define VISITS_MAX 4000u /* of schemas and entries of maps, in all */

/* A map of schemas, or a list of them. */
typedef struct level {
    pw_mp rest; /* what of it has not been visited */
    size_t left;
    bool named; /* a map, whose keys are said */
} level;

typedef struct walk {
    pawl_scope *scope;
    pw_buf text;
    level stack[DEPTH_MAX];
    size_t depth, visits;
} walk;

static void say_view(walk *w, pw_view text)
{
    const size_t left = w->text.size < BYTES_MAX ? BYTES_MAX - w->text.size : 0;
    const size_t size = text.size < left ? text.size : left;
    if (size > 0) {
        pw_buf_printf(&w->text, "%s%.*s", w->text.size > 0 ? " " : "", (int)size,
                      (const char *)text.data);
    }
}

static void say(walk *w, const char *text)
{
    say_view(w, (pw_view){(const uint8_t *)text, strlen(text)});
}

static void say_all(walk *w, const pawl_value *list)
{
    for (size_t i = 0; pawl_typeof(list) == PAWL_ARRAY && i < pawl_len(list); i++) {
        say(w, pawl_str(pawl_at(list, i), "", ""));
    }
}

static void below(walk *w, const pawl_value *children, bool named)
{
    const pawl_type type = pawl_typeof(children);
    if (w->depth < DEPTH_MAX && type == (named ? PAWL_MAP : PAWL_ARRAY)) {
        const pw_view bytes = pw_value_bytes(children);
        level *l = &w->stack[w->depth++];
        *l = (level){.rest = pw_mp_reader(bytes.data, bytes.size), .named = named};
        l->left = named ? pw_mp_read_map(&l->rest) : pw_mp_read_array(&l->rest);
    }
}

/* What it says itself, but for the root, whose title and description are the thing's own; what is below it comes next. */
static void look(walk *w, const pawl_value *schema, bool root)
{
    static const char *const texts[] = {"title", "description", "const"};
    static const char *const lists[] = {"oneOf", "anyOf", "allOf"};
    if (pawl_typeof(schema) != PAWL_MAP) {
        return;
    }
    for (size_t i = 0; !root && i < PW_COUNT(texts); i++) {
        say(w, pawl_str(schema, texts[i], ""));
    }
    say_all(w, pawl_get(schema, "enum"));
    for (size_t i = 0; i < PW_COUNT(lists); i++) {
        below(w, pawl_get(schema, lists[i]), false);
    }
    const pawl_value *items = pawl_get(schema, "items");
    say_all(w, pawl_get(items, "enum"));
    say(w, pawl_str(items, "description", ""));
    below(w, pawl_get(items, "properties"), true);
    below(w, pawl_get(schema, "$defs"), true);
    below(w, pawl_get(schema, "definitions"), true);
    below(w, pawl_get(schema, "properties"), true);
}

static void visit(walk *w, level *l)
{
    l->left--;
    w->visits++;
    if (l->named) {
        say_view(w, pw_mp_read_str(&l->rest));
    }
    const uint8_t *from = l->rest.p;
    pw_mp_skip(&l->rest);
    if (pw_mp_ok(&l->rest)) {
        look(w, pw_value_view(w->scope, from, (size_t)(l->rest.p - from)), false);
    }
}

static void say_schema(walk *w, const pawl_value *schema)
{
    look(w, schema, true);
    while (w->depth > 0 && w->text.size < BYTES_MAX && w->visits < VISITS_MAX) {
        level *l = &w->stack[w->depth - 1];
        if (l->left == 0 || !pw_mp_ok(&l->rest)) {
            w->depth--;
        } else {
            visit(w, l);
        }
    }
}

/* ---- of a doc ---- */

void pw_choose_say(pawl_scope *scope, pw_choose_doc *doc, const pawl_value *tags,
                   const pawl_value *input, const pawl_value *output)
{
    walk w = {.scope = scope, .text = PW_BUF_INIT};
    say_all(&w, tags);
    say_schema(&w, input);
    say_schema(&w, output);
    const char *more = pw_strndup(scope, (const char *)w.text.data, w.text.size);
    doc->more = more != NULL ? more : "";
    doc->more_size = strlen(doc->more);
    pw_buf_deinit(&w.text);
}

static const pawl_value *json_of(pawl_scope *scope, const pawl_value *workflow, const char *key)
{
    const char *text = pawl_str(workflow, key, "");
    const pawl_value *v = NULL;
    pawl_error err;
    return text[0] != '\0' && pawl_parse_json(scope, text, strlen(text), &v, &err) == PAWL_OK
               ? v
               : NULL;
}

void pw_choose_say_workflow(pawl_scope *scope, pw_choose_doc *doc, const pawl_value *workflow)
{
    const pawl_value *publish = json_of(scope, workflow, "publish");
    const char *name = pawl_str(workflow, "name", "");
    const char *title = pawl_str(publish, "tool.title", "");
    const char *about = pawl_str(workflow, "description", "");
    const char *text = title[0] != '\0' ? pw_sprintf(scope, "%s. %s", title, about) : about;
    text = text != NULL ? text : "";
    *doc = (pw_choose_doc){name, strlen(name), text, strlen(text), "", 0};
    pw_choose_say(scope, doc, pawl_get(publish, "tags"), json_of(scope, workflow, "input_schema"),
                  json_of(scope, workflow, "output_schema"));
}
