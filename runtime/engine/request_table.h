/* SPDX-License-Identifier: MIT */
/* request_table -- finds a request that has not ended by its id, so that it can be cancelled.
 *
 * While a thread holds the lock, no request in the table is freed, because the engine thread
 * removes a request before it makes the terminal event.  Nothing is allocated after init.
 *
 * Thread: any.  The lock is held for a walk along one chain.
 * Memory: the allocator given, once; the requests' own links. */
#ifndef QR_ENGINE_REQUEST_TABLE_H
#define QR_ENGINE_REQUEST_TABLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/quire.h"

struct qr_request;

struct qr_request_table {
    pthread_mutex_t lock;
    struct qr_request **chains; /* [chains_n], by id modulo chains_n, a power of two */
    uint32_t chains_n;
    uint32_t requests_n;
};

/* requests_n: an estimate of the requests at one time.  False: no memory. */
bool qr_request_table_init(struct qr_request_table *t, uint32_t requests_n,
                           const struct quire_allocator *allocator);
void qr_request_table_deinit(struct qr_request_table *t, const struct quire_allocator *allocator);

void qr_request_table_add(struct qr_request_table *t, struct qr_request *r);
void qr_request_table_remove(struct qr_request_table *t, struct qr_request *r);
uint32_t qr_request_table_count(struct qr_request_table *t);

/* Sets the cancelled flag of all choices of the request.  False: no live request has this id. */
bool qr_request_table_cancel(struct qr_request_table *t, quire_id id);
bool qr_request_table_has(struct qr_request_table *t, quire_id id);

#endif
