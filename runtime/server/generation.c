/* SPDX-License-Identifier: MIT */
#include "runtime/server/generation.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/base/memory.h"
#include "runtime/parse/thinking.h"
#include "runtime/server/conn.h"
#include "runtime/server/json_write.h"
#include "runtime/server/logprobs.h"
#include "runtime/server/structured.h"
#include "runtime/server/unsupported.h"

static const struct quire_allocator *memory_of(const struct qr_generation *generation)
{
    return &generation->job.server->settings.memory;
}

/* ---- lifetime ------------------------------------------------------------------------------ */

static void free_generation(struct qr_generation *generation)
{
    struct qr_server *server = generation->job.server;
    assert(!generation->job.conn && !generation->job.at_work && generation->live_n == 0 &&
           !generation->touched);
    if (generation->prev)
        generation->prev->next = generation->next;
    else
        server->generations = generation->next;
    if (generation->next) generation->next->prev = generation->prev;
    for (size_t i = 0; i < generation->choices_n; i++)
        if (generation->choices[i].generation) qr_choice_deinit(&generation->choices[i]);
    qr_free(memory_of(generation), generation->choices);
    quire_grammar_free(generation->grammar);
    qr_prompts_deinit(&generation->prompts);
    qr_words_deinit(&generation->words);
    qr_tools_deinit(&generation->tools);
    qr_json_free(generation->chat);
    qr_json_free(generation->document);
    qr_buffer_deinit(&generation->body);
    qr_free(memory_of(generation), generation);
}

/* Ids of calls follow from the generation's id, so that they differ between requests. */
static bool begin_message(struct qr_generation *generation, struct qr_generation_choice *choice)
{
    struct qr_parse_settings settings;
    uint64_t seed = choice->index;
    for (const char *c = generation->id; *c; c++)
        seed = (seed ^ (unsigned char)*c) * 0x100000001b3u; /* FNV-1a */
    const bool reads = qr_tools_reader(&generation->tools, generation->job.server,
                                       qr_prompts_tail(&generation->prompts), seed, &settings);
    return qr_message_init(&choice->message, memory_of(generation), reads ? &settings : NULL);
}

static bool make_choices(struct qr_generation *generation)
{
    const size_t n = generation->prompts.n * generation->params.request.n;
    generation->choices = qr_alloc_zero(memory_of(generation), n, sizeof *generation->choices);
    if (!generation->choices)
        return qr_fail(&generation->failure, 500, NULL, NULL, "out of memory");
    generation->choices_n = n;
    for (size_t i = 0; i < n; i++) {
        struct qr_generation_choice *choice = &generation->choices[i];
        choice->generation = generation;
        choice->params = &generation->params;
        choice->prompt = &generation->prompts.all[i / generation->params.request.n];
        choice->model = generation->job.server->settings.model;
        choice->info = &generation->job.server->info;
        choice->index = (uint32_t)i;
        qr_choice_init(choice, memory_of(generation));
        if (generation->kind->is_message && !begin_message(generation, choice))
            return qr_fail(&generation->failure, 500, NULL, NULL, "out of memory");
    }
    return true;
}

/* The engine cancels a prompt's choices together: they are one request with one id. */
static void cancel_choices(struct qr_generation *generation, enum qr_cancel reason)
{
    quire_id last = 0;
    for (size_t i = 0; i < generation->choices_n; i++) {
        struct qr_generation_choice *choice = &generation->choices[i];
        if (choice->id == last || choice->ended) continue;
        last = choice->id;
        if (quire_cancel(generation->job.server->settings.engine, choice->id) == QUIRE_OK)
            generation->job.server->cancelled[reason]++;
    }
}

/* The client left while the choices were running. */
static void on_leave(struct qr_server_job *job, enum qr_cancel reason)
{
    struct qr_generation *generation = (struct qr_generation *)job;
    cancel_choices(generation, reason);
    if (generation->live_n == 0 && !generation->touched) free_generation(generation);
}

/* ---- preparing ----------------------------------------------------------------------------- */

/* More choices than the queue holds could never be accepted. */
static bool check_room(struct qr_generation *generation)
{
    const struct quire_request *request = &generation->params.request;
    const size_t most = generation->job.server->limits.prompts_max;
    const size_t n = generation->prompts.n * request->best_of;
    if (n <= most) return true;
    return qr_fail_field(
        &generation->failure, request->best_of > request->n ? "best_of" : "n",
        "%zu prompts times %u choices are %zu; expected at most %zu, the size of the queue",
        generation->prompts.n, request->best_of, n, most);
}

const struct qr_json *qr_generation_request(const struct qr_generation *generation)
{
    return generation->chat ? generation->chat : generation->document;
}

/* Replaces the request by one made of it. */
static bool replace_request(struct qr_generation *generation, struct qr_json *made)
{
    if (!made)
        return generation->failure.http_status
                   ? false
                   : qr_fail(&generation->failure, 500, NULL, NULL, "out of memory");
    qr_json_free(generation->chat); /* made shares what the tools point to */
    generation->chat = made;
    return true;
}

static bool read_tools(struct qr_generation *generation)
{
    if (!generation->kind->is_message) return true;
    if (!qr_tools_read(&generation->tools, generation->job.server,
                       qr_generation_request(generation), &generation->failure))
        return false;
    return !generation->tools.rewrites ||
           replace_request(generation, qr_tools_rewrite(qr_generation_request(generation),
                                                        memory_of(generation)));
}

static bool compile_calls(struct qr_generation *generation, const char *tag)
{
    struct quire_grammar_settings settings;
    struct quire_error error;

    quire_grammar_settings_defaults(&settings);
    settings.structural_tag = (struct quire_text){tag, strlen(tag)};
    int status = qr_structured_compile_closed(generation->job.server->settings.model, &settings,
                                              &generation->grammar, &error);
    if (status == QUIRE_OK) return true;
    (void)snprintf(error.field, sizeof error.field, "tools");
    return qr_fail_engine(&generation->failure, status, &error);
}

/* Compiles what holds the answer: calls that must come, or a form, before which the model may think
 * and instead of which it may call. */
static bool read_grammar(struct qr_generation *generation)
{
    const struct qr_server *server = generation->job.server;
    const struct qr_json *request = qr_generation_request(generation);
    const struct quire_text tail = qr_prompts_tail(&generation->prompts);
    const bool required = generation->tools.choice == QR_TOOLS_REQUIRED;
    struct qr_structured_frame frame = {.calls = NULL};
    char *calls = NULL;

    if (generation->kind->is_message &&
        !qr_tools_force(&generation->tools, server, tail, !required && qr_structured_asks(request),
                        &calls, &generation->failure))
        return false;
    if (generation->kind->is_message) {
        const enum qr_parse_thinking thinking =
            qr_parse_thinking_of(server->family, server->reasoning, tail);
        if (thinking != QR_THINKING_NONE)
            qr_parse_thinking_pair(server->family, server->reasoning, tail, &frame.open,
                                   &frame.close);
        frame.opened = thinking == QR_THINKING_OPENED;
        frame.calls = calls;
    }
    /* A call that must come leaves nothing for a form to say. */
    bool done = calls && required
                    ? compile_calls(generation, calls)
                    : qr_structured_read(request, server->settings.model, memory_of(generation),
                                         &frame, &generation->grammar, &generation->failure);
    if (done && !generation->grammar && calls) done = compile_calls(generation, calls);
    free(calls);
    return done;
}

/* Cuts max_tokens to the context, which a chat request may not exceed. */
static bool cut_limit(struct qr_generation *generation)
{
    const uint32_t most = generation->job.server->limits.context_max;
    int64_t asked;

    if (!qr_json_integer(qr_json_get(generation->chat, "max_tokens"), &asked) || asked <= most)
        return true;
    if (qr_json_set(generation->chat, "max_tokens", qr_json_from_integer(most))) return true;
    return qr_fail(&generation->failure, 500, NULL, NULL, "out of memory");
}

static bool read_request(struct qr_generation *generation)
{
    const struct qr_generation_kind *kind = generation->kind;
    const struct qr_server *server = generation->job.server;
    struct qr_api_failure *failure = &generation->failure;

    if (kind->translate &&
        !replace_request(generation, kind->translate(generation->document, failure)))
        return false;
    if (kind->cuts_max_tokens && !cut_limit(generation)) return false;
    return qr_unsupported_check(qr_generation_request(generation), failure) &&
           read_tools(generation) &&
           qr_params_read(qr_generation_request(generation), kind->endpoint, &server->limits,
                          &generation->params, failure) &&
           qr_words_read(&generation->words, server->settings.model, server->limits.vocab_n,
                         qr_generation_request(generation), &generation->params.request, failure) &&
           kind->read_prompts(&generation->prompts, &server->settings,
                              qr_generation_request(generation), &server->limits, failure) &&
           read_grammar(generation) && check_room(generation) && make_choices(generation);
}

static void prepare(struct qr_server_job *job)
{
    struct qr_generation *generation = (struct qr_generation *)job;
    char why[256];
    generation->document =
        qr_json_parse(generation->body.data, generation->body.n, why, sizeof why);
    if (!generation->document)
        (void)qr_fail_field(&generation->failure, NULL, "the body is not JSON: %s", why);
    else if (qr_json_type(generation->document) != QR_JSON_OBJECT)
        (void)qr_fail_field(&generation->failure, NULL, "the body must be a JSON object");
    else
        (void)read_request(generation);
}

/* ---- submitting ---------------------------------------------------------------------------- */

/* Submits one prompt with all its choices. */
static bool submit_prompt(struct qr_generation *generation, size_t which)
{
    const struct qr_server *server = generation->job.server;
    const struct qr_caller *caller = &generation->job.conn->caller;
    const struct qr_params *p = &generation->params;
    const struct qr_prompt *prompt = &generation->prompts.all[which];
    struct qr_generation_choice *choices = &generation->choices[which * p->request.n];
    struct quire_request request = p->request;
    char salt[QR_CACHE_SALT_MAX]; /* quire_submit keeps hashes of both */
    char client[QR_CALLER_NAME_MAX];

    generation->params.cuts_max_tokens = generation->kind->cuts_max_tokens;
    if (!qr_params_max_tokens(p, generation->kind->endpoint, &server->limits, prompt->ids_n,
                              &request.max_tokens, &generation->failure))
        return false;
    if (request.max_tokens == 0 || p->prompt_logprobs >= 0 || (p->echo && p->logprobs >= 0))
        request.flags |= QUIRE_REQUEST_PROMPT_LOGPROBS;
    request.prompt = prompt->ids;
    request.prompt_n = prompt->ids_n;
    request.cache_salt =
        qr_scope_salt(server->settings.cache_scope, caller, p->request.cache_salt, salt);
    request.client = qr_caller_client(caller, client);
    request.grammar = generation->grammar;
    if (generation->kind->is_message) {
        request.shown_ids = server->shown_ids;
        request.shown_ids_n = server->shown_ids_n;
    }
    request.user = choices;

    struct quire_error error = {.status = QUIRE_OK};
    quire_id id;
    int status = quire_submit(server->settings.engine, &request, &id, &error);
    if (status != QUIRE_OK) return qr_fail_engine(&generation->failure, status, &error);
    for (uint32_t i = 0; i < request.n; i++)
        choices[i].id = id;
    generation->live_n += request.n;
    return true;
}

/* Submits all prompts or none. */
static bool submit(struct qr_generation *generation)
{
    for (size_t i = 0; i < generation->prompts.n; i++) {
        if (!submit_prompt(generation, i)) {
            cancel_choices(generation, QR_CANCEL_SIBLING);
            return false;
        }
        generation->job.conn->prompt_tokens += (uint32_t)generation->prompts.all[i].ids_n;
    }
    generation->submitted = true;
    return true;
}

static void on_prepared(struct qr_server_job *job)
{
    struct qr_generation *generation = (struct qr_generation *)job;
    struct qr_conn *conn = job->conn;
    qr_buffer_deinit(&generation->body); /* the document has copies of all strings */
    if (job->server->impatient && generation->failure.http_status == 0)
        (void)qr_fail_engine(&generation->failure, QUIRE_STOPPING, NULL);
    if (conn && generation->failure.http_status == 0 && submit(generation)) {
        for (size_t i = 0; i < generation->choices_n; i++)
            if (generation->kind->begin_choice)
                generation->kind->begin_choice(&generation->choices[i]);
        if (generation->params.stream) qr_conn_stream_begin(conn);
        return;
    }
    if (generation->kind->rename) generation->kind->rename(&generation->failure);
    if (conn) qr_conn_answer_failure(conn, &generation->failure);
    if (generation->live_n == 0) free_generation(generation);
}

static void make_id(struct qr_generation *generation)
{
    unsigned char bytes[16] = {0};
    int n = snprintf(generation->id, sizeof generation->id, "%s", generation->kind->id_prefix);
    (void)uv_random(NULL, NULL, bytes, sizeof bytes, 0, NULL);
    for (size_t i = 0; i < sizeof bytes; i++)
        n += snprintf(generation->id + n, sizeof generation->id - (size_t)n, "%02x", bytes[i]);
}

void qr_generation_begin(struct qr_conn *conn, const struct qr_generation_kind *kind)
{
    struct qr_server *server = conn->server;
    struct qr_generation *generation =
        qr_alloc_zero(&server->settings.memory, 1, sizeof *generation);
    if (!generation) {
        struct qr_api_failure failure;
        (void)qr_fail(&failure, 500, NULL, NULL, "out of memory");
        qr_conn_answer_failure(conn, &failure);
        return;
    }
    generation->job = (struct qr_server_job){
        .server = server, .conn = conn, .run = prepare, .done = on_prepared, .leave = on_leave};
    generation->kind = kind;
    generation->created_s = (uint64_t)time(NULL);
    make_id(generation);
    qr_buffer_init(&generation->body, &server->settings.memory);
    qr_buffer_swap(&generation->body, &conn->http.body);
    qr_prompts_init(&generation->prompts, &server->settings.memory);
    qr_words_init(&generation->words, &server->settings.memory);
    qr_tools_init(&generation->tools, &server->settings.memory);
    generation->next = server->generations;
    if (generation->next) generation->next->prev = generation;
    server->generations = generation;
    qr_server_job_start(&generation->job,
                        generation->body.n > QR_WORKER_BODY_BYTES ||
                            qr_structured_may_ask(generation->body.data, generation->body.n));
}

/* ---- answering ----------------------------------------------------------------------------- */

void qr_generation_put_event(struct qr_generation *generation, const char *event,
                             const struct qr_buffer *payload)
{
    if (payload->failed) {
        (void)qr_fail(&generation->failure, 500, NULL, NULL, "out of memory");
        cancel_choices(generation, QR_CANCEL_SIBLING);
    } else {
        qr_conn_stream_put(generation->job.conn, event, payload->data, payload->n);
    }
}

static void answer(struct qr_generation *generation)
{
    struct qr_conn *conn = generation->job.conn;
    struct qr_buffer body;
    qr_buffer_init(&body, memory_of(generation));
    generation->kind->put_answer(generation, &body);
    for (size_t i = 0; i < generation->choices_n; i++) {
        const struct qr_generation_choice *choice = &generation->choices[i];
        if (choice->finish == QUIRE_FINISH_CANCELLED)
            (void)qr_fail_engine(&generation->failure, QUIRE_STOPPING, NULL);
        body.failed |= qr_choice_failed(choice);
    }
    if (body.failed) (void)qr_fail(&generation->failure, 500, NULL, NULL, "out of memory");
    if (generation->failure.http_status)
        qr_conn_answer_failure(conn, &generation->failure);
    else
        qr_conn_answer(conn, 200, "application/json", body.data, body.n);
    qr_buffer_deinit(&body);
}

/* ---- events -------------------------------------------------------------------------------- */

static void add_logprobs(struct qr_generation_choice *choice, const struct quire_event *event)
{
    const struct qr_generation_kind *kind = choice->generation->kind;
    size_t n = choice->content.n;

    if (!kind->add_logprobs) return;
    kind->add_logprobs(choice, event);
    if (!kind->keeps_scores || choice->content.n == n) return;
    if (choice->content.data[n] == ',') n++;
    if (choice->scores.n > 0) qr_buffer_put(&choice->scores, ",", 1);
    qr_buffer_put(&choice->scores, choice->content.data + n, choice->content.n - n);
}

static void take_token(struct qr_generation_choice *choice, const struct quire_event *event)
{
    struct qr_generation *generation = choice->generation;
    const struct qr_params *p = &generation->params;
    if (p->stream && choice->tokens_n > 0) generation->kind->send_delta(choice);
    choice->tokens_n++;
    choice->usage = event->usage;
    generation->job.conn->completion_tokens++;
    if (generation->kind->is_message)
        qr_message_push(&choice->message, event->text);
    else
        qr_buffer_put(&choice->text, event->text.data, event->text.n);
    if (p->return_token_ids) {
        qr_json_put_comma(&choice->ids);
        qr_buffer_printf(&choice->ids, "%d", event->token);
    }
    if (p->logprobs >= 0) add_logprobs(choice, event);
    /* The one call that was asked for is complete. */
    if (generation->choices_n == 1 && !choice->stopped && qr_message_is_done(&choice->message)) {
        choice->stopped = true;
        (void)quire_cancel(generation->job.server->settings.engine, choice->id);
    }
}

static void take_end(struct qr_generation_choice *choice, const struct quire_event *event)
{
    struct qr_generation *generation = choice->generation;
    choice->ended = true;
    choice->usage = event->usage;
    generation->live_n--;
    if (event->kind == QUIRE_EVENT_ERROR) {
        choice->finish = QUIRE_FINISH_CANCELLED;
        if (generation->failure.http_status == 0)
            (void)qr_fail_engine(&generation->failure, event->status, NULL);
        cancel_choices(generation, QR_CANCEL_SIBLING);
        return;
    }
    choice->finish = event->finish;
    if (choice->stopped && choice->finish == QUIRE_FINISH_CANCELLED)
        choice->finish = QUIRE_FINISH_STOP;
    choice->stop_id = event->stop_id;
    const struct quire_text stop =
        generation->params.includes_stop ? event->stop : (struct quire_text){NULL, 0};
    if (generation->kind->is_message) {
        qr_message_push(&choice->message, event->text);
        qr_message_end(&choice->message, stop, choice->finish == QUIRE_FINISH_LENGTH);
    } else {
        qr_buffer_put(&choice->text, event->text.data, event->text.n);
        qr_buffer_put(&choice->text, stop.data, stop.n);
    }
    qr_buffer_put(&choice->stop, event->stop.data, event->stop.n);
}

void qr_generation_take(struct qr_server *server, const struct quire_event *event)
{
    struct qr_generation_choice *choice =
        (struct qr_generation_choice *)event->user + event->choice;
    struct qr_generation *generation = choice->generation;
    const struct qr_params *p = &generation->params;
    if (!generation->touched) {
        generation->touched = true;
        generation->touched_next = server->touched;
        server->touched = generation;
    }
    const bool heard = generation->job.conn != NULL;
    switch (event->kind) {
    case QUIRE_EVENT_PROMPT:
        if (heard && p->echo && p->logprobs >= 0) generation->kind->add_logprobs(choice, event);
        if (heard && p->prompt_logprobs >= 0) qr_logprobs_add_prompt(choice, event);
        return;
    case QUIRE_EVENT_TOKEN:
        if (heard) take_token(choice, event);
        return;
    default: take_end(choice, event); return;
    }
}

/* At the end of a turn: sends a stream's deltas, and the answer of an ended generation. */
static void end_turn(struct qr_generation *generation)
{
    if (generation->job.conn && generation->params.stream) {
        for (size_t i = 0; i < generation->choices_n; i++) {
            struct qr_generation_choice *choice = &generation->choices[i];
            if (choice->tokens_n > 0 || (choice->ended && !choice->closed))
                generation->kind->send_delta(choice);
        }
    }
    if (generation->live_n > 0) return;
    if (generation->job.conn && generation->params.stream)
        generation->kind->send_end(generation);
    else if (generation->job.conn)
        answer(generation);
    free_generation(generation);
}

void qr_generation_send(struct qr_server *server)
{
    while (server->touched) {
        struct qr_generation *generation = server->touched;
        server->touched = generation->touched_next;
        generation->touched = false;
        end_turn(generation);
    }
}

void qr_generation_ping(struct qr_server *server)
{
    for (struct qr_generation *generation = server->generations; generation;
         generation = generation->next)
        if (generation->job.conn && generation->submitted && generation->params.stream)
            qr_conn_stream_ping(generation->job.conn);
}

void qr_generation_cancel_all(struct qr_server *server)
{
    for (struct qr_generation *generation = server->generations; generation;
         generation = generation->next)
        if (!generation->job.at_work) cancel_choices(generation, QR_CANCEL_SHUTDOWN);
}
