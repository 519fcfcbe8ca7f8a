/* SPDX-License-Identifier: MIT */
/* distance -- the time that a word takes from one thread's core to another's.
 *
 * Threads are not bound to cores, and a host moves the cores of a virtual machine.  So a figure
 * holds only for the moment in which it was taken.
 *
 * Thread: the team's caller, between runs.   Memory: the allocator given, for the call. */
#ifndef QR_BASE_DISTANCE_H
#define QR_BASE_DISTANCE_H

#include "runtime/base/memory.h"
#include "runtime/base/team.h"

/* Nanoseconds one way.  Each pair of neighbouring threads counts with the fastest of several short
 * batches; the slowest pair is the result.  0: there is one thread, no memory, or no batch was
 * complete after 10 ms, when measuring ends. */
double qr_distance_measure(struct qr_team *team, const struct quire_allocator *allocator);

#endif
