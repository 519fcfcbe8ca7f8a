/* SPDX-License-Identifier: MIT */
/* smollm2 -- finds the SmolLM2 model file on this machine.
 *
 * Thread: one. */
#ifndef QR_TESTS_SUPPORT_SMOLLM2_H
#define QR_TESTS_SUPPORT_SMOLLM2_H

/* The path in QUIRE_MODEL, or of the file in the user's cache.  NULL if it can't be read: the
 * reason is printed. */
const char *smollm2(void);

#endif
