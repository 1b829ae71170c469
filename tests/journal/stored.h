/*
 * stored.h - a journal with one of everything, the same in every release: what a migration must
 * carry over.
 */
#ifndef PW_STORED_H
#define PW_STORED_H

#include "tests/journal/rig.h"

/** Fills a fresh journal. Keep it as it is: tests/journal/data holds files that older releases made with it. */
void stored_fill(rig *t);
/** Asserts that all of it is there. */
void stored_check(rig *t);

#endif
