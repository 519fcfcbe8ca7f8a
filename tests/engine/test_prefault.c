/* SPDX-License-Identifier: MIT */
/* Prefaulted pages, checked with mincore. */
#include <sys/mman.h>
#include <time.h>

#include "runtime/engine/engine.h"
#include "support/engine.h"

enum { PAGE_BYTES = 700 << 10, PAGES = 100 };

static const int32_t prompt[] = {1, 5, 9, 20, 33, 7};

struct fixture {
    struct qr_team *team;
    struct qr_region region;
    struct qr_prefault prefault;
};

static int setup(void **state)
{
    const struct quire_allocator allocator = qr_allocator((struct quire_allocator){0});
    struct fixture *f = calloc(1, sizeof *f);

    if (!f || !qr_region_create(&f->region, (size_t)PAGES * PAGE_BYTES)) return -1;
    f->team = qr_team_create(&allocator, 2);
    if (!f->team) return -1;
    qr_prefault_init(&f->prefault, &f->region, PAGE_BYTES, PAGES, f->team);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    qr_team_destroy(f->team);
    qr_region_destroy(&f->region);
    free(f);
    return 0;
}

/* Skips a test if the kernel cannot prefault. */
static bool fills(void)
{
#ifdef MADV_POPULATE_WRITE
    struct qr_region region;

    assert_true(qr_region_create(&region, QR_REGION_PIECE));
    bool can = !madvise(region.base, QR_REGION_PIECE, MADV_POPULATE_WRITE);
    qr_region_destroy(&region);
    if (can) return true;
#endif
    printf("skipped: this kernel has no MADV_POPULATE_WRITE\n");
    return false;
}

/* Bytes of the region, from its start, that are resident.  No later byte is. */
static size_t there(const struct qr_region *region)
{
    const size_t system_page = (size_t)sysconf(_SC_PAGESIZE), n = region->bytes / system_page;
    unsigned char *is_there = malloc(n);
    size_t first = 0;

    assert_int_equal(mincore(region->base, region->bytes, is_there), 0);
    while (first < n && is_there[first] & 1)
        first++;
    for (size_t i = first; i < n; i++)
        assert_int_equal(is_there[i] & 1, 0);
    free(is_there);
    return first * system_page;
}

/* Goal: taken pages are resident, and others are not.
 * Method: take more and more of them; ask mincore. */
static void taken_pages_are_there(void **state)
{
    struct fixture *f = *state;

    if (!fills()) skip();
    qr_prefault_make(&f->prefault, 0);
    assert_int_equal(there(&f->region), 0);
    for (uint32_t taken_n = 1; taken_n <= PAGES; taken_n += taken_n < 10 ? 1 : 30) {
        qr_prefault_make(&f->prefault, taken_n);
        assert_in_range(there(&f->region), (size_t)taken_n * PAGE_BYTES,
                        (size_t)taken_n * PAGE_BYTES + 2 * QR_REGION_PIECE);
        assert_in_range(qr_prefault_n(&f->prefault), taken_n, PAGES);
    }
    qr_prefault_make(&f->prefault, PAGES);
    assert_int_equal(there(&f->region), f->region.bytes);
    assert_int_equal(qr_prefault_n(&f->prefault), PAGES);
}

/* Goal: nothing is prefaulted ahead of an engine that has taken no page.  Later as much as it took
 * is, at least QR_PREFAULT_AHEAD_MIN, never beyond the region, at most a huge page a thread in a
 * call. Method: call until it has nothing left to do. */
static void as_many_again_are_ahead(void **state)
{
    static const uint32_t taken[] = {1, 20, 40, 60, 100};
    struct fixture *f = *state;

    if (!fills()) skip();
    assert_false(qr_prefault_ahead(&f->prefault, 0));
    assert_int_equal(there(&f->region), 0);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        size_t used = (size_t)taken[i] * PAGE_BYTES;
        size_t ahead = used > QR_PREFAULT_AHEAD_MIN ? used : QR_PREFAULT_AHEAD_MIN;
        size_t wanted = used + ahead < f->region.bytes ? used + ahead : f->region.bytes;
        for (size_t before = there(&f->region); qr_prefault_ahead(&f->prefault, taken[i]);) {
            assert_in_range(there(&f->region), before + 1, before + 2 * QR_REGION_PIECE);
            before = there(&f->region);
        }
        assert_in_range(there(&f->region), wanted, wanted + QR_REGION_PIECE - 1);
        assert_in_range(qr_prefault_n(&f->prefault), qr_prefault_wanted_n(&f->prefault, taken[i]),
                        PAGES);
    }
    assert_int_equal(qr_prefault_wanted_n(&f->prefault, 60), PAGES);
}

/* Goal: prefaulting ahead is bounded, for any number of taken pages.
 * Method: a region of 8 GB of which nothing is touched. */
static void what_is_ahead_is_bounded(void **state)
{
    const size_t page_bytes = (size_t)1 << 20;
    struct fixture *f = *state;
    struct qr_region region;
    struct qr_prefault prefault;

    assert_true(qr_region_create(&region, 8192 * page_bytes));
    qr_prefault_init(&prefault, &region, page_bytes, 8192, f->team);
    assert_int_equal(qr_prefault_wanted_n(&prefault, 1), 1 + QR_PREFAULT_AHEAD_MIN / page_bytes);
    assert_int_equal(qr_prefault_wanted_n(&prefault, 1000), 2000);
    assert_int_equal(qr_prefault_wanted_n(&prefault, 1024), 2048);
    assert_int_equal(qr_prefault_wanted_n(&prefault, 5000),
                     5000 + QR_PREFAULT_AHEAD_MAX / page_bytes);
    assert_int_equal(qr_prefault_wanted_n(&prefault, 8000), 8192);
    qr_region_destroy(&region);
}

/* Goal: prefaulting keeps what was written.
 * Method: write before the prefault, as the copy of a page does. */
static void what_is_written_stays(void **state)
{
    struct fixture *f = *state;
    unsigned char *bytes = f->region.base;

    for (size_t i = 0; i < 5 * (size_t)PAGE_BYTES; i += 997)
        bytes[i] = (unsigned char)(i % 251);
    qr_prefault_make(&f->prefault, 5);
    for (size_t i = 0; i < 5 * (size_t)PAGE_BYTES; i += 997)
        assert_int_equal(bytes[i], i % 251);
}

static struct quire_stats stats_of(const quire_engine *engine)
{
    struct quire_stats stats = {.size = sizeof stats};

    quire_stats(engine, &stats);
    return stats;
}

/* Goal: an engine prefaults nothing before its first request, every page that it holds while it
 * runs, and its goal while it is idle. Method: its figures after each event of a request, and after
 * its end. */
static void an_engine_holds_ready_pages(void **state)
{
    struct quire_engine_settings settings = engine_settings();
    struct quire_event event;
    quire_engine *engine = start_with(&settings, *state);

    assert_int_equal(stats_of(engine).pages_ready_wanted, 0);
    assert_int_equal(stats_of(engine).pages_ready, 0);
    struct answer *answer = submit(engine, greedy(prompt, 6, 200));
    while (answer->terminals_n == 0) {
        if (quire_wait(engine, &event, WAIT_MS) != 1) fail_msg("no event in %d ms", WAIT_MS);
        (void)take(&event);
        struct quire_stats now = stats_of(engine);
        assert_in_range(now.pages_held + now.pages_cached, 1, now.pages_ready);
    }
    for (int ms = 0; ms < WAIT_MS; ms++) {
        struct quire_stats now = stats_of(engine);
        if (now.pages_ready >= now.pages_ready_wanted) break;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    struct quire_stats end = stats_of(engine);
    assert_in_range(end.pages_ready_wanted, 1, end.pages_ready);
    assert_in_range(end.pages_ready * end.page_bytes, QR_PREFAULT_AHEAD_MIN,
                    QR_PREFAULT_AHEAD_MIN + 4 * QR_REGION_PIECE);
    assert_true(end.pages_ready < end.pages_all);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    uint64_t turns = atomic_load(&engine->turns);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    assert_int_equal(atomic_load(&engine->turns), turns); /* it sleeps */
    free(answer);
    stop_and_free(engine);
}

int main(void)
{
    const struct CMUnitTest of_regions[] = {
        cmocka_unit_test_setup_teardown(taken_pages_are_there, setup, teardown),
        cmocka_unit_test_setup_teardown(as_many_again_are_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_ahead_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_written_stays, setup, teardown),
    };
    const struct CMUnitTest of_engines[] = {cmocka_unit_test(an_engine_holds_ready_pages)};

    int failed = cmocka_run_group_tests(of_regions, NULL, NULL);
    return failed + cmocka_run_group_tests(of_engines, open_tiny, close_model);
}
