/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/client/numbers.h"
#include "tools/client/terminal.h"
#include "tools/quire/answer.h"
#include "tools/quire/command.h"
#include "tools/quire/speed.h"

static const char usage[] =
    "Usage: quire generate [options] [PROMPT | -]\n\n"
    "Continues a prompt and prints the text as it comes.  The prompt is the argument, --ids or\n"
    "standard input.  A model without a tokenizer takes --ids and prints token ids.\n";

struct generate {
    struct qr_source_options where;
    struct qr_answer_sampling sampling;
    const char *ids_text;
    bool show_ids, json, quiet;
    int32_t *ids;
    size_t ids_n;
    char *text;
    size_t text_n;
};

static size_t table(struct qr_option *o, struct generate *g)
{
    const struct qr_option own[] = {
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Prompt and output:", 0, 0, NULL},
        {QR_OPTION_TEXT, "ids", &g->ids_text, "LIST", "the prompt as token ids, such as 1,2,3", 0,
         0, NULL},
        {QR_OPTION_FLAG, "show-ids", &g->show_ids, NULL, "print token ids instead of text", 0, 0,
         NULL},
        {QR_OPTION_FLAG, "json", &g->json, NULL, "print one JSON object at the end", 0, 0, NULL},
        {QR_OPTION_FLAG, "quiet", &g->quiet, NULL, "do not print the speed and the kind of end", 0,
         0, NULL},
        {QR_OPTION_FLAG, "help", NULL, NULL, "print this help", 0, 0, NULL},
    };
    size_t n = sizeof own / sizeof *own;
    memcpy(o, own, sizeof own);
    qr_answer_sampling_options(o + n, &g->sampling, 128, "most tokens to generate (default: 128)");
    n += QR_SAMPLING_OPTIONS_N;
    return n + qr_source_options(o + n, &g->where, true);
}

static void print_piece(void *user, const char *text, size_t n)
{
    (void)user;
    fwrite(text, 1, n, stdout);
    fflush(stdout);
}

static void print_ids(const struct qr_answer *a)
{
    for (size_t i = 0; i < a->ids_n; i++)
        printf("%s%d", i ? " " : "", a->ids[i]);
    putchar('\n');
}

static bool print_json(const struct qr_answer *a, struct qr_failure *why)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < a->ids_n; i++)
        json_array_append_new(ids, json_integer(a->ids[i]));
    json_t *text = json_stringn(a->text, a->text_n);
    json_t *json = json_pack(
        "{s:o, s:o, s:s, s:{s:i, s:i, s:i, s:{s:i}}, s:f, s:f}", "text", text ? text : json_null(),
        "token_ids", ids, "finish_reason", a->finish, "usage", "prompt_tokens", (int)a->prompt_n,
        "completion_tokens", (int)a->completion_n, "total_tokens",
        (int)(a->prompt_n + a->completion_n), "prompt_tokens_details", "cached_tokens",
        (int)a->cached_n, "first_token_s", a->first_s, "total_s", a->total_s);
    bool ok = json && json_dumpf(json, stdout, JSON_INDENT(1)) == 0;
    json_decref(json);
    putchar('\n');
    return ok ? true : qr_failed(why, "the answer cannot be written as JSON");
}

static bool read_prompt(struct generate *g, const struct qr_arguments *arguments,
                        struct qr_failure *why)
{
    if (g->ids_text) {
        if (!qr_options_parse_ids(g->ids_text, &g->ids, &g->ids_n, why)) return false;
        return g->ids_n ? true : qr_failed(why, "--ids needs at least one id");
    }
    if (!arguments->n || !strcmp(arguments->items[0], "-"))
        return qr_command_read_input(&g->text, &g->text_n, why);
    g->text = strdup(arguments->items[0]);
    g->text_n = strlen(arguments->items[0]);
    return g->text ? true : qr_failed(why, "out of memory");
}

static int run(struct generate *g, struct qr_failure *why)
{
    struct qr_source source;
    int code = qr_source_open(&source, &g->where, true, why);
    if (code != QR_EXIT_FINE) return code;
    bool as_ids = g->show_ids;
    if (source.model) {
        struct quire_model_info info = {.size = sizeof info};
        quire_model_info(source.model, &info);
        as_ids = as_ids || !info.has_tokenizer;
    }
    struct qr_ask ask = {.ids = g->ids,
                         .ids_n = g->ids_n,
                         .text = g->text,
                         .text_n = g->text_n,
                         .sampling = &g->sampling,
                         .wants_ids = as_ids || g->json,
                         .piece = as_ids || g->json ? NULL : print_piece};
    struct qr_answer answer;
    bool ok = qr_answer_get(&source, &ask, &answer, why);
    if (ok && g->json)
        ok = print_json(&answer, why);
    else if (ok && as_ids)
        print_ids(&answer);
    else
        putchar('\n');
    fflush(stdout);
    if (ok && !g->quiet && !g->json) qr_speed_print(&answer, g->sampling.max_tokens);
    qr_answer_free(&answer);
    qr_source_close(&source);
    return ok ? QR_EXIT_FINE : QR_EXIT_FAILED;
}

int qr_command_generate(int argc, char **argv)
{
    struct generate g = {0};
    struct qr_option options[40];
    const struct qr_command_syntax syntax = {usage, options, table(options, &g)};
    struct qr_arguments arguments;
    int code;
    if (!qr_command_read(&syntax, argc, argv, &arguments, &code)) return code;
    struct qr_failure why = {""};
    if (arguments.n > 1 || (arguments.n && g.ids_text)) {
        qr_failed(&why, "generate takes one prompt, or --ids; quote a prompt that has spaces");
        code = QR_EXIT_USAGE;
    } else if (!read_prompt(&g, &arguments, &why)) {
        code = QR_EXIT_USAGE;
    } else {
        qr_answer_watch_interrupts();
        code = run(&g, &why);
    }
    if (code != QR_EXIT_FINE) qr_command_fail((enum qr_exit)code, &why);
    free(g.ids);
    free(g.text);
    free(arguments.items);
    return code;
}
