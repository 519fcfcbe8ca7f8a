/* SPDX-License-Identifier: MIT */
/* Out of memory: an allocator fails at its n-th call and counts what is not freed. */
#include "runtime/engine/request.h"
#include "support/engine.h"
#include "support/failing.h"

static const int32_t prompt[] = {3, 4, 5, 6};

/* Goal: opening a model fails cleanly at every allocation.
 * Method: fail at allocation 0, 1, 2 ... until it succeeds. */
static void open_survives_every_failure(void **state)
{
    struct failing f = {0};
    struct quire_model_settings settings;
    quire_model *model = NULL;
    int status = QUIRE_NO_MEMORY;
    long n;

    (void)state;
    quire_model_settings_defaults(&settings);
    settings.path = TINY;
    settings.allocator = (struct quire_allocator){failing_resize, &f};
    for (n = 0; status; n++) {
        struct quire_error error;
        assert_in_range(n, 0, 10000);
        atomic_store(&f.left, n);
        status = quire_model_open(&settings, &model, &error);
        if (!status) break;
        assert_int_equal(status, QUIRE_NO_MEMORY);
        assert_int_equal(error.status, status);
        assert_null(model);
        assert_int_equal(atomic_load(&f.held), 0);
    }
    assert_true(n > 3);
    quire_model_close(model);
    assert_int_equal(atomic_load(&f.held), 0);
}

/* Goal: starting an engine fails cleanly at every allocation.
 * Method: fail at allocation 0, 1, 2 ... until it succeeds. */
static void start_survives_every_failure(void **state)
{
    struct failing f = {0};
    struct quire_engine_settings settings = engine_settings();
    quire_model *model = open_model(TINY);
    quire_engine *engine = NULL;
    int status = QUIRE_NO_MEMORY;
    long n;

    (void)state;
    settings.allocator = (struct quire_allocator){failing_resize, &f};
    for (n = 0; status; n++) {
        struct quire_error error;
        assert_in_range(n, 0, 10000);
        atomic_store(&f.left, n);
        status = quire_engine_start(&settings, model, &engine, &error);
        if (!status) break;
        assert_int_equal(status, QUIRE_NO_MEMORY);
        assert_null(engine);
        assert_int_equal(atomic_load(&f.held), 0);
    }
    assert_true(n > 10);
    atomic_store(&f.left, -1);
    free(run(engine, greedy(prompt, 4, 4)));
    stop_and_free(engine);
    assert_int_equal(atomic_load(&f.held), 0);
    quire_model_close(model);
}

/* Goal: without memory a request is refused, or ends with an error after the tokens that it has.
 * The engine goes on, and nothing leaks. Method: fail at the n-th allocation after the start, for
 * every n that a request reaches. */
static void requests_survive_every_failure(void **state)
{
    struct failing f = {.left = -1};
    struct quire_engine_settings settings = engine_settings();
    quire_model *model = open_model(TINY);
    struct quire_request r = greedy(prompt, 4, 600); /* long: its ids outgrow it */
    bool refused = false, failed = false, whole = false;

    (void)state;
    r.flags |= QUIRE_REQUEST_PROMPT_LOGPROBS;
    r.logprobs = 2;
    settings.allocator = (struct quire_allocator){failing_resize, &f};
    settings.kv_memory_bytes = (uint64_t)16 << 20;
    settings.waiting_max = 1; /* a refused request has to give its room back */
    struct quire_model_info info = {.size = sizeof info};
    quire_model_info(model, &info);
    if (r.max_tokens + 4 > info.context_max) r.max_tokens = info.context_max - 4;
    quire_engine *engine = start_with(&settings, model);
    struct answer *reference = run(engine, r);
    long steps[] = {0,   1,   2,   3,   4,   5,   6,   7,   20,  100, 400,
                    511, 512, 513, 514, 515, 516, 517, 518, 519, 520, 700};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct answer *answer = calloc(1, sizeof *answer);
        struct quire_error error;
        r.user = answer;
        atomic_store(&f.left, steps[i]);
        int status = quire_submit(engine, &r, &answer->id, &error);
        if (status) {
            assert_int_equal(status, QUIRE_NO_MEMORY);
            refused = true;
        } else {
            gather(engine, 1);
            if (answer->kind == QUIRE_EVENT_ERROR) {
                assert_int_equal(answer->status, QUIRE_NO_MEMORY);
                failed = true;
            } else {
                assert_same(answer, reference);
                whole = true;
            }
            for (uint32_t t = 0; t < answer->ids_n; t++)
                assert_int_equal(answer->ids[t].token, reference->ids[t].token);
        }
        atomic_store(&f.left, -1);
        assert_empty(engine);
        free(answer);
    }
    assert_true(refused && failed && whole);
    free(reference);
    stop_and_free(engine);
    assert_int_equal(atomic_load(&f.held), 0);
    quire_model_close(model);
}

/* Goal: without memory for some choices, those end with an error and the others are complete, also
 * while they are attached.  Each has one end, and nothing leaks.
 * Method: three and four choices with scored prompts, so that events precede their detaching. */
static void choices_survive_every_failure(void **state)
{
    struct failing f = {.left = -1};
    struct quire_engine_settings settings = engine_settings();
    quire_model *model = open_model(TINY);
    struct quire_request r = greedy(prompt, 4, 6);
    bool refused = false, failed = false, whole = false;

    (void)state;
    r.n = 3;
    r.flags |= QUIRE_REQUEST_PROMPT_LOGPROBS;
    settings.allocator = (struct quire_allocator){failing_resize, &f};
    settings.kv_memory_bytes = (uint64_t)16 << 20;
    settings.waiting_max = 4;
    quire_engine *engine = start_with(&settings, model);
    struct answer *reference = submit(engine, r);
    gather(engine, 3);
    for (long left = 0; left < 2 * 48; left++) {
        struct answer *answer = calloc(3, sizeof *answer);
        struct quire_error error;
        r.user = answer;
        r.best_of = left % 2 ? 4 : 0;
        atomic_store(&f.left, left / 2);
        if (quire_submit(engine, &r, &answer->id, &error)) {
            assert_int_equal(error.status, QUIRE_NO_MEMORY);
            refused = true;
        } else {
            gather(engine, 3);
            for (uint32_t i = 0; i < 3; i++) {
                failed |= answer[i].kind == QUIRE_EVENT_ERROR;
                whole |= answer[i].kind == QUIRE_EVENT_DONE;
                if (answer[i].kind == QUIRE_EVENT_DONE) assert_same(&answer[i], &reference[i]);
            }
        }
        atomic_store(&f.left, -1);
        assert_empty(engine);
        free(answer);
    }
    assert_true(refused && failed && whole);
    free(reference);
    stop_and_free(engine);
    assert_int_equal(atomic_load(&f.held), 0);
    quire_model_close(model);
}

/* Goal: generated ids survive the move to a larger array, and a failed move changes nothing.
 * Method: append far beyond the first room; then with an allocator that fails. */
static void generated_ids_outlive_their_room(void **state)
{
    struct failing f = {.left = -1};
    struct quire_allocator allocator = {failing_resize, &f};
    struct quire_request from = greedy(prompt, 4, 5000);
    struct qr_request *r = qr_request_create(&from, NULL, NULL, &allocator);
    uint32_t n = 0;

    (void)state;
    while (n < 5000) {
        assert_true(qr_request_append(r, (int32_t)n * 7, &allocator));
        n++;
    }
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(qr_request_token(r, i), prompt[i]);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(qr_request_token(r, 4 + i), i * 7);
    qr_request_destroy(r, &allocator);

    r = qr_request_create(&from, NULL, NULL, &allocator);
    atomic_store(&f.left, 0);
    for (n = 0; qr_request_append(r, 1, &allocator); n++)
        assert_true(n < 5000);
    assert_int_equal(r->generated_n, n);
    qr_request_destroy(r, &allocator);
    assert_int_equal(atomic_load(&f.held), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_survives_every_failure),
        cmocka_unit_test(start_survives_every_failure),
        cmocka_unit_test(requests_survive_every_failure),
        cmocka_unit_test(choices_survive_every_failure),
        cmocka_unit_test(generated_ids_outlive_their_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
