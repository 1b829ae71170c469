/*
 * convo.h - conversations: persistent chains of messages in the journal, named by small references.
 *
 *   {"$convo": "9f3c...", "len": 12}  -->  node (parent, [10, [m10, m11]])  -->  node (parent, [4, [m4 ... m9]])  -->  ...  -->  0
 *
 * A node holds the messages of one append and, before them, how many came earlier. Its id covers its parent and its body, so a reference names
 * everything down to the first message, is never changed, and may be appended to twice: both continue what it names.
 */
#ifndef PW_CONVO_H
#define PW_CONVO_H

#include "journal/journal.h"
#include "sdk/base/value.h"
#include "sdk/pawl_activity.h"

/** What a reference says. id of zeros = the empty one. */
typedef struct pw_convo {
    uint8_t id[PW_DIGEST_SIZE];
    int64_t len; /* messages */
} pw_convo;

/** nil is the empty one. False: it is no reference. */
bool pw_convo_of(const pawl_value *ref, pw_convo *ret);
const pawl_value *pw_convo_ref(pawl_scope *scope, const pw_convo *c);

/** Where nodes are found: in a group that is being built (may be empty), then in the journal. */
typedef struct pw_convo_from {
    pw_reader *reader;
    const pw_op *ops;
    size_t ops_len;
    struct pw_kept *kept; /* nodes that were read, and found sound, before; NULL = none */
} pw_convo_from;

/** Is it there, and as long as it says? Errors: INVALID (it is not so long), NOTFOUND, DAMAGED, NOMEM, IO. */
pawl_status pw_convo_check(const pw_convo_from *from, const pw_convo *c, pawl_error *err);
/** Its messages from that index on, an array. Errors: as above, LIMIT. Owns: scope. */
pawl_status pw_convo_read(const pw_convo_from *from, pawl_scope *scope, const pw_convo *c,
                          int64_t first, const pawl_value **ret_messages, pawl_error *err);

/** The node that appends to c: its body, and in ret_next what it is then. messages is an array, or one message. */
void pw_convo_node(const pw_convo *c, const pawl_value *messages, const uint8_t key[PW_KEY_SIZE],
                   pw_buf *ret_body, pw_convo *ret_next);

/* ---- for tasks: thread any ---- */

/** A reader that tasks share; counted. */
typedef struct pw_convos pw_convos;
pw_convos *
pw_convos_new(pw_journal *journal);     /* NULL = no memory. Opens nothing before the first read */
pw_convos *pw_convos_ref(pw_convos *c); /* accepts NULL */
void pw_convos_unref(pw_convos *c);     /* accepts NULL */
void pw_convos_close(
    pw_convos *c); /* the journal goes: whoever reads after this hears CLOSED. accepts NULL */
/** What a task asks for. */
typedef struct pw_convo_want {
    pw_convo convo;
    int64_t first;
    pawl_scope *scope;
} pw_convo_want;
/** As pw_convo_read. c NULL: the file is opened for this one read, as a worker beside it does. */
pawl_status pw_convos_read(pw_convos *c, const char *path, const pw_convo_want *want,
                           const pawl_value **ret_messages, pawl_error *err);

#endif
