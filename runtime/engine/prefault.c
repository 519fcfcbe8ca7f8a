/* SPDX-License-Identifier: MIT */
#include "runtime/engine/prefault.h"

#include <assert.h>

void qr_prefault_init(struct qr_prefault *r, const struct qr_region *pages, size_t page_bytes,
                      uint32_t pages_n, struct qr_team *team)
{
    assert(page_bytes > 0 && pages_n <= pages->bytes / page_bytes);
    assert(pages->bytes % QR_REGION_PIECE == 0);
    *r = (struct qr_prefault){
        .pages = pages, .page_bytes = page_bytes, .pages_n = pages_n, .team = team};
}

/* Items are pieces, counted from the first that is not prefaulted. */
static void fill_pieces(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct qr_prefault *r = work;

    (void)thread;
    qr_region_fill(r->pages, r->bytes + begin * QR_REGION_PIECE, r->bytes + end * QR_REGION_PIECE);
}

/* The number of pieces to prefault so that the first `bytes` are. */
static size_t missing(const struct qr_prefault *r, size_t bytes)
{
    return bytes > r->bytes ? (bytes - r->bytes + QR_REGION_PIECE - 1) / QR_REGION_PIECE : 0;
}

static void fill(struct qr_prefault *r, size_t pieces_n)
{
    qr_team_run(r->team, fill_pieces, r, (uint32_t)pieces_n, 1);
    r->bytes += pieces_n * QR_REGION_PIECE;
}

static uint32_t whole_pages(const struct qr_prefault *r, size_t bytes)
{
    size_t n = bytes / r->page_bytes;

    return n < r->pages_n ? (uint32_t)n : r->pages_n;
}

static size_t wanted(const struct qr_prefault *r, uint32_t taken_n)
{
    const size_t taken = taken_n * r->page_bytes;
    size_t ahead = taken > QR_PREFAULT_AHEAD_MIN ? taken : QR_PREFAULT_AHEAD_MIN;

    assert(taken_n <= r->pages_n);
    if (taken_n == 0) return 0;
    if (ahead > QR_PREFAULT_AHEAD_MAX) ahead = QR_PREFAULT_AHEAD_MAX;
    return ahead < r->pages->bytes - taken ? taken + ahead : r->pages->bytes;
}

/* A step waits for this.  Each thread gets a piece, because a piece for each takes no longer than
 * one piece. */
void qr_prefault_make(struct qr_prefault *r, uint32_t taken_n)
{
    const size_t left = missing(r, r->pages->bytes), threads_n = qr_team_threads(r->team);
    size_t pieces_n = missing(r, taken_n * r->page_bytes);

    assert(taken_n <= r->pages_n);
    if (pieces_n == 0) return;
    if (pieces_n < threads_n) pieces_n = threads_n < left ? threads_n : left;
    fill(r, pieces_n);
}

bool qr_prefault_ahead(struct qr_prefault *r, uint32_t taken_n)
{
    const size_t threads_n = qr_team_threads(r->team);
    const size_t pieces_n = missing(r, wanted(r, taken_n));

    if (pieces_n == 0) return false;
    fill(r, pieces_n < threads_n ? pieces_n : threads_n);
    return true;
}

uint32_t qr_prefault_n(const struct qr_prefault *r)
{
    return whole_pages(r, r->bytes);
}

uint32_t qr_prefault_wanted_n(const struct qr_prefault *r, uint32_t taken_n)
{
    return whole_pages(r, wanted(r, taken_n));
}
