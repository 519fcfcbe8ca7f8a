/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/client/terminal.h"
#include "tools/quire/answer.h"
#include "tools/quire/command.h"
#include "tools/quire/speed.h"

static const char usage[] =
    "Usage: quire chat [options] [MESSAGE]\n\n"
    "With MESSAGE: prints one answer.  Without: a conversation, one message a line.  /reset\n"
    "begins a new conversation, /exit or Ctrl-D ends, Ctrl-C cancels the current answer.\n";

struct chat_command {
    struct qr_source_options where;
    struct qr_answer_sampling sampling;
    const char *system;
    bool quiet;
    struct qr_chat_turn *turns;
    size_t turns_n, turns_room;
};

static size_t table(struct qr_option *o, struct chat_command *c)
{
    const struct qr_option own[] = {
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Prompt and output:", 0, 0, NULL},
        {QR_OPTION_TEXT, "system", &c->system, "TEXT",
         "system message (default: the chat template's)", 0, 0, NULL},
        {QR_OPTION_FLAG, "quiet", &c->quiet, NULL, "do not print the speed and the kind of end", 0,
         0, NULL},
        {QR_OPTION_FLAG, "help", NULL, NULL, "print this help", 0, 0, NULL},
    };
    size_t n = sizeof own / sizeof *own;
    memcpy(o, own, sizeof own);
    qr_answer_sampling_options(o + n, &c->sampling, 1024,
                               "most tokens of an answer (default: 1024)");
    n += QR_SAMPLING_OPTIONS_N;
    return n + qr_source_options(o + n, &c->where, true);
}

static bool add_turn(struct chat_command *c, const char *role, const char *content)
{
    if (c->turns_n == c->turns_room) {
        size_t room = c->turns_room ? c->turns_room * 2 : 16;
        struct qr_chat_turn *grown = realloc(c->turns, room * sizeof *grown);
        if (!grown) return false;
        c->turns = grown;
        c->turns_room = room;
    }
    char *copy = strdup(content);
    if (!copy) return false;
    c->turns[c->turns_n++] = (struct qr_chat_turn){role, copy};
    return true;
}

static void drop_turns(struct chat_command *c, size_t down_to)
{
    while (c->turns_n > down_to)
        free(c->turns[--c->turns_n].content);
}

static bool reset(struct chat_command *c)
{
    drop_turns(c, 0);
    return !c->system || add_turn(c, "system", c->system);
}

static void print_piece(void *user, const char *text, size_t n)
{
    (void)user;
    fwrite(text, 1, n, stdout);
    fflush(stdout);
}

/* Answers one message.  On failure the conversation is unchanged. */
static bool turn(struct chat_command *c, const struct qr_source *source, const char *message,
                 struct qr_failure *why)
{
    size_t before = c->turns_n;
    struct qr_answer answer = {0};
    bool ok = add_turn(c, "user", message) ? true : qr_failed(why, "out of memory");
    if (ok) {
        struct qr_ask ask = {.turns = c->turns,
                             .turns_n = c->turns_n,
                             .sampling = &c->sampling,
                             .piece = print_piece};
        ok = qr_answer_get(source, &ask, &answer, why);
        putchar('\n');
        fflush(stdout);
    }
    if (ok && !c->quiet) qr_speed_print(&answer, c->sampling.max_tokens);
    if (ok && !add_turn(c, "assistant", answer.text)) ok = qr_failed(why, "out of memory");
    if (!ok) drop_turns(c, before);
    qr_answer_free(&answer);
    return ok;
}

/* Reads a line that is not empty, without its end.  False: the end of the input. */
static bool read_line(bool terminal, char **line, size_t *room)
{
    for (;;) {
        if (terminal) {
            printf("> ");
            fflush(stdout);
        }
        errno = 0;
        ssize_t n = getline(line, room, stdin);
        if (n < 0 && errno == EINTR && qr_answer_interrupted) { /* Ctrl-C between answers */
            clearerr(stdin);
            qr_answer_interrupted = 0;
            printf("\n(/exit or Ctrl-D ends the conversation)\n");
            continue;
        }
        if (n < 0) return false;
        while (n && ((*line)[n - 1] == '\n' || (*line)[n - 1] == '\r'))
            (*line)[--n] = 0;
        if (n) return true;
    }
}

static int converse(struct chat_command *c, const struct qr_source *source)
{
    bool terminal = qr_terminal_is(stdin) && qr_terminal_is(stdout);
    char *line = NULL;
    size_t room = 0;
    int code = QR_EXIT_FINE;
    while (read_line(terminal, &line, &room)) {
        struct qr_failure why = {""};
        qr_answer_interrupted = 0;
        if (!strcmp(line, "/exit") || !strcmp(line, "/quit")) break;
        if (!strcmp(line, "/reset")) {
            if (!reset(c)) break;
            continue;
        }
        if (turn(c, source, line, &why)) continue;
        fprintf(stderr, "quire: %s\n", why.text);
        if (terminal) continue; /* the user may /reset */
        code = QR_EXIT_FAILED;
        break;
    }
    if (terminal) putchar('\n');
    free(line);
    return code;
}

int qr_command_chat(int argc, char **argv)
{
    struct chat_command c = {0};
    struct qr_option options[40];
    const struct qr_command_syntax syntax = {usage, options, table(options, &c)};
    struct qr_arguments arguments;
    int code;
    if (!qr_command_read(&syntax, argc, argv, &arguments, &code)) return code;
    struct qr_failure why = {""};
    if (arguments.n > 1) {
        qr_failed(&why, "chat takes one message; quote a message that has spaces");
        free(arguments.items);
        return qr_command_fail(QR_EXIT_USAGE, &why);
    }
    struct qr_source source;
    code = qr_source_open(&source, &c.where, true, &why);
    if (code == QR_EXIT_FINE) {
        qr_answer_watch_interrupts();
        if (!reset(&c)) {
            qr_failed(&why, "out of memory");
            code = QR_EXIT_FAILED;
        } else if (arguments.n) {
            code = turn(&c, &source, arguments.items[0], &why) ? QR_EXIT_FINE : QR_EXIT_FAILED;
        } else {
            code = converse(&c, &source);
        }
        qr_source_close(&source);
    }
    if (why.text[0]) qr_command_fail((enum qr_exit)code, &why);
    drop_turns(&c, 0);
    free(c.turns);
    free(arguments.items);
    return code;
}
