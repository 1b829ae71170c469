/*
 * gpu_table_test.c - the tables of gpu_check, printed from numbers made up for the purpose. Says nothing of any device.
 */
#include "tests/embed/embed_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "gpu_table.h"

static void times_become_rates_and_shares(void **state)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    (void)state;
    assert_non_null(to);
    gpu_table_length(to, &(gpu_length_times){128, 8192, 8192e-6 / 16, 8192e-6 / 8, 8192e-6 / 10});
    gpu_table_search(to, &(gpu_search_times){64, 4000000, 768, 1e-3, 2e-3});
    assert_int_equal(fclose(to), 0);
    assert_string_equal(
        text, "     128       8192            16.00             8.00            10.00      45.5%\n"
              "      64       4.00          1.000           3072      71.4%          32000\n");
    free(text);
}

static void every_column_has_its_head(void **state)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    (void)state;
    assert_non_null(to);
    gpu_table_lengths_head(to);
    gpu_table_search_head(to);
    assert_int_equal(fclose(to), 0);
    assert_string_equal(
        text, "  tokens     a pass          kernels         one pass      many passes   roofline\n"
              "                          M tokens/s       M tokens/s       M tokens/s    kernels\n"
              " queries     M rows     device, ms           GB/s    of copy      queries/s\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_become_rates_and_shares),
        cmocka_unit_test(every_column_has_its_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
