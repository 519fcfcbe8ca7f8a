/* SPDX-License-Identifier: MIT */
#include "runtime/engine/request_table.h"

#include <assert.h>

#include "runtime/base/memory.h"
#include "runtime/engine/request.h"

static struct qr_request **chain_of(struct qr_request_table *t, quire_id id)
{
    return &t->chains[id & (t->chains_n - 1)];
}

bool qr_request_table_init(struct qr_request_table *t, uint32_t requests_n,
                           const struct quire_allocator *allocator)
{
    t->chains_n = 64;
    while (t->chains_n < requests_n && t->chains_n < 65536)
        t->chains_n *= 2;
    t->requests_n = 0;
    t->chains = qr_alloc_zero(allocator, t->chains_n, sizeof(struct qr_request *));
    if (!t->chains) return false;
    if (pthread_mutex_init(&t->lock, NULL)) {
        qr_free(allocator, t->chains);
        t->chains = NULL;
        return false;
    }
    return true;
}

void qr_request_table_deinit(struct qr_request_table *t, const struct quire_allocator *allocator)
{
    if (!t->chains) return;
    assert(t->requests_n == 0);
    pthread_mutex_destroy(&t->lock);
    qr_free(allocator, t->chains);
    t->chains = NULL;
}

void qr_request_table_add(struct qr_request_table *t, struct qr_request *r)
{
    pthread_mutex_lock(&t->lock);
    struct qr_request **chain = chain_of(t, r->id);
    r->table_next = *chain;
    *chain = r;
    t->requests_n++;
    pthread_mutex_unlock(&t->lock);
}

void qr_request_table_remove(struct qr_request_table *t, struct qr_request *r)
{
    pthread_mutex_lock(&t->lock);
    struct qr_request **link = chain_of(t, r->id);
    while (*link != r) {
        assert(*link);
        link = &(*link)->table_next;
    }
    *link = r->table_next;
    t->requests_n--;
    pthread_mutex_unlock(&t->lock);
}

uint32_t qr_request_table_count(struct qr_request_table *t)
{
    pthread_mutex_lock(&t->lock);
    uint32_t n = t->requests_n;
    pthread_mutex_unlock(&t->lock);
    return n;
}

bool qr_request_table_cancel(struct qr_request_table *t, quire_id id)
{
    pthread_mutex_lock(&t->lock);
    bool found = false;
    for (struct qr_request *r = *chain_of(t, id); r; r = r->table_next) {
        if (r->id != id) continue;
        atomic_store_explicit(&r->cancelled, true, memory_order_relaxed);
        found = true;
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

bool qr_request_table_has(struct qr_request_table *t, quire_id id)
{
    pthread_mutex_lock(&t->lock);
    struct qr_request *r = *chain_of(t, id);
    while (r && r->id != id)
        r = r->table_next;
    pthread_mutex_unlock(&t->lock);
    return r != NULL;
}
