/* SPDX-License-Identifier: MIT */
/* engine -- opens models, starts engines and gathers answers from events, for the engine's tests.
 *
 *   open_model -> start -> submit ... gather -> stop_and_free -> quire_model_close
 *
 * A function that cannot do its work fails the test.
 *
 * Thread: the test's.   Memory: free() frees what submit and run return. */
#ifndef QR_TESTS_SUPPORT_ENGINE_H
#define QR_TESTS_SUPPORT_ENGINE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/quire.h"
#include "support/smollm2.h"

#define TINY       QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf"
#define ANSWER_MAX 1024
#define WAIT_MS    120000 /* a test that hangs fails */

struct scored {
    int32_t token;
    float logprob;
    uint32_t top_n;
    struct quire_logprob top[20];
};

struct answer {
    quire_id id;
    uint32_t prompt_n, ids_n;
    struct scored prompt[ANSWER_MAX], ids[ANSWER_MAX];
    char text[16384];
    size_t text_n;
    int terminals_n, kind, finish, status;
    int32_t stop_id;
    char stop[64];
    struct quire_usage usage;
};

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

/* The path of SmolLM2's file.  NULL, with a printed reason: it is missing, or this is TSan. */
const char *smollm2_unless_tsan(void);
quire_model *open_model(const char *path);
/* Setup and teardown of a group of tests: the state is the tiny model. */
int open_tiny(void **state);
int close_model(void **state);
/* The tiny model with the name of an unknown tokenizer: it serves token ids only. */
quire_model *open_model_without_text(void);
/* 64 MiB of pages, 2 threads. */
struct quire_engine_settings engine_settings(void);
quire_engine *start_with(const struct quire_engine_settings *settings, quire_model *model);
quire_engine *start(quire_model *model);
/* Asserts that no request lives and every page is free or cached. */
void assert_empty(const quire_engine *engine);
/* Asserts that the engine is empty, and frees it. */
void stop_and_free(quire_engine *engine);
/* A greedy request for n tokens that ignores the end of sequence. */
struct quire_request greedy(const int32_t *prompt, size_t prompt_n, uint32_t n);
/* Submits a request.  answer[i] becomes choice i's; answer is the request's user pointer. */
struct answer *submit(quire_engine *engine, struct quire_request request);
/* Adds an event to its answer.  Asserts order, indices and that one terminal event comes. */
struct answer *take(const struct quire_event *event);
/* Takes events until n requests, or choices, have ended. */
void gather(quire_engine *engine, uint32_t n);
/* Submits a request of one choice and gathers its answer. */
struct answer *run(quire_engine *engine, struct quire_request request);
/* Asserts the same bits: tokens, logprobs, text, end. */
void assert_same(const struct answer *a, const struct answer *b);

#endif
