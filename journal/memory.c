/*
 * memory.c - the store and the writing half of the journal in memory; where ordered faults happen.
 *
 * A commit is one transaction of the ordered map, so a refused one leaves nothing. UNKNOWN is
 * decided when it is ordered: landed or lost. It stays hidden until the rite, as on a disk. Does
 * not simulate torn writes: tests/fault does, on SQLite.
 */
#include "journal/memory.h"

#include <string.h>

#include "journal/memory_row.h"
#include "sdk/base/mem.h"

/* ---- the store ---- */

pw_memory_store *pw_memory_store_new(void)
{
    pw_memory_store *s = pw_calloc(1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    s->kv = pw_kv_new();
    if (s->kv == NULL) {
        pw_free(s);
        return NULL;
    }
    for (size_t i = 0; i < sizeof(s->blob_key); i++) {
        s->blob_key[i] = (uint8_t)(i * 7 + 1);
    }
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&s->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    return s;
}

void pw_memory_store_free(pw_memory_store *s)
{
    if (s == NULL) {
        return;
    }
    pw_kv_free(s->kv);
    pthread_mutex_destroy(&s->lock);
    pw_free(s);
}

static pawl_status attach(pw_memory_store *store, bool owns_store, pw_journal **ret_journal,
                          pawl_error *err)
{
    pw_memory *m = pw_calloc(1, sizeof(*m));
    if (m == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    m->base.ops = &pw_memory_ops;
    m->store = store;
    m->owns_store = owns_store;
    *ret_journal = &m->base;
    return PAWL_OK;
}

pawl_status pw_memory_attach(pw_memory_store *store, pw_journal **ret_journal, pawl_error *err)
{
    return attach(store, false, ret_journal, err);
}

pawl_status pw_memory_open(pw_journal **ret_journal, pawl_error *err)
{
    pw_memory_store *s = pw_memory_store_new();
    if (s == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    pawl_status st = attach(s, true, ret_journal, err);
    if (st != PAWL_OK) {
        pw_memory_store_free(s);
    }
    return st;
}

void pw_memory_close(pw_journal *base)
{
    if (base == NULL) {
        return;
    }
    pw_memory *m = pw_memory_of(base);
    if (m->owns_store) {
        pw_memory_store_free(m->store);
    }
    pw_free(m);
}

/* ---- faults ---- */

void pw_memory_fail_commit(pw_memory_store *store, pw_memory_fault fault, uint64_t skip)
{
    pthread_mutex_lock(&store->lock);
    store->fault = fault;
    store->fault_skip = skip;
    pthread_mutex_unlock(&store->lock);
}

void pw_memory_fail_stage(pw_memory_store *store, uint64_t skip)
{
    pthread_mutex_lock(&store->lock);
    store->stage_fault = skip + 1;
    pthread_mutex_unlock(&store->lock);
}

void pw_memory_fail_reopen(pw_memory_store *store, uint64_t count)
{
    pthread_mutex_lock(&store->lock);
    store->reopen_faults = count;
    pthread_mutex_unlock(&store->lock);
}

uint64_t pw_memory_commits(pw_memory_store *store)
{
    pthread_mutex_lock(&store->lock);
    uint64_t n = store->commits;
    pthread_mutex_unlock(&store->lock);
    return n;
}

static pw_memory_fault take_fault(pw_memory_store *s)
{
    s->commits++;
    if (s->fault == PW_FAULT_NONE) {
        return PW_FAULT_NONE;
    }
    if (s->fault_skip > 0) {
        s->fault_skip--;
        return PW_FAULT_NONE;
    }
    pw_memory_fault fault = s->fault;
    s->fault = PW_FAULT_NONE;
    return fault;
}

bool pw_memory_damage(pw_memory_store *store, int64_t run, int64_t seq)
{
    bool done = false;
    pthread_mutex_lock(&store->lock);
    pw_row_key key = PW_ROW_KEY(PW_TABLE_LOG, run, seq + 1);
    const pw_kv_node *node = pw_kv_before(store->kv, pw_row_key_view(&key));
    if (node != NULL && pw_kv_key(node).data[0] == PW_TABLE_LOG &&
        pw_row_key_get(pw_kv_key(node), 0) == run) {
        pw_view value = pw_kv_value(node);
        pw_kv_poke(node)[value.size - 1] ^= 1;
        done = true;
    }
    pthread_mutex_unlock(&store->lock);
    return done;
}

/* ---- lease and commit ---- */

pw_memory_owner pw_memory_owner_get(const pw_memory_store *store)
{
    pw_memory_owner owner = {0};
    pw_row_key key = PW_ROW_KEY(PW_TABLE_OWNER, 1);
    const pw_kv_node *node = pw_kv_find(store->kv, pw_row_key_view(&key));
    if (node != NULL) {
        (void)pw_row_get_owner(pw_kv_value(node), &owner);
    }
    return owner;
}

static bool put_owner(pw_memory_store *s, const pw_memory_owner *owner)
{
    pw_buf b = PW_BUF_INIT;
    pw_row_key key = PW_ROW_KEY(PW_TABLE_OWNER, 1);
    pw_row_put_owner(&b, owner);
    bool ok = pw_buf_ok(&b) && pw_kv_put(s->kv, pw_row_key_view(&key), (pw_view){b.data, b.size});
    pw_buf_deinit(&b);
    return ok;
}

pawl_status pw_memory_lease(pw_journal *base, uint64_t *ret_epoch, uint64_t *ret_group_no,
                            pawl_error *err)
{
    pw_memory *m = pw_memory_of(base);
    if (m->failed) {
        return pw_err(err, PAWL_NOT, "the journal must be reopened first");
    }
    pthread_mutex_lock(&m->store->lock);
    pw_memory_owner owner = pw_memory_owner_get(m->store);
    owner.epoch++;
    pw_kv_begin(m->store->kv);
    bool ok = put_owner(m->store, &owner);
    pw_kv_end(m->store->kv, ok);
    pthread_mutex_unlock(&m->store->lock);
    if (!ok) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    m->epoch = owner.epoch;
    *ret_epoch = owner.epoch;
    *ret_group_no = owner.group;
    return PAWL_OK;
}

pawl_status pw_memory_renew(pw_journal *base, uint64_t epoch, pawl_error *err)
{
    pw_memory *m = pw_memory_of(base);
    pthread_mutex_lock(&m->store->lock);
    pw_memory_owner owner = pw_memory_owner_get(m->store);
    pthread_mutex_unlock(&m->store->lock);
    if (owner.epoch == epoch) {
        return PAWL_OK;
    }
    return pw_err(err, PAWL_FENCED, "epoch %llu has taken over from epoch %llu",
                  (unsigned long long)owner.epoch, (unsigned long long)epoch);
}

static pawl_status apply_group(pw_memory_store *s, pw_group *g, pawl_error *err)
{
    pw_memory_owner owner = pw_memory_owner_get(s);
    pawl_status st = PAWL_OK;
    if (owner.epoch != g->epoch) {
        return pw_err(err, PAWL_FENCED, "epoch %llu has taken over from epoch %llu",
                      (unsigned long long)owner.epoch, (unsigned long long)g->epoch);
    }
    if (owner.group + 1 != g->number) {
        return pw_err(err, PAWL_CONFLICT, "group %llu cannot follow group %llu",
                      (unsigned long long)g->number, (unsigned long long)owner.group);
    }
    owner.group = g->number;
    for (size_t i = 0; st == PAWL_OK && i < g->len; i++) {
        st = pw_memory_apply(s, &g->ops[i], &owner, err);
        if (st != PAWL_OK) {
            pw_error_wrap(err, st, "operation %zu of group %llu", i, (unsigned long long)g->number);
        }
    }
    if (st == PAWL_OK && !put_owner(s, &owner)) {
        st = pw_err(err, PAWL_NOMEM, "out of memory");
    }
    return st;
}

static pawl_status outcome_of(pawl_status st, pawl_error *err)
{
    if (st == PAWL_OK || st == PAWL_CONFLICT || st == PAWL_FENCED) {
        return st;
    }
    if (err != NULL) {
        err->status = PAWL_NOT;
    }
    return PAWL_NOT;
}

static pawl_status commit_with(pw_memory *m, pw_group *g, pw_memory_fault fault, pawl_error *err)
{
    if (fault == PW_FAULT_NOT) {
        return pw_err(err, PAWL_NOT, "ordered fault: nothing was written");
    }
    if (fault == PW_FAULT_NOSPACE) {
        return pw_err(err, PAWL_NOSPACE, "ordered fault: the disk is full");
    }
    pw_kv_begin(m->store->kv);
    pawl_status st = apply_group(m->store, g, err);
    bool lost = fault == PW_FAULT_UNKNOWN_LOST;
    pw_kv_end(m->store->kv, st == PAWL_OK && !lost);
    if (st == PAWL_OK && (lost || fault == PW_FAULT_UNKNOWN_LANDED)) {
        m->failed = true;
        m->told = true;
        return pw_err(err, PAWL_UNKNOWN, "ordered fault: the sync failed");
    }
    if (st == PAWL_OK && fault == PW_FAULT_CHECKPOINT) {
        m->failed = true;
    }
    return outcome_of(st, err);
}

pawl_status pw_memory_commit(pw_journal *base, pw_group *group, pawl_error *err)
{
    pw_memory *m = pw_memory_of(base);
    pawl_status st = PAWL_OK;
    pthread_mutex_lock(&m->store->lock);
    if (m->failed && !m->told) {
        m->told = true;
        st = pw_err(err, PAWL_UNKNOWN,
                    "a checkpoint failed: nothing more is written until the journal is reopened");
    } else if (m->failed) {
        st = pw_err(err, PAWL_NOT,
                    "an earlier commit failed at its sync: the journal must be reopened first");
    } else {
        st = commit_with(m, group, take_fault(m->store), err);
    }
    pthread_mutex_unlock(&m->store->lock);
    return st;
}

pawl_status pw_memory_reopen(pw_journal *base, pawl_error *err)
{
    pw_memory *m = pw_memory_of(base);
    pthread_mutex_lock(&m->store->lock);
    bool fault = m->store->reopen_faults > 0;
    m->store->reopen_faults -= fault ? 1 : 0;
    m->failed = fault;
    m->told = fault;
    pthread_mutex_unlock(&m->store->lock);
    return fault ? pw_err(err, PAWL_IO, "ordered fault: the rite failed") : PAWL_OK;
}

pawl_status pw_memory_resolve(pw_journal *base, uint64_t epoch, uint64_t group_no, bool *ret_landed,
                              pawl_error *err)
{
    pw_memory *m = pw_memory_of(base);
    if (m->failed) {
        return pw_err(err, PAWL_NOT,
                      "whether a group landed can be told only after a successful reopening");
    }
    pawl_status st = pw_memory_renew(base, epoch, err);
    if (st == PAWL_OK) {
        pthread_mutex_lock(&m->store->lock);
        *ret_landed = pw_memory_owner_get(m->store).group >= group_no;
        pthread_mutex_unlock(&m->store->lock);
    }
    return st;
}

/* ---- blobs ahead of their group ---- */

static bool put_chunk(pw_memory *m, const uint8_t *digest, int64_t chunk, pw_view bytes)
{
    pw_row_key key;
    pw_row_key staged;
    pw_buf epoch = PW_BUF_INIT;
    pw_row_key_start(&key, PW_TABLE_CHUNK);
    pw_row_key_bytes(&key, digest, PW_DIGEST_SIZE);
    pw_row_key_int(&key, chunk);
    pw_row_key_start(&staged, PW_TABLE_STAGED);
    pw_row_key_bytes(&staged, digest, PW_DIGEST_SIZE);
    pw_mp_uint(&epoch, m->epoch);
    pw_kv_begin(m->store->kv);
    bool ok = pw_buf_ok(&epoch) && pw_kv_put(m->store->kv, pw_row_key_view(&key), bytes) &&
              pw_kv_put(m->store->kv, pw_row_key_view(&staged), (pw_view){epoch.data, epoch.size});
    pw_kv_end(m->store->kv, ok);
    pw_buf_deinit(&epoch);
    return ok;
}

pawl_status pw_memory_stage(pw_journal *base, const uint8_t digest[PW_DIGEST_SIZE], int64_t chunk,
                            pw_view bytes, pawl_error *err)
{
    pw_memory *m = pw_memory_of(base);
    if (m->failed) {
        return pw_err(err, PAWL_NOT, "the journal must be reopened first");
    }
    if (bytes.size == 0 || bytes.size > PW_BLOB_CHUNK_BYTES || chunk < 0) {
        return pw_err(err, PAWL_LIMIT, "a chunk has 1 to %u bytes", PW_BLOB_CHUNK_BYTES);
    }
    pawl_status st = pw_memory_renew(base, m->epoch, err);
    if (st != PAWL_OK) {
        return st;
    }
    pw_row_key blob;
    pw_row_key_start(&blob, PW_TABLE_BLOB);
    pw_row_key_bytes(&blob, digest, PW_DIGEST_SIZE);
    pthread_mutex_lock(&m->store->lock);
    bool full = m->store->stage_fault > 0 && --m->store->stage_fault == 0;
    bool ok = !full && (pw_kv_find(m->store->kv, pw_row_key_view(&blob)) != NULL ||
                        put_chunk(m, digest, chunk, bytes));
    pthread_mutex_unlock(&m->store->lock);
    if (full) {
        return pw_err(err, PAWL_NOSPACE, "the disk is full, as ordered");
    }
    return ok ? PAWL_OK : pw_err(err, PAWL_NOMEM, "out of memory");
}

/** Drops the chunks that an earlier epoch staged for groups that never landed. */
static void sweep(pw_memory *m)
{
    pw_kv *kv = m->store->kv;
    pw_row_key from;
    pw_row_key_start(&from, PW_TABLE_STAGED);
    const pw_kv_node *node = pw_kv_seek(kv, pw_row_key_view(&from));
    while (node != NULL && pw_kv_key(node).data[0] == PW_TABLE_STAGED) {
        pw_mp r = pw_mp_reader(pw_kv_value(node).data, pw_kv_value(node).size);
        pw_row_key chunk;
        pw_row_key_start(&chunk, PW_TABLE_CHUNK);
        pw_row_key_bytes(&chunk, pw_kv_key(node).data + 1, PW_DIGEST_SIZE);
        if (pw_mp_read_uint(&r) < m->epoch) {
            const pw_kv_node *c = pw_kv_seek(kv, pw_row_key_view(&chunk));
            while (c != NULL && pw_kv_key(c).size > chunk.size &&
                   memcmp(pw_kv_key(c).data, chunk.data, chunk.size) == 0) {
                (void)pw_kv_delete(kv, pw_kv_key(c), NULL);
                c = pw_kv_next(c);
            }
            (void)pw_kv_delete(kv, pw_kv_key(node), NULL);
        }
        node = pw_kv_next(node);
    }
}

/* Compaction saves no rows here: a record is one. */
bool pw_memory_idle(pw_journal *base)
{
    pw_memory *m = pw_memory_of(base);
    pthread_mutex_lock(&m->store->lock);
    if (!m->failed && m->epoch != 0) {
        pw_kv_begin(m->store->kv);
        sweep(m);
        pw_kv_end(m->store->kv, true);
    }
    pthread_mutex_unlock(&m->store->lock);
    return false;
}

bool pw_memory_ballast(pw_journal *base, bool release)
{
    (void)base;
    (void)release;
    return true;
}
