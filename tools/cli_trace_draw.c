/*
 * cli_trace_draw.c - the tree of a run as lines.
 *
 *   release-42  release@1  running for 2 min 10 s
 *   ├─ ✓ snapshot                   120 ms
 *   ├─ ✗ build                      34 s     attempt 3: ExitStatus: make failed  release.c:40
 *   └─ ● approval publish           1 min    until in 2 d  release.c:88
 *        pawl answer release-42 approve|reject
 *
 * Lines are collected first, so that durations stand in one column. Draws with box characters in a UTF-8 locale, else in ASCII.
 * Does not read the history: cli_trace.c does.
 */
#include <inttypes.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/record.h"
#include "tools/cli_trace.h"

#define LABEL_COLUMNS_MAX 56
#define SPAN_COLUMNS 11
#define NOTE_COLUMNS_MIN 12
#define PREFIX_BYTES_MAX 256

typedef struct line {
    char prefix[PREFIX_BYTES_MAX];
    const char *mark;
    pw_cli_style style;
    const char *label;
    pw_cli_style label_style;
    char span[32];
    const char *note;
    const char *at;
    const char *by_itself; /* a line of text without mark and columns */
} line;

typedef struct drawing {
    pw_cli *cli;
    pw_cli_out *out;
    line *lines;
    size_t len;
    size_t capacity;
    pawl_scope *scope;
    bool failed;
} drawing;

typedef struct glyphs {
    const char *branch, *last, *down, *none;
    const char *done, *failed, *open, *ask, *canceled, *late, *unknown, *note, *group, *undo;
} glyphs;

static const glyphs unicode_glyphs = {"├─ ", "└─ ", "│  ", "   ", "✓", "✗", "●",
                                      "◆",   "⊘",   "◷",   "?",   "·", "╴", "↩"};
static const glyphs ascii_glyphs = {"|- ", "`- ", "|  ", "   ", "+", "x", "*",
                                    "?",   "/",   "!",   "?",   ".", "-", "<"};

static const glyphs *glyphs_of(const drawing *d)
{
    return d->out->unicode ? &unicode_glyphs : &ascii_glyphs;
}

/* ---- lines ---- */

static line *line_add(drawing *d, const char *prefix, const char *tail)
{
    if (d->len == d->capacity) {
        size_t capacity = d->capacity == 0 ? 64 : d->capacity * 2;
        line *lines = pawl_scope_alloc(d->scope, capacity * sizeof *lines);
        if (lines == NULL) {
            d->failed = true;
            return NULL;
        }
        if (d->len > 0) {
            memcpy(lines, d->lines, d->len * sizeof *lines);
        }
        d->lines = lines;
        d->capacity = capacity;
    }
    line *l = &d->lines[d->len++];
    *l = (line){.mark = "", .label = "", .note = "", .at = ""};
    (void)snprintf(l->prefix, sizeof l->prefix, "%s%s", prefix, tail);
    return l;
}

static void deeper(char ret[PREFIX_BYTES_MAX], const char *prefix, const char *tail)
{
    if (snprintf(ret, PREFIX_BYTES_MAX, "%s%s", prefix, tail) >= PREFIX_BYTES_MAX) {
        (void)snprintf(ret, PREFIX_BYTES_MAX, "%s", prefix); /* too deep to indent further */
    }
}

/* ---- one node ---- */

/* Somebody is to answer; nobody is when an answer is kept for the next engine. */
static bool asks(const pw_node *n)
{
    return n->kind == PW_NODE_WAIT && n->state == PW_STATE_OPEN && *n->kept == '\0';
}

static void mark_node(const drawing *d, const pw_node *n, line *l)
{
    const glyphs *g = glyphs_of(d);
    const struct {
        const char *mark;
        pw_cli_style style;
    } marks[] = {
        [PW_STATE_OPEN] = {asks(n) ? g->ask : g->open, asks(n) ? PW_WARN : PW_NOW},
        [PW_STATE_DONE] = {g->done, PW_GOOD},
        [PW_STATE_FAILED] = {g->failed, PW_BAD},
        [PW_STATE_CANCELED] = {g->canceled, PW_WARN},
        [PW_STATE_LATE] = {g->late, PW_WARN},
        [PW_STATE_UNKNOWN] = {g->unknown, PW_BAD},
        [PW_STATE_NOTE] = {g->note, PW_DIM},
    };
    l->mark = n->undoes != 0 && n->state == PW_STATE_DONE ? g->undo : marks[n->state].mark;
    l->style = marks[n->state].style;
    l->label_style = n->state == PW_STATE_OPEN   ? PW_BOLD
                     : n->state == PW_STATE_NOTE ? PW_DIM
                                                 : PW_PLAIN;
}

static const char *label_step(const drawing *d, const pw_trace *t, const pw_node *n)
{
    for (size_t i = 0; n->undoes != 0 && i < t->len; i++) {
        if (t->nodes[i].command == n->undoes) {
            return pw_sprintf(d->scope, "%s (undoes %s)", n->name, t->nodes[i].name);
        }
    }
    return n->undoes != 0 ? pw_sprintf(d->scope, "%s (undo)", n->name)
                          : n->name; /* registered by itself */
}

static const char *label_node(const drawing *d, const pw_trace *t, const pw_node *n)
{
    char span[32];
    const char *label = n->name;
    switch (n->kind) {
    case PW_NODE_TIMER:
        pw_cli_span(span, n->due_ms - n->start_ms);
        label = pw_sprintf(d->scope, "sleep %s", span);
        break;
    case PW_NODE_SIGNAL:
        label = pw_sprintf(d->scope, "signal %s", n->name);
        break;
    case PW_NODE_SEND:
        label = pw_sprintf(d->scope, "send %s to %s", n->name, n->note);
        break;
    case PW_NODE_CHILD:
        label = pw_sprintf(d->scope, "%s  %s", n->note, n->name);
        break;
    case PW_NODE_MAP:
        label = pw_sprintf(d->scope, "map %s, %" PRId64 " items", n->name, n->total);
        break;
    case PW_NODE_WAIT:
        label =
            pw_sprintf(d->scope, "%s %s", *n->kind_text != '\0' ? n->kind_text : "wait", n->name);
        break;
    case PW_NODE_ACTIVITY:
        label = label_step(d, t, n);
        break;
    case PW_NODE_STEP:
    case PW_NODE_LIFE:
        break;
    }
    return label != NULL ? label : "";
}

static void add_part(pw_buf *b, const char *separator)
{
    if (b->size > 0) {
        pw_buf_puts(b, separator);
    }
}

static void note_attempts(const drawing *d, const pw_node *n, pw_buf *b)
{
    char span[32];
    if (n->attempts <= 1) {
        return;
    }
    pw_buf_printf(b, n->state == PW_STATE_OPEN ? "attempt %" PRId64 : "%" PRId64 " attempts",
                  n->attempts);
    if (n->state == PW_STATE_OPEN && n->due_ms > d->out->now_ms) {
        pw_cli_relative(span, n->due_ms, d->out->now_ms);
        pw_buf_printf(b, " %s", span);
    }
}

static void note_failure(const pw_node *n, pw_buf *b)
{
    const pawl_value *f = n->failure;
    if (f == NULL || n->state == PW_STATE_DONE) {
        return;
    }
    add_part(b, n->state == PW_STATE_OPEN ? ", after " : ": ");
    pw_buf_printf(b, "%s: %s", pawl_str(f, "type", "?"), pawl_str(f, "message", ""));
}

static const char *note_node(const drawing *d, const pw_node *n)
{
    pw_buf b = PW_BUF_INIT;
    char left[48];
    note_attempts(d, n, &b);
    if (n->kind == PW_NODE_MAP && n->state != PW_STATE_DONE && n->total > 0) {
        add_part(&b, ", ");
        pw_buf_printf(&b, "%" PRId64 " of %" PRId64, n->done, n->total);
    }
    if (n->kind == PW_NODE_MAP && n->failed > 0) {
        add_part(&b, ", ");
        pw_buf_printf(&b, "%" PRId64 " failed", n->failed);
    }
    if (n->kind == PW_NODE_WAIT || n->kind == PW_NODE_LIFE) {
        pw_buf_puts(&b, n->kind == PW_NODE_WAIT && n->state == PW_STATE_OPEN ? "" : n->note);
    }
    if (*n->said != '\0') {
        bool ended = b.size > 0;
        pw_buf_puts(&b, ended ? " (" : "");
        pw_buf_puts(&b, n->said);
        pw_buf_puts(&b, ended ? ")" : "");
    }
    /* why; or whose result; or how it is known */
    bool told = n->state == PW_STATE_OPEN || n->state == PW_STATE_DONE || n->attempts == 0;
    if (n->kind == PW_NODE_ACTIVITY && told && *n->note != '\0') {
        add_part(&b, ", ");
        pw_buf_puts(&b, n->note);
    }
    note_failure(n, &b);
    if (n->cut || (n->state == PW_STATE_CANCELED && n->failure == NULL)) {
        add_part(&b, ", ");
        pw_buf_puts(&b, n->cut ? "cut when the run ended" : "canceled");
    }
    if (n->state == PW_STATE_LATE && n->kind != PW_NODE_WAIT) {
        add_part(&b, ", ");
        pw_buf_puts(&b, "timed out");
    }
    bool waits = n->kind == PW_NODE_WAIT || n->kind == PW_NODE_SIGNAL || n->kind == PW_NODE_TIMER;
    if (waits && n->state == PW_STATE_OPEN && n->due_ms != 0 && *n->kept == '\0') {
        add_part(&b, ", ");
        pw_cli_left(left, n->due_ms, d->out->now_ms);
        pw_buf_puts(&b, left);
    }
    if (n->state == PW_STATE_UNKNOWN) {
        add_part(&b, ", ");
        pw_buf_puts(&b, "sent before a crash; whether it happened is not known");
    }
    if (*n->kept != '\0') {
        add_part(&b, ", ");
        pw_buf_printf(&b, "kept: %s", n->kept);
    }
    const char *note = b.size > 0 ? pw_strdup(d->scope, pw_buf_cstr(&b)) : "";
    pw_buf_deinit(&b);
    return note != NULL ? note : "";
}

static void answer_line(drawing *d, const pw_trace *t, const pw_node *n, const char *prefix)
{
    line *l = line_add(d, prefix, "  ");
    if (l != NULL && *n->note != '\0') {
        l->by_itself = n->note;
        l->label_style = PW_PLAIN;
        l = line_add(d, prefix, "  ");
    }
    if (l != NULL) {
        l->by_itself = pw_sprintf(d->scope, "pawl%s wait %s", pw_cli_db_words(d->cli),
                                  pw_cli_shell_word(d->scope, pawl_str(t->run, "id", "?")));
        l->label_style = PW_DIM;
    }
}

/* ---- trees ---- */

static void draw_trace(drawing *d, const pw_trace *t, const char *prefix);

static void draw_node(drawing *d, const pw_trace *t, const pw_node *n, const char *prefix,
                      bool last)
{
    const glyphs *g = glyphs_of(d);
    char below[PREFIX_BYTES_MAX];
    line *l = line_add(d, prefix, last ? g->last : g->branch);
    if (l == NULL) {
        return;
    }
    mark_node(d, n, l);
    l->label = label_node(d, t, n);
    l->note = note_node(d, n);
    l->at = n->state == PW_STATE_DONE || n->state == PW_STATE_NOTE ? "" : n->at;
    if (n->kind != PW_NODE_LIFE && n->kind != PW_NODE_SEND) {
        pw_cli_span(l->span, (n->end_ms != 0 ? n->end_ms : d->out->now_ms) - n->start_ms);
    }
    deeper(below, prefix, last ? g->none : g->down);
    if (asks(n)) {
        answer_line(d, t, n, below);
    }
    if (n->child != NULL) {
        draw_trace(d, n->child, below);
    }
}

/* The nodes of one branch; the main branch holds the others as groups, each where it began. */
static bool begins_group(const pw_trace *t, size_t index)
{
    int64_t branch = t->nodes[index].branch;
    for (size_t i = 0; i < index; i++) {
        if (t->nodes[i].branch == branch && !t->nodes[i].dropped) {
            return false;
        }
    }
    return branch != 0;
}

static void draw_group(drawing *d, const pw_trace *t, size_t first, const char *prefix, bool last)
{
    const glyphs *g = glyphs_of(d);
    int64_t branch = t->nodes[first].branch;
    char below[PREFIX_BYTES_MAX];
    size_t left = 0;
    line *l = line_add(d, prefix, last ? g->last : g->branch);
    if (l == NULL) {
        return;
    }
    l->by_itself = pw_sprintf(d->scope, "branch %" PRId64, branch);
    l->label_style = PW_DIM;
    deeper(below, prefix, last ? g->none : g->down);
    for (size_t i = first; i < t->len; i++) {
        left += t->nodes[i].branch == branch && !t->nodes[i].dropped;
    }
    for (size_t i = first; i < t->len; i++) {
        if (t->nodes[i].branch == branch && !t->nodes[i].dropped) {
            draw_node(d, t, &t->nodes[i], below, --left == 0);
        }
    }
}

static bool is_top(const pw_trace *t, size_t index)
{
    const pw_node *n = &t->nodes[index];
    return !n->dropped && (n->branch == 0 || begins_group(t, index));
}

static void draw_trace(drawing *d, const pw_trace *t, const char *prefix)
{
    const glyphs *g = glyphs_of(d);
    size_t left = t->unread_len;
    for (size_t i = 0; i < t->len; i++) {
        left += is_top(t, i);
    }
    for (size_t i = 0; i < t->len; i++) {
        if (!is_top(t, i)) {
            continue;
        }
        left--;
        if (t->nodes[i].branch != 0) {
            draw_group(d, t, i, prefix, left == 0);
        } else {
            draw_node(d, t, &t->nodes[i], prefix, left == 0);
        }
    }
    for (size_t i = 0; i < t->unread_len; i++) {
        line *l = line_add(d, prefix, --left == 0 ? g->last : g->branch);
        if (l != NULL) {
            l->by_itself = pw_sprintf(d->scope, "signal %s is not read yet", t->unread[i]);
            l->label_style = PW_DIM;
        }
    }
}

/* ---- printing ---- */

/* The note, and where in the code if there is room for both. room 0 = no limit. */
static void print_notes(pw_cli_out *o, const line *l, size_t room)
{
    size_t at_columns = *l->at != '\0' ? strlen(l->at) + 2 : 0;
    size_t note_max = room >= at_columns + NOTE_COLUMNS_MIN ? room - at_columns : room;
    size_t used = 0;
    if (*l->note != '\0') {
        pw_out_puts(o, " ");
        pw_out_style(o, l->style == PW_GOOD ? PW_DIM : l->style);
        used = pw_out_text(o, l->note, strlen(l->note), note_max);
        pw_out_style(o, PW_PLAIN);
    }
    if (*l->at != '\0' && (room == 0 || used + at_columns <= room)) {
        pw_out_puts(o, *l->note != '\0' ? "  " : " ");
        pw_out_styled(o, PW_DIM, l->at);
    }
}

static void print_line(const drawing *d, const line *l, size_t label_columns)
{
    pw_cli_out *o = d->out;
    size_t prefix_columns = 0;
    pw_out_style(o, PW_DIM);
    pw_out_puts(o, l->prefix);
    pw_out_style(o, PW_PLAIN);
    prefix_columns = pw_out_columns(o, l->prefix, strlen(l->prefix));
    size_t room = o->width > prefix_columns + 10 ? o->width - prefix_columns : 0;
    if (l->by_itself != NULL) {
        pw_out_style(o, l->label_style);
        (void)pw_out_text(o, l->by_itself, strlen(l->by_itself), room);
        pw_out_style(o, PW_PLAIN);
        pw_out_puts(o, "\n");
        return;
    }
    pw_out_style(o, l->style);
    pw_out_puts(o, l->mark);
    pw_out_style(o, PW_PLAIN);
    pw_out_puts(o, " ");
    size_t used = prefix_columns + 2;
    size_t label_max = label_columns > used ? label_columns - used : 8;
    pw_out_style(o, l->label_style);
    used += pw_out_text(o, l->label, strlen(l->label), label_max);
    pw_out_style(o, PW_PLAIN);
    bool more = l->span[0] != '\0' || *l->note != '\0' || *l->at != '\0';
    pw_out_pad(o, more && used < label_columns ? label_columns - used : 0);
    if (more) {
        pw_out_printf(o, "  %*s", l->note[0] != '\0' || l->at[0] != '\0' ? -SPAN_COLUMNS : 0,
                      l->span);
    }
    used = label_columns + 2 + SPAN_COLUMNS;
    room = o->width == 0 ? 0 : o->width > used + 12 ? o->width - used - 1 : 12;
    print_notes(o, l, room);
    pw_out_puts(o, "\n");
}

static void print_header(const drawing *d, const pw_trace *t)
{
    pw_cli_out *o = d->out;
    const char *status = pawl_str(t->run, "status", "?");
    int64_t created = pawl_int(t->run, "created_ms", 0);
    int64_t closed = pawl_int(t->run, "closed_ms", 0);
    char span[32];
    pw_out_styled(o, PW_BOLD, pawl_str(t->run, "id", "?"));
    pw_out_puts(o, "  ");
    (void)pw_out_str(o, pawl_str(t->run, "workflow", "?"));
    if (pawl_get(t->run, "version") != NULL) {
        pw_out_puts(o, "@");
        (void)pw_out_str(o, pawl_str(t->run, "version", "?"));
    }
    pw_out_puts(o, "  ");
    pw_out_styled(o, pw_cli_status_style(status), status);
    pw_cli_span(span, (closed != 0 ? closed : o->now_ms) - created);
    pw_out_printf(o, closed != 0 ? " after %s\n" : " for %s\n", span);
    if (pawl_int(t->run, "previous_key", 0) != 0) {
        const char *filter = pw_sprintf(d->scope, "id = \"%s\"", pawl_str(t->run, "id", "?"));
        pw_out_style(o, PW_DIM);
        pw_out_printf(o, "an earlier run of this id came before: pawl%s list -q ",
                      pw_cli_db_words(d->cli));
        (void)pw_out_str(o, filter != NULL ? pw_cli_shell_word(d->scope, filter) : "");
        pw_out_style(o, PW_PLAIN);
        pw_out_puts(o, "\n");
    }
}

static void print_refused(const drawing *d, const pw_trace *t)
{
    for (size_t i = 0; i < pawl_len(t->refused); i++) {
        pw_out_style(d->out, PW_WARN);
        pw_out_wrap(d->out, pw_cli_refusal_line(d->cli, pawl_at(t->refused, i)), 2);
        pw_out_style(d->out, PW_PLAIN);
        pw_out_puts(d->out, "\n");
    }
}

static void print_end(const drawing *d, const pw_trace *t)
{
    pw_cli_out *o = d->out;
    print_refused(d, t);
    const pawl_value *failure = pawl_get(t->end, "failure");
    const pawl_value *result = pawl_get(t->end, "result");
    if (failure != NULL) {
        pw_out_failure(o, failure, 0);
    } else if (result != NULL) {
        pw_buf b = PW_BUF_INIT;
        pw_value_line(&b, result, 1000);
        pw_out_puts(o, "result: ");
        (void)pw_out_text(o, b.size > 0 ? (const char *)b.data : "", b.size,
                          o->width > 20 ? o->width - 8 : 0);
        pw_out_puts(o, "\n");
        pw_buf_deinit(&b);
    } else if (t->len == 0 && pawl_int(t->run, "closed_ms", 0) == 0) {
        const char *why = pawl_is(t->run, "waiting", "no-code") ? "; its code is not here" : "";
        pw_out_styled(o, PW_DIM, "nothing has happened yet");
        pw_out_styled(o, PW_DIM, pw_cli_live(d->cli) ? why : "; no engine runs");
        pw_out_puts(o, "\n");
    }
}

size_t pw_trace_draw(pw_cli *cli, pw_cli_out *out, const pw_trace *trace)
{
    drawing d = {.cli = cli, .out = out, .scope = trace->scope};
    size_t label_columns = 20;
    size_t label_max =
        out->width > 0 && out->width / 2 < LABEL_COLUMNS_MAX ? out->width / 2 : LABEL_COLUMNS_MAX;
    draw_trace(&d, trace, "");
    for (size_t i = 0; i < d.len; i++) {
        const line *l = &d.lines[i];
        size_t columns = pw_out_columns(out, l->prefix, strlen(l->prefix)) + 2 +
                         pw_out_columns(out, l->label, strlen(l->label));
        if (l->by_itself == NULL && columns > label_columns) {
            label_columns = columns < label_max ? columns : label_max;
        }
    }
    print_header(&d, trace);
    for (size_t i = 0; i < d.len; i++) {
        print_line(&d, &d.lines[i], label_columns);
    }
    print_end(&d, trace);
    return d.len + 2;
}
