/* SPDX-License-Identifier: MIT */
/* The order of admission, by priority, client and end user. */
#include "support/engine.h"

#define REQUESTS_MAX 16u
#define HOLDER_N     800u

static const int32_t prompt[] = {1, 5, 9, 13, 17, 21, 25, 29};

/* One of a crowd for a single slot. */
struct turn {
    const char *client, *end_user;
    int32_t priority;
};

static struct quire_text text_of(const char *text)
{
    return (struct quire_text){text, text ? strlen(text) : 0};
}

static struct quire_request request_of(const struct turn *turn)
{
    struct quire_request r = greedy(prompt, 8, 12);

    r.client = text_of(turn->client);
    r.end_user = text_of(turn->end_user);
    r.priority = turn->priority;
    return r;
}

/* Submits all while another request has the only slot.  order: their numbers in the order in which
 * they ended.  Each has the answer of a single request.  False: the holder ended too early. */
static bool try_order(quire_engine *engine, const struct turn *turns, uint32_t n, uint32_t *order)
{
    struct answer *alone = run(engine, greedy(prompt, 8, 12));
    struct quire_request hold = greedy(prompt, 8, HOLDER_N);
    hold.client = text_of("holder"); /* no other request is charged for it */
    struct answer *holder = submit(engine, hold), *answers[REQUESTS_MAX];
    struct quire_event event;
    uint32_t ended_n = 0;

    /* After its first event it has the slot. */
    assert_int_equal(quire_wait(engine, &event, WAIT_MS), 1);
    assert_ptr_equal(take(&event), holder);
    for (uint32_t i = 0; i < n; i++)
        answers[i] = submit(engine, request_of(&turns[i]));
    while (quire_next(engine, &event) == 1)
        ended_n += (uint32_t)take(&event)->terminals_n;
    bool held = ended_n == 0;
    if (held) assert_int_equal(quire_cancel(engine, holder->id), QUIRE_OK);
    for (uint32_t at = 0; ended_n < n + 1;) {
        assert_int_equal(quire_wait(engine, &event, WAIT_MS), 1);
        const struct answer *of = take(&event);
        if (!of->terminals_n) continue;
        ended_n++;
        for (uint32_t i = 0; i < n; i++)
            if (answers[i] == of) order[at++] = i;
    }
    for (uint32_t i = 0; i < n; i++) {
        assert_same(answers[i], alone);
        free(answers[i]);
    }
    free(holder);
    free(alone);
    return held;
}

static void run_turns(quire_model *model, const struct turn *turns, uint32_t n, uint32_t *order)
{
    struct quire_engine_settings settings = engine_settings();
    bool held = false;

    settings.running_max = 1;
    for (int i = 0; i < 20 && !held; i++) {
        quire_engine *engine = start_with(&settings, model);
        held = try_order(engine, turns, n, order);
        stop_and_free(engine);
    }
    assert_true(held);
}

/* Goal: a lower priority goes first.  Clients of one priority alternate, and so do a client's
 * users. The answers have the same bits. Method: one slot; a client with many requests, one with
 * two users, one with an urgent request. */
static void order_is_by_priority_client_and_user(void **state)
{
    static const struct turn turns[] = {
        {"many", NULL, 0},    {"many", NULL, 0},   {"many", NULL, 0},
        {"many", NULL, 0},    {"two", "first", 0}, {"two", "first", 0},
        {"two", "second", 0}, {"late", NULL, 1},   {"urgent", NULL, -1},
    };
    static const uint32_t expected[] = {8, 0, 4, 1, 6, 2, 5, 3, 7};
    uint32_t order[REQUESTS_MAX];

    run_turns(*state, turns, 9, order);
    assert_memory_equal(order, expected, sizeof expected);
}

/* Goal: requests without a client count as one client, and a client's requests without a user as
 * one user. Method: three requests without a name, and one with a name, submitted last. */
static void no_name_is_a_name(void **state)
{
    static const struct turn turns[] = {
        {NULL, NULL, 0}, {NULL, NULL, 0}, {NULL, NULL, 0}, {NULL, "u", 0}, {"c", NULL, 0}};
    static const uint32_t expected[] = {0, 4, 3, 1, 2};
    uint32_t order[REQUESTS_MAX];

    run_turns(*state, turns, 5, order);
    assert_memory_equal(order, expected, sizeof expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_by_priority_client_and_user),
        cmocka_unit_test(no_name_is_a_name),
    };
    return cmocka_run_group_tests(tests, open_tiny, close_model);
}
