/*
 * wordpiece.h - the tokenizer of the BERT family: text to the numbers of its pieces, exactly as the Hugging Face tokenizers do it.
 *
 *   text --special tokens cut out--> clean, lower case, no marks (normal.h) --white space, punctuation--> words --longest match--> pieces
 *
 * One pass over the bytes, no allocation, never fails: any bytes have an encoding. Opened, it does not change: any thread may encode.
 */
#ifndef PW_EMBED_WORDPIECE_H
#define PW_EMBED_WORDPIECE_H

#include "activities/embed/limits.h"
#include "activities/embed/normal.h"
#include "activities/embed/vocabulary.h"
#include "sdk/base/mp.h"

typedef struct pw_special {
    uint32_t id;
    uint32_t begin; /* in specials_text */
    uint32_t size;
} pw_special;

typedef struct pw_wordpiece {
    pw_vocabulary pieces;
    pw_buf specials_text;
    pw_special specials[PW_SPECIALS_MAX];
    size_t specials_len;
    pw_normal normal;
    uint32_t cls, sep, unk;
    bool usual_ends;         /* these three are [CLS], [SEP] and [UNK] */
    uint32_t word_chars_max; /* a longer word is unknown */
    uint8_t kind[256];       /* of a byte: wordpiece.c */
    uint8_t lower[256];
} pw_wordpiece;

typedef struct pw_encoding {
    uint32_t len;   /* ids written, the two at the ends included */
    uint64_t total; /* ids that the whole text has */
} pw_encoding;

/** Reads tokenizer.json of the folder, or vocab.txt, whose switches are in tokenizer_config.json. Errors: NOTFOUND, PARSE, UNSUPPORTED (another kind of
 * tokenizer), LIMIT, NOMEM, IO. */
pawl_status pw_wordpiece_open(const char *folder, pw_wordpiece **ret_tokenizer,
                              pawl_error *err) PAWL_MUST_USE;
void pw_wordpiece_close(pw_wordpiece *t); /* accepts NULL */

/** From the text of the files themselves; normal NULL: all switches on. Errors: as open. */
pawl_status pw_wordpiece_of_json(const char *text, size_t size, pw_wordpiece **ret_tokenizer,
                                 pawl_error *err) PAWL_MUST_USE;
pawl_status pw_wordpiece_of_list(const char *text, size_t size, const pw_normal *normal,
                                 pw_wordpiece **ret_tokenizer, pawl_error *err) PAWL_MUST_USE;

/** For the readers: an empty one; adds a token that is cut out of raw text; derives what encoding needs, once all pieces are in. */
pw_wordpiece *pw_wordpiece_new(void);
pawl_status pw_wordpiece_special(pw_wordpiece *t, const void *text, size_t size,
                                 uint32_t id) PAWL_MUST_USE;
void pw_wordpiece_ready(pw_wordpiece *t);

/** Encodes at most ids_max (at least 2) ids: the first token, what fits of the text, the last token. plain: what looks like a special token is
 * text, as untrusted text should be. */
pw_encoding pw_wordpiece_encode(const pw_wordpiece *t, pw_view text, bool plain, uint32_t *ids,
                                size_t ids_max);
/** The same for a text after a model's prefix, which is never plain: as if both were one text, but that no special token and no character spans them. */
pw_encoding pw_wordpiece_encode_after(const pw_wordpiece *t, pw_view prefix, pw_view text,
                                      bool plain, uint32_t *ids, size_t ids_max);

#endif
