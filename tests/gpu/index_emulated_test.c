/*
 * index_emulated_test.c - collections searched on an emulated device: the list of the processor, also while items change, and after the device has failed.
 * No GPU runs here.
 */
#include "emulated_rig.h"

#include <stdio.h>
#include <string.h>

#include "sdk/pawl_index.h"

#define WIDTH 40
#define ITEMS 200

typedef struct world {
    pawl_engine *engine;
    pawl_index *device, *processor;
    pawl_scope *scope;
    pawl_error err;
    uint32_t seed;
} world;

static void must(world *w, pawl_status st)
{
    if (st != PAWL_OK) {
        fail_msg("%s", w->err.message);
    }
}

static pawl_index *open_index(world *w, const char *gpu)
{
    pawl_index *index = NULL;
    const pawl_index_options o = {.struct_size = sizeof o,
                                  .engine = w->engine,
                                  .width = WIDTH,
                                  .gpu = gpu,
                                  .gpu_rows_min = 1};
    must(w, pawl_index_open(&o, &index, &w->err));
    return index;
}

static void random_vector(world *w, float *v)
{
    for (size_t i = 0; i < WIDTH; i++) { /* few values: many ties */
        w->seed = w->seed * 1664525u + 1013904223u;
        v[i] = (float)(w->seed >> 8 & 3) / 16.0f;
    }
}

static void put(world *w, size_t first, size_t len)
{
    static const char *const tags[] = {"odd"};
    float vectors[ITEMS][WIDTH];
    char keys[ITEMS][16];
    pawl_index_item items[ITEMS];
    for (size_t i = 0; i < len; i++) {
        random_vector(w, vectors[i]);
        (void)snprintf(keys[i], sizeof keys[i], "k%zu", first + i);
        items[i] = (pawl_index_item){
            .key = keys[i], .vector = vectors[i], .tags = tags, .tags_len = i % 2};
    }
    must(w, pawl_index_put(w->device, "c", items, len, NULL, &w->err));
}

static void same(world *w, int searches)
{
    static const char *const tags[] = {"odd"};
    for (int n = 0; n < searches; n++) {
        float vector[WIDTH];
        const pawl_value *there = NULL, *here = NULL;
        random_vector(w, vector);
        const pawl_index_query q = {.struct_size = sizeof q,
                                    .vector = vector,
                                    .mode = PAWL_INDEX_VECTOR,
                                    .k = (uint32_t)(1 + n % 20),
                                    .tags = tags,
                                    .tags_len = n % 3 == 0 ? 1 : 0};
        must(w, pawl_index_search(w->device, "c", &q, w->scope, &there, &w->err));
        must(w, pawl_index_search(w->processor, "c", &q, w->scope, &here, &w->err));
        assert_true(pawl_len(here) > 0 && pawl_equal(there, here));
    }
}

static void collections_are_searched_on_a_device_as_by_the_processor(void **state)
{
    world w = {.scope = pawl_scope_new(), .seed = 3};
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true, .memory = true};
    const emulated_control *devices = emulated_fresh();
    (void)state;
    must(&w, pawl_open("", &o, &w.engine, &w.err));
    w.device = open_index(&w, emulated_library());
    w.processor = open_index(&w, "off");
    must(&w, pawl_index_create(w.device, "c", NULL, &w.err));
    put(&w, 0, ITEMS);
    const unsigned long before = devices->kernels();
    same(&w, 12);
    const unsigned long kernels = devices->kernels();
    assert_true(kernels > before); /* it was the device that searched */
    put(&w, 50, 30);
    same(&w, 1); /* rows that have just changed are the processor's */
    same(&w, 8);
    assert_true(devices->kernels() > kernels);
    devices->fail_at(1, 1); /* it is lost, and so is every later call */
    same(&w, 4);
    assert_true(devices->failed());
    (void)emulated_fresh();
    pawl_close(w.engine, 1000);
    pawl_index_close(w.device);
    pawl_index_close(w.processor);
    pawl_scope_free(w.scope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(collections_are_searched_on_a_device_as_by_the_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
