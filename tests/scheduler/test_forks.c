/* SPDX-License-Identifier: MIT */
/* Sequences that start with another's pages: groups with one prompt, and forks. */
#include "fixture.h"

/* running_max, waiting_max, step_tokens, prefill_chunk, context_max */
#define LIMITS(...) ((struct qr_scheduler_limits){__VA_ARGS__, .window = 0})
#define PAGE        16u
#define GROUP_MAX   8u

static qr_seq_id attach(struct fixture *f, qr_seq_id leader)
{
    qr_seq_id id = qr_scheduler_attach(f->s, leader, NULL);

    assert_int_not_equal(id, QR_SEQ_NONE);
    assert_state(f, id, QR_SEQ_ATTACHED);
    qr_scheduler_check(f->s);
    return id;
}

/* n sequences with one prompt; ids[0] is the leader. */
static void submit_group(struct fixture *f, uint32_t n, uint32_t prompt_n, uint32_t tokens_max,
                         qr_seq_id *ids)
{
    ids[0] = fixture_submit(f, prompt_n, tokens_max);
    for (uint32_t i = 1; i < n; i++)
        ids[i] = attach(f, ids[0]);
}

static qr_seq_id fork_of(struct fixture *f, qr_seq_id parent, uint32_t known_n, uint32_t tokens_max)
{
    const struct qr_submission submission = {.prompt_n = known_n, .tokens_max = tokens_max};
    qr_seq_id id = qr_scheduler_fork(f->s, parent, &submission);

    assert_int_not_equal(id, QR_SEQ_NONE);
    qr_scheduler_check(f->s);
    return id;
}

static void cancel_all(struct fixture *f, const qr_seq_id *ids, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        fixture_cancel(f, ids[i]);
}

/* Goal: a group computes its prompt once, then each sequence goes on by itself.  All but the last
 * writer copy the page in which the prompt ends; a full page is never copied.
 * Method: groups of four; prompts that end inside a page and at its edge. */
static void prompt_is_computed_once(void **state)
{
    (void)state;
    for (uint32_t prompt_n = 31; prompt_n <= 33; prompt_n++) {
        struct fixture f;
        qr_seq_id ids[4];

        fixture_open(&f, LIMITS(4, 8, 64, 0, 128), 16, PAGE);
        submit_group(&f, 4, prompt_n, 80, ids);
        fixture_plan(&f);
        assert_int_equal(f.plan.items_n, 1);
        assert_item(&f, 0, ids[0], 0, prompt_n, true);
        assert_int_equal(qr_scheduler_attached_n(f.s), 3);
        fixture_commit(&f, QR_SEQ_NONE);
        assert_int_equal(qr_scheduler_running_n(f.s), 4);
        assert_int_equal(f.world.pool.shared_n, (prompt_n + PAGE - 1) / PAGE);
        fixture_plan(&f);
        for (uint32_t i = 0; i < 4; i++)
            assert_item(&f, i, ids[i], prompt_n, 1, true);
        assert_int_equal(fixture_stats(&f).page_copies, prompt_n % PAGE == 0 ? 0 : 3);
        assert_int_equal(f.world.pool.shared_n, prompt_n / PAGE);
        assert_int_equal(fixture_stats(&f).forks, 3);
        fixture_commit(&f, QR_SEQ_NONE);
        cancel_all(&f, ids, 4);
        fixture_close(&f);
    }
}

/* Goal: a group is admitted when there is a slot for each of its sequences.  Until then it waits
 * whole and is not overtaken.
 * Method: two of four slots are in use; a group of three comes, then one sequence; all wait until
 * one more slot is free. */
static void group_is_admitted_whole(void **state)
{
    struct fixture f;
    qr_seq_id a, b, group[3], later;

    (void)state;
    fixture_open(&f, LIMITS(4, 8, 64, 0, 128), 32, PAGE);
    a = fixture_submit(&f, 4, 60);
    b = fixture_submit(&f, 4, 60);
    fixture_step(&f);
    submit_group(&f, 3, 4, 60, group);
    later = fixture_submit(&f, 4, 60);
    fixture_step(&f);
    assert_state(&f, group[0], QR_SEQ_WAITING);
    assert_state(&f, later, QR_SEQ_WAITING);
    fixture_cancel(&f, b);
    fixture_step(&f);
    assert_int_equal(qr_scheduler_running_n(f.s), 4);
    assert_state(&f, group[2], QR_SEQ_RUNNING);
    assert_state(&f, later, QR_SEQ_WAITING);
    cancel_all(&f, group, 3);
    cancel_all(&f, (qr_seq_id[]){a, later}, 2);
    fixture_close(&f);
}

/* Goal: slots are kept for attached sequences while the leader computes the prompt.
 * Method: a group of three with a prompt of two steps in four slots; two more sequences come. */
static void slots_are_kept_for_the_attached(void **state)
{
    struct fixture f;
    qr_seq_id group[3], one, two;

    (void)state;
    fixture_open(&f, LIMITS(4, 8, 64, 20, 128), 32, PAGE);
    submit_group(&f, 3, 40, 60, group);
    one = fixture_submit(&f, 4, 60);
    two = fixture_submit(&f, 4, 60);
    fixture_step(&f);
    assert_state(&f, one, QR_SEQ_RUNNING);
    assert_state(&f, two, QR_SEQ_WAITING);
    fixture_step(&f);
    assert_int_equal(qr_scheduler_running_n(f.s), 4);
    cancel_all(&f, group, 3);
    cancel_all(&f, (qr_seq_id[]){one, two}, 2);
    fixture_close(&f);
}

/* Goal: if others run, a group is admitted only if each of its sequences but one will find a page
 * to copy into.  If none runs, the pages of its prompt suffice.
 * Method: a group of three with prompts of 2 pages: after another sequence in a pool of 5 pages,
 * then alone in a pool of 2. */
static void group_leaves_room_to_part(void **state)
{
    struct fixture f;
    qr_seq_id a, group[3];

    (void)state;
    fixture_open(&f, LIMITS(4, 8, 64, 0, 64), 5, PAGE);
    a = fixture_submit(&f, 20, 30);
    fixture_step(&f);
    submit_group(&f, 3, 20, 60, group); /* 2 pages, and 2 for copies: there are 3 */
    fixture_step(&f);
    assert_state(&f, group[0], QR_SEQ_WAITING);
    fixture_cancel(&f, a);
    fixture_step(&f);
    assert_state(&f, group[2], QR_SEQ_RUNNING);
    cancel_all(&f, group, 3);
    fixture_close(&f);

    fixture_open(&f, LIMITS(4, 8, 64, 0, 32), 2, PAGE);
    submit_group(&f, 3, 20, 30, group);
    fixture_step(&f);
    assert_state(&f, group[2], QR_SEQ_RUNNING);
    cancel_all(&f, group, 3);
    fixture_close(&f);
}

/* Goal: if there is no page to copy into, the latest of a group is preempted and comes back by
 * itself.  All sequences end.
 * Method: four sequences of 20 + 12 tokens in a pool of three pages. */
static void group_parts_as_pages_allow(void **state)
{
    struct fixture f;
    qr_seq_id group[4];
    uint32_t left_n = 4, steps_n = 0;

    (void)state;
    fixture_open(&f, LIMITS(4, 8, 64, 0, 48), 3, PAGE);
    submit_group(&f, 4, 20, 32, group);
    for (; left_n > 0; steps_n++) {
        struct qr_result results[FIXTURE_ITEMS] = {0};
        assert_true(steps_n < 200);
        fixture_plan(&f);
        for (uint32_t i = 0; i < f.plan.items_n; i++)
            results[i].finished = f.items[i].position + f.items[i].tokens_n == 31;
        for (uint32_t i = 0; i < f.plan.items_n; i++)
            left_n -= results[i].finished;
        qr_scheduler_commit(f.s, results, f.plan.items_n);
        qr_scheduler_check(f.s);
    }
    assert_true(fixture_stats(&f).preemptions > 0);
    fixture_close(&f);
}

/* Goal: if a leader ends early, the first attached sequence takes over its state and pages.  An
 * attached sequence that ends leaves nothing changed.
 * Method: cancel the leader in the queue, in its prefill and at its first token; cancel an
 * attached sequence. */
static void next_takes_the_leaders_place(void **state)
{
    struct fixture f;
    qr_seq_id group[5], later;

    (void)state;
    fixture_open(&f, LIMITS(5, 8, 64, 20, 128), 32, PAGE);
    submit_group(&f, 5, 60, 80, group);
    later = fixture_submit(&f, 4, 60);
    fixture_cancel(&f, group[0]);
    assert_state(&f, group[1], QR_SEQ_WAITING);
    fixture_step(&f);
    assert_state(&f, group[1], QR_SEQ_RUNNING);
    fixture_cancel(&f, group[3]);
    fixture_cancel(&f, group[1]);
    fixture_plan(&f);
    assert_item(&f, 1, group[2], 20, 20, false);
    fixture_commit(&f, group[2]); /* ends in its prefill */
    fixture_plan(&f);
    assert_item(&f, 1, group[4], 40, 20, true);
    fixture_commit(&f, QR_SEQ_NONE);
    assert_int_equal(fixture_stats(&f).computed_tokens, 60 + 4 + 2);
    assert_int_equal(qr_scheduler_attached_n(f.s), 0);
    cancel_all(&f, (qr_seq_id[]){group[4], later}, 2);
    fixture_close(&f);
}

/* Goal: a leader that ends with its first token still forks the others.  Attached sequences that
 * were cancelled between plan and commit do not run.
 * Method: a group of three; between plan and commit one attached sequence is cancelled, and the
 * leader finishes at the commit. */
static void first_token_may_be_the_last(void **state)
{
    struct fixture f;
    qr_seq_id group[3];

    (void)state;
    fixture_open(&f, LIMITS(4, 8, 64, 0, 128), 32, PAGE);
    submit_group(&f, 3, 20, 60, group);
    fixture_plan(&f);
    qr_scheduler_cancel(f.s, group[1]);
    fixture_commit(&f, group[0]);
    assert_state(&f, group[0], QR_SEQ_FREE);
    assert_state(&f, group[1], QR_SEQ_FREE);
    fixture_plan(&f);
    assert_int_equal(f.plan.items_n, 1);
    assert_item(&f, 0, group[2], 20, 1, true);
    assert_int_equal(fixture_stats(&f).page_copies, 0);
    fixture_commit(&f, group[2]);
    fixture_close(&f);
}

/* Goal: attached sequences count in waiting_max.
 * Method: a group of three in a queue of four, then one more; the next submit is refused. */
static void attached_count_in_the_queue(void **state)
{
    struct fixture f;
    qr_seq_id group[3];

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 64, 0, 64), 16, PAGE);
    submit_group(&f, 3, 20, 60, group);
    assert_int_equal(qr_scheduler_room_n(f.s), 1);
    attach(&f, group[0]);
    assert_int_equal(qr_scheduler_room_n(f.s), 0);
    assert_int_equal(try_submit(f.s, 4, 8), QR_SEQ_NONE);
    for (uint32_t i = 0; i < 4; i++)
        fixture_cancel(&f, group[0] + i);
    fixture_close(&f);
}

/* Goal: a generating sequence is forked at once if a slot is free and the queue is empty.  Nothing
 * is computed again, and one of the two copies a partly filled last page.
 * Method: fork inside a page and at its edge. */
static void fork_shares_what_was_computed(void **state)
{
    (void)state;
    for (uint32_t generated_n = 11; generated_n <= 13; generated_n++) {
        struct fixture f;
        qr_seq_id a, b;

        fixture_open(&f, LIMITS(4, 4, 64, 0, 128), 16, PAGE);
        a = fixture_submit(&f, 20, 60);
        fixture_steps(&f, 1 + generated_n);
        b = fork_of(&f, a, 21 + generated_n, 70);
        assert_state(&f, b, QR_SEQ_RUNNING);
        fixture_plan(&f);
        assert_item(&f, 0, a, 20 + generated_n, 1, true);
        assert_item(&f, 1, b, 20 + generated_n, 1, true);
        assert_int_equal(fixture_stats(&f).page_copies, (20 + generated_n) % PAGE != 0);
        fixture_commit(&f, a);
        fixture_step(&f);
        fixture_cancel(&f, b);
        fixture_close(&f);
    }
}

/* Goal: a fork waits like any submitted sequence if the queue is not empty, no slot is free, or
 * the parent is still in its prefill.
 * Method: two slots; one fork for each of the three reasons. */
static void fork_overtakes_nobody(void **state)
{
    struct fixture f;
    qr_seq_id a, b, c, d;

    (void)state;
    fixture_open(&f, LIMITS(2, 8, 32, 8, 128), 16, PAGE);
    a = fixture_submit(&f, 20, 60);
    fixture_step(&f);
    b = fork_of(&f, a, 20, 60); /* in its prefill */
    assert_state(&f, b, QR_SEQ_WAITING);
    fixture_steps(&f, 4);
    assert_state(&f, b, QR_SEQ_RUNNING);
    c = fork_of(&f, a, 23, 60); /* no free slot */
    assert_state(&f, c, QR_SEQ_WAITING);
    fixture_cancel(&f, b);
    d = fork_of(&f, a, 23, 60); /* the queue is not empty */
    assert_state(&f, d, QR_SEQ_WAITING);
    fixture_step(&f);
    assert_state(&f, c, QR_SEQ_RUNNING);
    cancel_all(&f, (qr_seq_id[]){a, c, d}, 3);
    fixture_close(&f);
}

/* Goal: a fork goes on without a page to copy into if only the tree reads its last page besides:
 * the tree gives up that partly filled page.
 * Method: one page in all; the parent ends inside it and publishes it. */
static void last_page_is_taken_back_from_the_tree(void **state)
{
    static const int32_t tokens[PAGE];
    const int32_t *first = tokens;
    struct qr_submission submission = {.tokens = &first, .prompt_n = 6, .tokens_max = 16};
    struct fixture f;
    qr_seq_id a, b;

    (void)state;
    fixture_open_tree(&f, LIMITS(2, 4, 64, 0, 16), 1, PAGE);
    a = qr_scheduler_submit(f.s, &submission);
    fixture_step(&f);
    submission.prompt_n = 7;
    b = qr_scheduler_fork(f.s, a, &submission);
    assert_state(&f, b, QR_SEQ_RUNNING);
    fixture_cancel(&f, a);
    fixture_plan(&f);
    assert_item(&f, 0, b, 6, 1, true);
    assert_int_equal(fixture_stats(&f).preemptions, 0);
    fixture_commit(&f, b);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompt_is_computed_once),
        cmocka_unit_test(group_is_admitted_whole),
        cmocka_unit_test(slots_are_kept_for_the_attached),
        cmocka_unit_test(group_leaves_room_to_part),
        cmocka_unit_test(group_parts_as_pages_allow),
        cmocka_unit_test(next_takes_the_leaders_place),
        cmocka_unit_test(first_token_may_be_the_last),
        cmocka_unit_test(attached_count_in_the_queue),
        cmocka_unit_test(fork_shares_what_was_computed),
        cmocka_unit_test(fork_overtakes_nobody),
        cmocka_unit_test(last_page_is_taken_back_from_the_tree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
