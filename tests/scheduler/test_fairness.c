/* SPDX-License-Identifier: MIT */
#include "fixture.h"
#include "scheduler/scheduler_internal.h"

/* running_max, waiting_max, step_tokens, prefill_chunk, context_max */
#define LIMITS(...) ((struct qr_scheduler_limits){__VA_ARGS__, .window = 0})
#define PAGE        16u
#define CLIENTS_MAX 8u

/* Requests of one kind, each of which ends after outputs_n tokens. */
struct request_kind {
    int32_t priority;
    uint32_t client, user;
    uint32_t prompt_n, outputs_n;
    const int32_t *text; /* NULL: no tree */
};

static qr_seq_id submit(struct fixture *f, const struct request_kind *kind)
{
    const struct qr_submission submission = {.tokens = &kind->text,
                                             .prompt_n = kind->prompt_n,
                                             .tokens_max = kind->prompt_n + kind->outputs_n,
                                             .priority = kind->priority,
                                             .client = {{kind->client, 7}},
                                             .user = {{kind->user, 9}}};
    qr_seq_id id = qr_scheduler_submit(f->s, &submission);

    assert_int_not_equal(id, QR_SEQ_NONE);
    qr_scheduler_check(f->s);
    return id;
}

/* Runs all requests to their ends, one at a time.  order gets the kinds in order of admission. */
static uint32_t run_all(struct fixture *f, const struct request_kind *const *kind_of,
                        uint32_t *order, const struct request_kind *kinds)
{
    uint32_t n = 0;

    while (qr_scheduler_running_n(f->s) + qr_scheduler_waiting_n(f->s) > 0) {
        qr_seq_id ends = QR_SEQ_NONE;
        fixture_plan(f);
        assert_int_equal(f->plan.items_n, 1);
        const struct request_kind *kind = kind_of[f->items[0].seq];
        if (f->plan.admitted_n > 0) order[n++] = (uint32_t)(kind - kinds);
        if (f->items[0].position + f->items[0].tokens_n == kind->prompt_n + kind->outputs_n - 1)
            ends = f->items[0].seq;
        fixture_commit(f, ends);
    }
    return n;
}

/* Goal: the lower priority number is admitted first, whenever it came; equal ones by arrival.
 * Method: one slot; negative, extreme and equal priorities. */
static void lower_priority_goes_first(void **state)
{
    const struct request_kind kinds[] = {{5, 0, 0, 4, 2, NULL},         {-1, 0, 0, 4, 2, NULL},
                                         {INT32_MAX, 0, 0, 4, 2, NULL}, {0, 0, 0, 4, 2, NULL},
                                         {INT32_MIN, 0, 0, 4, 2, NULL}, {-1, 0, 0, 4, 2, NULL}};
    const uint32_t expected[] = {4, 1, 5, 3, 0, 2};
    const struct request_kind *kind_of[16];
    uint32_t order[16];
    struct fixture f;

    (void)state;
    fixture_open(&f, LIMITS(1, 8, 64, 0, 64), 8, PAGE);
    for (uint32_t i = 0; i < 6; i++)
        kind_of[submit(&f, &kinds[i])] = &kinds[i];
    assert_int_equal(run_all(&f, kind_of, order, kinds), 6);
    assert_memory_equal(order, expected, sizeof expected);
    fixture_close(&f);
}

/* Counts the admissions of each kind among the first `first_n`.  There is one slot; `each_n`
 * requests of every kind are submitted before the first step, kind by kind. */
static void admitted_of(const struct request_kind *kinds, uint32_t kinds_n, uint32_t each_n,
                        uint32_t first_n, uint32_t *counts)
{
    static const struct request_kind *kind_of[256];
    static uint32_t order[256];
    struct fixture f;

    fixture_open(&f, LIMITS(1, 255, 64, 0, 64), 8, PAGE);
    for (uint32_t k = 0; k < kinds_n; k++)
        for (uint32_t i = 0; i < each_n; i++)
            kind_of[submit(&f, &kinds[k])] = &kinds[k];
    assert_int_equal(run_all(&f, kind_of, order, kinds), kinds_n * each_n);
    memset(counts, 0, kinds_n * sizeof counts[0]);
    for (uint32_t i = 0; i < first_n; i++)
        counts[order[i]]++;
    fixture_close(&f);
}

/* Goal: waiting clients are served the same number of tokens; an output token counts as two input
 * tokens.
 * Method: prompts of 4 tokens with 10 of answer against 22 with 1, and 46 with 1: costs of 24, 24
 * and 48. */
static void clients_are_served_alike(void **state)
{
    const struct request_kind kinds[] = {
        {0, 1, 0, 4, 10, NULL}, {0, 2, 0, 22, 1, NULL}, {0, 3, 0, 46, 1, NULL}};
    uint32_t counts[3];

    (void)state;
    admitted_of(kinds, 3, 60, 100, counts);
    assert_int_equal(counts[0], 40);
    assert_int_equal(counts[1], 40);
    assert_int_equal(counts[2], 20);
}

/* Goal: a client's users divide its share and get no more.
 * Method: one client with one user, one with two; each client gets half, each of the two users a
 * quarter. */
static void users_divide_their_clients_share(void **state)
{
    const struct request_kind kinds[] = {
        {0, 1, 1, 10, 5, NULL}, {0, 2, 1, 10, 5, NULL}, {0, 2, 2, 10, 5, NULL}};
    uint32_t counts[3];

    (void)state;
    admitted_of(kinds, 3, 60, 80, counts);
    assert_int_equal(counts[0], 40);
    assert_int_equal(counts[1], 20);
    assert_int_equal(counts[2], 20);
}

/* Goal: fair shares are within a priority; across priorities there are none.
 * Method: one client with all requests of the lower priority number. */
static void priority_comes_before_fairness(void **state)
{
    const struct request_kind kinds[] = {
        {3, 1, 0, 10, 5, NULL}, {2, 2, 0, 10, 5, NULL}, {3, 3, 0, 10, 5, NULL}};
    uint32_t counts[3];

    (void)state;
    admitted_of(kinds, 3, 40, 60, counts);
    assert_int_equal(counts[1], 40);
    assert_int_equal(counts[0], 10);
    assert_int_equal(counts[2], 10);
}

/* Goal: 1,000 queued requests of one client do not delay another's first request: it is the next
 * to be admitted, whether a slot or pages were short.
 * Method: four slots, or pages for about four; one of the many requests ends. */
static void thousand_queued_do_not_delay_anothers_first(void **state)
{
    const struct request_kind many = {0, 1, 0, 15, 33, NULL}, other = {0, 2, 0, 15, 33, NULL};

    (void)state;
    for (uint32_t by_pages = 0; by_pages < 2; by_pages++) {
        struct fixture f;
        qr_seq_id first[4], id, only;

        fixture_open(&f, LIMITS(by_pages ? 40 : 4, 1100, 128, 0, 64), by_pages ? 4 : 64, PAGE);
        for (uint32_t i = 0; i < 1000; i++) {
            id = submit(&f, &many);
            if (i < 4) first[i] = id;
        }
        fixture_step(&f);
        assert_int_equal(qr_scheduler_running_n(f.s), 4);
        only = submit(&f, &other);
        fixture_plan(&f);
        assert_state(&f, only, QR_SEQ_WAITING);
        fixture_commit(&f, first[0]);
        fixture_plan(&f);
        if (by_pages) { /* all four need a second page by then, and there are pages for two */
            while (qr_scheduler_state(f.s, only) == QR_SEQ_WAITING) {
                assert_int_equal(f.plan.admitted_n, 0);
                fixture_commit(&f, f.items[0].seq);
                fixture_plan(&f);
                if (f.plan.admitted_n > 0) break;
            }
        }
        assert_state(&f, only, QR_SEQ_RUNNING);
        fixture_commit(&f, QR_SEQ_NONE);
        for (id = 0; id < 1140; id++)
            if (id < (by_pages ? 1140u : 1104u) && qr_scheduler_state(f.s, id) != QR_SEQ_FREE)
                qr_scheduler_cancel(f.s, id);
        fixture_close(&f);
    }
}

/* Goal: a client that was away has saved up no service, and a client that was served alone is not
 * behind.
 * Method: one client is served alone, with and without a queue; then another comes, and they are
 * served alternately. */
static void away_saves_nothing(void **state)
{
    const struct request_kind kinds[] = {{0, 1, 0, 10, 8, NULL}, {0, 2, 0, 10, 8, NULL}};

    (void)state;
    for (uint32_t before_n = 1; before_n <= 40; before_n += 13) {
        const struct request_kind *kind_of[64];
        uint32_t order[64];
        struct fixture f;

        fixture_open(&f, LIMITS(1, 60, 64, 0, 64), 8, PAGE);
        for (uint32_t i = 0; i < before_n; i++)
            kind_of[submit(&f, &kinds[0])] = &kinds[0];
        assert_int_equal(run_all(&f, kind_of, order, kinds), before_n);
        for (uint32_t i = 0; i < 20; i++)
            kind_of[submit(&f, &kinds[i / 10])] = &kinds[i / 10];
        assert_int_equal(run_all(&f, kind_of, order, kinds), 20);
        for (uint32_t i = 0; i + 1 < 20; i += 2)
            assert_int_equal(order[i] + order[i + 1], 1);
        fixture_close(&f);
    }
}

/* Goal: cached tokens of a prompt are not charged.
 * Method: two clients with prompts of equal length and short answers.  One's prompts are cached
 * except for the last token, the other's are always new.  The first is served many more. */
static void cached_tokens_are_not_charged(void **state)
{
    static int32_t texts[41][40];
    static struct request_kind kinds[80];
    const struct request_kind *kind_of[81];
    uint32_t order[81], known_n = 0;
    struct fixture f;

    (void)state;
    for (uint32_t i = 0; i < 41; i++)
        for (uint32_t k = 0; k < 40; k++)
            texts[i][k] = (int32_t)(i * 100 + k);
    fixture_open_tree(&f, LIMITS(1, 80, 64, 0, 64), 160, PAGE);
    for (uint32_t i = 0; i < 80; i++)
        kinds[i] = (struct request_kind){0, i % 2, 0, 40, 1, texts[i % 2 == 0 ? 0 : 1 + i / 2]};
    kind_of[submit(&f, &kinds[0])] = &kinds[0];
    assert_int_equal(run_all(&f, kind_of, order, kinds), 1); /* now it is cached */
    for (uint32_t i = 0; i < 80; i++)
        kind_of[submit(&f, &kinds[i])] = &kinds[i];
    assert_int_equal(run_all(&f, kind_of, order, kinds), 80);
    for (uint32_t i = 0; i < 42; i++)
        known_n += order[i] % 2 == 0;
    assert_true(known_n >= 38);
    fixture_close(&f);
}

/* Goal: if no page is left, a sequence of the lowest priority is preempted, also if it was
 * admitted first; among equals the latest one.
 * Method: three sequences of one page each in a pool of four; all need a second page at once. */
static void lowest_priority_is_preempted(void **state)
{
    const struct request_kind low = {9, 1, 0, 16, 48, NULL}, high = {1, 1, 0, 16, 48, NULL};
    qr_seq_id a, b, c;
    struct fixture f;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 64, 0, 64), 4, PAGE);
    a = submit(&f, &low);
    fixture_step(&f);
    b = submit(&f, &high);
    c = submit(&f, &high);
    fixture_cancel(&f, a);
    a = submit(&f, &low);
    fixture_step(&f);
    fixture_step(&f);
    assert_int_equal(f.plan.preempted_n, 1);
    assert_state(&f, a, QR_SEQ_WAITING);
    assert_item(&f, 0, b, 16, 1, true);
    assert_item(&f, 1, c, 16, 1, true);
    for (qr_seq_id id = 0; id < 3; id++)
        fixture_cancel(&f, id);
    fixture_close(&f);

    fixture_open(&f, LIMITS(4, 4, 64, 0, 64), 4, PAGE);
    a = submit(&f, &low);
    fixture_plan(&f);
    fixture_commit(&f, QR_SEQ_NONE);
    b = submit(&f, &high);
    fixture_plan(&f); /* the low one takes its second page: it was admitted first */
    fixture_commit(&f, QR_SEQ_NONE);
    assert_state(&f, b, QR_SEQ_RUNNING);
    fixture_plan(&f);
    assert_item(&f, 0, b, 16, 1, true); /* it comes before the low one now */
    assert_item(&f, 1, a, 17, 1, true);
    fixture_commit(&f, QR_SEQ_NONE);
    c = submit(&f, &high);
    while (qr_scheduler_state(f.s, a) == QR_SEQ_RUNNING)
        fixture_step(&f);
    assert_state(&f, b, QR_SEQ_RUNNING);
    fixture_cancel(&f, a);
    fixture_cancel(&f, b);
    fixture_cancel(&f, c);
    fixture_close(&f);
}

/* Goal: a preempted sequence comes back before sequences of its priority that never ran, whatever
 * the fair queue says, and after those of a lower priority number.
 * Method: one preempted sequence, a fresh one of another client that was charged nothing, and one
 * of each neighbouring priority. */
static void preempted_come_back_within_their_priority(void **state)
{
    const struct request_kind kind = {5, 1, 0, 16, 32, NULL}, equal = {5, 2, 0, 1, 9, NULL};
    const struct request_kind lower = {4, 2, 0, 1, 9, NULL};
    qr_seq_id a, b, c, d;
    struct fixture f;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 64, 0, 64), 3, PAGE);
    a = submit(&f, &kind);
    b = submit(&f, &kind);
    fixture_step(&f);
    fixture_step(&f);
    assert_state(&f, b, QR_SEQ_WAITING);
    c = submit(&f, &equal);
    fixture_step(&f);
    assert_state(&f, c, QR_SEQ_WAITING);
    d = submit(&f, &lower);
    fixture_step(&f);
    assert_state(&f, d, QR_SEQ_RUNNING);
    assert_state(&f, b, QR_SEQ_WAITING);
    fixture_cancel(&f, a);
    fixture_cancel(&f, d);
    fixture_plan(&f);
    assert_int_equal(f.plan.admitted_n, 2);
    assert_item(&f, 0, b, 0, 17, true);
    assert_item(&f, 1, c, 0, 1, true);
    fixture_commit(&f, QR_SEQ_NONE);
    fixture_cancel(&f, b);
    fixture_cancel(&f, c);
    fixture_close(&f);
}

/* Goal: a step that preempts admits no sequence.
 * Method: a sequence of a lower priority waits only for a slot, and a preemption frees one. */
static void nobody_is_admitted_in_a_step_that_preempts(void **state)
{
    const struct request_kind kind = {5, 1, 0, 16, 32, NULL}, first = {0, 1, 0, 1, 9, NULL};
    struct fixture f;
    qr_seq_id a, b, c;

    (void)state;
    fixture_open(&f, LIMITS(2, 4, 64, 0, 64), 3, PAGE);
    a = submit(&f, &kind);
    b = submit(&f, &kind);
    fixture_step(&f);
    c = submit(&f, &first);
    fixture_plan(&f);
    assert_int_equal(f.plan.preempted_n, 1);
    assert_int_equal(f.plan.admitted_n, 0);
    assert_state(&f, c, QR_SEQ_WAITING);
    fixture_commit(&f, QR_SEQ_NONE);
    fixture_step(&f);
    assert_state(&f, c, QR_SEQ_RUNNING);
    assert_state(&f, b, QR_SEQ_WAITING);
    fixture_cancel(&f, a);
    fixture_cancel(&f, b);
    fixture_cancel(&f, c);
    fixture_close(&f);
}

static uint64_t counter_of(const struct fixture *f, qr_seq_id id)
{
    return qr_fair_queue_counter(&f->s->fair, f->s->seqs[id].user_node);
}

/* Goal: tokens that are computed again after a preemption are not charged, neither prompt nor
 * answer.
 * Method: a prompt of 15 that has generated two tokens is preempted and comes back. */
static void recomputed_tokens_are_not_charged(void **state)
{
    const struct request_kind x = {0, 1, 0, 16, 32, NULL}, y = {0, 2, 0, 15, 33, NULL};
    qr_seq_id a, b;
    struct fixture f;

    (void)state;
    fixture_open(&f, LIMITS(2, 4, 64, 0, 64), 3, PAGE);
    a = submit(&f, &x);
    b = submit(&f, &y);
    fixture_steps(&f, 3);
    assert_state(&f, b, QR_SEQ_WAITING);
    assert_int_equal(counter_of(&f, a), 16 + 2 * 3);
    assert_int_equal(counter_of(&f, b), 15 + 2 * 2);
    fixture_cancel(&f, a);
    fixture_step(&f);
    assert_item(&f, 0, b, 0, 17, true);
    assert_int_equal(counter_of(&f, b), 15 + 2 * 3);
    fixture_cancel(&f, b);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lower_priority_goes_first),
        cmocka_unit_test(clients_are_served_alike),
        cmocka_unit_test(users_divide_their_clients_share),
        cmocka_unit_test(priority_comes_before_fairness),
        cmocka_unit_test(thousand_queued_do_not_delay_anothers_first),
        cmocka_unit_test(away_saves_nothing),
        cmocka_unit_test(cached_tokens_are_not_charged),
        cmocka_unit_test(lowest_priority_is_preempted),
        cmocka_unit_test(preempted_come_back_within_their_priority),
        cmocka_unit_test(nobody_is_admitted_in_a_step_that_preempts),
        cmocka_unit_test(recomputed_tokens_are_not_charged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
