/*
 * feed.c - one counter behind a mutex. Does not look into groups.
 */
#include "journal/feed.h"

void pw_feed_init(pw_feed *f)
{
    *f = (pw_feed){.state = PW_FEED_BACK};
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->moved, NULL);
}

void pw_feed_deinit(pw_feed *f)
{
    pthread_cond_destroy(&f->moved);
    pthread_mutex_destroy(&f->lock);
}

static void move(pw_feed *f, size_t shown, pw_feed_state state)
{
    pthread_mutex_lock(&f->lock);
    f->shown = shown;
    f->state = state;
    const bool wake = f->waits;
    f->waits = false;
    pthread_mutex_unlock(&f->lock);
    if (wake) {
        pthread_cond_broadcast(&f->moved);
    }
}

void pw_feed_open(pw_feed *f, size_t shown)
{
    move(f, shown, PW_FEED_OPEN);
}

void pw_feed_show(pw_feed *f, size_t shown, bool whole)
{
    move(f, shown, whole ? PW_FEED_WHOLE : PW_FEED_OPEN);
}

void pw_feed_take_back(pw_feed *f)
{
    pthread_mutex_lock(&f->lock);
    f->state = PW_FEED_WANTED;
    pthread_cond_broadcast(&f->moved);
    while (f->state != PW_FEED_BACK) {
        pthread_cond_wait(&f->moved, &f->lock);
    }
    pthread_mutex_unlock(&f->lock);
}

pw_feed_state pw_feed_wait(pw_feed *f, size_t have, size_t *ret_shown)
{
    pthread_mutex_lock(&f->lock);
    while (f->state == PW_FEED_OPEN && f->shown <= have) {
        f->waits = true;
        pthread_cond_wait(&f->moved, &f->lock);
    }
    f->waits = false;
    *ret_shown = f->shown;
    const pw_feed_state state = f->state;
    pthread_mutex_unlock(&f->lock);
    return state;
}

bool pw_feed_whole(pw_feed *f)
{
    size_t shown = 0;
    pw_feed_state state = PW_FEED_OPEN;
    while (state == PW_FEED_OPEN) {
        state = pw_feed_wait(f, shown, &shown);
    }
    return state == PW_FEED_WHOLE;
}

void pw_feed_let_go(pw_feed *f)
{
    pthread_mutex_lock(&f->lock);
    f->state = PW_FEED_BACK;
    pthread_cond_broadcast(&f->moved);
    pthread_mutex_unlock(&f->lock);
}
