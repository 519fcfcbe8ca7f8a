/* SPDX-License-Identifier: MIT */
#include "runtime/engine/completion.h"

#include <assert.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/base/memory.h"
#include "runtime/engine/request.h"

/* Neither call can fail: the count is 0 or 1, far from its maximum, and EINTR does not occur on a
 * descriptor that does not block. */
static void signal_on(struct qr_completion *c)
{
    uint64_t one = 1;
    ssize_t n = write(c->fd, &one, sizeof one);

    assert(n == (ssize_t)sizeof one);
    (void)n;
    c->signalled = true;
}

static void signal_off(struct qr_completion *c)
{
    uint64_t count;
    ssize_t n = read(c->fd, &count, sizeof count);

    assert(n == (ssize_t)sizeof count);
    (void)n;
    c->signalled = false;
}

static void push_ready(struct qr_completion *c, struct qr_request *r)
{
    r->ready_next = NULL;
    if (c->ready)
        c->ready_last->ready_next = r;
    else
        c->ready = r;
    c->ready_last = r;
    r->ready = true;
}

static void free_taken(struct qr_completion *c)
{
    if (c->taken_whole)
        qr_request_destroy(c->taken_whole, &c->allocator); /* the node is inside it */
    else
        qr_free(&c->allocator, c->taken);
    c->taken = NULL;
    c->taken_whole = NULL;
}

int qr_completion_init(struct qr_completion *c, const struct quire_allocator *allocator)
{
    memset(c, 0, sizeof *c);
    c->allocator = *allocator;
    c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->fd < 0) return QUIRE_SYSTEM;
    if (pthread_mutex_init(&c->lock, NULL)) {
        close(c->fd);
        c->fd = -1;
        return QUIRE_SYSTEM;
    }
    return QUIRE_OK;
}

void qr_completion_deinit(struct qr_completion *c)
{
    if (c->fd < 0) return;
    free_taken(c);
    while (c->ready) {
        struct qr_request *r = c->ready;
        c->ready = r->ready_next;
        qr_request_destroy(r, &c->allocator);
    }
    pthread_mutex_destroy(&c->lock);
    close(c->fd);
    c->fd = -1;
}

void qr_completion_publish(struct qr_completion *c, struct qr_request *list)
{
    if (!list) return;
    pthread_mutex_lock(&c->lock);
    while (list) {
        struct qr_request *r = list;
        list = r->fresh_next;
        if (r->events)
            r->events_last->next = r->fresh;
        else
            r->events = r->fresh;
        r->events_last = r->fresh_last;
        r->fresh = r->fresh_last = NULL;
        r->fresh_listed = false;
        if (!r->ready) push_ready(c, r);
    }
    if (!c->signalled) signal_on(c);
    pthread_mutex_unlock(&c->lock);
}

void qr_completion_end(struct qr_completion *c)
{
    pthread_mutex_lock(&c->lock);
    c->ended = true;
    if (!c->signalled) signal_on(c);
    pthread_mutex_unlock(&c->lock);
}

bool qr_completion_take(struct qr_completion *c, struct quire_event *event, bool *ended)
{
    free_taken(c);
    pthread_mutex_lock(&c->lock);
    struct qr_request *r = c->ready;
    if (!r) {
        if (ended) *ended = c->ended;
        if (c->signalled) signal_off(c);
        pthread_mutex_unlock(&c->lock);
        return false;
    }
    struct qr_event_node *node = r->events;
    r->events = node->next;
    c->ready = r->ready_next;
    r->ready = false;
    if (r->events) push_ready(c, r);
    pthread_mutex_unlock(&c->lock);

    *event = node->event;
    c->taken = node;
    if (node == &r->terminal) c->taken_whole = r;
    return true;
}
