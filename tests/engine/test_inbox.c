/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "runtime/engine/inbox.h"
#include "runtime/engine/request.h"
#include "support/engine.h"

enum { PUSHERS = 4, EACH = 5000 };

struct pusher {
    struct qr_inbox *inbox;
    struct qr_request *requests; /* [EACH] */
    uint32_t pushed;             /* until it was refused */
};

/* Goal: requests of one thread are taken in the order of pushing, once.
 * Method: push five, take twice. */
static void order_is_kept(void **state)
{
    struct qr_request *requests = calloc(5, sizeof *requests);
    struct qr_inbox inbox;

    (void)state;
    qr_inbox_init(&inbox);
    assert_null(qr_inbox_take(&inbox));
    for (int i = 0; i < 5; i++)
        assert_true(qr_inbox_push(&inbox, &requests[i]));
    struct qr_request *list = qr_inbox_take(&inbox);
    for (int i = 0; i < 5; i++, list = list->inbox_next)
        assert_ptr_equal(list, &requests[i]);
    assert_null(list);
    assert_null(qr_inbox_take(&inbox));
    free(requests);
}

/* Goal: a closed inbox refuses, and the close takes what was pushed.
 * Method: push, close, then push, take and close again. */
static void a_closed_inbox_refuses(void **state)
{
    struct qr_request *requests = calloc(2, sizeof *requests);
    struct qr_inbox inbox;

    (void)state;
    qr_inbox_init(&inbox);
    assert_true(qr_inbox_push(&inbox, &requests[0]));
    assert_ptr_equal(qr_inbox_close(&inbox), &requests[0]);
    assert_false(qr_inbox_push(&inbox, &requests[1]));
    assert_null(qr_inbox_take(&inbox));
    assert_null(qr_inbox_close(&inbox));
    assert_false(qr_inbox_push(&inbox, &requests[1]));
    free(requests);
}

static void *push_all(void *argument)
{
    struct pusher *p = argument;

    while (p->pushed < EACH && qr_inbox_push(p->inbox, &p->requests[p->pushed]))
        p->pushed++;
    return NULL;
}

/* Goal: with several pushers and a close, each request is either taken or refused.
 * Method: number each pusher's requests; those taken are its first ones, in order. */
static void a_close_among_pushers_loses_nothing(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 20; round++) {
        struct qr_inbox inbox;
        struct pusher pushers[PUSHERS];
        pthread_t threads[PUSHERS];
        uint32_t taken[PUSHERS] = {0}, all = 0;

        qr_inbox_init(&inbox);
        for (uint32_t p = 0; p < PUSHERS; p++) {
            pushers[p] = (struct pusher){&inbox, calloc(EACH, sizeof(struct qr_request)), 0};
            for (uint32_t i = 0; i < EACH; i++) {
                pushers[p].requests[i].id = p;
                pushers[p].requests[i].prompt_n = i;
            }
            pthread_create(&threads[p], NULL, push_all, &pushers[p]);
        }
        bool closed = false;
        while (!closed) {
            closed = all >= round * 800;
            struct qr_request *r = closed ? qr_inbox_close(&inbox) : qr_inbox_take(&inbox);
            if (!r) sched_yield();
            for (; r; r = r->inbox_next, all++)
                assert_int_equal(r->prompt_n, taken[r->id]++);
        }
        for (uint32_t p = 0; p < PUSHERS; p++) {
            pthread_join(threads[p], NULL);
            assert_int_equal(taken[p], pushers[p].pushed);
            free(pushers[p].requests);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(a_closed_inbox_refuses),
        cmocka_unit_test(a_close_among_pushers_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
