/*
 * conformance_collection_test.c - collections of texts and vectors, the same on every backend: what operations leave, what a copy is told, and what words
 * find. [J21] Vectors are not compared here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "journal/collection.h"
#include "tests/journal/rig.h"

/* ---- writing ---- */

static void create(rig *t, const char *name, int64_t width)
{
    rig_op(t, PW_OP_COLLECTION_CREATE)->u.collection =
        (pw_collection_row){.name = rig_text(name), .width = width, .body = rig_text("\x80")};
    assert_int_equal(rig_commit(t), PAWL_OK);
}

/* One item, with a vector of two numbers. */
static void put(rig *t, int64_t collection, const char *key, const char *text, const char *tag)
{
    static const uint16_t halves[2] = {0x3c00, 0x3800};
    pw_buf list = PW_BUF_INIT, body = PW_BUF_INIT;
    pw_mp_map(&body, tag != NULL ? 2 : 1);
    pw_mp_str(&body, "text");
    pw_mp_str(&body, text);
    if (tag != NULL) {
        pw_mp_str(&body, "tags");
        pw_mp_array(&body, 1);
        pw_mp_str(&body, tag);
    }
    pw_mp_array(&list, 1);
    pw_mp_array(&list, 3);
    pw_mp_str(&list, key);
    pw_mp_bin(&list, halves, sizeof halves);
    pw_mp_bin(&list, body.data, body.size);
    pw_op *op = rig_op(t, PW_OP_ITEMS_PUT);
    op->u.items.collection = collection;
    op->u.items.list = (pw_view){list.data, list.size};
    assert_int_equal(rig_commit(t), PAWL_OK);
    pw_buf_deinit(&list);
    pw_buf_deinit(&body);
}

static void drop(rig *t, int64_t collection, const char *key)
{
    pw_buf list = PW_BUF_INIT;
    pw_mp_array(&list, 1);
    pw_mp_str(&list, key);
    pw_op *op = rig_op(t, PW_OP_ITEMS_DROP);
    op->u.items.collection = collection;
    op->u.items.list = (pw_view){list.data, list.size};
    assert_int_equal(rig_commit(t), PAWL_OK);
    pw_buf_deinit(&list);
}

/* ---- reading ---- */

typedef struct said {
    char text[400];
    size_t size;
} said;

static void say(said *s, const char *fmt, ...) PAWL_PRINTF(2, 3);
static void say(said *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    s->size += (size_t)vsnprintf(s->text + s->size, sizeof s->text - s->size, fmt, args);
    va_end(args);
    assert_true(s->size < sizeof s->text);
}

static bool say_collection(void *ctx, const pw_collection_row *c)
{
    say(ctx, "%.*s#%d v%d %d items %d bytes; ", (int)c->name.size, (const char *)c->name.data,
        (int)c->number, (int)c->version, (int)c->items, (int)c->bytes);
    return true;
}

static bool say_item(void *ctx, const pw_item_row *i)
{
    say(ctx, "%d:%.*s/%zu ", (int)i->number, (int)i->key.size, (const char *)i->key.data,
        i->halves.size);
    return true;
}

static bool say_gone(void *ctx, int64_t number)
{
    say(ctx, "-%d ", (int)number);
    return true;
}

static bool say_number(void *ctx, int64_t number, double score)
{
    assert_true(score > 0);
    say(ctx, "%d ", (int)number);
    return true;
}

static void collections_are(rig *t, const char *expected)
{
    said s = {.size = 0};
    s.text[0] = 0;
    assert_int_equal(t->r->ops->collections(t->r, (pw_view){NULL, 0}, say_collection, &s, &t->err),
                     PAWL_OK);
    assert_string_equal(s.text, expected);
}

static void changes_are(rig *t, int64_t since, int64_t after, const char *expected)
{
    said s = {.size = 0};
    s.text[0] = 0;
    const pw_changes c = {.collection = 1,
                          .since = since,
                          .after = after,
                          .head = say_collection,
                          .gone = say_gone,
                          .row = say_item,
                          .ctx = &s};
    assert_int_equal(t->r->ops->changes(t->r, &c, &t->err), PAWL_OK);
    assert_string_equal(s.text, expected);
}

static void words_are(rig *t, const char *query, const char *tag, const char *expected)
{
    said s = {.size = 0};
    PW_CLEANUP(pw_buf_deinit) pw_buf tags = PW_BUF_INIT;
    s.text[0] = 0;
    if (tag != NULL) {
        pw_mp_array(&tags, 1);
        pw_mp_str(&tags, tag);
    }
    const pw_words_query q = {
        .collection = 1, .query = rig_text(query), .filter = {.tags = {tags.data, tags.size}}};
    assert_int_equal(t->r->ops->item_words(t->r, &q, say_number, &s, &t->err), PAWL_OK);
    assert_string_equal(s.text, expected);
}

/* ---- tests ---- */

static void items_are_counted_numbered_and_replaced(rig *t)
{
    create(t, "c", 2);
    create(t, "c", 5); /* that one is there already */
    create(t, "a", 2);
    put(t, 1, "x", "red fish", NULL);
    put(t, 1, "y", "blue fish", "sea");
    put(t, 1, "x", "old man", NULL);
    put(t, 2, "x", "another", NULL);
    put(t, 9, "x", "there is no such collection", NULL);
    collections_are(t, "a#2 v1 1 items 19 bytes; c#1 v3 2 items 50 bytes; ");
    changes_are(t, 0, 0, "c#1 v3 2 items 50 bytes; -1 2:y/4 3:x/4 ");
    changes_are(t, 2, 2, "c#1 v3 2 items 50 bytes; -1 3:x/4 ");
    changes_are(t, 3, 3, "c#1 v3 2 items 50 bytes; ");
    drop(t, 1, "y");
    drop(t, 1, "never");
    changes_are(t, 3, 3, "c#1 v5 1 items 19 bytes; -2 ");
}

static void words_follow_the_items(rig *t)
{
    create(t, "c", 2);
    put(t, 1, "x", "red fish", NULL);
    put(t, 1, "y", "Blue FISH, blue sea", "sea");
    put(t, 1, "z", "nothing here", NULL);
    words_are(t, "blue", NULL, "2 ");
    words_are(t, "fish", NULL, "1 2 ");
    words_are(t, "red or blue?", NULL, "2 1 ");
    words_are(t, "fish", "sea", "2 ");
    words_are(t, "\" AND (", NULL, "");
    put(t, 1, "x", "red bird", NULL);
    words_are(t, "fish", NULL, "2 ");
    words_are(t, "bird", NULL, "4 ");
    drop(t, 1, "y");
    words_are(t, "fish blue", NULL, "");
}

static void a_dropped_collection_leaves_its_name_and_never_its_number(rig *t)
{
    said s = {.size = 0};
    create(t, "c", 2);
    put(t, 1, "x", "red fish", NULL);
    rig_op(t, PW_OP_COLLECTION_DROP)->u.collection.number = 1;
    rig_op(t, PW_OP_COLLECTION_DROP)->u.collection.number = 7;
    assert_int_equal(rig_commit(t), PAWL_OK);
    collections_are(t, "");
    put(t, 1, "x", "too late", NULL);
    create(t, "c", 3);
    collections_are(t, "c#2 v0 0 items 0 bytes; ");
    const pw_changes c = {
        .collection = 1, .head = say_collection, .gone = say_gone, .row = say_item, .ctx = &s};
    assert_int_equal(t->r->ops->changes(t->r, &c, &t->err), PAWL_NOTFOUND);
}

static void a_group_that_does_not_land_leaves_no_word(rig *t)
{
    create(t, "c", 2);
    put(t, 1, "x", "red fish", NULL);
    pw_op *op = rig_op(t, PW_OP_ITEMS_DROP);
    op->u.items.collection = 1;
    op->u.items.list = rig_text("\x91\xa1x");
    rig_op(t, PW_OP_INBOX_TAKE)->u.take.inbox_id = 77; /* there is none: CONFLICT */
    assert_int_equal(rig_commit(t), PAWL_CONFLICT);
    words_are(t, "fish", NULL, "1 ");
    changes_are(t, 0, 0, "c#1 v1 1 items 20 bytes; 1:x/4 ");
}

static void what_went_long_ago_is_no_longer_listed(rig *t)
{
    create(t, "c", 2);
    for (int i = 0; i < PW_GONE_VERSIONS + 20; i++) {
        pw_op *op = rig_op(t, PW_OP_ITEMS_PUT);
        op->u.items.collection = 1;
        op->u.items.list = rig_text("\x91\x93\xa1k\xc4\x04"
                                    "abcd"
                                    "\xc4\x01\x80");
        if (i % 100 == 0) {
            assert_int_equal(rig_commit(t), PAWL_OK);
        }
    }
    assert_int_equal(rig_commit(t), PAWL_OK);
    said s = {.size = 0};
    const pw_changes c = {.collection = 1,
                          .since = PW_GONE_VERSIONS + 17,
                          .after = PW_GONE_VERSIONS + 19,
                          .head = say_collection,
                          .gone = say_gone,
                          .row = say_item,
                          .ctx = &s};
    assert_int_equal(t->r->ops->changes(t->r, &c, &t->err), PAWL_OK);
    assert_string_equal(s.text, "c#1 v1044 1 items 6 bytes; -1041 -1042 -1043 1044:k/4 ");
}

/* [J4] What is purged when there is nothing else to do is a write as any other. */
static void a_stale_epoch_purges_nothing(rig *t)
{
    uint64_t epoch = 0, number = 0;
    create(t, "c", 2);
    put(t, 1, "x", "red fish", NULL);
    rig_op(t, PW_OP_COLLECTION_DROP)->u.collection.number = 1;
    assert_int_equal(rig_commit(t), PAWL_OK);
    pw_journal *second = rig_second(t);
    assert_int_equal(second->ops->lease(second, &epoch, &number, &t->err), PAWL_OK);
    assert_false(t->j->ops->idle(t->j));
    second->ops->close(second);
}

/* A table that is not there is damage, and no want of memory, for those who write and those who read. */
static void a_missing_table_is_damage(void **state)
{
    static const char *const tables[] = {"pawl_words_1", "pawl_items_gone", "pawl_vectors"};
    (void)state;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        rig *t = rig_open("sqlite");
        char sql[80];
        create(t, "c", 2);
        put(t, 1, "x", "red fish", NULL);
        (void)snprintf(sql, sizeof sql, "DROP TABLE %s", tables[i]);
        rig_tamper(t, sql);
        pw_op *op = rig_op(t, PW_OP_ITEMS_DROP);
        op->u.items.collection = 1;
        op->u.items.list = rig_text("\x91\xa1x");
        assert_int_equal(rig_commit(t), PAWL_NOT); /* whatever it was, nothing was written */
        assert_non_null(strstr(t->err.message, tables[i]));
        said s = {.size = 0};
        const pw_words_query q = {.collection = 1, .query = rig_text("fish")};
        const pw_changes c = {
            .collection = 1, .head = say_collection, .gone = say_gone, .row = say_item, .ctx = &s};
        assert_int_equal(i == 0 ? t->r->ops->item_words(t->r, &q, say_number, &s, &t->err)
                                : t->r->ops->changes(t->r, &c, &t->err),
                         PAWL_DAMAGED);
        rig_close(t);
    }
}

static void numbers_are_counted_whether_their_collection_is_there_or_not(rig *t)
{
    int64_t made = -1;
    assert_int_equal(t->r->ops->collections_made(t->r, &made, &t->err), PAWL_OK);
    assert_int_equal(made, 0);
    create(t, "a", 2);
    create(t, "b", 2);
    rig_op(t, PW_OP_COLLECTION_DROP)->u.collection.number = 2;
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(t->r->ops->collections_made(t->r, &made, &t->err), PAWL_OK);
    assert_int_equal(made, 2);
}

static const struct {
    const char *name;
    void (*run)(rig *t);
} tests[] = {
    {"items_are_counted_numbered_and_replaced", items_are_counted_numbered_and_replaced},
    {"words_follow_the_items", words_follow_the_items},
    {"a_dropped_collection_leaves_its_name_and_never_its_number",
     a_dropped_collection_leaves_its_name_and_never_its_number},
    {"a_group_that_does_not_land_leaves_no_word", a_group_that_does_not_land_leaves_no_word},
    {"what_went_long_ago_is_no_longer_listed", what_went_long_ago_is_no_longer_listed},
    {"numbers_are_counted_whether_their_collection_is_there_or_not",
     numbers_are_counted_whether_their_collection_is_there_or_not},
    {"a_stale_epoch_purges_nothing", a_stale_epoch_purges_nothing},
};

static void each_on(const char *backend)
{
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        rig *t = rig_open(backend);
        tests[i].run(t);
        rig_close(t);
    }
}

static void collections_in_a_file(void **state)
{
    (void)state;
    each_on("sqlite");
}

static void collections_in_memory(void **state)
{
    (void)state;
    each_on("memory");
}

int main(void)
{
    const struct CMUnitTest all[] = {cmocka_unit_test(collections_in_a_file),
                                     cmocka_unit_test(collections_in_memory),
                                     cmocka_unit_test(a_missing_table_is_damage)};
    return cmocka_run_group_tests(all, NULL, NULL);
}
