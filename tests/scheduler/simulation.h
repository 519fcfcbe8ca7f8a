/* SPDX-License-Identifier: MIT */
/* simulation -- the scheduler and the cache under a fake model, with every promise of scheduler.h
 * checked after every step, from outside: by a second account of who runs, who waits, what is
 * computed and which pages that takes.
 *
 * The fake model writes a stamp of (salt, all tokens up to here, layer, head) as each token's key
 * and value and reads a sequence's whole history back in each of its steps: a page given to two,
 * lost, written while others read it, or found for another text, is seen as a wrong stamp.  Without
 * a prefix tree the sequence itself is part of the stamp.
 *
 * With a window it reads back what is seen, and pages before that must have been let go.
 *
 * Texts come from few families and part at any token, so that much is shared, pages are left in
 * their middle, and siblings are near-twins; two salts; what the model answers follows from the
 * text, mostly.
 *
 * Choices come out of a seed, or out of a fuzzer's bytes.  A failure prints what is not true and
 * the scheduler's state, and aborts. */
#ifndef QR_TESTS_SCHEDULER_SIMULATION_H
#define QR_TESTS_SCHEDULER_SIMULATION_H

#include "sim_shares.h"
#include "world.h"

#define SIM_SEQS_MAX   64u
#define SIM_TOKENS_MAX 256u
#define SIM_PRIORITIES 5u
#define SIM_CLIENTS    4u
#define SIM_USERS      3u

static const int32_t sim_priorities[SIM_PRIORITIES] = {0, 7, -1, INT32_MIN, INT32_MAX};

/* A sequence's tokens, and for each a hash of the salt and all tokens up to it. */
struct sim_text {
    const int32_t *first; /* tokens */
    struct qr_prefix_salt salt;
    bool fresh;
    int32_t tokens[SIM_TOKENS_MAX];
    uint32_t pasts[SIM_TOKENS_MAX];
};

struct sim_seq {
    bool live;
    bool was_running; /* before the plan */
    bool runs;        /* by this account */
    bool ran;         /* was ever admitted, or forked */
    uint64_t serial;  /* counts up with each accepted submit */
    uint64_t place;   /* counts up with each first admission */
    int32_t priority;
    uint32_t client;
    uint32_t share;             /* sim_shares.h's */
    uint32_t growth_n, older_n; /* what its preemptions are bounded by: see sim_bound_preemptions */
    uint32_t known_n;
    uint32_t computed_n;
    uint32_t planned_n; /* tokens of this step */
    uint32_t ends_at;   /* ends when so many tokens are computed */
    uint32_t tokens_max;
    uint32_t preemptions_n;
    uint32_t leader;    /* attached to this one, else QR_SEQ_NONE */
    uint32_t copies_n;  /* of its last page, that it may come to make after a fork */
    qr_page_id last;    /* the page that its last token is in, since `ran` */
    uint64_t stamps_as; /* without a prefix tree: whose stamps it reads and writes */
    struct sim_text *text;
};

/* What a client got of one priority, and against each other client the least and the most that it
 * was ahead by while both waited all the time. */
struct sim_service {
    int64_t got;
    int64_t ahead_min[SIM_CLIENTS], ahead_max[SIM_CLIENTS];
    bool both[SIM_CLIENTS];
};

struct sim_counts {
    uint64_t steps, submitted, refused, cancelled, finished, preemptions, readmissions, promised;
    uint64_t hits, resumed, copies, evictions, waits, takeovers, backlogged, cut;
    uint64_t groups, attached_ends, promoted, forks, queued_forks, fork_copies, left;
};

enum { SIM_SKIP_CALLS = 1, SIM_SKIP_STEP = 2 };

struct sim {
    uint64_t seed, random;
    const uint8_t *bytes; /* NULL: choices come out of the seed */
    size_t bytes_n;
    bool over; /* no byte is left */
    uint64_t turn;
    const uint8_t *skips; /* of each turn, what is left out; NULL: nothing */
    bool trace;           /* says what it does */
    bool planted;         /* a preemption counts as a failure: for tests of sim_shorten.h */
    uint32_t group_left;  /* submits of a group to come: */
    uint32_t group;       /* its text */
    uint32_t group_in;

    struct qr_scheduler_limits limits;
    uint32_t pages_n, page_tokens;
    uint32_t window; /* 0: none */
    struct qr_step_budget budget;
    uint32_t submit_in, cancel_in, stop_in, fork_in; /* one in so many */
    uint32_t priorities_n, clients_n, users_n;       /* that there are */
    struct world world, twin;
    bool has_twin; /* a second scheduler that is told the same must plan the same */
    bool has_tree;

    struct sim_seq seqs[SIM_SEQS_MAX];
    uint64_t serials_n, places_n;
    struct sim_shares shares;
    struct sim_service service[SIM_PRIORITIES][SIM_CLIENTS];
    uint64_t first_serial, first_deadline; /* the step by which the first must have ended */
    bool waited;                           /* in the last plan: */
    uint64_t waiter, leader;
    struct sim_counts n;
};

#define SIM_CHECK(sim, condition)                                                                  \
    do {                                                                                           \
        if (!(condition)) sim_fail(sim, #condition, __LINE__);                                     \
    } while (0)

static void sim_fail(const struct sim *sim, const char *what, int line)
{
    fprintf(stderr, "simulation.h:%d: not true: %s\n", line, what);
    qr_scheduler_dump(sim->world.scheduler, stderr);
    abort();
}

/* ---- choices ---------------------------------------------------------------------------- */

/* One of [0, n). */
static uint32_t sim_choose(struct sim *sim, uint32_t n)
{
    uint32_t value = 0;

    if (sim->bytes == NULL) {
        uint64_t z = sim->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return (uint32_t)((z ^ (z >> 31)) % n);
    }
    for (uint32_t need = n > 256 ? 2 : 1; need > 0; need--) {
        if (sim->bytes_n == 0) {
            sim->over = true;
            return 0;
        }
        value = value << 8 | *sim->bytes++;
        sim->bytes_n--;
    }
    return value % n;
}

/* Numbers of its own for a part of a turn. */
static void sim_reseed(struct sim *sim, uint64_t part)
{
    if (sim->bytes != NULL) return;
    sim->random = (sim->seed << 32 | sim->seed) ^ (sim->turn * 4 + part) * 0xd1342543de82ef95u;
    (void)sim_choose(sim, 2);
}

static void sim_configure(struct sim *sim)
{
    uint32_t slots_n;

    sim->page_tokens = 16u << sim_choose(sim, 2);
    sim->pages_n = 1 + sim_choose(sim, 24);
    slots_n = sim->pages_n * sim->page_tokens;
    sim->limits.running_max = 1 + sim_choose(sim, 10);
    sim->limits.waiting_max = 1 + sim_choose(sim, 12);
    sim->limits.step_tokens = sim->limits.running_max + QR_PREFILL_MIN + sim_choose(sim, 48);
    sim->limits.prefill_chunk = sim_choose(sim, 3) == 0 ? 0 : 1 + sim_choose(sim, 40);
    sim->limits.context_max =
        sim_choose(sim, 2) == 0
            ? SIM_TOKENS_MAX
            : 1 + sim_choose(sim, slots_n < SIM_TOKENS_MAX ? slots_n : SIM_TOKENS_MAX);
    sim->limits.window = sim->window;
    sim->submit_in = 2 + sim_choose(sim, 12);
    sim->cancel_in = 4 << sim_choose(sim, 8);
    sim->stop_in = 16 << sim_choose(sim, 8);
    sim->fork_in = 2 << sim_choose(sim, 8);
    sim->group_in = 2 + sim_choose(sim, 4);
    if (sim_choose(sim, 3) == 1)
        sim->budget = (struct qr_step_budget){.cost_max = sim_choose(sim, 4000),
                                              .token_cost = sim_choose(sim, 60),
                                              .read_cost = sim_choose(sim, 3)};
    sim->priorities_n = sim_choose(sim, 2) == 0 ? 1 : 1 + sim_choose(sim, SIM_PRIORITIES);
    sim->clients_n = 1 + sim_choose(sim, SIM_CLIENTS);
    sim->users_n = 1 + sim_choose(sim, SIM_USERS);
}

/* ---- the account ------------------------------------------------------------------------ */

static uint32_t sim_pages_for(const struct sim *sim, uint32_t tokens_n)
{
    return (tokens_n + sim->page_tokens - 1) / sim->page_tokens;
}

static uint32_t sim_chunk(const struct sim *sim)
{
    uint32_t chunk =
        sim->limits.prefill_chunk == 0 ? sim->limits.step_tokens : sim->limits.prefill_chunk;
    uint32_t most = sim->window > QR_PREFILL_MIN ? sim->window : QR_PREFILL_MIN;

    return sim->window > 0 && chunk > most ? most : chunk;
}

/* The first token that the one at `position` sees. */
static uint32_t sim_seen_from(const struct sim *sim, uint32_t position)
{
    return sim->window == 0 || position < sim->window ? 0 : position - sim->window + 1;
}

/* Pages that nobody with so many tokens computed needs any more; with a tree, the last full one is
 * needed by the next. */
static uint32_t sim_left_n(const struct sim *sim, uint32_t computed_n)
{
    uint32_t left_n = sim_seen_from(sim, computed_n) / sim->page_tokens;
    uint32_t full_n = computed_n / sim->page_tokens;

    return sim->has_tree && left_n > 0 && left_n == full_n ? left_n - 1 : left_n;
}

static bool sim_runs(const struct sim *sim, uint32_t id)
{
    return sim->seqs[id].live && qr_scheduler_state(sim->world.scheduler, id) == QR_SEQ_RUNNING;
}

static void sim_open(struct sim *sim)
{
    sim_configure(sim);
    SIM_CHECK(sim, sim->limits.running_max + sim->limits.waiting_max <= SIM_SEQS_MAX);
    sim->first_serial = UINT64_MAX;
    sim_shares_init(&sim->shares, sim->limits.running_max + sim->limits.waiting_max);
    world_open(&sim->world, &sim->limits, sim->pages_n, sim->page_tokens, sim->has_tree);
    if (sim->has_twin)
        world_open(&sim->twin, &sim->limits, sim->pages_n, sim->page_tokens, sim->has_tree);
}

static void sim_close(struct sim *sim)
{
    world_close(&sim->world);
    if (sim->has_twin) world_close(&sim->twin);
}

/* ---- texts ------------------------------------------------------------------------------ */

static uint32_t sim_hash(uint32_t a, uint32_t b)
{
    uint32_t h = (a ^ (b + 0x9e3779b9u)) * 2654435761u;

    return (h ^ (h >> 15)) * 2246822519u;
}

static void sim_put_token(struct sim_text *text, uint32_t at, int32_t token)
{
    uint32_t past = at > 0 ? text->pasts[at - 1]
                           : sim_hash((uint32_t)text->salt.words[0], (uint32_t)text->salt.words[1]);

    text->tokens[at] = token;
    text->pasts[at] = sim_hash(past, (uint32_t)token);
}

/* A family's text up to some token, another one's from there on. */
static struct sim_text *sim_draw_text(struct sim *sim, uint32_t tokens_n)
{
    struct sim_text *text = calloc(1, sizeof *text);
    uint32_t family = sim_choose(sim, 3), other = sim_choose(sim, 3);

    if (sim->group_left > 0) family = other = sim->group;
    uint32_t part_at = sim_choose(sim, 2) == 0 ? tokens_n : sim_choose(sim, tokens_n);

    SIM_CHECK(sim, text != NULL);
    text->first = text->tokens;
    if (sim_choose(sim, 8) == 1 && sim->group_left == 0) text->salt.words[sim_choose(sim, 2)] = 1;
    text->fresh = sim_choose(sim, 16) == 1;
    for (uint32_t i = 0; i < tokens_n; i++)
        sim_put_token(text, i, (int32_t)(sim_hash(i < part_at ? family : other, i) % 3));
    return text;
}

/* Mostly what follows from the text. */
static void sim_answer(struct sim *sim, struct sim_seq *seq)
{
    uint32_t past = seq->text->pasts[seq->known_n - 1];

    sim_put_token(seq->text, seq->known_n, sim_choose(sim, 32) == 1 ? 3 : (int32_t)(past % 3));
    seq->known_n++;
}

static struct sim_text *sim_copy_text(struct sim *sim, const struct sim_text *from)
{
    struct sim_text *text = malloc(sizeof *text);

    SIM_CHECK(sim, text != NULL);
    *text = *from;
    text->first = text->tokens;
    return text;
}

/* Tokens that two known texts have in common; none if their salts differ. */
static uint32_t sim_common(const struct sim_seq *a, const struct sim_seq *b)
{
    uint32_t i = 0;

    if (memcmp(&a->text->salt, &b->text->salt, sizeof a->text->salt) != 0) return 0;
    while (i < a->known_n && i < b->known_n && a->text->tokens[i] == b->text->tokens[i])
        i++;
    return i;
}

/* ---- requests --------------------------------------------------------------------------- */

/* A submission, of some priority, client and user. */
static struct qr_submission sim_submission(struct sim *sim, const struct sim_text *text,
                                           uint32_t prompt_n, uint32_t tokens_max)
{
    int32_t priority = sim_priorities[sim_choose(sim, sim->priorities_n)];
    uint32_t client = sim_choose(sim, sim->clients_n), user = sim_choose(sim, sim->users_n);

    if (sim->group_left > 0) { /* one after another in the queue */
        priority = sim_priorities[sim->group % sim->priorities_n];
        client = sim->group % sim->clients_n;
        user = 0;
    }
    return (struct qr_submission){
        .tokens = &text->first,
        .prompt_n = prompt_n,
        .tokens_max = tokens_max,
        .salt = text->salt,
        .fresh = text->fresh,
        .priority = priority,
        .client = {{client, 0}},
        .user = {{0, user}},
    };
}

/* A sequence that the scheduler has taken. */
static struct sim_seq *sim_put(struct sim *sim, qr_seq_id id, struct sim_text *text,
                               const struct qr_submission *of)
{
    uint32_t most_n = of->tokens_max - of->prompt_n + 1;
    uint32_t early_n = sim_choose(sim, 2) == 0 ? 0 : sim_choose(sim, most_n);
    uint32_t client = (uint32_t)of->client.words[0], user = (uint32_t)of->user.words[1];

    SIM_CHECK(sim, id < SIM_SEQS_MAX && !sim->seqs[id].live);
    sim->seqs[id] = (struct sim_seq){
        .live = true,
        .serial = sim->serials_n,
        .stamps_as = sim->serials_n,
        .priority = of->priority,
        .client = client,
        .share = sim_shares_join(&sim->shares, of->priority, client, user),
        .known_n = of->prompt_n,
        .ends_at = of->tokens_max - early_n,
        .tokens_max = of->tokens_max,
        .leader = QR_SEQ_NONE,
        .text = text,
    };
    sim->serials_n++;
    sim->n.submitted++;
    return &sim->seqs[id];
}

static uint32_t sim_room_n(const struct sim *sim)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < SIM_SEQS_MAX; i++)
        n += sim->seqs[i].live && !sim_runs(sim, i);
    return n < sim->limits.waiting_max ? sim->limits.waiting_max - n : 0;
}

/* Those attached to a sequence: how many, and the first of them. */
static uint32_t sim_attached_n(const struct sim *sim, uint32_t leader, uint32_t *first)
{
    uint32_t n = 0;

    *first = QR_SEQ_NONE;
    for (uint32_t i = 0; i < SIM_SEQS_MAX; i++) {
        if (!sim->seqs[i].live || sim->seqs[i].leader != leader) continue;
        if (n++ == 0 || sim->seqs[i].serial < sim->seqs[*first].serial) *first = i;
    }
    return n;
}

static void sim_attach(struct sim *sim, uint32_t leader, const struct qr_submission *submission)
{
    struct sim_text *text = sim_copy_text(sim, sim->seqs[leader].text);
    qr_seq_id id = qr_scheduler_attach(sim->world.scheduler, leader, &text->first);
    struct sim_seq *seq;

    SIM_CHECK(sim, id != QR_SEQ_NONE);
    if (sim->has_twin)
        SIM_CHECK(sim, qr_scheduler_attach(sim->twin.scheduler, leader, &text->first) == id);
    SIM_CHECK(sim, qr_scheduler_state(sim->world.scheduler, id) == QR_SEQ_ATTACHED);
    seq = sim_put(sim, id, text, submission);
    seq->leader = leader;
    seq->stamps_as = sim->seqs[leader].stamps_as;
}

/* One sequence, or a group of them with one prompt. */
static void sim_submit(struct sim *sim)
{
    uint32_t longest = qr_scheduler_tokens_max(sim->world.scheduler);
    uint32_t tokens_max = 1 + sim_choose(sim, longest);
    uint32_t prompt_max = sim_choose(sim, 4) != 0 && tokens_max > 16 ? 16 : tokens_max;
    uint32_t prompt_n = sim->group_left > 0 ? tokens_max - sim_choose(sim, tokens_max / 2 + 1)
                                            : 1 + sim_choose(sim, prompt_max);
    uint32_t n = sim_choose(sim, 3) == 1 ? 1 + sim_choose(sim, sim->limits.running_max) : 1;
    uint32_t room_n = sim_room_n(sim);
    struct sim_text *text = sim_draw_text(sim, prompt_n);
    const struct qr_submission submission = sim_submission(sim, text, prompt_n, tokens_max);
    qr_seq_id id;

    if (prompt_n == tokens_max) n = 1; /* nothing would be generated */
    SIM_CHECK(sim, qr_scheduler_room_n(sim->world.scheduler) == room_n);
    if (room_n > 0 && n > room_n) n = room_n;
    id = qr_scheduler_submit(sim->world.scheduler, &submission);
    if (sim->trace)
        fprintf(stderr, "turn %llu: submit %d, %u of it: prompt %u, at most %u, priority %d\n",
                (unsigned long long)sim->turn, (int)id, n, prompt_n, tokens_max,
                submission.priority);
    if (sim->has_twin) SIM_CHECK(sim, qr_scheduler_submit(sim->twin.scheduler, &submission) == id);
    SIM_CHECK(sim, (id == QR_SEQ_NONE) == (room_n == 0));
    if (id == QR_SEQ_NONE) {
        sim->n.refused++;
        free(text);
        return;
    }
    SIM_CHECK(sim, qr_scheduler_state(sim->world.scheduler, id) == QR_SEQ_WAITING);
    sim_put(sim, id, text, &submission);
    sim_shares_wait(&sim->shares, sim->seqs[id].share);
    sim->n.groups += n > 1;
    for (uint32_t i = 1; i < n; i++)
        sim_attach(sim, id, &submission);
}

static void sim_end(struct sim *sim, uint32_t id)
{
    SIM_CHECK(sim, sim->seqs[id].live);
    SIM_CHECK(sim, qr_scheduler_state(sim->world.scheduler, id) == QR_SEQ_FREE);
    if (!sim->seqs[id].ran && sim->seqs[id].leader == QR_SEQ_NONE)
        sim_shares_unwait(&sim->shares, sim->seqs[id].share);
    sim_shares_leave(&sim->shares, sim->seqs[id].share);
    sim->seqs[id].live = false;
    free(sim->seqs[id].text);
}

/* A leader has ended: the first of those attached has its place, and what was computed. */
static void sim_promote(struct sim *sim, uint32_t id)
{
    struct sim_seq *from = &sim->seqs[id], *to;
    uint32_t first;

    if (sim_attached_n(sim, id, &first) == 0) return;
    to = &sim->seqs[first];
    to->leader = QR_SEQ_NONE;
    to->was_running = from->was_running;
    to->runs = from->runs;
    to->ran = from->ran;
    to->computed_n = from->computed_n;
    to->last = from->last;
    to->preemptions_n = from->preemptions_n;
    to->growth_n = from->growth_n;
    to->older_n = from->older_n;
    from->ran = true; /* its share waits on, for the other */
    for (uint32_t i = 0; i < SIM_SEQS_MAX; i++)
        if (sim->seqs[i].live && sim->seqs[i].leader == id) sim->seqs[i].leader = first;
    sim->n.promoted++;
}

/* Some come in groups of a text that nobody had before. */
static void sim_submit_some(struct sim *sim)
{
    if (sim_choose(sim, sim->group_in) == 1) {
        sim->group_left = 2 + sim_choose(sim, 3);
        sim->group = 3 + (uint32_t)sim->serials_n;
    }
    do {
        sim_submit(sim);
    } while (sim->group_left > 0 && --sim->group_left > 0);
}

static void sim_cancel(struct sim *sim, uint32_t id)
{
    if (!sim->seqs[id].live) return;
    if (sim->trace) fprintf(stderr, "turn %llu: cancel %u\n", (unsigned long long)sim->turn, id);
    qr_scheduler_cancel(sim->world.scheduler, id);
    if (sim->has_twin) qr_scheduler_cancel(sim->twin.scheduler, id);
    sim_promote(sim, id);
    sim_end(sim, id);
    sim->n.cancelled++;
}

/* ---- the fake model --------------------------------------------------------------------- */

static uint32_t *sim_slot(const struct sim *sim, uint32_t layer, uint32_t head, bool is_value,
                          const qr_page_id *pages, uint32_t position)
{
    struct qr_kv_view view = qr_kv_store_view(&sim->world.store, layer, head, pages);
    uint32_t in_page = position % view.page_tokens;
    uint32_t panel = in_page / QR_KV_PANEL, token = in_page % QR_KV_PANEL;
    uint32_t dim = position % view.head_dim;
    uint32_t *half;

    half =
        (uint32_t *)(void *)(view.base + view.pages[position / view.page_tokens] * view.page_bytes +
                             (is_value ? view.v_offset : 0));
    half += panel * QR_KV_PANEL * view.head_dim;
    return half + (is_value ? token * view.head_dim + dim : dim * QR_KV_PANEL + token);
}

static uint32_t sim_stamp(const struct sim *sim, const struct sim_seq *seq, uint32_t position,
                          uint32_t part)
{
    uint32_t past = seq->text->pasts[position];

    return (sim->has_tree ? past : past ^ ((uint32_t)seq->stamps_as * 2654435761u)) * 8u + part;
}

/* Writes the item's tokens, then reads all up to them that the first of them sees, or a later one.
 */
static void sim_compute(struct sim *sim, const struct qr_plan_item *item)
{
    const struct sim_seq *seq = &sim->seqs[item->seq];
    uint32_t end = item->position + item->tokens_n;

    for (uint32_t part = 0; part < WORLD_LAYERS * WORLD_HEADS * 2; part++) {
        uint32_t layer = part / 2 / WORLD_HEADS, head = part / 2 % WORLD_HEADS;
        for (uint32_t p = item->position; p < end; p++)
            *sim_slot(sim, layer, head, part % 2, item->pages, p) = sim_stamp(sim, seq, p, part);
    }
    for (uint32_t part = 0; part < WORLD_LAYERS * WORLD_HEADS * 2; part++) {
        uint32_t layer = part / 2 / WORLD_HEADS, head = part / 2 % WORLD_HEADS;
        for (uint32_t p = sim_seen_from(sim, item->position); p < end; p++)
            SIM_CHECK(sim, *sim_slot(sim, layer, head, part % 2, item->pages, p) ==
                               sim_stamp(sim, seq, p, part));
    }
}

/* ---- what a plan must be ---------------------------------------------------------------- */

/* Of two that were admitted: which comes first. */
static bool sim_before(const struct sim_seq *a, const struct sim_seq *b)
{
    return a->priority != b->priority ? a->priority < b->priority : a->place < b->place;
}

/* Charges a sequence's client and user. */
static void sim_serve(struct sim *sim, const struct sim_seq *seq, uint32_t cost)
{
    uint32_t class = 0;

    while (sim_priorities[class] != seq->priority)
        class ++;
    sim->service[class][seq->client].got += cost;
    sim_shares_charge(&sim->shares, seq->share, cost);
}

/* Who is to be admitted next: the first of those that were preempted, unless one that never ran is
 * of a lower priority; of these whose turn it is.  NULL: nobody waits. */
static struct sim_seq *sim_next(struct sim *sim)
{
    struct sim_seq *returning = NULL, *fresh = NULL;
    uint32_t user = sim_shares_next(&sim->shares);

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        struct sim_seq *seq = &sim->seqs[id];
        if (!seq->live || seq->runs || seq->leader != QR_SEQ_NONE) continue;
        if (seq->ran && (returning == NULL || sim_before(seq, returning))) returning = seq;
        if (!seq->ran && seq->share == user && (fresh == NULL || seq->serial < fresh->serial))
            fresh = seq;
    }
    SIM_CHECK(sim, (fresh == NULL) == (user == SIM_SHARE_NONE));
    if (returning == NULL || fresh == NULL) return returning != NULL ? returning : fresh;
    return returning->priority <= fresh->priority ? returning : fresh;
}

/* Whoever begins has at least the full pages of it that a running sequence has computed, and never
 * its last token. */
static void sim_begin(struct sim *sim, const struct qr_plan_item *item)
{
    struct sim_seq *seq = &sim->seqs[item->seq];
    uint32_t least_n = 0, cut_n = 0;

    SIM_CHECK(sim, seq->computed_n == 0);
    seq->computed_n = item->position;
    sim->n.hits += seq->computed_n;
    sim->n.readmissions += seq->preemptions_n > 0;
    sim->n.resumed += seq->preemptions_n > 0 && seq->computed_n > 0;
    SIM_CHECK(sim, seq->computed_n < seq->known_n);
    if (!sim->has_tree || seq->text->fresh) {
        SIM_CHECK(sim, seq->computed_n == 0);
        return;
    }
    for (uint32_t i = 0; i < SIM_SEQS_MAX; i++) {
        const struct sim_seq *other = &sim->seqs[i];
        uint32_t common_n;
        if (!sim_runs(sim, i) || !other->was_running) continue;
        common_n = sim_common(seq, other);
        if (common_n > other->computed_n) common_n = other->computed_n;
        if (common_n > seq->known_n - 1) common_n = seq->known_n - 1;
        cut_n = other->computed_n - other->computed_n % sim->page_tokens;
        if (common_n > cut_n) common_n = cut_n;
        common_n -= common_n % sim->page_tokens;
        if (common_n > least_n) least_n = common_n;
    }
    /* With a window, what others let go may have been evicted, with all that was below it. */
    if (sim->window == 0) SIM_CHECK(sim, seq->computed_n >= least_n);
}

/* How often a sequence may be preempted, told when it is first admitted or forked: it counts by how
 * many pages it and those that run before it can grow, a copy after a fork included, and how many
 * these are; whoever is admitted before it later counts with all its pages, and two more, and as
 * one.  Those attached to one that runs count with it. */
static void sim_bound_preemptions(struct sim *sim, struct sim_seq *seq)
{
    for (uint32_t i = 0; i < SIM_SEQS_MAX; i++) {
        struct sim_seq *other = &sim->seqs[i];
        uint32_t first;
        if (!other->live) continue;
        if (other->leader != QR_SEQ_NONE && sim->seqs[other->leader].runs &&
            sim_before(other, seq)) {
            seq->growth_n +=
                sim_pages_for(sim, other->tokens_max) - sim_pages_for(sim, other->known_n) + 1;
            seq->older_n++;
        }
        if (!other->ran) continue;
        if (sim_before(seq, other)) {
            other->growth_n += sim_pages_for(sim, seq->tokens_max) + 2;
            other->older_n++;
        } else if (other->runs) {
            seq->growth_n +=
                sim_pages_for(sim, other->tokens_max) - sim_pages_for(sim, other->known_n);
            seq->growth_n += other->copies_n + (sim_attached_n(sim, i, &first) > 0);
            seq->older_n += other != seq;
        }
    }
}

static void sim_admit(struct sim *sim, const struct qr_plan_item *item)
{
    struct sim_seq *seq = &sim->seqs[item->seq];

    SIM_CHECK(sim, seq == sim_next(sim));
    sim_begin(sim, item);
    seq->runs = true;
    if (seq->ran) return;
    seq->ran = true;
    seq->place = sim->places_n++;
    for (uint64_t serial = seq->serial + 1; serial < sim->serials_n; serial++)
        for (uint32_t i = 0; i < SIM_SEQS_MAX; i++)
            if (sim->seqs[i].live && sim->seqs[i].leader == item->seq &&
                sim->seqs[i].serial == serial)
                sim->seqs[i].place = sim->places_n++;
    sim_shares_take(&sim->shares, seq->share);
    sim_serve(sim, seq, seq->known_n - item->position);
    sim_bound_preemptions(sim, seq);
}

static void sim_preempt(struct sim *sim, struct sim_seq *seq)
{
    uint32_t most = (seq->growth_n + 2) / 3;

    SIM_CHECK(sim, !sim->planted);
    seq->runs = false;
    seq->preemptions_n++;
    seq->computed_n = 0;
    if (!sim->has_tree && sim->window == 0 && seq->older_n < most) most = seq->older_n;
    SIM_CHECK(sim, seq->preemptions_n <= most);
    sim->n.preemptions++;
}

/* Who was preempted and who was admitted, and that it was their turn: all that run come before all
 * that were preempted. */
static void sim_check_moves(struct sim *sim, const struct qr_plan *plan)
{
    uint32_t preempted_n = 0, admitted_n = 0;
    const struct sim_seq *last = NULL;

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        struct sim_seq *seq = &sim->seqs[id];
        seq->runs = seq->was_running;
        if (!seq->was_running || sim_runs(sim, id)) continue;
        preempted_n++;
        sim_preempt(sim, seq);
    }
    for (uint32_t i = 0; i < plan->items_n; i++) {
        if (sim->seqs[plan->items[i].seq].was_running) continue;
        admitted_n++;
        sim_admit(sim, &plan->items[i]);
    }
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        const struct sim_seq *seq = &sim->seqs[id];
        SIM_CHECK(sim, seq->runs == sim_runs(sim, id));
        if (seq->runs && (last == NULL || sim_before(last, seq))) last = seq;
    }
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        const struct sim_seq *seq = &sim->seqs[id];
        if (seq->live && seq->ran && !seq->runs)
            SIM_CHECK(sim, last == NULL || sim_before(last, seq));
    }
    SIM_CHECK(sim, plan->preempted_n == preempted_n);
    SIM_CHECK(sim, plan->admitted_n == admitted_n);
    SIM_CHECK(sim, preempted_n == 0 || admitted_n == 0);
}

/* ---- forks ------------------------------------------------------------------------------ */

/* A sequence runs, with what another has computed. */
static void sim_begin_forked(struct sim *sim, struct sim_seq *seq, const struct sim_seq *from)
{
    seq->leader = QR_SEQ_NONE;
    seq->computed_n = from->computed_n;
    seq->stamps_as = from->stamps_as;
    seq->last = from->last;
    seq->copies_n++;
    seq->ran = seq->runs = true;
    sim_bound_preemptions(sim, seq);
    sim->n.forks++;
}

/* The leader has computed the prompt: those attached to it run. */
static void sim_fork_attached(struct sim *sim, uint32_t leader)
{
    uint32_t id, attached_n = sim_attached_n(sim, leader, &id);

    if (attached_n > 0) sim->seqs[leader].copies_n++;
    for (; attached_n > 0; attached_n = sim_attached_n(sim, leader, &id)) {
        SIM_CHECK(sim, qr_scheduler_state(sim->world.scheduler, id) == QR_SEQ_RUNNING);
        sim_serve(sim, &sim->seqs[id], 2);
        sim_begin_forked(sim, &sim->seqs[id], &sim->seqs[leader]);
    }
}

/* A sequence out of another's tokens: at once, or by the queue. */
static void sim_fork(struct sim *sim)
{
    uint32_t parent = sim_choose(sim, sim->limits.running_max + sim->limits.waiting_max);
    struct sim_seq *from = &sim->seqs[parent], *seq;
    uint32_t longest = qr_scheduler_tokens_max(sim->world.scheduler), room_n = sim_room_n(sim);
    uint32_t slots_n = qr_scheduler_running_n(sim->world.scheduler), tokens_max, first;
    struct sim_text *text;
    qr_seq_id id;
    bool now;

    if (!from->live) return;
    for (uint32_t i = 0; i < SIM_SEQS_MAX; i++)
        if (sim_runs(sim, i)) slots_n += sim_attached_n(sim, i, &first);
    tokens_max = from->known_n + sim_choose(sim, longest - from->known_n + 1);
    text = sim_copy_text(sim, from->text);
    text->fresh = sim_choose(sim, 16) == 1;
    now = sim_runs(sim, parent) && from->known_n == from->computed_n + 1 && !text->fresh &&
          qr_scheduler_waiting_n(sim->world.scheduler) == 0 && slots_n < sim->limits.running_max;
    const struct qr_submission submission = sim_submission(sim, text, from->known_n, tokens_max);
    id = qr_scheduler_fork(sim->world.scheduler, parent, &submission);
    if (sim->has_twin)
        SIM_CHECK(sim, qr_scheduler_fork(sim->twin.scheduler, parent, &submission) == id);
    SIM_CHECK(sim, (id == QR_SEQ_NONE) == (room_n == 0));
    if (id == QR_SEQ_NONE) {
        free(text);
        return;
    }
    seq = sim_put(sim, id, text, &submission);
    SIM_CHECK(sim, sim_runs(sim, id) == now);
    sim->n.queued_forks += !now;
    if (!now) {
        sim_shares_wait(&sim->shares, seq->share);
        return;
    }
    seq->place = sim->places_n++;
    sim_serve(sim, seq, 1);
    sim_begin_forked(sim, seq, from);
    /* The parent may now have a page to copy, which is growth for all that come after it. */
    from->copies_n++;
    for (uint32_t i = 0; i < SIM_SEQS_MAX; i++)
        if (sim->seqs[i].live && sim->seqs[i].ran && !sim_before(&sim->seqs[i], from))
            sim->seqs[i].growth_n++;
}

/* Whoever ran goes on in the page that its last token is in, or in a copy of it. */
static void sim_count_copies(struct sim *sim, const struct qr_plan *plan)
{
    for (uint32_t i = 0; i < plan->items_n; i++) {
        const struct qr_plan_item *item = &plan->items[i];
        struct sim_seq *seq = &sim->seqs[item->seq];
        if (seq->was_running && item->position % sim->page_tokens != 0 &&
            item->pages[item->position / sim->page_tokens] != seq->last) {
            SIM_CHECK(sim, seq->copies_n > 0);
            seq->copies_n--;
            sim->n.fork_copies++;
        }
        seq->last = item->pages[(item->position + item->tokens_n - 1) / sim->page_tokens];
    }
}

/* ---- what a plan must be, on ------------------------------------------------------------ */

/* Each item by itself, and the order: decodes first, each kind in order, then who is admitted. */
static void sim_check_items(struct sim *sim, const struct qr_plan *plan)
{
    bool prefill_began = false;
    const struct sim_seq *last = NULL;
    uint32_t tokens_n = 0;

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++)
        sim->seqs[id].planned_n = 0;
    for (uint32_t i = 0; i < plan->items_n; i++) {
        const struct qr_plan_item *item = &plan->items[i];
        struct sim_seq *seq = &sim->seqs[item->seq];
        bool decode = seq->was_running && seq->known_n - seq->computed_n == 1;
        SIM_CHECK(sim, sim_runs(sim, item->seq) && seq->planned_n == 0);
        SIM_CHECK(sim, item->position == seq->computed_n);
        SIM_CHECK(sim, item->tokens_n >= 1 && item->tokens_n <= sim_chunk(sim));
        SIM_CHECK(sim, item->position + item->tokens_n <= seq->known_n);
        SIM_CHECK(sim, item->wants_logits == (item->position + item->tokens_n == seq->known_n));
        SIM_CHECK(sim, !(decode && prefill_began));
        for (uint32_t page = 0; page < sim_left_n(sim, item->position); page++)
            SIM_CHECK(sim, item->pages[page] == QR_PAGE_NONE);
        sim->n.left += sim_left_n(sim, item->position);
        if (!decode && !prefill_began) {
            prefill_began = true;
            last = NULL;
        }
        /* Whoever is admitted prefills last, whatever its place among those that run. */
        if (last != NULL && seq->was_running) SIM_CHECK(sim, sim_before(last, seq));
        last = seq;
        seq->planned_n = item->tokens_n;
        tokens_n += item->tokens_n;
    }
    SIM_CHECK(sim, tokens_n == plan->tokens_n);
}

/* Whoever was admitted moves at once; the last of them, if it had been preempted, left a page for
 * each of those that run. */
static void sim_check_admitted(struct sim *sim, const struct qr_plan *plan, uint32_t unpromised_n)
{
    uint32_t running_n = qr_scheduler_running_n(sim->world.scheduler), first;
    const struct sim_seq *last =
        plan->admitted_n > 0 ? &sim->seqs[plan->items[plan->items_n - 1].seq] : NULL;

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        const struct sim_seq *seq = &sim->seqs[id];
        if (seq->was_running || !sim_runs(sim, id)) continue;
        SIM_CHECK(sim, seq->planned_n > 0);
    }
    if (last == NULL || running_n == 1) return;
    if (last->preemptions_n > 0) SIM_CHECK(sim, unpromised_n >= running_n);
    SIM_CHECK(sim, unpromised_n >= sim_attached_n(sim, (uint32_t)(last - sim->seqs), &first));
}

/* Whether a running sequence computes a page, in this step or later in its prefill, of which the
 * waiting one has at least half in common. */
static bool sim_waits(struct sim *sim, const struct sim_seq *waiter)
{
    if (!sim->has_tree || waiter->text->fresh) return false;
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        const struct sim_seq *leader = &sim->seqs[id];
        uint32_t begin_n, common_n;
        if (!sim_runs(sim, id) || leader->planned_n == 0) continue;
        if (leader->was_running && leader->known_n - leader->computed_n == 1) continue;
        begin_n = leader->computed_n - leader->computed_n % sim->page_tokens;
        common_n = sim_common(waiter, leader);
        if (common_n > waiter->known_n - 1) common_n = waiter->known_n - 1;
        if (common_n < begin_n + sim->page_tokens / 2) continue;
        if (leader->known_n < begin_n + sim->page_tokens) continue;
        sim->leader = leader->serial;
        return true;
    }
    return false;
}

/* The head of the queue was not admitted, though the budget is not used up: there is a reason. */
static void sim_check_head(struct sim *sim, const struct sim_seq *head, uint32_t unpromised_n,
                           const struct qr_plan *plan)
{
    uint32_t running_n = qr_scheduler_running_n(sim->world.scheduler), slots_n = running_n, first;
    uint32_t attached_n = sim_attached_n(sim, (uint32_t)(head - sim->seqs), &first);
    uint32_t wants_n = sim_pages_for(sim, head->known_n);

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++)
        if (sim_runs(sim, id)) slots_n += sim_attached_n(sim, id, &first);
    if (head->preemptions_n > 0 && running_n > 0) wants_n += slots_n + 1;
    if (running_n > 0) wants_n += attached_n;
    if (slots_n + attached_n >= sim->limits.running_max || wants_n > unpromised_n) return;
    if (plan->preempted_n > 0) return;
    SIM_CHECK(sim, sim_waits(sim, head));
    sim->waited = true;
    sim->waiter = head->serial;
    sim->n.waits++;
}

/* Who waited in the last plan for one that has gone since is in this one. */
static void sim_check_takeover(struct sim *sim)
{
    bool led = false;

    if (!sim->waited) return;
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++)
        led |= sim->seqs[id].live && sim->seqs[id].serial == sim->leader;
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++)
        if (sim->seqs[id].live && sim->seqs[id].serial == sim->waiter && sim_runs(sim, id))
            sim->n.takeovers += !led;
    sim->waited = false;
}

/* Where a sequence decodes and the step has a budget, it is kept but for QR_PREFILL_MIN tokens and
 * the first of whoever is admitted; and one token more would not be in it.  Whether it is full. */
static bool sim_check_budget(struct sim *sim, const struct qr_plan *plan, uint32_t decodes_n,
                             uint32_t wanted_n)
{
    const struct qr_step_budget *of = &sim->budget;
    uint32_t prefill_n = plan->tokens_n - decodes_n;
    uint64_t reads_n = 0, cost;

    for (uint32_t i = 0; i < plan->items_n; i++)
        for (uint32_t k = 0; k < plan->items[i].tokens_n; k++)
            reads_n += plan->items[i].position + k + 1;
    SIM_CHECK(sim, reads_n == plan->reads_n);
    cost = plan->tokens_n * of->token_cost + reads_n * of->read_cost;
    if (decodes_n == 0 || (of->token_cost == 0 && of->read_cost == 0)) return false;
    if (cost > of->cost_max && prefill_n > QR_PREFILL_MIN) {
        const struct qr_plan_item *last = &plan->items[plan->items_n - 1];
        SIM_CHECK(sim, plan->admitted_n > 0 && last->tokens_n == 1);
        SIM_CHECK(sim,
                  cost - of->token_cost - (last->position + 1) * of->read_cost <= of->cost_max);
    }
    SIM_CHECK(sim, prefill_n >= (wanted_n < QR_PREFILL_MIN ? wanted_n : QR_PREFILL_MIN));
    if (prefill_n < wanted_n && plan->tokens_n < sim->limits.step_tokens) {
        SIM_CHECK(sim, cost + of->token_cost + SIM_TOKENS_MAX * of->read_cost > of->cost_max);
        sim->n.cut++;
    }
    return prefill_n >= QR_PREFILL_MIN;
}

/* The step is as full as the budgets, the chunk, the slots and the pages allow. */
static void sim_check_fill(struct sim *sim, const struct qr_plan *plan)
{
    uint32_t decodes_n = 0, prefill_n = 0, wanted_n = 0, held_n = 0, promised_n = 0, budget;
    uint32_t room_n = sim->world.pool.free_n + sim->world.pool.cached_n;
    const struct sim_seq *head = sim_next(sim);
    bool full;

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        const struct sim_seq *seq = &sim->seqs[id];
        uint32_t left_n = seq->known_n - seq->computed_n;
        uint32_t pages_n = sim_pages_for(sim, seq->computed_n + seq->planned_n);
        if (!seq->live) continue;
        if (!sim_runs(sim, id)) continue;
        held_n += pages_n - sim_left_n(sim, seq->computed_n);
        promised_n += sim_pages_for(sim, seq->known_n) - pages_n;
        if (seq->was_running && left_n == 1) {
            SIM_CHECK(sim, seq->planned_n == 1);
            decodes_n++;
        } else {
            wanted_n += left_n < sim_chunk(sim) ? left_n : sim_chunk(sim);
            prefill_n += seq->planned_n;
        }
    }
    budget = sim->limits.step_tokens - decodes_n;
    SIM_CHECK(sim, plan->tokens_n <= sim->limits.step_tokens);
    SIM_CHECK(sim, budget >= QR_PREFILL_MIN);
    full = sim_check_budget(sim, plan, decodes_n, wanted_n);
    if (!full) SIM_CHECK(sim, prefill_n == (wanted_n < budget ? wanted_n : budget));
    /* No page that no token stands in, and none lost; several may read one. */
    SIM_CHECK(sim, held_n + room_n >= sim->pages_n);
    if (!sim->has_tree && sim->n.forks == 0) SIM_CHECK(sim, held_n + room_n == sim->pages_n);
    SIM_CHECK(sim, promised_n <= room_n);
    sim->n.promised += promised_n > 0;
    sim_check_admitted(sim, plan, room_n - promised_n);
    sim_check_takeover(sim);
    if (head != NULL && prefill_n < budget && !full)
        sim_check_head(sim, head, room_n - promised_n, plan);
}

/* The first of those that run moves in every step, and ends in time once it is the first. */
static void sim_check_first(struct sim *sim)
{
    const struct sim_seq *first = NULL;
    uint32_t chunk = sim_chunk(sim) < QR_PREFILL_MIN ? sim_chunk(sim) : QR_PREFILL_MIN;

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++)
        if (sim->seqs[id].runs && (first == NULL || sim_before(&sim->seqs[id], first)))
            first = &sim->seqs[id];
    if (first == NULL) return;
    SIM_CHECK(sim, first->planned_n > 0 || !first->was_running);
    if (first->serial != sim->first_serial) {
        sim->first_serial = first->serial;
        sim->first_deadline = sim->n.steps + (first->known_n + chunk - 1) / chunk +
                              (first->ends_at - first->known_n) +
                              !first->was_running; /* others may have had the budget of that step */
    }
    SIM_CHECK(sim, sim->n.steps < sim->first_deadline);
}

/* What two clients that both wait are served differs by no more than 2 U: U the longest prompt and
 * all that a batch may still put out (the paper's bound, with a batch of sequences for its batch of
 * tokens). */
static void sim_check_service(struct sim *sim)
{
    int64_t longest = qr_scheduler_tokens_max(sim->world.scheduler);
    int64_t bound = 2 * (longest + 2 * longest * sim->limits.running_max);
    bool waits[SIM_PRIORITIES][SIM_CLIENTS] = {{0}};

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++)
        for (uint32_t p = 0; p < SIM_PRIORITIES; p++)
            if (sim->seqs[id].live && !sim->seqs[id].ran && sim->seqs[id].leader == QR_SEQ_NONE &&
                sim->seqs[id].priority == sim_priorities[p])
                waits[p][sim->seqs[id].client] = true;
    for (uint32_t p = 0; p < sim->priorities_n; p++)
        for (uint32_t a = 0; a < sim->clients_n; a++)
            for (uint32_t b = 0; b < a; b++) {
                struct sim_service *of = &sim->service[p][a];
                int64_t ahead = of->got - sim->service[p][b].got;
                bool both = waits[p][a] && waits[p][b];
                if (!both || !of->both[b]) of->ahead_min[b] = of->ahead_max[b] = ahead;
                of->both[b] = both;
                if (ahead < of->ahead_min[b]) of->ahead_min[b] = ahead;
                if (ahead > of->ahead_max[b]) of->ahead_max[b] = ahead;
                SIM_CHECK(sim, of->ahead_max[b] - of->ahead_min[b] <= bound);
                sim->n.backlogged += both;
            }
}

static void sim_check_twin(struct sim *sim, const struct qr_plan *plan)
{
    const struct qr_plan *twin = qr_scheduler_plan(sim->twin.scheduler);

    SIM_CHECK(sim, twin->items_n == plan->items_n && twin->tokens_n == plan->tokens_n);
    SIM_CHECK(sim, twin->admitted_n == plan->admitted_n && twin->preempted_n == plan->preempted_n);
    for (uint32_t i = 0; i < plan->items_n; i++) {
        const struct qr_plan_item *a = &plan->items[i], *b = &twin->items[i];
        uint32_t pages_n = sim_pages_for(sim, a->position + a->tokens_n);
        SIM_CHECK(sim, a->seq == b->seq && a->position == b->position);
        SIM_CHECK(sim, a->tokens_n == b->tokens_n && a->wants_logits == b->wants_logits);
        SIM_CHECK(sim, memcmp(a->pages, b->pages, pages_n * sizeof a->pages[0]) == 0);
    }
}

/* ---- a step ----------------------------------------------------------------------------- */

/* Each of them has a first token of its own, or ends with it. */
static void sim_answer_attached(struct sim *sim, uint32_t leader)
{
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        struct sim_seq *seq = &sim->seqs[id];
        if (!seq->live || seq->leader != leader) continue;
        if (seq->ends_at == seq->known_n || sim_choose(sim, 16) == 1) {
            sim->n.attached_ends++;
            sim_cancel(sim, id);
        } else {
            sim_answer(sim, seq);
        }
    }
}

static void sim_commit(struct sim *sim, const struct qr_plan *plan)
{
    struct qr_result results[SIM_SEQS_MAX] = {0};
    qr_seq_id ids[SIM_SEQS_MAX];
    bool yields[SIM_SEQS_MAX];
    uint32_t items_n = plan->items_n;

    for (uint32_t i = 0; i < items_n; i++) {
        const struct qr_plan_item *item = &plan->items[i];
        struct sim_seq *seq = &sim->seqs[item->seq];
        sim_compute(sim, item);
        seq->computed_n += item->tokens_n;
        ids[i] = item->seq;
        yields[i] = item->wants_logits;
        if (item->wants_logits) sim_answer_attached(sim, item->seq);
        results[i].finished = seq->computed_n == seq->ends_at || sim_choose(sim, sim->stop_in) == 1;
        if (item->wants_logits) sim_serve(sim, seq, 2);
        if (!results[i].finished && item->wants_logits) sim_answer(sim, seq);
    }
    qr_scheduler_commit(sim->world.scheduler, results, items_n);
    if (sim->has_twin) qr_scheduler_commit(sim->twin.scheduler, results, items_n);
    for (uint32_t i = 0; i < items_n; i++)
        if (yields[i]) sim_fork_attached(sim, ids[i]);
    for (uint32_t i = 0; i < items_n; i++)
        if (results[i].finished) {
            sim_promote(sim, ids[i]);
            sim_end(sim, ids[i]);
            sim->n.finished++;
        }
}

static void sim_step(struct sim *sim)
{
    const struct qr_plan *plan;
    uint32_t live_n = 0;

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        sim->seqs[id].was_running = sim_runs(sim, id);
        live_n += sim->seqs[id].live;
    }
    qr_scheduler_set_budget(sim->world.scheduler, &sim->budget);
    if (sim->has_twin) qr_scheduler_set_budget(sim->twin.scheduler, &sim->budget);
    plan = qr_scheduler_plan(sim->world.scheduler);
    qr_scheduler_check(sim->world.scheduler);
    if (sim->trace)
        fprintf(stderr, "turn %llu: step of %u items, %u tokens, %u admitted, %u preempted\n",
                (unsigned long long)sim->turn, plan->items_n, plan->tokens_n, plan->admitted_n,
                plan->preempted_n);
    SIM_CHECK(sim, (plan->items_n == 0) == (live_n == 0));
    if (sim->has_twin) sim_check_twin(sim, plan);
    sim_check_moves(sim, plan);
    sim_check_items(sim, plan);
    sim_count_copies(sim, plan);
    sim_check_fill(sim, plan);
    sim_check_first(sim);
    sim_check_service(sim);
    if (plan->items_n == 0) return;
    sim_commit(sim, plan);
    qr_scheduler_check(sim->world.scheduler);
    sim->n.steps++;
}

/* A random one, or, where one waited for another's prefix in the last plan, that other. */
static void sim_cancel_some(struct sim *sim)
{
    if (sim_choose(sim, sim->cancel_in) == 1)
        sim_cancel(sim, sim_choose(sim, sim->limits.running_max + sim->limits.waiting_max));
    if (!sim->waited || sim_choose(sim, 4) == 0) return;
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++)
        if (sim->seqs[id].live && sim->seqs[id].serial == sim->leader) sim_cancel(sim, id);
}

/* So many turns, or as long as there are bytes; then all that live are let end. */
static void sim_run(struct sim *sim, uint64_t turns_n)
{
    struct qr_scheduler_stats stats;

    sim_reseed(sim, 0);
    sim_open(sim);
    for (; sim->turn < turns_n && !sim->over; sim->turn++) {
        uint8_t skip = sim->skips == NULL ? 0 : sim->skips[sim->turn];
        sim_reseed(sim, 1);
        while (!(skip & SIM_SKIP_CALLS) && sim_choose(sim, sim->submit_in) == 1)
            sim_submit_some(sim);
        if (!(skip & SIM_SKIP_CALLS)) sim_cancel_some(sim);
        if (!(skip & SIM_SKIP_CALLS) && sim_choose(sim, sim->fork_in) == 1) sim_fork(sim);
        sim_reseed(sim, 2);
        if (!(skip & SIM_SKIP_STEP)) sim_step(sim);
    }
    sim_reseed(sim, 3);
    while (qr_scheduler_running_n(sim->world.scheduler) > 0 ||
           qr_scheduler_waiting_n(sim->world.scheduler) > 0)
        sim_step(sim);
    SIM_CHECK(sim, sim->world.pool.free_n + sim->world.pool.cached_n == sim->pages_n);
    SIM_CHECK(sim, qr_page_pool_held_n(&sim->world.pool) == 0);
    SIM_CHECK(sim, sim->n.submitted == sim->n.finished + sim->n.cancelled);
    qr_scheduler_stats(sim->world.scheduler, &stats);
    SIM_CHECK(sim, stats.steps == sim->n.steps && stats.preemptions == sim->n.preemptions);
    SIM_CHECK(sim, stats.forks == sim->n.forks && stats.page_copies >= sim->n.fork_copies);
    SIM_CHECK(sim, stats.prefix_hits <= stats.prefix_queries && stats.prefix_hits <= sim->n.hits);
    sim->n.copies = stats.page_copies;
    sim->n.evictions = stats.evictions;
    sim_close(sim);
}

#endif
