/*
 * cli_backup.c - `backup`: a copy of the journal as it is now, beside an engine or without one. Does not ask the engine: it reads the file as any
 * reader does.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "journal/journal.h"
#include "tools/cli_session.h"

typedef struct progress {
    pw_cli *cli;
    int64_t begun_ms;
    int64_t shown_ms; /* 0 = not yet */
} progress;

/* From a second on, and on a terminal only, how far it is. */
static bool show(void *ctx, int done, int total)
{
    progress *p = ctx;
    pw_cli_out *o = &p->cli->complain;
    const int64_t now = pw_cli_now_ms();
    const int64_t last = p->shown_ms != 0 ? p->shown_ms + 200 : p->begun_ms + 1000;
    if (o->terminal && now >= last && total > 0) {
        pw_out_printf(o, "\rcopying %d %%\033[K", (int)((int64_t)done * 100 / total));
        (void)pw_cli_out_flush(o);
        p->shown_ms = now;
    }
    return true;
}

int pw_verb_backup(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    pawl_error err = {0};
    struct stat made = {0};
    char bytes[32];
    if (a->operand_count == 0 || *a->operand[0] == '\0') {
        return pw_cli_usage(cli, "into which file? name one that is not there yet");
    }
    const char *target = a->operand[0];
    int code = pw_cli_journal_there(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    progress p = {.cli = cli, .begun_ms = pw_cli_now_ms()};
    pawl_status s = pw_sqlite_backup(cli->db, target, show, &p, &err);
    if (p.shown_ms != 0) {
        pw_out_puts(&cli->complain, "\r\033[K");
    }
    if (s != PAWL_OK) {
        cli->way_out = s == PAWL_EXISTS ? "nothing is overwritten; name another file" : NULL;
        cli->next = s == PAWL_EXISTS ? "" : NULL;
        return pw_cli_fail(cli, s, &err, "cannot back up");
    }
    (void)stat(target, &made);
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out, pawl_build(cli->scope, "{journal: %s, backup: %s, bytes: %lld}",
                                          cli->db, target, (long long)made.st_size));
        return PW_EXIT_OK;
    }
    pw_cli_bytes(bytes, (uint64_t)made.st_size);
    pw_out_puts(&cli->out, "backed up ");
    (void)pw_out_str(&cli->out, cli->db);
    pw_out_puts(&cli->out, " to ");
    pw_out_styled(&cli->out, PW_BOLD, target);
    pw_out_printf(&cli->out, ", %s\n", bytes);
    return PW_EXIT_OK;
}
