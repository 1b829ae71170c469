/*
 * llm_gemini.h - what the two files of the Gemini wire share. Only they include it.
 */
#ifndef PW_LLM_GEMINI_H
#define PW_LLM_GEMINI_H

#include "activities/llm_wire.h"

/** Fields of a candidate that are read, or that say nothing about the answer. */
#define PW_LLM_GEMINI_KNOWN \
    "content finishReason finishMessage index safetyRatings avgLogprobs logprobsResult tokenCount"

void pw_llm_gemini_event(pw_llm_stream *s, pw_view type, pw_view event);
void pw_llm_gemini_whole(pw_llm_stream *s, pw_buf *ret_response);

#endif
