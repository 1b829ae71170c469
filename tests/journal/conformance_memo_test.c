/*
 * conformance_memo_test.c - the memory store: rows, words, order and counts, the same on every backend. Run once per backend:
 * journal_conformance_memo sqlite|memory. Does not test who may write what: the engine's tests do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "journal/memo.h"
#include "tests/journal/rig.h"

static const char *backend_of(void **state)
{
    return *state;
}
#define OPEN() rig *t = rig_open(backend_of(state))

/* ---- writing ---- */

static pw_view body_of(rig *t, const char *text)
{
    pw_buf b = PW_BUF_INIT;
    pw_mp_map(&b, 1);
    pw_mp_str(&b, "text");
    pw_mp_str(&b, text);
    const pw_view body = {pw_memdup(t->scope, b.data, b.size), b.size};
    pw_buf_deinit(&b);
    return body;
}

static void put_at(rig *t, const char *key, const char *text, int64_t now, int64_t expires)
{
    rig_op(t, PW_OP_MEMO_PUT)->u.memo = (pw_memo_row){.space = rig_text("team/a"),
                                                      .key = rig_text(key),
                                                      .updated_ms = now,
                                                      .expires_ms = expires,
                                                      .body = body_of(t, text)};
}

static void put(rig *t, const char *key, const char *text)
{
    put_at(t, key, text, 100, 0);
}

static void drop(rig *t, const char *key)
{
    rig_op(t, PW_OP_MEMO_DROP)->u.memo =
        (pw_memo_row){.space = rig_text("team/a"), .key = rig_text(key)};
}

/* ---- reading ---- */

typedef struct list {
    char text[400];
    int64_t rows;
} list;

static bool add(void *ctx, const pw_memo_row *row)
{
    list *l = ctx;
    const size_t used = strlen(l->text);
    (void)snprintf(l->text + used, sizeof l->text - used, "%.*s ", (int)row->key.size,
                   (const char *)row->key.data);
    l->rows++;
    return true;
}

static bool add_scored(void *ctx, const pw_memo_row *row, int64_t score)
{
    assert_true(score >= 0);
    return add(ctx, row);
}

static const char *found_at(rig *t, const char *space, const char *text, int64_t now)
{
    list *l = pawl_scope_alloc(t->scope, sizeof *l);
    const pw_memo_query q = {rig_text(space), rig_text(text), now, 5};
    assert_int_equal(pw_memo_search(t->r, &q, add_scored, l, &t->err), PAWL_OK);
    return l->text;
}

static const char *found(rig *t, const char *text)
{
    return found_at(t, "team/a", text, 100);
}

static bool add_space(void *ctx, pw_view space, int64_t rows, int64_t bytes)
{
    list *l = ctx;
    const size_t used = strlen(l->text);
    (void)snprintf(l->text + used, sizeof l->text - used, "%.*s %lld %lld ", (int)space.size,
                   (const char *)space.data, (long long)rows, (long long)bytes);
    return true;
}

static const char *spaces(rig *t, const char *only)
{
    list *l = pawl_scope_alloc(t->scope, sizeof *l);
    assert_int_equal(t->r->ops->memo_spaces(t->r, rig_text(only), add_space, l, &t->err), PAWL_OK);
    return l->text;
}

/* ---- tests ---- */

static void a_text_is_found_by_its_words_and_by_how_they_begin(void **state)
{
    OPEN();
    put(t, "tea", "She drinks GREEN tea, no coffee.");
    put(t, "coffee", "He drinks coffee");
    put(t, "car", "The car is green");
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_string_equal(found(t, "coffee"), "coffee tea "); /* the same score: put later first */
    assert_string_equal(found(t, "Green"), "car tea ");
    assert_string_equal(found(t, "green tea"), "tea car "); /* two words, and one that is rarer */
    assert_string_equal(found(t, "dri"), "coffee tea ");
    assert_string_equal(found(t, "drinkss"), "");
    assert_string_equal(found(t, "... !"), "car coffee tea "); /* no word: by key */
    assert_string_equal(found_at(t, "team", "coffee", 100), "");
    rig_restart(t);
    assert_string_equal(found(t, "green tea"), "tea car ");
    rig_close(t);
}

static void the_very_word_goes_before_one_that_begins_with_it(void **state)
{
    OPEN();
    put(t, "a", "deploy on friday");
    put(t, "b", "deployment on friday");
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_string_equal(found(t, "deploy"), "a b ");
    assert_string_equal(found(t, "friday deploy"), "a b ");
    rig_close(t);
}

static void words_of_scripts_without_spaces_are_single_characters(void **state)
{
    OPEN();
    put(t, "a",
        "\xe7\xb7\x91\xe8\x8c\xb6\xe3\x81\x8c\xe5\xa5\xbd\xe3\x81\x8d"); /* green tea is liked */
    put(t, "b",
        "\xc3\x9c"
        "ber \xd1\x87\xd0\xb0\xd0\xb9"); /* Über, and tea in Russian */
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_string_equal(found(t, "\xe8\x8c\xb6"), "a ");
    assert_string_equal(found(t, "\xd1\x87\xd0\xb0\xd0\xb9"), "b ");
    assert_string_equal(found(t, "\xc3\x9c"
                                 "BER"),
                        "b ");
    rig_close(t);
}

static void what_is_put_again_replaces_and_what_is_dropped_is_gone(void **state)
{
    OPEN();
    put(t, "k", "apples");
    assert_int_equal(rig_commit(t), PAWL_OK);
    put(t, "k", "pears");
    put(t, "other", "apples and pears");
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_string_equal(found(t, "apples"), "other ");
    assert_string_equal(found(t, "pears"), "other k ");
    drop(t, "k");
    drop(t, "never was");
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_string_equal(found(t, "pears"), "other ");
    drop(t, "other");
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_string_equal(found(t, "pears"), "");
    assert_string_equal(spaces(t, ""), "");
    rig_close(t);
}

static void what_has_expired_is_not_found_and_goes_with_a_later_put(void **state)
{
    OPEN();
    put_at(t, "short", "cheese", 100, 200);
    put_at(t, "long", "cheese", 100, 0);
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_string_equal(found_at(t, "team/a", "cheese", 199), "long short ");
    assert_string_equal(found_at(t, "team/a", "cheese", 200), "long ");
    assert_non_null(strstr(spaces(t, "team/a"), "team/a 2 "));
    put_at(t, "x", "bread", 300, 0);
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_non_null(strstr(spaces(t, "team/a"), "team/a 2 "));
    assert_string_equal(found_at(t, "team/a", "cheese", 100), "long ");
    rig_close(t);
}

static void rows_are_listed_by_key_and_counted_by_space(void **state)
{
    OPEN();
    static const char *const keys[] = {"b", "a", "ab", "c"};
    list l = {.rows = 0};
    for (size_t i = 0; i < PW_COUNT(keys); i++) {
        put(t, keys[i], "x");
    }
    rig_op(t, PW_OP_MEMO_PUT)->u.memo =
        (pw_memo_row){.space = rig_text("team/ab"), .key = rig_text("z"), .body = body_of(t, "yy")};
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(t->r->ops->memos(t->r, rig_text("team/a"), rig_text("a"), 2, add, &l, &t->err),
                     PAWL_OK);
    assert_string_equal(l.text, "ab b ");
    assert_string_equal(spaces(t, ""), "team/a 4 32 team/ab 1 9 ");
    assert_string_equal(spaces(t, "team/a"), "team/a 4 32 ");
    rig_close(t);
}

static void a_group_that_does_not_land_leaves_no_word_behind(void **state)
{
    OPEN();
    put(t, "k", "apples");
    assert_int_equal(rig_commit(t), PAWL_OK);
    put(t, "k", "pears");
    rig_op(t, PW_OP_INBOX_TAKE)->u.take.inbox_id = 77; /* is not there: the whole group goes */
    assert_int_equal(rig_commit(t), PAWL_CONFLICT);
    assert_string_equal(found(t, "pears"), "");
    assert_string_equal(found(t, "apples"), "k ");
    rig_close(t);
}

int main(int argc, char **argv)
{
    static char sqlite[] = "sqlite";
    char *backend = argc > 1 ? argv[1] : sqlite;
    struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_found_by_its_words_and_by_how_they_begin),
        cmocka_unit_test(the_very_word_goes_before_one_that_begins_with_it),
        cmocka_unit_test(words_of_scripts_without_spaces_are_single_characters),
        cmocka_unit_test(what_is_put_again_replaces_and_what_is_dropped_is_gone),
        cmocka_unit_test(what_has_expired_is_not_found_and_goes_with_a_later_put),
        cmocka_unit_test(rows_are_listed_by_key_and_counted_by_space),
        cmocka_unit_test(a_group_that_does_not_land_leaves_no_word_behind),
    };
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        tests[i].initial_state = backend;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
