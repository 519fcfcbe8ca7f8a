/* SPDX-License-Identifier: MIT */
/* pass -- one engine's working memory, and the stages that a layer is made of.
 *
 * Every function below runs one stage over the rows of a step, spread over the team (or on
 * the caller alone where waking others costs more), and returns when it is done.  Each
 * architecture's file puts them in order.  None lets a row's result depend on the other rows, on
 * how many there are, or on who computes it.
 *
 * Rows live in buffers whose stride is an odd number of cache lines: a tile of 16 rows never falls
 * into one set of the cache.
 *
 * Thread: the pass's engine.   Memory: one region, sized when the pass is made. */
#ifndef QR_MODEL_PASS_H
#define QR_MODEL_PASS_H

#include "runtime/base/phases.h"
#include "runtime/model/forward.h"
#include "runtime/model/weights.h"

struct qr_rows {
    float *data;
    size_t stride; /* floats */
};

/* Rows of one sequence that attend together. */
#define QR_NO_TILE UINT32_MAX
struct qr_tile {
    uint32_t seq;
    uint32_t row;      /* where its queries, keys and values are */
    uint32_t out_row;  /* where its results go */
    uint32_t rows_n;   /* at most QR_ATTENTION_ROWS_MAX */
    uint32_t position; /* of its first row */
    uint32_t summed_n; /* blocks that its row sees together with others' */
};

/* Rows that go over shared blocks together: a stretch of qr_shared.order. */
struct qr_chunk {
    uint32_t first;
    uint32_t rows_n; /* at least 2; each shares no more blocks than the one before it */
};

struct qr_shared {
    uint32_t *order;         /* [rows_max]: tiles, similar ones next to each other */
    struct qr_chunk *chunks; /* [rows_max / 2] */
    uint32_t chunks_n;
    uint32_t *alone; /* [2 * rows_max]: tiles that are in no chunk; all of qr_pass.order without */
    uint32_t alone_n;
    uint8_t *partials; /* [threads_n][qr_pass_chunk_rows()][partial_bytes] */
};

/* What a partition holds while tiles are assigned. */
struct qr_dealt {
    uint32_t rows_n;
    uint32_t tiles_n;
    uint64_t keys; /* that its rows see */
};

struct qr_pass {
    const struct qr_model *model;
    struct qr_team *team;
    struct qr_kv_store *kv;
    uint32_t threads_n;
    uint32_t rows_max;
    uint32_t context_max;
    struct quire_allocator allocator;
    struct qr_region region;

    struct qr_rows x;          /* [rows_max][width]: the residual stream */
    struct qr_rows qkv;        /* [rows_max][q, k, v] */
    struct qr_inputs normed;   /* [rows_max][width] */
    struct qr_inputs attended; /* [rows_max][heads_n * head_dim] */
    struct qr_inputs hidden;   /* [rows_max][ffn_width] */
    struct qr_rows cosines;    /* [rows_max][rotary_n / 2], each row at its own position */
    struct qr_rows sines;
    struct qr_rows states;   /* [rows_max][width]: the last forward's outputs, normed */
    struct qr_rows logits;   /* [QR_LOGITS_ROWS][vocab_n] */
    struct qr_scored *bests; /* [threads_n][QR_LOGITS_ROWS]: of what each thread saw of a row */
    uint32_t *step_rows;     /* [rows_max]: the step row at a pass row */
    uint32_t *pass_rows;     /* [rows_max]: the pass row of a step row */
    struct qr_tile *tiles;   /* [rows_max] */
    uint32_t *order;         /* [2 * rows_max]: tiles in the order of work; or QR_NO_TILE */
    struct qr_dealt *dealt;  /* [threads_n] */
    uint32_t *blocks;        /* [items + 1]: each item's first block among all, when spread */
    uint8_t *partials;       /* a place for every block of every item, when spread */
    size_t partial_bytes;
    struct qr_shared shared;
    uint8_t *scratch; /* [threads_n][scratch_bytes] */
    size_t scratch_bytes;

    struct qr_chain *chain;   /* stages that were collected and not yet run */
    struct qr_phases *phases; /* NULL: not profiled */
    enum qr_phase phase;      /* of the stages that are added now */
    const struct qr_step *step;
    uint32_t rows_n;   /* of the step; in its last layer only those with outputs */
    uint32_t own_rows; /* of each partition, whole tiles; 0: threads own no rows */
    uint32_t tiles_n;
    uint32_t order_n;
    uint64_t keys; /* that all rows see, each row's counted */
    bool tiled;    /* some sequence has more than one tile */
    bool kept;   /* each thread's tiles are an equal stretch of order, filled up with QR_NO_TILE */
    bool spread; /* few long sequences: by blocks */
    bool barriers; /* before every stage: another process uses a thread's core too */
    uint32_t outputs_n;
};

struct qr_forward {
    struct qr_pass pass;
};

/* How many floats of two matrices' outputs a thread holds when it turns gate and up into the next
 * activations: 128 rows of 2 x 32 are 32 KB, about a first-level cache. */
#define QR_GATE_ROWS 128u
#define QR_GATE_N    32u

/* Outputs of the head that a thread holds of all rows before they are looked at: 64 rows of
 * QR_HEAD_N are 32 KB.  The stride is an odd number of cache lines, as a row's. */
#define QR_HEAD_N      128u
#define QR_HEAD_STRIDE (QR_HEAD_N + 16u)

static inline float *qr_row(const struct qr_rows *rows, uint32_t row)
{
    return rows->data + row * rows->stride;
}

static inline void *qr_pass_scratch(const struct qr_pass *p, uint32_t thread)
{
    return p->scratch + thread * p->scratch_bytes;
}

/* What follows belongs to this phase. */
void qr_pass_enter(struct qr_pass *p, enum qr_phase phase);

/* Which rows a stage reads that the stages before it wrote. */
enum qr_reads {
    QR_READS_OWN_ROWS,  /* those of its own items: the same thread wrote them */
    QR_READS_OTHER_ROWS /* also rows of other threads' items: keys of one sequence, rows of a chunk
                         */
};

/* One stage over the step's rows.  `work` is copied.  The runner derives the barrier before a stage
 * from what it reads and from who may have written it (grain). */
struct qr_work {
    qr_team_fn *fn;
    const void *work;
    size_t work_bytes; /* at most QR_WORK_BYTES */
    uint32_t items_n;
    uint32_t grain; /* as qr_stage's */
    enum qr_reads reads;
    uint64_t cost; /* roughly, in multiply-adds: the team is woken only if it is worth that */
};
#define QR_WORK_BYTES 256u

/* Where threads own rows, the runner collects the stage and runs it later, together with others, so
 * that each thread goes from stage to stage by itself.  Otherwise it runs at once. */
void qr_pass_run(struct qr_pass *p, const struct qr_work *work);
/* Runs the collected stages: before the caller touches the pass's fields or rows. */
void qr_pass_flush(struct qr_pass *p);

/* What each thread prefetches of the next matrices while it waits: as much as memory delivers in
 * that time, far less than a second-level cache. */
#define QR_PREFETCH_HINT_BYTES ((size_t)16 << 10)

static inline void qr_pass_prefetch(struct qr_pass *p, const struct qr_stream *ahead)
{
    size_t partition = ahead->bytes / p->threads_n / 64 * 64;

    if (p->own_rows) return; /* threads do not wait */
    qr_team_prefetch(p->team, ahead->data, partition,
                     partition < QR_PREFETCH_HINT_BYTES ? partition : QR_PREFETCH_HINT_BYTES);
}

/* ---- rows.c ---- */

/* Each token's embedding (and its position's, where they are learned) into x, each row's angles,
 * and as qr_pass_norm. */
void qr_pass_embed(struct qr_pass *p, const struct qr_norm *norm, unsigned wants);
/* normed = norm(x), in the forms wanted. */
void qr_pass_norm(struct qr_pass *p, const struct qr_norm *norm, unsigned wants);
/* The rows asked for: states = norm(x). */
void qr_pass_finish(struct qr_pass *p, const struct qr_norm *norm);
/* in's floats into its acts. */
void qr_pass_quantize(struct qr_pass *p, struct qr_inputs *in, uint32_t rows_n);

/* ---- matrices.c ---- */

/* qkv = normed times the layer's three matrices, as one. */
void qr_pass_project(struct qr_pass *p, const struct qr_layer *layer);
/* x += in times w. */
void qr_pass_multiply_add(struct qr_pass *p, const struct qr_weights *w,
                          const struct qr_inputs *in);
/* hidden = swiglu(normed times gate, normed times up), in the form that down wants. */
void qr_pass_gate_up(struct qr_pass *p, const struct qr_layer *layer);
/* hidden = gelu(normed times up), in the form that down wants: of layers without a gate. */
void qr_pass_up(struct qr_pass *p, const struct qr_layer *layer);
/* logits of rows_n rows of in. */
void qr_pass_head(struct qr_pass *p, const struct qr_inputs *in, uint32_t rows_n);

/* ---- head.c ---- */

/* The same, but that rows whose best token is all that is asked for get that and no logits. */
void qr_pass_head_best(struct qr_pass *p, const struct qr_inputs *in, uint32_t rows_n,
                       struct qr_logits_row *rows);

/* ---- tiles.c ---- */

/* Shares the step's rows out to the threads and cuts them into tiles. */
void qr_pass_tile(struct qr_pass *p);
/* Keeps only the rows that are asked for, in the order of the step's outputs. */
void qr_pass_select(struct qr_pass *p);

static inline uint32_t qr_whole_tiles(uint32_t rows_n)
{
    return (rows_n + QR_TILE_ROWS - 1) / QR_TILE_ROWS * QR_TILE_ROWS;
}

/* Rows to be shared out to threads in equal items: with partitions, the last one may not be full.
 */
static inline uint32_t qr_pass_partition_rows(const struct qr_pass *p)
{
    return p->own_rows ? p->own_rows * p->threads_n : p->rows_n;
}

/* ---- attend.c, cascade.c ---- */

/* How the step's tiles attend: called when there are new ones. */
void qr_pass_arrange(struct qr_pass *p);
/* In the last layer, rows without requested logits need only K and V.  Where they are at
 * least half: rotates, puts keys and values into the pages, and keeps only the other rows.  True:
 * it has, and all that is stored. */
bool qr_pass_narrow(struct qr_pass *p, uint32_t layer);
/* attended = attention, in the forms wanted.  store: rotates queries and keys and puts keys and
 * values into the pages first, in the same stage where the tiles allow it. */
void qr_pass_attend(struct qr_pass *p, uint32_t layer, bool store, unsigned wants);
/* Finds the rows that go over blocks together, of the tiles that are one row. */
void qr_pass_share(struct qr_pass *p);
/* The most rows of a chunk. */
uint32_t qr_pass_chunk_rows(const struct qr_pass *p);
/* The most items that are spread by blocks, and the bytes that their partial results take. */
uint32_t qr_pass_spread_items(const struct qr_pass *p);
size_t qr_pass_partials_bytes(const struct qr_pass *p);

#endif
