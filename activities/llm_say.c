/*
 * llm_say.c - an answer as it comes, to whoever follows the run: pieces of text on the channel "text" of the task.
 *
 *   piece --> [held] --redact--> all but the longest end that a secret may begin with --> pawl_task_output
 *
 * A secret that a provider says back may come in pieces; no piece of it is shown. Nothing here is journaled. Does not show reasoning or calls.
 */
#include <string.h>

#include "activities/llm_activity.h"

static void show(pw_llm_saying *s, size_t size)
{
    if (size > 0) {
        (void)pawl_task_output(s->task, "text", s->held.data, size);
        s->held.size -= size;
        memmove(s->held.data, s->held.data + size, s->held.size);
        s->said = true;
    }
}

/* No memory, or a text that cannot be made clean: it is not shown, and the answer itself comes all the same. */
static bool cleaned(pw_llm_saying *s)
{
    const bool clean =
        pw_buf_ok(&s->held) && pw_secret_redact(s->secrets, &s->held) && pw_buf_ok(&s->held);
    if (!clean) {
        pw_buf_deinit(&s->held);
        s->held = (pw_buf)PW_BUF_INIT;
    }
    return clean;
}

void pw_llm_saying_text(pw_llm_saying *say, pw_view text)
{
    pw_buf_put(&say->held, text.data, text.size);
    if (cleaned(say)) {
        show(say, say->held.size -
                      pw_secret_begun(say->secrets, (pw_view){say->held.data, say->held.size}));
    }
}

void pw_llm_saying_end(pw_llm_saying *say)
{
    if (cleaned(say)) {
        show(say, say->held.size);
    }
}

void pw_llm_saying_anew(pw_llm_saying *say, const char *why)
{
    say->held.size = 0;
    if (say->said) {
        say->said = false;
        (void)pawl_task_output(say->task, "anew", why, strlen(why));
    }
}
