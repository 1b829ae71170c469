/*
 * collection.h - collections of texts and vectors as the control protocol shows them (index_* of ops.def). The rows are the journal's
 * (journal/collection.h); what makes vectors and ranks by them is elsewhere (sdk/pawl_index.h).
 */
#ifndef PW_ENGINE_COLLECTION_H
#define PW_ENGINE_COLLECTION_H

#include "engine/parts.h"
#include "journal/collection.h"

/** Requests index_create, index_put, index_delete and index_remove. */
void pw_collection_request(pw_core *core, pw_request *rq);

#endif
