/*
 * choose_words.c - texts into words, and BM25 over them. No index is kept: some hundred texts are read through in less than a millisecond, and there is
 * nothing that could be out of date.
 *
 * Does not know any language but English endings, and cuts only those: other scripts are compared as they stand (bytes above 127 belong to words).
 */
#include "activities/choose.h"

#include <math.h>
#include <string.h>

#include "sdk/base/arena.h"

#define K1 1.2
#define B 0.75

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

/* How often each term stands in it, and how many words there are. */
static size_t counted(const char *text, size_t size, size_t each, const term *terms, size_t len,
                      uint32_t *counts)
{
    size_t words = 0;
    pw_word w;
    while (pw_word_next(&text, &size, true, &w)) {
        const size_t at = term_find(terms, len, &w);
        words += each;
        if (at < len) {
            counts[at] += (uint32_t)each;
        }
    }
    return words;
}

typedef struct table {
    term *terms;
    size_t terms_len;
    uint32_t *counts; /* [docs][terms] */
    size_t *words;    /* [docs] */
    double words_mean;
} table;

static bool table_make(pawl_scope *scope, const pw_choose_doc *docs, size_t len,
                       const pw_choose_query *q, table *t)
{
    t->terms = pw_alloc(scope, PW_CHOOSE_WORDS_MAX * sizeof *t->terms);
    t->words = pw_alloc(scope, (len + 1) * sizeof *t->words);
    t->terms_len = t->terms != NULL ? terms_of(q, t->terms) : 0;
    const size_t cells = len * t->terms_len + 1;
    t->counts = pw_alloc(scope, cells * sizeof *t->counts);
    if (t->terms == NULL || t->words == NULL || t->counts == NULL) {
        return false;
    }
    memset(t->counts, 0, cells * sizeof *t->counts);
    size_t all = 0;
    for (size_t i = 0; i < len; i++) {
        uint32_t *counts = t->counts + i * t->terms_len;
        const pw_choose_doc *d = &docs[i];
        t->words[i] = counted(d->name, d->name_size, 2, t->terms, t->terms_len, counts) +
                      counted(d->text, d->text_size, 1, t->terms, t->terms_len, counts);
        all += t->words[i];
        for (size_t k = 0; k < t->terms_len; k++) {
            t->terms[k].docs += counts[k] > 0;
        }
    }
    t->words_mean = len > 0 && all > 0 ? (double)all / (double)len : 1;
    return true;
}

bool pw_choose_words(pawl_scope *scope, const pw_choose_doc *docs, size_t len,
                     const pw_choose_query *query, double *ret_scores)
{
    table t = {.terms_len = 0};
    if (!table_make(scope, docs, len, query, &t)) {
        return false;
    }
    for (size_t k = 0; k < t.terms_len; k++) {
        const double n = (double)t.terms[k].docs;
        t.terms[k].weight = log(1 + ((double)len - n + 0.5) / (n + 0.5));
    }
    for (size_t i = 0; i < len; i++) {
        const double longer = K1 * (1 - B + B * (double)t.words[i] / t.words_mean);
        ret_scores[i] = 0;
        for (size_t k = 0; k < t.terms_len; k++) {
            const double n = t.counts[i * t.terms_len + k];
            ret_scores[i] += t.terms[k].weight * n * (K1 + 1) / (n + longer);
        }
    }
    return true;
}
