/*
 * choose_words.c - texts into words, and BM25 over them: name and text are one field, what else is said another, each with its own mean length (BM25F:
 * Robertson, Zaragoza, Taylor: CIKM 2004), so that a long schema neither hides its tool nor lifts it. No index is kept: some
 * hundred texts are read through in less than a millisecond, and there is nothing that could be out of date.
 *
 * Does not know any language but English endings, and cuts only those: other scripts are compared as they stand (bytes above 127 belong to words).
 */
#include "activities/choose.h"

#include <math.h>
#include <string.h>

#include "sdk/base/arena.h"

#define K1 1.2
#define B 0.75
#define NAMES 2.0 /* what a word of it counts, beside those of the text */
#define MORE 0.25 /* measured: embed/README.md */

/* ---- words ---- */

static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool says_nothing(const pw_word *w)
{
    static const char *const stop[] = {
#define X(word) #word,
#include "activities/choose_stop.def"
#undef X
    };
    for (size_t i = 0; i < sizeof stop / sizeof stop[0]; i++) {
        if (strlen(stop[i]) == w->size && memcmp(stop[i], w->text, w->size) == 0) {
            return true;
        }
    }
    return false;
}

static bool cut(pw_word *w, const char *ending, const char *instead)
{
    const size_t size = strlen(ending), more = strlen(instead);
    if (w->size < size + 3 || memcmp(w->text + w->size - size, ending, size) != 0) {
        return false;
    }
    memcpy(w->text + w->size - size, instead, more);
    w->size = w->size - size + more;
    return true;
}

/* charge, charges, charged, charging: charg. stopped, stopping: stop. */
static void stem(pw_word *w)
{
    const bool plural = cut(w, "ies", "y") || (!cut(w, "ss", "ss") && cut(w, "s", ""));
    (void)plural;
    if (cut(w, "ing", "") || cut(w, "ed", "")) {
        const char end = w->size > 3 ? w->text[w->size - 1] : '\0';
        w->size -= end != '\0' && end == w->text[w->size - 2] && strchr("lsz", end) == NULL;
    }
    (void)cut(w, "e", "");
}

bool pw_word_next(const char **text, size_t *size, bool all, pw_word *ret_word)
{
    const char *p = *text, *end = *text + *size;
    bool found = false;
    while (p < end && !found) {
        while (p < end && !is_letter((unsigned char)*p)) {
            p++;
        }
        ret_word->size = 0;
        for (const char *begun = p; p < end && is_letter((unsigned char)*p); p++) {
            if (p > begun && is_upper(*p) && !is_upper(p[-1])) {
                break; /* postMessage */
            }
            if (ret_word->size < sizeof ret_word->text) {
                ret_word->text[ret_word->size++] = lower(*p);
            }
        }
        found = ret_word->size > 0 && (all || !says_nothing(ret_word));
    }
    if (found) {
        stem(ret_word);
    }
    *size = (size_t)(end - p);
    *text = p;
    return found;
}

/* ---- BM25 ---- */

typedef struct term {
    pw_word word;
    double weight; /* inverse document frequency, once all are read */
    size_t docs;   /* that have it */
} term;

static size_t term_find(const term *terms, size_t len, const pw_word *w)
{
    size_t i = 0;
    while (i < len &&
           (terms[i].word.size != w->size || memcmp(terms[i].word.text, w->text, w->size) != 0)) {
        i++;
    }
    return i;
}

static size_t terms_of(const pw_choose_query *q, term *terms)
{
    const char *text = q->text;
    size_t size = q->size, len = 0;
    pw_word w;
    while (len < PW_CHOOSE_WORDS_MAX && pw_word_next(&text, &size, false, &w)) {
        if (term_find(terms, len, &w) == len) {
            terms[len++] = (term){.word = w};
        }
    }
    return len;
}

/* Of all docs: name and text together, or what else is said of them. */
typedef struct field {
    double *counts; /* [docs][terms] */
    double *words;  /* [docs] */
    double mean;    /* of those that have any */
} field;

typedef struct table {
    term *terms;
    size_t terms_len;
    field main, more;
} table;

static bool field_make(pawl_scope *scope, size_t docs, size_t terms, field *f)
{
    f->counts = pw_alloc(scope, (docs * terms + 1) * sizeof *f->counts);
    f->words = pw_alloc(scope, (docs + 1) * sizeof *f->words);
    if (f->counts != NULL && f->words != NULL) {
        memset(f->counts, 0, docs * terms * sizeof *f->counts);
        memset(f->words, 0, docs * sizeof *f->words);
    }
    return f->counts != NULL && f->words != NULL;
}

/* How often each term stands in a text of a doc, and how many words there are; each counts so much. */
static void count(const table *t, field *f, size_t doc, const char *text, size_t size, double each)
{
    pw_word w;
    while (size > 0 && pw_word_next(&text, &size, true, &w)) {
        const size_t at = term_find(t->terms, t->terms_len, &w);
        f->words[doc] += each;
        if (at < t->terms_len) {
            f->counts[doc * t->terms_len + at] += each;
        }
    }
}

static void mean(field *f, size_t docs)
{
    double all = 0;
    size_t some = 0;
    for (size_t i = 0; i < docs; i++) {
        all += f->words[i];
        some += f->words[i] > 0;
    }
    f->mean = some > 0 ? all / (double)some : 1;
}

static bool table_make(pawl_scope *scope, const pw_choose_doc *docs, size_t len,
                       const pw_choose_query *q, table *t)
{
    t->terms = pw_alloc(scope, PW_CHOOSE_WORDS_MAX * sizeof *t->terms);
    t->terms_len = t->terms != NULL ? terms_of(q, t->terms) : 0;
    if (t->terms == NULL || !field_make(scope, len, t->terms_len, &t->main) ||
        !field_make(scope, len, t->terms_len, &t->more)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        count(t, &t->main, i, docs[i].name, docs[i].name_size, NAMES);
        count(t, &t->main, i, docs[i].text, docs[i].text_size, 1);
        count(t, &t->more, i, docs[i].more, docs[i].more_size, 1);
        for (size_t k = 0; k < t->terms_len; k++) {
            const size_t at = i * t->terms_len + k;
            t->terms[k].docs += t->main.counts[at] + t->more.counts[at] > 0;
        }
    }
    mean(&t->main, len);
    mean(&t->more, len);
    return true;
}

/* How often, as if all docs were equally long. */
static double often(const table *t, const field *f, size_t doc, size_t k)
{
    return f->counts[doc * t->terms_len + k] / (1 - B + B * f->words[doc] / f->mean);
}

/* Of one doc; *ret_held: the weight of those words of the query that it has. */
static double score_of(const table *t, size_t doc, double *ret_held)
{
    double score = 0;
    *ret_held = 0;
    for (size_t k = 0; k < t->terms_len; k++) {
        const double n = often(t, &t->main, doc, k) + MORE * often(t, &t->more, doc, k);
        score += t->terms[k].weight * n * (K1 + 1) / (n + K1);
        *ret_held += n > 0 ? t->terms[k].weight : 0;
    }
    return score;
}

bool pw_choose_words(pawl_scope *scope, const pw_choose_doc *docs, size_t len,
                     const pw_choose_query *query, double *ret_scores, double *ret_shares)
{
    table t = {.terms_len = 0};
    double all = 0;
    if (!table_make(scope, docs, len, query, &t)) {
        return false;
    }
    for (size_t k = 0; k < t.terms_len; k++) {
        const double n = (double)t.terms[k].docs;
        t.terms[k].weight = log(1 + ((double)len - n + 0.5) / (n + 0.5));
        all += t.terms[k].weight;
    }
    for (size_t i = 0; i < len; i++) {
        double held;
        ret_scores[i] = score_of(&t, i, &held);
        if (ret_shares != NULL) {
            ret_shares[i] = held > 0 ? sqrt(held / all) : 0;
        }
    }
    return true;
}
