/*
 * wordpiece.c - encoding: a state machine over bytes that gathers a word and cuts it into pieces when it ends.
 *
 * A byte of ASCII is looked up in two tables of 256; only what lies beyond goes through the code point tables. The hash of the word grows with it, so
 * that a word which is one piece, most are, costs one look. A dropped character does not end a word: "a<soft hyphen>b" is "ab".
 *
 * Never allocates and never fails; does not read files (wordpiece_read.c).
 */
#include "activities/embed/wordpiece.h"

#include "sdk/base/mem.h"

enum kind { LETTER, SPACE, ALONE, DROPPED, WIDE, SPECIAL = 8 };

#define WORD_BYTES_MAX (PW_WORD_CHARS_MAX * 4)

typedef struct word {
    uint64_t hash;
    uint32_t size;
    uint32_t chars; /* beyond word_chars_max they are counted, not kept */
    uint8_t text[WORD_BYTES_MAX];
} word;

typedef struct encoder {
    const pw_wordpiece *t;
    uint32_t *ids;
    size_t ids_max; /* without the last token */
    size_t len;
    uint64_t total;
    word word;
} encoder;

/* ---- words to pieces ---- */

static void put_id(encoder *e, uint32_t id)
{
    if (e->len < e->ids_max) {
        e->ids[e->len++] = id;
    }
    e->total++;
}

/* The longest piece that the rest of a word begins with; PW_PIECE_NONE. */
static uint32_t longest_piece(const pw_vocabulary *v, const uint8_t *text, size_t size,
                              bool continued, size_t *ret_size)
{
    uint64_t hashes[PW_PIECE_BYTES_MAX + 1];
    const size_t most = size < v->longest ? size : v->longest;
    hashes[0] = continued ? PW_HASH_CONTINUED : PW_HASH_WORD;
    for (size_t i = 0; i < most; i++) {
        hashes[i + 1] = pw_piece_hash(hashes[i], text[i]);
    }
    for (size_t n = most; n > 0; n--) {
        const uint32_t id = pw_vocabulary_find(v, hashes[n], text, pw_piece_span(n, continued));
        if (id != PW_PIECE_NONE) {
            *ret_size = n;
            return id;
        }
    }
    return PW_PIECE_NONE;
}

/* A word that is not one piece: greedily, and as a whole unknown when any of it is. */
static void cut_word(encoder *e)
{
    uint32_t pieces[WORD_BYTES_MAX];
    size_t len = 0;
    for (size_t at = 0; at < e->word.size;) {
        size_t size = 0;
        pieces[len] =
            longest_piece(&e->t->pieces, e->word.text + at, e->word.size - at, at > 0, &size);
        if (pieces[len] == PW_PIECE_NONE) {
            put_id(e, e->t->unk);
            return;
        }
        len++;
        at += size;
    }
    for (size_t i = 0; i < len; i++) {
        put_id(e, pieces[i]);
    }
}

static void word_begin(word *w)
{
    w->hash = PW_HASH_WORD;
    w->size = 0;
    w->chars = 0;
}

static void word_end(encoder *e)
{
    word *w = &e->word;
    if (w->chars == 0) {
        return;
    }
    if (w->chars > e->t->word_chars_max) {
        put_id(e, e->t->unk);
    } else {
        const uint32_t id =
            pw_vocabulary_find(&e->t->pieces, w->hash, w->text, pw_piece_span(w->size, false));
        if (id != PW_PIECE_NONE) {
            put_id(e, id);
        } else {
            cut_word(e);
        }
    }
    word_begin(w);
}

static void word_put(encoder *e, uint32_t point)
{
    uint8_t bytes[4];
    word *w = &e->word;
    if (++w->chars > e->t->word_chars_max) {
        return;
    }
    const size_t size = pw_codepoint_write(point, bytes);
    for (size_t i = 0; i < size; i++) {
        w->hash = pw_piece_hash(w->hash, bytes[i]);
        w->text[w->size++] = bytes[i];
    }
}

/* ---- text to words ---- */

/* Letters of ASCII, as many as follow each other; returns where they end. */
static const uint8_t *take_letters(encoder *e, const uint8_t *p, const uint8_t *end)
{
    const pw_wordpiece *t = e->t;
    word *w = &e->word;
    const size_t room = w->chars < t->word_chars_max ? t->word_chars_max - w->chars : 0;
    const uint8_t *stop = (size_t)(end - p) > room ? p + room : end;
    const uint8_t *from = p;
    uint64_t hash = w->hash;
    uint8_t *out = w->text + w->size;
    for (; p < stop && t->kind[*p] == LETTER; p++) {
        const uint8_t c = t->lower[*p];
        hash = pw_piece_hash(hash, c);
        *out++ = c;
    }
    w->hash = hash;
    w->size += (uint32_t)(p - from);
    w->chars += (uint32_t)(p - from);
    if (p < end && p == stop && t->kind[*p] == LETTER) {
        w->chars++; /* one too many: an unknown word */
        p++;
    }
    return p;
}

static const uint8_t *take_wide(encoder *e, const uint8_t *p, const uint8_t *end)
{
    uint32_t point, letters[PW_LETTERS_MAX];
    p += pw_codepoint_read(p, (size_t)(end - p), &point);
    const size_t len = pw_normal_letters(&e->t->normal, point, letters);
    for (size_t i = 0; i < len; i++) {
        if (letters[i] == PW_LETTER_SPACE) {
            word_end(e);
        } else if ((letters[i] & PW_LETTER_ALONE) != 0) {
            word_end(e);
            word_put(e, letters[i] & PW_LETTER_POINT);
            word_end(e);
        } else {
            word_put(e, letters[i]);
        }
    }
    return p;
}

/* The longest special token here, as the reference takes it; NULL when there is none. */
static const pw_special *special_at(const pw_wordpiece *t, const uint8_t *p, const uint8_t *end)
{
    const pw_special *found = NULL;
    for (size_t i = 0; i < t->specials_len; i++) {
        const pw_special *s = &t->specials[i];
        if (s->size <= (size_t)(end - p) && (found == NULL || s->size > found->size) &&
            memcmp(t->specials_text.data + s->begin, p, s->size) == 0) {
            found = s;
        }
    }
    return found;
}

static const uint8_t *take_other(encoder *e, const uint8_t *p, const uint8_t *end)
{
    switch (e->t->kind[*p] & ~SPECIAL) {
    case SPACE:
        word_end(e);
        return p + 1;
    case DROPPED:
        return p + 1;
    case WIDE:
        return take_wide(e, p, end);
    case ALONE:
        word_end(e);
        word_put(e, *p);
        word_end(e);
        return p + 1;
    default: /* a letter that may begin a special token */
        word_put(e, e->t->lower[*p]);
        return p + 1;
    }
}

static void encode_all(encoder *e, const uint8_t *p, const uint8_t *end, bool plain)
{
    const uint8_t *kind = e->t->kind;
    while (p < end) {
        if (kind[*p] == LETTER) {
            p = take_letters(e, p, end);
            continue;
        }
        const pw_special *s = !plain && (kind[*p] & SPECIAL) != 0 ? special_at(e->t, p, end) : NULL;
        if (s == NULL) {
            p = take_other(e, p, end);
            continue;
        }
        word_end(e);
        put_id(e, s->id);
        p += s->size;
    }
}

pw_encoding pw_wordpiece_encode(const pw_wordpiece *t, pw_view text, bool plain, uint32_t *ids,
                                size_t ids_max)
{
    const pw_view nothing = {NULL, 0};
    return pw_wordpiece_encode_after(t, nothing, text, plain, ids, ids_max);
}

pw_encoding pw_wordpiece_encode_after(const pw_wordpiece *t, pw_view prefix, pw_view text,
                                      bool plain, uint32_t *ids, size_t ids_max)
{
    encoder e;
    e.t = t;
    e.ids = ids;
    e.ids_max = ids_max - 1;
    e.len = 0;
    e.total = 1; /* the last token */
    word_begin(&e.word);
    put_id(&e, t->cls);
    if (prefix.size > 0) {
        encode_all(&e, prefix.data, prefix.data + prefix.size, false);
    }
    if (text.size > 0) {
        encode_all(&e, text.data, text.data + text.size, plain);
    }
    word_end(&e);
    ids[e.len] = t->sep;
    return (pw_encoding){.len = (uint32_t)e.len + 1, .total = e.total};
}

/* ---- life ---- */

pw_wordpiece *pw_wordpiece_new(void)
{
    pw_wordpiece *t = pw_calloc(1, sizeof *t);
    if (t != NULL) {
        t->word_chars_max = 100;
        t->normal = PW_NORMAL_ALL;
        t->cls = t->sep = t->unk = PW_PIECE_NONE;
    }
    return t;
}

void pw_wordpiece_close(pw_wordpiece *t)
{
    if (t != NULL) {
        pw_vocabulary_deinit(&t->pieces);
        pw_buf_deinit(&t->specials_text);
        pw_free(t);
    }
}

pawl_status pw_wordpiece_special(pw_wordpiece *t, const void *text, size_t size, uint32_t id)
{
    if (t->specials_len == PW_SPECIALS_MAX || size == 0 || size > PW_PIECE_BYTES_MAX) {
        return PAWL_LIMIT;
    }
    const size_t begin = t->specials_text.size;
    pw_buf_put(&t->specials_text, text, size);
    if (!pw_buf_ok(&t->specials_text)) {
        return PAWL_NOMEM;
    }
    t->specials[t->specials_len++] =
        (pw_special){.id = id, .begin = (uint32_t)begin, .size = (uint32_t)size};
    return PAWL_OK;
}

static uint8_t kind_of(const pw_normal *n, uint32_t byte, uint8_t *ret_lower)
{
    uint32_t letters[PW_LETTERS_MAX];
    if (byte >= 0x80) {
        return WIDE;
    }
    const size_t len = pw_normal_letters(n, byte, letters);
    if (len == 0) {
        return DROPPED;
    }
    *ret_lower = (uint8_t)letters[0];
    return letters[0] == PW_LETTER_SPACE         ? SPACE
           : (letters[0] & PW_LETTER_ALONE) != 0 ? ALONE
                                                 : LETTER;
}

void pw_wordpiece_ready(pw_wordpiece *t)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        t->kind[byte] = kind_of(&t->normal, byte, &t->lower[byte]);
    }
    for (size_t i = 0; i < t->specials_len; i++) {
        t->kind[t->specials_text.data[t->specials[i].begin]] |= SPECIAL;
    }
}
