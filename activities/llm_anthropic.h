/*
 * llm_anthropic.h - what the two files of the Anthropic wire share. Only they include it.
 */
#ifndef PW_LLM_ANTHROPIC_H
#define PW_LLM_ANTHROPIC_H

#include "activities/llm_wire.h"

void pw_llm_anthropic_event(pw_llm_stream *s, pw_view type, pw_view event);
void pw_llm_anthropic_whole(pw_llm_stream *s, pw_buf *ret_response);

#endif
