/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/client/terminal.h"
#include "tools/quire/answer.h"
#include "tools/quire/command.h"

static const char tokenize_usage[] =
    "Usage: quire tokenize [options] [TEXT | -]\n\n"
    "Prints the token ids of a text on one line.  The text is the argument or standard input.\n";

static const char detokenize_usage[] =
    "Usage: quire detokenize [options] [ID... | -]\n\n"
    "Prints the text of token ids.  The ids are arguments or standard input, separated by spaces,\n"
    "commas or brackets.  A newline is added only on a terminal.\n";

struct tokens {
    struct qr_source_options where;
    bool no_special, no_bos, show, json;
};

/* Sends a JSON body, which is released, and returns the JSON answer.  NULL: see why. */
static json_t *post(const struct qr_source *source, const char *path, json_t *body,
                    struct qr_failure *why)
{
    struct qr_reply reply;
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    const struct qr_http_request request = {"POST", path, text, text ? strlen(text) : 0};
    bool ok = text ? qr_http_ask(&source->address, source->api_key, &request, &reply, why)
                   : qr_failed(why, "out of memory");
    free(text);
    if (!ok) return NULL;
    json_t *json = NULL;
    if (reply.status != 200)
        qr_http_error_text(reply.status, reply.body, reply.body_n, why);
    else if (!(json = json_loadb(reply.body, reply.body_n, JSON_ALLOW_NUL, NULL)))
        qr_failed(why, "%s: the answer is not JSON", path);
    free(reply.body);
    return json;
}

static bool tokenize(const struct qr_source *source, const struct tokens *t, struct quire_text text,
                     int32_t **ids, size_t *ids_n, struct qr_failure *why)
{
    if (source->model) {
        unsigned flags = (t->no_special ? 0u : QUIRE_TEXT_SPECIAL) |
                         (t->no_bos ? 0u : QUIRE_TEXT_BOS | QUIRE_TEXT_EOS);
        return qr_answer_tokenize(source->model, text, flags, ids, ids_n, why);
    }
    json_t *prompt = json_stringn(text.data, text.n);
    if (!prompt)
        return qr_failed(why, "the text is not UTF-8; a server takes UTF-8 only, use --model");
    json_t *json =
        post(source, "/tokenize",
             json_pack("{s:o, s:b}", "prompt", prompt, "add_special_tokens", !t->no_bos), why);
    if (!json) return false;
    const json_t *list = json_object_get(json, "tokens");
    *ids_n = json_array_size(list);
    *ids = malloc((*ids_n + 1) * sizeof **ids);
    for (size_t i = 0; *ids && i < *ids_n; i++)
        (*ids)[i] = (int32_t)json_integer_value(json_array_get(list, i));
    json_decref(json);
    return *ids ? true : qr_failed(why, "out of memory");
}

struct id_list {
    const int32_t *ids;
    size_t ids_n;
    bool begins; /* they begin a text: SentencePiece's leading space is removed */
};

/* On success the caller frees *text. */
static bool detokenize(const struct qr_source *source, const struct tokens *t, struct id_list list,
                       char **text, size_t *text_n, struct qr_failure *why)
{
    const int32_t *ids = list.ids;
    size_t ids_n = list.ids_n;
    if (source->model) {
        unsigned flags =
            (t->no_special ? 0u : QUIRE_TEXT_SPECIAL) | (list.begins ? QUIRE_TEXT_BEGIN : 0u);
        int status = quire_detokenize(source->model, ids, ids_n, flags, NULL, 0, text_n);
        if (status == QUIRE_OK || status == QUIRE_BUFFER_SMALL) {
            *text = malloc(*text_n + 1);
            status =
                *text ? quire_detokenize(source->model, ids, ids_n, flags, *text, *text_n, text_n)
                      : QUIRE_NO_MEMORY;
        }
        if (status == QUIRE_OK) return true;
        free(*text);
        *text = NULL;
        if (status == QUIRE_INVALID)
            return qr_failed(why, "an id is outside the model's vocabulary");
        return qr_failed(why, "%s", quire_status_text(status));
    }
    json_t *tokens = json_array();
    for (size_t i = 0; i < ids_n; i++)
        json_array_append_new(tokens, json_integer(ids[i]));
    json_t *json =
        post(source, "/detokenize",
             json_pack("{s:o, s:b}", "tokens", tokens, "continuation", !list.begins), why);
    if (!json) return false;
    const json_t *prompt = json_object_get(json, "prompt");
    *text_n = json_string_length(prompt);
    *text = malloc(*text_n + 1);
    if (*text && *text_n) memcpy(*text, json_string_value(prompt), *text_n);
    json_decref(json);
    return *text ? true : qr_failed(why, "out of memory");
}

/* Prints bytes between quotes; control characters and quotes are escaped. */
static void print_quoted(const char *text, size_t n)
{
    putchar('\'');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n')
            printf("\\n");
        else if (c == '\t')
            printf("\\t");
        else if (c == '\'' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
    putchar('\'');
}

static bool print_tokens(const struct qr_source *source, const struct tokens *t, const int32_t *ids,
                         size_t ids_n, struct qr_failure *why)
{
    for (size_t i = 0; i < ids_n && t->show; i++) {
        char *text = NULL;
        size_t text_n = 0;
        if (!detokenize(source, t, (struct id_list){&ids[i], 1, false}, &text, &text_n, why))
            return false;
        printf("%8d  ", ids[i]);
        print_quoted(text, text_n);
        putchar('\n');
        free(text);
    }
    if (t->show) return true;
    if (t->json) putchar('[');
    for (size_t i = 0; i < ids_n; i++)
        printf("%s%d", i ? t->json ? ", " : " " : "", ids[i]);
    puts(t->json ? "]" : "");
    return true;
}

static size_t table(struct qr_option *o, struct tokens *t, bool encode)
{
    const struct qr_option own[] = {
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Input and output:", 0, 0, NULL},
        {QR_OPTION_FLAG, "no-special", &t->no_special, NULL,
         encode ? "read special tokens as plain text; only with --model"
                : "do not write special tokens; only with --model",
         0, 0, NULL},
        {QR_OPTION_FLAG, "help", NULL, NULL, "print this help", 0, 0, NULL},
        {QR_OPTION_FLAG, "no-bos", &t->no_bos, NULL, "do not add BOS and EOS tokens", 0, 0, NULL},
        {QR_OPTION_FLAG, "show", &t->show, NULL, "print each id on a line, with its text", 0, 0,
         NULL},
        {QR_OPTION_FLAG, "json", &t->json, NULL, "print a JSON array", 0, 0, NULL},
    };
    size_t n = encode ? sizeof own / sizeof *own : 3;
    memcpy(o, own, n * sizeof *own);
    return n + qr_source_options(o + n, &t->where, true);
}

static char *join(const struct qr_arguments *arguments)
{
    size_t room = 1;
    for (size_t i = 0; i < arguments->n; i++)
        room += strlen(arguments->items[i]) + 1;
    char *text = malloc(room), *p = text;
    if (!text) return NULL;
    *p = 0;
    for (size_t i = 0; i < arguments->n; i++)
        p += sprintf(p, "%s%s", i ? " " : "", arguments->items[i]);
    return text;
}

static int run(bool encode, const struct tokens *t, const struct qr_arguments *arguments,
               struct qr_failure *why)
{
    char *text = NULL;
    int32_t *ids = NULL;
    size_t text_n = 0, ids_n = 0;
    bool from_input = !arguments->n || (arguments->n == 1 && !strcmp(arguments->items[0], "-"));
    bool ok = true;
    if (from_input) {
        ok = qr_command_read_input(&text, &text_n, why);
    } else {
        text = join(arguments);
        text_n = text ? strlen(text) : 0;
        ok = text != NULL;
    }
    if (ok && !encode && !qr_options_parse_ids(text, &ids, &ids_n, why)) {
        free(text);
        return QR_EXIT_USAGE;
    }
    struct qr_source source;
    int code = ok ? qr_source_open(&source, &t->where, false, why) : QR_EXIT_FAILED;
    if (code == QR_EXIT_FINE) {
        if (encode) {
            ok = tokenize(&source, t, (struct quire_text){text, text_n}, &ids, &ids_n, why) &&
                 print_tokens(&source, t, ids, ids_n, why);
        } else {
            char *out = NULL;
            size_t out_n = 0;
            ok = detokenize(&source, t, (struct id_list){ids, ids_n, true}, &out, &out_n, why);
            if (ok) fwrite(out, 1, out_n, stdout);
            if (ok && qr_terminal_is(stdout)) putchar('\n');
            free(out);
        }
        code = ok ? QR_EXIT_FINE : QR_EXIT_FAILED;
        qr_source_close(&source);
    }
    free(text);
    free(ids);
    return code;
}

static int command(bool encode, int argc, char **argv)
{
    struct tokens t = {0};
    struct qr_option options[24];
    const struct qr_command_syntax syntax = {encode ? tokenize_usage : detokenize_usage, options,
                                             table(options, &t, encode)};
    struct qr_arguments arguments;
    int code;
    if (!qr_command_read(&syntax, argc, argv, &arguments, &code)) return code;
    struct qr_failure why = {""};
    code = run(encode, &t, &arguments, &why);
    free(arguments.items);
    return code == QR_EXIT_FINE ? code : qr_command_fail((enum qr_exit)code, &why);
}

int qr_command_tokenize(int argc, char **argv)
{
    return command(true, argc, argv);
}

int qr_command_detokenize(int argc, char **argv)
{
    return command(false, argc, argv);
}
