/*
 * llm_mend.h - text that was meant to be JSON, written anew as JSON. Only llm_extract.c includes it.
 */
#ifndef PW_LLM_MEND_H
#define PW_LLM_MEND_H

#include "sdk/base/mp.h"

/** Appends text with its commas, quotes, keys, comments and words mended. What it cannot mend it leaves: the parser refuses it. */
void pw_llm_mend(pw_buf *out, pw_view text);

#endif
