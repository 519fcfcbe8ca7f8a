/* SPDX-License-Identifier: MIT */
#include "tools/quire/answer.h"

#include <stdlib.h>
#include <string.h>

volatile sig_atomic_t qr_answer_interrupted;

static void on_interrupt(int number)
{
    (void)number;
    qr_answer_interrupted = 1;
}

void qr_answer_watch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART: reads are left */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

void qr_cli_sampling_options(struct qr_option *table, struct qr_cli_sampling *s,
                             uint32_t max_tokens, const char *max_tokens_help)
{
    *s = (struct qr_cli_sampling){
        .max_tokens = max_tokens, .temperature = 1, .top_p = 1, .repetition = 1};
    const struct qr_option options[QR_SAMPLING_OPTIONS_N] = {
        {QR_OPTION_HEADING, NULL, NULL, NULL, "How tokens are chosen:", 0, 0, NULL},
        {QR_OPTION_COUNT, "max-tokens", &s->max_tokens, "N", max_tokens_help, 1, 1e9, NULL},
        {QR_OPTION_COUNT, "min-tokens", &s->min_tokens, "N", "no end before N; default 0", 0, 1e9,
         NULL},
        {QR_OPTION_REAL, "temperature", &s->temperature, "T", "0 is greedy; default 1", 0, 100,
         NULL},
        {QR_OPTION_REAL, "top-p", &s->top_p, "P", "default 1: off", 1e-9, 1, NULL},
        {QR_OPTION_SIGNED, "top-k", &s->top_k, "K", "default 0: off", -1, 1e9, NULL},
        {QR_OPTION_REAL, "min-p", &s->min_p, "P", "default 0: off", 0, 1, NULL},
        {QR_OPTION_REAL, "repetition-penalty", &s->repetition, "P",
         "of all known tokens; default 1: off", 1e-9, 1e9, NULL},
        {QR_OPTION_REAL, "presence-penalty", &s->presence, "P",
         "of generated tokens; default 0: off", -2, 2, NULL},
        {QR_OPTION_REAL, "frequency-penalty", &s->frequency, "P",
         "of generated tokens, each time; default 0: off", -2, 2, NULL},
        {QR_OPTION_SIGNED, "seed", &s->seed, "N", "default: drawn", 0, 9e15, &s->seeded},
        {QR_OPTION_LIST, "stop", &s->stop, "TEXT", "ends the text; may be given again", 0, 0, NULL},
        {QR_OPTION_FLAG, "ignore-eos", &s->ignore_eos, NULL, "generate on past the end of sequence",
         0, 0, NULL},
    };
    memcpy(table, options, sizeof options);
}

bool qr_answer_add_text(struct qr_answer *a, const char *text, size_t n)
{
    if (a->text_n + n + 1 > a->text_room) {
        size_t room = (a->text_n + n + 1) * 2;
        char *grown = realloc(a->text, room);
        if (!grown) return false;
        a->text = grown;
        a->text_room = room;
    }
    if (n) memcpy(a->text + a->text_n, text, n);
    a->text_n += n;
    a->text[a->text_n] = 0;
    return true;
}

bool qr_answer_add_id(struct qr_answer *a, int32_t id)
{
    if (a->ids_n == a->ids_room) {
        size_t room = a->ids_room ? a->ids_room * 2 : 64;
        int32_t *grown = realloc(a->ids, room * sizeof *grown);
        if (!grown) return false;
        a->ids = grown;
        a->ids_room = room;
    }
    a->ids[a->ids_n++] = id;
    return true;
}

bool qr_answer_get(const struct qr_source *source, const struct qr_ask *ask,
                   struct qr_answer *answer, struct qr_failure *why)
{
    *answer = (struct qr_answer){0};
    if (!qr_answer_add_text(answer, "", 0)) return qr_failed(why, "out of memory");
    return source->model ? qr_answer_local(source, ask, answer, why)
                         : qr_answer_remote(source, ask, answer, why);
}

void qr_answer_free(struct qr_answer *answer)
{
    free(answer->text);
    free(answer->ids);
    *answer = (struct qr_answer){0};
}
