/*
 * gpu_table.c - prints the tables. Measures nothing.
 */
#include "gpu_table.h"

#define FLOP_LINEAR 21.23e6  /* of a token: 10.62 million weights, twice */
#define FLOP_ATTENTION 9216. /* of a token, for each token of its text */

double gpu_roofline(double tokens_s, size_t length)
{
    return tokens_s * (FLOP_LINEAR + FLOP_ATTENTION * (double)length) / GPU_FLOP_PEAK;
}

void gpu_table_lengths_head(FILE *to)
{
    (void)fprintf(to, "%8s %10s %16s %16s %16s %10s\n", "tokens", "a pass", "kernels", "one pass",
                  "many passes", "roofline");
    (void)fprintf(to, "%8s %10s %16s %16s %16s %10s\n", "", "", "M tokens/s", "M tokens/s",
                  "M tokens/s", "kernels");
}

void gpu_table_length(FILE *to, const gpu_length_times *t)
{
    const double tokens = (double)t->tokens, rate = tokens / t->kernel_s;
    (void)fprintf(to, "%8zu %10zu %16.2f %16.2f %16.2f %9.1f%%\n", t->length, t->tokens,
                  rate * 1e-6, tokens / t->wall_s * 1e-6, tokens / t->stream_s * 1e-6,
                  100 * gpu_roofline(rate, t->length));
}

void gpu_table_search_head(FILE *to)
{
    (void)fprintf(to, "%8s %10s %14s %14s %10s %14s\n", "queries", "M rows", "device, ms", "GB/s",
                  "of copy", "queries/s");
}

void gpu_table_search(FILE *to, const gpu_search_times *t)
{
    const double bytes_s = (double)t->rows * (double)t->row_bytes / t->device_s;
    (void)fprintf(to, "%8zu %10.2f %14.3f %14.0f %9.1f%% %14.0f\n", t->queries,
                  (double)t->rows * 1e-6, t->device_s * 1e3, bytes_s * 1e-9,
                  100 * bytes_s / GPU_BYTES_PEAK, (double)t->queries / t->wall_s);
}
