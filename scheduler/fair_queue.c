/* SPDX-License-Identifier: MIT */
#include "scheduler/fair_queue.h"

#include <assert.h>

#define LEVELS 3u /* below the root: priority, client, user */

static bool same(struct qr_party a, struct qr_party b)
{
    return a.words[0] == b.words[0] && a.words[1] == b.words[1];
}

/* ---- heaps of siblings ------------------------------------------------------------------ */

static bool before(const struct qr_fair_node *a, const struct qr_fair_node *b)
{
    return a->key != b->key ? a->key < b->key : a->stamp < b->stamp;
}

static uint32_t rank_of(const struct qr_fair_queue *queue, uint32_t id)
{
    return id == QR_FAIR_NODE_NONE ? 0 : queue->nodes[id].rank;
}

/* Restores the leftist order of one node: the left child's rank is at least the right child's.
 * True: the node's rank has changed. */
static bool settle(struct qr_fair_queue *queue, uint32_t id)
{
    struct qr_fair_node *node = &queue->nodes[id];
    uint32_t rank = node->rank;

    if (rank_of(queue, node->left) < rank_of(queue, node->right)) {
        uint32_t left = node->left;
        node->left = node->right;
        node->right = left;
    }
    node->rank = rank_of(queue, node->right) + 1;
    return node->rank != rank;
}

static uint32_t meld(struct qr_fair_queue *queue, uint32_t a, uint32_t b)
{
    uint32_t root = QR_FAIR_NODE_NONE, last = QR_FAIR_NODE_NONE;

    while (a != QR_FAIR_NODE_NONE || b != QR_FAIR_NODE_NONE) {
        if (a == QR_FAIR_NODE_NONE ||
            (b != QR_FAIR_NODE_NONE && before(&queue->nodes[b], &queue->nodes[a]))) {
            uint32_t first = b;
            b = a;
            a = first;
        }
        queue->nodes[a].up = last;
        if (last == QR_FAIR_NODE_NONE)
            root = a;
        else
            queue->nodes[last].right = a;
        if (b == QR_FAIR_NODE_NONE) break; /* a's subtree stays as it is */
        last = a;
        a = queue->nodes[a].right;
    }
    for (; last != QR_FAIR_NODE_NONE; last = queue->nodes[last].up)
        settle(queue, last);
    return root;
}

static void heap_add(struct qr_fair_queue *queue, uint32_t id)
{
    struct qr_fair_node *node = &queue->nodes[id], *parent = &queue->nodes[node->parent];

    node->key = node->counter;
    node->left = node->right = QR_FAIR_NODE_NONE;
    node->rank = 1;
    parent->top = meld(queue, parent->top, id);
}

static void heap_remove(struct qr_fair_queue *queue, uint32_t id)
{
    struct qr_fair_node *node = &queue->nodes[id];
    uint32_t up = node->up, below = meld(queue, node->left, node->right);

    if (below != QR_FAIR_NODE_NONE) queue->nodes[below].up = up;
    if (up == QR_FAIR_NODE_NONE)
        queue->nodes[node->parent].top = below;
    else if (queue->nodes[up].left == id)
        queue->nodes[up].left = below;
    else
        queue->nodes[up].right = below;
    node->rank = 0;
    while (up != QR_FAIR_NODE_NONE && settle(queue, up))
        up = queue->nodes[up].up;
}

/* The waiting child with the least counter.  A key below its counter is out of date: that child is
 * put in again at its counter. */
static uint32_t least_waiting_child(struct qr_fair_queue *queue, uint32_t parent)
{
    uint32_t id;

    while ((id = queue->nodes[parent].top) != QR_FAIR_NODE_NONE) {
        if (queue->nodes[id].key == queue->nodes[id].counter) return id;
        heap_remove(queue, id);
        heap_add(queue, id);
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

void qr_fair_queue_init(struct qr_fair_queue *queue, struct qr_fair_node *nodes, uint32_t *buckets,
                        uint32_t seqs_n)
{
    *queue = (struct qr_fair_queue){
        .nodes = nodes,
        .buckets = buckets,
        .nodes_n = qr_fair_queue_nodes_for(seqs_n),
        .buckets_n = qr_fair_queue_buckets_for(seqs_n),
        .used_n = 1,
        .oldest = QR_FAIR_NODE_NONE,
        .newest = QR_FAIR_NODE_NONE,
    };
    nodes[QR_FAIR_NODE_ROOT] = (struct qr_fair_node){.parent = QR_FAIR_NODE_NONE,
                                                     .up = QR_FAIR_NODE_NONE,
                                                     .left = QR_FAIR_NODE_NONE,
                                                     .right = QR_FAIR_NODE_NONE,
                                                     .top = QR_FAIR_NODE_NONE,
                                                     .taken = QR_FAIR_NODE_NONE};
    for (uint32_t i = 0; i < queue->buckets_n; i++)
        buckets[i] = QR_FAIR_NODE_NONE;
}

static uint32_t *bucket_of(const struct qr_fair_queue *queue, uint32_t parent, struct qr_party name)
{
    uint64_t h = name.words[0] ^ (name.words[1] + parent) * 0x9e3779b97f4a7c15u;

    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u; /* splitmix64 */
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return &queue->buckets[(h ^ (h >> 31)) & (queue->buckets_n - 1)];
}

static void idle_add(struct qr_fair_queue *queue, uint32_t id)
{
    queue->nodes[id].older = queue->newest;
    queue->nodes[id].newer = QR_FAIR_NODE_NONE;
    if (queue->newest == QR_FAIR_NODE_NONE)
        queue->oldest = id;
    else
        queue->nodes[queue->newest].newer = id;
    queue->newest = id;
}

static void idle_remove(struct qr_fair_queue *queue, uint32_t id)
{
    uint32_t older = queue->nodes[id].older, newer = queue->nodes[id].newer;

    if (older == QR_FAIR_NODE_NONE)
        queue->oldest = newer;
    else
        queue->nodes[older].newer = newer;
    if (newer == QR_FAIR_NODE_NONE)
        queue->newest = older;
    else
        queue->nodes[newer].older = older;
}

/* The one that has been idle the longest.  Its children ceased to be in use no later than it did,
 * so they are dropped_counter already. */
static uint32_t drop_oldest(struct qr_fair_queue *queue)
{
    uint32_t id = queue->oldest, *at;
    const struct qr_fair_node *node;
    struct qr_fair_node *parent;

    assert(id != QR_FAIR_NODE_NONE);
    node = &queue->nodes[id];
    parent = &queue->nodes[node->parent];
    if (parent->taken == id) {
        parent->taken = QR_FAIR_NODE_NONE;
        parent->dropped_counter = node->counter;
    }
    for (at = bucket_of(queue, node->parent, node->name); *at != id; at = &queue->nodes[*at].chain)
        ;
    *at = node->chain;
    idle_remove(queue, id);
    return id;
}

static uint32_t find_or_make(struct qr_fair_queue *queue, uint32_t parent, struct qr_party name,
                             uint64_t counter)
{
    uint32_t id, *bucket = bucket_of(queue, parent, name);

    for (id = *bucket; id != QR_FAIR_NODE_NONE; id = queue->nodes[id].chain)
        if (queue->nodes[id].parent == parent && same(queue->nodes[id].name, name)) {
            if (queue->nodes[id].live_n++ == 0) idle_remove(queue, id);
            return id;
        }
    id = queue->used_n < queue->nodes_n ? queue->used_n++ : drop_oldest(queue);
    queue->nodes[id] = (struct qr_fair_node){
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

uint32_t qr_fair_queue_join(struct qr_fair_queue *queue, const struct qr_submission *submission)
{
    /* Unsigned, so that counters order the priorities. */
    uint64_t priority = (uint64_t)((int64_t)submission->priority - INT32_MIN);
    uint32_t id;

    queue->nodes[QR_FAIR_NODE_ROOT].live_n++;
    id = find_or_make(queue, QR_FAIR_NODE_ROOT, (struct qr_party){{priority, 0}}, priority);
    id = find_or_make(queue, id, submission->client, 0);
    return find_or_make(queue, id, submission->user, 0);
}

void qr_fair_queue_leave(struct qr_fair_queue *queue, uint32_t user)
{
    for (uint32_t id = user; id != QR_FAIR_NODE_NONE; id = queue->nodes[id].parent) {
        assert(queue->nodes[id].live_n > 0);
        if (--queue->nodes[id].live_n == 0 && id != QR_FAIR_NODE_ROOT) idle_add(queue, id);
    }
}

/* ---- order ------------------------------------------------------------------------------ */

/* Raises the counter of a node that begins to wait, so that it does not use service saved up while
 * it was away.  Priorities keep theirs. */
static void lift(struct qr_fair_queue *queue, uint32_t id)
{
    struct qr_fair_node *node = &queue->nodes[id];
    const struct qr_fair_node *parent = &queue->nodes[node->parent];
    uint32_t other = least_waiting_child(queue, node->parent);
    uint64_t floor;

    if (node->parent == QR_FAIR_NODE_ROOT) return;
    if (other == QR_FAIR_NODE_NONE) other = parent->taken;
    floor = other == QR_FAIR_NODE_NONE ? parent->dropped_counter : queue->nodes[other].counter;
    if (node->counter < floor) node->counter = floor;
}

void qr_fair_queue_enter(struct qr_fair_queue *queue, uint32_t user)
{
    for (uint32_t id = user; id != QR_FAIR_NODE_ROOT; id = queue->nodes[id].parent) {
        if (queue->nodes[id].rank > 0) return;
        lift(queue, id);
        queue->nodes[id].stamp = queue->stamps_n++;
        heap_add(queue, id);
    }
}

void qr_fair_queue_exit(struct qr_fair_queue *queue, uint32_t user)
{
    for (uint32_t id = user; id != QR_FAIR_NODE_ROOT; id = queue->nodes[id].parent) {
        if (queue->nodes[id].top != QR_FAIR_NODE_NONE) return;
        heap_remove(queue, id);
    }
}

uint32_t qr_fair_queue_next(struct qr_fair_queue *queue)
{
    uint32_t id = QR_FAIR_NODE_ROOT;

    for (uint32_t level = 0; level < LEVELS; level++) {
        id = least_waiting_child(queue, id);
        if (id == QR_FAIR_NODE_NONE) return id;
    }
    return id;
}

int32_t qr_fair_queue_priority(const struct qr_fair_queue *queue, uint32_t user)
{
    const struct qr_fair_node *client = &queue->nodes[queue->nodes[user].parent];

    return (int32_t)((int64_t)queue->nodes[client->parent].counter + INT32_MIN);
}

void qr_fair_queue_take(struct qr_fair_queue *queue, uint32_t user)
{
    for (uint32_t id = user; id != QR_FAIR_NODE_ROOT; id = queue->nodes[id].parent) {
        heap_remove(queue, id);
        queue->nodes[id].stamp = queue->stamps_n++;
        heap_add(queue, id);
        queue->nodes[queue->nodes[id].parent].taken = id;
    }
}

void qr_fair_queue_charge(struct qr_fair_queue *queue, uint32_t user, uint64_t cost)
{
    queue->nodes[user].counter += cost;
    queue->nodes[queue->nodes[user].parent].counter += cost;
}

/* ---- for the scheduler's other files ---------------------------------------------------- */

struct qr_seq_list *qr_fair_queue_list(const struct qr_fair_queue *queue, uint32_t user)
{
    return &queue->nodes[user].waiting;
}

void qr_fair_queue_names(const struct qr_fair_queue *queue, uint32_t user,
                         struct qr_party *client_name, struct qr_party *user_name)
{
    *client_name = queue->nodes[queue->nodes[user].parent].name;
    *user_name = queue->nodes[user].name;
}

uint64_t qr_fair_queue_counter(const struct qr_fair_queue *queue, uint32_t user)
{
    return queue->nodes[user].counter;
}

uint32_t qr_fair_queue_live_n(const struct qr_fair_queue *queue)
{
    return queue->nodes[QR_FAIR_NODE_ROOT].live_n;
}

uint32_t qr_fair_queue_waiting_user(const struct qr_fair_queue *queue, uint32_t after)
{
    for (uint32_t id = after + 1; id < queue->used_n; id++)
        if (queue->nodes[id].waiting.n > 0) return id;
    return QR_FAIR_NODE_NONE;
}

/* ---- the invariant ---------------------------------------------------------------------- */

static void check_heap_links(const struct qr_fair_queue *queue, uint32_t id)
{
    const struct qr_fair_node *node = &queue->nodes[id];

    assert(node->key <= node->counter);
    assert(node->rank == rank_of(queue, node->right) + 1);
    assert(rank_of(queue, node->left) >= rank_of(queue, node->right));
    if (node->up == QR_FAIR_NODE_NONE) {
        assert(queue->nodes[node->parent].top == id);
    } else {
        const struct qr_fair_node *up = &queue->nodes[node->up];
        assert(up->rank > 0 && up->parent == node->parent && !before(node, up));
        assert((up->left == id) != (up->right == id));
    }
}

void qr_fair_queue_check(const struct qr_fair_queue *queue)
{
    uint64_t live_n[LEVELS + 1] = {0}, idle_n = 0;

    for (uint32_t id = 0; id < queue->used_n; id++) {
        const struct qr_fair_node *node = &queue->nodes[id];
        uint32_t level = 0;
        for (uint32_t up = id; up != QR_FAIR_NODE_ROOT; up = queue->nodes[up].parent)
            level++;
        assert(level <= LEVELS);
        live_n[level] += node->live_n;
        idle_n += node->live_n == 0 && id != QR_FAIR_NODE_ROOT;
        if (level == 0) continue;
        assert(node->rank == 0 || queue->nodes[node->parent].rank > 0 ||
               node->parent == QR_FAIR_NODE_ROOT);
        assert((node->rank > 0) ==
               (level == LEVELS ? node->waiting.n > 0 : node->top != QR_FAIR_NODE_NONE));
        assert(node->live_n >= node->waiting.n);
        if (node->rank > 0) check_heap_links(queue, id);
    }
    for (uint32_t level = 1; level <= LEVELS; level++)
        assert(live_n[level] == live_n[0]);
    for (uint32_t id = queue->oldest, older = QR_FAIR_NODE_NONE; id != QR_FAIR_NODE_NONE;
         older = id, id = queue->nodes[id].newer) {
        assert(queue->nodes[id].live_n == 0 && queue->nodes[id].older == older && idle_n-- > 0);
        assert(queue->nodes[id].newer != QR_FAIR_NODE_NONE || queue->newest == id);
    }
    assert(idle_n == 0);
}
