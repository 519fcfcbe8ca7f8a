/* SPDX-License-Identifier: MIT */
#include "kernels/cpu.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

/* Ascending.  A level's flags are its own bit and those of the levels below it. */
static const struct {
    const char *name;
    unsigned flags;
} levels[] = {
    {"scalar", 0},
    {"avx2", QR_CPU_AVX2},
    {"avx512", QR_CPU_AVX2 | QR_CPU_AVX512},
    {"avx512vnni", QR_CPU_AVX2 | QR_CPU_AVX512 | QR_CPU_AVX512VNNI},
    {"avx512bf16", QR_CPU_AVX2 | QR_CPU_AVX512 | QR_CPU_AVX512VNNI | QR_CPU_AVX512BF16},
    {"neon", QR_CPU_NEON},
    {"neondotprod", QR_CPU_NEON | QR_CPU_NEON_DOTPROD},
};
#define LEVELS_N (sizeof levels / sizeof levels[0])

#if defined(__x86_64__)

/* Bits of XCR0: the registers that the operating system saves. */
#define XCR0_YMM 0x06u /* SSE and AVX */
#define XCR0_ZMM 0xe6u /* and mask registers, the upper halves, zmm16 to zmm31 */

static unsigned bit(unsigned reg, unsigned index)
{
    return reg >> index & 1;
}

static uint32_t xcr0(void)
{
    uint32_t eax, edx;
    __asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return eax;
}

unsigned qr_cpu_flags(void)
{
    unsigned eax, ebx, ecx, edx, ebx7, ecx7, eax7_1 = 0;

    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return 0;
    bool osxsave = bit(ecx, 27), avx = bit(ecx, 28), fma = bit(ecx, 12), f16c = bit(ecx, 29);
    if (!osxsave || !avx || !fma || !f16c) return 0;
    uint32_t saved = xcr0();
    if ((saved & XCR0_YMM) != XCR0_YMM) return 0;
    if (!__get_cpuid_count(7, 0, &eax, &ebx7, &ecx7, &edx)) return 0;
    if (!bit(ebx7, 5)) return 0;
    unsigned subleaves_n = eax;
    unsigned flags = QR_CPU_AVX2;

    bool f = bit(ebx7, 16), dq = bit(ebx7, 17), bw = bit(ebx7, 30), vl = bit(ebx7, 31);
    if (!f || !dq || !bw || !vl || (saved & XCR0_ZMM) != XCR0_ZMM) return flags;
    flags |= QR_CPU_AVX512;

    if (!bit(ecx7, 11)) return flags;
    flags |= QR_CPU_AVX512VNNI;

    if (subleaves_n >= 1) __get_cpuid_count(7, 1, &eax7_1, &ebx, &ecx, &edx);
    if (!bit(eax7_1, 5)) return flags;
    return flags | QR_CPU_AVX512BF16;
}

#elif defined(__aarch64__) && defined(__linux__)

unsigned qr_cpu_flags(void)
{
    unsigned long hwcap = getauxval(AT_HWCAP);
    if (!(hwcap & HWCAP_ASIMD)) return 0;
    return QR_CPU_NEON | (hwcap & HWCAP_ASIMDDP ? QR_CPU_NEON_DOTPROD : 0);
}

#else

unsigned qr_cpu_flags(void)
{
    return 0;
}

#endif

bool qr_cpu_level_flags(const char *name, unsigned *flags)
{
    for (size_t i = 0; i < LEVELS_N; i++) {
        if (strcmp(levels[i].name, name) == 0) {
            *flags = levels[i].flags;
            return true;
        }
    }
    return false;
}

const char *qr_cpu_level_name(unsigned flags)
{
    size_t best = 0;
    for (size_t i = 1; i < LEVELS_N; i++)
        if ((flags & levels[i].flags) == levels[i].flags) best = i;
    return levels[best].name;
}
