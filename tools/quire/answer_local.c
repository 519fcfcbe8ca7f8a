/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "tools/client/terminal.h"
#include "tools/quire/answer.h"

bool qr_answer_tokenize(quire_model *model, struct quire_text text, unsigned flags, int32_t **ids,
                        size_t *ids_n, struct qr_failure *why)
{
    size_t room = 3 * text.n + 3;             /* the most that any bytes make, bad UTF-8 too */
    *ids = malloc((room + 1) * sizeof **ids); /* one more: a BOS in front of rendered text */
    if (!*ids) return qr_failed(why, "out of memory");
    int status = quire_tokenize(model, text.data, text.n, flags, *ids, room, ids_n);
    if (status == QUIRE_OK) return true;
    free(*ids);
    *ids = NULL;
    struct quire_model_info info = {.size = sizeof info};
    quire_model_info(model, &info);
    bool none = status == QUIRE_NO_TOKENIZER && info.tokenizer_note;
    return qr_failed(why, "%s%s%s", quire_status_text(status), none ? ": " : "",
                     none ? info.tokenizer_note : "");
}

/* Renders a conversation and tokenises it.  Adds BOS unless the template wrote it. */
static bool tokenize_turns(quire_model *model, const struct qr_ask *ask, int32_t **ids,
                           size_t *ids_n, struct qr_failure *why)
{
    struct quire_error error = {0};
    struct quire_message *messages = calloc(ask->turns_n, sizeof *messages);
    if (!messages) return qr_failed(why, "out of memory");
    for (size_t i = 0; i < ask->turns_n; i++) {
        const struct qr_chat_turn *t = &ask->turns[i];
        messages[i].role = (struct quire_text){t->role, strlen(t->role)};
        messages[i].content = (struct quire_text){t->content, strlen(t->content)};
    }
    size_t text_n = 0;
    char *text = NULL;
    int status = quire_render(model, messages, ask->turns_n, true, NULL, 0, &text_n, &error);
    if (status == QUIRE_OK || status == QUIRE_BUFFER_SMALL) {
        text = malloc(text_n + 1);
        status =
            text ? quire_render(model, messages, ask->turns_n, true, text, text_n, &text_n, &error)
                 : QUIRE_NO_MEMORY;
    }
    free(messages);
    bool ok = status == QUIRE_OK
                  ? qr_answer_tokenize(model, (struct quire_text){text, text_n}, QUIRE_TEXT_SPECIAL,
                                       ids, ids_n, why)
                  : qr_failed(why, "%s", error.text[0] ? error.text : quire_status_text(status));
    free(text);
    struct quire_model_info info = {.size = sizeof info};
    quire_model_info(model, &info);
    if (ok && info.adds_bos && info.bos_id >= 0 && (!*ids_n || (*ids)[0] != info.bos_id)) {
        memmove(*ids + 1, *ids, *ids_n * sizeof **ids);
        (*ids)[0] = info.bos_id;
        ++*ids_n;
    }
    return ok;
}

/* Tokens that fit after a prompt, by the context and the pages. */
static uint32_t room_left(quire_engine *engine, size_t prompt_n)
{
    struct quire_stats stats = {.size = sizeof stats};
    quire_stats(engine, &stats);
    uint64_t room = stats.pages_all * stats.page_tokens;
    if (room > stats.context_max) room = stats.context_max;
    return room > prompt_n ? (uint32_t)(room - prompt_n) : 1;
}

static bool submit(const struct qr_source *source, const struct qr_ask *ask, const int32_t *ids,
                   size_t ids_n, quire_id *id, struct qr_failure *why)
{
    const struct qr_answer_sampling *s = ask->sampling;
    struct quire_request request;
    struct quire_error error = {0};
    struct quire_text stops[QR_OPTION_ITEMS_MAX];
    quire_request_defaults(&request);
    const bool recommended = quire_model_sampling(source->model, &request) > 0;
    request.prompt = ids;
    request.prompt_n = ids_n;
    request.max_tokens = room_left(source->engine, ids_n);
    if (request.max_tokens > s->max_tokens) request.max_tokens = s->max_tokens;
    request.min_tokens = s->min_tokens;
    for (int i = 0; i < QR_SAMPLER_SETTINGS_N; i++) {
        const struct qr_sampler_setting *setting = &qr_sampler_settings[i];
        const struct qr_answer_setting *cli = &s->settings[i];
        if (!qr_answer_setting_is_sent(cli, recommended)) continue;
        qr_sampler_setting_set(setting, &request,
                               setting->integer ? (double)cli->integer : cli->real);
    }
    request.seed = (uint64_t)s->seed;
    request.flags =
        (s->seeded ? QUIRE_REQUEST_SEEDED : 0u) | (s->ignore_eos ? QUIRE_REQUEST_IGNORE_EOS : 0u);
    for (size_t i = 0; i < s->stop.items_n; i++)
        stops[i] = (struct quire_text){s->stop.items[i], strlen(s->stop.items[i])};
    request.stop = stops;
    request.stop_n = s->stop.items_n;
    int status = quire_submit(source->engine, &request, id, &error);
    if (status == QUIRE_OK) return true;
    return qr_failed(why, "%s", error.text[0] ? error.text : quire_status_text(status));
}

/* Takes events until the request has ended. */
static bool collect(const struct qr_source *source, const struct qr_ask *ask, quire_id id,
                    double began_s, struct qr_answer *a, struct qr_failure *why)
{
    static const char *const finishes[] = {"", "stop", "length", "cancelled"};
    struct quire_event e;
    for (bool cancelled = false;;) {
        if (qr_answer_interrupted && !cancelled) {
            cancelled = true;
            quire_cancel(source->engine, id);
        }
        if (!quire_wait(source->engine, &e, 100) || e.id != id) continue;
        bool ok = true;
        if (e.text.n) {
            ok = qr_answer_add_text(a, e.text.data, e.text.n);
            if (ask->piece) ask->piece(ask->user, e.text.data, e.text.n);
        }
        if (e.kind == QUIRE_EVENT_TOKEN) {
            if (!a->ids_n) a->first_s = qr_clock_s() - began_s;
            ok = ok && qr_answer_add_id(a, e.token);
        }
        if (!ok) {
            quire_cancel(source->engine, id);
            return qr_failed(why, "out of memory");
        }
        if (e.kind != QUIRE_EVENT_DONE && e.kind != QUIRE_EVENT_ERROR) continue;
        a->total_s = qr_clock_s() - began_s;
        a->prompt_n = e.usage.prompt_tokens;
        a->completion_n = e.usage.completion_tokens;
        a->cached_n = e.usage.cached_tokens;
        if (e.kind == QUIRE_EVENT_ERROR) return qr_failed(why, "%s", quire_status_text(e.status));
        if (e.finish >= 1 && e.finish <= 3) strcpy(a->finish, finishes[e.finish]);
        return true;
    }
}

bool qr_answer_local(const struct qr_source *source, const struct qr_ask *ask,
                     struct qr_answer *answer, struct qr_failure *why)
{
    double began_s = qr_clock_s();
    int32_t *own = NULL;
    const int32_t *ids = ask->ids;
    size_t ids_n = ask->ids_n;
    bool ok = true;
    if (!ids) {
        ok = ask->turns
                 ? tokenize_turns(source->model, ask, &own, &ids_n, why)
                 : qr_answer_tokenize(source->model, (struct quire_text){ask->text, ask->text_n},
                                      QUIRE_TEXT_SPECIAL | QUIRE_TEXT_BOS | QUIRE_TEXT_EOS, &own,
                                      &ids_n, why);
        ids = own;
    }
    quire_id id = 0;
    ok = ok && submit(source, ask, ids, ids_n, &id, why);
    free(own);
    return ok && collect(source, ask, id, began_s, answer, why);
}
