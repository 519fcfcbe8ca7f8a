/* SPDX-License-Identifier: MIT */
/* answer -- makes a request's events: tokens to text, stop strings, the end of the request.
 *
 * An event needs memory.  If there is no memory the request ends with an error.  The event of the
 * error is part of the request, so it is always there. */
#include <assert.h>
#include <math.h>
#include <stdalign.h>
#include <string.h>

#include "runtime/engine/engine.h"
#include "runtime/engine/group.h"
#include "runtime/engine/shown.h"

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
    return (double)(to_ns - from_ns) * 1e-9;
}

static void add_node(quire_engine *e, struct qr_request *r, struct qr_event_node *node)
{
    node->next = NULL;
    if (r->fresh)
        r->fresh_last->next = node;
    else
        r->fresh = node;
    r->fresh_last = node;
    if (r->fresh_listed || r->ranking) return;
    r->fresh_listed = true;
    r->fresh_next = e->fresh;
    e->fresh = r;
}

static struct quire_usage usage_of(const struct qr_request *r)
{
    return (struct quire_usage){.prompt_tokens = r->prompt_n,
                                .completion_tokens = r->generated_n,
                                .cached_tokens = r->cached_tokens};
}

/* Ends a request and removes its id. */
static void end(quire_engine *e, struct qr_request *r, struct quire_event *event)
{
    assert(!r->ended);
    r->ended = true;
    if (r->live_prev)
        r->live_prev->live_next = r->live_next;
    else
        e->live = r->live_next;
    if (r->live_next) r->live_next->live_prev = r->live_prev;
    if (!r->admitted) atomic_fetch_sub_explicit(&e->queued, 1, memory_order_relaxed);
    qr_request_table_remove(&e->table, r);
    qr_group_leave(r);

    event->id = r->id;
    event->choice = r->choice;
    event->user = r->user;
    event->usage = usage_of(r);
    r->terminal.event = *event;
    add_node(e, r, &r->terminal);
    if (r->ranking) qr_ranking_end(e, r);
}

/* An event followed by copies of its top and text.  False: no memory. */
static bool add_event(quire_engine *e, struct qr_request *r, const struct quire_event *event)
{
    size_t top_bytes = event->top_n * sizeof *event->top;
    struct qr_event_node *node = qr_alloc(&e->allocator, sizeof *node + top_bytes + event->text.n);

    if (!node) return false;
    struct quire_logprob *top = (struct quire_logprob *)(node + 1);
    char *text = (char *)(node + 1) + top_bytes;
    node->event = *event;
    if (top_bytes) memcpy(top, event->top, top_bytes);
    if (event->text.n) memcpy(text, event->text.data, event->text.n);
    node->event.top = event->top_n ? top : NULL;
    node->event.text.data = text;
    add_node(e, r, node);
    return true;
}

static struct quire_event event_of(const struct qr_request *r, int kind,
                                   const struct qr_choice *choice, uint32_t index)
{
    return (struct quire_event){
        .kind = kind,
        .choice = r->choice,
        .id = r->id,
        .user = r->user,
        .token = choice->token,
        .index = index,
        .logprob = choice->logprob,
        .top = choice->top,
        .top_n = choice->top_n,
        .stop_id = -1,
    };
}

static void count_token(quire_engine *e, struct qr_request *r)
{
    struct quire_stats *s = &e->stats.now;

    s->generation_tokens++;
    if (r->generated_n == 1) {
        r->first_token_ns = e->now_ns;
        qr_histogram_add(&s->time_to_first_token_s, seconds(r->submitted_ns, e->now_ns));
    } else {
        qr_histogram_add(&s->inter_token_s, seconds(r->last_token_ns, e->now_ns));
    }
    r->last_token_ns = e->now_ns;
}

static void count_finish(quire_engine *e, const struct qr_request *r, enum quire_finish finish)
{
    struct quire_stats *s = &e->stats.now;

    if (finish == QUIRE_FINISH_CANCELLED) {
        s->cancelled++;
        return;
    }
    if (finish == QUIRE_FINISH_STOP)
        s->finished_stop++;
    else
        s->finished_length++;
    qr_histogram_add(&s->e2e_s, seconds(r->submitted_ns, e->now_ns));
    uint64_t prefilled = r->generated_n ? r->first_token_ns : e->now_ns;
    qr_histogram_add(&s->prefill_s, seconds(r->admitted_ns, prefilled));
    qr_histogram_add(&s->decode_s, seconds(prefilled, e->now_ns));
}

/* Passes text through the stop strings.  Returns the index of the string that matched, or -1. */
static int pass_stops(struct qr_request *r, const char *text, size_t text_n, bool armed,
                      struct quire_text *certain)
{
    if (r->stop.strings_n) return qr_stop_push(&r->stop, text, text_n, armed, certain);
    *certain = (struct quire_text){text, text_n};
    return -1;
}

static void append_tail(struct qr_request *r, struct quire_text *tail, struct quire_text more)
{
    if (more.n) memcpy(r->tail + tail->n, more.data, more.n);
    tail->n += more.n;
}

/* Ends a request.  matched: the stop string that ended it, or -1.  stop_id: the token that ended
 * it, or -1. */
static void finish_with(quire_engine *e, struct qr_request *r, enum quire_finish finish,
                        int32_t stop_id, int matched)
{
    struct quire_event event = {.kind = QUIRE_EVENT_DONE, .logprob = NAN, .stop_id = stop_id};
    struct quire_text tail = {r->tail, 0}, certain;

    if (matched < 0 && r->detokenizer.tokenizer) {
        size_t n = qr_detokenizer_flush(&r->detokenizer, e->text);
        bool armed = finish == QUIRE_FINISH_LENGTH && r->generated_n > r->min_tokens;
        matched = pass_stops(r, e->text, n, armed, &certain);
        append_tail(r, &tail, certain);
        if (matched >= 0) finish = QUIRE_FINISH_STOP;
    }
    if (matched < 0 && r->stop.strings_n) append_tail(r, &tail, qr_stop_flush(&r->stop));
    event.finish = finish;
    event.text = tail;
    if (matched >= 0) event.stop = r->stop.strings[matched];
    count_finish(e, r, finish);
    end(e, r, &event);
}

void qr_answer_prompt(quire_engine *e, struct qr_request *r, const struct qr_choice *choice,
                      uint32_t index)
{
    struct quire_event event = event_of(r, QUIRE_EVENT_PROMPT, choice, index);

    assert(index == r->prompt_events && index < r->prompt_n);
    r->prompt_events++;
    if (!add_event(e, r, &event)) qr_answer_error(e, r, QUIRE_NO_MEMORY);
}

/* Control tokens have no text unless the request shows them. */
static bool is_shown(const struct qr_request *r, int32_t token)
{
    for (uint32_t i = 0; i < r->shown_ids_n; i++)
        if (r->shown_ids[i] == token) return true;
    return (r->flags & QUIRE_REQUEST_SPECIAL_TEXT) != 0;
}

void qr_answer_token(quire_engine *e, struct qr_request *r, const struct qr_choice *choice)
{
    struct quire_event event = event_of(r, QUIRE_EVENT_TOKEN, choice, r->generated_n);
    int matched = -1;

    if (r->ranking) r->logprob_sum += (double)choice->logprob;
    if (r->logprobs_hidden) {
        event.logprob = NAN;
        event.top_n = 0;
    }

    if (!qr_request_append(r, choice->token, &e->allocator)) {
        qr_answer_error(e, r, QUIRE_NO_MEMORY);
        return;
    }
    bool armed = r->generated_n > r->min_tokens, stops = false;
    for (uint32_t i = 0; armed && i < r->stop_ids_n; i++)
        stops |= choice->token == r->stop_ids[i];
    if (armed && !(r->flags & QUIRE_REQUEST_IGNORE_EOS))
        stops |= qr_model_is_end(e->model, choice->token);

    enum qr_constraint_state held = QR_CONSTRAINT_OPEN;
    if (r->constraint.grammar && !stops) held = qr_shown_accept(r, choice->token);

    /* A token that stops generation is not part of the text. */
    const struct qr_tokenizer *tokenizer = r->detokenizer.tokenizer;
    if (!stops && tokenizer && (uint32_t)choice->token < qr_tokenizer_vocab_n(tokenizer)) {
        r->detokenizer.flags = is_shown(r, choice->token) ? QUIRE_TEXT_SPECIAL : 0;
        size_t n = qr_detokenizer_push(&r->detokenizer, choice->token, e->text);
        matched = pass_stops(r, e->text, n, armed, &event.text);
    }
    event.usage = usage_of(r);
    if (!add_event(e, r, &event)) {
        r->generated_n--; /* its event does not exist */
        qr_answer_error(e, r, QUIRE_NO_MEMORY);
        return;
    }
    count_token(e, r);
    if (stops)
        finish_with(e, r, QUIRE_FINISH_STOP, choice->token, -1);
    else if (matched >= 0)
        finish_with(e, r, QUIRE_FINISH_STOP, -1, matched);
    else if (held != QR_CONSTRAINT_OPEN)
        qr_answer_held(e, r, held);
    else if (r->generated_n == r->max_tokens)
        finish_with(e, r, QUIRE_FINISH_LENGTH, -1, -1);
}

void qr_answer_held(quire_engine *e, struct qr_request *r, enum qr_constraint_state state)
{
    if (state == QR_CONSTRAINT_DONE)
        finish_with(e, r, QUIRE_FINISH_STOP, -1, -1);
    else
        qr_answer_error(e, r, state == QR_CONSTRAINT_MEMORY ? QUIRE_NO_MEMORY : QUIRE_NO_TOKEN);
}

void qr_answer_finish(quire_engine *e, struct qr_request *r, enum quire_finish finish)
{
    finish_with(e, r, finish, -1, -1);
}

void qr_answer_error(quire_engine *e, struct qr_request *r, enum quire_status status)
{
    struct quire_event event = {
        .kind = QUIRE_EVENT_ERROR, .logprob = NAN, .stop_id = -1, .status = status};

    end(e, r, &event);
}
