/* SPDX-License-Identifier: MIT */
/* x86/attention -- the x86 variants of attention.h, in ascending order of levels.  Each equals
 * scalar bit for bit.  Each level's functions accept all types; for a type without code of its own
 * they call the level below.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_KERNELS_X86_ATTENTION_H
#define QR_KERNELS_X86_ATTENTION_H

#include "kernels/attention.h"
#include "kernels/cpu.h"

QR_KV_PUT_FN(qr_kv_put_avx2);
QR_ATTEND_FN(qr_attend_avx2);
QR_ATTEND_SHARED_FN(qr_attend_shared_avx2);
QR_ATTEND_SPANS_FN(qr_attend_spans_avx2);
QR_ATTEND_MERGE_FN(qr_attend_merge_avx2);

/* int8 pages only. */
QR_KV_PUT_FN(qr_kv_put_q8_avx2);
QR_ATTEND_FN(qr_attend_q8_avx2);
QR_ATTEND_SHARED_FN(qr_attend_shared_q8_avx2);
QR_ATTEND_SPANS_FN(qr_attend_spans_q8_avx2);

QR_ATTEND_FN(qr_attend_avx512);
QR_ATTEND_SHARED_FN(qr_attend_shared_avx512);
QR_ATTEND_SPANS_FN(qr_attend_spans_avx512);
QR_ATTEND_MERGE_FN(qr_attend_merge_avx512);

QR_ATTEND_FN(qr_attend_avx512vnni);
QR_ATTEND_SHARED_FN(qr_attend_shared_avx512vnni);
QR_ATTEND_SPANS_FN(qr_attend_spans_avx512vnni);

static inline void attention_init_x86(struct qr_attention_kernels *k, unsigned flags)
{
    if (!(flags & QR_CPU_AVX2)) return;
    k->put = qr_kv_put_avx2;
    k->attend = qr_attend_avx2;
    k->attend_shared = qr_attend_shared_avx2;
    k->attend_spans = qr_attend_spans_avx2;
    k->attend_merge = qr_attend_merge_avx2;

    if (!(flags & QR_CPU_AVX512)) return;
    k->attend = qr_attend_avx512;
    k->attend_shared = qr_attend_shared_avx512;
    k->attend_spans = qr_attend_spans_avx512;
    k->attend_merge = qr_attend_merge_avx512;

    if (!(flags & QR_CPU_AVX512VNNI)) return;
    k->attend = qr_attend_avx512vnni;
    k->attend_shared = qr_attend_shared_avx512vnni;
    k->attend_spans = qr_attend_spans_avx512vnni;
}

#endif
