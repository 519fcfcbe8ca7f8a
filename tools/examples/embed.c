/* SPDX-License-Identifier: MIT */
/* embed -- three requests at once inside your own program, driven from your own poll loop.
 *
 *     cc embed.c $(pkg-config --cflags --libs quire) -o embed
 *     ./embed MODEL.gguf
 *
 * The engine computes all three in one batch.  The first answer is printed as it comes.  The text
 * of the others is kept until the answers before them are complete.  Enter cancels running
 * requests. */
#include <poll.h>
#include <quire.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUESTS_N 3

static const char *const prompts[REQUESTS_N] = {
    "The capital of France is",
    "Water boils at",
    "Once upon a time",
};

struct answer {
    quire_id id;
    char text[4096]; /* text that came before this answer is printed */
    size_t text_n;
    bool done;
};

static void die(const char *what, const struct quire_error *error)
{
    fprintf(stderr, "embed: %s: %s\n", what, error->text);
    exit(1);
}

/* Without a supported tokenizer the prompt is one arbitrary id. */
static struct answer submit(const quire_model *model, quire_engine *engine, const char *prompt,
                            struct answer *destination)
{
    struct quire_error error;
    struct quire_request request;
    int32_t ids[64] = {1};
    size_t ids_n = 1;
    struct answer answer = {0};

    if (quire_tokenize(model, prompt, strlen(prompt), QUIRE_TEXT_SPECIAL | QUIRE_TEXT_BOS, ids, 64,
                       &ids_n) == QUIRE_NO_TOKENIZER)
        ids_n = 1;
    quire_request_defaults(&request);
    request.prompt = ids;
    request.prompt_n = ids_n;
    request.max_tokens = 32;
    request.temperature = 0; /* greedy */
    request.user = destination;
    if (quire_submit(engine, &request, &answer.id, &error)) die("submit", &error);
    return answer;
}

/* Prints the text of one event, or keeps it for later. */
static void take(const struct quire_event *event, const struct answer *printing, bool has_text)
{
    struct answer *answer = event->user;
    char id[16] = "";
    const char *text = event->text.data;
    size_t n = event->text.n;

    if (!has_text && event->kind == QUIRE_EVENT_TOKEN) {
        n = (size_t)snprintf(id, sizeof id, " %d", (int)event->token);
        text = id;
    }
    if (answer == printing) {
        fwrite(text, 1, n, stdout);
        fflush(stdout);
    } else if (n && n <= sizeof answer->text - answer->text_n) {
        memcpy(answer->text + answer->text_n, text, n);
        answer->text_n += n;
    }
    if (event->kind == QUIRE_EVENT_ERROR)
        fprintf(stderr, "embed: %s\n", quire_status_text(event->status));
    answer->done = event->kind == QUIRE_EVENT_DONE || event->kind == QUIRE_EVENT_ERROR;
}

/* Prints the prompt of an answer, and its text so far. */
static void print_begin(const struct answer *answer, int i)
{
    printf("[%d] %s", i + 1, prompts[i]);
    fwrite(answer->text, 1, answer->text_n, stdout);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct quire_error error;
    struct quire_model_settings model_settings;
    struct quire_engine_settings engine_settings;
    struct quire_model_info info = {.size = sizeof info};
    struct answer answers[REQUESTS_N];
    struct quire_event event;
    quire_model *model;
    quire_engine *engine;

    if (argc != 2) {
        fprintf(stderr, "usage: %s MODEL.gguf\n", argv[0]);
        return 2;
    }
    quire_model_settings_defaults(&model_settings);
    model_settings.path = argv[1];
    if (quire_model_open(&model_settings, &model, &error)) die("open", &error);
    quire_model_info(model, &info);
    quire_engine_settings_defaults(&engine_settings);
    if (quire_engine_start(&engine_settings, model, &engine, &error)) die("start", &error);

    for (int i = 0; i < REQUESTS_N; i++)
        answers[i] = submit(model, engine, prompts[i], &answers[i]);

    struct pollfd fds[2] = {{quire_fd(engine), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    int current = 0;
    print_begin(&answers[current], current);
    while (current < REQUESTS_N) {
        if (poll(fds, 2, -1) < 0) break;
        while (quire_next(engine, &event) == 1)
            take(&event, &answers[current], info.has_tokenizer);
        while (current < REQUESTS_N && answers[current].done) {
            putchar('\n');
            if (++current < REQUESTS_N) print_begin(&answers[current], current);
        }
        if (fds[1].revents) {
            char line[256];
            if (read(STDIN_FILENO, line, sizeof line) <= 0)
                fds[1].fd = -1; /* the input has ended */
            for (int i = 0; fds[1].fd >= 0 && i < REQUESTS_N; i++)
                quire_cancel(engine, answers[i].id);
        }
    }
    quire_engine_stop(engine, 0);
    quire_engine_free(engine);
    quire_model_close(model);
    return 0;
}
