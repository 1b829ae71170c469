/*
 * library.h - the functions behind the table of cuda.h, each in its file.
 */
#ifndef PW_EMBED_CUDA_LIBRARY_H
#define PW_EMBED_CUDA_LIBRARY_H

#include "activities/embed/cuda.h"

pw_cuda_status pw_cuda_encoder_open(int device, const pw_cuda_model *m, size_t tokens,
                                    pw_cuda_encoder **ret_encoder, char *message);
void pw_cuda_encoder_close(pw_cuda_encoder *e);
pw_cuda_status pw_cuda_encoder_put(pw_cuda_encoder *e, const pw_cuda_texts *texts, float *vectors,
                                   char *message);
pw_cuda_status pw_cuda_encoder_finish(pw_cuda_encoder *e, char *message);
float pw_cuda_encoder_ms(const pw_cuda_encoder *e);

pw_cuda_status pw_cuda_index_open(int device, const pw_cuda_rows *rows, pw_cuda_index **ret_index,
                                  char *message);
void pw_cuda_index_close(pw_cuda_index *x);
pw_cuda_status pw_cuda_index_search(pw_cuda_index *x, const pw_cuda_question *q, uint32_t *ret_rows,
                                    uint32_t *ret_len, char *message);
float pw_cuda_index_ms(const pw_cuda_index *x);

#endif
