/*
 * cli_new.c - `new`: writes a module that builds and runs, from the templates embedded in the program.
 *
 * Overwrites nothing. Finds pawl's headers: those installed with this program need no path; those of a source tree are named.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "sdk/base/id.h"
#include "tools/cli_session.h"
#include "tools/cli_template.h"

typedef struct module {
    const char *name; /* as given: a workflow's name and a file's */
    char id[128];     /* as a C identifier */
    const char *folder;
    const char *include; /* "" = pkg-config knows */
} module;

/* The name becomes a workflow name, a file name and a target name: letters, digits, - and _ only. */
static bool name_check(const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < size; i++) {
        if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-') {
            return false;
        }
    }
    return size > 0 && size <= 60 && (isalpha((unsigned char)name[0]) || name[0] == '_');
}

static void id_make(module *m)
{
    /* The suffix keeps it apart from C's keywords and from names of the headers. */
    (void)snprintf(m->id, sizeof m->id, "%s_workflow", m->name);
    for (char *p = m->id; *p != '\0'; p++) {
        *p = *p == '-' ? '_' : *p;
    }
}

/* The folder, made absolute, if pawl's headers are in it; else NULL. */
static const char *include_check(pw_cli *cli, const char *folder)
{
    char header[PATH_MAX + 64];
    (void)snprintf(header, sizeof header, "%s/pawl_module.h", folder);
    char *real = realpath(header, NULL);
    if (real == NULL) {
        return NULL;
    }
    *strrchr(real, '/') = '\0';
    const char *found = pw_strdup(cli->scope, real);
    free(real);
    return found;
}

/* The source tree that a build folder was made from, as its CMakeCache.txt says: a program that was not installed finds its headers. */
static const char *include_of_build(pw_cli *cli, const char *bin)
{
    static const char key[] = "CMAKE_HOME_DIRECTORY:INTERNAL=";
    char line[PATH_MAX + 64];
    const char *found = NULL;
    (void)snprintf(line, sizeof line, "%s/../CMakeCache.txt", bin);
    FILE *cache = fopen(line, "re");
    while (cache != NULL && found == NULL && fgets(line, sizeof line, cache) != NULL) {
        if (strncmp(line, key, sizeof key - 1) == 0) {
            line[strcspn(line, "\n")] = '\0';
            const char *folder = pw_sprintf(cli->scope, "%s/sdk", line + sizeof key - 1);
            found = folder != NULL ? include_check(cli, folder) : NULL;
        }
    }
    if (cache != NULL) {
        (void)fclose(cache);
    }
    return found;
}

/* Where this program's headers are: in PREFIX/include beside PREFIX/bin, or in the source tree of its build folder. "" = pkg-config knows. */
static const char *include_find(pw_cli *cli)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) {
        return "";
    }
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    const char *folder = pw_sprintf(cli->scope, "%s/../include", self);
    const char *found = folder != NULL ? include_check(cli, folder) : NULL;
    found = found != NULL ? found : include_of_build(cli, self);
    bool standard = found != NULL && (strcmp(found, "/usr/include") == 0 ||
                                      strcmp(found, "/usr/local/include") == 0);
    return found == NULL || standard ? "" : found;
}

static bool starts(const char *at, const char *end, const char *word)
{
    size_t size = strlen(word);
    return (size_t)(end - at) >= size && memcmp(at, word, size) == 0;
}

static void fill(pw_buf *b, const pw_template *t, const module *m)
{
    const struct {
        const char *word;
        const char *value;
    } words[] = {{"@NAME@", m->name},
                 {"@ID@", m->id},
                 {"@VERSION@", PAWL_VERSION},
                 {"@INCLUDE@", m->include}};
    const char *end = t->text + t->size;
    for (const char *at = t->text; at < end;) {
        size_t i = 0;
        while (i < sizeof words / sizeof words[0] && !starts(at, end, words[i].word)) {
            i++;
        }
        if (i < sizeof words / sizeof words[0]) {
            pw_buf_puts(b, words[i].value);
            at += strlen(words[i].word);
        } else {
            pw_buf_putc(b, (unsigned char)*at++);
        }
    }
}

static const char *file_name(pw_cli *cli, const pw_template *t, const module *m)
{
    const char *name = strcmp(t->name, "module.c") == 0
                           ? pw_sprintf(cli->scope, "%s/%s.c", m->folder, m->name)
                           : pw_sprintf(cli->scope, "%s/%s", m->folder, t->name);
    return name != NULL ? name : "";
}

static pawl_status file_write(const char *path, const pw_buf *text, pawl_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        return pw_err(err, errno == EEXIST ? PAWL_EXISTS : PAWL_IO, "write %.150s: %s", path,
                      strerror(errno));
    }
    size_t done = 0;
    while (done < text->size) {
        ssize_t n = write(fd, text->data + done, text->size - done);
        if (n < 0 && errno != EINTR) {
            int code = errno;
            (void)close(fd);
            return pw_err(err, PAWL_IO, "write %.150s: %s", path, strerror(code));
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return close(fd) == 0 ? PAWL_OK
                          : pw_err(err, PAWL_IO, "write %.150s: %s", path, strerror(errno));
}

/* None of the files may be there: all or nothing. */
static int nothing_there(pw_cli *cli, const module *m)
{
    for (size_t i = 0; i < pw_templates_len; i++) {
        const char *path = file_name(cli, &pw_templates[i], m);
        if (access(path, F_OK) == 0) {
            pawl_error err = {0};
            (void)pw_error_set(&err, PAWL_EXISTS, __FILE__, __LINE__, "%.150s is there already",
                               path);
            cli->way_out = "nothing is overwritten; name another folder";
            cli->next = "pawl new NAME DIR";
            return pw_cli_fail(cli, PAWL_EXISTS, &err, NULL);
        }
    }
    return PW_EXIT_OK;
}

static int module_write(pw_cli *cli, const module *m)
{
    pawl_error err = {0};
    if (mkdir(m->folder, 0777) != 0 && errno != EEXIST) {
        (void)pw_error_set(&err, PAWL_IO, __FILE__, __LINE__, "make the folder %.150s: %s",
                           m->folder, strerror(errno));
        return pw_cli_fail(cli, PAWL_IO, &err, NULL);
    }
    for (size_t i = 0; i < pw_templates_len; i++) {
        pw_buf text = PW_BUF_INIT;
        fill(&text, &pw_templates[i], m);
        pawl_status s = pw_buf_ok(&text)
                            ? file_write(file_name(cli, &pw_templates[i], m), &text, &err)
                            : PAWL_NOMEM;
        pw_buf_deinit(&text);
        if (s != PAWL_OK) {
            return pw_cli_fail(cli, s, &err, NULL);
        }
    }
    return PW_EXIT_OK;
}

static void module_print(pw_cli *cli, const module *m)
{
    pw_cli_out *o = &cli->out;
    const pawl_value *files[8];
    size_t len = 0;
    for (size_t i = 0; i < pw_templates_len && len < 8; i++) {
        files[len++] = pawl_make_str(cli->scope, file_name(cli, &pw_templates[i], m));
    }
    if (o->format != PW_FORMAT_TEXT) {
        pw_out_json(o, pawl_build(cli->scope, "{name: %s, folder: %s, files: %p}", m->name,
                                  m->folder, pawl_v(pawl_make_array(cli->scope, files, len))));
        return;
    }
    for (size_t i = 0; i < len; i++) {
        pw_out_puts(o, "wrote ");
        (void)pw_out_str(o, pawl_str(files[i], "", ""));
        pw_out_puts(o, "\n");
    }
    pw_out_printf(
        o, "\n  cd %s && make\n  pawl execute %s --module ./%s.so -i '{\"name\": \"Ada\"}'\n",
        pw_cli_shell_word(cli->scope, m->folder), m->name, m->name);
}

int pw_verb_new(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    if (a->operand_count == 0) {
        return pw_cli_usage(cli, "what is the module called?");
    }
    module m = {.name = a->operand[0],
                .folder = a->operand_count > 1 ? a->operand[1] : a->operand[0]};
    if (!name_check(m.name)) {
        return pw_cli_usage(
            cli,
            "a module's name has letters, digits, - and _ (60 at most) and begins with a letter");
    }
    id_make(&m);
    m.include = include_find(cli);
    int code = nothing_there(cli, &m);
    code = code == PW_EXIT_OK ? module_write(cli, &m) : code;
    if (code == PW_EXIT_OK) {
        module_print(cli, &m);
    }
    return code;
}
