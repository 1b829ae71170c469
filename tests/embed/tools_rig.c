/*
 * tools_rig.c - reads the tools and requests, ranks them, counts. BM25 is SQLite's (FTS5, English stems); the other ways are pawl's own. Judges nothing.
 */
#include "tools_rig.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/buf.h"

#define SECOND 0.25 /* what a second vector of a tool counts */

#define FIRST 20u /* as many as an agent asks for at most; what is not among them has no rank */

const size_t tools_depths[TOOLS_DEPTHS] = {1, 3, 5, 10, FIRST};

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "tools: %s: %s\n", what, why);
    exit(1);
}

const char *tools_way_name(tools_way way)
{
    static const char *const names[] = {"BM25 (FTS5)", "words (pawl)", "meaning", "plain fusion",
                                        "hybrid"};
    return names[way];
}

const char *tools_group_name(tools_group group)
{
    static const char *const names[] = {"all", "a word in the name", "none in the name"};
    return names[group];
}

/* ---- a tool as a model is told of it ---- */

/* One of "title:string!", "labels:string[]". */
static const pawl_value *param_schema(pawl_scope *scope, const char *type, size_t size)
{
    if (size > 2 && type[size - 2] == '[') {
        return pawl_build(scope, "{type: 'array', items: {type: %s}}",
                          pw_strndup(scope, type, size - 2));
    }
    return pawl_build(scope, "{type: %s}", pw_strndup(scope, type, size));
}

static const pawl_value *tool_value(const tools_set *s, pawl_scope *scope, size_t tool)
{
    const pawl_value *properties = pawl_build(scope, "{}"), *required[32];
    size_t required_len = 0;
    for (const char *p = s->params[tool]; *p != '\0';) {
        const size_t name = strcspn(p, ":"), whole = strcspn(p, " ");
        const bool must = p[whole - 1] == '!';
        const char *key = pw_strndup(scope, p, name);
        properties = pawl_with(scope, properties, key,
                               param_schema(scope, p + name + 1, whole - name - 1 - must));
        if (must && required_len < 32) {
            required[required_len++] = pawl_make_str(scope, key);
        }
        p += whole + (p[whole] != '\0');
    }
    return pawl_build(
        scope,
        "{name: %s, description: %s, input_schema: {type: 'object', properties: %p, required: %p}}",
        s->docs[tool].name, s->docs[tool].text, pawl_v(properties),
        pawl_v(pawl_make_array(scope, required, required_len)));
}

const char *tools_json(const tools_set *s, pawl_scope *scope, size_t tool)
{
    return pawl_to_json(scope, tool_value(s, scope, tool), 0);
}

/* ---- reading ---- */

static char *file_text(pawl_scope *scope, const char *folder, const char *name)
{
    char path[2000];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    char *text = pw_alloc(scope, 1u << 20);
    const size_t size = f != NULL && text != NULL ? fread(text, 1, (1u << 20) - 1, f) : 0;
    if (size == 0) {
        die(path, "cannot be read");
    }
    text[size] = '\0';
    (void)fclose(f);
    return text;
}

/* The next line's fields; false at the end. */
static bool row_next(char **text, char **fields, size_t len, const char *file)
{
    char *line = strsep(text, "\n");
    if (line == NULL || *line == '\0') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        fields[i] = strsep(&line, "\t");
        if (fields[i] == NULL) {
            die(file, "a line has too few fields");
        }
    }
    return true;
}

static size_t tool_of(const tools_set *s, const char *name)
{
    for (size_t i = 0; i < s->len; i++) {
        if (strcmp(s->docs[i].name, name) == 0) {
            return i;
        }
    }
    die(name, "there is no such tool");
    return 0;
}

static bool has_word(const pw_choose_doc *doc, const pw_word *word)
{
    const char *name = doc->name;
    size_t left = doc->name_size;
    pw_word has;
    while (pw_word_next(&name, &left, false, &has)) {
        if (has.size == word->size && memcmp(has.text, word->text, has.size) == 0) {
            return true;
        }
    }
    return false;
}

static bool named(const tools_set *s, const tools_request *r)
{
    const char *text = r->text;
    size_t size = strlen(text);
    bool found = false;
    pw_word word;
    while (!found && pw_word_next(&text, &size, false, &word)) {
        for (size_t i = 0; i < r->meant_len; i++) {
            found |= has_word(&s->docs[r->meant[i]], &word);
        }
    }
    return found;
}

static void read_all(tools_set *s, const char *folder)
{
    char *tools = file_text(s->scope, folder, "tools.tsv");
    char *requests = file_text(s->scope, folder, "requests.tsv");
    char *f[3];
    while (s->len < TOOLS_MAX && row_next(&tools, f, 3, "tools.tsv")) {
        s->docs[s->len] = (pw_choose_doc){f[0], strlen(f[0]), f[1], strlen(f[1]), "", 0};
        s->params[s->len] = f[2];
        pw_choose_say(s->scope, &s->docs[s->len], NULL,
                      pawl_get(tool_value(s, s->scope, s->len), "input_schema"), NULL);
        s->len++;
    }
    while (s->requests_len < REQUESTS_MAX && row_next(&requests, f, 2, "requests.tsv")) {
        tools_request *r = &s->requests[s->requests_len++];
        r->text = f[1];
        for (char *name; (name = strsep(&f[0], "|")) != NULL && r->meant_len < MEANT_MAX;) {
            r->meant[r->meant_len++] = tool_of(s, name);
        }
    }
}

/* Each n-th request, and of the tools those that are meant by them and each n-th. */
static void thin(tools_set *s, size_t every)
{
    size_t place[TOOLS_MAX];
    bool kept[TOOLS_MAX] = {false};
    size_t len = 0, n = 0;
    for (size_t i = 0; i < s->requests_len; i += every) {
        s->requests[len++] = s->requests[i];
    }
    s->requests_len = len;
    for (size_t i = 0; i < len; i++) {
        for (size_t k = 0; k < s->requests[i].meant_len; k++) {
            kept[s->requests[i].meant[k]] = true;
        }
    }
    for (size_t i = 0; i < s->len; i++) {
        place[i] = n;
        if (kept[i] || i % every == 0) {
            s->docs[n] = s->docs[i];
            s->params[n++] = s->params[i];
        }
    }
    s->len = n;
    for (size_t i = 0; i < len; i++) {
        for (size_t k = 0; k < s->requests[i].meant_len; k++) {
            s->requests[i].meant[k] = place[s->requests[i].meant[k]];
        }
    }
}

tools_set *tools_read(const char *folder, size_t every)
{
    tools_set *s = calloc(1, sizeof *s);
    if (s == NULL || (s->scope = pawl_scope_new()) == NULL) {
        die("reading", "no memory");
        return NULL;
    }
    read_all(s, folder);
    if (every > 1) {
        thin(s, every);
    }
    for (size_t i = 0; i < s->requests_len; i++) {
        s->requests[i].named = named(s, &s->requests[i]);
    }
    return s;
}

void tools_free(tools_set *s)
{
    pawl_scope_free(s->scope);
    free(s->vectors);
    free(s);
}

/* ---- vectors ---- */

static const char *in_words(pawl_scope *scope, const char *name)
{
    char *text = pw_strdup(scope, name);
    for (char *p = text; p != NULL && *p != '\0'; p++) {
        *p = *p == '_' ? ' ' : *p;
    }
    return text;
}

static const char small_talk[] =
    "Good morning! Thanks again for your help last week, it all went well and my colleagues were "
    "delighted with the outcome; the weather was lovely and we had a nice lunch afterwards. I am "
    "back at my desk now, a little tired, with a cup of coffee and a long list. Here is the next "
    "one for you.";

static void talk_first(tools_set *s)
{
    for (size_t i = 0; i < s->requests_len; i++) {
        s->requests[i].text = pw_sprintf(s->scope, "%s %s", small_talk, s->requests[i].text);
    }
}

static const char *text_of(const tools_set *s, size_t tool, tools_form form)
{
    const pw_choose_doc *d = &s->docs[tool];
    const char *text = form == TOOLS_FORM_TEXT
                           ? d->text
                           : pw_sprintf(s->scope, "%s: %s", in_words(s->scope, d->name), d->text);
    for (const char *p = s->params[tool]; form == TOOLS_FORM_PARAMS && *p != '\0';) {
        const char *name = pw_strndup(s->scope, p, strcspn(p, ":"));
        text = pw_sprintf(s->scope, "%s %s", text, in_words(s->scope, name));
        p += strcspn(p, " ");
        p += *p == ' ';
    }
    return text;
}

void tools_embed(tools_set *s, const pawl_embedder *e, tools_form form)
{
    const size_t both = s->len + s->requests_len;
    const size_t len = both + (form == TOOLS_FORM_SECOND ? s->len : 0);
    pawl_embed_text *texts = pw_alloc(s->scope, len * sizeof *texts);
    pawl_embed_info info;
    pawl_error err;
    pawl_embed_about(e, &info);
    s->width = info.width;
    s->second = form == TOOLS_FORM_SECOND;
    for (size_t i = 0; i < s->len && form == TOOLS_FORM_BARE; i++) {
        s->docs[i].more_size = 0;
    }
    s->vectors = malloc(len * s->width * sizeof *s->vectors);
    if (form == TOOLS_FORM_LONG) {
        talk_first(s);
    }
    if (texts == NULL || s->vectors == NULL) {
        die("vectors", "no memory");
        return;
    }
    for (size_t i = 0; i < len; i++) {
        const char *text = i < s->len ? text_of(s, i, form)
                           : i < both ? s->requests[i - s->len].text
                                      : in_words(s->scope, s->docs[i - both].more);
        texts[i] = (pawl_embed_text){text, strlen(text)};
    }
    if (pawl_embed_texts(e, texts, len, s->vectors, NULL, &err) != PAWL_OK) {
        die("vectors", err.message);
    }
}

static double cosine(const tools_set *s, size_t tool, size_t request)
{
    const float *a = s->vectors + tool * s->width, *b = s->vectors + (s->len + request) * s->width;
    double sum = 0;
    for (size_t i = 0; i < s->width; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    for (size_t i = 0; i < s->width && s->second; i++) {
        sum += SECOND * (double)a[(s->len + s->requests_len) * s->width + i] * (double)b[i];
    }
    return sum;
}

/* ---- ranking ---- */

static void sql(sqlite3 *db, const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
        die(text, sqlite3_errmsg(db));
    }
}

static sqlite3 *fts_open(const tools_set *s)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *put = NULL;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) {
        die("sqlite", "cannot be opened");
    }
    sql(db, "CREATE VIRTUAL TABLE t USING fts5(name, text, tokenize = 'porter unicode61')");
    (void)sqlite3_prepare_v2(db, "INSERT INTO t(rowid, name, text) VALUES (?1, ?2, ?3)", -1, &put,
                             NULL);
    for (size_t i = 0; i < s->len; i++) {
        (void)sqlite3_bind_int64(put, 1, (sqlite3_int64)i + 1);
        (void)sqlite3_bind_text(put, 2, s->docs[i].name, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(put, 3, s->docs[i].text, -1, SQLITE_STATIC);
        if (sqlite3_step(put) != SQLITE_DONE) {
            die("fts5", sqlite3_errmsg(db));
        }
        (void)sqlite3_reset(put);
    }
    (void)sqlite3_finalize(put);
    return db;
}

/* "Get it back" as "get" OR "it" OR "back". */
static const char *fts_query(pawl_scope *scope, const char *text)
{
    pw_buf query = PW_BUF_INIT;
    for (const char *p = text; *p != '\0';) {
        const size_t word = strcspn(p, " .,:;?!'\"()[]{}=~<>/+-*@_$#&%");
        if (word > 0) {
            pw_buf_printf(&query, "%s\"%.*s\"", query.size > 0 ? " OR " : "", (int)word, p);
        }
        p += word + (p[word] != '\0');
    }
    const char *copy = pw_strndup(scope, (const char *)query.data, query.size);
    pw_buf_deinit(&query);
    return copy;
}

static size_t fts_first(sqlite3 *db, const char *query, size_t k, size_t *ret_tools)
{
    static const char text[] =
        "SELECT rowid FROM t WHERE t MATCH ?1 ORDER BY bm25(t), rowid LIMIT ?2";
    sqlite3_stmt *get = NULL;
    size_t len = 0;
    if (sqlite3_prepare_v2(db, text, -1, &get, NULL) != SQLITE_OK) {
        die(text, sqlite3_errmsg(db));
    }
    (void)sqlite3_bind_text(get, 1, query, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(get, 2, (sqlite3_int64)k);
    while (sqlite3_step(get) == SQLITE_ROW && len < k) {
        ret_tools[len++] = (size_t)sqlite3_column_int64(get, 0) - 1;
    }
    (void)sqlite3_finalize(get);
    return len;
}

typedef struct scored {
    size_t tool;
    double score;
} scored;

static int best_first(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score ? 1 : -1)
                                : (x->tool > y->tool) - (x->tool < y->tool);
}

/* Those above least, sorted. */
static size_t list_of(const double *scores, size_t len, double least, scored *ret_list)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (scores[i] > least) {
            ret_list[n++] = (scored){i, scores[i]};
        }
    }
    qsort(ret_list, n, sizeof *ret_list, best_first);
    return n;
}

/* Reciprocal ranks as they are published: 1 / (60 + rank) of the first 100 of both lists. */
static size_t plain_of(const tools_set *s, const pw_choose_query *query, size_t k,
                       size_t *ret_tools)
{
    static double words[TOOLS_MAX], sums[TOOLS_MAX];
    static scored list[TOOLS_MAX];
    const double *const both[] = {words, query->cosines};
    pawl_scope *scope = pawl_scope_new();
    if (!pw_choose_words(scope, s->docs, s->len, query, words, NULL)) {
        die("ranking", "no memory");
    }
    pawl_scope_free(scope);
    memset(sums, 0, sizeof sums);
    for (size_t b = 0; b < 2; b++) {
        const size_t len = list_of(both[b], s->len, b == 0 ? 0 : -2, list);
        for (size_t i = 0; i < len && i < 100; i++) {
            sums[list[i].tool] += 1.0 / (60 + (double)(i + 1));
        }
    }
    const size_t len = list_of(sums, s->len, 0, list);
    for (size_t i = 0; i < len && i < k; i++) {
        ret_tools[i] = list[i].tool;
    }
    return len < k ? len : k;
}

static size_t first_of(const tools_set *s, sqlite3 *db, tools_way way, size_t request, size_t k,
                       size_t *ret_tools)
{
    static pw_choice best[TOOLS_MAX];
    static double cosines[TOOLS_MAX];
    static const pw_choose_by by[] = {[TOOLS_WORDS] = PW_CHOOSE_WORDS,
                                      [TOOLS_MEANING] = PW_CHOOSE_MEANING,
                                      [TOOLS_HYBRID] = PW_CHOOSE_HYBRID};
    pawl_scope *scope = pawl_scope_new();
    const char *text = s->requests[request].text;
    size_t len = 0;
    if (way == TOOLS_BM25) {
        len = fts_first(db, fts_query(scope, text), k, ret_tools);
        pawl_scope_free(scope);
        return len;
    }
    for (size_t i = 0; i < s->len && s->vectors != NULL; i++) {
        cosines[i] = cosine(s, i, request);
    }
    const pw_choose_query query = {text, strlen(text), cosines};
    if (way == TOOLS_PLAIN) {
        pawl_scope_free(scope);
        return plain_of(s, &query, k, ret_tools);
    }
    const pw_choose c = {.docs = s->docs,
                         .len = s->len,
                         .queries = &query,
                         .queries_len = 1,
                         .by = by[way],
                         .k = k,
                         .at_least = -2};
    if (!pw_choose_best(scope, &c, best, &len)) {
        die("ranking", "no memory");
    }
    for (size_t i = 0; i < len; i++) {
        ret_tools[i] = best[i].index;
    }
    pawl_scope_free(scope);
    return len;
}

size_t tools_first(const tools_set *s, tools_way way, size_t request, size_t k, size_t *ret_tools)
{
    sqlite3 *db = way == TOOLS_BM25 ? fts_open(s) : NULL;
    const size_t len = first_of(s, db, way, request, k, ret_tools);
    (void)sqlite3_close(db);
    return len;
}

/* ---- counting ---- */

/* From 1; 0 = not found. */
static size_t rank_of(const tools_request *r, const size_t *tools, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        for (size_t k = 0; k < r->meant_len; k++) {
            if (tools[i] == r->meant[k]) {
                return i + 1;
            }
        }
    }
    return 0;
}

static void count(tools_score *score, size_t rank)
{
    score->requests++;
    score->mrr += rank > 0 ? 1.0 / (double)rank : 0;
    for (size_t d = 0; d < TOOLS_DEPTHS; d++) {
        score->recall[d] += rank > 0 && rank <= tools_depths[d];
    }
}

void tools_ranks(const tools_set *s, tools_way way, size_t ret_ranks[REQUESTS_MAX])
{
    static size_t tools[TOOLS_MAX];
    sqlite3 *db = way == TOOLS_BM25 ? fts_open(s) : NULL;
    for (size_t i = 0; i < s->requests_len; i++) {
        const size_t len = first_of(s, db, way, i, FIRST, tools);
        ret_ranks[i] = rank_of(&s->requests[i], tools, len);
    }
    (void)sqlite3_close(db);
}

void tools_measure(const tools_set *s, tools_way way, tools_score ret_scores[TOOLS_GROUPS])
{
    static size_t ranks[REQUESTS_MAX];
    memset(ret_scores, 0, TOOLS_GROUPS * sizeof *ret_scores);
    tools_ranks(s, way, ranks);
    for (size_t i = 0; i < s->requests_len; i++) {
        count(&ret_scores[TOOLS_ALL], ranks[i]);
        count(&ret_scores[s->requests[i].named ? TOOLS_NAMED : TOOLS_UNNAMED], ranks[i]);
    }
    for (size_t g = 0; g < TOOLS_GROUPS; g++) {
        const double n = ret_scores[g].requests > 0 ? (double)ret_scores[g].requests : 1;
        ret_scores[g].mrr /= n;
        for (size_t d = 0; d < TOOLS_DEPTHS; d++) {
            ret_scores[g].recall[d] /= n;
        }
    }
}
