/* SPDX-License-Identifier: MIT */
/* command -- the subcommands of `quire`, and their exit statuses.
 *
 * Thread: the main one. */
#ifndef QR_QUIRE_COMMAND_H
#define QR_QUIRE_COMMAND_H

#include "tools/client/failure.h"
#include "tools/client/options.h"

enum qr_exit {
    QR_EXIT_FINE = 0,
    QR_EXIT_FAILED = 1, /* while running */
    QR_EXIT_USAGE = 2,
    QR_EXIT_MODEL = 3 /* the model cannot be loaded */
};

/* argv[0] is the subcommand's name. */
typedef int qr_command_fn(int argc, char **argv);
qr_command_fn qr_command_generate, qr_command_chat, qr_command_tokenize, qr_command_detokenize,
    qr_command_inspect, qr_command_parse, qr_command_constrain, qr_command_bench, qr_command_top;

struct qr_command_syntax {
    const char *usage; /* printed before the table */
    const struct qr_option *options;
    size_t options_n;
};
/* Reads a subcommand's options and arguments; the caller frees arguments->items.  False: help or
 * the mistake was printed, exit with *code. */
bool qr_command_read(const struct qr_command_syntax *syntax, int argc, char **argv,
                     struct qr_arguments *arguments, int *code);

/* Prints "quire: " and the sentence, and returns the code. */
int qr_command_fail(enum qr_exit code, const struct qr_failure *why);

/* Reads all of standard input.  A NUL follows the text; the caller frees it. */
bool qr_command_read_input(char **text, size_t *text_n, struct qr_failure *why);

#endif
