/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/fake_server.h"
#include "support/process.h"
#include "tools/quire/top.h"

/* Metrics as quired writes them, with lines that top ignores.  `times` increases all counters and
 * nothing else. */
static char *metrics_text(unsigned times)
{
    static const struct {
        const char *series;
        double value, growth;
    } lines[] = {
        {"quire_num_requests_running", 12, 0},
        {"quire_num_requests_waiting", 3, 0},
        {"quire_pages{state=\"free\"}", 1000, 0},
        {"quire_pages{state=\"cached\"}", 500, 0},
        {"quire_pages{state=\"held\"}", 2500, 0},
        {"quire_pages{state=\"shared\"}", 500, 0},
        {"quire_kv_cache_usage_perc", 0.625, 0},
        {"quire_prefix_cache_queries_total", 4000, 1000},
        {"quire_prefix_cache_hits_total", 1000, 750},
        {"quire_page_copies_total", 7, 2},
        {"quire_page_evictions_total", 9, 5},
        {"quire_num_preemptions_total", 4, 3},
        {"quire_preempted_tokens_recomputed_total", 40, 30},
        {"quire_prompt_tokens_total", 4000, 1000},
        {"quire_generation_tokens_total", 800, 200},
        {"quire_request_success_total{finished_reason=\"stop\"}", 10, 6},
        {"quire_request_success_total{finished_reason=\"length\"}", 20, 2},
        {"quire_time_to_first_token_seconds_bucket{le=\"+Inf\"}", 30, 8},
        {"quire_time_to_first_token_seconds_sum", 6, 1},
        {"quire_time_to_first_token_seconds_count", 30, 8},
        {"quire_inter_token_latency_seconds_sum", 7.5, 2.4},
        {"quire_inter_token_latency_seconds_count", 770, 192},
        {"quire_step_seconds_sum", 10, 0.5},
        {"quire_step_seconds_count", 1000, 20},
        {"quire_iteration_tokens_sum", 4000, 442},
        {"quire_iteration_tokens_count", 1000, 20},
        {"quire_jemalloc_bytes{kind=\"engine_arena\"}", 12345, 0},
    };
    struct fake_text t = {0};
    fake_put(&t, "# HELP quire_num_requests_running Requests in the batch\n\n");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        fake_put(&t, "%s %.17g\n", lines[i].series, lines[i].value + times * lines[i].growth);
    return t.bytes;
}

static struct qr_top_sample sample_of(unsigned times)
{
    struct qr_top_sample sample;
    struct qr_failure why = {""};
    char *text = metrics_text(times);
    if (!qr_top_read(&sample, text, strlen(text), &why)) fail_msg("%s", why.text);
    free(text);
    return sample;
}

static bool about(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fabs(b);
}

static const char *frame_text(const struct qr_top_frame *frame, char *out, size_t out_n)
{
    size_t n = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < frame->lines_n; i++)
        n += (size_t)snprintf(out + n, out_n - n, "%s\n", frame->lines[i]);
    assert_true(n < out_n);
    return out;
}

static unsigned count(const char *text, char letter)
{
    unsigned n = 0;
    for (; *text; text++)
        n += *text == letter;
    return n;
}

/* Goal: rates and means cover the interval, not the server's whole life.
 * Method: two readings two seconds apart, with figures worked out by hand. */
static void figures_are_of_the_interval(void **state)
{
    (void)state;
    struct qr_top_sample before = sample_of(0), after = sample_of(1);
    struct qr_top_figures f;
    assert_true(before.running == 12 && before.pages_held == 2500 && before.pages_shared == 500);
    assert_true(qr_top_compare(&f, &before, &after, 2));
    assert_true(about(f.prefill, (442 - 200 + 8) / 2.0));
    assert_true(about(f.generation, 100));
    assert_true(about(f.prompt, 500));
    assert_true(about(f.requests, 4));
    assert_true(about(f.hit_rate, 0.75));
    assert_true(f.preemptions == 3 && f.recomputed == 30 && f.evictions == 5 && f.copies == 2);
    assert_true(about(f.ttft_s, 0.125));
    assert_true(about(f.itl_s, 0.0125));
    assert_true(about(f.step_s, 0.025));
    assert_true(about(f.step_tokens, 22.1));
}

/* Goal: an empty interval has no mean, and a restarted server gives no figures.
 * Method: the same reading twice, and two in reverse order. */
static void nothing_and_restarts_have_no_figures(void **state)
{
    (void)state;
    struct qr_top_sample first = sample_of(0), later = sample_of(1);
    struct qr_top_figures f;
    assert_true(qr_top_compare(&f, &first, &first, 1));
    assert_true(f.generation == 0 && f.prefill == 0);
    assert_true(isnan(f.ttft_s) && isnan(f.itl_s) && isnan(f.step_s) && isnan(f.hit_rate));
    json_t *json = qr_top_json("s", &first, &f);
    assert_true(json_is_null(json_object_get(json, "prefix_hit_rate")));
    json_decref(json);
    assert_false(qr_top_compare(&f, &later, &first, 1));
    assert_true(f.seconds == 0);
}

/* Goal: cells are proportional, their sum is right, and every state with pages has a cell.
 * Method: the fixed reading, then every split of a few pages into maps of many sizes. */
static void cells_are_in_proportion(void **state)
{
    (void)state;
    struct qr_top_sample s = sample_of(0);
    uint32_t cells[QR_TOP_STATES_N];
    assert_int_equal(qr_top_cells(&s, 80, cells), 80);
    assert_int_equal(cells[QR_TOP_SHARED], 10);
    assert_int_equal(cells[QR_TOP_HELD], 40);
    assert_int_equal(cells[QR_TOP_CACHED], 10);
    assert_int_equal(cells[QR_TOP_FREE], 20);
    /* One page of 10,001 has a cell; with more cells than pages, each page has one cell. */
    s = (struct qr_top_sample){.pages_held = 1, .pages_free = 10000};
    assert_int_equal(qr_top_cells(&s, 80, cells), 80);
    assert_int_equal(cells[QR_TOP_HELD], 1);
    assert_int_equal(cells[QR_TOP_FREE], 79);
    for (uint32_t i = 0; i < 6 * 6 * 6 * 6; i++) {
        uint32_t counts[] = {i % 6, i / 6 % 6, i / 36 % 6, i / 216};
        uint32_t all = counts[0] + counts[1] + counts[2] + counts[3];
        s = (struct qr_top_sample){.pages_shared = counts[0],
                                   .pages_held = counts[0] + counts[1],
                                   .pages_cached = counts[2],
                                   .pages_free = counts[3]};
        for (uint32_t room = 4; room < 24; room++) {
            uint32_t cells_n = qr_top_cells(&s, room, cells), sum = 0;
            assert_int_equal(cells_n, all < room ? all : room);
            for (int k = 0; k < QR_TOP_STATES_N; k++) {
                sum += cells[k];
                if (cells_n == all) assert_int_equal(cells[k], counts[k]);
                if (cells_n >= 4) assert_true((cells[k] > 0) == (counts[k] > 0));
            }
            assert_int_equal(sum, cells_n);
        }
    }
}

/* Goal: the frame shows the counts, shares and figures, and its map the cells.
 * Method: compare the frame of the fixed readings, then one without figures. */
static void the_frame_says_what_is_known(void **state)
{
    (void)state;
    static struct qr_top_frame frame;
    char text[8192];
    struct qr_top_sample before = sample_of(0), after = sample_of(1);
    struct qr_top_figures f;
    assert_true(qr_top_compare(&f, &before, &after, 2));
    frame.columns = 82;
    frame.rows = 16; /* a map of one row of 80 cells */
    qr_top_draw(&frame, "/tmp/q.sock", &after, &f);
    frame_text(&frame, text, sizeof text);
    assert_int_equal(frame.lines_n, 16);
    assert_non_null(strstr(text, "quire top  /tmp/q.sock, the last 2.00 s\n"));
    assert_non_null(strstr(text, "pages  4,000, 50 to a cell\n"));
    assert_int_equal(count(frame.lines[3], '@'), 10);
    assert_int_equal(count(frame.lines[3], '#'), 40);
    assert_int_equal(count(frame.lines[3], '+'), 10);
    assert_int_equal(count(frame.lines[3], '.'), 20);
    static const char *const says[] = {
        "@ shared         500   12.5 %",
        "# held         2,000   50.0 %",
        "+ cached         500   12.5 %",
        ". free         1,000   25.0 %",
        "running 12 >, waiting 3 :, finished 4.00 a second\n  >>>>>>>>>>>>:::\n",
        "prefill 125, generation 100; in admitted prompts 500",
        "hits 75.0 %; since the start 35.0 %",
        "preemptions 3, tokens recomputed 30, evictions 5, copies 2",
        "TTFT 125 ms (8), ITL 12.5 ms (192)",
        "25.0 ms (20), 22.1 tokens"};
    for (size_t i = 0; i < sizeof says / sizeof *says; i++)
        if (!strstr(text, says[i])) fail_msg("no '%s' in\n%s", says[i], text);

    qr_top_draw(&frame, "/tmp/q.sock", &after, &(struct qr_top_figures){0});
    frame_text(&frame, text, sizeof text);
    assert_non_null(strstr(text, "rates with the next reading"));
    assert_non_null(strstr(text, "prefill -, generation -; in"));
    assert_non_null(strstr(text, "running 12 >, waiting 3 :"));
}

/* Goal: the batch row has a cell for each running and waiting request, or proportional cells if
 * there are more than columns; every nonempty group has a cell; fractional counts are handled.
 * Method: groups of many sizes in 80 cells. */
static void the_batch_is_drawn(void **state)
{
    static const struct {
        double running, waiting;
        int cells[2];
    } cases[] = {{0, 0, {0, 0}},     {1, 0, {1, 0}},        {0, 2, {0, 2}},    {50, 30, {50, 30}},
                 {60, 60, {40, 40}}, {256, 1024, {16, 64}}, {1, 1e5, {1, 79}}, {1000, 1, {79, 1}},
                 {0.3, 0, {0, 0}},   {0.3, 0.4, {0, 0}},    {0.5, 0.5, {0, 1}}};
    static struct qr_top_frame frame;
    (void)state;
    frame.columns = 82;
    frame.rows = 24;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct qr_top_sample s = sample_of(0);
        s.running = cases[i].running;
        s.waiting = cases[i].waiting;
        qr_top_draw(&frame, "server", &s, &(struct qr_top_figures){0});
        static const char batch[] = "batch";
        uint32_t at = 0;
        while (strncmp(frame.lines[at], batch, sizeof batch - 1) != 0)
            assert_true(++at + 1 < frame.lines_n);
        assert_int_equal(count(frame.lines[at + 1], '>'), cases[i].cells[0]);
        assert_int_equal(count(frame.lines[at + 1], ':'), cases[i].cells[1]);
    }
}

/* Removes the colour codes from a line. */
static void strip(char *line)
{
    char *out = line;
    for (const char *p = line; *p;) {
        if (*p != '\x1b') {
            *out++ = *p++;
            continue;
        }
        while (*p && *p != 'm')
            p++;
        p += *p == 'm';
    }
    *out = 0;
}

/* Goal: a frame fits every window, and colours do not change its text.
 * Method: all sizes from the smallest, with colours and without. */
static void frames_fit_every_window(void **state)
{
    (void)state;
    static struct qr_top_frame plain, coloured;
    struct qr_top_sample before = sample_of(0), after = sample_of(1);
    struct qr_top_figures f;
    assert_true(qr_top_compare(&f, &before, &after, 1));
    coloured.colours = true;
    for (uint32_t columns = QR_TOP_COLUMNS_MIN; columns < 700; columns += columns < 140 ? 1 : 37)
        for (uint32_t rows = 1; rows < 80; rows += rows < 34 ? 1 : 9) {
            plain.columns = coloured.columns = columns;
            plain.rows = coloured.rows = rows;
            qr_top_draw(&plain, "server", &after, &f);
            qr_top_draw(&coloured, "server", &after, &f);
            assert_true(plain.lines_n > 0 && plain.lines_n <= rows);
            assert_int_equal(plain.lines_n, coloured.lines_n);
            if (rows > 15) assert_non_null(strstr(plain.lines[plain.lines_n - 1], "step"));
            if (rows > 3) assert_non_null(strchr(coloured.lines[3], '\x1b'));
            for (uint32_t i = 0; i < plain.lines_n; i++) {
                assert_true(strlen(plain.lines[i]) <= columns);
                strip(coloured.lines[i]);
                assert_string_equal(plain.lines[i], coloured.lines[i]);
            }
        }
}

/* Goal: text that is not quired's metrics is refused, and the error names the line.
 * Method: one change at a time to a valid text. */
static void broken_metrics_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *find, *put, *says;
    } cases[] = {
        {"quire_num_requests_running 12\n", "", "quire_num_requests_running is missing"},
        {"quire_num_requests_running 12", "quire_num_requests_running",
         "expected a name and a value"},
        {"quire_num_requests_running 12", "quire_num_requests_running ",
         "expected a name and a value"},
        {"quire_num_requests_running 12", "quire_num_requests_running 12x",
         "'12x' is not a number"},
        {"quire_num_requests_running 12", "quire_num_requests_running -1", "is -1"},
        {"quire_num_requests_running 12", "quire_num_requests_running NaN", "is NaN"},
        {"quire_num_requests_running 12", "quire_num_requests_running inf", "is inf"},
        {"quire_num_requests_running 12", "quire_num_requests_running 1e300", "is 1e300"},
        {"quire_num_requests_waiting 3", "quire_num_requests_running 3", "occurs twice"},
        {"quire_pages{state=\"free\"}", "quire_pages{state=\"free\"", "quire_pages{state"},
        {"quire_pages{state=\"free\"}", "quire_pages{state=free}", "quire_pages{state"},
        {"quire_pages{state=\"free\"}", "quire_pages{}", "quire_pages{}"},
        {"quire_pages{state=\"free\"}", "quire_pages{state=\"lost\"}", "free\"} is missing"},
        {"quire_pages{state=\"shared\"} 500", "quire_pages{state=\"shared\"} 2501", "shared"},
        {"kind=\"engine_arena\"} 12345\n", "kind=\"engine_arena\"} 12345", "cut"},
        {"kind=\"engine_arena\"} 12345\n", "kind=\"engine_are\n", "quire_jemalloc_bytes{kind"},
        {"# HELP quire", "<html>", "<html>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct qr_top_sample sample;
        struct qr_failure why = {""};
        struct fake_text broken = {0};
        char *text = metrics_text(0), *at = strstr(text, cases[i].find);
        assert_non_null(at);
        fake_put(&broken, "%.*s%s%s", (int)(at - text), text, cases[i].put,
                 at + strlen(cases[i].find));
        if (qr_top_read(&sample, broken.bytes, broken.n, &why) || !strstr(why.text, cases[i].says))
            fail_msg("case %zu: '%s'", i, why.text);
        free(text);
        free(broken.bytes);
    }
    struct qr_top_sample sample;
    struct qr_failure why = {""};
    assert_false(qr_top_read(&sample, "", 0, &why));
    /* Text that is cut off anywhere is refused and not read past its end. */
    char *text = metrics_text(0);
    for (size_t n = 0; n < strlen(text); n++) {
        char *cut = malloc(n + 1);
        memcpy(cut, text, n);
        bool jemalloc_only =
            n && text[n - 1] == '\n' && strstr(text + n, "quire_jemalloc") == text + n;
        assert_true(qr_top_read(&sample, cut, n, &why) == jemalloc_only);
        free(cut);
    }
    free(text);
}

/* ---- the program -------------------------------------------------------------------- */

/* Each reading grows by one step; after *user readings (0: never) one is malformed. */
static bool metrics_script(const struct fake_exchange *x)
{
    const unsigned *broken_after = x->server->user;
    if (strcmp(x->path, "/metrics") != 0) return fake_answer(x, 404, "{}");
    if (broken_after && x->number >= *broken_after) return fake_answer(x, 200, "quire_what\n");
    char *text = metrics_text(x->number);
    bool keep = fake_answer(x, 200, text);
    free(text);
    return keep;
}

static void need_quire(void)
{
    if (process_built("quire")) return;
    print_message("skipped: %s/quire is not built\n", QUIRE_BUILD_DIR);
    skip();
}

#define RUN(...) process_run((const char *const[]){__VA_ARGS__, NULL}, "", 0)

/* Goal: with --once, or without a terminal, the output is one plain frame of one interval.
 * Method: both, with a server whose counters grow by the same amount each time. */
static void one_frame_is_plain(void **state)
{
    (void)state;
    need_quire();
    struct fake_server server;
    fake_start(&server, metrics_script, NULL);
    for (int k = 0; k < 2; k++) {
        struct process_result r = RUN("quire", "top", "--socket", server.path, "--interval", "0.05",
                                      k ? "--once" : "--interval=0.06");
        assert_int_equal(r.code, 0);
        assert_string_equal(r.err, "");
        assert_null(strchr(r.out, '\x1b'));
        assert_non_null(strstr(r.out, server.path));
        assert_non_null(strstr(r.out, "# held         2,000   50.0 %"));
        assert_non_null(strstr(r.out, "hits 75.0 %;"));
        assert_non_null(strstr(r.out, "TTFT 125 ms (8)"));
        process_free(&r);
    }
    assert_int_equal(atomic_load(&server.requests_n), 4);
    fake_stop(&server);
}

/* Goal: --json prints one object; its rates are differences over its interval.
 * Method: counters that grow by known amounts. */
static void json_holds_the_figures(void **state)
{
    (void)state;
    need_quire();
    struct fake_server server;
    fake_start(&server, metrics_script, NULL);
    struct process_result r =
        RUN("quire", "top", "--socket", server.path, "--interval", "0.1", "--json");
    assert_int_equal(r.code, 0);
    json_t *json = json_loads(r.out, 0, NULL);
    double s, generation, prefill, ttft;
    int all, held, shared, running;
    assert_int_equal(json_unpack(json, "{s:F, s:{s:i, s:i, s:i}, s:{s:i}, s:{s:F, s:F}, s:{s:F}}",
                                 "interval_s", &s, "pages", "all", &all, "held", &held, "shared",
                                 &shared, "requests", "running", &running, "tokens",
                                 "generation_per_s", &generation, "prefill_per_s", &prefill,
                                 "means", "ttft_s", &ttft),
                     0);
    assert_true(s > 0.05 && all == 4000 && held == 2500 && shared == 500 && running == 12);
    assert_true(about(generation * s, 200));
    assert_true(about(prefill * s, 250));
    assert_true(about(ttft, 0.125));
    json_decref(json);
    process_free(&r);
    fake_stop(&server);
}

/* Goal: without a server, with a foreign answer, or with wrong usage, the error and exit code are
 *       right.
 * Method: one of each. */
static void failures_are_sentences(void **state)
{
    (void)state;
    need_quire();
    struct fake_server server;
    unsigned broken_after = 1;
    fake_start(&server, metrics_script, &broken_after);
    const char *here = server.path;
    const struct {
        const char *arguments[6];
        int code;
        const char *says;
    } cases[] = {
        {{"--socket", "/tmp/quire-nobody.sock"}, 1, "/tmp/quire-nobody.sock: cannot connect"},
        {{"--socket", here, "--interval", "0.05"}, 1, "/metrics: 'quire_what'"},
        {{"--socket", "a", "--url", "http://b"}, 2, "one of --socket and --url"},
        {{"--interval", "0"}, 2, "--interval"},
        {{"now"}, 2, "'now'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const *a = cases[i].arguments;
        struct process_result r = RUN("quire", "top", a[0], a[1], a[2], a[3], a[4]);
        if (r.code != cases[i].code || !strstr(r.err, cases[i].says))
            fail_msg("case %zu: %d, %s", i, r.code, r.err);
        assert_string_equal(r.out, "");
        process_free(&r);
    }
    fake_stop(&server);
}

/* A pseudo-terminal that runs `quire top`. */
struct window {
    int master;
    pid_t pid;
    char seen[1 << 16];
    size_t seen_n;
};

static void open_window(struct window *w, const char *socket, const char *interval,
                        unsigned short columns)
{
    char path[1024];
    *w = (struct window){.master = posix_openpt(O_RDWR | O_NOCTTY)};
    assert_true(w->master >= 0 && grantpt(w->master) == 0 && unlockpt(w->master) == 0);
    struct winsize size = {.ws_row = 15, .ws_col = columns};
    int slave = open(ptsname(w->master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
    snprintf(path, sizeof path, "%s/quire", QUIRE_BUILD_DIR);
    w->pid = fork();
    assert_true(w->pid >= 0);
    if (w->pid == 0) {
        setsid();
        ioctl(slave, TIOCSCTTY, 0); /* so that it gets SIGWINCH */
        dup2(slave, 0);
        dup2(slave, 1);
        unsetenv("NO_COLOR");
        execl(path, "quire", "top", "--socket", socket, "--interval", interval, (char *)NULL);
        _exit(127);
    }
    close(slave);
}

/* Reads until `text` appears after `from`; fails after 20 s. */
static void wait_for(struct window *w, size_t from, const char *text)
{
    for (int i = 0; i < 2000; i++) {
        if (w->seen_n > from && strstr(w->seen + from, text)) return;
        struct pollfd fd = {.fd = w->master, .events = POLLIN};
        if (poll(&fd, 1, 10) <= 0) continue;
        if (w->seen_n > sizeof w->seen / 2) { /* keep only the end of a long output */
            assert_true(from < w->seen_n);
            memmove(w->seen, w->seen + from, w->seen_n - from + 1);
            w->seen_n -= from;
            from = 0;
        }
        ssize_t n = read(w->master, w->seen + w->seen_n, sizeof w->seen - 1 - w->seen_n);
        if (n <= 0) break;
        w->seen_n += (size_t)n;
        w->seen[w->seen_n] = 0;
    }
    fail_msg("'%s' never came:\n%s", text, w->seen + from);
}

static int close_window(struct window *w)
{
    int status;
    waitpid(w->pid, &status, 0);
    close(w->master);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Goal: on a terminal top redraws in colour, and Ctrl-C restores screen and cursor.
 * Method: a pseudo-terminal, until there are figures; then Ctrl-C. */
static void the_live_view_cleans_up(void **state)
{
    (void)state;
    need_quire();
    static struct window w;
    struct fake_server server;
    fake_start(&server, metrics_script, NULL);
    open_window(&w, server.path, "0.05", 82);
    wait_for(&w, 0, "\x1b[?25l");
    wait_for(&w, 0, "\x1b[30;45m@@@@@@@@@@\x1b[0m");
    wait_for(&w, 0, "TTFT 125 ms");
    size_t before = w.seen_n;
    assert_int_equal(write(w.master, "\x03", 1), 1);
    wait_for(&w, before, "\x1b[?25h\x1b[?1049l");
    assert_int_equal(close_window(&w), 0);
    fake_stop(&server);
}

/* Goal: a resize redraws at once with the last reading.
 * Method: an interval of a minute; the window shrinks from 42 columns to 32. */
static void a_resize_is_drawn_at_once(void **state)
{
    (void)state;
    need_quire();
    static struct window w;
    struct fake_server server;
    fake_start(&server, metrics_script, NULL);
    open_window(&w, server.path, "60", 42);
    wait_for(&w, 0, "100 to a cell");
    size_t before = w.seen_n;
    struct winsize size = {.ws_row = 15, .ws_col = 32};
    assert_int_equal(ioctl(w.master, TIOCSWINSZ, &size), 0);
    wait_for(&w, before, "133 to a cell");
    assert_int_equal(atomic_load(&server.requests_n), 1);
    assert_int_equal(write(w.master, "\x03", 1), 1);
    assert_int_equal(close_window(&w), 0);
    fake_stop(&server);
}

/* Goal: if the server disappears, top restores the screen and ends.
 * Method: stop the server after the first figures. */
static void a_lost_server_ends_the_view(void **state)
{
    (void)state;
    need_quire();
    static struct window w;
    struct fake_server server;
    fake_start(&server, metrics_script, NULL);
    open_window(&w, server.path, "0.05", 80);
    wait_for(&w, 0, "TTFT 125 ms");
    fake_stop(&server);
    wait_for(&w, 0, "\x1b[?25h\x1b[?1049l");
    assert_int_equal(close_window(&w), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_of_the_interval),
        cmocka_unit_test(nothing_and_restarts_have_no_figures),
        cmocka_unit_test(cells_are_in_proportion),
        cmocka_unit_test(the_frame_says_what_is_known),
        cmocka_unit_test(the_batch_is_drawn),
        cmocka_unit_test(frames_fit_every_window),
        cmocka_unit_test(broken_metrics_are_refused),
        cmocka_unit_test(one_frame_is_plain),
        cmocka_unit_test(json_holds_the_figures),
        cmocka_unit_test(failures_are_sentences),
        cmocka_unit_test(the_live_view_cleans_up),
        cmocka_unit_test(a_resize_is_drawn_at_once),
        cmocka_unit_test(a_lost_server_ends_the_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
