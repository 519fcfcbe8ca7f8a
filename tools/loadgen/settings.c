/* SPDX-License-Identifier: MIT */
#include "tools/loadgen/settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Options that need further parsing. */
struct words {
    const char *workload, *endpoint;
    struct qr_option_list goodput;
};

#define OPTIONS_MAX 40

static size_t table(struct qr_option *o, struct qr_load_settings *s, struct words *w)
{
    const struct qr_option options[] = {
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Server:", 0, 0, NULL},
        {QR_OPTION_TEXT, "socket", &s->socket, "PATH",
         "server on this Unix socket (default: quired's socket)", 0, 0, NULL},
        {QR_OPTION_TEXT, "url", &s->url, "URL", "server at http://HOST:PORT", 0, 0, NULL},
        {QR_OPTION_TEXT, "endpoint", &w->endpoint, "WHICH",
         "completions or chat (default: completions)", 0, 0, NULL},
        {QR_OPTION_TEXT, "model", &s->model, "NAME",
         "model name in requests (default: the first of /v1/models)", 0, 0, NULL},
        {QR_OPTION_TEXT, "api-key", &s->api_key, "KEY", "send KEY as a bearer token", 0, 0, NULL},
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Requests:", 0, 0, NULL},
        {QR_OPTION_TEXT, "workload", &w->workload, "KIND",
         "random, shared-prefix, multi-turn or file (default: random)", 0, 0, NULL},
        {QR_OPTION_COUNT, "num-prompts", &s->prompts_n, "N", "requests in all (default: 64)", 1,
         1e6, NULL},
        {QR_OPTION_COUNT, "input-len", &s->input_n, "N", "prompt tokens (default: 128)", 1, 1e6,
         NULL},
        {QR_OPTION_COUNT, "output-len", &s->output_n, "N", "tokens to generate (default: 64)", 1,
         1e6, NULL},
        {QR_OPTION_REAL, "range-ratio", &s->range_ratio, "R",
         "draw each length from [len * (1 - R), len * (1 + R)] (default: 0)", 0, 0.999999, NULL},
        {QR_OPTION_COUNT, "prefix-len", &s->prefix_n, "N",
         "tokens at the start of every prompt, in addition to --input-len (default: 0, for "
         "shared-prefix 512)",
         0, 1e6, &s->prefix_given},
        {QR_OPTION_COUNT, "turns", &s->turns_n, "N",
         "requests of one conversation, for multi-turn (default: 4)", 1, 1000, NULL},
        {QR_OPTION_TEXT, "dataset-path", &s->dataset_path, "FILE",
         "prompts for file: JSON lines with \"prompt\" or \"messages\", ShareGPT's JSON, or plain "
         "text with one prompt a line",
         0, 0, NULL},
        {QR_OPTION_FLAG, "ignore-eos", &s->ignore_eos, NULL,
         "generate all of --output-len, past the end of sequence", 0, 0, NULL},
        {QR_OPTION_REAL, "temperature", &s->temperature, "T",
         "sampling temperature; 0 is greedy (default: 0)", 0, 100, NULL},
        {QR_OPTION_COUNT, "vocab", &s->vocab_n, "N",
         "draw token ids below N (default: the size that the server reports)", 16, 1e7, NULL},
        {QR_OPTION_SIGNED, "seed", &s->seed, "N", "seed of prompts and arrivals (default: 0)", 0,
         9e15, NULL},
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Load:", 0, 0, NULL},
        {QR_OPTION_COUNT, "concurrency", &s->concurrency, "N",
         "most requests in progress (default: unlimited)", 1, 100000, NULL},
        {QR_OPTION_REAL, "request-rate", &s->request_rate, "R",
         "requests a second; inf sends all at once (default: inf)", 1e-6, HUGE_VAL, NULL},
        {QR_OPTION_REAL, "burstiness", &s->burstiness, "B",
         "shape of the gamma-distributed gaps between arrivals; 1 is a Poisson process (default: "
         "1)",
         1e-6, HUGE_VAL, NULL},
        {QR_OPTION_COUNT, "warmups", &s->warmups_n, "N",
         "requests before the measurement (default: 0)", 0, 100000, NULL},
        {QR_OPTION_REAL, "max-seconds", &s->max_seconds, "S",
         "end the run after S seconds; unfinished requests count as failed (default: 600)", 1e-3,
         1e7, NULL},
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Output:", 0, 0, NULL},
        {QR_OPTION_MANY, "goodput", &w->goodput, "WHAT:MS...",
         "also count requests within ttft:MS, tpot:MS and e2el:MS", 0, 0, NULL},
        {QR_OPTION_TEXT, "save-result", &s->save_result, "FILE",
         "write the figures as JSON, with vLLM's keys", 0, 0, NULL},
        {QR_OPTION_FLAG, "save-detailed", &s->save_detailed, NULL,
         "also write each request's times and text", 0, 0, NULL},
        {QR_OPTION_FLAG, "quiet", &s->quiet, NULL, "do not print progress", 0, 0, NULL},
        {QR_OPTION_FLAG, "help", NULL, NULL, "print this help", 0, 0, NULL},
    };
    memcpy(o, options, sizeof options);
    return sizeof options / sizeof *options;
}

bool qr_goodput_read(struct qr_goodput *goodput, const char *const *items, size_t items_n,
                     struct qr_failure *why)
{
    *goodput = (struct qr_goodput){false, HUGE_VAL, HUGE_VAL, HUGE_VAL};
    for (size_t i = 0; i < items_n; i++) {
        for (const char *p = items[i]; *p;) {
            char item[64];
            size_t n = strcspn(p, ", ");
            snprintf(item, sizeof item, "%.*s", (int)n, p);
            p += n + (p[n] != 0);
            if (!n) continue;
            char *colon = strchr(item, ':');
            double ms = 0;
            if (!colon || !qr_options_parse_real(colon + 1, &ms) || ms < 0)
                return qr_failed(why, "--goodput takes pairs like ttft:200, in ms, not '%s'", item);
            *colon = 0;
            double *limit = !strcmp(item, "ttft")   ? &goodput->ttft_ms
                            : !strcmp(item, "tpot") ? &goodput->tpot_ms
                            : !strcmp(item, "e2el") ? &goodput->e2el_ms
                                                    : NULL;
            if (!limit)
                return qr_failed(why, "--goodput takes ttft, tpot and e2el, not '%s'", item);
            *limit = ms;
            goodput->any = true;
        }
    }
    return true;
}

static bool words_read(struct qr_load_settings *s, const struct words *w, struct qr_failure *why)
{
    static const char *const kinds[] = {"random", "shared-prefix", "multi-turn", "file"};
    const size_t kinds_n = sizeof kinds / sizeof *kinds;
    size_t kind = 0;
    while (kind < kinds_n && strcmp(kinds[kind], w->workload))
        kind++;
    if (kind == kinds_n)
        return qr_failed(why,
                         "--workload takes random, shared-prefix, multi-turn or file, not '%.40s'",
                         w->workload);
    s->workload = (enum qr_workload_kind)kind;
    s->chat = !strcmp(w->endpoint, "chat") || !strcmp(w->endpoint, "/v1/chat/completions");
    if (!s->chat && strcmp(w->endpoint, "completions") && strcmp(w->endpoint, "/v1/completions"))
        return qr_failed(why, "--endpoint takes completions or chat, not '%.40s'", w->endpoint);
    return qr_goodput_read(&s->goodput, w->goodput.items, w->goodput.items_n, why);
}

static bool consistent(struct qr_load_settings *s, struct qr_failure *why)
{
    if (s->socket && s->url) return qr_failed(why, "give one of --socket and --url");
    if ((s->workload == QR_WORKLOAD_FILE) != (s->dataset_path != NULL))
        return qr_failed(why, "--workload file and --dataset-path FILE go together");
    if (s->save_detailed && !s->save_result)
        return qr_failed(why, "--save-detailed needs --save-result FILE");
    if (s->workload == QR_WORKLOAD_SHARED_PREFIX && !s->prefix_given) s->prefix_n = 512;
    return true;
}

enum qr_options_result qr_load_settings_read(struct qr_load_settings *s, int argc, char **argv,
                                             struct qr_failure *why)
{
    *s = (struct qr_load_settings){.prompts_n = 64,
                                   .input_n = 128,
                                   .output_n = 64,
                                   .turns_n = 4,
                                   .request_rate = HUGE_VAL,
                                   .burstiness = 1,
                                   .max_seconds = 600};
    struct words words = {.workload = "random", .endpoint = "completions"};
    struct qr_option options[OPTIONS_MAX];
    size_t options_n = table(options, s, &words);
    struct qr_arguments arguments = {.items = calloc((size_t)argc + 1, sizeof *arguments.items)};
    if (!arguments.items) {
        qr_failed(why, "out of memory");
        return QR_OPTIONS_BAD;
    }
    enum qr_options_result result =
        qr_options_read(options, options_n, argc, argv, &arguments, why);
    if (result == QR_OPTIONS_OK && arguments.n) {
        qr_failed(why, "loadgen takes options only, not '%.60s'", arguments.items[0]);
        result = QR_OPTIONS_BAD;
    }
    if (result == QR_OPTIONS_OK && (!words_read(s, &words, why) || !consistent(s, why)))
        result = QR_OPTIONS_BAD;
    free(arguments.items);
    return result;
}

void qr_load_settings_help(void)
{
    struct qr_load_settings s;
    struct words w;
    struct qr_option options[OPTIONS_MAX];
    size_t options_n = table(options, &s, &w);
    printf("Usage: loadgen [--socket PATH | --url URL] [options]\n\n"
           "Sends streaming requests to an OpenAI-compatible server.  The report is that of\n"
           "`vllm bench serve`.  Exit status: 0, 1 if a request failed, 2 wrong usage.\n");
    qr_options_help(stdout, options, options_n);
}
