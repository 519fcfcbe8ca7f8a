/* SPDX-License-Identifier: MIT */
#include "scheduler/fair_queue.h"

#include <assert.h>

#define LEVELS 3u /* below the root: class, client, user */

static bool same(struct qr_party a, struct qr_party b)
{
    return a.words[0] == b.words[0] && a.words[1] == b.words[1];
}

/* ---- heaps of siblings ------------------------------------------------------------------ */

static bool before(const struct qr_fair_node *a, const struct qr_fair_node *b)
{
    return a->key != b->key ? a->key < b->key : a->stamp < b->stamp;
}

static uint32_t rank_of(const struct qr_fair_queue *s, uint32_t id)
{
    return id == QR_FAIR_NODE_NONE ? 0 : s->shares[id].rank;
}

/* Leftist: the way down the right children is the shortest.  Whether the rank has changed. */
static bool settle(struct qr_fair_queue *s, uint32_t id)
{
    struct qr_fair_node *share = &s->shares[id];
    uint32_t rank = share->rank;

    if (rank_of(s, share->left) < rank_of(s, share->right)) {
        uint32_t left = share->left;
        share->left = share->right;
        share->right = left;
    }
    share->rank = rank_of(s, share->right) + 1;
    return share->rank != rank;
}

static uint32_t meld(struct qr_fair_queue *s, uint32_t a, uint32_t b)
{
    uint32_t root = QR_FAIR_NODE_NONE, last = QR_FAIR_NODE_NONE;

    while (a != QR_FAIR_NODE_NONE || b != QR_FAIR_NODE_NONE) {
        if (a == QR_FAIR_NODE_NONE ||
            (b != QR_FAIR_NODE_NONE && before(&s->shares[b], &s->shares[a]))) {
            uint32_t least = b;
            b = a;
            a = least;
        }
        s->shares[a].up = last;
        if (last == QR_FAIR_NODE_NONE)
            root = a;
        else
            s->shares[last].right = a;
        if (b == QR_FAIR_NODE_NONE) break; /* a whole heap, as it is */
        last = a;
        a = s->shares[a].right;
    }
    for (; last != QR_FAIR_NODE_NONE; last = s->shares[last].up)
        settle(s, last);
    return root;
}

static void heap_add(struct qr_fair_queue *s, uint32_t id)
{
    struct qr_fair_node *share = &s->shares[id], *parent = &s->shares[share->parent];

    share->key = share->counter;
    share->left = share->right = QR_FAIR_NODE_NONE;
    share->rank = 1;
    parent->top = meld(s, parent->top, id);
}

static void heap_remove(struct qr_fair_queue *s, uint32_t id)
{
    struct qr_fair_node *share = &s->shares[id];
    uint32_t up = share->up, below = meld(s, share->left, share->right);

    if (below != QR_FAIR_NODE_NONE) s->shares[below].up = up;
    if (up == QR_FAIR_NODE_NONE)
        s->shares[share->parent].top = below;
    else if (s->shares[up].left == id)
        s->shares[up].left = below;
    else
        s->shares[up].right = below;
    share->rank = 0;
    while (up != QR_FAIR_NODE_NONE && settle(s, up))
        up = s->shares[up].up;
}

/* The child that waits with the least counter. */
static uint32_t least(struct qr_fair_queue *s, uint32_t parent)
{
    uint32_t id;

    while ((id = s->shares[parent].top) != QR_FAIR_NODE_NONE) {
        if (s->shares[id].key == s->shares[id].counter) return id;
        heap_remove(s, id);
        heap_add(s, id);
    }
    return QR_FAIR_NODE_NONE;
}

/* ---- the table -------------------------------------------------------------------------- */

uint32_t qr_fair_queue_nodes_for(uint32_t seqs_n)
{
    assert(seqs_n <= (QR_FAIR_NODE_NONE - 1) / LEVELS);
    return 1 + LEVELS * seqs_n;
}

uint32_t qr_fair_queue_buckets_for(uint32_t seqs_n)
{
    uint32_t n = 1;

    while (n < qr_fair_queue_nodes_for(seqs_n) && n < UINT32_C(1) << 31)
        n *= 2;
    return n;
}

void qr_fair_queue_init(struct qr_fair_queue *s, struct qr_fair_node *shares, uint32_t *buckets,
                        uint32_t seqs_n)
{
    *s = (struct qr_fair_queue){
        .shares = shares,
        .buckets = buckets,
        .shares_n = qr_fair_queue_nodes_for(seqs_n),
        .buckets_n = qr_fair_queue_buckets_for(seqs_n),
        .used_n = 1,
        .oldest = QR_FAIR_NODE_NONE,
        .newest = QR_FAIR_NODE_NONE,
    };
    shares[QR_FAIR_NODE_ROOT] = (struct qr_fair_node){.parent = QR_FAIR_NODE_NONE,
                                                      .up = QR_FAIR_NODE_NONE,
                                                      .left = QR_FAIR_NODE_NONE,
                                                      .right = QR_FAIR_NODE_NONE,
                                                      .top = QR_FAIR_NODE_NONE,
                                                      .taken = QR_FAIR_NODE_NONE};
    for (uint32_t i = 0; i < s->buckets_n; i++)
        buckets[i] = QR_FAIR_NODE_NONE;
}

static uint32_t *bucket_of(const struct qr_fair_queue *s, uint32_t parent, struct qr_party name)
{
    uint64_t h = name.words[0] ^ (name.words[1] + parent) * 0x9e3779b97f4a7c15u;

    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u; /* splitmix64 */
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return &s->buckets[(h ^ (h >> 31)) & (s->buckets_n - 1)];
}

static void idle_add(struct qr_fair_queue *s, uint32_t id)
{
    s->shares[id].older = s->newest;
    s->shares[id].newer = QR_FAIR_NODE_NONE;
    if (s->newest == QR_FAIR_NODE_NONE)
        s->oldest = id;
    else
        s->shares[s->newest].newer = id;
    s->newest = id;
}

static void idle_remove(struct qr_fair_queue *s, uint32_t id)
{
    uint32_t older = s->shares[id].older, newer = s->shares[id].newer;

    if (older == QR_FAIR_NODE_NONE)
        s->oldest = newer;
    else
        s->shares[older].newer = newer;
    if (newer == QR_FAIR_NODE_NONE)
        s->newest = older;
    else
        s->shares[newer].older = older;
}

/* The one that has been idle the longest.  Its children ceased to be in use no later than it did,
 * so they are forgotten already. */
static uint32_t forget(struct qr_fair_queue *s)
{
    uint32_t id = s->oldest, *at;
    const struct qr_fair_node *share;
    struct qr_fair_node *parent;

    assert(id != QR_FAIR_NODE_NONE);
    share = &s->shares[id];
    parent = &s->shares[share->parent];
    if (parent->taken == id) {
        parent->taken = QR_FAIR_NODE_NONE;
        parent->forgotten = share->counter;
    }
    for (at = bucket_of(s, share->parent, share->name); *at != id; at = &s->shares[*at].chain)
        ;
    *at = share->chain;
    idle_remove(s, id);
    return id;
}

static uint32_t find_or_make(struct qr_fair_queue *s, uint32_t parent, struct qr_party name,
                             uint64_t counter)
{
    uint32_t id, *bucket = bucket_of(s, parent, name);

    for (id = *bucket; id != QR_FAIR_NODE_NONE; id = s->shares[id].chain)
        if (s->shares[id].parent == parent && same(s->shares[id].name, name)) {
            if (s->shares[id].live_n++ == 0) idle_remove(s, id);
            return id;
        }
    id = s->used_n < s->shares_n ? s->used_n++ : forget(s);
    s->shares[id] = (struct qr_fair_node){
        .name = name,
        .counter = counter,
        .parent = parent,
        .top = QR_FAIR_NODE_NONE,
        .taken = QR_FAIR_NODE_NONE,
        .chain = *bucket,
        .live_n = 1,
        .waiting = {.head = QR_SEQ_NONE, .tail = QR_SEQ_NONE},
    };
    *bucket = id;
    return id;
}

uint32_t qr_fair_queue_join(struct qr_fair_queue *s, const struct qr_submission *submission)
{
    /* As it counts from INT32_MIN on: in the order of the priorities. */
    uint64_t priority = (uint64_t)((int64_t)submission->priority - INT32_MIN);
    uint32_t id;

    s->shares[QR_FAIR_NODE_ROOT].live_n++;
    id = find_or_make(s, QR_FAIR_NODE_ROOT, (struct qr_party){{priority, 0}}, priority);
    id = find_or_make(s, id, submission->client, 0);
    return find_or_make(s, id, submission->user, 0);
}

void qr_fair_queue_leave(struct qr_fair_queue *s, uint32_t user)
{
    for (uint32_t id = user; id != QR_FAIR_NODE_NONE; id = s->shares[id].parent) {
        assert(s->shares[id].live_n > 0);
        if (--s->shares[id].live_n == 0 && id != QR_FAIR_NODE_ROOT) idle_add(s, id);
    }
}

/* ---- turns ------------------------------------------------------------------------------ */

static void lift(struct qr_fair_queue *s, uint32_t id)
{
    struct qr_fair_node *share = &s->shares[id];
    const struct qr_fair_node *parent = &s->shares[share->parent];
    uint32_t other = least(s, share->parent);
    uint64_t floor;

    if (share->parent == QR_FAIR_NODE_ROOT) return;
    if (other == QR_FAIR_NODE_NONE) other = parent->taken;
    floor = other == QR_FAIR_NODE_NONE ? parent->forgotten : s->shares[other].counter;
    if (share->counter < floor) share->counter = floor;
}

void qr_fair_queue_enter(struct qr_fair_queue *s, uint32_t user)
{
    for (uint32_t id = user; id != QR_FAIR_NODE_ROOT; id = s->shares[id].parent) {
        if (s->shares[id].rank > 0) return;
        lift(s, id);
        s->shares[id].stamp = s->stamps_n++;
        heap_add(s, id);
    }
}

void qr_fair_queue_exit(struct qr_fair_queue *s, uint32_t user)
{
    for (uint32_t id = user; id != QR_FAIR_NODE_ROOT; id = s->shares[id].parent) {
        if (s->shares[id].top != QR_FAIR_NODE_NONE) return;
        heap_remove(s, id);
    }
}

uint32_t qr_fair_queue_next(struct qr_fair_queue *s)
{
    uint32_t id = QR_FAIR_NODE_ROOT;

    for (uint32_t level = 0; level < LEVELS; level++) {
        id = least(s, id);
        if (id == QR_FAIR_NODE_NONE) return id;
    }
    return id;
}

int32_t qr_fair_queue_priority(const struct qr_fair_queue *s, uint32_t user)
{
    const struct qr_fair_node *client = &s->shares[s->shares[user].parent];

    return (int32_t)((int64_t)s->shares[client->parent].counter + INT32_MIN);
}

void qr_fair_queue_take(struct qr_fair_queue *s, uint32_t user)
{
    for (uint32_t id = user; id != QR_FAIR_NODE_ROOT; id = s->shares[id].parent) {
        heap_remove(s, id);
        s->shares[id].stamp = s->stamps_n++;
        heap_add(s, id);
        s->shares[s->shares[id].parent].taken = id;
    }
}

void qr_fair_queue_charge(struct qr_fair_queue *s, uint32_t user, uint64_t cost)
{
    s->shares[user].counter += cost;
    s->shares[s->shares[user].parent].counter += cost;
}

/* ---- the invariant ---------------------------------------------------------------------- */

static void check_heap_links(const struct qr_fair_queue *s, uint32_t id)
{
    const struct qr_fair_node *share = &s->shares[id];

    assert(share->key <= share->counter);
    assert(share->rank == rank_of(s, share->right) + 1);
    assert(rank_of(s, share->left) >= rank_of(s, share->right));
    if (share->up == QR_FAIR_NODE_NONE) {
        assert(s->shares[share->parent].top == id);
    } else {
        const struct qr_fair_node *up = &s->shares[share->up];
        assert(up->rank > 0 && up->parent == share->parent && !before(share, up));
        assert((up->left == id) != (up->right == id));
    }
}

void qr_fair_queue_check(const struct qr_fair_queue *s)
{
    uint64_t live_n[LEVELS + 1] = {0}, idle_n = 0;

    for (uint32_t id = 0; id < s->used_n; id++) {
        const struct qr_fair_node *share = &s->shares[id];
        uint32_t level = 0;
        for (uint32_t up = id; up != QR_FAIR_NODE_ROOT; up = s->shares[up].parent)
            level++;
        assert(level <= LEVELS);
        live_n[level] += share->live_n;
        idle_n += share->live_n == 0 && id != QR_FAIR_NODE_ROOT;
        if (level == 0) continue;
        assert(share->rank == 0 || s->shares[share->parent].rank > 0 ||
               share->parent == QR_FAIR_NODE_ROOT);
        assert((share->rank > 0) ==
               (level == LEVELS ? share->waiting.n > 0 : share->top != QR_FAIR_NODE_NONE));
        assert(share->live_n >= share->waiting.n);
        if (share->rank > 0) check_heap_links(s, id);
    }
    for (uint32_t level = 1; level <= LEVELS; level++)
        assert(live_n[level] == live_n[0]);
    for (uint32_t id = s->oldest, older = QR_FAIR_NODE_NONE; id != QR_FAIR_NODE_NONE;
         older = id, id = s->shares[id].newer) {
        assert(s->shares[id].live_n == 0 && s->shares[id].older == older && idle_n-- > 0);
        assert(s->shares[id].newer != QR_FAIR_NODE_NONE || s->newest == id);
    }
    assert(idle_n == 0);
}
