/*
 * embed_ids.c - the tokenizer for oracles and clocks. embed_ids FOLDER reads records (4 bytes of size, little-endian, and a text) and prints the ids of
 * each on a line; embed_ids FOLDER --time FILE SECONDS encodes the lines of a file again and again and prints tokens per CPU-second. Judges nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "activities/embed/json_file.h"
#include "activities/embed/wordpiece.h"
#include "sdk/base/error.h"

#define IDS_MAX 65536u
#define TEXT_BYTES_MAX (1u << 20)

static int print_all(const pw_wordpiece *t)
{
    static uint32_t ids[IDS_MAX];
    static uint8_t text[TEXT_BYTES_MAX];
    uint8_t head[4];
    while (fread(head, 1, 4, stdin) == 4) {
        const size_t size =
            head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        if (size > sizeof text || fread(text, 1, size, stdin) != size) {
            return 1;
        }
        const pw_encoding e = pw_wordpiece_encode(t, (pw_view){text, size}, false, ids, IDS_MAX);
        for (uint32_t i = 0; i < e.len; i++) {
            (void)printf("%s%u", i > 0 ? " " : "", ids[i]);
        }
        (void)printf("\n");
    }
    return 0;
}

static double cpu_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static uint64_t encode_lines(const pw_wordpiece *t, const pw_buf *text)
{
    static uint32_t ids[IDS_MAX];
    uint64_t tokens = 0;
    const uint8_t *end = text->data + text->size;
    for (const uint8_t *p = text->data; p < end;) {
        const uint8_t *stop = memchr(p, '\n', (size_t)(end - p));
        stop = stop != NULL ? stop : end;
        tokens +=
            pw_wordpiece_encode(t, (pw_view){p, (size_t)(stop - p)}, false, ids, IDS_MAX).total;
        p = stop < end ? stop + 1 : end;
    }
    return tokens;
}

static int time_all(const pw_wordpiece *t, const char *path, double seconds)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    pawl_error err;
    if (pw_model_file_read("", path, 256u << 20, &text, &err) != PAWL_OK || text.size == 0) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
        return 1;
    }
    uint64_t tokens = 0, rounds = 0;
    const double begun = cpu_s();
    double spent = 0;
    do {
        tokens += encode_lines(t, &text);
        rounds++;
        spent = cpu_s() - begun;
    } while (spent < seconds);
    (void)printf("%.2f million tokens, %.1f MB per CPU-second (%llu rounds over %zu bytes)\n",
                 (double)tokens / spent * 1e-6, (double)text.size * (double)rounds / spent * 1e-6,
                 (unsigned long long)rounds, text.size);
    return 0;
}

int main(int argc, char **argv)
{
    pawl_error err;
    pw_wordpiece *t = NULL;
    if (argc < 2 || pw_wordpiece_open(argv[1], &t, &err) != PAWL_OK) {
        (void)fprintf(stderr, "%s\n",
                      argc < 2 ? "embed_ids FOLDER [--time FILE SECONDS]" : err.message);
        return 1;
    }
    const int code = argc == 5 && strcmp(argv[2], "--time") == 0
                         ? time_all(t, argv[3], strtod(argv[4], NULL))
                         : print_all(t);
    pw_wordpiece_close(t);
    return code;
}
