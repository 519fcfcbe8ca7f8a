/* SPDX-License-Identifier: MIT */
#include "tools/loadgen/run.h"

#include <assert.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tools/client/delta.h"
#include "tools/client/numbers.h"
#include "tools/client/sse.h"
#include "tools/client/terminal.h"

#define ERROR_BODY_MAX 4096u

struct load_run {
    const struct qr_load_input *in;
    uv_loop_t loop;
    struct qr_http *http;
    uv_timer_t arrival, deadline, tick;
    uv_signal_t interrupt;
    struct qr_record *records;
    double *arrivals_s; /* [conversations or jobs] */
    size_t arrivals_n, arrived_n;
    size_t *ready; /* [jobs_n] queue of jobs; each enters it once */
    size_t ready_head, ready_tail;
    struct load_call *active; /* list of requests in progress */
    uint32_t active_n;
    size_t ended_n, failed_n;
    uint64_t tokens_n;
    double began_s, ended_s;
    struct qr_random random;
    struct qr_progress progress;
    bool stopping;
};

/* A request in progress. */
struct load_call {
    struct load_run *run;
    struct load_call *next, **link;
    size_t job;
    struct qr_record *record;
    struct qr_http_call *call;
    struct qr_sse sse;
    double last_s; /* time of the latest event */
    uint32_t chunks_n;
    bool done, has_usage, bad;
    int32_t *ids; /* generated, if the server sends them */
    size_t ids_n, ids_room;
    char error_body[ERROR_BODY_MAX];
    size_t error_body_n;
};

static void pump(struct load_run *run);

/* ---- what a request sees ------------------------------------------------------------ */

static void fault(struct load_call *a, const char *text)
{
    if (!a->bad) snprintf(a->record->error, sizeof a->record->error, "%s", text);
    a->bad = true;
}

static bool keeps_text(const struct load_run *run)
{
    const struct qr_load_settings *s = run->in->settings;
    return s->save_detailed || (s->chat && run->in->workload->histories);
}

static bool add_text(struct qr_record *r, const char *text, size_t n)
{
    char *grown = realloc(r->text, r->text_n + n + 1);
    if (!grown) return false;
    memcpy(grown + r->text_n, text, n);
    r->text = grown;
    r->text_n += n;
    r->text[r->text_n] = 0;
    return true;
}

static bool add_gap(struct qr_record *r, double gap_s)
{
    if (r->gaps_n == r->gaps_room) {
        uint32_t room = r->gaps_room ? r->gaps_room * 2 : 64;
        double *grown = realloc(r->gaps_s, room * sizeof *grown);
        if (!grown) return false;
        r->gaps_s = grown;
        r->gaps_room = room;
    }
    r->gaps_s[r->gaps_n++] = gap_s;
    return true;
}

static bool add_ids(struct load_call *a, const json_t *ids)
{
    size_t n = json_array_size(ids);
    if (a->ids_n + n > a->ids_room) {
        size_t room = (a->ids_n + n) * 2;
        int32_t *grown = realloc(a->ids, room * sizeof *grown);
        if (!grown) return false;
        a->ids = grown;
        a->ids_room = room;
    }
    for (size_t i = 0; i < n; i++)
        a->ids[a->ids_n++] = (int32_t)json_integer_value(json_array_get(ids, i));
    return true;
}

static void count_token(struct load_call *a, const struct qr_delta *chunk)
{
    struct qr_record *r = a->record;
    double now_s = qr_clock_s();
    bool ok = true;
    if (a->chunks_n == 0)
        r->ttft_s = now_s - a->run->began_s - r->start_s;
    else
        ok = add_gap(r, now_s - a->last_s);
    a->chunks_n++;
    a->last_s = now_s;
    r->latency_s = now_s - a->run->began_s - r->start_s;
    a->run->tokens_n++;
    if (ok && keeps_text(a->run)) ok = add_text(r, chunk->text, chunk->text_n);
    if (ok && chunk->token_ids && a->run->in->workload->histories)
        ok = add_ids(a, chunk->token_ids);
    if (!ok) fault(a, "loadgen is out of memory");
}

static void on_event(void *user, const char *data, size_t n)
{
    struct load_call *a = user;
    struct qr_delta chunk;
    if (a->bad || a->done) return;
    if (!qr_delta_read(&chunk, data, n)) {
        fault(a, "the server sent an event that is not JSON");
        return;
    }
    if (chunk.error) fault(a, chunk.error);
    if (chunk.done) a->done = true;
    if (chunk.has_token) count_token(a, &chunk);
    if (chunk.has_usage) {
        a->has_usage = true;
        a->record->input_n = chunk.prompt_n;
        a->record->output_n = chunk.completion_n;
    }
    qr_delta_release(&chunk);
}

static void on_body(void *user, int status, const char *bytes, size_t n)
{
    struct load_call *a = user;
    if (status == 200) {
        if (!a->bad && !qr_sse_feed(&a->sse, bytes, n)) fault(a, "the server's stream is too long");
        return;
    }
    size_t room = sizeof a->error_body - a->error_body_n;
    if (n > room) n = room;
    memcpy(a->error_body + a->error_body_n, bytes, n);
    a->error_body_n += n;
}

/* ---- jobs --------------------------------------------------------------------------- */

static void end_job(struct load_run *run, size_t job, const char *error)
{
    struct qr_record *r = &run->records[job];
    r->ok = error == NULL;
    if (error && !r->error[0]) snprintf(r->error, sizeof r->error, "%s", error);
    run->ended_n++;
    run->failed_n += !r->ok;
    run->ended_s = qr_clock_s();
}

/* Ends a job and the later turns of its conversation, which can no longer be sent. */
static void end_conversation(struct load_run *run, size_t job, const char *error)
{
    const struct qr_workload *w = run->in->workload;
    uint32_t conversation = w->jobs[job].conversation;
    end_job(run, job, error);
    for (size_t i = job + 1; i < w->jobs_n && w->jobs[i].conversation == conversation; i++)
        end_job(run, i, "an earlier turn of its conversation failed");
}

static void free_active(struct load_call *a)
{
    *a->link = a->next;
    if (a->next) a->next->link = a->link;
    a->run->active_n--;
    qr_sse_deinit(&a->sse);
    free(a->ids);
    free(a);
}

static void on_done(void *user, int status, const struct qr_failure *failure)
{
    struct load_call *a = user;
    struct load_run *run = a->run;
    struct qr_record *r = a->record;
    struct qr_workload *w = run->in->workload;
    size_t job = a->job;
    if (failure) {
        fault(a, failure->text);
    } else if (status != 200) {
        struct qr_failure why;
        qr_http_error_text(status, a->error_body, a->error_body_n, &why);
        fault(a, why.text);
    } else if (!a->chunks_n) {
        fault(a, "the stream ended without a token");
    } else if (!a->done) {
        fault(a, "the stream ended without [DONE]");
    }
    if (!a->has_usage) r->output_n = a->chunks_n;
    if (!r->input_n) r->input_n = qr_workload_input_n(w, job);
    bool more = w->histories && job + 1 < w->jobs_n &&
                w->jobs[job + 1].conversation == w->jobs[job].conversation;
    const struct qr_turn_answer answer = {a->ids, a->ids_n, r->output_n, r->text ? r->text : ""};
    if (!a->bad && more && !qr_workload_answer(w, job, &answer, run->in->vocab_n, &run->random))
        fault(a, "loadgen is out of memory");
    bool bad = a->bad;
    free_active(a);
    if (bad)
        end_conversation(run, job, r->error);
    else
        end_job(run, job, NULL);
    if (more && !bad) run->ready[run->ready_tail++] = job + 1;
    pump(run);
}

static const struct qr_http_handler handler = {on_body, on_done};

static void start_job(struct load_run *run, size_t job)
{
    const struct qr_load_input *in = run->in;
    struct load_call *a = calloc(1, sizeof *a);
    size_t body_n = 0;
    char *body = a ? qr_workload_body(in->workload, job, in->settings, in->model, &body_n) : NULL;
    if (!body) {
        free(a);
        end_conversation(run, job, "loadgen is out of memory");
        return;
    }
    a->run = run;
    a->job = job;
    a->record = &run->records[job];
    a->record->start_s = qr_clock_s() - run->began_s;
    qr_sse_init(&a->sse, on_event, a);
    a->next = run->active;
    a->link = &run->active;
    if (a->next) a->next->link = &a->next;
    run->active = a;
    run->active_n++;
    const struct qr_http_request request = {
        "POST", in->settings->chat ? "/v1/chat/completions" : "/v1/completions", body, body_n};
    a->call = qr_http_start(run->http, &request, &handler, a);
    free(body);
    if (!a->call) {
        free_active(a);
        end_conversation(run, job, "loadgen is out of memory");
    }
}

/* ---- the run's course --------------------------------------------------------------- */

static void close_timers(struct load_run *run)
{
    uv_handle_t *handles[] = {(uv_handle_t *)&run->arrival, (uv_handle_t *)&run->deadline,
                              (uv_handle_t *)&run->tick, (uv_handle_t *)&run->interrupt};
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++)
        if (!uv_is_closing(handles[i])) uv_close(handles[i], NULL);
    if (run->http) qr_http_destroy(run->http);
    run->http = NULL;
}

static void pump(struct load_run *run)
{
    while (!run->stopping && run->ready_head < run->ready_tail &&
           (!run->in->concurrency || run->active_n < run->in->concurrency))
        start_job(run, run->ready[run->ready_head++]);
    if (!run->stopping && run->ended_n == run->in->workload->jobs_n) {
        run->stopping = true;
        close_timers(run);
    }
}

/* Ends everything that has not ended. */
static void stop(struct load_run *run, const char *reason)
{
    if (run->stopping) return;
    run->stopping = true;
    while (run->active) {
        struct load_call *a = run->active;
        size_t job = a->job;
        qr_http_cancel(a->call);
        free_active(a);
        end_job(run, job, reason);
    }
    for (size_t i = 0; i < run->in->workload->jobs_n; i++) {
        struct qr_record *r = &run->records[i];
        if (!r->ok && !r->error[0]) end_job(run, i, reason);
    }
    close_timers(run);
}

static void on_deadline(uv_timer_t *timer)
{
    stop(timer->data, "--max-seconds was reached");
}

static void on_interrupt(uv_signal_t *signal, int number)
{
    (void)number;
    stop(signal->data, "interrupted");
}

static void on_arrival(uv_timer_t *timer)
{
    struct load_run *run = timer->data;
    double now_s = qr_clock_s() - run->began_s;
    while (run->arrived_n < run->arrivals_n && run->arrivals_s[run->arrived_n] <= now_s)
        run->ready[run->ready_tail++] = run->arrived_n++ * run->in->workload->turns_n;
    if (run->arrived_n < run->arrivals_n) {
        double wait_s = run->arrivals_s[run->arrived_n] - now_s;
        uv_timer_start(timer, on_arrival, (uint64_t)ceil(wait_s * 1e3), 0);
    }
    pump(run);
}

static void on_tick(uv_timer_t *timer)
{
    struct load_run *run = timer->data;
    char rate[QR_NUMBER_ROOM], note[128];
    double elapsed_s = qr_clock_s() - run->began_s;
    qr_numbers_format_rate(rate, elapsed_s > 0 ? (double)run->tokens_n / elapsed_s : 0);
    snprintf(note, sizeof note, "%u in progress, %s tok/s%s", run->active_n, rate,
             run->failed_n ? ", some failed" : "");
    qr_progress_show(&run->progress, run->ended_n, note);
}

static bool prepare(struct load_run *run, struct qr_failure *why)
{
    const struct qr_load_input *in = run->in;
    size_t jobs_n = in->workload->jobs_n;
    run->arrivals_n = (jobs_n + in->workload->turns_n - 1) / in->workload->turns_n;
    run->arrivals_s = calloc(run->arrivals_n, sizeof *run->arrivals_s);
    run->ready = calloc(jobs_n, sizeof *run->ready);
    if (!run->arrivals_s || !run->ready) return qr_failed(why, "out of memory");
    qr_random_seed(&run->random, (uint64_t)in->settings->seed ^ 0x6172726976616cu);
    qr_arrivals_draw(&run->random, in->request_rate, in->settings->burstiness, run->arrivals_s,
                     run->arrivals_n);
    if (uv_loop_init(&run->loop) < 0) return qr_failed(why, "cannot create an event loop");
    run->http = qr_http_create(&run->loop, in->address, in->settings->api_key);
    uv_timer_init(&run->loop, &run->arrival);
    uv_timer_init(&run->loop, &run->deadline);
    uv_timer_init(&run->loop, &run->tick);
    uv_signal_init(&run->loop, &run->interrupt);
    run->arrival.data = run->deadline.data = run->tick.data = run->interrupt.data = run;
    if (run->http) return true;
    close_timers(run);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    uv_loop_close(&run->loop);
    return qr_failed(why, "out of memory");
}

bool qr_load_run(const struct qr_load_input *input, struct qr_record *records, double *duration_s,
                 struct qr_failure *why)
{
    struct load_run run = {.in = input, .records = records};
    bool ok = prepare(&run, why);
    if (ok) {
        qr_progress_begin(&run.progress, input->settings->quiet ? NULL : stderr, input->title,
                          input->workload->jobs_n);
        run.began_s = run.ended_s = qr_clock_s();
        uv_timer_start(&run.deadline, on_deadline,
                       (uint64_t)ceil(input->settings->max_seconds * 1e3), 0);
        uv_timer_start(&run.tick, on_tick, 100, 100);
        if (input->handles_signals) uv_signal_start(&run.interrupt, on_interrupt, SIGINT);
        on_arrival(&run.arrival);
        uv_run(&run.loop, UV_RUN_DEFAULT);
        uv_loop_close(&run.loop);
        assert(run.ended_n == input->workload->jobs_n);
        qr_progress_end(&run.progress, run.ended_n, run.failed_n ? "some failed" : "");
        *duration_s = run.ended_s - run.began_s;
    }
    free(run.arrivals_s);
    free(run.ready);
    return ok;
}

void qr_load_free_records(struct qr_record *records, size_t n)
{
    for (size_t i = 0; records && i < n; i++) {
        free(records[i].gaps_s);
        free(records[i].text);
    }
    free(records);
}
