/* SPDX-License-Identifier: MIT */
/* x86/unroll -- what the variants ask of the compiler, spelt for gcc and clang.
 *
 * An array of vectors lives in registers only if every loop over it is unrolled whole.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_X86_UNROLL_H
#define QR_KERNELS_X86_UNROLL_H

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Holds a vector in a register here, its value unknown: the compiler may not reorder the additions
 * that make it into a tree whose leaves fill the stack. */
#define KEEP(v) __asm__("" : "+x"(v))

/* Unrolled bodies take a compiler minutes with the sanitizers' checks in them.  So these are left
 * without, as are the functions marked so around them: the scalar kernels of the same layout have
 * the checks, and kernelcheck lays every buffer against a page that must not be touched. */
#define UNSANITIZED __attribute__((no_sanitize("address", "undefined")))
#define INLINE      UNSANITIZED static inline __attribute__((always_inline))

#endif
