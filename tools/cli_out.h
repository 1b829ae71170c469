/*
 * cli_out.h - everything a command writes: text that is safe to show, aligned and coloured when that helps, or JSON.
 *
 * A command collects its output in the buffer and pw_cli_out_flush writes it, so that nothing half-made is seen and a full disk or
 * a closed pipe is noticed. Text from a journal never reaches a terminal raw: control characters, bad UTF-8 and text-direction
 * marks are shown as escapes.
 */
#ifndef PW_CLI_OUT_H
#define PW_CLI_OUT_H

#include <stdio.h>

#include "sdk/base/buf.h"
#include "tools/cli_args.h"

typedef enum pw_cli_format { PW_FORMAT_TEXT, PW_FORMAT_JSON, PW_FORMAT_JSONL } pw_cli_format;
typedef enum pw_cli_time { PW_TIME_RELATIVE, PW_TIME_ISO, PW_TIME_RAW } pw_cli_time;

typedef enum pw_cli_style {
    PW_PLAIN,
    PW_BOLD,
    PW_DIM,
    PW_GOOD, /* green */
    PW_BAD,  /* red */
    PW_WARN, /* yellow */
    PW_NOW,  /* cyan: what runs now */
    PW_STYLE_COUNT
} pw_cli_style;

typedef struct pw_cli_out {
    FILE *file;
    pw_cli_format format;
    pw_cli_time times;
    bool color;
    bool unicode;  /* the locale is UTF-8 */
    bool terminal; /* file is one */
    size_t width;  /* columns; 0 = no limit (not a terminal) */
    int64_t now_ms;
    pw_buf text;
} pw_cli_out;

/** For stdout or stderr, as the options, NO_COLOR and the locale say. */
void pw_cli_out_init(pw_cli_out *out, FILE *file, const pw_cli_args *args);
void pw_cli_out_deinit(pw_cli_out *out);
/** Writes what was collected. False when the reader is gone or the disk is full. */
bool pw_cli_out_flush(pw_cli_out *out);
int64_t pw_cli_now_ms(void);

/* ---- text ---- */

void pw_out_style(pw_cli_out *out, pw_cli_style style);
/** A literal of ours: copied as it is. */
void pw_out_puts(pw_cli_out *out, const char *text);
void pw_out_printf(pw_cli_out *out, const char *fmt, ...) PAWL_PRINTF(2, 3);
void pw_out_styled(pw_cli_out *out, pw_cli_style style, const char *text);
/** Foreign text on one line: escaped. columns_max 0 = all of it, else cut with an ellipsis. Returns the columns used. */
size_t pw_out_text(pw_cli_out *out, const char *text, size_t size, size_t columns_max);
size_t pw_out_str(pw_cli_out *out, const char *text);
/** The columns pw_out_text would use. */
size_t pw_out_columns(const pw_cli_out *out, const char *text, size_t size);
void pw_out_pad(pw_cli_out *out, size_t columns);
/** Foreign text of many lines: each but the first begins with `indent` spaces; tabs and line ends are kept. */
void pw_out_lines(pw_cli_out *out, const char *text, size_t size, size_t indent);
/** The same, broken between words where the terminal ends. */
void pw_out_wrap(pw_cli_out *out, const char *text, size_t indent);
/** The same of a text whose first line begins in a column that is not its indent. */
void pw_out_wrap_from(pw_cli_out *out, const char *text, size_t indent, size_t column);

/** "3 min ago", ISO or raw, by --time-format. 0 is "-". */
void pw_out_time(pw_cli_out *out, int64_t ms);
/** 2026-01-31T12:00:00.123Z (seconds only when whole). */
void pw_cli_iso(char ret[32], int64_t ms);
/** "3 min ago", "in 2 h", "just now". */
void pw_cli_relative(char ret[32], int64_t ms, int64_t now_ms);
/** "12 ms", "3.4 s", "2 min 5 s", "3 h 10 min", "2 d 4 h". */
void pw_cli_span(char ret[32], int64_t ms);
/** Of a deadline: "23 h 59 min left", or "due 5 s ago". */
void pw_cli_left(char ret[48], int64_t due_ms, int64_t now_ms);
void pw_cli_bytes(char ret[32], uint64_t bytes);

/* ---- JSON ---- */

/** One value: a line in jsonl, indented in json. */
void pw_out_json(pw_cli_out *out, const pawl_value *value);

/** One item of a list that is printed as it comes, in any JSON format; index counts from 0. */
void pw_out_json_item(pw_cli_out *out, const pawl_value *value, size_t index);
/** Ends a list of so many items. */
void pw_out_json_end(pw_cli_out *out, size_t count);

/* ---- tables ---- */

#define PW_TABLE_COLUMNS_MAX 32

/** Rows collected, then printed aligned: columns as wide as needed, the last one cut to the terminal. */
typedef struct pw_cli_cell {
    size_t offset;
    size_t size;
    pw_cli_style style;
    size_t short_offset,
        short_size; /* what stands there on a terminal that is too narrow; 0 = the same */
} pw_cli_cell;
typedef struct pw_cli_grid {
    size_t columns;
    size_t
        yields; /* the column that is cut when a terminal is too narrow for all; 0 = none but the last */
    size_t
        below; /* the last column, where fewer columns than this are left for it, goes below its row, wrapped; 0 = it is cut */
    pw_cli_cell *cells;
    size_t len;
    size_t capacity;
    pw_buf text;
    bool failed;
} pw_cli_grid;

void pw_grid_init(pw_cli_grid *grid, size_t columns);
void pw_grid_deinit(pw_cli_grid *grid);
void pw_grid_add(pw_cli_grid *grid, pw_cli_style style, const char *text, size_t size);
void pw_grid_str(pw_cli_grid *grid, pw_cli_style style, const char *text);
/** What a cell holds when its column would not fit in whole; of as many columns as bytes. */
void pw_grid_short(pw_cli_grid *grid, size_t cell, const char *text);
/** The text of a cell, copied. Owns: the caller (free); NULL: out of memory. */
char *pw_grid_text(const pw_cli_grid *grid, size_t cell);
/** headings: one per column, or NULL for none. Columns whose cells are all empty are left out. False: out of memory. */
bool pw_grid_print(pw_cli_out *out, pw_cli_grid *grid, const char *const *headings, size_t indent);

#endif
