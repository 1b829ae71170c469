/*
 * embed_rig.c - finds the models, reads the reference. Checks nothing itself.
 */
#include "embed_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "activities/embed/json_file.h"
#include "sdk/base/json.h"

#define REFERENCE_BYTES_MAX (8u << 20)

static const char *models(char *path, size_t size)
{
    const char *data = getenv("PAWL_TEST_DATA");
    (void)snprintf(path, size, "%s/models", data != NULL ? data : "");
    return path;
}

void rig_need_models(void)
{
    char path[1024];
    if (access(rig_model(), R_OK) != 0) {
        (void)printf("skipped: no model in %s (PAWL_TEST_DATA)\n", models(path, sizeof path));
        exit(77);
    }
}

const char *rig_model(void)
{
    static char path[1100];
    (void)models(path, sizeof path);
    const size_t size = strlen(path);
    (void)snprintf(path + size, sizeof path - size, "/all-MiniLM-L6-v2");
    return path;
}

const pawl_value *rig_texts(pawl_scope *scope)
{
    pw_buf text = PW_BUF_INIT, value = PW_BUF_INIT;
    char path[1024];
    pawl_error err;
    const pawl_value *all = NULL;
    assert_int_equal(pw_model_file_read(models(path, sizeof path), "reference.json",
                                        REFERENCE_BYTES_MAX, &text, &err),
                     PAWL_OK);
    /* One of the texts holds a NUL, which strict JSON refuses. */
    assert_int_equal(
        pw_json_parse(&value, (const char *)text.data, text.size, PW_JSON_LENIENT, NULL, &err),
        PAWL_OK);
    assert_int_equal(pawl_from_msgpack(scope, value.data, value.size, &all, &err), PAWL_OK);
    pw_buf_deinit(&value);
    pw_buf_deinit(&text);
    assert_int_equal(pawl_len(pawl_get(all, "texts")), 68);
    return pawl_get(all, "texts");
}

rig_text rig_text_at(const pawl_value *texts, size_t i)
{
    size_t size = 0;
    const uint8_t *data = pawl_data(pawl_at(texts, i), "text", &size);
    assert_non_null(data);
    return (rig_text){data, size};
}
