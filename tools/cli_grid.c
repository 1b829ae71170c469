/*
 * cli_grid.c - aligned tables. Cells are collected, widths measured in terminal columns, and the last column shown is cut to the
 * terminal's width, so that a row is a line. A cell may have a shorter text, for when rows do not fit. Where a sentence in the last
 * column would be cut to nothing (grid.below) it goes below its row, whole.
 *
 * Draws no lines. A pipe gets everything, uncut.
 */
#include "tools/cli_out.h"

#include <stdlib.h>
#include <string.h>

#define GAP 2
#define LAST_MIN 12
#define LAST_WISH 24 /* columns for the last before anything is shortened for it */
#define BELOW_INDENT 4
#define LONG 40 /* columns that are never cut: a UUID is 36 */

void pw_grid_init(pw_cli_grid *grid, size_t columns)
{
    *grid =
        (pw_cli_grid){.columns = columns < PW_TABLE_COLUMNS_MAX ? columns : PW_TABLE_COLUMNS_MAX};
    pw_buf_init(&grid->text, 0);
}

void pw_grid_deinit(pw_cli_grid *grid)
{
    free(grid->cells);
    pw_buf_deinit(&grid->text);
    *grid = (pw_cli_grid){0};
}

void pw_grid_add(pw_cli_grid *grid, pw_cli_style style, const char *text, size_t size)
{
    if (grid->len == grid->capacity) {
        size_t capacity = grid->capacity == 0 ? 64 : grid->capacity * 2;
        pw_cli_cell *cells = realloc(grid->cells, capacity * sizeof *cells);
        if (cells == NULL) {
            grid->failed = true;
            return;
        }
        grid->cells = cells;
        grid->capacity = capacity;
    }
    grid->cells[grid->len++] =
        (pw_cli_cell){.offset = grid->text.size, .size = size, .style = style};
    pw_buf_put(&grid->text, text, size);
}

void pw_grid_str(pw_cli_grid *grid, pw_cli_style style, const char *text)
{
    pw_grid_add(grid, style, text, strlen(text));
}

void pw_grid_short(pw_cli_grid *grid, size_t cell, const char *text)
{
    grid->cells[cell].short_offset = grid->text.size;
    grid->cells[cell].short_size = strlen(text);
    pw_buf_puts(&grid->text, text);
}

static const char *cell_text(const pw_cli_grid *grid, const pw_cli_cell *cell)
{
    return cell->size == 0 ? "" : (const char *)grid->text.data + cell->offset;
}

char *pw_grid_text(const pw_cli_grid *grid, size_t cell)
{
    return pw_buf_ok(&grid->text)
               ? strndup(cell_text(grid, &grid->cells[cell]), grid->cells[cell].size)
               : NULL;
}

/* Short texts take the places of long ones. */
static void shorten(pw_cli_grid *grid)
{
    for (size_t i = 0; i < grid->len; i++) {
        if (grid->cells[i].short_size != 0) {
            grid->cells[i].offset = grid->cells[i].short_offset;
            grid->cells[i].size = grid->cells[i].short_size;
        }
    }
}

typedef struct layout {
    size_t width[PW_TABLE_COLUMNS_MAX]; /* 0 = left out */
    size_t last;
    size_t last_max; /* 0 = uncut */
    size_t indent;
    bool below; /* the last column is on lines of its own, below the row */
} layout;

/* One id of 190 characters must not push every row over the edge: columns beyond LONG are cut while the row does not fit. */
static size_t long_cut(layout *l, size_t used, size_t last, size_t width)
{
    while (used + last > width) {
        size_t widest = 0;
        for (size_t c = 1; c < l->last; c++) {
            widest = l->width[c] > l->width[widest] ? c : widest;
        }
        if (l->last == 0 || l->width[widest] <= LONG) {
            break;
        }
        size_t over = used + last - width;
        size_t now = l->width[widest] > over + LONG ? l->width[widest] - over : LONG;
        used -= l->width[widest] - now;
        l->width[widest] = now;
    }
    return used;
}

/* Columns as wide as needed; returns what is used of a line before the last. */
static size_t widths(const pw_cli_out *out, const pw_cli_grid *grid, const char *const *headings,
                     layout *l)
{
    size_t used = l->indent;
    memset(l->width, 0, sizeof l->width);
    for (size_t i = 0; i < grid->len; i++) {
        size_t columns = pw_out_columns(out, cell_text(grid, &grid->cells[i]), grid->cells[i].size);
        size_t *width = &l->width[i % grid->columns];
        *width = columns > *width ? columns : *width;
    }
    for (size_t c = 0; c < grid->columns; c++) {
        size_t heading = headings != NULL ? strlen(headings[c]) : 0;
        if (l->width[c] > 0) {
            l->width[c] = heading > l->width[c] ? heading : l->width[c];
            l->last = c;
        }
    }
    for (size_t c = 0; c < l->last; c++) {
        used += l->width[c] > 0 ? l->width[c] + GAP : 0;
    }
    return used;
}

static void measure(const pw_cli_out *out, pw_cli_grid *grid, const char *const *headings,
                    layout *l)
{
    size_t used = widths(out, grid, headings, l);
    size_t last = LAST_MIN;
    size_t wish = l->width[l->last] < LAST_WISH ? l->width[l->last] : LAST_WISH;
    if (out->width != 0 && used + wish > out->width) {
        shorten(grid);
        used = widths(out, grid, headings, l);
    }
    wish = grid->below < l->width[l->last] ? grid->below : l->width[l->last];
    if (grid->below != 0 && out->width != 0 && l->last > 0 && used + wish > out->width) {
        l->below = true;
        last = 0;
        used -= GAP;
    }
    if (grid->yields != 0 && out->width != 0 && used + last > out->width) {
        size_t over = used + last - out->width;
        size_t *width = &l->width[grid->yields];
        size_t least = *width < LAST_MIN ? *width : LAST_MIN;
        size_t now = *width > over + least ? *width - over : least;
        used -= *width - now;
        *width = now;
    }
    if (out->width != 0) {
        used = long_cut(l, used, last, out->width);
    }
    l->last_max = out->width == 0 ? 0 : out->width > used + LAST_MIN ? out->width - used : LAST_MIN;
}

static void print_cell(pw_cli_out *out, const layout *l, size_t column, pw_cli_style style,
                       const char *text, size_t size)
{
    if (l->width[column] == 0) {
        return;
    }
    if (style != PW_PLAIN && size > 0) {
        pw_out_style(out, style);
    }
    size_t columns =
        pw_out_text(out, text, size, column == l->last ? l->last_max : l->width[column]);
    if (style != PW_PLAIN && size > 0) {
        pw_out_style(out, PW_PLAIN);
    }
    if (column < l->last) {
        pw_out_pad(out, l->width[column] - columns + GAP);
    }
}

static void trim_line(pw_cli_out *out)
{
    while (out->text.size > 0 && out->text.data[out->text.size - 1] == ' ') {
        out->text.size--;
    }
    pw_buf_putc(&out->text, '\n');
}

static void print_below(pw_cli_out *out, const pw_cli_grid *grid, const layout *l,
                        const pw_cli_cell *cell)
{
    trim_line(out);
    pw_out_pad(out, l->indent + BELOW_INDENT);
    pw_out_style(out, PW_DIM);
    char *text = strndup(cell_text(grid, cell), cell->size);
    pw_out_wrap(out, text != NULL ? text : "", l->indent + BELOW_INDENT);
    free(text);
    pw_out_style(out, PW_PLAIN);
}

bool pw_grid_print(pw_cli_out *out, pw_cli_grid *grid, const char *const *headings, size_t indent)
{
    layout l = {.indent = indent};
    if (grid->failed || !pw_buf_ok(&grid->text)) {
        return false;
    }
    measure(out, grid, headings, &l);
    if (headings != NULL) {
        pw_out_pad(out, indent);
        for (size_t c = 0; c < grid->columns; c++) {
            if (c != l.last || !l.below) {
                print_cell(out, &l, c, PW_DIM, headings[c], strlen(headings[c]));
            }
        }
        trim_line(out);
    }
    for (size_t i = 0; i < grid->len; i++) {
        const pw_cli_cell *cell = &grid->cells[i];
        if (i % grid->columns == 0) {
            pw_out_pad(out, indent);
        }
        if (l.below && i % grid->columns == l.last) {
            print_below(out, grid, &l, cell);
        } else {
            print_cell(out, &l, i % grid->columns, cell->style, cell_text(grid, cell), cell->size);
        }
        if (i % grid->columns == grid->columns - 1) {
            trim_line(out);
        }
    }
    return true;
}
