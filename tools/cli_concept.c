/*
 * cli_concept.c - `concept`: words of a business with links to what serves them, kept as memories of a space for each workspace; and a search among them and
 * the workflows, as an agent and the MCP server make it. Also the chooser of a hosted engine. Does not rank: activities/chooser.h does.
 */
#include <string.h>

#include "activities/chooser.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "tools/cli_concept.h"
#include "tools/cli_model.h"
#include "tools/cli_table.h"

#define LINKS_MAX 64u
#define FOUND_DEFAULT 10

static const char *operand(const pw_cli *cli, size_t i)
{
    return i < cli->args->operand_count ? cli->args->operand[i] : NULL;
}

static const char *space(pw_cli *cli)
{
    return pw_concept_space(cli->scope, cli->args->value[PW_OPT_WORKSPACE]);
}

/* ---- the chooser ---- */

pawl_status pw_cli_chooser_open(pw_cli *cli, pawl_error *err)
{
    pawl_choose_vectors vectors;
    return pawl_chooser_open(pw_cli_model_vectors(cli, &vectors) ? &vectors : NULL, &cli->chooser,
                             err);
}

pawl_status pw_cli_chooser_register(pw_cli *cli, pawl_error *err)
{
    const pawl_status status = pw_cli_chooser_open(cli, err);
    return status == PAWL_OK ? pawl_choose_register(cli->engine, cli->chooser, err) : status;
}

void pw_cli_chooser_close(pw_cli *cli)
{
    pawl_chooser_close(cli->chooser);
    cli->chooser = NULL;
}

struct pawl_chooser *pw_cli_chooser_now(void *user)
{
    return ((pw_cli_late *)user)->cli->chooser;
}

struct pawl_chooser *pw_cli_chooser_late(void *user)
{
    pw_cli_late *late = user;
    pawl_error err;
    (void)pthread_mutex_lock(&late->lock);
    if (!late->tried) {
        late->tried = true;
        if (pw_cli_model_host(late->cli) == PW_EXIT_OK &&
            pw_cli_chooser_open(late->cli, &err) != PAWL_OK) {
            late->cli->chooser = NULL;
        }
    }
    struct pawl_chooser *chooser = late->cli->chooser;
    (void)pthread_mutex_unlock(&late->lock);
    return chooser;
}

/* ---- looking ---- */

static const char *links_text(pw_cli *cli, const pawl_value *concept)
{
    const pawl_value *links = pawl_get(concept, "data.links");
    const char *text = "";
    for (size_t i = 0; i < pawl_len(links); i++) {
        text = pw_sprintf(cli->scope, "%s%s%s", text, i > 0 ? ", " : "",
                          pawl_str(pawl_at(links, i), "", ""));
    }
    return text;
}

/* An item: {kind, name, text, links?, score?}. A list of concepts has their links, a search what each of them is; a column of nothing is left out. */
static int show(pw_cli *cli, const pawl_value *const *items, size_t len, bool found)
{
    static const char *const headings[] = {"KIND", "NAME", "LINKS", "TEXT"};
    pw_cli_grid grid;
    if (cli->out.format != PW_FORMAT_TEXT) {
        for (size_t i = 0; i < len; i++) {
            pw_out_json_item(&cli->out, items[i], i);
        }
        pw_out_json_end(&cli->out, len);
        return PW_EXIT_OK;
    }
    if (len == 0) {
        pw_cli_note(cli, "%s", found ? "nothing is found" : "there are no concepts here");
        return PW_EXIT_OK;
    }
    pw_grid_init(&grid, 4);
    grid.yields = found ? 1 : 2;
    for (size_t i = 0; i < len; i++) {
        pw_grid_str(&grid, PW_DIM, found ? pawl_str(items[i], "kind", "") : "");
        pw_grid_str(&grid, PW_BOLD, pawl_str(items[i], "name", ""));
        pw_grid_str(&grid, PW_PLAIN, found ? "" : pawl_str(items[i], "shown", ""));
        pw_grid_str(&grid, PW_PLAIN, pawl_str(items[i], "text", ""));
    }
    (void)pw_grid_print(&cli->out, &grid, headings, 0);
    pw_grid_deinit(&grid);
    return PW_EXIT_OK;
}

static pawl_status concepts(pw_cli *cli, const char *of, const pawl_value **ret_list,
                            pawl_error *err)
{
    return pw_cli_request(cli, "memories",
                          pawl_build(cli->scope, "{space: %s, limit: %d}",
                                     pw_concept_space(cli->scope, of), (int)PW_CONCEPTS_MAX),
                          -1, ret_list, err);
}

/* As whoever searches for that workspace sees them. */
static pawl_status concepts_seen(pw_cli *cli, const pawl_value **ret_list, pawl_error *err)
{
    const char *workspace = cli->args->value[PW_OPT_WORKSPACE];
    const pawl_value *own = NULL, *shared = NULL;
    pawl_status st = concepts(cli, NULL, &shared, err);
    st = st == PAWL_OK && !pw_concept_shared(workspace) ? concepts(cli, workspace, &own, err) : st;
    *ret_list = pw_concepts_join(cli->scope, own, shared);
    return st;
}

static const pawl_value *item_of(pw_cli *cli, const pawl_value *concept)
{
    const pawl_value *v = pawl_build(cli->scope, "{kind: 'concept', name: %s, text: %s, links: %p}",
                                     pawl_str(concept, "key", ""), pawl_str(concept, "text", ""),
                                     pawl_v(pawl_get(concept, "data.links")));
    return cli->out.format == PW_FORMAT_TEXT
               ? pawl_with(cli->scope, v, "shown",
                           pawl_make_str(cli->scope, links_text(cli, concept)))
               : v;
}

static int list(pw_cli *cli)
{
    const pawl_value *all = NULL;
    pawl_error err = {0};
    const pawl_status st = concepts(cli, cli->args->value[PW_OPT_WORKSPACE], &all, &err);
    const pawl_value **items = pw_alloc(cli->scope, (pawl_len(all) + 1) * sizeof *items);
    if (st != PAWL_OK || items == NULL) {
        return pw_cli_fail(cli, st != PAWL_OK ? st : PAWL_NOMEM, &err, NULL);
    }
    for (size_t i = 0; i < pawl_len(all); i++) {
        items[i] = item_of(cli, pawl_at(all, i));
    }
    const int code = show(cli, items, pawl_len(all), false);
    if (cli->out.format == PW_FORMAT_TEXT && pawl_len(all) == 0 && !pw_cli_live(cli)) {
        pw_cli_note(cli, "what is kept for an engine waits for one: pawl%s serve",
                    pw_cli_db_words(cli));
    } else if (cli->out.format == PW_FORMAT_TEXT && pawl_len(all) == 0) {
        pw_cli_note(cli, "next: pawl%s concept add NAME 'TEXT' --link TOOL,...",
                    pw_cli_db_words(cli));
    }
    return code;
}

/* ---- changing ---- */

/* NULL: there are too many, and one that is left out would be missed. */
static const pawl_value *links_of(pw_cli *cli)
{
    const pawl_value *links[LINKS_MAX];
    size_t len = 0;
    const char *p = cli->args->value[PW_OPT_LINK];
    while (p != NULL && *p != '\0') {
        const size_t size = strcspn(p, ",");
        if (size > 0 && len == LINKS_MAX) {
            return NULL;
        }
        if (size > 0) {
            links[len++] = pawl_make_str(cli->scope, pw_strndup(cli->scope, p, size));
        }
        p += size + (p[size] == ',');
    }
    return pawl_make_array(cli->scope, links, len);
}

static int change(pw_cli *cli, const char *op, const pawl_value *args, const char *done)
{
    pawl_error err = {0};
    const pawl_status st = pw_cli_request(cli, op, args, -1, NULL, &err);
    if (st != PAWL_OK) {
        return pw_cli_fail(cli, st, &err, NULL);
    }
    if (cli->out.format == PW_FORMAT_TEXT) {
        pw_out_puts(&cli->out, pw_cli_kept(cli) ? "kept: " : "");
        pw_out_styled(&cli->out, PW_BOLD, operand(cli, 0));
        pw_out_printf(&cli->out, " %s\n", done);
        if (pw_cli_kept(cli)) {
            pw_cli_say_kept(cli);
        }
    } else {
        pw_out_json_item(&cli->out,
                         pawl_build(cli->scope, "{name: %s, kept: %p}", operand(cli, 0),
                                    pawl_v(pawl_make_bool(cli->scope, pw_cli_kept(cli)))),
                         0);
        pw_out_json_end(&cli->out, 1);
    }
    return PW_EXIT_OK;
}

/* True also if nobody can say: what waits for an engine is in no list. */
static bool is_there(pw_cli *cli, const char *name)
{
    const pawl_value *all = NULL;
    pawl_error err;
    bool there = !pw_cli_live(cli) ||
                 concepts(cli, cli->args->value[PW_OPT_WORKSPACE], &all, &err) != PAWL_OK ||
                 pawl_len(all) >= PW_CONCEPTS_MAX;
    for (size_t i = 0; i < pawl_len(all) && !there; i++) {
        there = pawl_is(pawl_at(all, i), "key", name);
    }
    return there;
}

static int add(pw_cli *cli)
{
    const pawl_value *links = links_of(cli);
    if (operand(cli, 1) == NULL) {
        return pw_cli_usage(
            cli, "which concept, and what is it? pawl concept add NAME 'TEXT' --link TOOL,...");
    }
    if (links == NULL) {
        return pw_cli_usage(cli, "a concept has at most %u links; one like crm_* stands for many",
                            LINKS_MAX);
    }
    return change(
        cli, "memory_put",
        pawl_build(cli->scope, "{space: %s, key: %s, text: %s, data: {links: %p}, by: %s}",
                   space(cli), operand(cli, 0), operand(cli, 1), pawl_v(links), pw_cli_by(cli)),
        "is a concept");
}

static int drop(pw_cli *cli)
{
    if (operand(cli, 0) == NULL) {
        return pw_cli_usage(cli, "which concept? pawl concept remove NAME");
    }
    if (!is_there(cli, operand(cli, 0))) {
        pawl_error err = {0};
        cli->next = "pawl%d concept list";
        return pw_cli_fail(
            cli, pw_err(&err, PAWL_NOTFOUND, "there is no concept \"%.100s\"", operand(cli, 0)),
            &err, NULL);
    }
    return change(cli, "memory_delete",
                  pawl_build(cli->scope, "{space: %s, key: %s, by: %s}", space(cli),
                             operand(cli, 0), pw_cli_by(cli)),
                  "is no concept any more");
}

/* ---- searching ---- */

typedef struct catalog {
    const pawl_value *concepts;
    pw_choose_doc *docs;
    const pawl_value **items;
    size_t len;
} catalog;

static void put_concept(pw_cli *cli, catalog *c, const pawl_value *concept)
{
    const char *name = pawl_str(concept, "key", ""), *text = pawl_str(concept, "text", "");
    c->docs[c->len] = (pw_choose_doc){name, strlen(name), text, strlen(text), "", 0};
    c->items[c->len++] = item_of(cli, concept);
}

static void put_workflow(pw_cli *cli, catalog *c, const pawl_value *w)
{
    pw_choose_say_workflow(cli->scope, &c->docs[c->len], w);
    c->items[c->len++] = pawl_build(cli->scope, "{kind: 'workflow', name: %s, text: %s}",
                                    pawl_str(w, "name", ""), pawl_str(w, "description", ""));
}

static bool catalog_make(pw_cli *cli, const pawl_value *workflows, catalog *c)
{
    const size_t len = pawl_len(c->concepts) + pawl_len(workflows);
    c->docs = pw_alloc(cli->scope, (len + 1) * sizeof *c->docs);
    c->items = pw_alloc(cli->scope, (len + 1) * sizeof *c->items);
    if (c->docs == NULL || c->items == NULL) {
        return false;
    }
    for (size_t i = 0; i < pawl_len(c->concepts); i++) {
        put_concept(cli, c, pawl_at(c->concepts, i));
    }
    for (size_t i = 0; i < pawl_len(workflows); i++) {
        put_workflow(cli, c, pawl_at(workflows, i));
    }
    return true;
}

static int found(pw_cli *cli, const catalog *c)
{
    const int64_t limit = cli->args->number[PW_OPT_LIMIT];
    const pawl_choose_text text = {operand(cli, 0), strlen(operand(cli, 0))};
    const pw_chooser_ask ask = {.docs = c->docs,
                                .len = c->len,
                                .queries = &text,
                                .queries_len = 1,
                                .concepts = c->concepts,
                                .k = (size_t)(limit > 0 && limit <= 1000 ? limit : FOUND_DEFAULT),
                                .by = PW_CHOOSE_HYBRID};
    pw_chooser_found f;
    pawl_error err = {0};
    const pawl_status st = pw_chooser_best(cli->chooser, cli->scope, &ask, &f, &err);
    if (st != PAWL_OK) {
        return pw_cli_fail(cli, st, &err, NULL);
    }
    const pawl_value **items = pw_alloc(cli->scope, (f.len + 1) * sizeof *items);
    for (size_t i = 0; i < f.len && items != NULL; i++) {
        items[i] = pawl_with(cli->scope, c->items[f.best[i].index], "score",
                             pawl_make_num(cli->scope, f.best[i].score));
    }
    if (f.by == PW_CHOOSE_WORDS) {
        pw_cli_note(cli, "by words alone: no model (--model, $PAWL_MODEL; pawl model)");
    }
    return items != NULL ? show(cli, items, f.len, true) : pw_cli_fail(cli, PAWL_NOMEM, &err, NULL);
}

static int search(pw_cli *cli)
{
    catalog c = {.len = 0};
    const pawl_value *tools = NULL;
    pawl_error err = {0}, no_engine = {0};
    if (operand(cli, 0) == NULL) {
        return pw_cli_usage(cli, "search for what? pawl concept search 'WORDS'");
    }
    const int code = pw_cli_model_host(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    pawl_status st = concepts_seen(cli, &c.concepts, &err);
    st = st == PAWL_OK ? pw_cli_chooser_open(cli, &err) : st;
    /* Which workflows there are is known to an engine alone. */
    if (st == PAWL_OK && pw_cli_live(cli) &&
        pw_cli_request(cli, "tools", NULL, 5000, &tools, &no_engine) != PAWL_OK) {
        tools = NULL;
    }
    if (st != PAWL_OK || !catalog_make(cli, pawl_get(tools, "workflows"), &c)) {
        return pw_cli_fail(cli, st != PAWL_OK ? st : PAWL_NOMEM, &err, NULL);
    }
    return found(cli, &c);
}

int pw_verb_concept(pw_cli *cli)
{
    static const struct {
        const char *name;
        int (*fn)(pw_cli *cli);
    } actions[] = {{"list", list}, {"add", add}, {"remove", drop}, {"search", search}};
    const char *name = cli->args->word != NULL ? cli->args->word : "list";
    size_t i = 0;
    while (i + 1 < sizeof actions / sizeof actions[0] && strcmp(name, actions[i].name) != 0) {
        i++;
    }
    if (strcmp(name, "list") == 0 && operand(cli, 0) != NULL) {
        return pw_cli_usage(cli, "pawl concept list, add, remove or search; not \"%s\"",
                            operand(cli, 0));
    }
    int code = pw_cli_connect(cli);
    code = code == PW_EXIT_OK ? actions[i].fn(cli) : code;
    pw_cli_chooser_close(cli);
    pw_cli_model_close(cli);
    return code;
}
