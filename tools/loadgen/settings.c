/* SPDX-License-Identifier: MIT */
#include "tools/loadgen/settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Words that the table turns into settings afterwards. */
struct words {
    const char *workload, *endpoint;
    struct qr_option_list goodput;
};

#define OPTIONS_MAX 40

static size_t table(struct qr_option *o, struct qr_load_settings *s, struct words *w)
{
    const struct qr_option options[] = {
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Where:", 0, 0, NULL},
        {QR_OPTION_TEXT, "socket", &s->socket, "PATH",
         "a Unix socket; default: where quired listens", 0, 0, NULL},
        {QR_OPTION_TEXT, "url", &s->url, "URL", "http://HOST:PORT", 0, 0, NULL},
        {QR_OPTION_TEXT, "endpoint", &w->endpoint, "WHICH", "completions (default) or chat", 0, 0,
         NULL},
        {QR_OPTION_TEXT, "model", &s->model, "NAME", "default: the first of /v1/models", 0, 0,
         NULL},
        {QR_OPTION_TEXT, "api-key", &s->api_key, "KEY", "sent as a bearer token", 0, 0, NULL},
        {QR_OPTION_HEADING, NULL, NULL, NULL, "What is sent:", 0, 0, NULL},
        {QR_OPTION_TEXT, "workload", &w->workload, "KIND",
         "random (default), shared-prefix, multi-turn or file", 0, 0, NULL},
        {QR_OPTION_COUNT, "num-prompts", &s->prompts_n, "N", "requests in all; default 64", 1, 1e6,
         NULL},
        {QR_OPTION_COUNT, "input-len", &s->input_n, "N", "prompt tokens; default 128", 1, 1e6,
         NULL},
        {QR_OPTION_COUNT, "output-len", &s->output_n, "N", "tokens to generate; default 64", 1, 1e6,
         NULL},
        {QR_OPTION_REAL, "range-ratio", &s->range_ratio, "R",
         "lengths are drawn from [len*(1-R), len*(1+R)]; default 0", 0, 0.999999, NULL},
        {QR_OPTION_COUNT, "prefix-len", &s->prefix_n, "N",
         "tokens that all prompts begin with, on top of input-len;\n"
         "default 0, for shared-prefix 512",
         0, 1e6, &s->prefix_given},
        {QR_OPTION_COUNT, "turns", &s->turns_n, "N",
         "requests of one conversation in multi-turn; default 4", 1, 1000, NULL},
        {QR_OPTION_TEXT, "dataset-path", &s->dataset_path, "FILE",
         "for file: JSON lines with \"prompt\" or \"messages\", ShareGPT,\n"
         "or plain text, a prompt a line",
         0, 0, NULL},
        {QR_OPTION_FLAG, "ignore-eos", &s->ignore_eos, NULL, "generate output-len tokens, always",
         0, 0, NULL},
        {QR_OPTION_REAL, "temperature", &s->temperature, "T", "default 0: greedy", 0, 100, NULL},
        {QR_OPTION_COUNT, "vocab", &s->vocab_n, "N",
         "token ids are drawn below N; default: what /v1/models says", 16, 1e7, NULL},
        {QR_OPTION_SIGNED, "seed", &s->seed, "N", "default 0", 0, 9e15, NULL},
        {QR_OPTION_HEADING, NULL, NULL, NULL, "How fast:", 0, 0, NULL},
        {QR_OPTION_COUNT, "concurrency", &s->concurrency, "N",
         "requests under way at once (closed loop); default: no bound", 1, 100000, NULL},
        {QR_OPTION_REAL, "request-rate", &s->request_rate, "R",
         "requests a second (open loop, Poisson); default inf: all at once", 1e-6, HUGE_VAL, NULL},
        {QR_OPTION_REAL, "burstiness", &s->burstiness, "B",
         "shape of the gamma distributed gaps; default 1: Poisson", 1e-6, HUGE_VAL, NULL},
        {QR_OPTION_COUNT, "warmups", &s->warmups_n, "N", "requests before the clock starts", 0,
         100000, NULL},
        {QR_OPTION_REAL, "max-seconds", &s->max_seconds, "S",
         "stop, and count what is missing as failed; default 600", 1e-3, 1e7, NULL},
        {QR_OPTION_HEADING, NULL, NULL, NULL, "What comes out:", 0, 0, NULL},
        {QR_OPTION_MANY, "goodput", &w->goodput, "WHAT:MS...",
         "count requests within ttft:MS, tpot:MS and e2el:MS", 0, 0, NULL},
        {QR_OPTION_TEXT, "save-result", &s->save_result, "FILE",
         "write the figures as JSON, with vLLM's keys", 0, 0, NULL},
        {QR_OPTION_FLAG, "save-detailed", &s->save_detailed, NULL,
         "with each request's times and text in it", 0, 0, NULL},
        {QR_OPTION_FLAG, "quiet", &s->quiet, NULL, "no progress", 0, 0, NULL},
        {QR_OPTION_FLAG, "help", NULL, NULL, "this text", 0, 0, NULL},
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
            if (!colon || !qr_parse_real(colon + 1, &ms) || ms < 0)
                return qr_failed(why, "--goodput takes pairs like ttft:200, in ms, not '%s'", item);
            *colon = 0;
            double *limit = !strcmp(item, "ttft")   ? &goodput->ttft_ms
                            : !strcmp(item, "tpot") ? &goodput->tpot_ms
                            : !strcmp(item, "e2el") ? &goodput->e2el_ms
                                                    : NULL;
            if (!limit)
                return qr_failed(why, "--goodput knows ttft, tpot and e2el, not '%s'", item);
            *limit = ms;
            goodput->any = true;
        }
    }
    return true;
}

static bool words_read(struct qr_load_settings *s, const struct words *w, struct qr_failure *why)
{
    static const char *const kinds[] = {"random", "shared-prefix", "multi-turn", "file"};
    size_t kind = 0;
    while (kind < 4 && strcmp(kinds[kind], w->workload))
        kind++;
    if (kind == 4)
        return qr_failed(why,
                         "--workload is random, shared-prefix, multi-turn or file, not '%.40s'",
                         w->workload);
    s->workload = (enum qr_workload_kind)kind;
    s->chat = !strcmp(w->endpoint, "chat") || !strcmp(w->endpoint, "/v1/chat/completions");
    if (!s->chat && strcmp(w->endpoint, "completions") && strcmp(w->endpoint, "/v1/completions"))
        return qr_failed(why, "--endpoint is completions or chat, not '%.40s'", w->endpoint);
    return qr_goodput_read(&s->goodput, w->goodput.items, w->goodput.items_n, why);
}

static bool consistent(struct qr_load_settings *s, struct qr_failure *why)
{
    if (s->socket && s->url) return qr_failed(why, "give one of --socket and --url");
    if ((s->workload == QR_WORKLOAD_FILE) != (s->dataset_path != NULL))
        return qr_failed(why, "--workload file and --dataset-path FILE go together");
    if (s->save_detailed && !s->save_result)
        return qr_failed(why, "--save-detailed goes with --save-result FILE");
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
    const char **arguments = calloc((size_t)argc + 1, sizeof *arguments);
    size_t arguments_n = 0;
    if (!arguments) {
        qr_failed(why, "out of memory");
        return QR_OPTIONS_BAD;
    }
    enum qr_options_result result =
        qr_options_read(options, options_n, argc, argv, arguments, &arguments_n, why);
    if (result == QR_OPTIONS_OK && arguments_n) {
        qr_failed(why, "loadgen takes options only, not '%.60s'", arguments[0]);
        result = QR_OPTIONS_BAD;
    }
    if (result == QR_OPTIONS_OK && (!words_read(s, &words, why) || !consistent(s, why)))
        result = QR_OPTIONS_BAD;
    free(arguments);
    return result;
}

void qr_load_settings_help(void)
{
    struct qr_load_settings s;
    struct words w;
    struct qr_option options[OPTIONS_MAX];
    size_t options_n = table(options, &s, &w);
    printf(
        "Usage: loadgen [--socket PATH | --url URL] [options]\n\n"
        "Drives any OpenAI-compatible server, streaming, and reports as `vllm bench serve` does.\n"
        "Exit code: 0, 1 if any request failed, 2 for wrong usage.\n");
    qr_options_help(stdout, options, options_n);
}
