/*
 * node.c - the name of a conversation node. A node is (parent, new messages); its id covers both,
 * so an id names a whole conversation. Does not look into the messages.
 */
#include <sodium.h>

#include "journal/journal.h"

void pw_node_id(uint8_t ret_id[PW_DIGEST_SIZE], const uint8_t key[PW_KEY_SIZE],
                const uint8_t parent[PW_DIGEST_SIZE], pw_view body)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, key, PW_KEY_SIZE, PW_DIGEST_SIZE);
    crypto_generichash_update(&state, parent, PW_DIGEST_SIZE);
    crypto_generichash_update(&state, body.data != NULL ? body.data : (const uint8_t *)"",
                              body.size);
    crypto_generichash_final(&state, ret_id, PW_DIGEST_SIZE);
}
