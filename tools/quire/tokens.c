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

/* A server's answer to a POST with a JSON body, as JSON; NULL: why says. */
static json_t *post(const struct qr_source *source, const char *path, json_t *body,
                    struct qr_failure *why)
{
    struct qr_reply reply;
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    bool ok =
        text && qr_http_ask(&source->address, source->api_key, "POST", path, text, &reply, why);
    free(text);
    if (!ok) return NULL;
    json_t *json = NULL;
    if (reply.status != 200)
        qr_http_error_text(reply.status, reply.body, reply.body_n, why);
    else if (!(json = json_loadb(reply.body, reply.body_n, JSON_ALLOW_NUL, NULL)))
        qr_failed(why, "%s: the answer is no JSON", path);
    free(reply.body);
    return json;
}

static bool tokenize(const struct qr_source *source, const struct tokens *t, const char *text,
                     size_t text_n, int32_t **ids, size_t *ids_n, struct qr_failure *why)
{
    if (source->model) {
        unsigned flags = (t->no_special ? 0u : QUIRE_TEXT_SPECIAL) |
                         (t->no_bos ? 0u : QUIRE_TEXT_BOS | QUIRE_TEXT_EOS);
        return qr_answer_tokenize(source->model, text, text_n, flags, ids, ids_n, why);
    }
    json_t *prompt = json_stringn(text, text_n);
    if (!prompt) return qr_failed(why, "a server takes UTF-8 only: use --model for other bytes");
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

/* alone: one token as it stands within a text, not the beginning of one. */
static bool detokenize(const struct qr_source *source, const struct tokens *t, const int32_t *ids,
                       size_t ids_n, bool alone, char **text, size_t *text_n,
                       struct qr_failure *why)
{
    if (source->model) {
        unsigned flags =
            (t->no_special ? 0u : QUIRE_TEXT_SPECIAL) | (alone ? 0u : QUIRE_TEXT_BEGIN);
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
            return qr_failed(why, "an id is outside of the model's vocabulary");
        return qr_failed(why, "%s", quire_status_text(status));
    }
    json_t *list = json_array();
    for (size_t i = 0; i < ids_n; i++)
        json_array_append_new(list, json_integer(ids[i]));
    json_t *json = post(source, "/detokenize",
                        json_pack("{s:o, s:b}", "tokens", list, "continuation", alone), why);
    if (!json) return false;
    const json_t *prompt = json_object_get(json, "prompt");
    *text_n = json_string_length(prompt);
    *text = malloc(*text_n + 1);
    if (*text && *text_n) memcpy(*text, json_string_value(prompt), *text_n);
    json_decref(json);
    return *text ? true : qr_failed(why, "out of memory");
}

/* Bytes between quotes, control characters and quotes escaped. */
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
        if (!detokenize(source, t, &ids[i], 1, true, &text, &text_n, why)) return false;
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

static char *join(const char **arguments, size_t n)
{
    size_t room = 1;
    for (size_t i = 0; i < n; i++)
        room += strlen(arguments[i]) + 1;
    char *text = malloc(room), *p = text;
    if (!text) return NULL;
    *p = 0;
    for (size_t i = 0; i < n; i++)
        p += sprintf(p, "%s%s", i ? " " : "", arguments[i]);
    return text;
}

static int run(bool encode, const struct tokens *t, const char **arguments, size_t arguments_n,
               struct qr_failure *why)
{
    char *text = NULL;
    int32_t *ids = NULL;
    size_t text_n = 0, ids_n = 0;
    bool from_input = !arguments_n || (arguments_n == 1 && !strcmp(arguments[0], "-"));
    bool ok = true;
    if (from_input) {
        ok = qr_command_read_input(&text, &text_n, why);
    } else {
        text = join(arguments, arguments_n);
        text_n = text ? strlen(text) : 0;
        ok = text != NULL;
    }
    if (ok && !encode && !qr_parse_ids(text, &ids, &ids_n, why)) {
        free(text);
        return QR_EXIT_USAGE;
    }
    struct qr_source source;
    int code = ok ? qr_source_open(&source, &t->where, false, why) : QR_EXIT_FAILED;
    if (code == QR_EXIT_FINE) {
        if (encode) {
            ok = tokenize(&source, t, text, text_n, &ids, &ids_n, why) &&
                 print_tokens(&source, t, ids, ids_n, why);
        } else {
            char *out = NULL;
            size_t out_n = 0;
            ok = detokenize(&source, t, ids, ids_n, false, &out, &out_n, why);
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
    size_t options_n = table(options, &t, encode), arguments_n;
    const char **arguments;
    int code;
    if (!qr_command_read(encode ? tokenize_usage : detokenize_usage, options, options_n, argc, argv,
                         &arguments, &arguments_n, &code))
        return code;
    struct qr_failure why = {""};
    code = run(encode, &t, arguments, arguments_n, &why);
    free(arguments);
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
