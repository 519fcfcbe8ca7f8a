/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/fake_server.h"
#include "tools/loadgen/run.h"

#define VOCAB_N 1600u

/* Data shared by a server script and its test. */
struct plan {
    size_t piece;           /* bytes a write */
    atomic_uint bad_bodies; /* unexpected requests */
    unsigned fail_every;    /* refuse every n-th request */
    atomic_uint asked;      /* answers given by models_script */
};

static struct qr_load_settings settings_of(uint32_t prompts_n)
{
    return (struct qr_load_settings){.prompts_n = prompts_n,
                                     .input_n = 12,
                                     .output_n = 5,
                                     .turns_n = 3,
                                     .request_rate = HUGE_VAL,
                                     .burstiness = 1,
                                     .max_seconds = 60,
                                     .quiet = true,
                                     .goodput = {false, HUGE_VAL, HUGE_VAL, HUGE_VAL}};
}

struct outcome {
    struct qr_record *records;
    size_t records_n;
    double duration_s;
    struct qr_metrics metrics;
};

static struct outcome drive(const char *socket, const struct qr_load_settings *s)
{
    struct outcome o;
    struct qr_workload workload;
    struct qr_address address;
    struct qr_failure why = {""};
    assert_true(qr_address_read(&address, socket, NULL, &why));
    assert_true(qr_workload_create(&workload, s, VOCAB_N, s->prompts_n, 1, &why));
    struct qr_load_input input = {.settings = s,
                                  .address = &address,
                                  .workload = &workload,
                                  .model = "m",
                                  .vocab_n = VOCAB_N,
                                  .concurrency = s->concurrency,
                                  .request_rate = s->request_rate,
                                  .title = "test"};
    o.records_n = workload.jobs_n;
    o.records = calloc(o.records_n, sizeof *o.records);
    assert_non_null(o.records);
    assert_true(qr_load_run(&input, o.records, &o.duration_s, &why));
    assert_true(qr_metrics_compute(&o.metrics, o.records, o.records_n, o.duration_s, &s->goodput));
    assert_int_equal(o.metrics.completed + o.metrics.failed, o.records_n);
    qr_workload_destroy(&workload);
    return o;
}

/* Streams max_tokens tokens; usage reports the counted prompt tokens. */
static bool good_script(const struct fake_exchange *x)
{
    struct plan *plan = x->server->user;
    if (plan->fail_every && x->number % plan->fail_every == plan->fail_every - 1)
        return fake_answer(x, 429, "{\"error\":{\"message\":\"the queue is full\"}}");
    json_t *json = json_loads(x->body, 0, NULL);
    bool chat = strstr(x->path, "chat") != NULL;
    size_t prompt_n = json_array_size(json_object_get(json, chat ? "messages" : "prompt"));
    const json_t *max = json_object_get(json, chat ? "max_completion_tokens" : "max_tokens");
    unsigned tokens_n = (unsigned)json_integer_value(max);
    if (!json || !prompt_n || !tokens_n || strcmp(x->method, "POST"))
        atomic_fetch_add(&plan->bad_bodies, 1);
    json_decref(json);
    return fake_stream(x, tokens_n, (unsigned)prompt_n, chat, plan->piece);
}

/* Goal: every request is sent and counted once, and tokens come from the server's usage.
 * Method: 40 requests in closed loop, 4 at a time; the server counts too. */
static void counts_are_the_servers(void **state)
{
    (void)state;
    struct fake_server server;
    struct plan plan = {0};
    struct qr_load_settings s = settings_of(40);
    s.concurrency = 4;
    fake_start(&server, good_script, &plan);
    struct outcome o = drive(server.path, &s);
    assert_int_equal(o.metrics.completed, 40);
    assert_int_equal(o.metrics.input_n, 40 * 12);
    assert_int_equal(o.metrics.output_n, 40 * 5);
    assert_int_equal(atomic_load(&server.requests_n), 40);
    assert_int_equal(atomic_load(&plan.bad_bodies), 0);
    assert_in_range(atomic_load(&server.running_max), 1, 4);
    assert_in_range(atomic_load(&server.connections_n), 1, 4); /* kept alive */
    for (size_t i = 0; i < o.records_n; i++) {
        const struct qr_record *r = &o.records[i];
        assert_int_equal(r->gaps_n, 4);
        double sum = r->ttft_s;
        for (uint32_t g = 0; g < r->gaps_n; g++)
            sum += r->gaps_s[g];
        assert_true(fabs(sum - r->latency_s) < 1e-6);
        assert_true(r->ttft_s > 0 && r->start_s + r->latency_s <= o.duration_s + 1e-6);
    }
    qr_load_free_records(o.records, o.records_n);
    fake_stop(&server);
}

/* Goal: results do not depend on where the network cuts the stream.
 * Method: answers in writes of 1, 7 and 100 bytes, for both endpoints. */
static void cut_streams_are_counted_alike(void **state)
{
    (void)state;
    const size_t pieces[] = {1, 7, 100};
    for (int chat = 0; chat < 2; chat++)
        for (size_t i = 0; i < 3; i++) {
            struct fake_server server;
            struct plan plan = {.piece = pieces[i]};
            struct qr_load_settings s = settings_of(3);
            s.chat = chat;
            fake_start(&server, good_script, &plan);
            struct outcome o = drive(server.path, &s);
            assert_int_equal(o.metrics.completed, 3);
            assert_int_equal(o.metrics.output_n, 15);
            assert_int_equal(o.records[2].gaps_n, 4); /* the role's event is not a token */
            assert_int_equal(atomic_load(&plan.bad_bodies), 0);
            qr_load_free_records(o.records, o.records_n);
            fake_stop(&server);
        }
}

/* Goal: refused requests fail with the server's message; all others succeed.
 * Method: every fourth request gets 429. */
static void refused_requests_fail(void **state)
{
    (void)state;
    struct fake_server server;
    struct plan plan = {.fail_every = 4};
    struct qr_load_settings s = settings_of(20);
    s.concurrency = 5;
    fake_start(&server, good_script, &plan);
    struct outcome o = drive(server.path, &s);
    assert_int_equal(o.metrics.completed, 15);
    assert_int_equal(o.metrics.failed, 5);
    assert_int_equal(o.metrics.output_n, 15 * 5);
    for (size_t i = 0; i < o.records_n; i++)
        if (!o.records[i].ok)
            assert_string_equal(o.records[i].error, "HTTP 429: the queue is full");
    qr_load_free_records(o.records, o.records_n);
    fake_stop(&server);
}

/* One kind of malformed stream for each request number. */
static bool wrong_script(const struct fake_exchange *x)
{
    static const char *const events[] = {
        "data: {\"choices\":[{\"text\":\"a\"}]}\n\n", /* no [DONE] */
        "data: [DONE]\n\n",                           /* no token */
        "data: {\"error\":{\"message\":\"it broke\"}}\n\ndata: [DONE]\n\n",
        "data: nonsense\n\ndata: [DONE]\n\n",
    };
    struct fake_text t = {0};
    fake_put(&t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    if (x->number < 4) {
        fake_put_chunk(&t, events[x->number]);
        fake_put(&t, "0\r\n\r\n");
    } else {
        fake_put_chunk(&t, events[0]); /* and then the connection breaks */
    }
    fake_send(x->fd, t.bytes, t.n);
    free(t.bytes);
    return x->number < 4;
}

/* Goal: a stream that is cut, empty, malformed or carries an error fails with its reason.
 * Method: one request at a time, one fault each. */
static void wrong_streams_fail(void **state)
{
    (void)state;
    static const char *const says[] = {"[DONE]", "without a token", "it broke", "not JSON", "end"};
    struct fake_server server;
    struct qr_load_settings s = settings_of(5);
    s.concurrency = 1;
    fake_start(&server, wrong_script, NULL);
    struct outcome o = drive(server.path, &s);
    assert_int_equal(o.metrics.failed, 5);
    for (size_t i = 0; i < 5; i++)
        assert_non_null(strstr(o.records[i].error, says[i]));
    qr_load_free_records(o.records, o.records_n);
    fake_stop(&server);
}

/* A stream without usage. */
static bool silent_about_usage(const struct fake_exchange *x)
{
    struct fake_text t = {0};
    fake_put(&t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 3; i++)
        fake_put_chunk(&t, "data: {\"choices\":[{\"text\":\"a\"}]}\n\n");
    fake_put_chunk(&t, "data: [DONE]\n\n");
    fake_put(&t, "0\r\n\r\n");
    bool ok = fake_send(x->fd, t.bytes, t.n);
    free(t.bytes);
    return ok;
}

/* Goal: without usage, events count as tokens, and the ids sent as prompt tokens.
 * Method: three events for twelve ids. */
static void without_usage_chunks_are_counted(void **state)
{
    (void)state;
    struct fake_server server;
    struct qr_load_settings s = settings_of(2);
    fake_start(&server, silent_about_usage, NULL);
    struct outcome o = drive(server.path, &s);
    assert_int_equal(o.metrics.completed, 2);
    assert_int_equal(o.metrics.output_n, 6);
    assert_int_equal(o.metrics.input_n, 24);
    qr_load_free_records(o.records, o.records_n);
    fake_stop(&server);
}

/* Goal: in open loop all requests are sent in order, and none before it is due.
 * Method: 30 requests at 300 a second; the last is due at n / rate. */
static void open_loop_keeps_its_times(void **state)
{
    (void)state;
    struct fake_server server;
    struct plan plan = {0};
    struct qr_load_settings s = settings_of(30);
    s.request_rate = 300;
    fake_start(&server, good_script, &plan);
    struct outcome o = drive(server.path, &s);
    assert_int_equal(o.metrics.completed, 30);
    for (size_t i = 1; i < 30; i++)
        assert_true(o.records[i].start_s >= o.records[i - 1].start_s);
    assert_true(o.records[29].start_s >= 0.1 - 1e-9); /* n / rate */
    qr_load_free_records(o.records, o.records_n);
    fake_stop(&server);
}

/* Goal: goodput counts requests within the bounds: all with wide bounds, none at 0 ms.
 * Method: both bounds with one server. */
static void goodput_is_counted(void **state)
{
    (void)state;
    struct fake_server server;
    struct plan plan = {0};
    struct qr_load_settings s = settings_of(6);
    fake_start(&server, good_script, &plan);
    s.goodput = (struct qr_goodput){true, 1e9, 1e9, 1e9};
    struct outcome o = drive(server.path, &s);
    assert_int_equal(o.metrics.good, 6);
    qr_load_free_records(o.records, o.records_n);
    s.goodput.ttft_ms = 0;
    o = drive(server.path, &s);
    assert_int_equal(o.metrics.good, 0);
    qr_load_free_records(o.records, o.records_n);
    fake_stop(&server);
}

/* Goal: a conversation's turns are sent in sequence, each with the whole history.
 * Method: seven requests of three turns: 12, 12 + 5 + 12, ... ids, checked by the usage. */
static void turns_carry_their_history(void **state)
{
    (void)state;
    struct fake_server server;
    struct plan plan = {0};
    struct qr_load_settings s = settings_of(7);
    s.workload = QR_WORKLOAD_MULTI_TURN;
    fake_start(&server, good_script, &plan);
    struct outcome o = drive(server.path, &s);
    assert_int_equal(o.metrics.completed, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(o.records[i].input_n, 12 + i % 3 * 17);
        if (i % 3)
            assert_true(o.records[i].start_s >=
                        o.records[i - 1].start_s + o.records[i - 1].latency_s);
    }
    qr_load_free_records(o.records, o.records_n);
    fake_stop(&server);
}

/* Goal: a failed turn ends its conversation and no other.
 * Method: the first request is refused. */
static bool first_refused(const struct fake_exchange *x)
{
    if (x->number == 0) return fake_answer(x, 500, "{\"error\":{\"message\":\"no\"}}");
    return good_script(x);
}

static void a_failed_turn_ends_its_conversation(void **state)
{
    (void)state;
    struct fake_server server;
    struct plan plan = {0};
    struct qr_load_settings s = settings_of(6);
    s.workload = QR_WORKLOAD_MULTI_TURN;
    s.concurrency = 1;
    fake_start(&server, first_refused, &plan);
    struct outcome o = drive(server.path, &s);
    assert_int_equal(o.metrics.failed, 3);
    assert_non_null(strstr(o.records[2].error, "earlier turn"));
    assert_true(o.records[5].ok);
    qr_load_free_records(o.records, o.records_n);
    fake_stop(&server);
}

static bool hanging_script(const struct fake_exchange *x)
{
    char byte;
    if (x->number < 2) return fake_stream(x, 5, 12, false, 0);
    return recv(x->fd, &byte, 1, 0) > 0; /* until the client disconnects */
}

/* Goal: a run ends when the server hangs, and the unanswered requests fail with the reason.
 * Method: a server that answers at most twice, and a time limit of 0.3 s. */
static void a_hanging_server_ends_the_run(void **state)
{
    (void)state;
    struct fake_server server;
    struct qr_load_settings s = settings_of(10);
    s.concurrency = 2;
    s.max_seconds = 0.3;
    fake_start(&server, hanging_script, NULL);
    struct outcome o = drive(server.path, &s);
    assert_in_range(o.metrics.completed, 0, 2);
    assert_int_equal(o.metrics.failed, 10 - o.metrics.completed);
    for (size_t i = 0; i < 10; i++)
        assert_true(o.records[i].ok || strstr(o.records[i].error, "--max-seconds"));
    qr_load_free_records(o.records, o.records_n);
    fake_stop(&server);
}

/* Goal: without a server every request fails, and the run ends.
 * Method: a path that does not exist. */
static void a_missing_server_fails_all(void **state)
{
    (void)state;
    struct qr_load_settings s = settings_of(5);
    struct outcome o = drive("/tmp/quire-nobody.sock", &s);
    assert_int_equal(o.metrics.failed, 5);
    assert_non_null(strstr(o.records[4].error, "quire-nobody"));
    qr_load_free_records(o.records, o.records_n);
}

/* Names the model in another form each time. */
static bool models_script(const struct fake_exchange *x)
{
    static const char *const answers[] = {
        "{\"data\":[{\"id\":\"a\",\"meta\":{\"n_vocab\":49152}}]}",
        "{\"data\":[{\"id\":\"b\",\"vocab_size\":100}]}",
        "{\"data\":[{\"id\":\"c\"}]}",
        "{\"data\":[]}",
    };
    struct plan *plan = x->server->user;
    return fake_answer(x, 200, answers[atomic_fetch_add(&plan->asked, 1)]);
}

/* Goal: the model's name and vocabulary size are read in the forms of llama.cpp and quired; the
 *       size is 0 if the server does not report it.
 * Method: four answers. */
static void the_model_is_asked_for(void **state)
{
    (void)state;
    struct fake_server server;
    struct qr_address address;
    struct qr_failure why;
    char model[64];
    uint32_t vocab_n;
    struct plan plan = {0};
    fake_start(&server, models_script, &plan);
    assert_true(qr_address_read(&address, server.path, NULL, &why));
    assert_true(qr_load_ask_model(&address, NULL, model, sizeof model, &vocab_n, &why));
    assert_string_equal(model, "a");
    assert_int_equal(vocab_n, 49152);
    assert_true(qr_load_ask_model(&address, NULL, model, sizeof model, &vocab_n, &why));
    assert_int_equal(vocab_n, 100);
    assert_true(qr_load_ask_model(&address, NULL, model, sizeof model, &vocab_n, &why));
    assert_string_equal(model, "c");
    assert_int_equal(vocab_n, 0);
    assert_false(qr_load_ask_model(&address, NULL, model, sizeof model, &vocab_n, &why));
    fake_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_the_servers),
        cmocka_unit_test(cut_streams_are_counted_alike),
        cmocka_unit_test(refused_requests_fail),
        cmocka_unit_test(wrong_streams_fail),
        cmocka_unit_test(without_usage_chunks_are_counted),
        cmocka_unit_test(open_loop_keeps_its_times),
        cmocka_unit_test(goodput_is_counted),
        cmocka_unit_test(turns_carry_their_history),
        cmocka_unit_test(a_failed_turn_ends_its_conversation),
        cmocka_unit_test(a_hanging_server_ends_the_run),
        cmocka_unit_test(a_missing_server_fails_all),
        cmocka_unit_test(the_model_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
