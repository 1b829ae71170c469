/*
 * json_echo.c - for json_oracle.py: each line of the input is a JSON text in hex; answers its reprint, or "!" and the error.
 * With a second argument "jansson" it also says whether jansson takes the text. Does not compare: the script does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

#include "sdk/base/json.h"

static size_t unhex(char *line)
{
    size_t n = 0;
    for (char *p = line; p[0] > ' ' && p[1] > ' '; p += 2) {
        char two[3] = {p[0], p[1], 0};
        line[n++] = (char)strtol(two, NULL, 16);
    }
    return n;
}

static char jansson_says(const char *text, size_t size)
{
#ifdef HAVE_JANSSON
    json_error_t err;
    json_t *j = json_loadb(text, size, JSON_DECODE_ANY, &err);
    char said = j != NULL ? 'y' : 'n';
    json_decref(j);
    return said;
#else
    (void)text;
    (void)size;
    return '?';
#endif
}

int main(void)
{
    static char line[1 << 20];
    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t size = unhex(line);
        pw_buf mp = {0}, json = {0};
        pawl_error err;
        char other = jansson_says(line, size);
        bool ok = pw_json_parse(&mp, line, size, PW_JSON_STRICT, NULL, &err) == PAWL_OK &&
                  pw_json_print(&json, mp.data, mp.size, 0, &err) == PAWL_OK;
        (void)printf("%c%c%s\n", ok ? '=' : '!', other, ok ? pw_buf_cstr(&json) : err.message);
        pw_buf_deinit(&mp);
        pw_buf_deinit(&json);
    }
    return 0;
}
