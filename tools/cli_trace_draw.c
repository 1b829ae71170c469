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
#define SPAN_COLUMNS 10       /* of durations, or as many as the longest takes */
#define SPAN_COLUMNS_NARROW 6 /* on a terminal, that notes may have the room */
#define NOTE_COLUMNS_MIN 12
#define NOTE_LINES_MAX 3 /* below its line, where it does not fit behind it */
#define PREFIX_BYTES_MAX 256

typedef struct line {
    char prefix[PREFIX_BYTES_MAX];
    char below[PREFIX_BYTES_MAX]; /* of lines that belong to it */
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

/* On a terminal what its id shares with that of the run above it is left out. */
static const char *label_child(const drawing *d, const pw_trace *t, const pw_node *n)
{
    const char *above = pawl_str(t->run, "id", "");
    const size_t size = strlen(above);
    const bool below =
        d->out->width > 0 && strncmp(n->note, above, size) == 0 && n->note[size] == '/';
    return pw_sprintf(d->scope, "%s%s  %s",
                      !below            ? ""
                      : d->out->unicode ? "…"
                                        : "...",
                      below ? n->note + size : n->note, n->name);
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
        label = label_child(d, t, n);
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
    (void)snprintf(l->below, sizeof l->below, "%s", below);
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

static void print_styled(pw_cli_out *o, pw_cli_style style, const char *text, size_t size)
{
    pw_out_style(o, style);
    (void)pw_out_text(o, text, size, 0);
    pw_out_style(o, PW_PLAIN);
}

/* How much of a text fits so many columns, to the end of a word where there is one. */
static size_t fitting(const pw_cli_out *o, const char *text, size_t columns)
{
    size_t size = strlen(text), words = 0;
    while (size > 0 && pw_out_columns(o, text, size) > columns) {
        size--;
    }
    for (size_t i = 1; i < size && text[size] != '\0'; i++) {
        words = text[i] == ' ' ? i : words;
    }
    return text[size] != '\0' && text[size] != ' ' && words > columns / 2 ? words : size;
}

/* The note on lines of its own, the last one cut. */
static void print_note_below(pw_cli_out *o, const line *l, size_t columns)
{
    const char *text = l->note;
    for (int i = 1; i <= NOTE_LINES_MAX && *text != '\0'; i++) {
        const size_t size = fitting(o, text, columns);
        pw_out_puts(o, "\n");
        print_styled(o, PW_DIM, l->below, strlen(l->below));
        pw_out_puts(o, "    ");
        pw_out_style(o, l->style == PW_GOOD ? PW_DIM : l->style);
        (void)pw_out_text(o, text, i < NOTE_LINES_MAX ? size : strlen(text), columns);
        pw_out_style(o, PW_PLAIN);
        text += size;
        text += strspn(text, " ");
    }
}

/* The note, and where in the code. room 0 = no limit. */
static void print_notes(pw_cli_out *o, const line *l, size_t room)
{
    const size_t at_columns = *l->at != '\0' ? strlen(l->at) + 2 : 0;
    const size_t note_columns =
        *l->note != '\0' ? pw_out_columns(o, l->note, strlen(l->note)) + 2 : 0;
    const size_t below =
        strlen(l->below) > 0 ? pw_out_columns(o, l->below, strlen(l->below)) + 4 : 0;
    const bool fits = room == 0 || note_columns + at_columns <= room;
    const bool apart = !fits && below > 0 && below + NOTE_COLUMNS_MIN < o->width;
    if (*l->note != '\0' && !apart) {
        pw_out_puts(o, "  ");
        pw_out_style(o, l->style == PW_GOOD ? PW_DIM : l->style);
        (void)pw_out_text(o, l->note, strlen(l->note), fits ? 0 : room > 2 ? room - 2 : 1);
        pw_out_style(o, PW_PLAIN);
    }
    if (*l->at != '\0' && (fits || (apart && at_columns <= room))) {
        pw_out_puts(o, "  ");
        pw_out_styled(o, PW_DIM, l->at);
    }
    if (apart) {
        print_note_below(o, l, o->width - below);
    }
}

typedef struct columns {
    size_t label, span;
} columns;

static void print_line(const drawing *d, const line *l, const columns *c)
{
    pw_cli_out *o = d->out;
    print_styled(o, PW_DIM, l->prefix, strlen(l->prefix));
    const size_t prefix_columns = pw_out_columns(o, l->prefix, strlen(l->prefix));
    if (l->by_itself != NULL) {
        pw_out_style(o, l->label_style);
        (void)pw_out_text(o, l->by_itself, strlen(l->by_itself),
                          o->width > prefix_columns + 10 ? o->width - prefix_columns : 0);
        pw_out_style(o, PW_PLAIN);
        pw_out_puts(o, "\n");
        return;
    }
    pw_out_style(o, l->style);
    pw_out_puts(o, l->mark);
    pw_out_style(o, PW_PLAIN);
    pw_out_puts(o, " ");
    size_t used = prefix_columns + 2;
    size_t label_max = c->label > used ? c->label - used : 8;
    pw_out_style(o, l->label_style);
    used += pw_out_text(o, l->label, strlen(l->label), label_max);
    pw_out_style(o, PW_PLAIN);
    const bool notes = *l->note != '\0' || *l->at != '\0';
    const bool more = l->span[0] != '\0' || notes;
    pw_out_pad(o, more && used < c->label ? c->label - used : 0);
    if (more) {
        pw_out_printf(o, "  %*s", notes ? -(int)c->span : 0, l->span);
    }
    used = c->label + 2 + c->span;
    print_notes(o, l, o->width == 0 ? 0 : o->width > used + 12 ? o->width - used : 12);
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
        const char *typed =
            pw_sprintf(d->scope, "pawl%s list -q %s", pw_cli_db_words(d->cli),
                       filter != NULL ? pw_cli_shell_word(d->scope, filter) : "FILTER");
        const size_t typed_columns = typed != NULL ? strlen(typed) : 0;
        pw_out_style(o, PW_DIM);
        pw_out_puts(o, "an earlier run of this id came before:");
        pw_out_puts(o, o->width != 0 && typed_columns + 40 > o->width ? "\n  " : " ");
        (void)pw_out_str(o, typed != NULL ? typed : "");
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
    columns c = {.label = 20, .span = out->width == 0 ? SPAN_COLUMNS : SPAN_COLUMNS_NARROW};
    size_t label_max =
        out->width > 0 && out->width / 2 < LABEL_COLUMNS_MAX ? out->width / 2 : LABEL_COLUMNS_MAX;
    draw_trace(&d, trace, "");
    for (size_t i = 0; i < d.len; i++) {
        const line *l = &d.lines[i];
        size_t wide = pw_out_columns(out, l->prefix, strlen(l->prefix)) + 2 +
                      pw_out_columns(out, l->label, strlen(l->label));
        if (l->by_itself == NULL && wide > c.label) {
            c.label = wide < label_max ? wide : label_max;
        }
        const bool notes = *l->note != '\0' || *l->at != '\0';
        c.span = notes && strlen(l->span) > c.span ? strlen(l->span) : c.span;
    }
    print_header(&d, trace);
    for (size_t i = 0; i < d.len; i++) {
        print_line(&d, &d.lines[i], &c);
    }
    print_end(&d, trace);
    return d.len + 2;
}
