/* SPDX-License-Identifier: MIT */
#include "tools/quire/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST  1e9  /* of a number on the command line */
#define ABOVE 1e-9 /* the least distance to an excluded bound */

volatile sig_atomic_t qr_answer_interrupted;

static void on_interrupt(int number)
{
    (void)number;
    qr_answer_interrupted = 1;
}

void qr_answer_watch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART: reads return */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

/* Defaults that differ from the API's.  The API draws from all tokens at temperature 1, and a small
 * model then writes nonsense. */
static const struct cli_default {
    bool differs;
    double value;
} cli_defaults[QR_SAMPLER_SETTINGS_N] = {
    [QR_SAMPLER_temperature] = {true, 0.7},
    [QR_SAMPLER_min_p] = {true, 0.05},
};

bool qr_answer_setting_is_sent(const struct qr_answer_setting *setting, bool recommended)
{
    return setting->given || (setting->differs && !recommended);
}

static struct qr_option setting_option(const struct qr_sampler_setting *setting,
                                       const struct cli_default *own, struct qr_answer_setting *cli)
{
    const double normal = own->differs ? own->value : setting->normal;
    const bool above = setting->bound != QR_SAMPLER_FROM;
    snprintf(cli->name, sizeof cli->name, "%s", setting->name);
    for (char *p = cli->name; *p; p++)
        if (*p == '_') *p = '-';
    snprintf(cli->help, sizeof cli->help, "%s (default: %g)", setting->meaning, normal);
    cli->real = normal;
    cli->integer = (int64_t)normal;
    cli->differs = own->differs;
    return (struct qr_option){setting->integer ? QR_OPTION_SIGNED : QR_OPTION_REAL,
                              cli->name,
                              setting->integer ? (void *)&cli->integer : (void *)&cli->real,
                              setting->argument,
                              cli->help,
                              setting->least + (above ? ABOVE : 0),
                              setting->most < MOST ? setting->most : MOST,
                              &cli->given};
}

void qr_answer_sampling_options(struct qr_option *table, struct qr_answer_sampling *s,
                                uint32_t max_tokens, const char *max_tokens_help)
{
    enum { FIRST_N = 3 };
    const struct qr_option options[] = {
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Sampling:", 0, 0, NULL},
        {QR_OPTION_COUNT, "max-tokens", &s->max_tokens, "N", max_tokens_help, 1, 1e9, NULL},
        {QR_OPTION_COUNT, "min-tokens", &s->min_tokens, "N",
         "do not end before N tokens (default: 0)", 0, 1e9, NULL},
        /* the settings */
        {QR_OPTION_SIGNED, "seed", &s->seed, "N",
         "seed of the random numbers (default: a random one)", 0, 9e15, &s->seeded},
        {QR_OPTION_LIST, "stop", &s->stop, "TEXT", "end the answer at this text; may be repeated",
         0, 0, NULL},
        {QR_OPTION_FLAG, "ignore-eos", &s->ignore_eos, NULL, "go on after an end-of-sequence token",
         0, 0, NULL},
    };
    enum { ALL_N = sizeof options / sizeof *options };
    _Static_assert(ALL_N + QR_SAMPLER_SETTINGS_N == QR_SAMPLING_OPTIONS_N, "as the header says");

    *s = (struct qr_answer_sampling){.max_tokens = max_tokens};
    memcpy(table, options, FIRST_N * sizeof *options);
    for (int i = 0; i < QR_SAMPLER_SETTINGS_N; i++)
        table[FIRST_N + i] =
            setting_option(&qr_sampler_settings[i], &cli_defaults[i], &s->settings[i]);
    memcpy(table + FIRST_N + QR_SAMPLER_SETTINGS_N, options + FIRST_N,
           (ALL_N - FIRST_N) * sizeof *options);
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
