/*
 * gpu_check.h - what the parts of gpu_check share: the model, the reference, how large everything is done, and what has failed.
 */
#ifndef TEST_GPU_CHECK_H
#define TEST_GPU_CHECK_H

#include "activities/embed/encode_gpu.h"
#include "sdk/base/buf.h"

#define GPU_TEXTS 68u
#define GPU_WIDTH 384u

typedef struct gpu_reference {
    pw_view text;
    uint32_t ids[256];
    size_t len;
    float vector[GPU_WIDTH];
} gpu_reference;

/* The real sizes; those for a sanitizer, which is a hundred times slower; and those for an emulated device, which is slower still. */
typedef struct gpu_sizes {
    const char *name;
    size_t texts_max;  /* tokens of the reference texts that are used, at most */
    size_t texts_len;  /* and how many of them are checked on the device */
    size_t pass;       /* tokens of a pass */
    size_t passes[4];  /* that are compared */
    size_t lengths[6]; /* of texts that are timed; 0: no more */
    int warm, rounds;  /* of each timing: those that do not count, those that do */
    int streamed;      /* passes that follow one another */
    size_t many;       /* texts end to end; 0: nothing is timed */
    size_t check_rows; /* of the search that is checked */
    size_t check_queries;
    size_t search_rows; /* of the one that is timed */
} gpu_sizes;

typedef struct gpu_world {
    const gpu_sizes *sizes;
    const char *library;
    pw_model *m;
    pw_encoder_cpu *cpu;
    pw_encoder_gpu *gpu;
    pw_buf value; /* reference.json */
    gpu_reference texts[GPU_TEXTS];
    int failed;
} gpu_world;

double gpu_now_s(void);
/** Prints a line of the checks; w->failed if it is not good. */
void gpu_verdict(gpu_world *w, bool good, const char *what, double figure);
/** Says what is wrong. */
bool gpu_need(pawl_status status, const pawl_error *err);
/** Prints a figure beside what was aimed at; fails nothing. less: it is to be at most that. */
void gpu_goal(const char *what, double figure, const char *unit, double goal, bool less);

/** gpu_times.c: by length of the texts, by size of a pass, one text, text to vector. */
void gpu_time_lengths(gpu_world *w);
void gpu_time_passes(gpu_world *w);
void gpu_time_one(gpu_world *w);
void gpu_time_end_to_end(gpu_world *w);
/** gpu_search.c: rows, random and with ties, against nearest.c; and how fast they are read. */
void gpu_check_search(gpu_world *w);
void gpu_time_search(gpu_world *w);

#endif
