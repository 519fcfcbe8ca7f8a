/* SPDX-License-Identifier: MIT */
/* x86/unroll -- the compiler directives that the variants use, for gcc and clang.
 *
 * A compiler keeps an array of vectors in registers only if it unrolls every loop over it
 * completely.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_X86_UNROLL_H
#define QR_KERNELS_X86_UNROLL_H

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Makes a vector's value opaque at this point.  Without it gcc reorders a chain of additions into a
 * tree and spills the leaves. */
#define KEEP(v) __asm__("" : "+x"(v))

/* With sanitizer checks the unrolled bodies compile for minutes, so they and the functions around
 * them have none.  The scalar kernels of the same layout have the checks, and kernelcheck ends
 * every buffer at a page that faults. */
#define UNSANITIZED __attribute__((no_sanitize("address", "undefined")))
#define INLINE      UNSANITIZED static inline __attribute__((always_inline))

#endif
