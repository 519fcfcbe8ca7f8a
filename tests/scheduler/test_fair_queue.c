/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "scheduler/fair_queue.h"
#include "sim_fair_queue.h"

#define SEQS_MAX 80u

/* A fair queue for so many requests, in memory of exactly that length. */
struct fair_table {
    struct qr_fair_queue queue;
    struct qr_fair_node *memory;
    uint32_t *buckets;
};

static void table_open(struct fair_table *t, uint32_t seqs_n)
{
    t->memory = malloc(qr_fair_queue_nodes_for(seqs_n) * sizeof t->memory[0]);
    t->buckets = malloc(qr_fair_queue_buckets_for(seqs_n) * sizeof t->buckets[0]);
    assert_true(t->memory && t->buckets);
    qr_fair_queue_init(&t->queue, t->memory, t->buckets, seqs_n);
    qr_fair_queue_check(&t->queue);
}

static void table_close(struct fair_table *t)
{
    free(t->memory);
    free(t->buckets);
}

static uint32_t join(struct fair_table *t, int32_t priority, uint64_t client, uint64_t user)
{
    const struct qr_submission submission = {
        .priority = priority, .client = {{client, 0}}, .user = {{user, 0}}};

    return qr_fair_queue_join(&t->queue, &submission);
}

/* One more of the user's requests waits, or one less. */
static void count(struct fair_table *t, uint32_t user, int change)
{
    struct qr_seq_list *waiting = &t->queue.nodes[user].waiting;

    if (change > 0 && waiting->n++ == 0) qr_fair_queue_enter(&t->queue, user);
    if (change < 0 && --waiting->n == 0) qr_fair_queue_exit(&t->queue, user);
}

static uint64_t client_counter(const struct fair_table *t, uint32_t user)
{
    return t->queue.nodes[t->queue.nodes[user].parent].counter;
}

/* A client sends one request, is charged for it, and leaves. */
static void come_and_go(struct fair_table *t, uint64_t client, uint64_t cost)
{
    uint32_t user = join(t, 0, client, 0);

    count(t, user, 1);
    qr_fair_queue_take(&t->queue, user);
    count(t, user, -1);
    qr_fair_queue_charge(&t->queue, user, cost);
    qr_fair_queue_leave(&t->queue, user);
    qr_fair_queue_check(&t->queue);
}

/* Goal: a full table drops the node that has been idle longest, and no other.  The dropped counter
 * starts anew, the other counters go on.
 * Method: room for two requests, so seven nodes with the root: one priority, two clients with a
 * user each, and one more.  Two further clients come. */
static void full_table_drops_the_longest_idle(void **state)
{
    struct fair_table t;
    uint32_t a, b;

    (void)state;
    table_open(&t, 2);
    come_and_go(&t, 1, 100);
    come_and_go(&t, 2, 200);
    a = join(&t, 0, 1, 0);
    assert_int_equal(client_counter(&t, a), 100);
    qr_fair_queue_leave(&t.queue, a); /* client 2 is now the longest idle */
    come_and_go(&t, 3, 0);            /* takes the last unused node and that of client 2's user */
    come_and_go(&t, 4, 0);            /* takes client 2's node */
    a = join(&t, 0, 1, 0);
    assert_int_equal(client_counter(&t, a), 100);
    b = join(&t, 0, 2, 0);
    assert_int_equal(client_counter(&t, b), 0);
    qr_fair_queue_check(&t.queue);
    table_close(&t);
}

/* Goal: as many requests as allowed, each with its own priority, client and user, all find room,
 * although idle nodes are remembered.
 * Method: fill the table with idle nodes and then with nodes in use, three times. */
static void nodes_in_use_always_find_room(void **state)
{
    struct fair_table t;
    uint32_t users[SEQS_MAX];

    (void)state;
    table_open(&t, SEQS_MAX);
    for (int32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < SEQS_MAX; i++) {
            users[i] = join(&t, (int32_t)i - 40 + 100 * round, i, i);
            count(&t, users[i], 1);
        }
        qr_fair_queue_check(&t.queue);
        for (uint32_t i = 0; i < SEQS_MAX; i++) {
            assert_int_equal(qr_fair_queue_next(&t.queue), users[i]);
            assert_int_equal(qr_fair_queue_priority(&t.queue, users[i]),
                             (int32_t)i - 40 + 100 * round);
            qr_fair_queue_take(&t.queue, users[i]);
            count(&t, users[i], -1);
            qr_fair_queue_leave(&t.queue, users[i]);
        }
        assert_int_equal(qr_fair_queue_next(&t.queue), QR_FAIR_NODE_NONE);
        qr_fair_queue_check(&t.queue);
    }
    table_close(&t);
}

/* Goal: a client that comes back is lifted to the least counter that waits.  If none waits, it is
 * lifted to the counter of the client taken last, also if that one was dropped.  A higher counter
 * stays as it is.
 * Method: a table for two requests. */
static void returning_client_is_lifted(void **state)
{
    struct fair_table t;
    uint32_t a, b;

    (void)state;
    table_open(&t, 2);
    a = join(&t, 0, 1, 0);
    count(&t, a, 1);
    qr_fair_queue_charge(&t.queue, a, 100);
    b = join(&t, 0, 2, 0);
    count(&t, b, 1);
    assert_int_equal(client_counter(&t, b), 100);
    qr_fair_queue_charge(&t.queue, b, 50);
    qr_fair_queue_take(&t.queue, b);
    count(&t, b, -1);
    count(&t, b, 1); /* above the least counter, and stays so */
    assert_int_equal(client_counter(&t, b), 150);
    count(&t, b, -1);
    count(&t, a, -1);
    count(&t, a, 1); /* none waits: b was taken last */
    assert_int_equal(client_counter(&t, a), 150);
    count(&t, a, -1);
    qr_fair_queue_leave(&t.queue, b);
    qr_fair_queue_charge(&t.queue, a, 1000);
    b = join(&t, 0, 3, 0);
    qr_fair_queue_leave(&t.queue, b);
    b = join(&t, 0, 4, 0); /* reuses the node of client 2, which was taken last */
    count(&t, b, 1);
    assert_int_equal(client_counter(&t, b), 150);
    qr_fair_queue_check(&t.queue);
    table_close(&t);
}

/* Goal: next is always the user that sim_fair_queue.h finds.
 * Method: random requests of many priorities, clients and users arrive, are taken, charged,
 * cancelled and end; compare both tables after each call. */
static void same_answers_as_a_plain_table(void **state)
{
    static struct sim_fair_queue plain;
    struct {
        bool live, waits;
        uint32_t user, plain;
    } seqs[SEQS_MAX] = {{0}};
    uint64_t random = 1;
    struct fair_table t;

    (void)state;
    table_open(&t, SEQS_MAX);
    sim_fair_queue_init(&plain, SEQS_MAX);
    for (uint32_t round = 0; round < 60000; round++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t i = (uint32_t)(random >> 33) % SEQS_MAX, what = (uint32_t)(random >> 55) % 8;
        uint32_t cost = (uint32_t)(random >> 40) % 64, spread = round / 4000 + 1;
        if (!seqs[i].live) {
            int32_t priority = (int32_t)(cost % (1 + spread / 4)) - 1;
            uint32_t client = (uint32_t)(random >> 12) % (6 * spread), user = what % 3;
            seqs[i].user = join(&t, priority, client, user);
            seqs[i].plain = sim_fair_queue_join(&plain, priority, client, user);
            count(&t, seqs[i].user, 1);
            sim_fair_queue_wait(&plain, seqs[i].plain);
            seqs[i].live = seqs[i].waits = true;
        } else if (what < 4 && !seqs[i].waits) {
            qr_fair_queue_charge(&t.queue, seqs[i].user, cost);
            sim_fair_queue_charge(&plain, seqs[i].plain, cost);
        } else if (what < 6) { /* ends, or is cancelled */
            if (seqs[i].waits) {
                count(&t, seqs[i].user, -1);
                sim_fair_queue_unwait(&plain, seqs[i].plain);
            }
            qr_fair_queue_leave(&t.queue, seqs[i].user);
            sim_fair_queue_leave(&plain, seqs[i].plain);
            seqs[i].live = seqs[i].waits = false;
        }
        uint32_t next = qr_fair_queue_next(&t.queue), expected = sim_fair_queue_next(&plain);
        assert_int_equal(next == QR_FAIR_NODE_NONE, expected == SIM_FAIR_NODE_NONE);
        for (uint32_t k = 0; k < SEQS_MAX; k++) {
            if (next == QR_FAIR_NODE_NONE || !seqs[k].waits || seqs[k].user != next) continue;
            assert_int_equal(seqs[k].plain, expected);
            if (what != 7) break;
            qr_fair_queue_take(&t.queue, next);
            count(&t, next, -1);
            qr_fair_queue_charge(&t.queue, next, cost);
            sim_fair_queue_take(&plain, expected);
            sim_fair_queue_charge(&plain, expected, cost);
            seqs[k].waits = false;
            break;
        }
        if (round % 16 == 0) qr_fair_queue_check(&t.queue);
    }
    table_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_table_drops_the_longest_idle),
        cmocka_unit_test(nodes_in_use_always_find_room),
        cmocka_unit_test(returning_client_is_lifted),
        cmocka_unit_test(same_answers_as_a_plain_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
