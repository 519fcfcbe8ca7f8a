/* SPDX-License-Identifier: MIT */
/* The types with residuals. */
#define BF16_DOTS 1
#include "kernels/x86/gemm_vnni.h"

GEMM(q4_1, QR_TYPE_Q4_1)
GEMM(q5_1, QR_TYPE_Q5_1)

static float one_and_dot(uint32_t pair, uint32_t with)
{
    __m512 acc = _mm512_set1_ps(1.0f);
    __m512i a = _mm512_set1_epi32((int)pair), b = _mm512_set1_epi32((int)with);
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
    return _mm512_cvtss_f32(acc);
}

/* The first dot is 1 only if the sum is rounded after each product: 1 + 2^-24 + 2^-24.  The second
 * is 1 + 2^-22 only if rounding is to nearest even: 1 + 3 * 2^-24.  The third is 2^-30 only if the
 * second product, -1, is added first. */
bool qr_gemm_dots_are_two_fmas_avx512bf16(void)
{
    return one_and_dot(0x39803980, 0x39803980) == 1.0f &&
           one_and_dot(0x00003a40, 0x00003980) == 1.0f + 0x1p-22f &&
           one_and_dot(0xbf803080, 0x3f803f80) == 0x1p-30f;
}
