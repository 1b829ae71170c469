/*
 * llm_say.c - an answer as it comes, to whoever follows the run: its pieces on channels of the task, one for each kind and each call.
 *
 *   piece --> [held, of its channel] --redact--> all but the longest end that a secret may begin with --> pawl_task_output
 *
 *   text, reasoning, refusal      as they come
 *   call-0, call-1 ...            the tool's name, a space, and the text of its arguments
 *
 * A secret that a provider says back may come in pieces; no piece of it is shown. Nothing here is journaled.
 */
#include <stdio.h>
#include <string.h>

#include "activities/llm_activity.h"
#include "sdk/base/error.h"

static void channel_of(size_t voice, char ret[32])
{
    static const char *const names[] = {[PW_LLM_DELTA_TEXT] = "text",
                                        [PW_LLM_DELTA_REASONING] = "reasoning",
                                        [PW_LLM_DELTA_REFUSAL] = "refusal"};
    if (voice < PW_COUNT(names)) {
        (void)snprintf(ret, 32, "%s", names[voice]);
    } else {
        (void)snprintf(ret, 32, "call-%zu", voice - PW_COUNT(names));
    }
}

static void show(pw_llm_saying *s, size_t voice, size_t size)
{
    pw_buf *held = &s->held[voice];
    if (size > 0) {
        char channel[32];
        channel_of(voice, channel);
        (void)pawl_task_output(s->task, channel, held->data, size);
        held->size -= size;
        memmove(held->data, held->data + size, held->size);
        s->said = true;
    }
}

/* No memory, or a text that cannot be made clean: it is not shown, and the answer itself comes all the same. */
static bool cleaned(const pw_llm_saying *s, pw_buf *held)
{
    const bool clean = pw_buf_ok(held) && pw_secret_redact(s->secrets, held) && pw_buf_ok(held);
    if (!clean) {
        pw_buf_deinit(held);
        *held = (pw_buf)PW_BUF_INIT;
    }
    return clean;
}

/* The name of a call, before its first arguments. False: it is not known yet, or the call is one too many: nothing of it is shown. */
static bool named(pw_llm_saying *s, const pw_llm_delta *d)
{
    const uint32_t bit = d->index < PW_LLM_CALLS_SHOWN_MAX ? 1u << d->index : 0;
    if (bit != 0 && (s->named & bit) == 0 && d->name.size > 0) {
        pw_buf *held = &s->held[PW_LLM_DELTA_CALL + d->index];
        pw_buf_put(held, d->name.data, d->name.size);
        pw_buf_puts(held, " ");
        s->named |= bit;
    }
    return (s->named & bit) != 0;
}

void pw_llm_saying_piece(pw_llm_saying *say, const pw_llm_delta *delta)
{
    const bool call = delta->kind == PW_LLM_DELTA_CALL;
    if (call && !named(say, delta)) {
        return;
    }
    const size_t voice = (size_t)delta->kind + (call ? delta->index : 0);
    pw_buf *held = &say->held[voice];
    pw_buf_put(held, delta->text.data, delta->text.size);
    if (cleaned(say, held)) {
        show(say, voice,
             held->size - pw_secret_begun(say->secrets, (pw_view){held->data, held->size}));
    }
}

void pw_llm_saying_end(pw_llm_saying *say)
{
    for (size_t i = 0; i < PW_LLM_VOICES; i++) {
        if (say->held[i].size > 0 && cleaned(say, &say->held[i])) {
            show(say, i, say->held[i].size);
        }
    }
}

void pw_llm_saying_anew(pw_llm_saying *say, const char *why)
{
    for (size_t i = 0; i < PW_LLM_VOICES; i++) {
        say->held[i].size = 0;
    }
    say->named = 0;
    if (say->said) {
        say->said = false;
        (void)pawl_task_output(say->task, "anew", why, strlen(why));
    }
}

void pw_llm_saying_deinit(pw_llm_saying *say)
{
    for (size_t i = 0; i < PW_LLM_VOICES; i++) {
        pw_buf_deinit(&say->held[i]);
    }
}
