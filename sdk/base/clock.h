/*
 * clock.h - the two clocks of the system. The engine's core asks neither: it has them from its environment (engine/core.h).
 *
 * The steady clock never goes back, stands while the machine sleeps, and means nothing to another machine or after a restart: deadlines that
 * nobody outside this process sees. The wall clock can be set: times that are stored or shown.
 */
#ifndef PW_CLOCK_H
#define PW_CLOCK_H

#include <stdint.h>

/** Steady. */
int64_t pw_mono_ns(void);
int64_t pw_mono_ms(void);
/** When the steady clock will have gone on by so much; INT64_MAX where that cannot be said. ms < 0 is 0. */
int64_t pw_mono_after_ms(int64_t ms);
/** Wall, since 1970. */
int64_t pw_wall_ms(void);

#endif
