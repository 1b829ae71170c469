/*
 * model_store.c - models copied in, listed, removed. A model appears whole or not at all: files are copied and synced beside the others under a name with
 * a dot, opened there once, and renamed. Does not fetch (model_npm.c) and does not encode.
 */
#include "tools/model_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/pawl_embed.h"

#define FILE_BYTES_MAX ((int64_t)4 << 30)
#define MANIFEST_BYTES_MAX 65536u
#define NAME_MAX_LEN 100u
#define MODELS_MAX 1000u
#define NEW ".new"

/* The files of a model. vouched: whose digest must be known, as that of any that changes a vector: pooling, prompts and limits do, too. */
typedef struct file_row {
    const char *name;
    bool vouched;
} file_row;
static const file_row rows[] = {{"config.json", true},
                                {"model.safetensors", true},
                                {"model.fp16.safetensors", true},
                                {"tokenizer.json", true},
                                {"vocab.txt", true},
                                {"tokenizer_config.json", true},
                                {"pawl.json", true},
                                {"sentence_bert_config.json", true},
                                {"config_sentence_transformers.json", true},
                                {"1_Pooling/config.json", true},
                                {"modules.json", false}, /* only refuses */
                                {"LICENSE", false}};
#define FILES PW_COUNT(rows)

typedef struct file_fact {
    int64_t bytes; /* -1: it is not there */
    char sha256[2 * PW_DIGEST_SIZE + 1];
    const char *known; /* the model that it is of; NULL: of none that is known */
} file_fact;

/* ---- where ---- */

const char *pw_models_folder(pawl_scope *scope)
{
    const char *own = getenv("PAWL_MODELS"), *data = getenv("XDG_DATA_HOME"),
               *home = getenv("HOME");
    if (own != NULL && *own != '\0') {
        return pw_sprintf(scope, "%s", own);
    }
    if (data != NULL && *data == '/') {
        return pw_sprintf(scope, "%s/pawl/models", data);
    }
    return home != NULL && *home == '/' ? pw_sprintf(scope, "%s/.local/share/pawl/models", home)
                                        : NULL;
}

static bool is_folder(const char *path)
{
    struct stat s;
    return path != NULL && stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static bool name_ok(const char *name)
{
    const size_t len = strlen(name);
    bool ok = len > 0 && len <= NAME_MAX_LEN && *name != '.' && *name != '-';
    for (size_t i = 0; i < len && ok; i++) {
        const char c = name[i]; /* of ASCII, whatever the locale takes for a letter */
        ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
             strchr("._-", c) != NULL;
    }
    return ok;
}

pawl_status pw_model_find(pawl_scope *scope, const char *name, const char **ret_folder,
                          pawl_error *err)
{
    const char *all = pw_models_folder(scope);
    const char *installed =
        all != NULL && name_ok(name) ? pw_sprintf(scope, "%s/%s", all, name) : NULL;
    if (strchr(name, '/') == NULL && is_folder(installed)) {
        *ret_folder = installed;
        return PAWL_OK;
    }
    if (is_folder(name)) {
        *ret_folder = pw_sprintf(scope, "%s", name);
        return PAWL_OK;
    }
    return pw_err(
        err, PAWL_NOTFOUND,
        "no model %s: it is neither a folder nor installed in %s. Nothing is downloaded by itself",
        name, all != NULL ? all : "$PAWL_MODELS (which is not set, nor is $HOME)");
}

static bool make_folders(const char *path)
{
    char part[4096];
    const size_t len = strlen(path);
    if (len >= sizeof part) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (size_t i = 1; i <= len; i++) {
        if (path[i] == '/' || path[i] == '\0') {
            memcpy(part, path, i);
            part[i] = '\0';
            if (mkdir(part, 0755) != 0 && errno != EEXIST) {
                return false;
            }
        }
    }
    return true;
}

static pawl_status sync_folder(const char *path, pawl_error *err)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool ok = fd >= 0 && fsync(fd) == 0;
    const int code = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok ? PAWL_OK : pw_err(err, PAWL_IO, "%s: %s", path, strerror(code));
}

/* The folder of all, made if need be, and its lock. Whoever has the lock may clear away what another left behind. */
static pawl_status lock_store(pawl_scope *scope, const char **ret_folder, int *ret_lock,
                              pawl_error *err)
{
    const char *all = pw_models_folder(scope);
    if (all == NULL) {
        return pw_err(err, PAWL_NOTFOUND,
                      "no folder for models: neither $PAWL_MODELS nor $HOME is set");
    }
    if (!make_folders(all)) {
        return pw_err(err, PAWL_IO, "%s: %s", all, strerror(errno));
    }
    const int fd = open(pw_sprintf(scope, "%s/.lock", all), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        const int code = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return pw_err(err, PAWL_IO, "%s/.lock: %s", all, strerror(code));
    }
    pw_folder_remove(pw_sprintf(scope, "%s/" NEW, all));
    *ret_folder = all;
    *ret_lock = fd;
    return PAWL_OK;
}

/* ---- files ---- */

typedef struct copying {
    int from;
    int to;
    int64_t bytes;
} copying;

static bool copy_bytes(copying *c)
{
    static const size_t size = 1u << 16;
    unsigned char *space = malloc(size);
    ssize_t n = -1;
    while (space != NULL && (n = read(c->from, space, size)) > 0 &&
           c->bytes + n <= FILE_BYTES_MAX) {
        ssize_t done = 0, put = 1;
        while (done < n && put > 0) { /* a full disk takes a part first, and says why then */
            put = write(c->to, space + done, (size_t)(n - done));
            done += put > 0 ? put : 0;
        }
        if (done < n) {
            break;
        }
        c->bytes += n;
    }
    const int code = errno; /* of a write that failed */
    free(space);
    errno = code;
    return n == 0 && fsync(c->to) == 0;
}

/* Of what was written, not of what was read. */
static bool digest_of(const copying *c, char sha256[2 * PW_DIGEST_SIZE + 1])
{
    uint8_t digest[PW_DIGEST_SIZE];
    const size_t size = (size_t)c->bytes;
    void *data = size > 0 ? mmap(NULL, size, PROT_READ, MAP_SHARED, c->to, 0) : NULL;
    if (data == MAP_FAILED) {
        return false;
    }
    pw_sha256(digest, data, size);
    pw_hex(sha256, digest, sizeof digest);
    return size == 0 || munmap(data, size) == 0;
}

/* One file, if it is there: a plain one, not a link. */
static pawl_status copy_file(const char *from, const char *to, file_fact *fact, pawl_error *err)
{
    copying c = {.from = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), .to = -1};
    struct stat s;
    fact->bytes = -1;
    if (c.from < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        return PAWL_OK;
    }
    bool ok = c.from >= 0 && fstat(c.from, &s) == 0;
    if (ok && (!S_ISREG(s.st_mode) || s.st_size > FILE_BYTES_MAX)) {
        (void)close(c.from);
        return pw_err(err, PAWL_INVALID, "%s: %s", from,
                      S_ISREG(s.st_mode) ? "larger than 4 GiB" : "not a plain file");
    }
    errno = ok ? 0 : errno; /* what it says below is of the copying */
    c.to = ok ? open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644) : -1;
    ok = ok && c.to >= 0 && copy_bytes(&c) && digest_of(&c, fact->sha256);
    const int code = errno;
    if (c.from >= 0) {
        (void)close(c.from);
    }
    if (c.to >= 0) {
        (void)close(c.to);
    }
    if (!ok) {
        return pw_err(err, PAWL_IO, "%s: %s", from,
                      code == ELOOP ? "it is a link"
                      : code != 0   ? strerror(code)
                                    : "it changed while it was copied");
    }
    fact->bytes = c.bytes;
    return PAWL_OK;
}

static const char *known_model(const char *sha256)
{
    static const struct {
        const char *model, *sha256;
    } known[] = {
#define KNOWN(model, digest) {model, digest},
#define PACKAGE(package, version, model, size, licence)
#include "tools/model_known.def"
#undef KNOWN
#undef PACKAGE
    };
    for (size_t i = 0; i < PW_COUNT(known); i++) {
        if (strcmp(known[i].sha256, sha256) == 0) {
            return known[i].model;
        }
    }
    return NULL;
}

const pw_model_package *pw_model_packages(size_t *ret_len)
{
    static const pw_model_package packages[] = {
#define KNOWN(model, digest)
#define PACKAGE(package, version, model, size, licence) {package, version, model, size, licence},
#include "tools/model_known.def"
#undef KNOWN
#undef PACKAGE
    };
    *ret_len = PW_COUNT(packages);
    return packages;
}

static pawl_status copy_all(pawl_scope *scope, const char *from, const char *to,
                            file_fact facts[FILES], pawl_error *err)
{
    pawl_status status = PAWL_OK;
    struct stat s;
    const char *pooling = pw_sprintf(scope, "%s/1_Pooling", from);
    if (lstat(pooling, &s) == 0 && S_ISLNK(s.st_mode)) {
        return pw_err(err, PAWL_INVALID, "%s: it is a link", pooling);
    }
    if (mkdir(to, 0755) != 0 || mkdir(pw_sprintf(scope, "%s/1_Pooling", to), 0755) != 0) {
        return pw_err(err, PAWL_IO, "%s: %s", to, strerror(errno));
    }
    for (size_t i = 0; i < FILES && status == PAWL_OK; i++) {
        status = copy_file(pw_sprintf(scope, "%s/%s", from, rows[i].name),
                           pw_sprintf(scope, "%s/%s", to, rows[i].name), &facts[i], err);
        facts[i].known =
            status == PAWL_OK && facts[i].bytes >= 0 ? known_model(facts[i].sha256) : NULL;
    }
    return status;
}

/* ---- digests ---- */

static bool given(const char *list, const char *sha256)
{
    for (const char *p = list; p != NULL && *p != '\0'; p += strcspn(p, ",") + 1) {
        const size_t len = strcspn(p, ",");
        if (len == strlen(sha256) && strncasecmp(p, sha256, len) == 0) {
            return true;
        }
        if (p[len] == '\0') {
            break;
        }
    }
    return false;
}

/* Each digest that was given must be that of a file: else another file was meant. */
static bool all_found(const char *list, const file_fact facts[FILES])
{
    for (const char *p = list; p != NULL && *p != '\0';) {
        const size_t len = strcspn(p, ",");
        bool found = false;
        for (size_t i = 0; i < FILES; i++) {
            found = found || (facts[i].bytes >= 0 && len == strlen(facts[i].sha256) &&
                              strncasecmp(p, facts[i].sha256, len) == 0);
        }
        if (!found) {
            return false;
        }
        p += p[len] == ',' ? len + 1 : len;
    }
    return true;
}

/* What vouches for the files: the table, or whoever calls. */
static pawl_status check_digests(pawl_scope *scope, const file_fact facts[FILES], pw_model_add *add,
                                 pawl_error *err)
{
    const char *missing = "", *names = "";
    for (size_t i = 0; i < FILES; i++) {
        const file_fact *f = &facts[i];
        if (rows[i].vouched && f->bytes >= 0 && f->known == NULL &&
            !given(add->sha256, f->sha256)) {
            missing = pw_sprintf(scope, "%s%s%s", missing, *missing != '\0' ? "," : "", f->sha256);
            names = pw_sprintf(scope, "%s%s%s", names, *names != '\0' ? ", " : "", rows[i].name);
        }
    }
    add->missing = missing;
    if (!all_found(add->sha256, facts)) {
        return pw_err(err, PAWL_DENIED, "a digest of --sha256 is that of no file of the model");
    }
    return *missing == '\0' ? PAWL_OK : pw_err(err, PAWL_DENIED, "nobody vouches for %s", names);
}

static const char *name_for(pawl_scope *scope, const pw_model_add *add,
                            const file_fact facts[FILES])
{
    char *real = add->name == NULL ? realpath(add->from, NULL) : NULL;
    const char *name = add->name;
    for (size_t i = 0; i < FILES && name == NULL; i++) {
        const bool weights = strstr(rows[i].name, ".safetensors") != NULL;
        name = weights ? facts[i].known : NULL;
    }
    if (name == NULL && real != NULL) {
        name = strrchr(real, '/') + 1;
    }
    name = name != NULL ? pw_sprintf(scope, "%s", name) : "";
    free(real);
    return name;
}

/* ---- manifest ---- */

static const pawl_value *manifest_of(pawl_scope *scope, const pw_model_add *add, const char *name,
                                     const file_fact facts[FILES], const pawl_embed_info *info)
{
    const pawl_value *files[FILES];
    size_t len = 0;
    int64_t bytes = 0;
    for (size_t i = 0; i < FILES; i++) {
        if (facts[i].bytes >= 0) {
            bytes += facts[i].bytes;
            files[len++] = pawl_build(scope, "{file: %s, bytes: %lld, sha256: %s, known: %s}",
                                      rows[i].name, (long long)facts[i].bytes, facts[i].sha256,
                                      facts[i].known != NULL ? facts[i].known : "");
        }
    }
    return pawl_build(
        scope,
        "{name: %s, source: %s, width: %u, tokens_max: %u, pooling: %s, identity: %s, "
        "bytes: %lld, files: %p}",
        name, add->source, info->width, info->tokens_max, info->pooling, info->identity,
        (long long)bytes, pawl_v(pawl_make_array(scope, files, len)));
}

static pawl_status write_manifest(pawl_scope *scope, const char *folder, const pawl_value *manifest,
                                  pawl_error *err)
{
    const char *path = pw_sprintf(scope, "%s/manifest.json", folder);
    const char *text = pawl_to_json(scope, manifest, 2);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    const bool ok = fd >= 0 && text != NULL &&
                    write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fsync(fd) == 0;
    const int code = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok ? PAWL_OK : pw_err(err, PAWL_IO, "%s: %s", path, strerror(code));
}

static const pawl_value *read_manifest(pawl_scope *scope, const char *folder)
{
    char *text = pawl_scope_alloc(scope, MANIFEST_BYTES_MAX);
    const pawl_value *v = NULL;
    pawl_error err;
    FILE *file = fopen(pw_sprintf(scope, "%s/manifest.json", folder), "rbe");
    const size_t size = file != NULL && text != NULL ? fread(text, 1, MANIFEST_BYTES_MAX, file) : 0;
    if (file != NULL) {
        (void)fclose(file);
    }
    return size > 0 && pawl_parse_json(scope, text, size, &v, &err) == PAWL_OK ? v : NULL;
}

/* ---- the three verbs ---- */

static bool same_files(const pawl_value *a, const pawl_value *b)
{
    const pawl_value *x = pawl_get(a, "files"), *y = pawl_get(b, "files");
    bool same = a != NULL && pawl_len(x) == pawl_len(y);
    for (size_t i = 0; i < pawl_len(x) && same; i++) {
        same = pawl_is(pawl_at(x, i), "sha256", pawl_str(pawl_at(y, i), "sha256", "?"));
    }
    return same;
}

static pawl_status open_once(const char *folder, pawl_embed_info *ret_info, pawl_error *err)
{
    pawl_embedder *e = NULL;
    const pawl_embed_options o = {.struct_size = sizeof o, .threads = 1};
    const pawl_status status = pawl_embed_open(folder, &o, &e, err);
    if (status == PAWL_OK) {
        pawl_embed_about(e, ret_info);
        pawl_embed_close(e);
    }
    return status;
}

static pawl_status move_in(pawl_scope *scope, const char *all, const char *fresh, const char *name,
                           pawl_error *err)
{
    const char *to = pw_sprintf(scope, "%s/%s", all, name);
    pawl_status status = sync_folder(pw_sprintf(scope, "%s/1_Pooling", fresh), err);
    status = status == PAWL_OK ? sync_folder(fresh, err) : status;
    if (status == PAWL_OK && rename(fresh, to) != 0) {
        status = pw_err(err, PAWL_IO, "%s: %s", to, strerror(errno));
    }
    return status == PAWL_OK ? sync_folder(all, err) : status;
}

static pawl_status install(pawl_scope *scope, pw_model_add *add, const char *all,
                           const pawl_value **ret_manifest, pawl_error *err)
{
    file_fact facts[FILES] = {{0}};
    pawl_embed_info info;
    const char *fresh = pw_sprintf(scope, "%s/" NEW, all);
    pawl_status status = copy_all(scope, add->from, fresh, facts, err);
    status = status == PAWL_OK ? open_once(fresh, &info, err) : status;
    status = status == PAWL_OK ? check_digests(scope, facts, add, err) : status;
    const char *name = status == PAWL_OK ? name_for(scope, add, facts) : "";
    if (status == PAWL_OK && !name_ok(name)) {
        status =
            pw_err(err, PAWL_INVALID, "\"%s\" is no name of a model: letters, digits, . _ -", name);
    }
    if (status != PAWL_OK) {
        return status;
    }
    const pawl_value *manifest = manifest_of(scope, add, name, facts, &info);
    const char *there = pw_sprintf(scope, "%s/%s", all, name);
    if (is_folder(there)) {
        const pawl_value *manifest_there = read_manifest(scope, there);
        *ret_manifest = manifest;
        return same_files(manifest_there, manifest)
                   ? PAWL_OK
                   : pw_err(err, PAWL_EXISTS, "%s is installed as %s",
                            manifest_there != NULL ? "another model"
                                                   : "a folder without a manifest",
                            name);
    }
    status = write_manifest(scope, fresh, manifest, err);
    status = status == PAWL_OK ? move_in(scope, all, fresh, name, err) : status;
    *ret_manifest = manifest;
    return status;
}

pawl_status pw_model_install(pawl_scope *scope, pw_model_add *add, const pawl_value **ret_manifest,
                             pawl_error *err)
{
    const char *all = NULL;
    const pawl_value *manifest = NULL;
    int lock = -1;
    if (!is_folder(add->from)) {
        return pw_err(err, PAWL_NOTFOUND, "%s is no folder", add->from);
    }
    if (access(pw_sprintf(scope, "%s/config.json", add->from), R_OK) != 0) {
        return pw_err(err, PAWL_NOTFOUND, "%s/config.json: %s", add->from, strerror(errno));
    }
    pawl_status status = lock_store(scope, &all, &lock, err);
    if (status != PAWL_OK) {
        return status;
    }
    status = install(scope, add, all, &manifest, err);
    pw_folder_remove(pw_sprintf(scope, "%s/" NEW, all));
    (void)close(lock);
    if (status == PAWL_OK) {
        *ret_manifest = manifest;
    }
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(pawl_str(*(const pawl_value *const *)a, "name", ""),
                  pawl_str(*(const pawl_value *const *)b, "name", ""));
}

pawl_status pw_model_all(pawl_scope *scope, const pawl_value **ret_manifests, pawl_error *err)
{
    const char *all = pw_models_folder(scope);
    DIR *d = all != NULL ? opendir(all) : NULL;
    const pawl_value **list = pawl_scope_alloc(scope, MODELS_MAX * sizeof *list);
    size_t len = 0;
    if (d == NULL && all != NULL && errno != ENOENT) {
        return pw_err(err, PAWL_IO, "%s: %s", all, strerror(errno));
    }
    for (const struct dirent *entry;
         d != NULL && list != NULL && len < MODELS_MAX && (entry = readdir(d)) != NULL;) {
        const char *folder = pw_sprintf(scope, "%s/%s", all, entry->d_name);
        const pawl_value *manifest =
            name_ok(entry->d_name) && is_folder(folder) ? read_manifest(scope, folder) : NULL;
        if (manifest != NULL) {
            list[len++] = pawl_with(scope, manifest, "folder", pawl_make_str(scope, folder));
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    if (list != NULL) {
        qsort(list, len, sizeof *list, by_name);
    }
    *ret_manifests = pawl_make_array(scope, list, len);
    return PAWL_OK;
}

pawl_status pw_model_remove(pawl_scope *scope, const char *name, pawl_error *err)
{
    const char *all = NULL;
    int lock = -1;
    pawl_status status = lock_store(scope, &all, &lock, err);
    if (status != PAWL_OK) {
        return status;
    }
    const char *from = name_ok(name) ? pw_sprintf(scope, "%s/%s", all, name) : NULL;
    const char *away = pw_sprintf(scope, "%s/" NEW, all);
    if (!is_folder(from)) {
        status = pw_err(err, PAWL_NOTFOUND, "no model %s in %s", name, all);
    } else if (rename(from, away) != 0) {
        status = pw_err(err, PAWL_IO, "%s: %s", from, strerror(errno));
    } else {
        status = sync_folder(all, err);
        pw_folder_remove(away);
    }
    (void)close(lock);
    return status;
}
