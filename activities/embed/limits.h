/*
 * limits.h - the bounds of embedding: what each is for, and what a caller gets when it is hit.
 */
#ifndef PW_EMBED_LIMITS_H
#define PW_EMBED_LIMITS_H

#define PW_PIECES_MAX (1u << 20) /* of a vocabulary; the largest of the family has 250,002. LIMIT */
#define PW_PIECE_BYTES_MAX 1024u /* one piece; LIMIT */
#define PW_WORD_CHARS_MAX 256u   /* max_input_chars_per_word of a model; LIMIT */
#define PW_SPECIALS_MAX 64u      /* added tokens of a tokenizer; LIMIT */
#define PW_VOCABULARY_FILE_BYTES_MAX (32u << 20) /* vocab.txt or tokenizer.json; LIMIT */
#define PW_CONFIG_FILE_BYTES_MAX (1u << 20)      /* config.json and the like; LIMIT */

#define PW_TENSOR_HEADER_BYTES_MAX (4u << 20)  /* of a safetensors file; LIMIT */
#define PW_WEIGHTS_BYTES_MAX ((size_t)4 << 30) /* a file of weights; LIMIT */
#define PW_TENSORS_MAX 4096u                   /* in one file; LIMIT */
#define PW_TENSOR_DIMS_MAX 8u                  /* LIMIT */

#define PW_EMBED_LAYERS_MAX 48u   /* LIMIT */
#define PW_EMBED_WIDTH_MAX 4096u  /* hidden size; LIMIT */
#define PW_EMBED_INNER_MAX 16384u /* size between the two halves of a feed-forward layer; LIMIT */
#define PW_EMBED_TOKENS_MAX 8192u /* of one text; LIMIT */
#define PW_EMBED_PREFIX_BYTES_MAX 1024u /* of what a model wants before a text or a query; LIMIT */

#endif
