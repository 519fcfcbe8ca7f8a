/* SPDX-License-Identifier: MIT */
/* POST /tokenize, POST /detokenize and GET /tokenizer_info, in vLLM's shapes.  llama.cpp's fields
 * (content, add_special, with_pieces) and answers are understood as well. */
#include <assert.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/server/api.h"
#include "runtime/server/conn.h"
#include "runtime/server/conversation.h"
#include "runtime/server/job.h"
#include "runtime/server/json_write.h"
#include "runtime/server/logprobs.h"
#include "runtime/server/prompt.h"
#include "runtime/server/tools.h"
#include "runtime/server/translate.h"

/* Turns a body into an answer, on a worker if the body is long. */
struct text_job {
    struct qr_server_job base; /* first: the base's pointer is the job's */
    bool (*work)(struct text_job *job, const struct qr_json *body);
    struct qr_buffer body;
    struct qr_buffer answer;
    struct qr_api_failure failure;
};

static void free_job(struct text_job *job)
{
    qr_buffer_deinit(&job->body);
    qr_buffer_deinit(&job->answer);
    qr_free(&job->base.server->settings.memory, job);
}

static void run(struct qr_server_job *base)
{
    struct text_job *job = (struct text_job *)base;
    char why[256];
    struct qr_json *document = qr_json_parse(job->body.data, job->body.n, why, sizeof why);
    if (!document)
        (void)qr_fail_field(&job->failure, NULL, "the body is not JSON: %s", why);
    else if (qr_json_type(document) != QR_JSON_OBJECT)
        (void)qr_fail_field(&job->failure, NULL, "the body must be a JSON object");
    else if (job->work(job, document) && job->answer.failed)
        (void)qr_fail(&job->failure, 500, NULL, NULL, "out of memory");
    qr_json_free(document);
}

static void done(struct qr_server_job *base)
{
    struct text_job *job = (struct text_job *)base;
    if (base->conn && job->failure.http_status)
        qr_conn_answer_failure(base->conn, &job->failure);
    else if (base->conn)
        qr_conn_answer(base->conn, 200, "application/json", job->answer.data, job->answer.n);
    free_job(job);
}

static void leave(struct qr_server_job *base, enum qr_cancel reason)
{
    (void)base; /* done() frees the job, so no client can leave after it */
    (void)reason;
    assert(!"a job was left after done()");
}

static void begin(struct qr_conn *conn, bool (*work)(struct text_job *, const struct qr_json *))
{
    struct qr_server *server = conn->server;
    const struct quire_allocator *memory = &server->settings.memory;
    struct text_job *job = qr_alloc_zero(memory, 1, sizeof *job);
    if (!job) {
        struct qr_api_failure failure;
        (void)qr_fail(&failure, 500, NULL, NULL, "out of memory");
        qr_conn_answer_failure(conn, &failure);
        return;
    }
    job->base = (struct qr_server_job){
        .server = server, .conn = conn, .run = run, .done = done, .leave = leave};
    job->work = work;
    qr_buffer_init(&job->answer, memory);
    qr_buffer_init(&job->body, memory);
    qr_buffer_swap(&job->body, &conn->http.body);
    qr_server_job_start(&job->base, job->body.n > QR_WORKER_BODY_BYTES);
}

/* ---- /tokenize ----------------------------------------------------------------------------- */

/* llama.cpp's [{"id":5,"piece":"a"}]. */
static void put_pieces(struct text_job *job, const int32_t *ids, size_t ids_n)
{
    struct qr_buffer *out = &job->answer;
    qr_buffer_puts(out, "{\"tokens\":[");
    for (size_t i = 0; i < ids_n; i++) {
        qr_buffer_printf(out, "%s{\"id\":%d,\"piece\":", i > 0 ? "," : "", ids[i]);
        qr_logprobs_put_piece(out, job->base.server->settings.model, ids[i]);
        qr_buffer_put(out, "}", 1);
    }
    qr_buffer_puts(out, "]}");
}

static void put_tokens(struct text_job *job, const int32_t *ids, size_t ids_n, bool strings)
{
    const struct qr_server *server = job->base.server;
    struct qr_buffer *out = &job->answer;
    qr_buffer_printf(out, "{\"count\":%zu,\"max_model_len\":%u,\"tokens\":", ids_n,
                     server->limits.context_max);
    qr_json_put_ids(out, ids, ids_n);
    qr_buffer_puts(out, ",\"token_strs\":");
    if (strings) {
        qr_buffer_put(out, "[", 1);
        for (size_t i = 0; i < ids_n; i++) {
            if (i > 0) qr_buffer_put(out, ",", 1);
            qr_logprobs_put_token(out, server->settings.model, ids[i]);
        }
        qr_buffer_put(out, "]}", 2);
    } else {
        qr_buffer_puts(out, "null}");
    }
}

static bool tokenize(struct text_job *job, const struct qr_json *body)
{
    const struct qr_server_settings *s = &job->base.server->settings;
    const char *field = qr_json_get(body, "prompt")     ? "prompt"
                        : qr_json_get(body, "messages") ? "messages"
                        : qr_json_get(body, "content")  ? "content"
                                                        : "prompt";
    const bool chat = strcmp(field, "messages") == 0;
    /* A chat template writes special tokens itself.  llama.cpp's content has none by default. */
    bool add_special = strcmp(field, "prompt") == 0, strings = false, pieces = false;
    struct quire_text text = {.data = NULL, .n = 0};
    if (!qr_field_bool(body, "add_special", &add_special, &job->failure) ||
        !qr_field_bool(body, "add_special_tokens", &add_special, &job->failure) ||
        !qr_field_bool(body, "return_token_strs", &strings, &job->failure) ||
        !qr_field_bool(body, "with_pieces", &pieces, &job->failure) ||
        (!chat && !qr_field_string(body, field, &text, &job->failure)))
        return false;
    struct qr_buffer rendered;
    qr_buffer_init(&rendered, &s->memory);
    bool ok = true;
    if (chat) {
        ok = qr_conversation_render(&rendered, s, body, &job->failure);
        text = (struct quire_text){.data = rendered.n ? rendered.data : "", .n = rendered.n};
    } else if (!text.data) {
        ok = qr_fail_field(&job->failure, "prompt", "prompt or messages is required");
    }
    int32_t *ids = NULL;
    size_t ids_n = 0;
    const unsigned flags =
        QUIRE_TEXT_SPECIAL | (add_special ? QUIRE_TEXT_BOS | QUIRE_TEXT_EOS : 0u);
    ok = ok && qr_prompt_tokenize(&s->memory, s->model, text, flags, SIZE_MAX, field, &ids, &ids_n,
                                  &job->failure);
    if (ok && pieces)
        put_pieces(job, ids, ids_n);
    else if (ok)
        put_tokens(job, ids, ids_n, strings);
    qr_free(&s->memory, ids);
    qr_buffer_deinit(&rendered);
    return ok;
}

void qr_api_tokenize(struct qr_conn *conn)
{
    begin(conn, tokenize);
}

/* ---- counting ------------------------------------------------------------------------------ */

/* How many tokens the prompt of a chat request has, with the note that forced calls may add. */
static bool count(struct text_job *job, const struct qr_json *chat, size_t *n)
{
    const struct qr_server *server = job->base.server;
    const struct qr_server_settings *s = &server->settings;
    struct qr_tools tools;
    struct qr_buffer text;
    struct qr_json *noted = NULL;
    int32_t *ids = NULL;

    qr_tools_init(&tools, &s->memory);
    qr_buffer_init(&text, &s->memory);
    bool done = qr_tools_read(&tools, server, chat, &job->failure);
    if (done && tools.rewrites) {
        noted = qr_tools_rewrite(chat, &s->memory);
        done = noted || qr_fail(&job->failure, 500, NULL, NULL, "out of memory");
    }
    done = done && qr_conversation_render(&text, s, noted ? noted : chat, &job->failure);
    const struct quire_text rendered = {.data = text.n ? text.data : "", .n = text.n};
    done = done &&
           qr_prompt_tokenize(&s->memory, s->model, rendered, QUIRE_TEXT_SPECIAL | QUIRE_TEXT_BOS,
                              SIZE_MAX, "messages", &ids, n, &job->failure);
    qr_free(&s->memory, ids);
    qr_json_free(noted);
    qr_buffer_deinit(&text);
    qr_tools_deinit(&tools);
    return done;
}

static bool count_of(struct text_job *job, struct qr_json *chat, size_t *n)
{
    if (!chat)
        return job->failure.http_status ? false
                                        : qr_fail(&job->failure, 500, NULL, NULL, "out of memory");
    bool done = count(job, chat, n);
    qr_json_free(chat);
    return done;
}

static bool count_input(struct text_job *job, const struct qr_json *body)
{
    size_t n = 0;
    if (!count_of(job, qr_responses_translate(body, &job->failure), &n)) {
        qr_responses_rename(&job->failure);
        return false;
    }
    qr_buffer_printf(&job->answer, "{\"object\":\"response.input_tokens\",\"input_tokens\":%zu}",
                     n);
    return true;
}

static bool count_chat(struct text_job *job, const struct qr_json *body)
{
    size_t n = 0;
    if (!count(job, body, &n)) return false;
    qr_buffer_printf(&job->answer, "{\"object\":\"response.input_tokens\",\"input_tokens\":%zu}",
                     n);
    return true;
}

static bool count_messages(struct text_job *job, const struct qr_json *body)
{
    size_t n = 0;
    if (!count_of(job, qr_messages_translate_count(body, &job->failure), &n)) {
        qr_messages_rename(&job->failure);
        return false;
    }
    qr_buffer_printf(&job->answer, "{\"input_tokens\":%zu}", n);
    return true;
}

void qr_api_input_tokens(struct qr_conn *conn)
{
    begin(conn, count_input);
}

void qr_api_chat_input_tokens(struct qr_conn *conn)
{
    begin(conn, count_chat);
}

void qr_api_count_tokens(struct qr_conn *conn)
{
    begin(conn, count_messages);
}

/* ---- /detokenize --------------------------------------------------------------------------- */

static bool put_text(struct text_job *job, const int32_t *ids, size_t ids_n, bool continuation)
{
    const struct qr_server_settings *s = &job->base.server->settings;
    struct qr_buffer text;
    qr_buffer_init(&text, &s->memory);
    const unsigned flags = QUIRE_TEXT_SPECIAL | (continuation ? 0u : QUIRE_TEXT_BEGIN);
    size_t n = 0;
    int status = quire_detokenize(s->model, ids, ids_n, flags, NULL, 0, &n);
    if (status == QUIRE_BUFFER_SMALL) {
        status = qr_buffer_reserve(&text, n)
                     ? quire_detokenize(s->model, ids, ids_n, flags, text.data, n, &n)
                     : QUIRE_NO_MEMORY;
    }
    if (status == QUIRE_OK) {
        qr_buffer_puts(&job->answer, "{\"prompt\":");
        qr_json_put_string(&job->answer, n ? text.data : "", n);
        qr_buffer_puts(&job->answer, ",\"content\":"); /* llama.cpp's name */
        qr_json_put_string(&job->answer, n ? text.data : "", n);
        qr_buffer_put(&job->answer, "}", 1);
    } else if (status == QUIRE_NO_TOKENIZER) {
        (void)qr_fail_field(&job->failure, "tokens", "%s", quire_status_text(status));
    } else {
        (void)qr_fail_engine(&job->failure, status, NULL);
    }
    qr_buffer_deinit(&text);
    return status == QUIRE_OK;
}

static bool detokenize(struct text_job *job, const struct qr_json *body)
{
    const struct qr_server *server = job->base.server;
    const struct qr_json *tokens = qr_json_get(body, "tokens");
    if (qr_json_type(tokens) != QR_JSON_ARRAY)
        return qr_fail_field(&job->failure, "tokens", "tokens must be a list of token ids");
    bool continuation =
        false; /* quire's own: the ids continue others, so a leading space is kept */
    if (!qr_field_bool(body, "continuation", &continuation, &job->failure)) return false;
    int32_t *ids = NULL;
    size_t ids_n = 0;
    bool ok = qr_prompt_ids(&server->settings.memory, tokens, server->limits.vocab_n, "tokens",
                            &ids, &ids_n, &job->failure) &&
              put_text(job, ids, ids_n, continuation);
    qr_free(&server->settings.memory, ids);
    return ok;
}

void qr_api_detokenize(struct qr_conn *conn)
{
    begin(conn, detokenize);
}

/* ---- /tokenizer_info ----------------------------------------------------------------------- */

static void put_special(struct qr_buffer *out, const struct qr_server *server, const char *name,
                        int32_t id)
{
    if (id < 0) return;
    qr_buffer_printf(out, ",\"%s\":", name);
    qr_logprobs_put_token(out, server->settings.model, id);
}

/* What transformers' tokenizer_config.json has, as far as the model file says it. */
void qr_api_tokenizer_info(struct qr_conn *conn)
{
    const struct qr_server *server = conn->server;
    const struct quire_model_info *info = &server->info;
    struct qr_buffer out;

    qr_buffer_init(&out, &server->settings.memory);
    qr_buffer_puts(&out, "{\"tokenizer_class\":");
    const bool pieces = info->tokenizer_split && strcmp(info->tokenizer_split, "none") == 0;
    qr_json_put_cstring(&out, !info->has_tokenizer ? "none"
                              : pieces             ? "LlamaTokenizer"
                                                   : "PreTrainedTokenizerFast");
    qr_buffer_printf(&out, ",\"model_max_length\":%u,\"vocab_size\":%u,\"add_bos_token\":%s",
                     server->limits.context_max, info->vocab_n, info->adds_bos ? "true" : "false");
    if (info->has_tokenizer) {
        put_special(&out, server, "bos_token", info->bos_id);
        put_special(&out, server, "eos_token", info->eos_id);
    }
    qr_buffer_puts(&out, ",\"chat_template\":");
    if (info->chat_template)
        qr_json_put_cstring(&out, info->chat_template);
    else
        qr_buffer_puts(&out, "null");
    qr_buffer_puts(&out, "}");
    qr_conn_answer(conn, out.failed ? 500 : 200, "application/json", out.data, out.n);
    qr_buffer_deinit(&out);
}
