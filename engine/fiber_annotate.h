/*
 * fiber_annotate.h - tells ASan, LSan, TSan and valgrind that stacks are switched. All of it is nothing in a plain build.
 *
 *   host: pw_note_leave(&host, fiber)   ... jump ...   pw_note_arrive(&host)
 *
 * Included by fiber.c only.
 */
#ifndef PW_FIBER_ANNOTATE_H
#define PW_FIBER_ANNOTATE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PW_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define PW_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(PW_ASAN)
#define PW_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(PW_TSAN)
#define PW_TSAN 1
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#define PW_VALGRIND 1
#endif
#endif

/** One side of a switch: a fiber, or the one who resumed it. */
typedef struct pw_side {
    const void *low; /* its stack */
    size_t size;
    void *fake; /* ASan: its fake stack while it is not running */
    void *tsan; /* TSan: its identity */
    unsigned valgrind;
} pw_side;

#ifdef PW_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#define PW_NO_ASAN __attribute__((no_sanitize_address))

/** About to jump from one side to the other; ends: the leaving side never comes back. */
static inline void pw_note_asan_leave(pw_side *from, const pw_side *to, bool ends)
{
    __sanitizer_start_switch_fiber(ends ? NULL : &from->fake, to->low, to->size);
}

/** Just arrived on a side, for the first time or again; *came_from (may be NULL) learns the other's stack. */
static inline void pw_note_asan_arrive(pw_side *here, pw_side *came_from)
{
    const void *low = NULL;
    size_t size = 0;
    __sanitizer_finish_switch_fiber(here->fake, &low, &size);
    here->fake = NULL;
    if (came_from != NULL) {
        came_from->low = low;
        came_from->size = size;
    }
}

static inline void pw_note_asan_live(const pw_side *side)
{
    __lsan_register_root_region(side->low, side->size);
}

/** A stack is given up with frames still on it: its poison and its fake stack go. The second half pretends to be on the
 * discarded stack for a moment, because ASan frees a fake stack only when the stack that owns it says it ends. */
PW_NO_ASAN static inline void pw_note_asan_dead(pw_side *side)
{
    const void *own_low = NULL;
    size_t own_size = 0;
    void *own_fake = NULL;
    __lsan_unregister_root_region(side->low, side->size);
    __asan_unpoison_memory_region(side->low, side->size);
    if (side->fake == NULL) {
        return;
    }
    __sanitizer_start_switch_fiber(&own_fake, side->low, side->size);
    __sanitizer_finish_switch_fiber(side->fake, &own_low, &own_size);
    __sanitizer_start_switch_fiber(NULL, own_low, own_size);
    __sanitizer_finish_switch_fiber(own_fake, NULL, NULL);
    side->fake = NULL;
}
#else
#define PW_NO_ASAN
static inline void pw_note_asan_leave(pw_side *from, const pw_side *to, bool ends)
{
    (void)from;
    (void)to;
    (void)ends;
}
static inline void pw_note_asan_arrive(pw_side *here, pw_side *came_from)
{
    (void)here;
    (void)came_from;
}
static inline void pw_note_asan_live(const pw_side *side)
{
    (void)side;
}
static inline void pw_note_asan_dead(pw_side *side)
{
    (void)side;
}
#endif

#ifdef PW_TSAN
#include <sanitizer/tsan_interface.h>
static inline void pw_note_tsan_live(pw_side *side)
{
    side->tsan = __tsan_create_fiber(0);
}
static inline void pw_note_tsan_dead(pw_side *side)
{
    __tsan_destroy_fiber(side->tsan);
    side->tsan = NULL;
}
static inline void pw_note_tsan_self(pw_side *side)
{
    side->tsan = __tsan_get_current_fiber();
}
static inline void pw_note_tsan_leave(const pw_side *to)
{
    __tsan_switch_to_fiber(to->tsan, 0);
}
#else
static inline void pw_note_tsan_live(pw_side *side)
{
    (void)side;
}
static inline void pw_note_tsan_dead(pw_side *side)
{
    (void)side;
}
static inline void pw_note_tsan_self(pw_side *side)
{
    (void)side;
}
static inline void pw_note_tsan_leave(const pw_side *to)
{
    (void)to;
}
#endif

#ifdef PW_VALGRIND
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wcast-qual"
#include <valgrind/valgrind.h>
static inline void pw_note_valgrind_live(pw_side *side)
{
    side->valgrind = VALGRIND_STACK_REGISTER(side->low, (const char *)side->low + side->size);
}
static inline void pw_note_valgrind_dead(const pw_side *side)
{
    VALGRIND_STACK_DEREGISTER(side->valgrind);
}
static inline bool pw_note_valgrind_on(void)
{
    return RUNNING_ON_VALGRIND != 0;
}
#pragma GCC diagnostic pop
#else
static inline void pw_note_valgrind_live(pw_side *side)
{
    (void)side;
}
static inline void pw_note_valgrind_dead(const pw_side *side)
{
    (void)side;
}
static inline bool pw_note_valgrind_on(void)
{
    return false;
}
#endif

#endif
