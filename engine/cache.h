/*
 * cache.h - results of activities that later calls may have (pawl_call_options.cache_s).
 *
 * [K1] A result is kept by the group that lands its step, and so never without it.
 * [K2] A kept result completes a step only by an event that says so: a replay never looks here.
 * [K3] Nothing of an unsafe effect is kept or given.
 */
#ifndef PW_CACHE_H
#define PW_CACHE_H

#include "engine/parts.h"

/** cache_ms and cache_key of a command, when it has them. */
void pw_cache_fields(pw_emit *e, const pawl_call_options *options);
/** A report that the attempt is done, with the result of another; NULL = none is kept, it has expired, or it cannot be read. */
pw_report *pw_cache_find(pw_core *core, const pw_job *job);
/** Keeps the result of a job, if its command wants that. */
void pw_cache_keep(pw_live *live, const pw_job *job, pw_view result);

#endif
