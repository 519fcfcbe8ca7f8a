/* SPDX-License-Identifier: MIT */
/* distance -- how far apart the cores are on which a team's threads run: how long a word takes from
 * one to the next.
 *
 * Threads are not bound to cores, and a virtual machine's cores are moved by its host: two figures
 * of one team may differ by the cores meant, so each holds for its moment only.
 *
 * Thread: the team's caller, between runs.   Memory: the allocator given, for the call. */
#ifndef QR_BASE_DISTANCE_H
#define QR_BASE_DISTANCE_H

#include "runtime/base/memory.h"
#include "runtime/base/team.h"

/* Nanoseconds one way: the least of several short batches for two neighbouring threads, the most of
 * all such pairs.  0: one thread, no memory, or threads that have not met within some 10 ms, after
 * which the measuring ends. */
double qr_distance_measure(struct qr_team *team, const struct quire_allocator *allocator);

#endif
