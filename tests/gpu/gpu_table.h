/*
 * gpu_table.h - the lines of the tables, from times to what a reader wants to know.
 */
#ifndef TEST_GPU_TABLE_H
#define TEST_GPU_TABLE_H

#include <stddef.h>
#include <stdio.h>

/** Ceilings of an H200, as read on one: tools/gpu-check prints those of the machine at hand beside them. */
#define GPU_FLOP_PEAK 788e12  /* 16-bit products a second */
#define GPU_BYTES_PEAK 4.3e12 /* copied, read and written together, a second */

typedef struct gpu_length_times {
    size_t length;   /* tokens of a text */
    size_t tokens;   /* of a pass */
    double kernel_s; /* of a pass: the device's kernels */
    double wall_s;   /* of a pass: from ids to vectors */
    double stream_s; /* of each of many passes that follow one another */
} gpu_length_times;

void gpu_table_lengths_head(FILE *to);
void gpu_table_length(FILE *to, const gpu_length_times *t);
/** Share of the peak that a rate is: tokens a second, of texts of so many tokens. */
double gpu_roofline(double tokens_s, size_t length);

typedef struct gpu_search_times {
    size_t queries, rows, row_bytes;
    double device_s, wall_s;
} gpu_search_times;

void gpu_table_search_head(FILE *to);
void gpu_table_search(FILE *to, const gpu_search_times *t);

#endif
