/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tools/loadgen/run.h"

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Every request in progress has a connection. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool save(const json_t *json, const char *path, struct qr_failure *why)
{
    FILE *file = fopen(path, "w");
    bool ok = file && json_dumpf(json, file, JSON_INDENT(1)) == 0 && fputc('\n', file) != EOF;
    if (file && fclose(file)) ok = false;
    return ok ? true : qr_failed(why, "cannot write %s", path);
}

static bool warm_up(const struct qr_load_settings *s, const struct qr_load_input *main_input,
                    struct qr_failure *why)
{
    struct qr_workload workload;
    struct qr_load_input input = *main_input;
    double duration_s;
    /* Another seed: the measured prompts must not be in the server's prefix cache. */
    if (!qr_workload_create(&workload, s, input.vocab_n, s->warmups_n, ~(uint64_t)s->seed, why))
        return false;
    input.workload = &workload;
    input.title = "warming up";
    input.request_rate = HUGE_VAL;
    struct qr_record *records = calloc(workload.jobs_n, sizeof *records);
    bool ok = records && qr_load_run(&input, records, &duration_s, why);
    for (size_t i = 0; ok && i < workload.jobs_n; i++)
        if (!records[i].ok) ok = qr_failed(why, "a warm-up request failed: %s", records[i].error);
    qr_load_free_records(records, workload.jobs_n);
    qr_workload_destroy(&workload);
    return ok;
}

static bool measure(const struct qr_load_settings *s, const struct qr_load_input *input,
                    uint32_t *failed, struct qr_failure *why)
{
    struct qr_metrics metrics;
    double duration_s = 0;
    size_t jobs_n = input->workload->jobs_n;
    struct qr_record *records = calloc(jobs_n, sizeof *records);
    bool ok = records && qr_load_run(input, records, &duration_s, why);
    if (ok && !qr_metrics_compute(&metrics, records, jobs_n, duration_s, &s->goodput))
        ok = qr_failed(why, "out of memory");
    if (ok) {
        qr_report_failures(stderr, records, jobs_n);
        qr_report_print(stdout, &metrics, s);
        *failed = metrics.failed;
    }
    if (ok && s->save_result) {
        json_t *json = qr_report_json(&metrics, records, jobs_n, s, input->model, "openai");
        ok = json && save(json, s->save_result, why);
        json_decref(json);
    }
    qr_load_free_records(records, jobs_n);
    return ok;
}

static bool drive(const struct qr_load_settings *s, uint32_t *failed, struct qr_failure *why)
{
    struct qr_address address;
    char socket[128], model[256] = "";
    uint32_t vocab_n = 0;
    qr_address_default_socket(socket, sizeof socket);
    const char *path = s->socket ? s->socket : s->url ? NULL : socket;
    if (!qr_address_read(&address, path, s->url, why)) return false;

    bool draws_ids = s->workload != QR_WORKLOAD_FILE && !s->chat;
    bool asks = !s->model || (draws_ids && !s->vocab_n);
    if (asks && !qr_load_ask_model(&address, s->api_key, model, sizeof model, &vocab_n, why))
        return false;
    if (s->vocab_n) vocab_n = s->vocab_n;
    if (draws_ids && !vocab_n)
        return qr_failed(why, "%s does not report the size of its vocabulary; expected --vocab N",
                         address.name);
    struct qr_workload workload;
    if (!qr_workload_create(&workload, s, vocab_n, s->prompts_n, (uint64_t)s->seed + 1, why))
        return false;
    struct qr_load_input input = {.settings = s,
                                  .address = &address,
                                  .workload = &workload,
                                  .model = s->model ? s->model : model,
                                  .vocab_n = vocab_n,
                                  .concurrency = s->concurrency,
                                  .request_rate = s->request_rate,
                                  .title = "requests",
                                  .handles_signals = true};
    bool ok = !s->warmups_n || warm_up(s, &input, why);
    ok = ok && measure(s, &input, failed, why);
    qr_workload_destroy(&workload);
    return ok;
}

int main(int argc, char **argv)
{
    struct qr_load_settings settings;
    struct qr_failure why = {""};
    switch (qr_load_settings_read(&settings, argc - 1, argv + 1, &why)) {
    case QR_OPTIONS_HELP: qr_load_settings_help(); return EXIT_FINE;
    case QR_OPTIONS_BAD: fprintf(stderr, "loadgen: %s\n", why.text); return EXIT_USAGE;
    case QR_OPTIONS_OK: break;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    uint32_t failed = 0;
    if (!drive(&settings, &failed, &why)) {
        fprintf(stderr, "loadgen: %s\n", why.text);
        return EXIT_FAILED;
    }
    return failed ? EXIT_FAILED : EXIT_FINE;
}
