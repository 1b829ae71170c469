/*
 * llm_chat.h - what the files of the OpenAI wires share. Only llm_openai_*.c, llm_ollama.c and llm_dapr.c include it.
 */
#ifndef PW_LLM_CHAT_H
#define PW_LLM_CHAT_H

#include "activities/llm_wire.h"

void pw_llm_chat_event(pw_llm_stream *s, pw_view type, pw_view event);
void pw_llm_chat_whole(pw_llm_stream *s, pw_buf *ret_response);

/** An image's url, or its data as a data: url, quoted. */
void pw_llm_put_image_url(pw_llm_writer *w, pw_view part);
/** The member `tools`; open: how each begins, before its members. False: there are none, or extra has them. */
#define PW_LLM_CHAT_TOOL "{\"type\":\"function\",\"function\":{"
bool pw_llm_put_chat_tools(pw_llm_writer *w, const char *open);
/** The members of a function tool, without braces: name, description, parameters, strict. */
void pw_llm_put_tool(pw_llm_writer *w, pw_view tool);
void pw_llm_put_openai_cache(pw_llm_writer *w);
/** The request's key as a header for reconciliation, by the option key_header or these names. */
void pw_llm_add_key_header(pw_llm_writer *w, const pw_llm_frame *frame, const char *openai,
                           const char *compatible);
void pw_llm_responses_event(pw_llm_stream *s, pw_view type, pw_view event);
void pw_llm_responses_whole(pw_llm_stream *s, pw_buf *ret_response);
void pw_llm_read_openai_usage(pw_llm_answer *a, pw_view usage, bool chat);

#endif
