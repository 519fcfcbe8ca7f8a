/* SPDX-License-Identifier: MIT */
#include "support/process.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* Reads all of a file and closes it. */
static char *slurp(FILE *file, size_t *n)
{
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    assert(size >= 0);
    rewind(file);
    char *text = malloc((size_t)size + 1);
    assert(text);
    size_t got = fread(text, 1, (size_t)size, file);
    text[got] = 0;
    if (n) *n = got;
    fclose(file);
    return text;
}

bool process_built(const char *program)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", QUIRE_BUILD_DIR, program);
    return access(path, X_OK) == 0;
}

struct process_result process_run(const char *const *arguments, const char *input, size_t input_n)
{
    struct process_result result = {0};
    FILE *in = tmpfile(), *out = tmpfile(), *err = tmpfile();
    assert(in && out && err);
    if (input_n) fwrite(input, 1, input_n, in);
    fflush(in);
    rewind(in);
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", QUIRE_BUILD_DIR, arguments[0]);
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        dup2(fileno(in), 0);
        dup2(fileno(out), 1);
        dup2(fileno(err), 2);
        execv(path, (char *const *)(const void *)arguments);
        _exit(127);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    result.out = slurp(out, &result.out_n);
    result.err = slurp(err, NULL);
    fclose(in);
    return result;
}

void process_free(struct process_result *result)
{
    free(result->out);
    free(result->err);
}
