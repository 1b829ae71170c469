/*
 * engine_story.h - one life of an engine that uses most of what it can do, told so that a failed allocation may strike anywhere in it.
 *
 * A client that is told NOMEM (or NOT) asks again; whatever it was told is done must be there in the end, exactly once, and the results
 * must be what they would have been. Only the core's allocations and those of the code it runs fail.
 */
#ifndef TEST_ENGINE_STORY_H
#define TEST_ENGINE_STORY_H

#include "tests/engine/rig.h"

typedef struct story_fault {
    rig_mode mode;
    int64_t nth; /* 0 = none */
    bool sticky; /* and all after it, for some seconds */
} story_fault;

/** Tells it. False: the fault never came, the story has fewer allocations. Fails the test when something is lost. */
bool story_tell(const story_fault *fault);
/** After a test that may have failed: true if it left one half told. */
bool story_close(void);

#endif
