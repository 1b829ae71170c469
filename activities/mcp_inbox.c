/*
 * mcp_inbox.c - a list of texts under a lock, and a descriptor that says that it is not empty.
 *
 * Does not wait and does not parse.
 */
#include "activities/mcp_inbox.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

struct pw_mcp_item {
    pw_mcp_item *next;
    size_t size;
    char text[];
};

bool pw_mcp_inbox_init(pw_mcp_inbox *in)
{
    memset(in, 0, sizeof *in);
    in->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return in->event >= 0 && pthread_mutex_init(&in->lock, NULL) == 0;
}

void pw_mcp_inbox_deinit(pw_mcp_inbox *in)
{
    while (in->first != NULL) {
        pw_mcp_item *item = in->first;
        in->first = item->next;
        pw_free(item);
    }
    if (in->event >= 0) {
        close(in->event);
        pthread_mutex_destroy(&in->lock);
    }
    in->event = -1;
}

static void wake(const pw_mcp_inbox *in)
{
    const uint64_t one = 1;
    while (write(in->event, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

bool pw_mcp_inbox_put(pw_mcp_inbox *in, const char *text, size_t size)
{
    pw_mcp_item *item = pw_malloc(sizeof *item + size + 1);
    if (item == NULL) {
        return false;
    }
    item->next = NULL;
    item->size = size;
    memcpy(item->text, text, size);
    item->text[size] = '\0';
    pthread_mutex_lock(&in->lock);
    const bool fits = in->bytes + size <= PW_MCP_INBOX_BYTES_MAX;
    if (fits) {
        *(in->last != NULL ? &in->last->next : &in->first) = item;
        in->last = item;
        in->bytes += size;
        wake(in);
    }
    pthread_mutex_unlock(&in->lock);
    if (!fits) {
        pw_free(item);
    }
    return fits;
}

void pw_mcp_inbox_end(pw_mcp_inbox *in)
{
    pthread_mutex_lock(&in->lock);
    in->ended = true;
    wake(in); /* under the lock: the one who waits frees it once it has seen the end */
    pthread_mutex_unlock(&in->lock);
}

void pw_mcp_inbox_nudge(pw_mcp_inbox *in)
{
    wake(in);
}

void pw_mcp_inbox_reopen(pw_mcp_inbox *in)
{
    pthread_mutex_lock(&in->lock);
    in->ended = false;
    pthread_mutex_unlock(&in->lock);
}

pw_mcp_got pw_mcp_inbox_take(pw_mcp_inbox *in, pw_buf *ret_text)
{
    uint64_t count = 0;
    pthread_mutex_lock(&in->lock);
    (void)!read(in->event, &count, sizeof count);
    pw_mcp_item *item = in->first;
    const bool ended = in->ended;
    if (item != NULL) {
        in->first = item->next;
        in->last = item->next != NULL ? in->last : NULL;
        in->bytes -= item->size;
    }
    if (in->first != NULL || ended) {
        wake(in);
    }
    pthread_mutex_unlock(&in->lock);
    if (item == NULL) {
        return ended ? PW_MCP_GOT_END : PW_MCP_GOT_NOTHING;
    }
    pw_buf_reset(ret_text);
    pw_buf_put(ret_text, item->text, item->size);
    pw_free(item);
    return PW_MCP_GOT_TEXT;
}
