/* SPDX-License-Identifier: MIT */
#include "runtime/base/machine.h"

#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CGROUP_ROOT     "/sys/fs/cgroup"
#define CGROUP_PATH_MAX 1024

/* Reads the first line of a file under /proc or /sys, without the newline.  False: unreadable. */
static bool read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool ok = fgets(line, (int)size, file) != NULL;
    (void)fclose(file);
    if (ok) line[strcspn(line, "\n")] = '\0';
    return ok;
}

/* This process's group in the unified hierarchy.  "/": there is no such hierarchy, or the group is
 * mounted as the root, as in most containers. */
static void cgroup_path(char *path, size_t size)
{
    char line[CGROUP_PATH_MAX];

    (void)snprintf(path, size, "/");
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "0::", 3) != 0) continue;
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(path, size, "%s", line + 3);
        break;
    }
    (void)fclose(file);
}

/* Calls visit with the text of `name` in the process's group and in each group above it, because a
 * limit of any of them binds. */
static void cgroup_walk(const char *name, void (*visit)(void *, const char *dir, const char *text),
                        void *context)
{
    char group[CGROUP_PATH_MAX];
    char dir[CGROUP_PATH_MAX + sizeof(CGROUP_ROOT)];
    char path[sizeof dir + 64];
    char text[128];

    cgroup_path(group, sizeof group);
    for (;;) {
        (void)snprintf(dir, sizeof dir, "%s%s", CGROUP_ROOT, strcmp(group, "/") ? group : "");
        (void)snprintf(path, sizeof path, "%s/%s", dir, name);
        if (read_line(path, text, sizeof text)) visit(context, dir, text);
        char *slash = strrchr(group, '/');
        if (!slash || !strcmp(group, "/")) return;
        if (slash == group)
            group[1] = '\0';
        else
            *slash = '\0';
    }
}

static void visit_cpu_max(void *context, const char *dir, const char *text)
{
    uint32_t *cores = context;
    long long quota;
    long long period;

    (void)dir;
    if (sscanf(text, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0) return;
    long long whole = (quota + period - 1) / period;
    if (whole >= 1 && whole < *cores) *cores = (uint32_t)whole;
}

/* The lowest-numbered SMT sibling of a CPU.  It identifies the core. */
static unsigned core_of(unsigned cpu)
{
    char path[128];
    char line[256];
    unsigned first;

    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/topology/core_cpus_list", cpu);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%u", &first) != 1) return cpu;
    return first;
}

uint32_t qr_cores_available(void)
{
    cpu_set_t allowed;
    cpu_set_t cores;

    CPU_ZERO(&cores);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        unsigned core;
        if (CPU_ISSET(cpu, &allowed) && (core = core_of(cpu)) < CPU_SETSIZE) CPU_SET(core, &cores);
    }
    uint32_t n = (uint32_t)CPU_COUNT(&cores);
    if (n == 0) n = 1;
    cgroup_walk("cpu.max", visit_cpu_max, &n);
    return n;
}

static void visit_memory_max(void *context, const char *dir, const char *text)
{
    uint64_t *available = context;
    char path[CGROUP_PATH_MAX + 64];
    char line[128];
    uint64_t limit;
    uint64_t used;

    if (sscanf(text, "%" SCNu64, &limit) != 1) return; /* "max" */
    (void)snprintf(path, sizeof path, "%s/memory.current", dir);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%" SCNu64, &used) != 1) return;
    uint64_t left = limit > used ? limit - used : 0;
    if (left < *available) *available = left;
}

uint64_t qr_memory_available(void)
{
    char line[256];
    uint64_t kib = 0;

    FILE *file = fopen("/proc/meminfo", "re");
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1) break;
    (void)fclose(file);
    uint64_t available = kib * 1024;
    cgroup_walk("memory.max", visit_memory_max, &available);
    return available;
}

uint64_t qr_clock_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
