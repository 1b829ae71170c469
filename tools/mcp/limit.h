/*
 * limit.h - how often a principal may ask, and how much at a time: a bucket that fills at a rate, and a count of what is under way.
 *
 * Principals are remembered while something of theirs is under way or their bucket is not full; the rest is forgotten, and a forgotten one begins
 * with a full bucket. Thread: the loop's.
 */
#ifndef PW_MCP_LIMIT_H
#define PW_MCP_LIMIT_H

#include "tools/mcp/rights.h"

typedef struct pw_limits pw_limits;
typedef struct pw_limit pw_limit; /* of a principal */

typedef enum pw_limit_verdict { PW_LIMIT_OK, PW_LIMIT_RATE, PW_LIMIT_CONCURRENT } pw_limit_verdict;

pw_limits *pw_limits_new(void);         /* NULL: no memory */
void pw_limits_free(pw_limits *limits); /* accepts NULL */

/** One request more. OK: *ret_limit is to be given back with leave; NULL when nothing is limited. Otherwise *ret_after_s says when it may come again. */
pw_limit_verdict pw_limit_enter(pw_limits *limits, const pw_who *who, int64_t now_ms,
                                pw_limit **ret_limit, int64_t *ret_after_s);
void pw_limit_leave(pw_limit *limit); /* accepts NULL */

#endif
