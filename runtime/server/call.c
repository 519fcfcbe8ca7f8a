/* SPDX-License-Identifier: MIT */
#include "runtime/server/call.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/base/memory.h"
#include "runtime/server/conn.h"
#include "runtime/server/json_write.h"
#include "runtime/server/logprobs.h"

static const struct quire_allocator *memory_of(const struct qr_call *call)
{
    return &call->task.server->settings.memory;
}

/* ---- lifetime ------------------------------------------------------------------------------ */

#define CHOICE_BUFFERS(X)                                                                          \
    X(text) X(ids) X(tokens) X(values) X(tops) X(offsets) X(content) X(prompt_logprobs) X(stop)

static void free_call(struct qr_call *call)
{
    struct qr_server *server = call->task.server;
    assert(!call->task.conn && !call->task.at_work && call->live_n == 0 && !call->touched);
    if (call->prev) {
        call->prev->next = call->next;
    } else {
        server->calls = call->next;
    }
    if (call->next) call->next->prev = call->prev;
    for (size_t i = 0; i < call->choices_n; i++) {
        struct qr_call_choice *choice = &call->choices[i];
#define DEINIT(name) qr_buffer_deinit(&choice->name);
        CHOICE_BUFFERS(DEINIT)
#undef DEINIT
    }
    qr_free(memory_of(call), call->choices);
    qr_prompts_deinit(&call->prompts);
    qr_json_free(call->document);
    qr_buffer_deinit(&call->body);
    qr_free(memory_of(call), call);
}

static bool make_choices(struct qr_call *call)
{
    const size_t n = call->prompts.n * call->params.n;
    call->choices = qr_alloc_zero(memory_of(call), n, sizeof *call->choices);
    if (!call->choices) return qr_fail(&call->failure, 500, NULL, NULL, "out of memory");
    call->choices_n = n;
    for (size_t i = 0; i < n; i++) {
        struct qr_call_choice *choice = &call->choices[i];
        choice->call = call;
        choice->index = (uint32_t)i;
        choice->stop_id = -1;
#define INIT(name) qr_buffer_init(&choice->name, memory_of(call));
        CHOICE_BUFFERS(INIT)
#undef INIT
    }
    return true;
}

/* A prompt's choices are one request of the engine, which is cancelled whole. */
static void cancel_choices(struct qr_call *call, enum qr_cancel reason)
{
    quire_id last = 0;
    for (size_t i = 0; i < call->choices_n; i++) {
        struct qr_call_choice *choice = &call->choices[i];
        if (choice->id == last || choice->ended) continue;
        last = choice->id;
        if (quire_cancel(call->task.server->settings.engine, choice->id) == QUIRE_OK) {
            call->task.server->cancelled[reason]++;
        }
    }
}

/* The client has left after done(). */
static void on_leave(struct qr_task *task, enum qr_cancel reason)
{
    struct qr_call *call = (struct qr_call *)task;
    cancel_choices(call, reason);
    if (call->live_n == 0 && !call->touched) free_call(call);
}

/* ---- preparing ----------------------------------------------------------------------------- */

/* More choices than the queue takes could never be accepted. */
static bool check_room(struct qr_call *call)
{
    const size_t most = call->task.server->limits.prompts_max;
    const size_t n = call->prompts.n * call->params.best_of;
    if (n <= most) return true;
    return qr_fail_field(&call->failure, call->params.best_of > call->params.n ? "best_of" : "n",
                         "%zu prompts times %u choices are %zu, and the queue takes %zu at most",
                         call->prompts.n, call->params.best_of, n, most);
}

static void prepare(struct qr_task *task)
{
    struct qr_call *call = (struct qr_call *)task;
    const struct qr_server *server = task->server;
    char why[256];
    call->document = qr_json_parse(call->body.data, call->body.n, why, sizeof why);
    if (!call->document) {
        (void)qr_fail_field(&call->failure, NULL, "the body is not JSON: %s", why);
    } else if (qr_json_type(call->document) != QR_JSON_OBJECT) {
        (void)qr_fail_field(&call->failure, NULL, "the body must be a JSON object");
    } else if (qr_params_read(call->document, call->kind->endpoint, &server->limits, &call->params,
                              &call->failure) &&
               call->kind->read_prompts(&call->prompts, server->settings.model, call->document,
                                        &server->limits, &call->failure)) {
        (void)(check_room(call) && make_choices(call));
    }
}

/* ---- submitting ---------------------------------------------------------------------------- */

/* One prompt, with all its choices. */
static bool submit_prompt(struct qr_call *call, size_t which)
{
    const struct qr_params *p = &call->params;
    const struct qr_prompt *prompt = &call->prompts.all[which];
    struct qr_call_choice *choices = &call->choices[which * p->n];
    struct quire_request request;
    quire_request_defaults(&request);
    if (!qr_params_max_tokens(p, call->kind->endpoint, &call->task.server->limits, prompt->ids_n,
                              &request.max_tokens, &call->failure)) {
        return false;
    }
    const bool scores =
        request.max_tokens == 0 || p->prompt_logprobs >= 0 || (p->echo && p->logprobs >= 0);
    request.prompt = prompt->ids;
    request.prompt_n = prompt->ids_n;
    request.min_tokens = p->min_tokens;
    request.temperature = p->temperature;
    request.top_p = p->top_p;
    request.min_p = p->min_p;
    request.top_k = p->top_k;
    request.logit_bias = p->logit_bias;
    request.logit_bias_n = p->logit_bias_n;
    request.repetition_penalty = p->repetition_penalty;
    request.frequency_penalty = p->frequency_penalty;
    request.presence_penalty = p->presence_penalty;
    request.seed = p->seed;
    request.flags = (p->ignore_eos ? QUIRE_REQUEST_IGNORE_EOS : 0u) |
                    (scores ? QUIRE_REQUEST_PROMPT_LOGPROBS : 0u) |
                    (p->seeded ? QUIRE_REQUEST_SEEDED : 0u);
    request.logprobs = p->logprobs > p->prompt_logprobs ? p->logprobs : p->prompt_logprobs;
    request.stop = p->stop;
    request.stop_n = p->stop_n;
    request.stop_ids = p->stop_ids;
    request.stop_ids_n = p->stop_ids_n;
    const struct qr_caller *caller = &call->task.conn->caller;
    char salt[QR_CACHE_SALT_MAX], client[QR_CALLER_NAME_MAX]; /* submit keeps hashes of them */
    request.cache_salt =
        qr_scope_salt(call->task.server->settings.cache_scope, caller, p->cache_salt, salt);
    request.n = p->n;
    request.best_of = p->best_of;
    request.priority = p->priority;
    request.client = qr_caller_client(caller, client);
    request.end_user = p->user;
    request.user = choices;

    struct quire_error error = {.status = QUIRE_OK};
    quire_id id;
    int status = quire_submit(call->task.server->settings.engine, &request, &id, &error);
    if (status != QUIRE_OK) return qr_fail_engine(&call->failure, status, &error);
    for (uint32_t i = 0; i < p->n; i++) {
        choices[i].id = id;
    }
    call->live_n += p->n;
    return true;
}

/* All choices or none. */
static bool submit(struct qr_call *call)
{
    for (size_t i = 0; i < call->prompts.n; i++) {
        if (!submit_prompt(call, i)) {
            cancel_choices(call, QR_CANCEL_SIBLING);
            return false;
        }
        call->task.conn->prompt_tokens += (uint32_t)call->prompts.all[i].ids_n;
    }
    call->submitted = true;
    return true;
}

static void on_prepared(struct qr_task *task)
{
    struct qr_call *call = (struct qr_call *)task;
    struct qr_conn *conn = task->conn;
    qr_buffer_deinit(&call->body); /* the document has its own copy of every string */
    if (task->server->impatient && call->failure.http_status == 0) {
        (void)qr_fail_engine(&call->failure, QUIRE_STOPPING, NULL);
    }
    if (conn && call->failure.http_status == 0 && submit(call)) {
        for (size_t i = 0; i < call->choices_n; i++) {
            call->kind->begin_choice(&call->choices[i]);
        }
        if (call->params.stream) qr_conn_stream_begin(conn);
        return;
    }
    if (conn) qr_conn_answer_failure(conn, &call->failure);
    if (call->live_n == 0) free_call(call);
}

static void make_id(struct qr_call *call)
{
    unsigned char bytes[16] = {0};
    int n = snprintf(call->id, sizeof call->id, "%s", call->kind->id_prefix);
    (void)uv_random(NULL, NULL, bytes, sizeof bytes, 0, NULL);
    for (size_t i = 0; i < sizeof bytes; i++) {
        n += snprintf(call->id + n, sizeof call->id - (size_t)n, "%02x", bytes[i]);
    }
}

void qr_call_begin(struct qr_conn *conn, const struct qr_call_kind *kind)
{
    struct qr_server *server = conn->server;
    struct qr_call *call = qr_alloc_zero(&server->settings.memory, 1, sizeof *call);
    if (!call) {
        struct qr_failure failure;
        (void)qr_fail(&failure, 500, NULL, NULL, "out of memory");
        qr_conn_answer_failure(conn, &failure);
        return;
    }
    call->task = (struct qr_task){
        .server = server, .conn = conn, .run = prepare, .done = on_prepared, .leave = on_leave};
    call->kind = kind;
    call->created_s = (uint64_t)time(NULL);
    make_id(call);
    qr_buffer_init(&call->body, &server->settings.memory);
    qr_buffer_swap(&call->body, &conn->http.body);
    qr_prompts_init(&call->prompts, &server->settings.memory);
    call->next = server->calls;
    if (call->next) call->next->prev = call;
    server->calls = call;
    qr_task_start(&call->task, call->body.n > QR_WORKER_BODY_BYTES);
}

/* ---- answering ----------------------------------------------------------------------------- */

/* A prompt counts once, whatever n. */
static void put_usage(const struct qr_call *call, struct qr_buffer *out)
{
    uint64_t prompt = 0, completion = 0, cached = 0;
    for (size_t i = 0; i < call->choices_n; i++) {
        const struct quire_usage *usage = &call->choices[i].usage;
        completion += usage->completion_tokens;
        if (i % call->params.n != 0) continue;
        prompt += usage->prompt_tokens;
        cached += usage->cached_tokens;
    }
    qr_buffer_printf(
        out,
        "\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu,"
        "\"completion_tokens\":%llu,\"prompt_tokens_details\":{\"cached_tokens\":%llu}}",
        (unsigned long long)prompt, (unsigned long long)(prompt + completion),
        (unsigned long long)completion, (unsigned long long)cached);
}

static void put_head(const struct qr_call *call, const char *object, struct qr_buffer *out)
{
    qr_buffer_printf(out, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%llu,\"model\":", call->id,
                     object, (unsigned long long)call->created_s);
    qr_json_put_cstring(out, call->task.server->settings.name);
    qr_buffer_put(out, ",", 1);
}

const struct qr_prompt *qr_call_prompt(const struct qr_call_choice *choice)
{
    return &choice->call->prompts.all[choice->index / choice->call->params.n];
}

void qr_call_put_finish(const struct qr_call_choice *choice, struct qr_buffer *out)
{
    const char *text = "null";
    if (choice->ended) {
        switch (choice->finish) {
        case QUIRE_FINISH_STOP: text = "\"stop\""; break;
        case QUIRE_FINISH_LENGTH: text = "\"length\""; break;
        default: text = "\"abort\""; break;
        }
    }
    qr_buffer_puts(out, text);
}

void qr_call_put_stop_reason(const struct qr_call_choice *choice, struct qr_buffer *out)
{
    const struct qr_params *p = &choice->call->params;
    if (choice->stop.n > 0) {
        qr_json_put_string(out, choice->stop.data, choice->stop.n);
        return;
    }
    for (uint32_t i = 0; i < p->stop_ids_n; i++) {
        if (choice->stop_id >= 0 && choice->stop_id == p->stop_ids[i]) {
            qr_buffer_printf(out, "%d", choice->stop_id);
            return;
        }
    }
    qr_buffer_puts(out, "null");
}

/* Out of memory where an answer was written: the answer is that, not half of it. */
static void stream_put(struct qr_call *call, struct qr_buffer *payload)
{
    if (payload->failed) {
        (void)qr_fail(&call->failure, 500, NULL, NULL, "out of memory");
        cancel_choices(call, QR_CANCEL_SIBLING);
    } else {
        qr_conn_stream_put(call->task.conn, payload->data, payload->n);
    }
}

/* The chunk that says who speaks. */
static void send_opening(struct qr_call_choice *choice)
{
    struct qr_call *call = choice->call;
    struct qr_buffer payload;
    if (!call->kind->put_opening) return;
    qr_buffer_init(&payload, memory_of(call));
    put_head(call, call->kind->chunk_object, &payload);
    call->kind->put_opening(choice, &payload);
    qr_buffer_put(&payload, "}", 1);
    stream_put(call, &payload);
    qr_buffer_deinit(&payload);
}

/* One chunk of what has come; the next begins empty. */
static void send_chunk(struct qr_call_choice *choice)
{
    struct qr_call *call = choice->call;
    struct qr_buffer payload;
    if (!choice->opened) send_opening(choice);
    qr_buffer_init(&payload, memory_of(call));
    put_head(call, call->kind->chunk_object, &payload);
    call->kind->put_chunk(choice, &payload);
    qr_buffer_put(&payload, "}", 1);
#define FAILED(name) payload.failed |= choice->name.failed;
    CHOICE_BUFFERS(FAILED)
#undef FAILED
    stream_put(call, &payload);
    qr_buffer_deinit(&payload);

    choice->opened = true;
    choice->closed = choice->ended;
    choice->tokens_n = 0;
    qr_buffer_clear(&choice->text);
    qr_buffer_clear(&choice->ids);
    qr_buffer_clear(&choice->tokens);
    qr_buffer_clear(&choice->values);
    qr_buffer_clear(&choice->tops);
    qr_buffer_clear(&choice->offsets);
    qr_buffer_clear(&choice->content);
}

static void end_stream(struct qr_call *call)
{
    struct qr_buffer payload;
    qr_buffer_init(&payload, memory_of(call));
    if (call->failure.http_status) {
        qr_failure_put(&call->failure, &payload);
    } else if (call->params.include_usage) {
        put_head(call, call->kind->chunk_object, &payload);
        qr_buffer_puts(&payload, "\"choices\":[],");
        put_usage(call, &payload);
        qr_buffer_put(&payload, "}", 1);
    }
    if (payload.n > 0 && !payload.failed) {
        qr_conn_stream_put(call->task.conn, payload.data, payload.n);
    }
    qr_conn_stream_end(call->task.conn);
    qr_buffer_deinit(&payload);
}

static void answer(struct qr_call *call)
{
    struct qr_conn *conn = call->task.conn;
    struct qr_buffer body;
    qr_buffer_init(&body, memory_of(call));
    put_head(call, call->kind->object, &body);
    call->kind->put_choices(call, &body);
    qr_buffer_put(&body, ",", 1);
    put_usage(call, &body);
    qr_buffer_put(&body, "}", 1);
    for (size_t i = 0; i < call->choices_n; i++) {
        const struct qr_call_choice *choice = &call->choices[i];
        if (choice->finish == QUIRE_FINISH_CANCELLED) {
            (void)qr_fail_engine(&call->failure, QUIRE_STOPPING, NULL);
        }
#define FAILED(name) body.failed |= choice->name.failed;
        CHOICE_BUFFERS(FAILED)
#undef FAILED
    }
    if (body.failed) (void)qr_fail(&call->failure, 500, NULL, NULL, "out of memory");
    if (call->failure.http_status) {
        qr_conn_answer_failure(conn, &call->failure);
    } else {
        qr_conn_answer(conn, 200, "application/json", body.data, body.n);
    }
    qr_buffer_deinit(&body);
}

/* ---- events -------------------------------------------------------------------------------- */

static void take_token(struct qr_call_choice *choice, const struct quire_event *event)
{
    struct qr_call *call = choice->call;
    const struct qr_params *p = &call->params;
    if (p->stream && choice->tokens_n > 0) send_chunk(choice);
    choice->tokens_n++;
    call->task.conn->completion_tokens++;
    qr_buffer_put(&choice->text, event->text.data, event->text.n);
    if (p->return_token_ids) {
        qr_json_put_comma(&choice->ids);
        qr_buffer_printf(&choice->ids, "%d", event->token);
    }
    if (p->logprobs >= 0) call->kind->add_logprobs(choice, event);
}

static void take_end(struct qr_call_choice *choice, const struct quire_event *event)
{
    struct qr_call *call = choice->call;
    choice->ended = true;
    choice->usage = event->usage;
    call->live_n--;
    if (event->kind == QUIRE_EVENT_ERROR) {
        choice->finish = QUIRE_FINISH_CANCELLED;
        if (call->failure.http_status == 0) {
            (void)qr_fail_engine(&call->failure, event->status, NULL);
        }
        cancel_choices(call, QR_CANCEL_SIBLING);
        return;
    }
    choice->finish = event->finish;
    choice->stop_id = event->stop_id;
    qr_buffer_put(&choice->text, event->text.data, event->text.n);
    qr_buffer_put(&choice->stop, event->stop.data, event->stop.n);
}

void qr_call_take(struct qr_server *server, const struct quire_event *event)
{
    struct qr_call_choice *choice = (struct qr_call_choice *)event->user + event->choice;
    struct qr_call *call = choice->call;
    const struct qr_params *p = &call->params;
    if (!call->touched) {
        call->touched = true;
        call->touched_next = server->touched;
        server->touched = call;
    }
    const bool heard = call->task.conn != NULL;
    switch (event->kind) {
    case QUIRE_EVENT_PROMPT:
        if (heard && p->echo && p->logprobs >= 0) call->kind->add_logprobs(choice, event);
        if (heard && p->prompt_logprobs >= 0) qr_logprobs_add_prompt(choice, event);
        return;
    case QUIRE_EVENT_TOKEN:
        if (heard) take_token(choice, event);
        return;
    default: take_end(choice, event); return;
    }
}

/* What one call has to say at the end of a turn. */
static void end_turn(struct qr_call *call)
{
    if (call->task.conn && call->params.stream) {
        for (size_t i = 0; i < call->choices_n; i++) {
            struct qr_call_choice *choice = &call->choices[i];
            if (choice->tokens_n > 0 || (choice->ended && !choice->closed)) send_chunk(choice);
        }
    }
    if (call->live_n > 0) return;
    if (call->task.conn && call->params.stream) {
        end_stream(call);
    } else if (call->task.conn) {
        answer(call);
    }
    free_call(call);
}

void qr_call_send(struct qr_server *server)
{
    while (server->touched) {
        struct qr_call *call = server->touched;
        server->touched = call->touched_next;
        call->touched = false;
        end_turn(call);
    }
}

void qr_call_cancel_all(struct qr_server *server)
{
    for (struct qr_call *call = server->calls; call; call = call->next) {
        if (!call->task.at_work) cancel_choices(call, QR_CANCEL_SHUTDOWN);
    }
}
