/*
 * collection.c - changes of collections: a request is checked whole, then becomes one operation of the group being built, and is answered after its
 * commit. Nothing of a request that is refused is written.
 *
 * A collection is found by its name when the request comes, and changed by its number: one that is removed before the commit is not, one that is made
 * meanwhile under the same name is another. Does not compare what vectors are made by beyond its text: whoever makes them does.
 */
#include "engine/collection.h"

#include <math.h>
#include <string.h>

#include "engine/requests.h"
#include "sdk/base/error.h"
#include "sdk/base/id.h"
#include "sdk/base/value.h"

/* More than groups that are not yet answered can number. */
#define ITEMS_IN_FLIGHT ((int64_t)1 << 24)

static pw_view text_view(const char *text)
{
    return (pw_view){(const uint8_t *)text, strlen(text)};
}

/* ---- what is there ---- */

typedef struct seen {
    pw_collection_row row; /* without its views */
    char identity[PW_INDEX_NAME_BYTES_MAX + 1];
    char model[PW_INDEX_NAME_BYTES_MAX + 1];
    size_t count;
} seen;

static void copy_text(pw_view body, const char *key, char *to)
{
    const pw_view text = pw_body_get(body, key);
    pw_mp r = pw_mp_reader(text.data, text.size);
    const pw_view s = text.size > 0 ? pw_mp_read_str(&r) : text;
    const size_t size = s.size < PW_INDEX_NAME_BYTES_MAX ? s.size : PW_INDEX_NAME_BYTES_MAX;
    if (size > 0) {
        memcpy(to, s.data, size);
    }
    to[size] = 0;
}

static bool see(void *ctx, const pw_collection_row *row)
{
    seen *s = ctx;
    s->row = *row;
    copy_text(row->body, "identity", s->identity);
    copy_text(row->body, "model", s->model);
    s->count++;
    return true;
}

static pawl_status find(pw_core *core, const char *name, seen *ret, pawl_error *err)
{
    memset(ret, 0, sizeof *ret);
    if (name[0] == 0) { /* the journal would show all of them */
        return pw_err(err, PAWL_INVALID, "which collection?");
    }
    const pawl_status st = core->jops->collections(core->reader, text_view(name), see, ret, err);
    return st == PAWL_OK && ret->count == 0
               ? pw_err(err, PAWL_NOTFOUND, "there is no collection \"%s\"", name)
               : st;
}

/* ---- what is being made ---- */

/* Collections that the groups not yet answered make. Of one under that name *ret says what it will be; count: of all. */
static void see_batch(const pw_batch *b, const char *name, seen *ret, size_t *count)
{
    for (size_t i = 0; b != NULL && i < b->group.len; i++) {
        const pw_op *op = &b->group.ops[i];
        if (op->type != PW_OP_COLLECTION_CREATE) {
            continue;
        }
        ++*count;
        if (ret->count == 0 && pw_view_eq(op->u.collection.name, text_view(name))) {
            (void)see(ret, &op->u.collection);
        }
    }
}

static void find_being_made(const pw_core *core, const char *name, seen *ret, size_t *ret_count)
{
    memset(ret, 0, sizeof *ret);
    *ret_count = 0;
    for (const pw_batch *b = core->flight; b != NULL; b = b->next) {
        see_batch(b, name, ret, ret_count);
    }
    see_batch(core->building, name, ret, ret_count);
}

static pawl_status name_ok(const char *name, pawl_error *err)
{
    const size_t size = name != NULL ? strlen(name) : 0;
    if (size > PW_INDEX_NAME_BYTES_MAX) {
        return pw_err(err, PAWL_INVALID, "the name of a collection has at most %d bytes",
                      PW_INDEX_NAME_BYTES_MAX);
    }
    return pw_id_check(name != NULL ? name : "", size, err) == PAWL_OK
               ? PAWL_OK
               : pw_error_wrap(err, PAWL_INVALID, "the name of a collection");
}

static pawl_status differs(const seen *there, int64_t width, const pawl_value *args,
                           pawl_error *err)
{
    const char *identity = pawl_str(args, "identity", ""), *model = pawl_str(args, "model", "");
    if (there->row.width == width && strcmp(there->identity, identity) == 0) {
        return PAWL_OK;
    }
    return pw_err(
        err, PAWL_CONFLICT,
        "the vectors of %.60s are of %.40s (%lld numbers, %.8s), these of %.40s (%lld numbers, %.8s)",
        pawl_str(args, "collection", "it"), there->model[0] != 0 ? there->model : "another model",
        (long long)there->row.width, there->identity, model[0] != 0 ? model : "another model",
        (long long)width, identity);
}

/* ---- items ---- */

static bool is_line(const pawl_value *v, size_t bytes_max)
{
    size_t size = 0;
    const char *text = pawl_typeof(v) == PAWL_STRING ? pawl_data(v, "", &size) : NULL;
    return text != NULL && size > 0 && size <= bytes_max && memchr(text, '\n', size) == NULL &&
           memchr(text, '\r', size) == NULL && memchr(text, 0, size) == NULL;
}

/* Whole numbers of 16 bits that are numbers, of a length of 4 at most: what nearest.h may take for granted. */
static bool is_vector(const uint8_t *halves, size_t size)
{
    double square = 0;
    for (size_t i = 0; i < size; i += 2) {
        const unsigned bits = halves[i] | (unsigned)halves[i + 1] << 8;
        const int exponent = (int)(bits >> 10 & 31);
        if (exponent == 31) {
            return false;
        }
        const double part = exponent > 0 ? (bits & 1023) + 1024 : (bits & 1023);
        const double number = ldexp(part, (exponent > 0 ? exponent : 1) - 25);
        square += number * number;
    }
    return square <= 16;
}

static pawl_status check_tags(const pawl_value *tags, pawl_error *err)
{
    if (tags != NULL && (pawl_typeof(tags) != PAWL_ARRAY || pawl_len(tags) > PW_INDEX_TAGS_MAX)) {
        return pw_err(err, PAWL_INVALID, "tags are an array of at most %d", PW_INDEX_TAGS_MAX);
    }
    for (size_t i = 0; i < pawl_len(tags); i++) {
        if (!is_line(pawl_at(tags, i), PW_INDEX_NAME_BYTES_MAX)) {
            return pw_err(err, PAWL_INVALID, "a tag is a line of 1 to %d bytes",
                          PW_INDEX_NAME_BYTES_MAX);
        }
    }
    return PAWL_OK;
}

static pawl_status check_vector(const pawl_value *row, int64_t width, pawl_error *err)
{
    size_t size = 0;
    const uint8_t *halves = pawl_typeof(row) == PAWL_BYTES ? pawl_data(row, "", &size) : NULL;
    if (halves == NULL || size != (size_t)width * 2) {
        return pw_err(err, PAWL_INVALID, "a vector of %zu numbers, %lld in this collection",
                      size / 2, (long long)width);
    }
    return is_vector(halves, size)
               ? PAWL_OK
               : pw_err(err, PAWL_INVALID,
                        "a vector with a number that is none, or of a length above 4");
}

static pawl_status check_parts(const pawl_value *item, int64_t width, pawl_error *err)
{
    const pawl_value *text = pawl_get(item, "text"), *workspace = pawl_get(item, "workspace");
    if (text != NULL &&
        (pawl_typeof(text) != PAWL_STRING || pawl_len(text) > PW_INDEX_TEXT_BYTES_MAX)) {
        return pw_err(err, PAWL_INVALID, "a text has at most %u bytes", PW_INDEX_TEXT_BYTES_MAX);
    }
    if (workspace != NULL && !is_line(workspace, PW_INDEX_NAME_BYTES_MAX)) {
        return pw_err(err, PAWL_INVALID, "a workspace is a line of 1 to %d bytes",
                      PW_INDEX_NAME_BYTES_MAX);
    }
    if (pw_value_bytes(pawl_get(item, "data")).size > PW_INDEX_TEXT_BYTES_MAX) {
        return pw_err(err, PAWL_INVALID, "an item's data has at most %u bytes",
                      PW_INDEX_TEXT_BYTES_MAX);
    }
    const pawl_value *own = pawl_get(item, "own");
    if (own != NULL && pawl_typeof(own) != PAWL_BOOL) {
        return pw_err(err, PAWL_INVALID, "own is a truth value");
    }
    const pawl_status st = check_tags(pawl_get(item, "tags"), err);
    return st == PAWL_OK ? check_vector(pawl_get(item, "row"), width, err) : st;
}

static pawl_status check_item(const pawl_value *item, int64_t width, pawl_error *err)
{
    const pawl_value *key = pawl_get(item, "key");
    if (!is_line(key, PW_INDEX_KEY_BYTES_MAX)) {
        return pw_err(err, PAWL_INVALID, "a key is a line of 1 to %d bytes",
                      PW_INDEX_KEY_BYTES_MAX);
    }
    const pawl_status st = check_parts(item, width, err);
    return st == PAWL_OK ? st : pw_error_wrap(err, st, "item %.60s", pawl_str(item, "key", "?"));
}

static void put_part(pw_buf *b, const pawl_value *item, const char *name)
{
    if (pawl_get(item, name) != NULL) {
        pw_mp_str(b, name);
        pw_mp_value(b, pawl_get(item, name));
    }
}

static void put_item(pw_buf *b, const pawl_value *item)
{
    static const char *const parts[] = {"text", "workspace", "tags", "data", "own"};
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    size_t len = 0;
    for (size_t i = 0; i < PW_COUNT(parts); i++) {
        len += pawl_get(item, parts[i]) != NULL ? 1 : 0;
    }
    pw_mp_map(&body, len);
    for (size_t i = 0; i < PW_COUNT(parts); i++) {
        put_part(&body, item, parts[i]);
    }
    const pawl_value *row = pawl_get(item, "row");
    size_t size = 0;
    const void *halves = pawl_data(row, "", &size);
    pw_mp_array(b, 3);
    pw_mp_value(b, pawl_get(item, "key"));
    pw_mp_bin(b, halves, size);
    pw_mp_bin(b, body.data, body.size);
    b->failed |= !pw_buf_ok(&body);
}

/* ---- requests ---- */

typedef struct change {
    pw_core *core;
    const pawl_value *args;
    const char *name;
    pw_op op;        /* what it becomes; without the bytes that it points to */
    pw_buf list;     /* of items or keys */
    pw_buf body;     /* of a collection */
    bool none;       /* nothing is to be written */
    int64_t deleted; /* items that are there and will not be; -1: this deletes none */
} change;

static bool count_collection(void *ctx, const pw_collection_row *row)
{
    (void)row;
    ++*(size_t *)ctx;
    return true;
}

/* A number is never used twice: copies elsewhere know a collection by it. */
static pawl_status has_room(const change *c, size_t being_made, pawl_error *err)
{
    size_t there = 0;
    int64_t made = 0;
    pawl_status st = c->core->jops->collections(c->core->reader, (pw_view){NULL, 0},
                                                count_collection, &there, err);
    if (st == PAWL_OK && there + being_made >= PW_INDEX_COLLECTIONS_MAX) {
        return pw_err(err, PAWL_FULL, "there are %d collections already", PW_INDEX_COLLECTIONS_MAX);
    }
    st = st == PAWL_OK ? c->core->jops->collections_made(c->core->reader, &made, err) : st;
    if (st == PAWL_OK && made + (int64_t)being_made >= PW_COLLECTION_NUMBER_MAX) {
        return pw_err(err, PAWL_FULL,
                      "this journal has had %lld collections, and can have no more: their numbers "
                      "are used once; begin another journal",
                      (long long)made);
    }
    return st;
}

/* What is said of a collection, and how long it may be: all of it is in each list of collections. */
typedef struct about_part {
    const char *name;
    pawl_type type;
    size_t bytes_max;
} about_part;
static const about_part about_parts[] = {{"identity", PAWL_STRING, PW_INDEX_NAME_BYTES_MAX},
                                         {"model", PAWL_STRING, PW_INDEX_NAME_BYTES_MAX},
                                         {"about", PAWL_STRING, PW_INDEX_TEXT_BYTES_MAX},
                                         {"tokens_max", PAWL_INT, 0},
                                         {"pooling", PAWL_STRING, PW_INDEX_NAME_BYTES_MAX},
                                         {"dtype", PAWL_STRING, PW_INDEX_NAME_BYTES_MAX}};

static pawl_status check_about(const pawl_value *args, pawl_error *err)
{
    for (size_t i = 0; i < PW_COUNT(about_parts); i++) {
        const about_part *p = &about_parts[i];
        const pawl_value *v = pawl_get(args, p->name);
        const bool text = p->type == PAWL_STRING;
        if (v != NULL && (pawl_typeof(v) != p->type || (text && pawl_len(v) > p->bytes_max))) {
            return text ? pw_err(err, PAWL_INVALID, "%s is a text of at most %zu bytes", p->name,
                                 p->bytes_max)
                        : pw_err(err, PAWL_INVALID, "%s is a whole number", p->name);
        }
    }
    return PAWL_OK;
}

static pawl_status make_collection(change *c, int64_t width, pawl_error *err)
{
    size_t len = 0, being_made = 0;
    seen other;
    find_being_made(c->core, c->name, &other, &being_made);
    const pawl_status st =
        other.count > 0 ? differs(&other, width, c->args, err) : has_room(c, being_made, err);
    for (size_t i = 0; i < PW_COUNT(about_parts); i++) {
        len += pawl_get(c->args, about_parts[i].name) != NULL ? 1 : 0;
    }
    pw_mp_map(&c->body, len);
    for (size_t i = 0; i < PW_COUNT(about_parts); i++) {
        put_part(&c->body, c->args, about_parts[i].name);
    }
    c->op = (pw_op){.type = PW_OP_COLLECTION_CREATE};
    c->op.u.collection.width = width;
    return st;
}

static pawl_status create(change *c, pawl_error *err)
{
    const int64_t width = pawl_int(c->args, "width", 0);
    pawl_status st = name_ok(c->name, err);
    if (st == PAWL_OK && (width < 1 || width > PW_INDEX_WIDTH_MAX)) {
        return pw_err(err, PAWL_INVALID, "a vector has 1 to %d numbers", PW_INDEX_WIDTH_MAX);
    }
    st = st == PAWL_OK ? check_about(c->args, err) : st;
    seen there;
    st = st == PAWL_OK ? find(c->core, c->name, &there, err) : st;
    if (st == PAWL_NOTFOUND) {
        return make_collection(c, width, err);
    }
    c->none = true;
    return st == PAWL_OK ? differs(&there, width, c->args, err) : st;
}

static pawl_status put_items(change *c, pawl_error *err)
{
    const pawl_value *items = pawl_get(c->args, "items");
    seen there;
    pawl_status st = find(c->core, c->name, &there, err);
    st = st == PAWL_OK ? differs(&there, pawl_int(c->args, "width", there.row.width), c->args, err)
                       : st;
    if (st != PAWL_OK) {
        return st;
    }
    const int64_t number = pawl_int(c->args, "number", there.row.number);
    if (number != there.row.number) { /* vectors for one, and another has its name now */
        return pw_err(err, PAWL_CONFLICT, "%.60s was removed and made again meanwhile", c->name);
    }
    const size_t len = pawl_len(items);
    if (pawl_typeof(items) != PAWL_ARRAY || len > PW_INDEX_PUT_MAX ||
        pw_value_bytes(items).size > PW_INDEX_PUT_BYTES_MAX) {
        return pw_err(err, PAWL_LIMIT, "items are an array of at most %d, and of %u bytes",
                      PW_INDEX_PUT_MAX, PW_INDEX_PUT_BYTES_MAX);
    }
    if (there.row.items + (int64_t)len > PW_INDEX_ITEMS_MAX) {
        return pw_err(err, PAWL_FULL, "a collection has at most %d items", PW_INDEX_ITEMS_MAX);
    }
    if (there.row.last > PW_ITEM_NUMBER_MAX - ITEMS_IN_FLIGHT) {
        return pw_err(
            err, PAWL_FULL,
            "a collection can be written %lld times: make another, and put its items there",
            (long long)PW_ITEM_NUMBER_MAX);
    }
    pw_mp_array(&c->list, len);
    for (size_t i = 0; i < len && st == PAWL_OK; i++) {
        const pawl_value *item = pawl_at(items, i);
        st = check_item(item, there.row.width, err);
        put_item(&c->list, item);
    }
    c->op = (pw_op){.type = PW_OP_ITEMS_PUT};
    c->op.u.items.collection = there.row.number;
    c->none = len == 0;
    return st;
}

static bool is_there(void *ctx, const pw_item_row *row)
{
    (void)ctx;
    (void)row;
    return false;
}

/* As far as is on disk: what is put at the same time may come after. */
static pawl_status count_deleted(change *c, int64_t collection, const pawl_value *key,
                                 pawl_error *err)
{
    size_t size = 0;
    const uint8_t *data = pawl_data(key, "", &size);
    const pawl_status st = c->core->jops->item(c->core->reader, collection, (pw_view){data, size},
                                               is_there, NULL, err);
    c->deleted += st == PAWL_OK || st == PAWL_DAMAGED ? 1 : 0; /* a damaged one may go */
    return st == PAWL_NOTFOUND || st == PAWL_DAMAGED ? PAWL_OK : st;
}

static bool is_named_before(const pawl_value *keys, size_t at)
{
    bool before = false;
    for (size_t i = 0; i < at && !before; i++) {
        before = pawl_equal(pawl_at(keys, i), pawl_at(keys, at));
    }
    return before;
}

static pawl_status delete_items(change *c, pawl_error *err)
{
    const pawl_value *keys = pawl_get(c->args, "keys");
    seen there;
    const pawl_status found = find(c->core, c->name, &there, err);
    if (found != PAWL_OK) {
        return found;
    }
    if (pawl_typeof(keys) != PAWL_ARRAY || pawl_len(keys) > PW_INDEX_PUT_MAX) {
        return pw_err(err, PAWL_LIMIT, "keys are an array of at most %d", PW_INDEX_PUT_MAX);
    }
    pawl_status st = PAWL_OK;
    c->deleted = 0;
    pw_mp_array(&c->list, pawl_len(keys));
    for (size_t i = 0; i < pawl_len(keys) && st == PAWL_OK; i++) {
        if (!is_line(pawl_at(keys, i), PW_INDEX_KEY_BYTES_MAX)) {
            return pw_err(err, PAWL_INVALID, "a key is a line of 1 to %d bytes",
                          PW_INDEX_KEY_BYTES_MAX);
        }
        pw_mp_value(&c->list, pawl_at(keys, i));
        if (!is_named_before(keys, i)) {
            st = count_deleted(c, there.row.number, pawl_at(keys, i), err);
        }
    }
    c->op = (pw_op){.type = PW_OP_ITEMS_DROP};
    c->op.u.items.collection = there.row.number;
    c->none = pawl_len(keys) == 0;
    return st;
}

static pawl_status remove_all(change *c, pawl_error *err)
{
    seen there;
    const pawl_status st = find(c->core, c->name, &there, err);
    c->op = (pw_op){.type = PW_OP_COLLECTION_DROP};
    c->op.u.collection.number = st == PAWL_OK ? there.row.number : 0;
    return st;
}

/* The operation, with all that it points to in the batch. */
static void write_op(change *c, pw_batch *b)
{
    pw_buf *list = pw_batch_buf(b), *body = pw_batch_buf(b);
    const char *name = pw_strdup(b->group.scope, c->name);
    pw_buf_put(list, c->list.data, c->list.size);
    pw_buf_put(body, c->body.data, c->body.size);
    b->failed |= name == NULL || !pw_buf_ok(list) || !pw_buf_ok(body) || !pw_buf_ok(&c->list) ||
                 !pw_buf_ok(&c->body);
    if (name == NULL) {
        return;
    }
    if (c->op.type == PW_OP_COLLECTION_CREATE) {
        c->op.u.collection.name = text_view(name);
        c->op.u.collection.created_ms = b->now_ms;
        c->op.u.collection.body = (pw_view){body->data, body->size};
    } else if (c->op.type != PW_OP_COLLECTION_DROP) {
        c->op.u.items.list = (pw_view){list->data, list->size};
    }
    *pw_batch_op(b, c->op.type) = c->op;
}

static void land(change *c, pw_request *rq)
{
    pw_batch *b = pw_batch_get(c->core);
    if (b == NULL) {
        pw_request_nomem(c->core, rq);
        return;
    }
    pw_batch_mark mark = pw_batch_mark_of(b);
    if (!c->none) {
        write_op(c, b);
    }
    const pawl_value *reply = pawl_build(rq->scope, "{collection: %s}", c->name);
    if (c->deleted >= 0) {
        reply = pawl_with(rq->scope, reply, "deleted", pawl_make_int(rq->scope, c->deleted));
    }
    pw_batch_reply(b, rq, PAWL_OK, NULL, pw_value_bytes(reply));
    if (pw_batch_lost(b)) {
        pw_batch_undo(b, &mark);
    }
}

void pw_collection_request(pw_core *core, pw_request *rq)
{
    pawl_error err = {0};
    change c = {.core = core,
                .args = rq->args,
                .name = pawl_str(rq->args, "collection", ""),
                .deleted = -1,
                .list = PW_BUF_INIT,
                .body = PW_BUF_INIT};
    const pawl_status st = rq->op == PW_REQ_INDEX_CREATE   ? create(&c, &err)
                           : rq->op == PW_REQ_INDEX_PUT    ? put_items(&c, &err)
                           : rq->op == PW_REQ_INDEX_DELETE ? delete_items(&c, &err)
                                                           : remove_all(&c, &err);
    if (st != PAWL_OK) {
        pw_request_done(core, rq, st, &err, (pw_view){NULL, 0});
    } else {
        land(&c, rq);
    }
    pw_buf_deinit(&c.list);
    pw_buf_deinit(&c.body);
}
