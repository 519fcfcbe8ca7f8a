/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "runtime/quire.h"
#include "tools/quire/command.h"

static const struct {
    const char *name;
    qr_command_fn *run;
    const char *help;
} commands[] = {
    {"generate", qr_command_generate, "continue a prompt"},
    {"chat", qr_command_chat, "talk with a model, or send it one message"},
    {"tokenize", qr_command_tokenize, "convert text to token ids"},
    {"detokenize", qr_command_detokenize, "convert token ids to text"},
    {"inspect", qr_command_inspect, "show what a GGUF file holds, and whether quire can serve it"},
    {"parse", qr_command_parse, "split generated text into content, reasoning and tool calls"},
    {"constrain", qr_command_constrain, "check and time grammars, or explain what one refuses"},
    {"bench", qr_command_bench, "measure a model's speed and this machine's limits"},
    {"top", qr_command_top, "show a server's pages and batch, live"},
};

#define COMMANDS_N (sizeof commands / sizeof *commands)

static void help(FILE *out)
{
    fprintf(out, "Usage: quire COMMAND [options]\n\n");
    for (size_t i = 0; i < COMMANDS_N; i++)
        fprintf(out, "  %-12s%s\n", commands[i].name, commands[i].help);
    fprintf(out, "\n`quire COMMAND --help` lists a command's options; quire(1) says more.\n"
                 "Exit status: 0, 1 failure while running, 2 wrong usage, 3 the model cannot be "
                 "loaded.\n");
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        help(stderr);
        return QR_EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        help(stdout);
        return QR_EXIT_FINE;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("quire %s\n", quire_version());
        return QR_EXIT_FINE;
    }
    for (size_t i = 0; i < COMMANDS_N; i++)
        if (!strcmp(argv[1], commands[i].name)) return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "quire: unknown command '%.60s' (quire --help lists them)\n", argv[1]);
    return QR_EXIT_USAGE;
}
