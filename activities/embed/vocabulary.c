/*
 * vocabulary.c - filling the table of pieces. It knows no file format (vocabulary_read.c) and never forgets a piece.
 */
#include "activities/embed/vocabulary.h"

#include "activities/embed/limits.h"
#include "sdk/base/mem.h"

#define BITS_FIRST 12u

static uint64_t hash_of(bool continued, const uint8_t *text, size_t size)
{
    uint64_t hash = continued ? PW_HASH_CONTINUED : PW_HASH_WORD;
    for (size_t i = 0; i < size; i++) {
        hash = pw_piece_hash(hash, text[i]);
    }
    return hash;
}

static pw_slot *slots_new(unsigned bits)
{
    const size_t len = (size_t)1 << bits;
    pw_slot *slots = pw_malloc(len * sizeof *slots);
    for (size_t i = 0; slots != NULL && i < len; i++) {
        slots[i] = (pw_slot){.id = PW_PIECE_NONE};
    }
    return slots;
}

static pw_slot *slot_for(pw_vocabulary *v, uint64_t hash, const uint8_t *text, uint32_t span)
{
    const size_t mask = ((size_t)1 << v->bits) - 1;
    size_t at = (size_t)(hash >> (64 - v->bits));
    while (v->slots[at].id != PW_PIECE_NONE &&
           (v->slots[at].check != (uint32_t)(hash >> 16) || v->slots[at].span != span ||
            memcmp(v->bytes.data + v->slots[at].begin, text, span >> 1) != 0)) {
        at = (at + 1) & mask;
    }
    return &v->slots[at];
}

/* To where it belongs in the larger table. */
static void slot_move(pw_vocabulary *v, const pw_slot *s)
{
    const uint64_t hash = hash_of((s->span & 1) != 0, v->bytes.data + s->begin, s->span >> 1);
    const size_t mask = ((size_t)1 << v->bits) - 1;
    size_t at = (size_t)(hash >> (64 - v->bits));
    while (v->slots[at].id != PW_PIECE_NONE) {
        at = (at + 1) & mask;
    }
    v->slots[at] = *s;
}

/* At most a third full: most words are found at the first look. */
static bool make_room(pw_vocabulary *v)
{
    if (v->slots != NULL && v->len * 3 < (size_t)1 << v->bits) {
        return true;
    }
    pw_slot *old = v->slots;
    const size_t old_len = old != NULL ? (size_t)1 << v->bits : 0;
    const unsigned bits = old != NULL ? v->bits + 1 : BITS_FIRST;
    pw_slot *slots = slots_new(bits);
    if (slots == NULL) {
        return false;
    }
    v->slots = slots;
    v->bits = bits;
    for (size_t i = 0; i < old_len; i++) {
        if (old[i].id != PW_PIECE_NONE) {
            slot_move(v, &old[i]);
        }
    }
    pw_free(old);
    return true;
}

pawl_status pw_vocabulary_add(pw_vocabulary *v, bool continued, const void *text, size_t size,
                              uint32_t id)
{
    if (id >= PW_PIECES_MAX || v->len >= 2 * PW_PIECES_MAX || size > PW_PIECE_BYTES_MAX) {
        return PAWL_LIMIT;
    }
    if (!make_room(v)) {
        return PAWL_NOMEM;
    }
    const uint64_t hash = hash_of(continued, text, size);
    const uint32_t span = pw_piece_span(size, continued);
    pw_slot *slot = slot_for(v, hash, text, span);
    if (slot->id == PW_PIECE_NONE) {
        const size_t begin = v->bytes.size;
        pw_buf_put(&v->bytes, text, size);
        if (!pw_buf_ok(&v->bytes)) {
            return v->bytes.full ? PAWL_LIMIT : PAWL_NOMEM;
        }
        *slot = (pw_slot){.check = (uint32_t)(hash >> 16), .begin = (uint32_t)begin, .span = span};
        v->len++;
    }
    slot->id = id;
    v->longest = size > v->longest ? size : v->longest;
    v->ids_end = id >= v->ids_end ? id + 1 : v->ids_end;
    return PAWL_OK;
}

void pw_vocabulary_deinit(pw_vocabulary *v)
{
    pw_free(v->slots);
    pw_buf_deinit(&v->bytes);
    *v = (pw_vocabulary){.bits = 0};
}
